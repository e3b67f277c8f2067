//! `GET` and `DELETE /v1/generate/{request_id}`, `POST /v1/generate/{request_id}/cancel`.
//!
//! Invariant: thin. Not here: the use case (`app::task`).

use crate::{
    app::{Error, cancel, task},
    http::{
        error::Fail,
        extract::{Auth, Shared, Token, Wait},
    },
};
use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use rynjer_api::{Envelope, TaskAnswer};
use std::time::Duration;

/// Poll a generation
///
/// By your `request_id` or by its `task_id`. With `wait=N` the answer comes at the end of the task, or after
/// N seconds with its current state. A failed task is an answer with `status: failed`, and costs nothing.
#[utoipa::path(get, path = "/v1/generate/{request_id}", tag = "generate",
    params(
        ("request_id" = String, Path, description = "Your request_id, or the task_id."),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for the end, 1 to 60.", minimum = 0),
        ("Prefer" = Option<String>, Header, description = "`wait=N`, the same as the query parameter."),
    ),
    security(("bearer" = [])), responses((status = 200, body = Envelope<TaskAnswer>)))]
pub(crate) async fn get_generation(
    State(shared): State<Shared>,
    Auth(caller): Auth,
    Wait(wait): Wait,
    Token(token): Token,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Fail> {
    let Path(id) = id.map_err(|_| Fail(Error::NotFound))?;
    let draining = shared.drain.begun();
    let row = task::find(&shared.app, &caller, &id).await?;
    let answer = task::poll(&shared.app, &caller, &token, row, wait.unwrap_or_default(), draining).await?;
    let mut response = answered(answer);
    applied(&mut response, wait);
    Ok(response)
}

/// Cancel a generation
///
/// Gives the whole price back, where the task was not handed to a provider yet or the provider takes it back
/// for free; otherwise `not_cancelable`, and the task goes on. Canceling twice is the same as once.
#[utoipa::path(post, path = "/v1/generate/{request_id}/cancel", tag = "generate",
    params(("request_id" = String, Path, description = "Your request_id, or the task_id.")),
    security(("bearer" = [])), responses((status = 200, body = Envelope<TaskAnswer>)))]
pub(crate) async fn cancel_generation(
    State(shared): State<Shared>,
    Auth(caller): Auth,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Fail> {
    let Path(id) = id.map_err(|_| Fail(Error::NotFound))?;
    Ok(answered(cancel::cancel(&shared.app, &caller, &id).await?))
}

/// Delete what a generation holds
///
/// Blanks the prompt, inputs and metadata of a finished task and deletes its files, for good. Its ids, hashes
/// and charges stay, and its `request_id` still stands for it.
#[utoipa::path(delete, path = "/v1/generate/{request_id}", tag = "generate",
    params(("request_id" = String, Path, description = "Your request_id, or the task_id.")),
    security(("bearer" = [])), responses((status = 200, body = Envelope<TaskAnswer>)))]
pub(crate) async fn delete_generation(
    State(shared): State<Shared>,
    Auth(caller): Auth,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Fail> {
    let Path(id) = id.map_err(|_| Fail(Error::NotFound))?;
    Ok(answered(cancel::delete(&shared.app, &caller, &id).await?))
}

/// Tells that a wait was granted (RFC 7240).
pub(crate) fn applied(response: &mut Response, wait: Option<Duration>) {
    if let Some(value) = wait.and_then(|wait| HeaderValue::from_str(&format!("wait={}", wait.as_secs())).ok())
    {
        response.headers_mut().insert("preference-applied", value);
    }
}

/// A task as an answer; unfinished ones tell when to ask again.
pub(crate) fn answered(answer: TaskAnswer) -> Response {
    let retry_after = answer.poll_after_ms.map(|ms| ms.div_euclid(1000).max(1));
    let mut response = json(&Envelope::new(answer));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// What most tasks take as JSON; a buffer of that size need not grow.
const USUAL_BYTES: usize = 1024;

/// The same as `axum::Json`, whose small buffer grows several times.
fn json(answer: &Envelope<TaskAnswer>) -> Response {
    let mut text = Vec::with_capacity(USUAL_BYTES);
    match serde_json::to_writer(&mut text, answer) {
        Ok(()) => {
            ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
        }
        Err(_) => axum::Json(answer).into_response(),
    }
}
