//! The calls of Stripe's API that a shop of credits makes.
//!
//! Invariant: no call without the key, the version and the form's type; every call is kept as it came. Not
//! here: what is told (`message`).

use super::{Books, Shop};
use crate::{Seen, serve::CloseNow};
use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Path, Query, Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use std::collections::HashMap;

const BODY_BYTES_MAX: usize = 1 << 20;

/// Every field that a page takes here.
const FIELDS: [&str; 16] = [
    "mode",
    "line_items[0][quantity]",
    "line_items[0][price_data][currency]",
    "line_items[0][price_data][unit_amount]",
    "line_items[0][price_data][product_data][name]",
    "client_reference_id",
    "metadata[topup_id]",
    "metadata[account_id]",
    "metadata[owner_id]",
    "metadata[gateway]",
    "metadata[credits]",
    "payment_intent_data[metadata][topup_id]",
    "payment_intent_data[metadata][account_id]",
    "adaptive_pricing[enabled]",
    "success_url",
    "cancel_url",
];

type Fields = HashMap<String, String>;

pub(super) fn routes() -> Router<Shop> {
    Router::new()
        .route("/v1/checkout/sessions", get(list_pages).post(make_page))
        .route("/v1/checkout/sessions/{id}", get(get_page))
        .route("/v1/refunds", get(list_refunds))
        .route("/v1/events", get(list_events))
}

/// An error as Stripe writes it.
struct Wrong(u16, Value);

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(json!({ "error": self.1 }))).into_response()
    }
}

fn wrong(status: u16, kind: &str, message: &str) -> Wrong {
    Wrong(status, json!({"type": kind, "message": message}))
}

fn invalid(message: &str) -> Wrong {
    wrong(400, "invalid_request_error", message)
}

/// Keeps a call and checks what all calls need.
async fn read(shop: &Shop, request: Request) -> Result<Seen, Wrong> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| invalid("The body is too large"))?;
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let seen = Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body,
    };
    let failing = shop.with(|books| {
        books.seen.push(seen.clone());
        books.failing
    });
    if let Some(status) = failing {
        return Err(wrong(status, "api_error", "Out of order on command"));
    }
    if seen.header("authorization") != Some(&format!("Bearer {}", shop.key())) {
        let message = format!("Invalid API Key provided: {}", seen.header("authorization").unwrap_or("none"));
        return Err(wrong(401, "invalid_request_error", &message));
    }
    // A date and a name: calls without it get the account's own version, which may be any.
    let version = seen.header("stripe-version").unwrap_or_default();
    let dated = version.len() > 11 && version.as_bytes().get(10) == Some(&b'.') && version.starts_with("20");
    if dated { Ok(seen) } else { Err(invalid("Name the version of the API")) }
}

/// Fields of a form, each once.
fn fields(text: &str) -> Result<Fields, Wrong> {
    let uri: Uri = format!("/?{text}").parse().map_err(|_| invalid("The body is no form"))?;
    let pairs =
        Query::<Vec<(String, String)>>::try_from_uri(&uri).map_err(|_| invalid("The body is no form"))?;
    let mut fields = Fields::new();
    for (name, value) in pairs.0 {
        if fields.insert(name.clone(), value).is_some() {
            return Err(invalid(&format!("Repeated parameter: {name}")));
        }
    }
    Ok(fields)
}

async fn make_page(State(shop): State<Shop>, request: Request) -> Result<Response, Wrong> {
    let seen = read(&shop, request).await?;
    if seen.header("content-type") != Some("application/x-www-form-urlencoded") {
        return Err(invalid("The body must be a form"));
    }
    let asked = fields(&seen.text())?;
    if let Some(name) = asked.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(invalid(&format!("Received unknown parameter: {name}")));
    }
    let field = |name: &str| asked.get(name).map_or("", String::as_str);
    let amount: i64 = field("line_items[0][price_data][unit_amount]").parse().unwrap_or_default();
    let currency = field("line_items[0][price_data][currency]");
    let whole = field("mode") == "payment"
        && field("line_items[0][quantity]") == "1"
        && amount > 0
        && currency.len() == 3
        && !field("line_items[0][price_data][product_data][name]").is_empty()
        && field("client_reference_id").len() <= 200
        && ["success_url", "cancel_url"].iter().all(|name| field(name).starts_with("http"));
    if !whole {
        return Err(invalid("Missing or wrong parameters"));
    }
    let key = seen.header("idempotency-key").filter(|key| (1..=255).contains(&key.len())).map(str::to_owned);
    let answer = shop.with(|books| once(books, key, &seen.text(), |books| shop.new_page(books, &asked)))?;
    Ok(answered(&shop, answer))
}

