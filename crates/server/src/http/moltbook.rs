//! `POST /auth/moltbook/exchange`, and what its errors tell an agent to do.
//!
//! Invariant: thin. Not here: the use case (`app::moltbook`), and other errors (`error`).

use crate::{
    app::{Error, agent::Codes, moltbook},
    http::{
        error::Fail,
        extract::{Json, Stranger},
    },
    state::App,
};
use axum::extract::State;
use http::HeaderMap;
use rynjer_api::{Envelope, ErrorData, MoltbookExchangeRequest, TokenAnswer};

/// Exchange a Moltbook identity for an access token
///
/// The identity token, made at Moltbook for this gateway's host, comes in `X-Moltbook-Identity` or in the
/// body. The first exchange is refused with `agent_not_bound` and a code for the owner; once the agent is
/// bound, each gives an access token of 15 minutes and no refresh token. 503 where the operator has not
/// turned it on.
#[utoipa::path(post, path = "/auth/moltbook/exchange", tag = "identity",
    params(("X-Moltbook-Identity" = Option<String>, Header, description = "The identity token")),
    request_body = MoltbookExchangeRequest,
    responses((status = 200, body = Envelope<TokenAnswer>)))]
pub(crate) async fn exchange_moltbook(
    State(app): State<App>,
    _: Stranger,
    headers: HeaderMap,
    Json(fields): Json,
) -> Result<axum::Json<Envelope<TokenAnswer>>, Fail> {
    let identity = headers.get("x-moltbook-identity").map(|value| value.to_str().unwrap_or("\u{fffd}"));
    Ok(axum::Json(Envelope::new(moltbook::exchange(&app, identity, &fields).await?)))
}

/// What happened and what to do, of identities that Moltbook vouches for.
pub(super) fn reworded(error: &Error) -> Option<(String, &'static str)> {
    Some(match error {
        Error::MoltbookRefused { reason, .. } => (
            format!("The Moltbook identity is not taken: {reason}"),
            "Get an identity token for this gateway's host from Moltbook, then call POST \
             /auth/moltbook/exchange with it in X-Moltbook-Identity.",
        ),
        Error::MoltbookNotBound { .. } => (
            "Moltbook knows the agent, but it does not belong to an account here yet".to_owned(),
            "Show the owner `bind_url` and `user_code`; call POST /auth/moltbook/exchange again once it is \
             bound. Each call before makes the earlier codes useless.",
        ),
        Error::MoltbookOff => (
            "This gateway takes no Moltbook identities".to_owned(),
            "Register with a key of your own instead: POST /api/v1/agents/register.",
        ),
        Error::MoltbookAway { .. } => (
            "Moltbook can't be asked at the moment".to_owned(),
            "Call POST /auth/moltbook/exchange again after Retry-After seconds; tokens that you have go on \
             working.",
        ),
        _ => return None,
    })
}

/// Adds what the owner needs to bind the agent.
pub(super) fn describe(data: &mut ErrorData, agent_id: &str, bind_url: &str, codes: &Codes) {
    data.agent_id = Some(agent_id.to_owned());
    data.bind_url = Some(bind_url.to_owned());
    data.registration_code = Some(codes.registration.clone());
    data.user_code = Some(codes.user.clone());
    data.expires_at = Some(codes.expires_at.clone());
}
