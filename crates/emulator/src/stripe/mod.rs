//! Stripe as far as a shop of credits needs it: pages of payment, refunds, disputes, and what it tells.
//!
//! Invariant: it takes what Stripe's documentation names and refuses the rest; a key of idempotency gives the
//! first answer again and refuses another body; money goes back once at most. Not here: anything of the
//! gateway.
//!
//! Sources, read in November 2026: docs.stripe.com/api/checkout/sessions, /api/refunds, /api/disputes,
//! /api/events, /api/errors and /api/idempotent_requests; types of npm `stripe` 23.1.0, which parses what
//! is answered (`scripts/peers`).

mod api;
mod message;
mod page;

pub use message::{event, sign};

use crate::{Seen, moment, serve};
use axum::Router;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Where a message goes when somebody pays on the page.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Plain HTTP on loopback.
    pub url: String,
    pub secret: String,
}

/// A running stand-in. It stops when this is dropped.
#[derive(Debug)]
pub struct StripeEmulator {
    address: SocketAddr,
    shop: Shop,
    _stop: DropGuard,
}

/// What the stand-in knows; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Shop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    key: String,
    origin: String,
    hook: Option<Hook>,
    books: Mutex<Books>,
}

/// Objects by their ids, in the order they were made.
#[derive(Debug, Default)]
pub(crate) struct Books {
    number: u64,
    pub(crate) pages: Vec<Value>,
    pub(crate) refunds: Vec<Value>,
    pub(crate) disputes: Vec<Value>,
    /// What was told, or would have been.
    pub(crate) events: Vec<Value>,
    /// Body and answer of each key of idempotency.
    pub(crate) keys: HashMap<String, (String, Value)>,
    pub(crate) seen: Vec<Seen>,
    /// Calls whose answer is lost, and calls that fail with a status.
    pub(crate) lost: u32,
    pub(crate) failing: Option<u16>,
}

impl Books {
    fn id(&mut self, prefix: &str) -> String {
        self.number += 1;
        format!("{prefix}_test_{:06}", self.number)
    }
}

