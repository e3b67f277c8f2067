//! `/settings/account/close`: an owner closes the account for good.
//!
//! Invariant: nothing is closed without the password and the account's own name, typed by hand. Not here:
//! what closing does, and what keeps an account open (`app::closure`).

use super::{
    agent::with_status,
    confirm,
    fault::Fault,
    form::Form,
    frame::{Frame, page},
    guard::{Guard, Sent},
    shown,
};
use crate::{
    app::{Error, session::Session},
    http::extract::Shared,
};
use askama::Template;
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/settings/account/close", get(show).post(close))
}

#[derive(Template)]
#[template(path = "close.html")]
struct Page {
    frame: Frame,
    problem: String,
    email: String,
    mode: String,
    is_closed: bool,
    agents: String,
    keys: String,
    open_tasks: i64,
    available: String,
    /// Nothing is lost where nothing is left.
    has_credits: bool,
    owed: String,
    ends_sign_in: bool,
}

async fn close_page(shared: &Shared, session: &Session, problem: String) -> Result<Response, Fault> {
    let read = details(shared, session, problem).await;
    page(shared, &read.map_err(|error| Fault::of(error, &shared.app))?)
}

async fn details(shared: &Shared, session: &Session, problem: String) -> Result<Page, Error> {
    let (hand, id, now_ms) = (session.hand(&shared.app)?, session.account_id()?, shared.app.now_ms());
    // As it is now: a try to close it may have changed it.
    let row = hand.account_show(&id).await?;
    let agents = hand.agent_list(Some(id.clone())).await?.len();
    let keys = hand.key_list(&id).await?;
    let live = keys
        .iter()
        .filter(|key| key.revoked_at_ms.is_none() && key.expires_at_ms.is_none_or(|at_ms| at_ms > now_ms));
    let count = |number: usize, thing| shown::count(i64::try_from(number).unwrap_or(i64::MAX), thing);
    Ok(Page {
        frame: Frame::new(&shared.app, session, "/settings/account", "Close this account"),
        problem,
        agents: count(agents, "agent"),
        keys: count(live.count(), "key"),
        is_closed: row.closed_at_ms.is_some(),
        open_tasks: row.open_tasks,
        available: shown::credits(row.books.available.0),
        has_credits: row.books.available.0 > 0,
        owed: if row.books.owed.0 == 0 { String::new() } else { shown::credits(row.books.owed.0) },
        email: row.email,
        mode: row.mode,
        ends_sign_in: session.ends_with_account(),
    })
}

async fn show(State(shared): State<Shared>, Guard(session): Guard) -> Result<Response, Fault> {
    close_page(&shared, &session, String::new()).await
}

async fn close(State(shared): State<Shared>, Sent(session, form): Sent) -> Result<Response, Fault> {
    let Err(error) = closed(&shared, &session, &form).await else {
        let gone = session.ends_with_account();
        let next = if gone { "/login?out=closed" } else { "/settings/account" };
        return Ok(Redirect::to(next).into_response());
    };
    let (status, problem) = confirm::problem(error).map_err(|error| Fault::of(error, &shared.app))?;
    Ok(with_status(status, close_page(&shared, &session, problem).await?))
}

async fn closed(shared: &Shared, session: &Session, form: &Form) -> Result<(), Error> {
    let (app, hand, id) = (&shared.app, session.hand(&shared.app)?, session.account_id()?);
    let email = session.account.as_ref().map(|row| row.email.clone()).unwrap_or_default();
    if !form.text("name").eq_ignore_ascii_case(&email) {
        return Err(Error::field("name", format!("is not that of this account: type {email}")));
    }
    confirm::check(app, session, form).await?;
    // Whoever closes the browser meanwhile closes the account all the same.
    app.closures.run(hand, id).await.map(drop)
}
