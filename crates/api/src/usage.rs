//! What tasks did with credits: the usage report, one event of it, and the signed receipt of one event.
//!
//! Invariant: one task is one usage event, and the lines of a receipt add up to its totals. Not here: how the
//! lines come about (`rynjer-core`), which keys sign (the server).

use crate::{
    account::Mode,
    model::Product,
    task::{TaskCredits, TaskStatus},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One task as the usage report shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageEvent {
    /// The event's id.
    #[schema(example = "use_06egn8yc0hs5fc4pkp2kezx3y4")]
    pub usage_event_id: String,
    /// The task that it is about.
    #[schema(example = "task_06egn8yc01y9ffva1z8sc6m4bc")]
    pub task_id: String,
    /// The caller's name for the task.
    #[schema(example = "demo-uuid-001")]
    pub request_id: String,
    /// Where the task stands.
    pub status: TaskStatus,
    /// The model that was asked for.
    #[schema(example = "nano-banana-pro")]
    pub model: String,
    /// What was made.
    pub product: Product,
    /// The agent that asked; null where an account's own key did.
    #[schema(required = true, example = "agt_06egn8yc05s33azjcvmtwvh70m")]
    pub agent_id: Option<String>,
    /// The API key behind the credential.
    #[schema(example = "key_06egn8yc09w1hehz5e88wt5rq4")]
    pub key_id: String,
    /// The run that the task belongs to; null where it has none.
    #[schema(required = true, example = json!(null))]
    pub run_id: Option<String>,
    /// The price list that it was sold by.
    #[schema(example = "2026-02-02-v1")]
    pub price_version: String,
    /// Credits for each unit.
    #[schema(minimum = 0, example = 20)]
    pub unit_price: i64,
    /// How many units were asked for.
    #[schema(minimum = 1, example = 1)]
    pub count: u32,
    /// What the task did with credits.
    pub credits: TaskCredits,
    /// The account's mode.
    pub mode: Mode,
    /// When the task was accepted, RFC 3339 UTC.
    #[schema(format = DateTime, example = "2026-03-20T09:46:40Z")]
    pub created_at: String,
    /// When it was over, RFC 3339 UTC; null before.
    #[schema(required = true, format = DateTime, example = json!(null))]
    pub finished_at: Option<String>,
}

/// Sums over the events of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct UsageTotals {
    /// How many events the answer has.
    #[schema(minimum = 0, example = 1)]
    pub events: i64,
    /// What they hold, were charged, released and got back.
    pub credits: TaskCredits,
}

/// The answer of `GET /v1/usage`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageAnswer {
    /// One event per task. A page may be shorter than `limit`, even empty, before the last one.
    pub events: Vec<UsageEvent>,
    /// What to send as `cursor` for the next page; null when there is none.
    #[schema(required = true, example = json!(null))]
    pub next_cursor: Option<String>,
    /// Sums over this page, so that the totals of all pages add up to those of the report.
    pub totals: UsageTotals,
    /// What was ignored, such as unknown query parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One movement of credits: `amount` from one book of the account to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptLine {
    /// Its place in the account's ledger; null where the ledger's line is not at hand.
    #[schema(required = true, minimum = 1, example = 7)]
    pub sequence: Option<i64>,
    /// When it was written, RFC 3339 UTC.
    #[schema(format = DateTime, example = "2026-03-20T09:46:40Z")]
    pub at: String,
    /// `hold`, `capture`, `release` or `refund`.
    #[schema(example = "hold")]
    pub kind: String,
    /// The book that the credits left.
    #[schema(example = "available")]
    pub from: String,
    /// The book that they went to.
    #[schema(example = "held")]
    pub to: String,
    /// How many credits.
    #[schema(minimum = 1, example = 20)]
    pub amount: i64,
    /// The ledger's hash of the line, in hex; it covers the line before. Null together with `sequence`.
    #[schema(required = true, pattern = "^[0-9a-f]{64}$")]
    pub hash: Option<String>,
}

/// Sums over the lines of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ReceiptTotals {
    /// All that was reserved: the `hold` lines.
    #[schema(minimum = 0, example = 20)]
    pub reserved: i64,
    /// The `capture` lines.
    #[schema(minimum = 0, example = 20)]
    pub charged: i64,
    /// The `release` lines.
    #[schema(minimum = 0, example = 0)]
    pub released: i64,
    /// The `refund` lines.
    #[schema(minimum = 0, example = 0)]
    pub refunded: i64,
    /// Still reserved: `reserved` − `charged` − `released`.
    #[schema(minimum = 0, example = 0)]
    pub held: i64,
    /// What the task cost in the end: `charged` − `refunded`.
    #[schema(minimum = 0, example = 20)]
    pub net: i64,
}

