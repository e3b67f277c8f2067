//! The leases of claimed tasks, and the fenced writes of whoever holds one.
//!
//! Invariant: a write with an older fence changes nothing. `due_at` is the one time that counts: when the
//! next step is due, or when the lease runs out. Not here: claiming (`claim`), money (`ledger`), calls
//! upstream.

pub use crate::claim::{Claim, Claimed, Leased, claim, next_due_ms};

use crate::{
    attempt,
    error::StoreError,
    tx::{Param, Tx},
};
use rynjer_core::id::{AccountId, TaskId};

/// Proof of a lease for the fenced writes below.
#[derive(Debug, Clone)]
pub struct Holder {
    pub account: AccountId,
    pub id: TaskId,
    pub fence: i64,
}

/// A write of whoever holds the lease. What was queued before the lease was given back, and comes after it on
/// another connection, changes nothing.
fn fenced(tx: &mut dyn Tx, set: &str, holder: &Holder, more: &[Param<'_>]) -> Result<bool, StoreError> {
    let held = "fence = $3 AND finished_at IS NULL AND lease_owner IS NOT NULL";
    let sql = format!("UPDATE tasks SET {set} WHERE account_id = $1 AND id = $2 AND {held}");
    let mut params: Vec<Param<'_>> =
        vec![holder.account.as_str().into(), holder.id.as_str().into(), holder.fence.into()];
    params.extend_from_slice(more);
    Ok(tx.exec(&sql, &params)? == 1)
}

/// Prolongs leases and notes progress in thousandths; returns the ids of tasks that are no longer ours.
pub fn beat(
    tx: &mut dyn Tx,
    holders: &[(Holder, Option<i64>)],
    due_at_ms: i64,
) -> Result<Vec<TaskId>, StoreError> {
    // In the order in which the ledger locks tasks.
    let mut holders: Vec<_> = holders.iter().collect();
    holders.sort_by(|(a, _), (b, _)| (&a.account, &a.id).cmp(&(&b.account, &b.id)));
    let mut lost = Vec::new();
    for (holder, progress) in holders {
        let set = "due_at = $4, progress_permille = COALESCE($5, progress_permille)";
        if !fenced(tx, set, holder, &[due_at_ms.into(), (*progress).into()])? {
            lost.push(holder.id.clone());
        }
    }
    Ok(lost)
}

/// What comes first does not reach the provider: a worker's death there leaves the task queued, with the
/// lease that it has.
pub fn before_submit(tx: &mut dyn Tx, holder: &Holder) -> Result<bool, StoreError> {
    fenced(tx, "step = 'queued'", holder, &[])
}

/// From here on bytes may leave.
pub fn submitting(tx: &mut dyn Tx, holder: &Holder) -> Result<bool, StoreError> {
    fenced(tx, "step = 'submitting'", holder, &[])
}

/// The provider accepted the job: keep its id and give the lease back until the next poll.
pub fn submitted(
    tx: &mut dyn Tx,
    holder: &Holder,
    attempt: i64,
    provider_task_id: &str,
    poll_at_ms: i64,
) -> Result<bool, StoreError> {
    // Tries of the submit are over: those of the job and its files begin.
    let set =
        "step = 'submitted', provider_task_id = $4, due_at = $5, lease_owner = NULL, alone = 0, tries = 0";
    let kept = fenced(tx, set, holder, &[provider_task_id.into(), poll_at_ms.into()])?;
    if kept {
        let params = [
            holder.account.as_str().into(),
            holder.id.as_str().into(),
            attempt.into(),
            provider_task_id.into(),
        ];
        tx.exec(
            "UPDATE attempts SET state = 'accepted', provider_task_id = $4 \
             WHERE account_id = $1 AND task_id = $2 AND number = $3",
            &params,
        )?;
    }
    Ok(kept)
}

/// Not done yet: ask again later.
pub fn poll_later(
    tx: &mut dyn Tx,
    holder: &Holder,
    poll_at_ms: i64,
    progress_permille: Option<i64>,
) -> Result<bool, StoreError> {
    let set =
        "due_at = $4, progress_permille = COALESCE($5, progress_permille), lease_owner = NULL, tries = 0";
    fenced(tx, set, holder, &[poll_at_ms.into(), progress_permille.into()])
}

/// A call failed that may be repeated: try the same step again later.
pub fn retry_later(tx: &mut dyn Tx, holder: &Holder, due_at_ms: i64) -> Result<bool, StoreError> {
    fenced(tx, "due_at = $4, tries = tries + 1, lease_owner = NULL", holder, &[due_at_ms.into()])
}

/// A task that goes back to the queue.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// The attempt that came to nothing.
    pub attempt: i64,
    pub due_at_ms: i64,
    /// Its deadline while it waits.
    pub until_ms: i64,
    pub now_ms: i64,
}

