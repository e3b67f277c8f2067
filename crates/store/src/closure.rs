//! Closing an account: everything that could spend ends with it, and what its tasks hold is erased.
//!
//! Invariant: entries, task rows and their ids and hashes stay; of a person whose last account is closed, no
//! more than an id does. Not here: ending open tasks, which is the ledger's.

use crate::{
    audit_log::{self, Leaver},
    error::StoreError,
    owner::{self, OwnerRow},
    tx::Tx,
};
use rynjer_core::id::{AccountId, TaskId};
use std::collections::HashMap;

/// Tasks that one piece of the erasure touches at most.
const ERASED_AT_ONCE: i64 = 200;

/// Closes an account that the unit has locked: its keys and tokens die, its agents belong to nobody.
pub fn close(tx: &mut dyn Tx, account: &AccountId, now_ms: i64) -> Result<(), StoreError> {
    let params = [account.as_str().into(), now_ms.into()];
    tx.exec("UPDATE accounts SET closed_at = $2, frozen_reason = 'closed' WHERE id = $1", &params)?;
    evict(tx, account, now_ms)?;
    tx.exec("UPDATE files SET expires_at = $2 WHERE account_id = $1 AND expires_at > $2", &params).map(drop)
}

/// Whom a closed account still names.
#[derive(Debug)]
pub struct Leaving {
    /// Accounts whose logs name them, and the installation's own log, which is the empty name.
    pub logs: Vec<String>,
    pub leaver: Leaver,
    /// This was their last account. An operator stays.
    owner: Option<OwnerRow>,
}

const STAND_IN: &str = "closed:";

/// Whom a closed account still names; nobody once they are forgotten.
pub fn leaving(tx: &mut dyn Tx, account: &AccountId) -> Result<Option<Leaving>, StoreError> {
    let Some(row) = crate::account::lock(tx, account)?.filter(|row| row.closed_at_ms.is_some()) else {
        return Ok(None);
    };
    let owner = last_owner(tx, account)?;
    let mut leaving = Leaving { logs: vec![account.to_string()], leaver: Leaver::default(), owner };
    if let Some(owner) = &leaving.owner {
        let others = owner::accounts(tx, &owner.id)?.into_iter().map(|row| row.id.to_string());
        leaving.logs.extend(others.filter(|id| id != account.as_str()));
        leaving.logs.push(String::new());
        leaving.leaver.owner = Some(owner.id.to_string());
        leaving.leaver.emails.push((owner.email.clone(), format!("{STAND_IN}{}", owner.id)));
    }
    if !row.email.starts_with(STAND_IN) {
        leaving.leaver.emails.push((row.email, format!("{STAND_IN}{account}")));
    }
    Ok(Some(leaving).filter(|leaving| !leaving.leaver.emails.is_empty()))
}

/// The owner of a closed account who has no open one.
fn last_owner(tx: &mut dyn Tx, account: &AccountId) -> Result<Option<OwnerRow>, StoreError> {
    let Some(owner) = owner::of_account(tx, account)? else { return Ok(None) };
    let Some(owner) = owner::lock(tx, &owner)?.filter(|owner| owner.role == "owner") else { return Ok(None) };
    let has_open = owner::accounts(tx, &owner.id)?.iter().any(|row| row.closed_at_ms.is_none());
    Ok(Some(owner).filter(|owner| !has_open && !owner.email.starts_with(STAND_IN)))
}

/// Takes the address out of a closed account, and its owner with it if this was their last one: the address
/// is free for whoever comes by it. Of each log, what stands beyond the line in `seen` is looked at. A second
/// time finds nothing.
pub fn forget_person(
    tx: &mut dyn Tx,
    account: &AccountId,
    seen: &HashMap<String, String>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let Some(leaving) = leaving(tx, account)? else { return Ok(()) };
    for log in &leaving.logs {
        let mut after = seen.get(log).cloned().unwrap_or_default();
        while let Some(last) = audit_log::forget(tx, log, &leaving.leaver, &after)? {
            after = last;
        }
    }
    // No address is like it, since it has no @.
    let stand_in = format!("{STAND_IN}{account}");
    tx.exec("UPDATE accounts SET email = $2 WHERE id = $1", &[account.as_str().into(), (&stand_in).into()])?;
    match &leaving.owner {
        Some(owner) => forget_owner(tx, owner, &format!("{STAND_IN}{}", owner.id), now_ms),
        None => Ok(()),
    }
}

