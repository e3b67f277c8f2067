//! `/operator/pause` and `/operator/resume`: models and providers stopped at once, and let go on.
//!
//! Invariant: the same form does it for both, and leads back to the page that it is on; stopping asks
//! nothing, going on asks for the password. Not here: what a pause does (`app::pause`).

use super::{catalog, provider};
use crate::{
    app::{Error, pause::Kind, session::Session},
    console::{agent::with_status, confirm, fault::Fault, form::Form, guard::SentByOperator},
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

/// What is stopped.
fn named(form: &Form) -> Result<Kind, Error> {
    match form.text("kind") {
        "model" => Ok(Kind::Model),
        "provider" => Ok(Kind::Provider),
        _ => Err(Error::field("kind", "must be model or provider")),
    }
}

/// The page that shows it.
fn back(kind: Kind) -> Response {
    let path = match kind {
        Kind::Model => catalog::PATH,
        Kind::Provider => provider::PATH,
    };
    Redirect::to(path).into_response()
}

async fn pause(
    State(shared): State<Shared>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    let paused = paused(&shared, &session, &form).await;
    paused.map(back).map_err(|error| Fault::of(error, &shared.app))
}

async fn paused(shared: &Shared, session: &Session, form: &Form) -> Result<Kind, Error> {
    let kind = named(form)?;
    let hand = session.operator_hand(&shared.app)?;
    hand.pause_set(&shared.app.catalog, kind, form.text("name"), form.text("reason")).await?;
    Ok(kind)
}

async fn resume(
    State(shared): State<Shared>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    let fault = |error| Fault::of(error, &shared.app);
    let kind = named(&form).map_err(fault)?;
    let Err(error) = resumed(&shared, &session, &form, kind).await else { return Ok(back(kind)) };
    let (status, problem) = confirm::problem(error).map_err(fault)?;
    let page = match kind {
        Kind::Model => catalog::catalog_page(&shared, &session, problem).await?,
        Kind::Provider => provider::providers_page(&shared, &session, provider::DAYS, problem).await?,
    };
    Ok(with_status(status, page))
}

async fn resumed(shared: &Shared, session: &Session, form: &Form, kind: Kind) -> Result<(), Error> {
    confirm::check(&shared.app, session, form).await?;
    session.operator_hand(&shared.app)?.pause_clear(kind, form.text("name")).await.map(drop)
}
