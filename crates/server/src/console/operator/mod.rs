//! Pages of operators, below `/operator`.
//!
//! Invariant: every route of this folder takes an operator; for others it is not there. Not here: what an
//! operator may do (`app::admin`).

mod account;
mod audit;
mod catalog;
mod owner;
mod pause;
mod provider;

use crate::http::extract::Shared;
use axum::Router;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .merge(account::routes())
        .merge(owner::routes())
        .merge(provider::routes())
        .merge(pause::routes())
        .merge(catalog::routes())
        .merge(audit::routes())
}

/// A form's word for a state, as a class of `tag`.
fn tag_of(state: &str) -> &'static str {
    match state {
        "active" => "good",
        "frozen" | "disabled" | "shut" => "bad",
        "paused" | "ailing" => "warn",
        _ => "",
    }
}
