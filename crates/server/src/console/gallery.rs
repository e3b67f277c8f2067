//! `/gallery`: what was made, newest first.
//!
//! Invariant: an owner sees the files of the account that the session shows, and no other. Not here: single
//! tasks (`task_history`), the files (`http::output`).

use super::{
    fault::Fault,
    filter::{Choice, Filters},
    frame::{Frame, page},
    guard::Guard,
    names::Names,
    output::{Piece, pieces},
};
use crate::{
    app::{Error, history, session::Session},
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

/// How many tasks a page looks at; each has up to eight files.
const TASKS: usize = 24;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/gallery", get(show))
}

#[derive(Template)]
#[template(path = "gallery.html")]
struct Page {
    frame: Frame,
    filters: Filters,
    products: Vec<Choice>,
    models: Vec<Choice>,
    agents: Vec<Choice>,
    pieces: Vec<Piece>,
    /// The query of the next page; empty on the last one.
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
    let mut filter = filters.read()?;
    filter.status = Some(Status::Success);
    let (found, names) = history::tasks(app, session.account_id()?, filter, TASKS).await?;
    let names = Names::new(names);
    let mut made = Vec::new();
    for row in &found.rows {
        made.extend(pieces(app, row, &names)?);
    }
    Ok(Page {
        frame: Frame::new(app, session, "/gallery", "Gallery"),
        products: filters.products(),
        models: filters.models(app),
        agents: filters.agents(&names),
        pieces: made,
        older: found.next_before.map(|before| filters.older(&before)).unwrap_or_default(),
        filters,
    })
}
