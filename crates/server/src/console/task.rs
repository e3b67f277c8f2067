//! `/tasks`: an account's tasks, newest first; open ones refresh themselves.
//!
//! Invariant: what callers wrote is shown as text. Not here: one task in full (`task_history`).

use super::{
    fault::Fault,
    filter::{Choice, Filters},
    frame::{Frame, page},
    guard::Guard,
    names::Names,
    shown,
};
use crate::{
    app::{Error, body::TaskBody, history, session::Session},
    http::extract::Shared,
    state::App,
};
use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    response::Response,
    routing::get,
};
use rynjer_core::task::Status;
use rynjer_store::task::TaskRow;

const ROWS: usize = 25;
/// How much of a prompt a row shows.
const PROMPT_LETTERS: usize = 90;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/tasks", get(show))
}

/// A task in a row.
pub(super) struct TaskLine {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) model: String,
    pub(super) agent: String,
    pub(super) status: &'static str,
    /// The look of the status.
    pub(super) look: &'static str,
    /// In hundredths, where it is known.
    pub(super) progress: Option<i64>,
    pub(super) credits: String,
    pub(super) at: String,
    pub(super) ago: String,
}

impl TaskLine {
    pub(super) fn of(app: &App, row: &TaskRow, names: &Names) -> Self {
        let body = row.body.as_deref().map(TaskBody::from_stored);
        let text = match &body {
            Some(body) if !body.prompt.is_empty() => shown::beginning(&body.prompt, PROMPT_LETTERS),
            Some(_) => "(no prompt)".to_owned(),
            None => "(contents deleted)".to_owned(),
        };
        let (status, look) = status_words(row.status);
        let paid = row.charged.0 - row.refunded.0;
        Self {
            id: row.id.to_string(),
            text,
            model: row.model.clone(),
            agent: names.of(&row.agent_id),
            status,
            look,
            progress: progress(app, row),
            credits: match row.held.0 {
                0 => shown::credits(paid),
                held => format!("{} held", shown::credits(held)),
            },
            at: shown::minute(row.created_at_ms),
            ago: shown::ago(row.created_at_ms, app.now_ms()),
        }
    }
}

/// How far an open task is, in hundredths.
pub(super) fn progress(app: &App, row: &TaskRow) -> Option<i64> {
    let permille = app.hub.progress(&row.id).map(i64::from).or(row.progress_permille);
    permille.filter(|_| !row.status.is_final()).map(|permille| (permille / 10).clamp(0, 100))
}

/// A status as people say it, and its look.
pub(super) fn status_words(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Pending => ("Waiting", ""),
        Status::Processing => ("Running", "warn"),
        Status::Success => ("Done", "good"),
        Status::Failed => ("Failed", "bad"),
        Status::Canceled => ("Canceled", ""),
    }
}

#[derive(Template)]
#[template(path = "tasks.html")]
struct Page {
    frame: Frame,
    filters: Filters,
    statuses: Vec<Choice>,
    models: Vec<Choice>,
    agents: Vec<Choice>,
    lines: Vec<TaskLine>,
    /// How often the list asks for itself again, in seconds; 0 is never.
    refresh_s: u32,
    older: String,
}

async fn show(
    State(shared): State<Shared>,
    Guard(session): Guard,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let read = read(&shared.app, &session, query.as_deref()).await;
    page(&shared, &read.map_err(|error| Fault::of(error, &shared.app))?)
}

async fn read(app: &App, session: &Session, query: Option<&str>) -> Result<Page, Error> {
    let filters = Filters::of(query)?;
    let (found, names) = history::tasks(app, session.account_id()?, filters.read()?, ROWS).await?;
    let names = Names::new(names);
    let is_open = found.rows.iter().any(|row| !row.status.is_final());
    Ok(Page {
        frame: Frame::new(app, session, "/tasks", "Tasks"),
        statuses: filters.statuses(),
        models: filters.models(app),
        agents: filters.agents(&names),
        lines: found.rows.iter().map(|row| TaskLine::of(app, row, &names)).collect(),
        refresh_s: match (is_open, filters.is_newest()) {
            (true, _) => 3,
            (false, true) => 10,
            (false, false) => 0,
        },
        older: found.next_before.map(|before| filters.older(&before)).unwrap_or_default(),
        filters,
    })
}
