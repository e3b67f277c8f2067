//! `POST /api/v1/agents/keys/…`.
//!
//! Invariant: thin. Not here: the use cases (`app::key`).

use crate::{
    app::key,
    http::{
        error::Fail,
        extract::{Json, MaybeAuth, Stranger},
    },
    state::App,
};
use axum::extract::State;
use rynjer_api::{
    KeyCreateAnswer, KeyCreateRequest, KeyListAnswer, KeyListRequest, KeyRevokeAnswer, KeyRevokeRequest,
    SuccessEnvelope,
};

/// Create an API key
///
/// The agent signs with its key and proves with `registration_code` that its owner bound it. The key is shown
/// once.
#[utoipa::path(post, path = "/api/v1/agents/keys/create", tag = "identity", request_body = KeyCreateRequest,
    responses((status = 200, body = SuccessEnvelope<KeyCreateAnswer>)))]
pub(crate) async fn create_key(
    State(app): State<App>,
    _: Stranger,
    Json(fields): Json,
) -> Result<axum::Json<SuccessEnvelope<KeyCreateAnswer>>, Fail> {
    Ok(axum::Json(SuccessEnvelope::new(key::create(&app, &fields).await?)))
}

/// List an agent's API keys
///
/// With a bearer credential of the agent, or signed by it. Secrets are never shown again.
#[utoipa::path(post, path = "/api/v1/agents/keys/list", tag = "identity", request_body = KeyListRequest,
    security((), ("bearer" = [])), responses((status = 200, body = SuccessEnvelope<KeyListAnswer>)))]
pub(crate) async fn list_keys(
    State(app): State<App>,
    MaybeAuth(caller): MaybeAuth,
    Json(fields): Json,
) -> Result<axum::Json<SuccessEnvelope<KeyListAnswer>>, Fail> {
    Ok(axum::Json(SuccessEnvelope::new(key::list(&app, caller.as_ref(), &fields).await?)))
}

/// Revoke an API key
///
/// With a bearer credential of the agent, or signed by it. The key and every token that came from it stop at
/// once.
#[utoipa::path(post, path = "/api/v1/agents/keys/revoke", tag = "identity", request_body = KeyRevokeRequest,
    security((), ("bearer" = [])), responses((status = 200, body = SuccessEnvelope<KeyRevokeAnswer>)))]
pub(crate) async fn revoke_key(
    State(app): State<App>,
    MaybeAuth(caller): MaybeAuth,
    Json(fields): Json,
) -> Result<axum::Json<SuccessEnvelope<KeyRevokeAnswer>>, Fail> {
    Ok(axum::Json(SuccessEnvelope::new(key::revoke(&app, caller.as_ref(), &fields).await?)))
}
