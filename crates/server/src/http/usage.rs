//! `GET /v1/usage`, one event of it, and its receipt.
//!
//! Invariant: thin. Not here: the use cases (`app::usage`, `app::receipt`), how CSV is written (`csv`).

use crate::{
    app::{Error, receipt, request::Fields, usage},
    http::{
        csv,
        error::Fail,
        extract::{Auth, Shared},
    },
};
use axum::{
    Json,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::HeaderMap;
use rynjer_api::{Envelope, ReceiptAnswer, UsageAnswer, UsageEvent};

/// Report usage
///
/// One event per task, newest first, with totals of the page. `Accept: text/csv` gives a table; its next page
/// is in `Link`. A page may be shorter than `limit`, even empty: go on until there is no next one.
#[utoipa::path(get, path = "/v1/usage", tag = "credits",
    params(
        ("limit" = Option<u32>, Query, description = "How many, 1 to 100; 20 if absent.",
            minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
        ("from" = Option<String>, Query,
            description = "Accepted at or after: RFC 3339, a UTC date or unix seconds."),
        ("to" = Option<String>, Query, description = "Accepted before; a date is its first moment."),
        ("status" = Option<rynjer_api::TaskStatus>, Query, description = "Only tasks in that state."),
        ("model" = Option<String>, Query, description = "Only tasks of that model, as it was asked for."),
        ("run_id" = Option<String>, Query, description = "Only tasks of that run."),
        ("agent_id" = Option<String>, Query, description = "Only tasks of that agent."),
    ),
    security(("bearer" = [])), responses((status = 200,
        content((Envelope<UsageAnswer> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_usage(
    State(shared): State<Shared>,
    Auth(caller): Auth,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fail> {
    let fields = Fields::of_query(query.as_deref().unwrap_or_default())?;
    let answer = usage::list(&shared.app, &caller, &fields).await?;
    if !csv::is_wanted(&headers) {
        return Ok(Json(Envelope::new(answer)).into_response());
    }
    let next =
        answer.next_cursor.as_deref().map(|cursor| csv::next_page(shared.app.base_url(), &fields, cursor));
    Ok(csv::table(&answer.events, next)?)
}

/// Get a usage event
///
/// What one task did with credits. `Accept: text/csv` gives a table of one row.
#[utoipa::path(get, path = "/v1/usage/{usage_event_id}", tag = "credits",
    params(("usage_event_id" = String, Path, description = "The `usage_event_id` of a task.")),
    security(("bearer" = [])), responses((status = 200,
        content((Envelope<UsageEvent> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn get_usage(
    State(shared): State<Shared>,
    Auth(caller): Auth,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Fail> {
    let Path(id) = id.map_err(|_| Fail(Error::NotFound))?;
    let event = usage::event(&shared.app, &caller, &id).await?;
    if csv::is_wanted(&headers) {
        return Ok(csv::table(&[event], None)?);
    }
    Ok(Json(Envelope::new(event)).into_response())
}

/// Get a receipt
///
/// A usage event with its ledger lines, signed with the gateway's Ed25519 key over the canonical JSON (RFC
/// 8785) of `data` without `signature`. It tells the state at `issued_at`; the one of a finished task is
/// final.
#[utoipa::path(get, path = "/v1/usage/{usage_event_id}/receipt", tag = "credits",
    params(("usage_event_id" = String, Path, description = "The `usage_event_id` of a task.")),
    security(("bearer" = [])), responses((status = 200, body = Envelope<ReceiptAnswer>)))]
pub(crate) async fn get_receipt(
    State(shared): State<Shared>,
    Auth(caller): Auth,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Envelope<ReceiptAnswer>>, Fail> {
    let Path(id) = id.map_err(|_| Fail(Error::NotFound))?;
    Ok(Json(Envelope::new(receipt::receipt(&shared.app, &caller, &id).await?)))
}
