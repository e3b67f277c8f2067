//! Faults on command, around a vendor's routes: refusals, delays, lost and cut answers.
//!
//! Invariant: a lost or cut answer is lost after its job was made, as at a real vendor. Not here: what a
//! vendor answers when all goes well.

use crate::{Seen, Vendor, World, moment, serve::CloseNow};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{HeaderValue, Response, StatusCode, header},
    middleware::{self, Next},
    response::IntoResponse,
    routing::{get, post},
};
use futures::stream;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{io, time::Duration};

/// Where people queue faults: `POST` of `{"fault": "lost"}`,
/// `{"fault": "answer", "status": 429, "body": {}}`, `{"fault": "slow", "ms": 500}`,
/// `{"fault": "end", "body": {}}`; `{"polls": 2}`; `{"always": null}`;
/// `{"remember": false}`. The answer tells how many requests and jobs there were.
pub const CONTROL_PATH: &str = "/emulator/control";

/// The largest request that is taken.
const BODY_BYTES_MAX: usize = 256 << 20;

/// What goes wrong with a submit.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// This answer, and nothing is made.
    Answer { status: u16, headers: Vec<(String, String)>, body: Value },
    /// The connection closes before anything is made.
    Dropped,
    /// The job is made, and the connection closes without an answer.
    Lost,
    /// The job is made, and half of the answer comes.
    Cut,
    /// It is begun late, and answered whole.
    Slow { ms: u64 },
    /// The job is made, and the answer comes late, and whole.
    Late { ms: u64 },
    /// The job is accepted, and ends with this failure.
    End(Value),
}

/// The jobs that a submit made, noted on its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made(pub(crate) Vec<String>);

#[derive(Clone)]
struct Watch {
    vendor: Vendor,
    world: World,
}

/// The vendor's routes with faults, the files and the control path.
pub(crate) fn around(vendor: Vendor, router: Router, world: &World) -> Router {
    let watch = Watch { vendor, world: world.clone() };
    router
        .layer(middleware::from_fn_with_state(watch, pass))
        .route("/files/{*name}", get(file).with_state(world.clone()))
        .route(CONTROL_PATH, post(control).with_state(world.clone()))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::map_response_with_state(world.clone(), dated))
}

/// With the time here, once somebody has said what it is: some stand-ins stamp their jobs with a fixed day.
async fn dated(State(world): State<World>, mut response: Response<Body>) -> Response<Body> {
    let date = world.told_ms().map(moment::http_date);
    if let Some(date) = date.and_then(|date| HeaderValue::try_from(date).ok()) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

async fn file(State(world): State<World>, Path(name): Path<String>) -> Response<Body> {
    match world.stored(&name) {
        Some(bytes) => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn control(State(world): State<World>, axum::Json(order): axum::Json<Value>) -> axum::Json<Value> {
    if let Some(polls) = order["polls"].as_u64() {
        world.polls(u32::try_from(polls).unwrap_or(u32::MAX));
    }
    if let Some(remembers) = order["remember"].as_bool() {
        world.remember(remembers);
    }
    if let Some(always) = order.get("always") {
        world.always(fault_of(always));
    }
    if let Some(fault) = fault_of(&order) {
        world.fault(fault);
    }
    let (jobs, unmatched) = (world.jobs().len(), world.unmatched());
    axum::Json(json!({"requests": world.seen_count(), "jobs": jobs, "unmatched": unmatched}))
}

fn fault_of(order: &Value) -> Option<Fault> {
    Some(match order["fault"].as_str()? {
        "answer" => {
            let status = order["status"].as_u64().and_then(|status| u16::try_from(status).ok());
            let named = order["headers"].as_object().into_iter().flatten();
            let headers =
                named.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
            Fault::Answer { status: status.unwrap_or(500), headers, body: order["body"].clone() }
        }
        "dropped" => Fault::Dropped,
        "lost" => Fault::Lost,
        "cut" => Fault::Cut,
        "slow" => Fault::Slow { ms: order["ms"].as_u64().unwrap_or(1000) },
        "late" => Fault::Late { ms: order["ms"].as_u64().unwrap_or(1000) },
        "end" => Fault::End(order["body"].clone()),
        _ => return None,
    })
}

async fn pass(State(watch): State<Watch>, request: Request, next: Next) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else { return closed() };
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    watch.world.note(|| Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: body.clone(),
    });
    let submits = watch.vendor.submits(parts.method.as_str(), parts.uri.path());
    let fault = if submits { watch.world.next_fault() } else { None };
    match fault {
        Some(Fault::Answer { status, headers, body }) => return answer(status, &headers, &body),
        Some(Fault::Dropped) => return closed(),
        Some(Fault::Slow { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        _ => {}
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let made = response.extensions().get::<Made>().cloned().unwrap_or_default();
    match fault {
        Some(Fault::Lost) => closed(),
        Some(Fault::Cut) => cut(response).await,
        _ => {
            if let Some(Fault::Late { ms }) = fault {
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            made.0.iter().for_each(|id| watch.world.matched(id));
            response
        }
    }
}

fn answer(status: u16, headers: &[(String, String)], body: &Value) -> Response<Body> {
    let mut response = axum::Json(body.clone()).into_response();
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) =
            (axum::http::HeaderName::from_bytes(name.as_bytes()), axum::http::HeaderValue::from_str(value))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn closed() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(CloseNow);
    response
}

async fn cut(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, whole.len().into());
    let half = whole.slice(..whole.len() / 2);
    let pieces: [Result<Bytes, io::Error>; 2] = [Ok(half), Err(io::Error::other("cut on command"))];
    Response::from_parts(parts, Body::from_stream(stream::iter(pieces)))
}
