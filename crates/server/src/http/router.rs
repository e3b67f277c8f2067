//! All routes, on one page.
//!
//! Invariant: every route of the API is registered together with its OpenAPI description. Not here: handlers.

use crate::{
    console,
    http::{
        account, agent, callback, document, estimate, events, extract::Shared, file, generate, guide, health,
        key, list, middleware, model, moltbook, output, route, task, test_mode, token, topup, upstream_input,
        usage,
    },
};
use axum::{
    Router,
    routing::{get, post},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The API with its descriptions.
pub(crate) fn api() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(agent::register))
        .routes(routes!(key::create_key))
        .routes(routes!(key::list_keys))
        .routes(routes!(key::revoke_key))
        .routes(routes!(token::issue_token))
        .routes(routes!(token::refresh_token))
        .routes(routes!(moltbook::exchange_moltbook))
        .routes(routes!(model::list_models))
        .routes(routes!(route::route_model))
        .routes(routes!(estimate::estimate))
        .routes(routes!(estimate::estimate_alias))
        .routes(routes!(account::get_balance))
        .routes(routes!(account::get_me))
        .routes(routes!(generate::generate))
        .routes(routes!(task::get_generation, task::delete_generation))
        .routes(routes!(task::cancel_generation))
        .routes(routes!(file::upload_file))
        .routes(routes!(file::get_file, file::delete_file))
        .routes(routes!(file::download_file))
        .routes(routes!(list::list_generations))
        .routes(routes!(events::watch_generation))
        .routes(routes!(usage::list_usage))
        .routes(routes!(usage::get_usage))
        .routes(routes!(usage::get_receipt))
        .routes(routes!(output::get_output))
        .routes(routes!(test_mode::list_triggers))
        .routes(routes!(test_mode::get_clock, test_mode::advance_clock))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::healthz))
}

/// Everything that the public port serves; `more` is merged below the same layers.
pub(crate) fn build(shared: Shared, more: Router) -> Router {
    let (router, _) = api().split_for_parts();
    router
        .merge(more.with_state(()))
        .merge(guide::routes())
        .merge(console::routes())
        .route("/agent/openapi.json", get(document::openapi))
        .route("/openapi.json", get(document::openapi))
        .route("/.well-known/jwks.json", get(document::jwks))
        .route("/inputs/{account}/{task}/{file}", get(upstream_input::get))
        .route("/callbacks/{provider}/{nonce}", post(callback::hear))
        .route("/callbacks/stripe", post(topup::hear))
        .fallback(document::not_found)
        .method_not_allowed_fallback(document::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(shared.clone(), middleware::observe))
        .with_state(shared)
}
