//! A stand-in of an OpenID Connect provider: discovery, keys, the code flow with PKCE.
//!
//! Invariant: it refuses what a real one refuses (another client, redirect, code or verifier), and tells lies
//! only when a test asks for one. Not here: a page to sign in at; whoever comes is whom the test named.

use crate::{moment, serve};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::Redirect,
    routing::{get, post},
};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The client that the stand-in knows.
pub const OIDC_CLIENT: (&str, &str) = ("gateway", "client-s3cret");

/// Who signs in next, and what the token says wrongly.
#[derive(Debug, Clone, Default)]
pub struct OidcPerson {
    pub subject: String,
    pub email: String,
    pub email_verified: bool,
    /// A claim of the ID token in the place of the right one, such as `nonce`.
    pub lie: Option<(String, Value)>,
    /// Sign with a key that is not published.
    pub foreign_key: bool,
}

struct Grant {
    challenge: String,
    nonce: String,
    redirect: String,
    person: OidcPerson,
}

#[derive(Default)]
struct Inner {
    issuer: String,
    person: OidcPerson,
    grants: HashMap<String, Grant>,
    given: u32,
}

/// An OpenID Connect provider on loopback.
#[derive(Clone)]
pub struct OidcProvider {
    inner: Arc<Mutex<Inner>>,
    /// Stops the server with the last copy.
    _stop: Arc<DropGuard>,
}

type Asked = HashMap<String, String>;

impl OidcProvider {
    /// Listens on a free port.
    ///
    /// # Errors
    /// No port.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let issuer = format!("http://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let inner = Arc::new(Mutex::new(Inner { issuer, ..Inner::default() }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(Arc::clone(&inner));
        serve::start(listener, router, None, stop.clone())?;
        Ok(Self { inner, _stop: Arc::new(stop.drop_guard()) })
    }

    #[must_use]
    pub fn issuer(&self) -> String {
        locked(&self.inner).issuer.clone()
    }

    /// Whoever comes from now on is this person.
    pub fn set_person(&self, person: OidcPerson) {
        locked(&self.inner).person = person;
    }
}

fn locked(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(foreign: bool) -> SigningKey {
    SigningKey::from_bytes(&[if foreign { 9 } else { 7 }; 32])
}

async fn discovery(State(provider): State<Arc<Mutex<Inner>>>) -> Json<Value> {
    let issuer = locked(&provider).issuer.clone();
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "code_challenge_methods_supported": ["S256"],
    }))
}

async fn keys() -> Json<Value> {
    let public = BASE64URL_NOPAD.encode(key(false).verifying_key().as_bytes());
    let key = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "1", "alg": "EdDSA", "x": public});
    Json(json!({"keys": [key]}))
}

async fn authorize(
    State(provider): State<Arc<Mutex<Inner>>>,
    Query(asked): Query<Asked>,
) -> Result<Redirect, StatusCode> {
    let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let scopes = of("scope");
    let fine = of("client_id") == OIDC_CLIENT.0
        && of("response_type") == "code"
        && of("code_challenge_method") == "S256"
        && scopes.split(' ').any(|scope| scope == "openid");
    if !fine {
        return Err(StatusCode::BAD_REQUEST);
    }
    let mut inner = locked(&provider);
    inner.given += 1;
    let (code, redirect) = (format!("code-{}", inner.given), of("redirect_uri"));
    let person = inner.person.clone();
    let grant =
        Grant { challenge: of("code_challenge"), nonce: of("nonce"), redirect: redirect.clone(), person };
    inner.grants.insert(code.clone(), grant);
    Ok(Redirect::to(&format!("{redirect}?code={code}&state={}", of("state"))))
}

async fn token(
    State(provider): State<Arc<Mutex<Inner>>>,
    headers: axum::http::HeaderMap,
    body: String,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let refused = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({"error": error})));
    // A form is written as a query is.
    let asked = format!("/?{body}").parse().ok().and_then(|uri| Query::<Asked>::try_from_uri(&uri).ok());
    let Query(asked) = asked.ok_or_else(|| refused("invalid_request"))?;
    let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let expected = data_encoding::BASE64.encode(format!("{}:{}", OIDC_CLIENT.0, OIDC_CLIENT.1).as_bytes());
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if sent != format!("Basic {expected}") {
        return Err(refused("invalid_client"));
    }
    let (issuer, grant) = {
        let mut inner = locked(&provider);
        (inner.issuer.clone(), inner.grants.remove(&of("code")))
    };
    let grant = grant.ok_or_else(|| refused("invalid_grant"))?;
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(of("code_verifier").as_bytes()));
    if challenge != grant.challenge || of("redirect_uri") != grant.redirect {
        return Err(refused("invalid_grant"));
    }
    let id_token = id_token(&issuer, &grant);
    Ok(Json(
        json!({"access_token": "opaque", "token_type": "Bearer", "expires_in": 60, "id_token": id_token}),
    ))
}

fn id_token(issuer: &str, grant: &Grant) -> String {
    let now_s = moment::now_ms() / 1000;
    let mut claims = json!({
        "iss": issuer, "sub": grant.person.subject, "aud": OIDC_CLIENT.0, "iat": now_s, "exp": now_s + 300,
        "auth_time": now_s,
        "nonce": grant.nonce, "email": grant.person.email, "email_verified": grant.person.email_verified,
    });
    if let Some((name, value)) = &grant.person.lie {
        claims[name.as_str()] = value.clone();
    }
    let head =
        BASE64URL_NOPAD.encode(json!({"alg": "EdDSA", "kid": "1", "typ": "JWT"}).to_string().as_bytes());
    let signed = format!("{head}.{}", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()));
    let signature = key(grant.person.foreign_key).sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature.to_bytes()))
}
