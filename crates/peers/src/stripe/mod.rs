//! Stripe: pages where somebody pays, and what it tells of payments.
//!
//! Invariant: the version of the API is one constant, a page is made once per key of idempotency, and the
//! secret key goes to the base URL alone. Not here: what a payment means for an account.
//!
//! Sources, read in November 2026: docs.stripe.com/api/checkout/sessions/create and /object,
//! docs.stripe.com/api/idempotent_requests, docs.stripe.com/api/versioning, docs.stripe.com/keys, and the
//! types of npm `stripe` 23.1.0, whose version of the API is ours.

mod event;
mod signature;
mod wire;

pub use event::{Event, News};
pub use signature::{TOLERANCE_S, Unsigned, verify};
pub use wire::{Checkout, Reversal, ReversalKind, Standing};

use bytes::BytesMut;
use reqwest::{
    Client, Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde_json::Value;
use std::{fmt, sync::Arc, time::Duration};
use url::{Url, form_urlencoded};

/// The version of the API that every call names.
pub const API_VERSION: &str = "2026-10-28.endive";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Somebody waits for it before a page.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// A dispute's evidence may be long, and there are several in a list.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Refunds of a payment that are asked for at once, and how often.
const PAGE: usize = 100;
const PAGES_MAX: usize = 20;
/// Events that are asked for at once.
const EVENTS: usize = 50;
const USER_AGENT: &str = concat!("rynjer/", env!("CARGO_PKG_VERSION"));

/// A key that can't be printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the text, white space around it aside.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Why a call gave no answer of use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StripeError {
    /// It may work in a moment.
    #[error("Stripe is not available: {0}")]
    Away(String),
    /// It will not work until the operator does something.
    #[error("Stripe refused ({status}): {message}")]
    Refused { status: u16, message: String },
}

/// A page to be made.
#[derive(Debug, Clone)]
pub struct NewCheckout<'a> {
    /// Also the key of idempotency.
    pub topup_id: &'a str,
    pub account_id: &'a str,
    pub owner_id: &'a str,
    /// Where the gateway is: another one on the same account leaves its pages alone.
    pub gateway: &'a str,
    pub credits: i64,
    /// What is bought, in words.
    pub name: String,
    pub amount_minor: i64,
    /// Three letters in lower case.
    pub currency: &'a str,
    /// Where the browser goes after the payment, and where it goes back without one.
    pub success_url: String,
    pub cancel_url: String,
}

/// Some of what was told, newest first.
#[derive(Debug, Clone)]
pub struct EventPage {
    pub events: Vec<Event>,
    /// What the next page begins after.
    pub last_id: Option<String>,
    pub has_more: bool,
}

/// The client.
#[derive(Debug, Clone)]
pub struct Stripe(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    base_url: Url,
    key: Secret,
}

