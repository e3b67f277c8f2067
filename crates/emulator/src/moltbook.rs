//! Moltbook's identity tokens: made for an agent with its Moltbook key, checked for an app.
//!
//! Invariant: a token names one agent and is good for an hour at most; every documented refusal can be had.
//! Not here: anything else of Moltbook.

use crate::{Seen, moment, serve, serve::CloseNow};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response, StatusCode, Uri, header},
    response::IntoResponse,
    routing::post,
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What tokens are signed with; nobody else has it, so nobody else can check them.
const SECRET: &[u8] = b"moltbook keeps this to itself";
/// Life of an identity token.
const TOKEN_SECONDS: i64 = 3600;
const IDENTITY_TOKEN_PATH: &str = "/api/v1/agents/me/identity-token";
const VERIFY_PATH: &str = "/api/v1/agents/verify-identity";

/// What goes wrong with the next check of a token.
#[derive(Debug, Clone)]
pub enum MoltbookFault {
    /// This answer, whatever was asked.
    Answer { status: u16, headers: Vec<(String, String)>, body: String },
    /// The answer comes late.
    Slow { ms: u64 },
    /// The connection closes without an answer.
    Closed,
}

#[derive(Debug, Default)]
struct Book {
    /// By id: the name, and whether it was deactivated.
    agents: BTreeMap<String, (String, bool)>,
    app_key: Option<String>,
    faults: VecDeque<MoltbookFault>,
    seen: Vec<Seen>,
    now_ms: Option<i64>,
    tokens: u64,
}

type Shared = Arc<Mutex<Book>>;

/// A running stand-in. It stops when this is dropped.
#[derive(Debug)]
pub struct Moltbook {
    address: SocketAddr,
    book: Shared,
    _stop: DropGuard,
}

impl Moltbook {
    /// Starts on a free port of loopback. With an app key it takes no other.
    ///
    /// # Errors
    /// The port can't be had.
    pub async fn start(app_key: Option<&str>) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let book = Shared::default();
        locked(&book).app_key = app_key.map(str::to_owned);
        let router = Router::new()
            .route(IDENTITY_TOKEN_PATH, post(make))
            .route(VERIFY_PATH, post(verify))
            .with_state(Arc::clone(&book));
        let stop = CancellationToken::new();
        serve::start(listener, router, None, stop.clone())?;
        Ok(Self { address, book, _stop: stop.drop_guard() })
    }

    /// Where tokens are checked.
    #[must_use]
    pub fn verify_url(&self) -> String {
        format!("http://{}{VERIFY_PATH}", self.address)
    }

    /// Where agents get their tokens.
    #[must_use]
    pub fn identity_token_url(&self) -> String {
        format!("http://{}{IDENTITY_TOKEN_PATH}", self.address)
    }

    /// Makes an agent known, or renames it, and tells its Moltbook key.
    #[must_use]
    pub fn agent(&self, id: &str, name: &str) -> String {
        locked(&self.book).agents.insert(id.to_owned(), (name.to_owned(), false));
        format!("moltbook_sk_{id}")
    }

    /// From now on the agent is one that Moltbook has shut out.
    pub fn deactivate(&self, id: &str) {
        if let Some(agent) = locked(&self.book).agents.get_mut(id) {
            agent.1 = true;
        }
    }

    /// The agent is gone.
    pub fn delete(&self, id: &str) {
        locked(&self.book).agents.remove(id);
    }

    /// An identity token of an agent, for one service or for any.
    #[must_use]
    pub fn token(&self, id: &str, audience: Option<&str>) -> String {
        sign(&mut locked(&self.book), id, audience)
    }

    /// What happens to the next check that has no fault yet.
    pub fn fault(&self, fault: MoltbookFault) {
        locked(&self.book).faults.push_back(fault);
    }

    /// From now on it is this time here, until it is told another one.
    pub fn set_now_ms(&self, now_ms: i64) {
        locked(&self.book).now_ms = Some(now_ms);
    }

    /// From now on only this app key is taken; any with none.
    pub fn set_app_key(&self, app_key: Option<&str>) {
        locked(&self.book).app_key = app_key.map(str::to_owned);
    }

    /// Every check so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        locked(&self.book).seen.clone()
    }
}

