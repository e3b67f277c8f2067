//! The owners' pages: all their routes on one page.
//!
//! Invariant: a page is reached by a session alone, a change by a form of that session alone; what a stranger
//! may see is in `sign_in`. Not here: what a change means (`app`).

#![allow(dead_code, reason = "pages that use the rest are being built")]

mod account;
mod agent;
mod asset;
mod audit;
mod bind;
mod budget;
mod chart;
mod closure;
mod confirm;
mod dashboard;
mod export;
mod fault;
mod filter;
mod form;
mod frame;
mod gallery;
mod guard;
mod key;
mod limit;
mod names;
mod oidc;
mod operator;
mod other_account;
mod output;
mod policy;
mod reset;
mod second_step;
mod security;
mod shown;
mod sign_in;
mod story;
mod task;
mod task_history;
mod topup;
mod usage;

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
        .merge(agent::routes())
        .merge(bind::routes())
        .merge(key::routes())
        .merge(budget::routes())
        .merge(account::routes())
        .merge(policy::routes())
        .merge(export::routes())
        .merge(closure::routes())
        .merge(dashboard::routes())
        .merge(gallery::routes())
        .merge(task::routes())
        .merge(task_history::routes())
        .merge(usage::routes())
        .merge(topup::routes())
        .merge(audit::routes())
}
