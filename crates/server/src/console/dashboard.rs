//! `/`: the state of an account at a glance.
//!
//! Invariant: what is shown is read in one moment. Not here: lists (`task`, `usage`).

use super::{
    chart::{Chart, Point},
    fault::Fault,
    frame::{Frame, page},
    guard::{Guard, Sent},
    names::Names,
    output::{Piece, pieces},
    shown,
    task::TaskLine,
};
use crate::{
    app::{
        Error,
        overview::{self, OPEN_MAX, Overview},
        session::Session,
        spend,
    },
    http::extract::Shared,
    state::App,
};
use askama::Template;
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use rynjer_core::{
    id::NoticeId,
    time::{DAY_MS, day_start_ms},
};
use rynjer_store::{account::AccountRow, notice::NoticeRow, spend::SpendRow};
use serde_json::Value;

/// How many days of spending are drawn.
const DAYS: i64 = 30;
const TOP_AGENTS: usize = 5;
const PICTURES: usize = 8;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/running", get(running)).route("/notices/read", post(read_notices))
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Page {
    frame: Frame,
    board: Option<Board>,
}

/// The part that refreshes itself.
#[derive(Template)]
#[template(path = "running.html")]
struct RunningPage {
    running: Running,
}

struct Running {
    available: String,
    held: String,
    open_tasks: i64,
    lines: Vec<TaskLine>,
    /// How many open tasks are not shown.
    more: i64,
    refresh_s: u32,
}

struct Board {
    running: Running,
    spent: String,
    tasks: String,
    chart: Chart,
    agents: Vec<TopAgent>,
    notices: Vec<Notice>,
    newest_notice: String,
    pieces: Vec<Piece>,
    /// Whether nothing was ever asked for, as far as one can see here.
    is_new: bool,
    has_agents: bool,
    has_credits: bool,
}

struct TopAgent {
    name: String,
    /// What the filter of lists takes.
    filter: String,
    spent: String,
    tasks: String,
    /// In hundredths of what the first one spent.
    share: i64,
}

struct Notice {
    text: String,
    at: String,
    look: &'static str,
}

pub(super) async fn show(State(shared): State<Shared>, Guard(session): Guard) -> Result<Response, Fault> {
    let app = &shared.app;
    let board = match &session.account {
        Some(account) => Some(board(app, account).await.map_err(|error| Fault::of(error, app))?),
        None => None,
    };
    page(&shared, &Page { frame: Frame::new(app, &session, "/", "Dashboard"), board })
}

async fn running(State(shared): State<Shared>, Guard(session): Guard) -> Result<Response, Fault> {
    let running = read_running(&shared.app, &session).await;
    page(&shared, &RunningPage { running: running.map_err(|error| Fault::of(error, &shared.app))? })
}

async fn read_running(app: &App, session: &Session) -> Result<Running, Error> {
    let account = session.account.as_ref().ok_or(Error::NotFound)?;
    let (rows, names) = overview::running(app, account.id.clone()).await?;
    let names = Names::new(names);
    Ok(running_of(account, rows.iter().map(|row| TaskLine::of(app, row, &names)).collect()))
}

async fn read_notices(State(shared): State<Shared>, Sent(session, form): Sent) -> Result<Response, Fault> {
    let app = &shared.app;
    let read = async {
        let newest = NoticeId::parse(form.text("newest"));
        let newest = newest.ok_or_else(|| Error::field("newest", "is not a piece of news"))?;
        overview::read_notices(app, session.account_id()?, newest).await
    };
    read.await.map_err(|error| Fault::of(error, app))?;
    Ok(Redirect::to("/").into_response())
}

fn running_of(account: &AccountRow, lines: Vec<TaskLine>) -> Running {
    let shown_count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
    Running {
        available: shown::credits(account.books.available.0),
        held: shown::credits(account.books.held.0),
        open_tasks: account.open_tasks,
        more: if lines.len() < OPEN_MAX { 0 } else { (account.open_tasks - shown_count).max(0) },
        refresh_s: if lines.is_empty() { 10 } else { 3 },
        lines,
    }
}

async fn board(app: &App, account: &AccountRow) -> Result<Board, Error> {
    let today_ms = day_start_ms(app.now_ms());
    let first_ms = today_ms - (DAYS - 1) * DAY_MS;
    let Overview { spend, open, pictures, notices, names } =
        overview::of_account(app, account.id.clone(), first_ms).await?;
    let names = Names::new(names);
    let mut made = Vec::new();
    for row in &pictures {
        made.extend(pieces(app, row, &names)?);
    }
    made.retain(|piece| !piece.url.is_empty());
    made.truncate(PICTURES);
    let total = spend::total(&spend.rows);
    Ok(Board {
        spent: shown::credits(total.spent),
        tasks: shown::count(total.tasks, "task"),
        chart: Chart::draw("Spending by day and agent", &points(&spend.rows, &names), (first_ms, today_ms)),
        agents: top_agents(&spend.rows, &names),
        newest_notice: notices.first().map(|row| row.id.to_string()).unwrap_or_default(),
        notices: notices.iter().map(|row| notice(row, &names)).collect(),
        is_new: total.tasks == 0 && open.is_empty() && made.is_empty(),
        has_agents: names.all().next().is_some(),
        has_credits: account.books.available.0 > 0,
        pieces: made,
        running: running_of(account, open.iter().map(|row| TaskLine::of(app, row, &names)).collect()),
    })
}

fn points(rows: &[SpendRow], names: &Names) -> Vec<Point> {
    let sums = spend::by(rows, |row| (row.day_ms, row.agent_id.clone())).into_iter();
    sums.map(|((day_ms, agent), sum)| Point { day_ms, name: names.of(&agent), amount: sum.spent }).collect()
}

fn top_agents(rows: &[SpendRow], names: &Names) -> Vec<TopAgent> {
    let ranked = spend::ranked(rows, |row| row.agent_id.clone());
    let most = ranked.first().map_or(1, |(_, sum)| sum.spent.max(1));
    let top = ranked.into_iter().take(TOP_AGENTS).map(|(agent, sum)| TopAgent {
        name: names.of(&agent),
        filter: if agent.is_empty() { "none".to_owned() } else { agent },
        spent: shown::credits(sum.spent),
        tasks: shown::count(sum.tasks, "task"),
        share: sum.spent.max(0).saturating_mul(100) / most,
    });
    top.collect()
}

fn notice(row: &NoticeRow, names: &Names) -> Notice {
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    let text = |name: &str| detail[name].as_str().unwrap_or_default();
    let number = |name: &str| detail[name].as_i64().unwrap_or_default();
    let (sentence, look) = if row.kind == "budget.threshold" {
        let who = match text("subject") {
            "agent" => format!("Agent {}", names.of(text("subject_id"))),
            "key" => format!("API key {}", shown::short(text("subject_id"))),
            _ => "This account".to_owned(),
        };
        let (spent, limit) = (shown::credits(number("spent")), shown::credits(number("limit")));
        let period = match text("period") {
            "day" => " of a day",
            "month" => " of a month",
            _ => "",
        };
        let look = if number("percent") >= 100 { "bad" } else { "warn" };
        let percent = number("percent");
        (format!("{who} has used {percent} % of its limit{period}: {spent} of {limit} credits."), look)
    } else {
        (shown::beginning(&format!("{}: {}", row.kind.replace(['.', '_'], " "), row.detail), 200), "")
    };
    Notice { text: sentence, at: shown::minute(row.at_ms), look }
}
