//! `/login/oidc`: signing in by another service, and linking it to who is signed in.
//!
//! Invariant: what comes back counts only in the browser that went; nothing is linked without a form of ours.
//! Not here: whose identity it is (`app::oidc`).

use super::{
    confirm,
    fault::Fault,
    frame::{Frame, page, set_cookie, set_flow_cookie},
    guard::{Guard, Kept, Perhaps, SentByPerson, onward},
    security,
    sign_in::after,
};
use crate::{
    app::{Error, oidc, session},
    http::extract::{Shared, Visitor},
};
use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::header;
use serde::Deserialize;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/login/oidc", get(depart))
        .route("/login/oidc/callback", get(arrive))
        .route("/settings/security/provider", get(link_page).post(link))
        .route("/settings/security/provider/remove", post(unlink))
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    next: String,
    #[serde(default)]
    anew: String,
}

async fn depart(
    State(shared): State<Shared>,
    _visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Fault> {
    let wish = oidc::Wish { next: onward(&wanted.next), link: false, anew: !wanted.anew.is_empty() };
    go(&shared, &wish).await
}

/// Goes to the provider for an identity to link.
async fn link_page(State(shared): State<Shared>, Guard(_): Guard) -> Result<Response, Fault> {
    if shared.app.oidc.is_none() {
        return Ok(Redirect::to("/settings/security").into_response());
    }
    go(&shared, &oidc::Wish { next: "", link: true, anew: false }).await
}

async fn go(shared: &Shared, wish: &oidc::Wish<'_>) -> Result<Response, Fault> {
    let departure = oidc::depart(&shared.app, wish).await;
    let departure = departure.map_err(|error| Fault::of(error, &shared.app))?;
    let cookie = set_flow_cookie(&shared.app, Some(&departure.kept));
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&departure.url)).into_response())
}

#[derive(Deserialize)]
struct Came {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
}

#[derive(Template)]
#[template(path = "link_identity.html")]
struct LinkPage {
    frame: Frame,
    provider: String,
    email: String,
    carried: String,
}

async fn arrive(
    State(shared): State<Shared>,
    visitor: Visitor,
    Kept { flow, address }: Kept,
    Perhaps(session): Perhaps,
    Query(came): Query<Came>,
) -> Result<Response, Fault> {
    let _ = visitor;
    let (app, fault) = (&shared.app, |error| Fault::of(error, &shared.app));
    let sent = (came.state.as_str(), came.code.as_str());
    let arrival = oidc::arrive(app, flow.as_deref(), sent, session.as_ref(), address).await;
    match (arrival.map_err(fault)?, session) {
        (oidc::Arrival::In { owner, next, is_fresh }, session) => {
            let older = session.map(|session| session.hash);
            let started = session::start(app, &owner, older, Some(address), is_fresh).await.map_err(fault)?;
            let cookies = [set_cookie(app, Some(started.secret.expose())), set_flow_cookie(app, None)];
            let cookies = cookies.map(|cookie| (header::SET_COOKIE, cookie));
            Ok((axum::response::AppendHeaders(cookies), Redirect::to(&after(&owner, &next))).into_response())
        }
        (oidc::Arrival::Link { carried, email }, Some(session)) => {
            let frame = Frame::new(app, &session, "/settings/security", "Link an identity");
            page(&shared, &LinkPage { frame, provider: app.config.oidc.name.clone(), email, carried })
        }
        (oidc::Arrival::Link { .. }, None) => Err(fault(Error::NotFound)),
    }
}

async fn link(
    State(shared): State<Shared>,
    SentByPerson(session, form): SentByPerson,
) -> Result<Response, Fault> {
    let linked = async {
        confirm::check(&shared.app, &session, &form).await?;
        oidc::link(&shared.app, &session, form.raw("carried")).await
    };
    match linked.await {
        Ok(()) => Ok(Redirect::to("/settings/security?done=linked").into_response()),
        Err(error) => security::refused(&shared, &session, error).await,
    }
}

async fn unlink(
    State(shared): State<Shared>,
    SentByPerson(session, form): SentByPerson,
) -> Result<Response, Fault> {
    let unlinked = async {
        confirm::check(&shared.app, &session, &form).await?;
        oidc::unlink(&shared.app, &session).await
    };
    match unlinked.await {
        Ok(()) => Ok(Redirect::to("/settings/security?done=unlinked").into_response()),
        Err(error) => security::refused(&shared, &session, error).await,
    }
}