/// The first answer of a key, again and again.
fn once(
    books: &mut Books,
    key: Option<String>,
    body: &str,
    make: impl FnOnce(&mut Books) -> Value,
) -> Result<Value, Wrong> {
    let Some(key) = key else { return Ok(make(books)) };
    match books.keys.get(&key) {
        Some((known, answer)) if known == body => Ok(answer.clone()),
        Some(_) => {
            let message = "Keys for idempotent requests can only be used with the same parameters";
            Err(wrong(400, "idempotency_error", message))
        }
        None => {
            let answer = make(books);
            books.keys.insert(key, (body.to_owned(), answer.clone()));
            Ok(answer)
        }
    }
}

/// An answer, unless it is to be lost.
fn answered(shop: &Shop, answer: Value) -> Response {
    let lost = shop.with(|books| {
        let lost = books.lost > 0;
        books.lost = books.lost.saturating_sub(1);
        lost
    });
    let mut response = Json(answer).into_response();
    if lost {
        response.extensions_mut().insert(CloseNow);
    }
    response
}

async fn get_page(
    State(shop): State<Shop>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Wrong> {
    read(&shop, request).await?;
    let page = shop.with(|books| books.pages.iter().find(|page| page["id"] == *id).cloned());
    let page = page.ok_or_else(|| wrong(404, "invalid_request_error", "No such checkout.session"))?;
    Ok(answered(&shop, page))
}

/// Objects of a payment.
fn list(seen: &Seen, objects: &[Value]) -> Result<Value, Wrong> {
    let asked = fields(&seen.query)?;
    let payment = asked.get("payment_intent").ok_or_else(|| invalid("Name the payment_intent"))?;
    page_of(seen, &asked, objects, |object| object["payment_intent"] == *payment.as_str())
}

/// What is asked of a list: the size, and the last object of the page before.
fn page_of(
    seen: &Seen,
    asked: &Fields,
    objects: &[Value],
    wanted: impl Fn(&Value) -> bool,
) -> Result<Value, Wrong> {
    let limit: usize = asked.get("limit").map_or(Ok(10), |text| text.parse()).unwrap_or(0);
    if !(1..=100).contains(&limit) {
        return Err(invalid("Invalid limit"));
    }
    // Newest first.
    let after = asked.get("starting_after");
    let mut rest: Vec<&Value> = objects.iter().rev().filter(|object| wanted(object)).collect();
    if let Some(after) = after {
        let at = rest.iter().position(|object| object["id"] == *after.as_str());
        rest.drain(..at.map_or(rest.len(), |at| at + 1));
    }
    let has_more = rest.len() > limit;
    rest.truncate(limit);
    Ok(json!({"object": "list", "url": seen.path, "has_more": has_more, "data": rest}))
}

async fn list_pages(State(shop): State<Shop>, request: Request) -> Result<Response, Wrong> {
    let seen = read(&shop, request).await?;
    let answer = shop.with(|books| list(&seen, &books.pages))?;
    Ok(answered(&shop, answer))
}

async fn list_refunds(State(shop): State<Shop>, request: Request) -> Result<Response, Wrong> {
    let seen = read(&shop, request).await?;
    let answer = shop.with(|books| list(&seen, &books.refunds))?;
    Ok(answered(&shop, answer))
}

async fn list_events(State(shop): State<Shop>, request: Request) -> Result<Response, Wrong> {
    let seen = read(&shop, request).await?;
    let asked = fields(&seen.query)?;
    let since_s: i64 = asked.get("created[gte]").map_or(Ok(0), |text| text.parse()).unwrap_or(i64::MAX);
    let kinds: Vec<&String> =
        asked.iter().filter(|(name, _)| name.starts_with("types[")).map(|(_, kind)| kind).collect();
    if kinds.len() > 20 {
        return Err(invalid("At most 20 types"));
    }
    let wanted = |event: &Value| {
        let is_kind = kinds.is_empty() || kinds.iter().any(|kind| event["type"] == *kind.as_str());
        is_kind && event["created"].as_i64().is_some_and(|at_s| at_s >= since_s)
    };
    let answer = shop.with(|books| page_of(&seen, &asked, &books.events, wanted))?;
    Ok(answered(&shop, answer))
}
