//! The account as its agents see it: mode, balance, budgets, and who the caller is.
//!
//! Invariant: credits on the wire are whole numbers. Not here: how holds and budgets are decided
//! (`rynjer-core`).

use crate::key::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an account is from birth: `test` makes sandbox files for free credits, `live` uses real providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Always the sandbox.
    Test,
    /// Never the sandbox.
    Live,
}

/// Whose spending a budget limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BudgetKind {
    /// The whole account.
    Account,
    /// One agent.
    Agent,
    /// One API key.
    Key,
    /// One `run_id`.
    Run,
}

/// Over which time a budget counts, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BudgetPeriod {
    /// A UTC day.
    Day,
    /// A UTC month.
    Month,
    /// For ever.
    Total,
}

/// A hard limit on spending, with the count of its current window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Budget {
    /// Whose spending it limits.
    pub kind: BudgetKind,
    /// Over which time it counts.
    pub period: BudgetPeriod,
    /// The most credits that may be held or charged in one window.
    #[schema(minimum = 0, example = 500)]
    pub limit: i64,
    /// What is held or charged in this window.
    #[schema(minimum = 0, example = 120)]
    pub spent: i64,
    /// When the window ends, RFC 3339 UTC; null where it never does.
    #[schema(required = true, format = DateTime, example = "2026-03-21T00:00:00Z")]
    pub resets_at: Option<String>,
}

/// The answer of `GET /v1/credits/balance`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BalanceAnswer {
    /// Credits that can be spent now.
    #[schema(minimum = 0, example = 980)]
    pub available: i64,
    /// Credits reserved for tasks that are not finished.
    #[schema(minimum = 0, example = 20)]
    pub held: i64,
    /// Always `credits`.
    #[schema(example = "credits")]
    pub currency: String,
    /// The account that the credential spends from.
    #[schema(example = "acct_06egn8yc0dr0b2kra71j90fzxw")]
    pub account_id: String,
    /// Whether the account is a test or a live one.
    pub mode: Mode,
    /// The budgets that limit this caller.
    pub budgets: Vec<Budget>,
}

/// The answer of `GET /v1/me`: who the credential speaks for and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MeAnswer {
    /// The account that is charged.
    pub account: MeAccount,
    /// The agent; null for an account's own key.
    #[schema(required = true)]
    pub agent: Option<MeAgent>,
    /// The API key behind the credential; null where there is none.
    #[schema(required = true)]
    pub key: Option<MeKey>,
    /// What the credential may do.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: Vec<String>,
    /// Whether the account is a test or a live one.
    pub mode: Mode,
    /// The budgets that limit this caller.
    pub budgets: Vec<Budget>,
}

/// The account in `GET /v1/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MeAccount {
    /// The account's id.
    #[schema(example = "acct_06egn8yc0dr0b2kra71j90fzxw")]
    pub account_id: String,
    /// Whether it is frozen by the operator or paused by its owner, so that nothing new is accepted.
    pub frozen: bool,
}

/// The agent in `GET /v1/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MeAgent {
    /// The agent's id.
    #[schema(example = "agt_06egn8yc05s33azjcvmtwvh70m")]
    pub agent_id: String,
    /// The name it registered with.
    #[schema(example = "Demo Agent")]
    pub agent_name: String,
    /// Whether the owner has paused it.
    pub paused: bool,
}

/// The API key in `GET /v1/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MeKey {
    /// The key's id; never the secret.
    #[schema(example = "key_06egn8yc09w1hehz5e88wt5rq4")]
    pub key_id: String,
    /// The name it was made with.
    #[schema(example = "demo-key")]
    pub key_name: String,
    /// When it expires, RFC 3339 UTC; null where it never does.
    #[schema(required = true, format = DateTime, example = "2026-06-18T09:46:40Z")]
    pub expires_at: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_balance_is_that_of_the_contract() {
        let answer = BalanceAnswer {
            available: 980,
            held: 20,
            currency: "credits".to_owned(),
            account_id: "acct_1".to_owned(),
            mode: Mode::Test,
            budgets: vec![Budget {
                kind: BudgetKind::Agent,
                period: BudgetPeriod::Total,
                limit: 500,
                spent: 20,
                resets_at: None,
            }],
        };
        let expected = json!({
            "available": 980, "held": 20, "currency": "credits", "account_id": "acct_1", "mode": "test",
            "budgets": [{"kind": "agent", "period": "total", "limit": 500, "spent": 20, "resets_at": null}]
        });
        assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    }

    #[test]
    fn what_may_be_null_is_still_required() {
        assert_eq!(
            crate::schema::tests::required::<MeAnswer>(),
            ["account", "agent", "budgets", "key", "mode", "scopes"]
        );
    }
}
