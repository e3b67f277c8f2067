//! Policies: which models a subject may use, and what one generation may cost.
//!
//! Invariant: at most one row per subject; a row that limits nothing is not kept. Not here: the rule, and
//! reading policies for a request, which is a part of looking up its credential (`key`).

use crate::{
    error::StoreError,
    tx::{Row, Tx},
};
use rynjer_core::{budget::Subject, credits::Credits, id::AccountId, policy::Policy};

/// A subject's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    pub subject_id: String,
    pub policy: Policy,
    pub updated_at_ms: i64,
}

/// A policy from two columns of its row; none if it limits nothing.
pub(crate) fn policy_of(row: &Row, first: usize, subject: Subject) -> Result<Option<Policy>, StoreError> {
    let wrong = |_| StoreError::Other("a policy's models can't be read".to_owned());
    let models = row.opt_text(first)?.map(|text| serde_json::from_str(&text)).transpose().map_err(wrong)?;
    let max_price = row.opt_int(first + 1)?.map(Credits);
    Ok((models.is_some() || max_price.is_some()).then_some(Policy { subject, models, max_price }))
}

/// Sets a subject's policy, in place of the one that it had.
pub fn set(
    tx: &mut dyn Tx,
    account: &AccountId,
    subject_id: &str,
    policy: &Policy,
    now_ms: i64,
) -> Result<(), StoreError> {
    let subject = policy.subject.as_str();
    if policy.models.is_none() && policy.max_price.is_none() {
        let params = [account.as_str().into(), subject.into(), subject_id.into()];
        let sql = "DELETE FROM policies WHERE account_id = $1 AND subject = $2 AND subject_id = $3";
        return tx.exec(sql, &params).map(drop);
    }
    let models = policy.models.as_ref().map(|names| serde_json::json!(names).to_string());
    tx.exec(
        "INSERT INTO policies (account_id, subject, subject_id, models, max_price, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id, subject, subject_id) DO UPDATE SET \
         models = excluded.models, max_price = excluded.max_price, updated_at = excluded.updated_at",
        &[
            account.as_str().into(),
            subject.into(),
            subject_id.into(),
            models.as_deref().into(),
            policy.max_price.into(),
            now_ms.into(),
        ],
    )
    .map(drop)
}

/// All policies of an account.
pub fn of_account(tx: &mut dyn Tx, account: &AccountId) -> Result<Vec<PolicyRow>, StoreError> {
    let rows = tx.all(
        "SELECT models, max_price, subject, subject_id, updated_at FROM policies WHERE account_id = $1 \
         ORDER BY subject, subject_id",
        &[account.as_str().into()],
    )?;
    let mut policies = Vec::new();
    for row in &rows {
        let subject = Subject::parse(row.str(2)?);
        let subject =
            subject.ok_or_else(|| StoreError::Other("a policy has an unknown subject".to_owned()))?;
        if let Some(policy) = policy_of(row, 0, subject)? {
            policies.push(PolicyRow { subject_id: row.text(3)?, policy, updated_at_ms: row.int(4)? });
        }
    }
    Ok(policies)
}
