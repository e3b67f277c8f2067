//! Stripe's objects: what is sent to make a page, and what is read of pages, refunds and disputes.
//!
//! Invariant: only ids of plain letters leave this file, and a state that is not known counts as money that
//! went back. Not here: calls.
//!
//! Sources, read in November 2026: docs.stripe.com/api/checkout/sessions/object,
//! docs.stripe.com/api/refunds/object and docs.stripe.com/refunds#failed-refunds,
//! docs.stripe.com/api/disputes/object and docs.stripe.com/disputes/how-disputes-work; types of npm
//! `stripe` 23.1.0.

use super::{NewCheckout, form};
use serde_json::Value;

/// A page where somebody pays or paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    pub id: String,
    /// Where it is, while it is open.
    pub url: Option<String>,
    pub payment_id: Option<String>,
    /// The money came; a page may be complete before it does.
    pub is_paid: bool,
    pub is_expired: bool,
    pub amount_minor: Option<i64>,
    pub currency: Option<String>,
    pub is_live: bool,
    /// What we wrote on it.
    pub topup_id: Option<String>,
    pub account_id: Option<String>,
    pub owner_id: Option<String>,
    pub gateway: Option<String>,
    pub credits: Option<i64>,
    pub created_s: Option<i64>,
}

/// Why money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReversalKind {
    Refund,
    Dispute,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A bank only asks.
    Inquiry,
    /// The money is away, or about to be.
    Gone,
    /// A dispute was lost.
    Lost,
    /// The refund failed, or the dispute was won.
    Returned,
}

/// A refund or dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversal {
    pub id: String,
    pub kind: ReversalKind,
    pub payment_id: Option<String>,
    pub amount_minor: i64,
    pub currency: String,
    pub standing: Standing,
}

/// The body that makes a page. Prices in other currencies than ours are off, so that what is paid is what was
/// asked for.
pub(super) fn checkout_fields(new: &NewCheckout<'_>) -> String {
    form(&[
        ("mode", "payment"),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", new.currency),
        ("line_items[0][price_data][unit_amount]", &new.amount_minor.to_string()),
        ("line_items[0][price_data][product_data][name]", &new.name),
        ("client_reference_id", new.topup_id),
        ("metadata[topup_id]", new.topup_id),
        ("metadata[account_id]", new.account_id),
        // What a purchase that a backup has lost is made of again.
        ("metadata[owner_id]", new.owner_id),
        ("metadata[gateway]", new.gateway),
        ("metadata[credits]", &new.credits.to_string()),
        ("payment_intent_data[metadata][topup_id]", new.topup_id),
        ("payment_intent_data[metadata][account_id]", new.account_id),
        ("adaptive_pricing[enabled]", "false"),
        ("success_url", &new.success_url),
        ("cancel_url", &new.cancel_url),
    ])
}

/// An id as Stripe makes them: at most 255 letters, digits and underscores.
pub(super) fn id(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (plain && (1..=255).contains(&text.len())).then(|| text.to_owned())
}

/// The id of an object that may stand there whole.
fn id_or_object(value: &Value) -> Option<String> {
    id(value).or_else(|| id(&value["id"]))
}

/// A page.
pub(super) fn checkout(value: &Value) -> Option<Checkout> {
    if value["object"] != "checkout.session" {
        return None;
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Checkout {
        id: id(&value["id"])?,
        url: text(&value["url"]),
        payment_id: id_or_object(&value["payment_intent"]),
        is_paid: value["payment_status"] == "paid",
        is_expired: value["status"] == "expired",
        amount_minor: value["amount_total"].as_i64(),
        currency: text(&value["currency"]),
        is_live: value["livemode"].as_bool()?,
        topup_id: text(&value["metadata"]["topup_id"]),
        account_id: text(&value["metadata"]["account_id"]),
        owner_id: text(&value["metadata"]["owner_id"]),
        gateway: text(&value["metadata"]["gateway"]),
        credits: value["metadata"]["credits"].as_str().and_then(|text| text.parse().ok()),
        created_s: value["created"].as_i64(),
    })
}

/// A refund. One that is pending or waits for somebody counts: the money is on its way.
pub(super) fn refund(value: &Value) -> Option<Reversal> {
    let standing = match value["status"].as_str() {
        Some("failed" | "canceled") => Standing::Returned,
        _ => Standing::Gone,
    };
    reversal(value, "refund", ReversalKind::Refund, standing)
}

