//! `POST /v1/models/route`.
//!
//! Invariant: thin. Not here: the use case (`app::route`).

use crate::{
    app::route,
    http::{
        error::Fail,
        extract::{Auth, Json},
    },
    state::App,
};
use axum::extract::State;
use rynjer_api::{Envelope, RouteAnswer, RouteRequest};

/// Find the model that suits
///
/// Ranks the models that can make what is asked, with the price of this very request and a reason each, and
/// says of the others what speaks against them. `model: "auto"` takes the first. Costs nothing.
#[utoipa::path(post, path = "/v1/models/route", tag = "models", request_body = RouteRequest,
    security(("bearer" = [])), responses((status = 200, body = Envelope<RouteAnswer>)))]
pub(crate) async fn route_model(
    State(app): State<App>,
    Auth(caller): Auth,
    Json(fields): Json,
) -> Result<axum::Json<Envelope<RouteAnswer>>, Fail> {
    Ok(axum::Json(Envelope::new(route::answer(&app, &caller, &fields).await?)))
}
