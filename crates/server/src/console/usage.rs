//! `/usage`: what was spent in a period, by day, agent, model and product; and the same as CSV.
//!
//! Invariant: the tables add up to the totals, and the file holds the events that they count. Not here: how
//! cells are written (`http::csv`).

use super::{
    chart::{Chart, DAYS_MAX, Point},
    fault::Fault,
    filter::{Choice, Filters},
    frame::{Frame, page},
    guard::Guard,
    names::Names,
    shown,
};
use crate::{
    app::{
        Error,
        session::Session,
        spend::{self, Sum},
        usage,
    },
    http::{csv, extract::Shared},
    state::App,
};
use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    response::Response,
    routing::get,
};
use rynjer_core::time::{DAY_MS, day_start_ms, month_start_ms};
use rynjer_store::{list::Filter, spend::SpendRow};

/// The period where none was asked for.
const DAYS: i64 = 30;
/// The most rows of a table.
const ROWS_MAX: usize = 200;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/usage", get(show)).route("/usage.csv", get(download))
}

struct Line {
    name: String,
    /// The query of the tasks that it counts; empty where there is no such list.
    query: String,
    tasks: String,
    failed: String,
    spent: String,
    held: String,
    /// In hundredths of the greatest.
    share: i64,
}

struct Table {
    id: &'static str,
    heading: &'static str,
    column: &'static str,
    lines: Vec<Line>,
    /// How many rows are not shown.
    more: usize,
}

struct Preset {
    name: &'static str,
    query: String,
    is_current: bool,
}

#[derive(Template)]
#[template(path = "usage.html")]
struct Page {
    frame: Frame,
    filters: Filters,
    presets: Vec<Preset>,
    products: Vec<Choice>,
    models: Vec<Choice>,
    agents: Vec<Choice>,
    total: Line,
    chart: Chart,
    tables: Vec<Table>,
    /// Whether there were more tasks than are counted.
    is_cut: bool,
}

async fn show(
    State(shared): State<Shared>,
    Guard(session): Guard,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let read = read(&shared.app, &session, query.as_deref()).await;
    page(&shared, &read.map_err(|error| Fault::of(error, &shared.app))?)
}

async fn download(
    State(shared): State<Shared>,
    Guard(session): Guard,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let app = &shared.app;
    let asked = || {
        let filters = asked(app, query.as_deref())?;
        let name = format!("usage-{}-to-{}.csv", filters.from, filters.to);
        Ok((session.account_id()?, filters.read()?, name))
    };
    let (account, filter, name) = asked().map_err(|error| Fault::of(error, app))?;
    csv::download(usage::pages(app.clone(), account, filter), &name).map_err(|error| Fault::of(error, app))
}

/// The filters with a period.
fn asked(app: &App, query: Option<&str>) -> Result<Filters, Error> {
    let mut filters = Filters::of(query)?;
    let Filter { from_ms, to_ms, .. } = filters.read()?;
    let last_ms = to_ms.map_or_else(|| day_start_ms(app.now_ms()), |to_ms| to_ms - DAY_MS);
    let first_ms = from_ms.unwrap_or_else(|| (last_ms - (DAYS - 1) * DAY_MS).max(0)).min(last_ms);
    (filters.from, filters.to) = (shown::day(first_ms), shown::day(last_ms));
    Ok(filters)
}

async fn read(app: &App, session: &Session, query: Option<&str>) -> Result<Page, Error> {
    let filters = asked(app, query)?;
    let filter = filters.read()?;
    let period = (filter.from_ms.unwrap_or(0), filter.to_ms.unwrap_or(0) - DAY_MS);
    let (spend, names) = spend::of_account(app, session.account_id()?, filter).await?;
    let names = Names::new(names);
    let drawn = (period.0.max(period.1 - (DAYS_MAX - 1) * DAY_MS), period.1);
    let total = spend::total(&spend.rows);
    Ok(Page {
        frame: Frame::new(app, session, "/usage", "Usage"),
        presets: presets(app, &filters),
        products: filters.products(),
        models: filters.models(app),
        agents: filters.agents(&names),
        chart: Chart::draw("Spending by day and model", &points(&spend.rows), drawn),
        tables: tables(&spend.rows, &names, &filters),
        total: line("All".to_owned(), String::new(), total, total.spent),
        is_cut: spend.since.is_some(),
        filters,
    })
}

