//! `GET /v1/models/list`.
//!
//! Invariant: thin. Not here: the use case (`app::model`).

use crate::{
    app::model,
    http::{error::Fail, extract::Auth},
    state::App,
};
use axum::extract::State;
use rynjer_api::{Envelope, ModelsAnswer};

/// List all models
///
/// Abilities, prices and who serves them. Costs nothing.
#[utoipa::path(get, path = "/v1/models/list", tag = "models", security(("bearer" = [])),
    responses((status = 200, body = Envelope<ModelsAnswer>)))]
pub(crate) async fn list_models(
    State(app): State<App>,
    Auth(caller): Auth,
) -> Result<axum::Json<Envelope<ModelsAnswer>>, Fail> {
    Ok(axum::Json(Envelope::new(model::list(&app, &caller).await?)))
}
