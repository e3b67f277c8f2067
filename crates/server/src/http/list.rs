//! `GET /v1/generate`.
//!
//! Invariant: thin. Not here: the use case (`app::list`).

use crate::{
    app::{list, request::Fields},
    http::{
        error::Fail,
        extract::{Auth, Shared},
    },
};
use axum::{
    Json,
    extract::{RawQuery, State},
};
use rynjer_api::{Envelope, TaskListAnswer};

/// List generations
///
/// Newest first. An agent sees its own, an account's key all of the account. A page may be shorter than
/// `limit`, even empty: go on with `next_cursor` until it is null.
#[utoipa::path(get, path = "/v1/generate", tag = "generate",
    params(
        ("limit" = Option<u32>, Query, description = "How many, 1 to 100; 20 if absent.",
            minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
        ("status" = Option<rynjer_api::TaskStatus>, Query, description = "Only tasks in that state."),
        ("model" = Option<String>, Query, description = "Only tasks of that model, as it was asked for."),
        ("run_id" = Option<String>, Query, description = "Only tasks of that run."),
        ("agent_id" = Option<String>, Query, description = "Only tasks of that agent."),
    ),
    security(("bearer" = [])), responses((status = 200, body = Envelope<TaskListAnswer>)))]
pub(crate) async fn list_generations(
    State(shared): State<Shared>,
    Auth(caller): Auth,
    RawQuery(query): RawQuery,
) -> Result<Json<Envelope<TaskListAnswer>>, Fail> {
    let fields = Fields::of_query(query.as_deref().unwrap_or_default())?;
    Ok(Json(Envelope::new(list::list(&shared.app, &caller, &fields).await?)))
}