impl Shop {
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Books) -> T) -> T {
        work(&mut self.0.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn key(&self) -> &str {
        &self.0.key
    }

    pub(crate) fn origin(&self) -> &str {
        &self.0.origin
    }

    pub(crate) fn hook(&self) -> Option<&Hook> {
        self.0.hook.as_ref()
    }

    fn is_live(&self) -> bool {
        self.0.key.starts_with("sk_live_")
    }

    /// A new page with what its form asked for.
    pub(crate) fn new_page(&self, books: &mut Books, fields: &HashMap<String, String>) -> Value {
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let id = books.id("cs");
        let amount: i64 = field("line_items[0][price_data][unit_amount]").parse().unwrap_or_default();
        let page = json!({
            "id": id, "object": "checkout.session", "livemode": self.is_live(), "mode": "payment",
            "status": "open", "payment_status": "unpaid", "payment_intent": null,
            "amount_subtotal": amount, "amount_total": amount,
            "currency": field("line_items[0][price_data][currency]"),
            "client_reference_id": field("client_reference_id"),
            "metadata": {"topup_id": field("metadata[topup_id]"),
                "account_id": field("metadata[account_id]"), "owner_id": field("metadata[owner_id]"),
                "gateway": field("metadata[gateway]"), "credits": field("metadata[credits]")},
            "success_url": field("success_url"), "cancel_url": field("cancel_url"),
            "created": moment::now_ms() / 1000, "expires_at": moment::now_ms() / 1000 + 86_400,
            "url": format!("{}/c/pay/{id}", self.origin()),
        });
        books.pages.push(page.clone());
        page
    }
}

impl StripeEmulator {
    /// Starts on a free port of loopback, for one secret key.
    ///
    /// # Errors
    /// The port can't be had.
    pub async fn start(key: &str) -> io::Result<Self> {
        Self::listen(key, None).await
    }

    /// The same, telling somebody what is paid on its pages.
    ///
    /// # Errors
    /// The port can't be had.
    pub async fn listen(key: &str, hook: Option<Hook>) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let origin = format!("http://{address}");
        let inner = Inner { key: key.to_owned(), origin, hook, books: Mutex::default() };
        let shop = Shop(Arc::new(inner));
        let router = Router::new().merge(api::routes()).merge(page::routes()).with_state(shop.clone());
        let stop = CancellationToken::new();
        serve::start(listener, router, None, stop.clone())?;
        Ok(Self { address, shop, _stop: stop.drop_guard() })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where both its API and its pages are.
    #[must_use]
    pub fn origin(&self) -> String {
        self.shop.origin().to_owned()
    }

    /// Every call so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shop.with(|books| books.seen.clone())
    }

    /// All pages, oldest first.
    #[must_use]
    pub fn pages(&self) -> Vec<Value> {
        self.shop.with(|books| books.pages.clone())
    }

    /// The answers of the next calls get lost after the calls were done.
    pub fn lose_answers(&self, count: u32) {
        self.shop.with(|books| books.lost = count);
    }

    /// All calls fail with a status from now on, or work again.
    pub fn fail(&self, status: Option<u16>) {
        self.shop.with(|books| books.failing = status);
    }

    /// Puts an event into the list of what was told.
    pub fn happened(&self, event: &Value) {
        self.shop.with(|books| books.events.push(event.clone()));
    }

    /// Somebody pays; the page as it is now, or null if there is none that is open.
    #[must_use]
    pub fn pay(&self, page: &str) -> Value {
        page::pay(&self.shop, page)
    }

    /// Nobody paid in time.
    #[must_use]
    pub fn expire(&self, page: &str) -> Value {
        self.change(page, |page| {
            page["status"] = json!("expired");
            page["url"] = Value::Null;
        })
    }

    /// Changes a page at will.
    #[must_use]
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Value)) -> Value {
        self.shop.with(|books| {
            let Some(page) = books.pages.iter_mut().find(|page| page["id"] == id) else { return Value::Null };
            change(page);
            page.clone()
        })
    }

    /// Gives back some of a payment.
    #[must_use]
    pub fn refund(&self, payment: &str, amount: i64, status: &str) -> Value {
        self.shop.with(|books| {
            let refund = json!({"id": books.id("re"), "object": "refund", "amount": amount, "status": status,
                "currency": currency(books, payment), "payment_intent": payment,
                "charge": payment.replacen("pi_", "ch_", 1), "metadata": {}});
            books.refunds.push(refund.clone());
            refund
        })
    }

    /// A refund or dispute takes another state; as it is now.
    #[must_use]
    pub fn set_status(&self, id: &str, status: &str) -> Value {
        self.shop.with(|books| {
            let mut all = books.refunds.iter_mut().chain(&mut books.disputes);
            let Some(object) = all.find(|object| object["id"] == id) else { return Value::Null };
            object["status"] = json!(status);
            object.clone()
        })
    }

    /// Whoever paid goes to their bank.
    #[must_use]
    pub fn dispute(&self, payment: &str, amount: i64, status: &str) -> Value {
        self.shop.with(|books| {
            let dispute = json!({"id": books.id("dp"), "object": "dispute", "amount": amount,
                "status": status, "currency": currency(books, payment), "payment_intent": payment,
                "reason": "fraudulent",
                "livemode": self.shop.is_live(), "charge": payment.replacen("pi_", "ch_", 1)});
            books.disputes.push(dispute.clone());
            dispute
        })
    }

    /// The charge of a payment, as `charge.refunded` has it: without its refunds.
    #[must_use]
    pub fn charge(&self, payment: &str) -> Value {
        self.shop.with(|books| {
            let refunds = books.refunds.iter().filter(|refund| refund["payment_intent"] == payment);
            let refunded: i64 = refunds.filter_map(|refund| refund["amount"].as_i64()).sum();
            json!({"id": payment.replacen("pi_", "ch_", 1), "object": "charge", "payment_intent": payment,
                "amount_refunded": refunded, "currency": currency(books, payment),
                "livemode": self.shop.is_live()})
        })
    }
}

fn currency(books: &Books, payment: &str) -> Value {
    let page = books.pages.iter().find(|page| page["payment_intent"] == payment);
    page.map_or_else(|| json!("usd"), |page| page["currency"].clone())
}
