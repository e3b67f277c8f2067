//! `POST /v1/generate`.
//!
//! Invariant: thin. Not here: the use case (`app::generate`).

use crate::{
    app::{self, caller::Caller, task},
    http::{
        error::Fail,
        extract::{Auth, Json, Shared, Token, Wait},
    },
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue};
use rynjer_api::{Envelope, GenerateRequest, TaskAnswer};
use rynjer_core::id::TaskId;
use std::time::Duration;

/// Generate an image, a video or a song
///
/// Holds the price and answers with the task. The hold is charged when the output is stored, and released
/// otherwise. The same `request_id` with the same body is the same task and is never charged twice, however
/// often it is sent.
#[utoipa::path(post, path = "/v1/generate", tag = "generate", request_body = GenerateRequest,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Stands for a missing `request_id`."),
        ("Prefer" = Option<String>, Header, description = "`wait=N` waits up to N seconds for the end."),
    ),
    security(("bearer" = [])), responses((status = 200, body = Envelope<TaskAnswer>)))]
pub(crate) async fn generate(
    State(shared): State<Shared>,
    Auth(caller): Auth,
    Wait(wait): Wait,
    Token(token): Token,
    headers: HeaderMap,
    Json(fields): Json,
) -> Result<Response, Fail> {
    let idempotency_key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    // The IETF draft writes it as a quoted string; plain text is what most clients send.
    let unquoted = idempotency_key.and_then(|key| key.strip_prefix('"')?.strip_suffix('"'));
    let idempotency_key = unquoted.or(idempotency_key);
    let generated = app::generate::generate(&shared.app, &caller, &fields, idempotency_key).await?;
    let mut answer = generated.task;
    let wait = match wait.filter(|_| !answer.status.is_final()) {
        Some(asked) => waited(&shared, &caller, &token, asked, &mut answer).await,
        None => wait,
    };
    let mut response = super::task::answered(answer);
    if generated.replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    super::task::applied(&mut response, wait);
    Ok(response.into_response())
}

/// Waits for the end; the wait that was granted. What was accepted is answered as it is, whatever keeps us
/// from waiting: an error would deny a task that exists.
async fn waited(
    shared: &Shared,
    caller: &Caller,
    bearer: &str,
    wait: Duration,
    answer: &mut TaskAnswer,
) -> Option<Duration> {
    let row = task::by_id(&shared.app, caller, &TaskId::parse(&answer.task_id)?).await.ok()?;
    let polled = task::poll(&shared.app, caller, bearer, row, wait, shared.drain.begun()).await;
    let mut polled = polled.ok()?;
    polled.warnings = std::mem::take(&mut answer.warnings);
    *answer = polled;
    Some(wait)
}