fn locked(book: &Shared) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    fn now_s(&self) -> i64 {
        self.now_ms.unwrap_or_else(moment::now_ms) / 1000
    }
}

fn sign(book: &mut Book, id: &str, audience: Option<&str>) -> String {
    book.tokens += 1;
    let mut claims = json!({"sub": id, "exp": book.now_s() + TOKEN_SECONDS, "jti": book.tokens});
    if let Some(audience) = audience {
        claims["aud"] = json!(audience);
    }
    let signed = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET));
    signed.unwrap_or_default()
}

fn refused(status: StatusCode, code: &str) -> Response<Body> {
    let body = json!({"success": false, "valid": false, "error": code, "hint": "see the guide"});
    (status, axum::Json(body)).into_response()
}

async fn make(State(book): State<Shared>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let key = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let id = key.and_then(|key| key.strip_prefix("Bearer moltbook_sk_")).unwrap_or_default().to_owned();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut book = locked(&book);
    if !book.agents.contains_key(&id) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_api_key");
    }
    let token = sign(&mut book, &id, asked["audience"].as_str());
    axum::Json(json!({"success": true, "identity_token": token, "expires_in": TOKEN_SECONDS,
        "audience": asked["audience"]}))
    .into_response()
}

async fn verify(State(book): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let fault = {
        let mut book = locked(&book);
        book.seen.push(Seen {
            method: "POST".to_owned(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers: headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: body.clone(),
        });
        book.faults.pop_front()
    };
    match fault {
        Some(MoltbookFault::Answer { status, headers, body }) => {
            let mut response = body.into_response();
            *response.status_mut() =
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) = (name.parse::<header::HeaderName>(), value.parse()) {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        Some(MoltbookFault::Closed) => {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(CloseNow);
            response
        }
        Some(MoltbookFault::Slow { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            check(&locked(&book), &headers, &body)
        }
        None => check(&locked(&book), &headers, &body),
    }
}

/// The verdict on a token, in the order that the guide gives.
fn check(book: &Book, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
    let unauthorized = |code| refused(StatusCode::UNAUTHORIZED, code);
    let sent = headers.get("x-moltbook-app-key").and_then(|value| value.to_str().ok());
    match (&book.app_key, sent) {
        (Some(_), None) => return unauthorized("missing_app_key"),
        (Some(known), Some(sent)) if known != sent => return unauthorized("invalid_app_key"),
        _ => {}
    }
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    let token = asked["token"].as_str().unwrap_or_default();
    let decoded = jsonwebtoken::decode::<Value>(token, &DecodingKey::from_secret(SECRET), &validation);
    let Ok(claims) = decoded.map(|decoded| decoded.claims) else { return unauthorized("invalid_token") };
    if claims["exp"].as_i64().unwrap_or_default() <= book.now_s() {
        return unauthorized("identity_token_expired");
    }
    match (claims["aud"].as_str(), asked["audience"].as_str()) {
        (Some(_), None) => return unauthorized("audience_required"),
        (Some(made_for), Some(asked_for)) if made_for != asked_for => {
            return unauthorized("audience_mismatch");
        }
        _ => {}
    }
    let id = claims["sub"].as_str().unwrap_or_default();
    match book.agents.get(id) {
        None => refused(StatusCode::NOT_FOUND, "agent_not_found"),
        Some((_, true)) => refused(StatusCode::FORBIDDEN, "agent_deactivated"),
        Some((name, false)) => axum::Json(json!({"success": true, "valid": true, "agent": {
            "id": id, "name": name, "description": "An agent", "karma": 7, "avatar_url": null,
            "is_claimed": true, "created_at": "2026-01-31T00:00:00Z", "follower_count": 0,
            "following_count": 0, "stats": {"posts": 0, "comments": 0}, "owner": null,
        }}))
        .into_response(),
    }
}