/// Accounts that were closed since then, whose closing may have been cut short.
pub fn closed_since(tx: &mut dyn Tx, since_ms: i64) -> Result<Vec<AccountId>, StoreError> {
    let rows = tx.all("SELECT id FROM accounts WHERE closed_at >= $1 ORDER BY id", &[since_ms.into()])?;
    rows.iter().map(|row| Ok(AccountId::from_stored(row.text(0)?))).collect()
}

/// Leaves of an owner's row what others refer to.
fn forget_owner(tx: &mut dyn Tx, owner: &OwnerRow, stand_in: &str, now_ms: i64) -> Result<(), StoreError> {
    let id = owner.id.as_str();
    tx.exec(
        "UPDATE owners SET email = $2, password_hash = NULL, totp_sealed = NULL, totp_enabled_at = NULL, \
         oidc_issuer = NULL, oidc_subject = NULL, disabled_at = COALESCE(disabled_at, $3) WHERE id = $1",
        &[id.into(), stand_in.into(), now_ms.into()],
    )?;
    tx.exec("DELETE FROM sessions WHERE owner_id = $1", &[id.into()])?;
    tx.exec("DELETE FROM recovery_codes WHERE owner_id = $1", &[id.into()])?;
    tx.exec("DELETE FROM tickets WHERE owner_id = $1 OR email = $2", &[id.into(), (&owner.email).into()])
        .map(drop)
}

/// Takes an account out of all hands: its keys and tokens die, its agents belong to nobody.
pub fn evict(tx: &mut dyn Tx, account: &AccountId, now_ms: i64) -> Result<(), StoreError> {
    for sql in [
        // Agents come before keys: one that makes a key at this moment holds its own row until it has.
        // Their codes are dead from now on, as after every unbinding.
        "UPDATE agents SET account_id = NULL, scopes = '', bound_at = NULL, registration_expires_at = $2, \
         user_code_expires_at = $2 WHERE account_id = $1",
        "UPDATE keys SET revoked_at = $2 WHERE account_id = $1 AND revoked_at IS NULL",
        "UPDATE token_families SET revoked_at = $2 WHERE account_id = $1 AND revoked_at IS NULL",
    ] {
        tx.exec(sql, &[account.as_str().into(), now_ms.into()])?;
    }
    Ok(())
}

/// Tasks of an account that no provider was handed, with ids beyond `after_id`.
pub fn queued(tx: &mut dyn Tx, account: &AccountId, after_id: &str) -> Result<Vec<TaskId>, StoreError> {
    let sql = "SELECT id FROM tasks WHERE account_id = $1 AND finished_at IS NULL AND step = 'queued' \
               AND id > $2 ORDER BY id LIMIT 500";
    let rows = tx.all(sql, &[account.as_str().into(), after_id.into()])?;
    rows.iter().map(|row| Ok(TaskId::from_stored(row.text(0)?))).collect()
}

/// A piece of the erasure.
#[derive(Debug, Clone, Default)]
pub struct Erased {
    /// The task to go on after; none once all is erased.
    pub last: Option<TaskId>,
    /// Keys of the objects that no row names any more.
    pub object_keys: Vec<String>,
}

/// Blanks what the next finished tasks of an account hold of their callers, and marks their outputs deleted.
pub fn erase(
    tx: &mut dyn Tx,
    account: &AccountId,
    after_id: &str,
    now_ms: i64,
) -> Result<Erased, StoreError> {
    let account = account.as_str();
    let rows = tx.all(
        "SELECT id FROM tasks WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        &[account.into(), after_id.into(), ERASED_AT_ONCE.into()],
    )?;
    let Some(last) = rows.last() else { return Ok(Erased::default()) };
    let last = TaskId::from_stored(last.text(0)?);
    tx.exec(
        "UPDATE tasks SET body = NULL, metadata = NULL WHERE account_id = $1 AND id > $2 AND id <= $3 \
         AND finished_at IS NOT NULL AND (body IS NOT NULL OR metadata IS NOT NULL)",
        &[account.into(), after_id.into(), last.as_str().into()],
    )?;
    let gone = tx.all(
        "UPDATE outputs SET deleted_at = $4 WHERE account_id = $1 AND task_id > $2 AND task_id <= $3 \
         AND deleted_at IS NULL RETURNING object_key",
        &[account.into(), after_id.into(), last.as_str().into(), now_ms.into()],
    )?;
    let object_keys: Result<_, _> = gone.iter().map(|row| row.text(0)).collect();
    Ok(Erased { last: Some(last), object_keys: object_keys? })
}
