//! A server that speaks the images protocol, and xAI's for clips, and means ill: what it answers is what the
//! prompt says.
//!
//! Invariant: it stops with its drop, endless bodies included. Not here: vendors as they are
//! (`rynjer-emulator`).

use super::png;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use data_encoding::BASE64;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::{Value, json};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::net::TcpListener;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// What stands before a URL in a prompt.
pub(crate) const AT: &str = "at ";

const CHUNK: &[u8] = &[b'A'; 64 << 10];

/// How films begin: the last box of the second says that it ends with the file, that of the third that it has
/// more than the 400 MB that are declared.
const FILM: &[u8] = b"\0\0\0\x1cftypisom\0\0\x02\0isomiso2mp41";
const OPEN_END: &[u8] = b"\0\0\0\x1cftypisom\0\0\x02\0isomiso2mp41\0\0\0\0mdat";
const BEYOND: &[u8] = b"\0\0\0\x1cftypisom\0\0\x02\0isomiso2mp41\x18\0\0\0mdat";

pub(crate) struct Hostile {
    pub(crate) address: SocketAddr,
    state: Served,
    _stop: DropGuard,
}

/// Where its redirects lead, how many it sent, and how many bytes of endless bodies it got rid of.
#[derive(Clone, Default)]
struct Served {
    places: Arc<[String]>,
    endless_bytes: Arc<AtomicUsize>,
    redirects: Arc<AtomicUsize>,
}

impl Hostile {
    /// Its redirects lead to these places, by their number.
    pub(crate) async fn start(places: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Served { places: places.into(), ..Served::default() };
        let router = Router::new()
            .route("/v1/images/generations", post(answer))
            .route("/v1/videos/generations", post(clip))
            .route("/v1/videos/{name}", get(made))
            .route("/files/{name}", get(file))
            .route("/moved/{number}", get(moved))
            .with_state(state.clone());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        TaskTracker::new().spawn(async move {
            let serve = axum::serve(listener, router);
            tokio::select! {
                served = async { serve.await } => served.expect("a server"),
                () = stopped.cancelled() => {}
            }
        });
        Self { address, state, _stop: stop.drop_guard() }
    }

