//! `/settings/security`: password and sessions of whoever is signed in.
//!
//! Invariant: nothing here concerns anybody else. Not here: the second step (`second_step`), links (`reset`).

use super::{
    confirm,
    fault::Fault,
    frame::{Frame, page},
    guard::{Guard, SentByPerson},
    shown,
};
use crate::{
    app::{
        Error, new_password, second_step,
        session::{self, Session},
    },
    http::extract::Shared,
};
use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use rynjer_core::key::constant_time_eq;
use rynjer_store::session::SessionRow;
use serde::Deserialize;

const PATH: &str = "/settings/security";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(PATH, get(show))
        .route("/settings/security/password", post(change_password))
        .route("/settings/security/sessions", post(end_sessions))
}

#[derive(Deserialize)]
struct Asked {
    /// What was just done.
    #[serde(default)]
    done: String,
}

#[derive(Template)]
#[template(path = "security.html")]
struct Page {
    frame: Frame,
    told: &'static str,
    problem: String,
    sessions: Vec<Shown>,
    /// Recovery codes that are left.
    codes_left: i64,
    /// What the provider is called; empty without one.
    provider: String,
    linked: bool,
}

/// A session as the page shows it.
struct Shown {
    reference: String,
    since: String,
    seen: String,
    ends: String,
    own: bool,
}

impl Shown {
    fn of(row: &SessionRow, own: &[u8; 32], now_ms: i64) -> Self {
        Self {
            reference: session::reference(&row.hash),
            since: shown::minute(row.created_at_ms),
            seen: shown::ago(row.seen_at_ms, now_ms),
            ends: shown::ago(row.expires_at_ms, now_ms),
            own: constant_time_eq(&row.hash, own),
        }
    }
}

async fn show(
    State(shared): State<Shared>,
    Guard(session): Guard,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    let told = match asked.done.as_str() {
        "password" => "Your new password is set, and you are signed out everywhere else.",
        "removed" => "The second step is off.",
        "linked" => "You can sign in by the provider from now on.",
        "unlinked" => "The provider signs you in no longer.",
        "sessions" => "Signed out there.",
        _ => "",
    };
    security_page(&shared, &session, told, String::new()).await
}

async fn security_page(
    shared: &Shared,
    session: &Session,
    told: &'static str,
    problem: String,
) -> Result<Response, Fault> {
    let (app, now_ms) = (&shared.app, shared.app.now_ms());
    let rows = session::list(app, session).await.map_err(|error| Fault::of(error, app))?;
    let sessions = rows.iter().map(|row| Shown::of(row, &session.hash, now_ms)).collect();
    let codes_left = second_step::codes_left(app, session).await.map_err(|error| Fault::of(error, app))?;
    let frame = Frame::new(app, session, PATH, "Security");
    let provider = app.oidc.as_ref().map(|_| app.config.oidc.name.clone()).unwrap_or_default();
    let linked = session.owner.oidc_subject.is_some();
    page(shared, &Page { frame, told, problem, sessions, codes_left, provider, linked })
}

/// The page once more, with what was wrong.
pub(super) async fn refused(shared: &Shared, session: &Session, error: Error) -> Result<Response, Fault> {
    let (status, problem) = confirm::problem(error).map_err(|error| Fault::of(error, &shared.app))?;
    let mut response = security_page(shared, session, "", problem).await?;
    *response.status_mut() = status;
    Ok(response)
}

async fn change_password(
    State(shared): State<Shared>,
    SentByPerson(session, form): SentByPerson,
) -> Result<Response, Fault> {
    let proof = (form.raw("confirm_password"), form.text("confirm_code"));
    match new_password::change(&shared.app, &session, proof, form.raw("password")).await {
        Ok(()) => Ok(Redirect::to("/settings/security?done=password").into_response()),
        Err(error) => refused(&shared, &session, error).await,
    }
}

async fn end_sessions(
    State(shared): State<Shared>,
    SentByPerson(session, form): SentByPerson,
) -> Result<Response, Fault> {
    let only = form.has("session").then(|| form.text("session"));
    let ended = session::end_others(&shared.app, &session, only).await;
    ended.map_err(|error| Fault::of(error, &shared.app))?;
    Ok(Redirect::to("/settings/security?done=sessions").into_response())
}