impl Stripe {
    /// The client of one account at Stripe.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(base_url: Url, key: Secret) -> Result<Self, StripeError> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .build();
        let client = client.map_err(|_| StripeError::Away("no client can be made".to_owned()))?;
        Ok(Self(Arc::new(Inner { client, base_url, key })))
    }

    /// Whether the key moves real money. Secret and restricted keys of test mode say so in their names.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let key = self.0.key.expose();
        !(key.starts_with("sk_test_") || key.starts_with("rk_test_"))
    }

    /// Makes a page where somebody pays; asked twice for the same purchase, it is the same page.
    ///
    /// # Errors
    /// See [`StripeError`]; where it is away, the page may have been made all the same.
    pub async fn create_checkout(&self, new: &NewCheckout<'_>) -> Result<Checkout, StripeError> {
        let body = wire::checkout_fields(new);
        let url = self.url(&["v1", "checkout", "sessions"]);
        let mut tries = 0;
        let answer = loop {
            match self.call(Method::POST, url.clone(), Some((&body, new.topup_id))).await {
                // A lost answer is asked for again under its key; one with an error would come again as it
                // is.
                Err(Lost::NoAnswer(_)) if tries == 0 => tries += 1,
                other => break other?,
            }
        };
        wire::checkout(&answer).ok_or_else(unreadable)
    }

    /// A page by its id.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn checkout(&self, id: &str) -> Result<Checkout, StripeError> {
        let answer = self.call(Method::GET, self.url(&["v1", "checkout", "sessions", id]), None).await?;
        wire::checkout(&answer).ok_or_else(unreadable)
    }

    /// The page by which a payment was made, if one was.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn checkout_of_payment(&self, payment_id: &str) -> Result<Option<Checkout>, StripeError> {
        let mut url = self.url(&["v1", "checkout", "sessions"]);
        url.query_pairs_mut().append_pair("payment_intent", payment_id).append_pair("limit", "1");
        let answer = self.call(Method::GET, url, None).await?;
        let rows = answer["data"].as_array().ok_or_else(unreadable)?;
        rows.first().map(|row| wire::checkout(row).ok_or_else(unreadable)).transpose()
    }

    /// All refunds of a payment.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn refunds_of_payment(&self, payment_id: &str) -> Result<Vec<Reversal>, StripeError> {
        let mut refunds: Vec<Reversal> = Vec::new();
        for _ in 0..PAGES_MAX {
            let mut url = self.url(&["v1", "refunds"]);
            url.query_pairs_mut()
                .append_pair("payment_intent", payment_id)
                .append_pair("limit", &PAGE.to_string());
            if let Some(last) = refunds.last() {
                url.query_pairs_mut().append_pair("starting_after", &last.id);
            }
            let answer = self.call(Method::GET, url, None).await?;
            let rows = answer["data"].as_array().ok_or_else(unreadable)?;
            for row in rows {
                refunds.push(wire::refund(row).ok_or_else(unreadable)?);
            }
            if answer["has_more"] != Value::Bool(true) || rows.is_empty() {
                break;
            }
        }
        Ok(refunds)
    }

    /// Events of the kinds that matter here, from a time on; what can't be read is left out.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn events_since(&self, created_s: i64, after: Option<&str>) -> Result<EventPage, StripeError> {
        let mut url = self.url(&["v1", "events"]);
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("created[gte]", &created_s.to_string());
            query.append_pair("limit", &EVENTS.to_string());
            for (at, kind) in event::KINDS.iter().enumerate() {
                query.append_pair(&format!("types[{at}]"), kind);
            }
            if let Some(after) = after {
                query.append_pair("starting_after", after);
            }
        }
        let answer = self.call(Method::GET, url, None).await?;
        let rows = answer["data"].as_array().ok_or_else(unreadable)?;
        Ok(EventPage {
            events: rows.iter().filter_map(Event::of).collect(),
            last_id: rows.last().and_then(|row| wire::id(&row["id"])),
            has_more: answer["has_more"] == Value::Bool(true),
        })
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.0.base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// One call; with a body and its key, or none.
    async fn call(&self, method: Method, url: Url, body: Option<(&str, &str)>) -> Result<Value, Lost> {
        let key = self.0.key.expose();
        let unusable =
            |_| StripeError::Refused { status: 0, message: "the key is no header's text".to_owned() };
        let mut bearer = HeaderValue::try_from(format!("Bearer {key}")).map_err(unusable)?;
        bearer.set_sensitive(true);
        let mut request = self
            .0
            .client
            .request(method, url)
            .header(AUTHORIZATION, bearer)
            .header("stripe-version", API_VERSION);
        if let Some((body, idempotency_key)) = body {
            request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header("idempotency-key", idempotency_key)
                .body(body.to_owned());
        }
        let mut response = request.send().await.map_err(|error| Lost::of(&error))?;
        let status = response.status().as_u16();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Lost::of(&error))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(StripeError::Away("its answer is too long".to_owned()).into());
            }
            bytes.extend_from_slice(&chunk);
        }
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let said = answer["error"]["message"].as_str().unwrap_or("no message");
        let message: String =
            said.replace(key, "***").chars().filter(|letter| !letter.is_control()).take(300).collect();
        // 409 is another call with the same key at the same time.
        let passing = matches!(status, 409 | 429 | 500..);
        let error =
            if passing { StripeError::Away(message) } else { StripeError::Refused { status, message } };
        Err(error.into())
    }
}

/// Why a call failed, and whether its answer may only be lost.
enum Lost {
    NoAnswer(StripeError),
    Answered(StripeError),
}

impl Lost {
    /// Never with the URL: it holds ids.
    fn of(error: &reqwest::Error) -> Self {
        let text = match (error.is_connect(), error.is_timeout()) {
            (true, _) => "it can't be reached",
            (false, true) => "it did not answer in time",
            (false, false) => "the connection broke",
        };
        Self::NoAnswer(StripeError::Away(text.to_owned()))
    }
}

impl From<StripeError> for Lost {
    fn from(error: StripeError) -> Self {
        Self::Answered(error)
    }
}

impl From<Lost> for StripeError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::NoAnswer(error) | Lost::Answered(error) => error,
        }
    }
}

fn unreadable() -> StripeError {
    StripeError::Away("its answer can't be read".to_owned())
}

/// Names and values as a web form sends them; Stripe writes nested fields with brackets.
fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
