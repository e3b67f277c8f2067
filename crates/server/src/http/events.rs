//! `GET /v1/generate/{request_id}/events`.
//!
//! Invariant: thin; the data of an event is the very JSON of a poll, without the envelope. Not here: which
//! events there are (`app::events`).

use crate::{
    app::{
        Error,
        events::{self, Events, TaskEvent},
    },
    http::{
        error::Fail,
        extract::{Auth, Shared, Token},
        listen::Drain,
    },
};
use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::{convert::Infallible, time::Duration};

/// After how long a client that lost the stream comes back.
const RETRY: Duration = Duration::from_secs(2);
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Watch a generation
///
/// Server-sent events, each named `task` with the JSON of a poll (without the envelope) as its data: one for
/// the state now, one for each change of status or progress, and one for the end, after which the stream
/// ends. With `Last-Event-ID` nothing that was seen is sent again; 204 says that the end was seen, so stop.
#[utoipa::path(get, path = "/v1/generate/{request_id}/events", tag = "generate",
    params(
        ("request_id" = String, Path, description = "Your request_id, or the task_id."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that you saw."),
    ),
    security(("bearer" = [])), responses(
        (status = 200, description = "The events", content_type = "text/event-stream", body = String),
        (status = 204, description = "The end was seen already")))]
pub(crate) async fn watch_generation(
    State(shared): State<Shared>,
    Auth(caller): Auth,
    Token(token): Token,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Fail> {
    let Path(id) = id.map_err(|_| Fail(Error::NotFound))?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    match events::open(&shared.app, caller, token, &id, last).await? {
        Some(events) => Ok(stream_of(events, shared.drain.clone())),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

fn stream_of(events: Events, drain: Drain) -> Response {
    let first = stream::once(async { Ok::<_, Infallible>(Event::default().retry(RETRY)) });
    let rest = stream::unfold((events, drain), async |(mut events, drain)| {
        let next = tokio::select! {
            biased;
            next = events.next() => next,
            () = drain.begun() => None,
        };
        next.map(|event| (Ok(written(&event)), (events, drain)))
    });
    let mut response =
        Sse::new(first.chain(rest)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn written(event: &TaskEvent) -> Event {
    let data = serde_json::to_string(&event.answer).unwrap_or_default();
    Event::default().event("task").id(event.id.to_string()).data(data)
}
