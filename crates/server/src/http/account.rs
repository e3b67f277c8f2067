//! `GET /v1/credits/balance`, `GET /v1/me`.
//!
//! Invariant: thin. Not here: the use case (`app::account`).

use crate::{
    app::account,
    http::{error::Fail, extract::Auth},
    state::App,
};
use axum::extract::State;
use rynjer_api::{BalanceAnswer, Envelope, MeAnswer};

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

/// Show who the credential speaks for
///
/// Account, agent, key, scopes and the budgets that limit it. Needs no scope and costs nothing.
#[utoipa::path(get, path = "/v1/me", tag = "credits", security(("bearer" = [])),
    responses((status = 200, body = Envelope<MeAnswer>)))]
pub(crate) async fn get_me(
    State(app): State<App>,
    Auth(caller): Auth,
) -> Result<axum::Json<Envelope<MeAnswer>>, Fail> {
    Ok(axum::Json(Envelope::new(account::me(&app, &caller).await?)))
}