/// The answer of `GET /v1/usage/{usage_event_id}/receipt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptAnswer {
    /// The form of this receipt.
    #[schema(minimum = 1, example = 1)]
    pub receipt_version: u32,
    /// The account that was charged.
    #[schema(example = "acct_06egn8yc0dr0b2kra71j90fzxw")]
    pub account_id: String,
    /// What was bought.
    pub usage_event: UsageEvent,
    /// How the credits moved, in the order of the ledger.
    pub lines: Vec<ReceiptLine>,
    /// What the lines add up to.
    pub totals: ReceiptTotals,
    /// When the receipt was made, RFC 3339 UTC.
    #[schema(format = DateTime, example = "2026-03-20T09:46:40Z")]
    pub issued_at: String,
    /// The gateway that made it.
    #[schema(example = "http://127.0.0.1:8787")]
    pub base_url: String,
    /// The id of the gateway's signing key.
    #[schema(example = "5f0c1d2e3a4b")]
    pub key_id: String,
    /// The gateway's public key for receipts: 32 bytes in hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub public_key: String,
    /// Ed25519 over the canonical JSON (RFC 8785) of this object, as received, without `signature`: 64 bytes
    /// in hex.
    #[schema(pattern = "^[0-9a-f]{128}$")]
    pub signature: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> UsageEvent {
        UsageEvent {
            usage_event_id: "use_1".to_owned(),
            task_id: "task_1".to_owned(),
            request_id: "demo-uuid-001".to_owned(),
            status: TaskStatus::Success,
            model: "nano-banana-pro".to_owned(),
            product: Product::Image,
            agent_id: None,
            key_id: "key_1".to_owned(),
            run_id: None,
            price_version: "2026-02-02-v1".to_owned(),
            unit_price: 20,
            count: 1,
            credits: TaskCredits { charged: 20, ..TaskCredits::default() },
            mode: Mode::Test,
            created_at: "2026-03-20T09:46:40.000Z".to_owned(),
            finished_at: Some("2026-03-20T09:46:41.000Z".to_owned()),
        }
    }

    fn event_json() -> serde_json::Value {
        json!({
            "usage_event_id": "use_1", "task_id": "task_1", "request_id": "demo-uuid-001",
            "status": "success",
            "model": "nano-banana-pro", "product": "image", "agent_id": null, "key_id": "key_1",
            "run_id": null, "price_version": "2026-02-02-v1", "unit_price": 20, "count": 1,
            "credits": {"held": 0, "charged": 20, "released": 0, "refunded": 0}, "mode": "test",
            "created_at": "2026-03-20T09:46:40.000Z", "finished_at": "2026-03-20T09:46:41.000Z"
        })
    }

    #[test]
    fn a_page_of_the_report_is_that_of_the_contract() {
        let totals = UsageTotals { events: 1, credits: event().credits };
        let answer = UsageAnswer { events: vec![event()], next_cursor: None, totals, warnings: Vec::new() };
        let expected = json!({
            "events": [event_json()], "next_cursor": null,
            "totals": {"events": 1, "credits": {"held": 0, "charged": 20, "released": 0, "refunded": 0}}
        });
        assert_eq!(serde_json::to_value(&answer).unwrap(), expected);
        assert_eq!(serde_json::from_value::<UsageAnswer>(expected).unwrap(), answer);
    }

    #[test]
    fn a_receipt_is_that_of_the_contract() {
        let line = ReceiptLine {
            sequence: Some(2),
            at: "2026-03-20T09:46:40.000Z".to_owned(),
            kind: "hold".to_owned(),
            from: "available".to_owned(),
            to: "held".to_owned(),
            amount: 20,
            hash: Some("ab".repeat(32)),
        };
        let answer = ReceiptAnswer {
            receipt_version: 1,
            account_id: "acct_1".to_owned(),
            usage_event: event(),
            lines: vec![line],
            totals: ReceiptTotals { reserved: 20, held: 20, ..ReceiptTotals::default() },
            issued_at: "2026-03-20T09:46:42.000Z".to_owned(),
            base_url: "http://127.0.0.1:8787".to_owned(),
            key_id: "5f0c1d2e3a4b".to_owned(),
            public_key: "cd".repeat(32),
            signature: "ef".repeat(64),
        };
        let expected = json!({
            "receipt_version": 1, "account_id": "acct_1", "usage_event": event_json(),
            "lines": [{
                "sequence": 2, "at": "2026-03-20T09:46:40.000Z", "kind": "hold", "from": "available",
                "to": "held", "amount": 20, "hash": "ab".repeat(32)
            }],
            "totals": {"reserved": 20, "charged": 0, "released": 0, "refunded": 0, "held": 20, "net": 0},
            "issued_at": "2026-03-20T09:46:42.000Z", "base_url": "http://127.0.0.1:8787",
            "key_id": "5f0c1d2e3a4b", "public_key": "cd".repeat(32), "signature": "ef".repeat(64)
        });
        assert_eq!(serde_json::to_value(&answer).unwrap(), expected);
        assert_eq!(serde_json::from_value::<ReceiptAnswer>(expected).unwrap(), answer);
    }
}