fn points(rows: &[SpendRow]) -> Vec<Point> {
    let sums = spend::by(rows, |row| (row.day_ms, row.model.clone())).into_iter();
    sums.map(|((day_ms, name), sum)| Point { day_ms, name, amount: sum.spent }).collect()
}

fn presets(app: &App, filters: &Filters) -> Vec<Preset> {
    let today_ms = day_start_ms(app.now_ms());
    let month_ms = month_start_ms(today_ms);
    let periods = [
        ("Today", today_ms, today_ms),
        ("7 days", today_ms - 6 * DAY_MS, today_ms),
        ("30 days", today_ms - 29 * DAY_MS, today_ms),
        ("This month", month_ms, today_ms),
        ("Last month", month_start_ms(month_ms - DAY_MS), month_ms - DAY_MS),
        ("90 days", today_ms - 89 * DAY_MS, today_ms),
    ];
    let preset = |(name, from_ms, to_ms)| {
        let period = Filters { from: shown::day(from_ms), to: shown::day(to_ms), ..filters.clone() };
        let is_current = (&period.from, &period.to) == (&filters.from, &filters.to);
        Preset { name, query: period.query(), is_current }
    };
    periods.into_iter().map(preset).collect()
}

fn tables(rows: &[SpendRow], names: &Names, filters: &Filters) -> Vec<Table> {
    let with = |change: &dyn Fn(&mut Filters)| {
        let mut narrower = filters.clone();
        change(&mut narrower);
        narrower.query()
    };
    let days = spend::by(rows, |row| row.day_ms).into_iter().rev().map(|(day_ms, sum)| {
        let day = shown::day(day_ms);
        let query = with(&|own| (own.from, own.to) = (day.clone(), day.clone()));
        (day, query, sum)
    });
    let agents = spend::ranked(rows, |row| row.agent_id.clone()).into_iter().map(|(id, sum)| {
        let value = if id.is_empty() { "none".to_owned() } else { id.clone() };
        (names.of(&id), with(&|own| own.agent.clone_from(&value)), sum)
    });
    let models = spend::ranked(rows, |row| row.model.clone()).into_iter().map(|(model, sum)| {
        let query = with(&|own| own.model.clone_from(&model));
        (model, query, sum)
    });
    let products = spend::ranked(rows, |row| row.product.clone()).into_iter().map(|(product, sum)| {
        let query = with(&|own| own.product.clone_from(&product));
        (product, query, sum)
    });
    vec![
        table("agents", "By agent", "Agent", agents.collect()),
        table("models", "By model", "Model", models.collect()),
        table("products", "By kind", "Kind", products.collect()),
        table("days", "By day", "Day", days.collect()),
    ]
}

fn table(
    id: &'static str,
    heading: &'static str,
    column: &'static str,
    rows: Vec<(String, String, Sum)>,
) -> Table {
    let most = rows.iter().map(|(_, _, sum)| sum.spent).max().unwrap_or(0);
    let more = rows.len().saturating_sub(ROWS_MAX);
    let lines = rows.into_iter().take(ROWS_MAX).map(|(name, query, sum)| line(name, query, sum, most));
    Table { id, heading, column, lines: lines.collect(), more }
}

fn line(name: String, query: String, sum: Sum, most: i64) -> Line {
    Line {
        name,
        query,
        tasks: shown::credits(sum.tasks),
        failed: shown::credits(sum.failed),
        spent: shown::credits(sum.spent),
        held: shown::credits(sum.held),
        share: sum.spent.max(0).saturating_mul(100) / most.max(1),
    }
}
