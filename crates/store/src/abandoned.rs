//! Open tasks whose provider this installation no longer has.
//!
//! Invariant: nothing is written here; whoever ends such a task does so under its fence. Not here: claims,
//! which look for the tasks of known providers only (`lease`).

use crate::{error::StoreError, tx::Tx};
use rynjer_core::{
    id::{AccountId, AttemptId, TaskId},
    task::Step,
};

/// Tasks that one look returns at most.
const ABANDONED_MAX: i64 = 200;

/// An open task that nobody claims.
#[derive(Debug, Clone)]
pub struct Abandoned {
    pub account: AccountId,
    pub id: TaskId,
    pub provider: String,
    pub step: Step,
    pub fence: i64,
    /// The attempt that a vendor may bill.
    pub attempt_id: Option<AttemptId>,
}

/// Open tasks of other providers than the known ones whose time was over before `before_ms`, with ids beyond
/// `after_id`, so that one which can't be ended keeps no other from its end.
pub fn abandoned(
    tx: &mut dyn Tx,
    known: &[&str],
    before_ms: i64,
    after_id: &str,
) -> Result<Vec<Abandoned>, StoreError> {
    let mut found = Vec::new();
    let mut after = String::new();
    // One index seek for each provider that has open tasks.
    while let Some(row) = tx.one(
        "SELECT provider FROM tasks WHERE finished_at IS NULL AND provider > $1 ORDER BY provider LIMIT 1",
        &[(&after).into()],
    )? {
        after = row.text(0)?;
        if known.contains(&after.as_str()) {
            continue;
        }
        let rows = tx.all(
            "SELECT t.account_id, t.id, t.step, t.fence, (SELECT p.id FROM attempts p \
             WHERE p.account_id = t.account_id AND p.task_id = t.id AND p.number = t.attempt) \
             FROM tasks t WHERE t.provider = $1 AND t.finished_at IS NULL AND t.deadline_at < $2 \
             AND t.id > $4 ORDER BY t.id LIMIT $3",
            &[(&after).into(), before_ms.into(), ABANDONED_MAX.into(), after_id.into()],
        )?;
        for row in rows {
            let step = Step::parse(row.str(2)?);
            found.push(Abandoned {
                account: AccountId::from_stored(row.text(0)?),
                id: TaskId::from_stored(row.text(1)?),
                provider: after.clone(),
                step: step.ok_or_else(|| StoreError::Other("a task has an unknown step".to_owned()))?,
                fence: row.int(3)?,
                attempt_id: row.opt_text(4)?.map(AttemptId::from_stored),
            });
        }
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    // Of the next provider there may be more before the last of this one.
    found.truncate(usize::try_from(ABANDONED_MAX).unwrap_or(usize::MAX));
    Ok(found)
}
