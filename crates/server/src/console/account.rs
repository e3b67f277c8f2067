//! `/settings/account`: the account itself, and stopping all of it at once.
//!
//! Invariant: stopping asks nothing; going on asks for the password. Not here: limits (`budget`), the
//! operator's freeze, which an owner can't undo.

use super::{
    confirm,
    fault::Fault,
    frame::{Frame, page},
    guard::{Guard, Sent},
    policy::Allowed,
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
    routing::{get, post},
};
use rynjer_core::budget::Subject;

const PATH: &str = "/settings/account";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/settings/account", get(show))
        .route("/settings/account/pause", post(pause))
        .route("/settings/account/resume", post(resume))
}

#[derive(Template)]
#[template(path = "account.html")]
struct Page {
    frame: Frame,
    problem: String,
    id: String,
    email: String,
    mode: String,
    made: String,
    open_tasks: String,
    is_paused: bool,
    /// The day of its end; empty while it goes on.
    closed: String,
    allowed: Allowed,
}

async fn account_page(shared: &Shared, session: &Session, problem: String) -> Result<Response, Fault> {
    let fault = |error| Fault::of(error, &shared.app);
    let Some(row) = &session.account else { return Err(fault(Error::NotFound)) };
    let hand = session.hand(&shared.app).map_err(fault)?;
    let policies = hand.policy_list(&row.id).await.map_err(fault)?;
    let template = Page {
        frame: Frame::new(&shared.app, session, PATH, "Account"),
        problem,
        id: row.id.to_string(),
        email: row.email.clone(),
        mode: row.mode.clone(),
        made: shown::day(row.created_at_ms),
        open_tasks: shown::credits(row.open_tasks),
        is_paused: row.paused_at_ms.is_some(),
        closed: row.closed_at_ms.map(shown::day).unwrap_or_default(),
        allowed: Allowed::of(&policies, Subject::Account, row.id.as_str()),
    };
    page(shared, &template)
}

async fn show(State(shared): State<Shared>, Guard(session): Guard) -> Result<Response, Fault> {
    account_page(&shared, &session, String::new()).await
}

async fn pause(State(shared): State<Shared>, Sent(session, _): Sent) -> Result<Response, Fault> {
    let set = set_paused(&shared, &session, true).await;
    set.map_err(|error| Fault::of(error, &shared.app))?;
    Ok(Redirect::to(PATH).into_response())
}

async fn resume(State(shared): State<Shared>, Sent(session, form): Sent) -> Result<Response, Fault> {
    let fault = |error| Fault::of(error, &shared.app);
    if let Err(error) = confirm::check(&shared.app, &session, &form).await {
        let (status, problem) = confirm::problem(error).map_err(fault)?;
        let mut response = account_page(&shared, &session, problem).await?;
        *response.status_mut() = status;
        return Ok(response);
    }
    set_paused(&shared, &session, false).await.map_err(fault)?;
    Ok(Redirect::to(PATH).into_response())
}

async fn set_paused(shared: &Shared, session: &Session, paused: bool) -> Result<(), Error> {
    let (hand, id) = (session.hand(&shared.app)?, session.account_id()?);
    hand.account_pause(&id, paused).await.map(drop)
}