/// A dispute. An early question of a bank moves no money.
pub(super) fn dispute(value: &Value) -> Option<Reversal> {
    let standing = match value["status"].as_str() {
        Some("warning_needs_response" | "warning_under_review") => Standing::Inquiry,
        Some("won" | "warning_closed" | "prevented") => Standing::Returned,
        Some("lost") => Standing::Lost,
        _ => Standing::Gone,
    };
    reversal(value, "dispute", ReversalKind::Dispute, standing)
}

fn reversal(value: &Value, object: &str, kind: ReversalKind, standing: Standing) -> Option<Reversal> {
    if value["object"] != object {
        return None;
    }
    Some(Reversal {
        id: id(&value["id"])?,
        kind,
        payment_id: id_or_object(&value["payment_intent"]),
        amount_minor: value["amount"].as_i64().filter(|amount| *amount >= 0)?,
        currency: value["currency"].as_str()?.to_owned(),
        standing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_is_asked_for_field_by_field() {
        let body = checkout_fields(&NewCheckout {
            topup_id: "top_1",
            account_id: "acct_1",
            owner_id: "own_1",
            gateway: "https://g.example",
            credits: 1000,
            name: "1,000 credits & more".to_owned(),
            amount_minor: 999,
            currency: "usd",
            success_url: "https://g.example/topup?paid=top_1".to_owned(),
            cancel_url: "https://g.example/topup".to_owned(),
        });
        assert_eq!(
            body,
            "mode=payment&line_items%5B0%5D%5Bquantity%5D=1\
             &line_items%5B0%5D%5Bprice_data%5D%5Bcurrency%5D=usd\
             &line_items%5B0%5D%5Bprice_data%5D%5Bunit_amount%5D=999\
             &line_items%5B0%5D%5Bprice_data%5D%5Bproduct_data%5D%5Bname%5D=1%2C000+credits+%26+more\
             &client_reference_id=top_1&metadata%5Btopup_id%5D=top_1&metadata%5Baccount_id%5D=acct_1\
             &metadata%5Bowner_id%5D=own_1&metadata%5Bgateway%5D=https%3A%2F%2Fg.example\
             &metadata%5Bcredits%5D=1000\
             &payment_intent_data%5Bmetadata%5D%5Btopup_id%5D=top_1\
             &payment_intent_data%5Bmetadata%5D%5Baccount_id%5D=acct_1\
             &adaptive_pricing%5Benabled%5D=false\
             &success_url=https%3A%2F%2Fg.example%2Ftopup%3Fpaid%3Dtop_1\
             &cancel_url=https%3A%2F%2Fg.example%2Ftopup"
        );
    }

    #[test]
    fn states_of_refunds_and_disputes() {
        let of = |object: &str, status: &str| {
            json!({"object": object, "id": "x_1", "amount": 5, "currency": "usd", "status": status,
                "payment_intent": {"id": "pi_1"}})
        };
        for (status, standing) in [
            ("pending", Standing::Gone),
            ("requires_action", Standing::Gone),
            ("succeeded", Standing::Gone),
            ("failed", Standing::Returned),
            ("canceled", Standing::Returned),
        ] {
            let read = refund(&of("refund", status)).unwrap();
            assert_eq!((read.standing, read.payment_id.as_deref()), (standing, Some("pi_1")), "{status}");
        }
        for (status, standing) in [
            ("warning_needs_response", Standing::Inquiry),
            ("warning_under_review", Standing::Inquiry),
            ("warning_closed", Standing::Returned),
            ("needs_response", Standing::Gone),
            ("under_review", Standing::Gone),
            ("appeal_under_review", Standing::Gone),
            ("lost", Standing::Lost),
            ("won", Standing::Returned),
            ("prevented", Standing::Returned),
            ("something_new", Standing::Gone),
        ] {
            assert_eq!(dispute(&of("dispute", status)).unwrap().standing, standing, "{status}");
        }
        assert_eq!(refund(&of("dispute", "lost")), None);
    }

    #[test]
    fn only_plain_ids_pass() {
        let long = "a".repeat(256);
        for bad in ["", "a/b", "a b", "../x", "é", long.as_str()] {
            assert_eq!(id(&json!(bad)), None, "{bad}");
        }
        assert_eq!(id(&json!("cs_test_a1")), Some("cs_test_a1".to_owned()));
    }
}
