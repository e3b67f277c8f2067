//! `POST /api/v1/agents/auth/…`.
//!
//! Invariant: thin. Not here: the use cases (`app::token`).

use crate::{
    app::token,
    http::{
        error::Fail,
        extract::{Auth, Json, Stranger},
    },
    state::App,
};
use axum::extract::State;
use rynjer_api::{Envelope, RefreshRequest, TokenAnswer, TokenRequest};

/// Exchange an API key for an access token
///
/// The bearer is the agent's API key, the body is signed by the agent. The access token lives 15 minutes.
#[utoipa::path(post, path = "/api/v1/agents/auth/token", tag = "identity", request_body = TokenRequest,
    security(("bearer" = [])), responses((status = 200, body = Envelope<TokenAnswer>)))]
pub(crate) async fn issue_token(
    State(app): State<App>,
    Auth(caller): Auth,
    Json(fields): Json,
) -> Result<axum::Json<Envelope<TokenAnswer>>, Fail> {
    Ok(axum::Json(Envelope::new(token::issue(&app, &caller, &fields).await?)))
}

/// Refresh an access token
///
/// A refresh token is spent once and answers with its successor. A second use revokes the whole family,
/// unless the agent signed the retry within 30 seconds.
#[utoipa::path(post, path = "/api/v1/agents/auth/refresh", tag = "identity", request_body = RefreshRequest,
    responses((status = 200, body = Envelope<TokenAnswer>)))]
pub(crate) async fn refresh_token(
    State(app): State<App>,
    _: Stranger,
    Json(fields): Json,
) -> Result<axum::Json<Envelope<TokenAnswer>>, Fail> {
    Ok(axum::Json(Envelope::new(token::refresh(&app, &fields).await?)))
}
