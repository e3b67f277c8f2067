//! `POST /v1/credits/estimate` and its older path.
//!
//! Invariant: thin. Not here: the use case (`app::estimate`).

use crate::{
    app,
    http::{
        error::Fail,
        extract::{Auth, Json},
    },
    state::App,
};
use axum::extract::State;
use rynjer_api::{Envelope, EstimateAnswer, EstimateRequest};

/// Estimate the price of a request
///
/// Charges nothing and stores nothing. `quote_id` holds the price for 15 minutes.
#[utoipa::path(post, path = "/v1/credits/estimate", tag = "credits", request_body = EstimateRequest,
    security(("bearer" = [])), responses((status = 200, body = Envelope<EstimateAnswer>)))]
pub(crate) async fn estimate(
    State(app): State<App>,
    Auth(caller): Auth,
    Json(fields): Json,
) -> Result<axum::Json<Envelope<EstimateAnswer>>, Fail> {
    Ok(axum::Json(Envelope::new(app::estimate::estimate(&app, &caller, &fields).await?)))
}

/// Estimate the price of a request (older path)
///
/// The same as `POST /v1/credits/estimate`.
#[utoipa::path(post, path = "/api/credits/estimate", tag = "credits", request_body = EstimateRequest,
    security(("bearer" = [])), responses((status = 200, body = Envelope<EstimateAnswer>)))]
pub(crate) async fn estimate_alias(
    state: State<App>,
    auth: Auth,
    json: Json,
) -> Result<axum::Json<Envelope<EstimateAnswer>>, Fail> {
    estimate(state, auth, json).await
}
