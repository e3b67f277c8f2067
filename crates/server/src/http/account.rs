//! `GET /v1/credits/balance`.
//!
//! Invariant: thin. Not here: the use case (`app::account`).

use crate::{
    app::account,
    http::{error::Fail, extract::Auth},
    state::App,
};
use axum::extract::State;
use rynjer_api::{BalanceAnswer, Envelope};

/// Show the balance
///
/// Needs the scope `credits:read`. Costs nothing.
#[utoipa::path(get, path = "/v1/credits/balance", tag = "credits", security(("bearer" = [])),
    responses((status = 200, body = Envelope<BalanceAnswer>)))]
pub(crate) async fn get_balance(
    State(app): State<App>,
    Auth(caller): Auth,
) -> Result<axum::Json<Envelope<BalanceAnswer>>, Fail> {
    Ok(axum::Json(Envelope::new(account::balance(&app, &caller).await?)))
}
