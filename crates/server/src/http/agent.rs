//! `POST /api/v1/agents/register`.
//!
//! Invariant: thin. Not here: the use case (`app::agent`).

use crate::{
    app::agent,
    http::{
        error::Fail,
        extract::{Json, Stranger},
    },
    state::App,
};
use axum::extract::State;
use rynjer_api::{RegisterAnswer, RegisterRequest, SuccessEnvelope};

/// Register an agent
///
/// An agent proves that it holds its Ed25519 key and gets a code for its owner. The same key again is the
/// same agent with a fresh code. Costs nothing.
#[utoipa::path(post, path = "/api/v1/agents/register", tag = "identity", request_body = RegisterRequest,
    responses((status = 200, body = SuccessEnvelope<RegisterAnswer>)))]
pub(crate) async fn register(
    State(app): State<App>,
    _: Stranger,
    Json(fields): Json,
) -> Result<axum::Json<SuccessEnvelope<RegisterAnswer>>, Fail> {
    Ok(axum::Json(SuccessEnvelope::new(agent::register(&app, &fields).await?)))
}