/// Nothing was accepted upstream: back to the queue, the attempt is closed.
pub fn requeue(tx: &mut dyn Tx, holder: &Holder, wait: &Wait, detail: &str) -> Result<bool, StoreError> {
    let set = "step = 'queued', due_at = $4, deadline_at = $5, tries = tries + 1, lease_owner = NULL, \
               alone = 0";
    let kept = fenced(tx, set, holder, &[wait.due_at_ms.into(), wait.until_ms.into()])?;
    if kept {
        attempt::close(tx, holder, wait.attempt, "refused", Some(detail), wait.now_ms)?;
    }
    Ok(kept)
}

/// Where a task goes on.
#[derive(Debug, Clone, Copy)]
pub struct Reroute<'a> {
    pub provider: &'a str,
    pub vendor_model: &'a str,
}

/// Nothing was accepted upstream: to another provider, or the same one's other model, and to be begun there.
pub fn reroute(
    tx: &mut dyn Tx,
    holder: &Holder,
    wait: &Wait,
    to: &Reroute<'_>,
    detail: &str,
) -> Result<bool, StoreError> {
    let set = "step = 'queued', provider = $4, vendor_model = $5, due_at = $6, \
               deadline_at = $7, tries = 0, lease_owner = NULL, alone = 0";
    let times = (wait.due_at_ms, wait.until_ms);
    let to = [to.provider.into(), to.vendor_model.into(), times.0.into(), times.1.into()];
    let kept = fenced(tx, set, holder, &to)?;
    if kept {
        attempt::close(tx, holder, wait.attempt, "refused", Some(detail), wait.now_ms)?;
    }
    Ok(kept)
}

/// The outcome upstream is unknown, and the provider can look for the job: it is asked at `due_at_ms`.
pub fn look_up_later(tx: &mut dyn Tx, holder: &Holder, due_at_ms: i64) -> Result<bool, StoreError> {
    fenced(tx, "step = 'unknown', due_at = $4, lease_owner = NULL, alone = 0", holder, &[due_at_ms.into()])
}

/// The outcome upstream is unknown: wait for a late answer until `due_at_ms`.
pub fn await_late_answer(
    tx: &mut dyn Tx,
    holder: &Holder,
    attempt: i64,
    due_at_ms: i64,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let set = "step = 'unknown', due_at = $4, lease_owner = NULL, alone = 0";
    let kept = fenced(tx, set, holder, &[due_at_ms.into()])?;
    if kept {
        attempt::close(tx, holder, attempt, "ambiguous", None, now_ms)?;
    }
    Ok(kept)
}

/// The provider is done: outputs are being stored from here on, which counts as an active step.
pub fn storing(tx: &mut dyn Tx, holder: &Holder, due_at_ms: i64) -> Result<bool, StoreError> {
    fenced(tx, "step = 'storing', due_at = $4", holder, &[due_at_ms.into()])
}

/// Hands a lease back untouched, so that a worker may go on from `due_at_ms`; does not count as a death.
pub fn hand_back(tx: &mut dyn Tx, holder: &Holder, due_at_ms: i64) -> Result<bool, StoreError> {
    fenced(tx, "due_at = $4, lease_owner = NULL, alone = 0", holder, &[due_at_ms.into()])
}

/// The same for a task after [`before_submit`]: its attempt, of which nobody heard, never was.
pub fn unbegin(tx: &mut dyn Tx, holder: &Holder, wait: &Wait) -> Result<bool, StoreError> {
    let set = "step = 'queued', attempt = $5 - 1, due_at = $4, deadline_at = $6, lease_owner = NULL, \
               alone = 0";
    let kept = fenced(tx, set, holder, &[wait.due_at_ms.into(), wait.attempt.into(), wait.until_ms.into()])?;
    if kept {
        attempt::forget(tx, holder, wait.attempt)?;
    }
    Ok(kept)
}

/// Makes every lease of other owners due at once. Only for a process that knows the others are dead, because
/// it holds the data folder's lock; the deaths still count.
pub fn expire_others(tx: &mut dyn Tx, owner: &str, now_ms: i64) -> Result<u64, StoreError> {
    tx.exec(
        "UPDATE tasks SET due_at = $2 WHERE finished_at IS NULL AND lease_owner IS NOT NULL \
         AND lease_owner <> $1 AND due_at > $2",
        &[owner.into(), now_ms.into()],
    )
}
