//! The owners' pages: all their routes on one page.
//!
//! Invariant: a page is reached by a session alone, a change by a form of that session alone; what a stranger
//! may see is in `sign_in`. Not here: what a change means (`app`).

#![allow(dead_code, reason = "pages that use the rest are being built")]

mod asset;
mod confirm;
mod dashboard;
mod fault;
mod form;
mod frame;
mod guard;
mod oidc;
mod operator;
mod reset;
mod second_step;
mod security;
mod shown;
mod sign_in;

use crate::http::extract::Shared;
use axum::{Router, routing::get};

/// Every page, at its path and below `/en`, which is the same page: there is one language so far.
pub(crate) fn routes() -> Router<Shared> {
    pages().nest("/en", pages()).route("/en/", get(dashboard::show)).merge(asset::routes())
}

fn pages() -> Router<Shared> {
    Router::new()
        .route("/", get(dashboard::show))
        .merge(sign_in::routes())
        .merge(reset::routes())
        .merge(security::routes())
        .merge(second_step::routes())
        .merge(oidc::routes())
        .merge(operator::routes())
}
