//! Stripe's events, as far as they matter here.
//!
//! Invariant: what kind an event is decides what its object is read as; an event of no kind that we know is
//! passed over, never refused. Not here: whether it is genuine (`signature`).
//!
//! Sources, read in November 2026: docs.stripe.com/api/events/object, /list (at most 20 kinds, 30 days) and
//! /types, docs.stripe.com/checkout/fulfillment, docs.stripe.com/webhooks (events come late, twice and in
//! any order); types of npm `stripe` 23.1.0.

use super::wire::{self, Checkout, Reversal};
use serde_json::Value;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    /// Such as `checkout.session.completed`.
    pub kind: String,
    pub created_s: i64,
    pub is_live: bool,
    /// It is about another account at Stripe, which the operator's one is a platform for.
    pub is_foreign: bool,
    pub news: News,
}

/// The kinds that tell something, but those that change nothing.
pub(super) const KINDS: [&str; 12] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.expired",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
];

/// What it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A page was paid, or will be, or nobody came.
    Checkout(Checkout),
    Reversal(Reversal),
    /// Something was refunded of this payment; which refunds there are has to be asked.
    Refunded {
        payment_id: Option<String>,
    },
    /// Nothing for us.
    Other,
}

impl Event {
    /// Reads the body of a message.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        Self::of(&serde_json::from_slice(body).ok()?)
    }

    /// An event as an object.
    pub(super) fn of(event: &Value) -> Option<Self> {
        if event["object"] != "event" {
            return None;
        }
        let kind = event["type"].as_str().filter(|kind| kind.len() <= 100)?.to_owned();
        let object = &event["data"]["object"];
        let news = match kind.as_str() {
            "checkout.session.completed"
            | "checkout.session.async_payment_succeeded"
            | "checkout.session.async_payment_failed"
            | "checkout.session.expired" => News::Checkout(wire::checkout(object)?),
            "charge.refunded" => News::Refunded { payment_id: wire::id(&object["payment_intent"]) },
            "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
                News::Reversal(wire::refund(object)?)
            }
            kind if kind.starts_with("charge.dispute.") => News::Reversal(wire::dispute(object)?),
            _ => News::Other,
        };
        Some(Self {
            id: wire::id(&event["id"])?,
            created_s: event["created"].as_i64().unwrap_or(0),
            is_live: event["livemode"].as_bool()?,
            is_foreign: event.get("account").is_some_and(|account| !account.is_null()),
            kind,
            news,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(kind: &str, object: &Value) -> Option<Event> {
        let event = json!({"id": "evt_1", "object": "event", "type": kind, "livemode": true,
            "data": {"object": object}});
        Event::parse(event.to_string().as_bytes())
    }

    #[test]
    fn kinds_decide_what_is_read() {
        let page = json!({"object": "checkout.session", "id": "cs_1", "livemode": true, "amount_total": 9,
            "currency": "usd", "payment_status": "paid", "status": "complete", "payment_intent": "pi_1",
            "metadata": {"topup_id": "top_1", "account_id": "acct_1"}});
        let Some(News::Checkout(read)) = parsed("checkout.session.completed", &page).map(|event| event.news)
        else {
            panic!("a page")
        };
        assert_eq!(
            (read.is_paid, read.amount_minor, read.payment_id.as_deref()),
            (true, Some(9), Some("pi_1"))
        );
        assert_eq!(parsed("charge.dispute.created", &page), None);
        assert_eq!(parsed("product.created", &page).unwrap().news, News::Other);
        let charge = json!({"object": "charge", "id": "ch_1", "payment_intent": "pi_1"});
        let payment_id = Some("pi_1".to_owned());
        assert_eq!(parsed("charge.refunded", &charge).unwrap().news, News::Refunded { payment_id });
        let refund =
            json!({"object": "refund", "id": "re_1", "amount": 5, "currency": "usd", "status": "pending"});
        assert!(matches!(parsed("refund.created", &refund).unwrap().news, News::Reversal(_)));
        // Refused, a refund of nothing would be sent again for days.
        for (amount, is_read) in [(0, true), (-1, false)] {
            let refund = json!({"object": "refund", "id": "re_1", "amount": amount, "currency": "usd"});
            assert_eq!(parsed("refund.created", &refund).is_some(), is_read, "{amount}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for body in ["", "[]", "{}", r#"{"object":"event"}"#, r#"{"object":"v2.core.event","id":"evt_1"}"#] {
            assert_eq!(Event::parse(body.as_bytes()), None, "{body}");
        }
        let foreign = json!({"id": "evt_1", "object": "event", "type": "x", "livemode": false,
            "account": "acct_9",
            "data": {"object": {}}});
        let foreign = Event::parse(foreign.to_string().as_bytes()).unwrap();
        assert!(foreign.is_foreign && !foreign.is_live);
    }
}
