//! The log of every change, by whom.
//!
//! Invariant: a line is written in the commit of its change, and holds no secret and no prompt; what one
//! process writes in one millisecond keeps its order. Not here: the audit of the ledger (`admin`).

use crate::{
    app::{Error, actor::Actor, admin::Admin},
    entropy,
};
use rynjer_core::{
    id::{AccountId, AuditId},
    ledger::Trail,
};
use rynjer_store::{
    StoreError, Tx,
    audit_log::{self, AuditLine},
};
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the lines of this process.
static LINES: AtomicU32 = AtomicU32::new(0);

/// An id that sorts behind those that this process made before, at that time or earlier: first the time, then
/// the line's number, and then chance, since other processes count too.
fn line_id(now_ms: i64) -> AuditId {
    let mut drawn = entropy::id();
    let number = LINES.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    drawn.iter_mut().zip(number).for_each(|(byte, of_number)| *byte = of_number);
    AuditId::new(now_ms, drawn)
}

/// A line for the ledger to write with a command.
pub(crate) fn trail(now_ms: i64, by: &Actor, action: &'static str, detail: &Value) -> Trail {
    Trail {
        id: line_id(now_ms),
        actor_kind: by.kind(),
        actor_id: by.id().to_owned(),
        action,
        detail: detail.to_string(),
        address: by.address().map(|address| address.to_string()),
    }
}

/// Writes what was done to what. `account` is none for what concerns the installation as a whole; `action` is
/// a noun and a verb, such as `agent.paused`; `detail` is an object that a person understands.
pub(crate) fn note(
    tx: &mut dyn Tx,
    now_ms: i64,
    by: &Actor,
    account: Option<&AccountId>,
    action: &'static str,
    subject_id: &str,
    detail: &Value,
) -> Result<(), StoreError> {
    let line = AuditLine {
        account_id: account.map(ToString::to_string).unwrap_or_default(),
        id: line_id(now_ms).to_string(),
        at_ms: now_ms,
        actor_kind: by.kind().to_owned(),
        actor_id: by.id().to_owned(),
        action: action.to_owned(),
        subject_id: subject_id.to_owned(),
        detail: detail.to_string(),
        address: by.address().map(|address| address.to_string()),
    };
    audit_log::insert(tx, &line)
}

impl Admin {
    /// The newest lines of an account, or with none of the installation, older than the line `before`.
    ///
    /// # Errors
    /// No such account within reach.
    pub async fn audit_lines(
        &self,
        account: Option<&AccountId>,
        before: Option<String>,
        limit: u32,
    ) -> Result<Vec<AuditLine>, Error> {
        self.reach.check(account)?;
        let account = account.map(ToString::to_string).unwrap_or_default();
        let read = self
            .store
            .read(move |tx| Ok::<_, Error>(audit_log::of_account(tx, &account, before.as_deref(), limit)?));
        read.await
    }

    /// The newest lines about one thing of an account.
    ///
    /// # Errors
    /// No such account within reach.
    pub async fn audit_lines_of(
        &self,
        account: &AccountId,
        subject_id: &str,
        limit: u32,
    ) -> Result<Vec<AuditLine>, Error> {
        self.reach.check(Some(account))?;
        let (account, subject_id) = (account.to_string(), subject_id.to_owned());
        self.store.read(move |tx| Ok(audit_log::of_subject(tx, &account, &subject_id, limit)?)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_millisecond_keep_their_order() {
        let made: Vec<String> = (0..300).map(|_| line_id(1_742_291_400_000).to_string()).collect();
        assert!(made.is_sorted_by(|one, next| one < next), "{made:?}");
        assert!(line_id(1_742_291_400_001).to_string() > made[299]);
    }
}
