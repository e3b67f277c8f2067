//! `/v1/test/…`.
//!
//! Invariant: thin. Not here: the use cases (`app::test_mode`).

use crate::{
    app::test_mode,
    http::{
        error::Fail,
        extract::{Auth, Json},
    },
    state::App,
};
use axum::extract::State;
use rynjer_api::{ClockAnswer, ClockRequest, Envelope, TriggersAnswer};

/// List the triggers of the test mode
///
/// Texts that force an outcome when they stand in a prompt of a test account. Other accounts get `not_found`.
#[utoipa::path(get, path = "/v1/test/triggers", tag = "test", security(("bearer" = [])),
    responses((status = 200, body = Envelope<TriggersAnswer>)))]
pub(crate) async fn list_triggers(
    State(app): State<App>,
    Auth(caller): Auth,
) -> Result<axum::Json<Envelope<TriggersAnswer>>, Fail> {
    Ok(axum::Json(Envelope::new(test_mode::triggers(&app, &caller)?)))
}

/// Read the test clock
///
/// Only for test accounts, and only while the gateway runs with `--test-clock`; otherwise `not_found`.
#[utoipa::path(get, path = "/v1/test/clock", tag = "test", security(("bearer" = [])),
    responses((status = 200, body = Envelope<ClockAnswer>)))]
pub(crate) async fn get_clock(
    State(app): State<App>,
    Auth(caller): Auth,
) -> Result<axum::Json<Envelope<ClockAnswer>>, Fail> {
    Ok(axum::Json(Envelope::new(test_mode::clock(&app, &caller)?)))
}

/// Move the test clock forward
///
/// What is due then happens before the answer: quotes, tokens and links expire, old files and prompts go.
/// It moves for every account of the gateway.
#[utoipa::path(post, path = "/v1/test/clock", tag = "test", request_body = ClockRequest,
    security(("bearer" = [])), responses((status = 200, body = Envelope<ClockAnswer>)))]
pub(crate) async fn advance_clock(
    State(app): State<App>,
    Auth(caller): Auth,
    Json(fields): Json,
) -> Result<axum::Json<Envelope<ClockAnswer>>, Fail> {
    Ok(axum::Json(Envelope::new(test_mode::advance(&app, &caller, &fields).await?)))
}
