//! `/`: the state of an account at a glance.
//!
//! Invariant: what is shown is read in one moment. Not here: lists (`task`, `usage`).

use super::{
    fault::Fault,
    frame::{Frame, page},
    guard::Guard,
    shown,
};
use crate::http::extract::Shared;
use askama::Template;
use axum::{extract::State, response::Response};

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Page {
    frame: Frame,
    account: Option<Figures>,
}

struct Figures {
    available: String,
    held: String,
    open_tasks: String,
}

pub(super) async fn show(State(shared): State<Shared>, Guard(session): Guard) -> Result<Response, Fault> {
    let account = session.account.as_ref().map(|row| Figures {
        available: shown::credits(row.books.available.0),
        held: shown::credits(row.books.held.0),
        open_tasks: shown::credits(row.open_tasks),
    });
    page(&shared, &Page { frame: Frame::new(&shared.app, &session, "/", "Dashboard"), account })
}
