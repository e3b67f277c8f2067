//! `/operator/pause` and `/operator/resume`: models and providers stopped at once, and let go on.
//!
//! Invariant: the same form does it for both, and leads back to the page that it is on. Not here: what a
//! pause does (`app::pause`).

use crate::{
    app::{Error, pause::Kind, session::Session},
    console::{fault::Fault, form::Form, guard::SentByOperator},
    http::extract::Shared,
};
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::post,
};

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/operator/pause", post(pause)).route("/operator/resume", post(resume))
}

/// What is stopped, and the page that shows it.
fn named(form: &Form) -> Result<(Kind, &'static str), Error> {
    match form.text("kind") {
        "model" => Ok((Kind::Model, "/operator/catalog")),
        "provider" => Ok((Kind::Provider, "/operator/providers")),
        _ => Err(Error::field("kind", "must be model or provider")),
    }
}

async fn pause(
    State(shared): State<Shared>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    let paused = paused(&shared, &session, &form).await;
    let back = paused.map_err(|error| Fault::of(error, &shared.app))?;
    Ok(Redirect::to(back).into_response())
}

async fn paused(shared: &Shared, session: &Session, form: &Form) -> Result<&'static str, Error> {
    let (kind, back) = named(form)?;
    let hand = session.operator_hand(&shared.app)?;
    hand.pause_set(&shared.app.catalog, kind, form.text("name"), form.text("reason")).await?;
    Ok(back)
}

async fn resume(
    State(shared): State<Shared>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    let resumed = resumed(&shared, &session, &form).await;
    let back = resumed.map_err(|error| Fault::of(error, &shared.app))?;
    Ok(Redirect::to(back).into_response())
}

async fn resumed(shared: &Shared, session: &Session, form: &Form) -> Result<&'static str, Error> {
    let (kind, back) = named(form)?;
    session.operator_hand(&shared.app)?.pause_clear(kind, form.text("name")).await?;
    Ok(back)
}