    /// How many bytes of endless bodies somebody took.
    pub(crate) fn endless_bytes(&self) -> usize {
        self.state.endless_bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn redirects(&self) -> usize {
        self.state.redirects.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The settings of a gateway whose only vendor it is, for clips.
    pub(crate) fn clip_settings(&self) -> String {
        format!("\n[xai]\napi_key = \"test-key-1\"\nbase_url = \"{}\"\n", self.url("/v1"))
    }

    /// The settings of a gateway whose only vendor it is.
    pub(crate) fn settings(&self) -> String {
        format!(
            "\n[openai]\napi_key = \"test-key-1\"\ntimeout_seconds = 2\nbase_url = \"{}\"\n",
            self.url("/v1")
        )
    }
}

async fn answer(State(state): State<Served>, Json(body): Json<Value>) -> Response {
    let prompt = body["prompt"].as_str().unwrap_or_default();
    if let Some(url) = prompt.strip_prefix(AT) {
        return Json(json!({"data": [{"url": url}]})).into_response();
    }
    let begin = "{\"data\": [{\"b64_json\": \"";
    match prompt {
        "json without an end" => endless(&state, begin.as_bytes()),
        "json that stops and stays" => silent(begin),
        "json of 60 MB" => Json(json!({"data": [{"b64_json": "A".repeat(60_000_000)}]})).into_response(),
        "json that says more bytes than it has" => {
            with(header::CONTENT_LENGTH, "9000", short(begin.as_bytes()))
        }
        "json that says terabytes" => with(header::CONTENT_LENGTH, "9000000000000", short(begin.as_bytes())),
        "json in gzip" => with(header::CONTENT_ENCODING, "gzip", Body::from(gzip())),
        _ => {
            let picture = BASE64.encode(&png::png(64, 64, 7));
            Json(json!({"data": [{"b64_json": picture}]})).into_response()
        }
    }
}

/// A clip is what its prompt names, and done at once.
async fn clip(Json(body): Json<Value>) -> Response {
    Json(json!({"request_id": body["prompt"]})).into_response()
}

async fn made(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let host = headers[header::HOST].to_str().expect("a host");
    let url = format!("http://{host}/files/{name}.mp4");
    Json(json!({"status": "done", "video": {"url": url, "respect_moderation": true}})).into_response()
}

async fn file(State(state): State<Served>, Path(name): Path<String>) -> Response {
    match name.as_str() {
        "bomb.png" => png::bomb(60_000, 60_000).into_response(),
        "empty-bomb.png" => {
            let mut picture = png::png(8, 8, 1);
            picture[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
            picture.into_response()
        }
        "gzip.png" => with(header::CONTENT_ENCODING, "gzip", Body::from(gzip())),
        "endless.png" => endless(&state, b"PNG"),
        "endless-jpeg.png" => endless(&state, b"\xff\xd8\xff\xe0 to begin with"),
        "short.png" => with(header::CONTENT_LENGTH, "9000", short(b"PNG")),
        "terabytes.png" => with(header::CONTENT_LENGTH, "9000000000000", short(b"PNG")),
        "large.png" => large().into_response(),
        "large-short.png" => {
            let half = Bytes::from(large()).slice(..4 << 20);
            let broken = Err(io::Error::other("broken on purpose"));
            Body::from_stream(stream::iter([Ok(half), broken])).into_response()
        }
        "open-end.mp4" => endless(&state, OPEN_END),
        "many-boxes.mp4" => endless_boxes(&state),
        "beyond.mp4" => with(header::CONTENT_LENGTH, "400000000", endless_body(&state, BEYOND)),
        "page.png" => with(header::CONTENT_TYPE, "image/png", Body::from("<script>alert(1)</script>")),
        "picture.png" => png::png(64, 64, 7).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn moved(State(state): State<Served>, Path(number): Path<usize>) -> Response {
    state.redirects.fetch_add(1, Ordering::SeqCst);
    (StatusCode::FOUND, [(header::LOCATION, state.places[number].clone())]).into_response()
}

fn with(name: HeaderName, value: &'static str, body: Body) -> Response {
    ([(name, value)], body).into_response()
}

/// A picture that is more than may be in memory.
fn large() -> Vec<u8> {
    png::png(4_000, 2_000, 7)
}

/// A gibibyte of nothing in a mebibyte would be the same to who never unpacks it.
fn gzip() -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    packed.resize(1 << 20, 0);
    packed
}

fn endless(state: &Served, begin: &'static [u8]) -> Response {
    endless_body(state, begin).into_response()
}

fn endless_body(state: &Served, begin: &'static [u8]) -> Body {
    repeated(state, begin, Bytes::from_static(CHUNK))
}

fn repeated(state: &Served, begin: &'static [u8], chunk: Bytes) -> Body {
    let bytes = Arc::clone(&state.endless_bytes);
    let chunk = move || {
        bytes.fetch_add(chunk.len(), Ordering::SeqCst);
        Ok(chunk.clone())
    };
    let first = stream::iter([Ok::<_, io::Error>(Bytes::from_static(begin))]);
    Body::from_stream(first.chain(stream::repeat_with(chunk)))
}

/// A film of ever more boxes, each of which has an end.
fn endless_boxes(state: &Served) -> Response {
    let data = [&[0, 1, 0, 0][..], b"mdat", &CHUNK[8..]].concat();
    repeated(state, FILM, Bytes::from(data)).into_response()
}

fn silent(begin: &'static str) -> Response {
    let first = stream::iter([Ok::<_, io::Error>(Bytes::from_static(begin.as_bytes()))]);
    Body::from_stream(first.chain(stream::pending())).into_response()
}

/// The connection breaks after these bytes.
fn short(begin: &'static [u8]) -> Body {
    let broken = Err(io::Error::other("broken on purpose"));
    Body::from_stream(stream::iter([Ok(Bytes::from_static(begin)), broken]))
}
