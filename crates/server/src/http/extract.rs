//! What handlers take out of a request: the caller, the JSON body, how long to wait.
//!
//! Invariant: a handler with a [`Caller`] can't be reached without a valid credential, and nobody passes the
//! rate limits unseen. Not here: scopes (`app`).

use crate::{
    app::{
        Error,
        caller::{self, Caller},
        request::Fields,
    },
    http::{
        address,
        body_memory::Bodies,
        error::Fail,
        listen::Peer,
        middleware::Exchange,
        rate::{RateLimits, Verdict},
    },
    state::App,
};
use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use http::{HeaderMap, header, request::Parts};
use std::{ops::Deref, sync::Arc, time::Duration};

/// What all handlers share. It is copied several times for each request, so it is one pointer.
#[derive(Clone)]
pub(crate) struct Shared(Arc<SharedParts>);

/// Its parts.
pub(crate) struct SharedParts {
    pub(crate) app: App,
    pub(crate) rates: RateLimits,
    pub(crate) bodies: Bodies,
    pub(crate) drain: crate::http::listen::Drain,
}

impl Shared {
    pub(crate) fn new(parts: SharedParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for Shared {
    type Target = SharedParts;

    fn deref(&self) -> &SharedParts {
        &self.0
    }
}

impl FromRef<Shared> for App {
    fn from_ref(shared: &Shared) -> Self {
        shared.app.clone()
    }
}

/// An authenticated caller.
pub(crate) struct Auth(pub(crate) Arc<Caller>);

/// A caller, if the request names one.
pub(crate) struct MaybeAuth(pub(crate) Option<Arc<Caller>>);

/// The bearer credential of a request.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Fail> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Fail(Error::InvalidToken { hint: None }))?;
    let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match token {
        Some((_, token)) if !token.trim().is_empty() => Ok(Some(token.trim())),
        _ => Err(Fail(Error::InvalidToken { hint: Some("send `Authorization: Bearer <token>`") })),
    }
}

fn note(parts: &Parts, verdict: Verdict) -> Result<(), Fail> {
    let refused = (!verdict.allowed).then_some(u64::from(verdict.retry_after_s));
    if let Some(exchange) = parts.extensions.get::<Arc<Exchange>>() {
        exchange.note_rate(verdict);
    }
    match refused {
        Some(retry_after_s) => Err(Fail(Error::RateLimited { retry_after_s })),
        None => Ok(()),
    }
}

/// Where the request came from, as far as proxies are trusted.
pub(crate) fn client_address(parts: &Parts, shared: &Shared) -> std::net::IpAddr {
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let peer = parts.extensions.get::<Peer>().map_or(local, |peer| peer.0);
    address::client_address(peer, &parts.headers, &shared.app.config.server.trusted_proxies)
}

impl FromRequestParts<Shared> for MaybeAuth {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fail> {
        let Some(token) = bearer(&parts.headers)? else {
            // Without a credential the address is all there is to count by.
            note(parts, shared.rates.check_address(client_address(parts, shared)))?;
            return Ok(Self(None));
        };
        let caller = authenticated(parts, shared, token).await?;
        note(parts, shared.rates.check_principal(caller.counted_as()))?;
        Ok(Self(Some(caller)))
    }
}

impl FromRequestParts<Shared> for Auth {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fail> {
        let token = bearer(&parts.headers)?.ok_or(Fail(Error::MissingCredentials))?;
        let caller = authenticated(parts, shared, token).await?;
        note(parts, shared.rates.check_principal(caller.counted_as()))?;
        Ok(Self(caller))
    }
}

/// The caller of a credential. One that is wrong counts against its address, which is all that is known of
/// its sender.
async fn authenticated(parts: &Parts, shared: &Shared, token: &str) -> Result<Arc<Caller>, Fail> {
    let authenticated = caller::authenticate(&shared.app, token).await;
    if let Err(Error::InvalidToken { .. }) = authenticated {
        note(parts, shared.rates.check_visitor(client_address(parts, shared)))?;
    }
    Ok(authenticated?)
}

/// The bearer credential itself, for asking again after a wait; empty without one.
pub(crate) struct Token(pub(crate) String);

impl FromRequestParts<Shared> for Token {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Fail> {
        Ok(Self(bearer(&parts.headers)?.unwrap_or_default().to_owned()))
    }
}

/// Counts a reading without a credential, such as of a signed link, against its address.
pub(crate) struct Visitor;

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fail> {
        note(parts, shared.rates.check_visitor(client_address(parts, shared)))?;
        Ok(Self)
    }
}

/// Counts a call that needs no credential against its address.
pub(crate) struct Stranger;

impl FromRequestParts<Shared> for Stranger {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fail> {
        note(parts, shared.rates.check_address(client_address(parts, shared)))?;
        Ok(Self)
    }
}

/// A JSON object as the body.
pub(crate) struct Json(pub(crate) Fields);

impl FromRequest<Shared> for Json {
    type Rejection = Fail;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Fail> {
        let limits = &shared.app.config.limits;
        let is_json = is_json(request.headers());
        let limit_bytes = match request.uri().path() {
            "/v1/generate" | "/v1/credits/estimate" | "/api/credits/estimate" | "/v1/models/route" => {
                limits.data_uri_body_bytes
            }
            _ => limits.body_bytes,
        };
        let patience = body_patience(limit_bytes);
        let read = shared.bodies.read(request.into_body(), limit_bytes);
        let (body, _memory) = tokio::time::timeout(patience, read)
            .await
            .map_err(|_| Fail(Error::field("", "the body did not arrive in time")))??;
        if !is_json && !body.is_empty() {
            return Err(Fail(Error::UnsupportedMediaType));
        }
        if body.len() > limits.body_bytes && !body.windows(5).any(|window| window == b"data:") {
            return Err(Fail(Error::PayloadTooLarge { limit_bytes: limits.body_bytes }));
        }
        Ok(Self(Fields::parse(&body, limits.json_depth)?))
    }
}

/// How long a body may take: ten seconds, and what a slow line needs for its size (64 KiB per second).
pub(crate) fn body_patience(limit_bytes: usize) -> Duration {
    Duration::from_secs(10 + (limit_bytes / (64 << 10)) as u64)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.len() > 5 && essence[essence.len() - 5..].eq_ignore_ascii_case("+json"))
}

/// How long the caller wants to wait for an end, from `?wait=` or `Prefer: wait=`.
pub(crate) struct Wait(pub(crate) Option<Duration>);

impl FromRequestParts<Shared> for Wait {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fail> {
        let query = parts.uri.query().unwrap_or("");
        let asked = match query.split('&').find_map(|pair| pair.strip_prefix("wait=")) {
            Some(text) => {
                let invalid = |_| Fail(Error::field("wait", "must be whole seconds, 1 to 60"));
                Some(text.parse::<u64>().map_err(invalid)?)
            }
            None => preferred(&parts.headers),
        };
        let most = u64::from(shared.app.config.limits.wait_seconds_max);
        Ok(Self(asked.map(|seconds| Duration::from_secs(seconds.clamp(1, most)))))
    }
}

/// `wait=N` among the preferences (RFC 7240); a malformed one is ignored, as the standard wants.
fn preferred(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(',')).map(str::trim);
    preferences.find_map(|preference| preference.strip_prefix("wait=")?.trim_matches('"').parse().ok())
}
