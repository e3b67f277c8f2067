//! Claiming due tasks under a lease, in turns between accounts.
//!
//! Invariant: a claim raises the task's fence and begins an attempt where the task was queued. Not here: the
//! writes of whoever holds a lease (`lease`).

use crate::{
    attempt,
    batch::{Rows, insert, with_keys},
    dialect::Type,
    error::StoreError,
    lease::{Holder, Wait},
    tx::{Row, Tx},
};
use rynjer_core::{
    id::{AccountId, AttemptId, TaskId},
    task::{DEATHS_BEFORE_ALONE, Step},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// What a worker asks for.
#[derive(Debug, Clone)]
pub struct Claim {
    pub provider: String,
    pub owner: String,
    pub now_ms: i64,
    pub lease_ms: i64,
    pub limit: usize,
    /// The account that was served last; the next ones come first.
    pub after_account: String,
    /// Whether this worker has nothing else in hand, so that a task that may kill it can run alone.
    pub idle: bool,
    /// Tasks in this worker's hand by account, and how many one account may have there; 0 is no limit.
    pub in_hand: BTreeMap<String, usize>,
    pub per_account_max: usize,
    /// Ids of the tasks in hand: a lease that ran out while its worker lives is the worker's own to prolong.
    pub held: BTreeSet<String>,
    /// Vendor models whose tasks stay queued; what is over its time is claimed all the same.
    pub without: Vec<String>,
    /// How long a task of each model may take once it is begun; one that is not named keeps its deadline.
    pub task_ms: Arc<BTreeMap<String, i64>>,
    /// Ids for new attempts, as many as `limit`.
    pub fresh_attempts: Vec<AttemptId>,
}

impl Claim {
    /// Words of a statement, whose $3 is the time, that leave out the queued tasks of `without`. The names
    /// are those of the catalog; quotes could only come from a catalog file, and are taken out.
    fn beside_shut(&self, task: &str) -> String {
        if self.without.is_empty() {
            return String::new();
        }
        let names: Vec<String> =
            self.without.iter().map(|name| format!("'{}'", name.replace('\'', ""))).collect();
        format!(
            " AND ({task}.step <> 'queued' OR {task}.deadline_at <= $3 OR {task}.vendor_model NOT IN ({}))",
            names.join(", ")
        )
    }

    /// How many more tasks of an account this worker may take.
    fn room(&self, account: &str) -> usize {
        if self.per_account_max == 0 {
            return usize::MAX;
        }
        self.per_account_max.saturating_sub(self.in_hand.get(account).copied().unwrap_or(0))
    }
}

/// A claimed task, as the worker needs it.
#[derive(Debug, Clone)]
pub struct Leased {
    pub account: AccountId,
    pub id: TaskId,
    pub fence: i64,
    /// The step it was found in; `Queued` became `Submitting` with a new attempt.
    pub step: Step,
    /// Whether the last worker's lease ran out.
    pub lease_lost: bool,
    pub model: String,
    /// Empty for an account key.
    pub agent_id: String,
    pub provider: String,
    pub vendor_model: String,
    pub product: String,
    pub mode: String,
    pub count: u32,
    pub provider_task_id: Option<String>,
    pub attempt: i64,
    pub attempt_id: AttemptId,
    pub deaths: i64,
    pub alone: bool,
    /// It killed a worker while running alone.
    pub poisoned: bool,
    pub tries: i64,
    pub created_at_ms: i64,
    pub deadline_at_ms: i64,
    /// Its deadline if nobody accepts it this time, and it goes on waiting.
    pub waits_until_ms: i64,
    pub body: String,
}

/// What a claim found.
#[derive(Debug, Clone, Default)]
pub struct Claimed {
    pub tasks: Vec<Leased>,
    /// The account to continue after.
    pub last_account: String,
    /// A task that may kill workers is due and waits until this worker is idle.
    pub suspect_waiting: bool,
}

impl Leased {
    /// The lease's proof.
    #[must_use]
    pub fn holder(&self) -> Holder {
        Holder { account: self.account.clone(), id: self.id.clone(), fence: self.fence }
    }

    /// How it goes back to the queue, to be claimed again at a time, or at the end of its patience.
    #[must_use]
    pub fn wait(&self, due_at_ms: i64, now_ms: i64) -> Wait {
        let until_ms = self.waits_until_ms;
        Wait { attempt: self.attempt, due_at_ms: due_at_ms.min(until_ms), until_ms, now_ms }
    }
}

const COLUMNS: &str = "t.account_id, t.id, t.fence, t.step, t.lease_owner, t.provider, t.vendor_model, \
                       t.product, \
                       t.mode, t.count, t.provider_task_id, t.attempt, t.deaths, t.alone, t.tries, \
                       t.created_at, \
                       t.deadline_at, COALESCE(t.body, '{}'), t.model, t.agent_id";

/// A due task whose owner is still set lost its lease; in an active step that is a death.
const BESIDE_OTHERS: &str = "t.deaths = 0 OR (t.deaths = 1 AND (t.lease_owner IS NULL \
                             OR t.step NOT IN ('submitting', 'storing')))";

/// Claims due tasks of a provider, in turns between accounts.
pub fn claim(tx: &mut dyn Tx, claim: &Claim) -> Result<Claimed, StoreError> {
    if let Some(row) = suspect(tx, claim)? {
        if !claim.idle || claim.held.contains(row.str(1)?) {
            let last_account = claim.after_account.clone();
            return Ok(Claimed { tasks: Vec::new(), last_account, suspect_waiting: true });
        }
        let tasks = take(tx, claim, &[row], true)?;
        return Ok(Claimed { tasks, last_account: claim.after_account.clone(), suspect_waiting: false });
    }
    let accounts = due_accounts(tx, claim)?;
    let share = (claim.limit / accounts.len().max(1)).max(1);
    let mut rows = Vec::new();
    for account in &accounts {
        let wanted = share.min(claim.limit - rows.len()).min(claim.room(account));
        rows.extend(due_of_account(tx, claim, account, wanted, None)?);
    }
    // What some accounts leave of their share goes to the others.
    for account in &accounts {
        let taken: BTreeSet<String> = rows.iter().map(|r| r.text(1)).collect::<Result<_, _>>()?;
        let own = rows.iter().filter(|row| row.str(0).is_ok_and(|owner| owner == account)).count();
        let wanted = (claim.limit - rows.len()).min(claim.room(account).saturating_sub(own));
        if wanted > 0 {
            rows.extend(due_of_account(tx, claim, account, wanted, Some(&taken))?);
        }
    }
    let last_account = accounts.last().unwrap_or(&claim.after_account).clone();
    Ok(Claimed { tasks: take(tx, claim, &rows, false)?, last_account, suspect_waiting: false })
}

/// A task with two deaths, or with one and a lease that ran out in an active step, which is the second.
fn suspect(tx: &mut dyn Tx, claim: &Claim) -> Result<Option<Row>, StoreError> {
    let lock = tx.dialect().for_update_skip_locked("t");
    let sql = format!(
        "SELECT {COLUMNS} FROM tasks t WHERE t.provider = $1 AND t.finished_at IS NULL AND t.due_at <= $2 \
         AND t.deaths >= 1 AND NOT ({BESIDE_OTHERS}) ORDER BY t.due_at LIMIT 1 {lock}"
    );
    tx.one(&sql, &[(&claim.provider).into(), claim.now_ms.into()])
}

/// Accounts with something due, at most `limit`, beginning after the one served last; one index seek each.
fn due_accounts(tx: &mut dyn Tx, claim: &Claim) -> Result<Vec<String>, StoreError> {
    let after = claim.after_account.as_str();
    let mut accounts = due_accounts_between(tx, claim, after, None, claim.limit)?;
    let left = claim.limit - accounts.len();
    if left > 0 && !after.is_empty() {
        accounts.extend(due_accounts_between(tx, claim, "", Some(after), left)?);
    }
    Ok(accounts)
}

/// Accounts beyond `after`, up to `last` with it.
fn due_accounts_between(
    tx: &mut dyn Tx,
    claim: &Claim,
    after: &str,
    last: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    let next = |than: &str| {
        format!(
            "(SELECT t.account_id FROM tasks t WHERE t.provider = $1 AND t.finished_at IS NULL \
             AND t.account_id > {than} AND (CAST($4 AS TEXT) IS NULL OR t.account_id <= $4) \
             ORDER BY t.account_id LIMIT 1)"
        )
    };
    // Not EXISTS: that may be planned as a join, which looks at all accounts and forgets their order.
    let sql = format!(
        "WITH RECURSIVE found(account_id) AS (SELECT {} UNION ALL \
         SELECT {} FROM found WHERE found.account_id IS NOT NULL) \
         SELECT account_id FROM found WHERE account_id IS NOT NULL AND \
         (SELECT 1 FROM tasks d WHERE d.provider = $1 AND d.finished_at IS NULL \
          AND d.account_id = found.account_id AND d.due_at <= $3{} LIMIT 1) IS NOT NULL LIMIT $5",
        next("$2"),
        next("found.account_id"),
        claim.beside_shut("d")
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let params = [(&claim.provider).into(), after.into(), claim.now_ms.into(), last.into(), limit.into()];
    tx.all(&sql, &params)?.iter().map(|row| row.text(0)).collect()
}

fn due_of_account(
    tx: &mut dyn Tx,
    claim: &Claim,
    account: &str,
    limit: usize,
    taken: Option<&BTreeSet<String>>,
) -> Result<Vec<Row>, StoreError> {
    let skip = taken.map_or(0, BTreeSet::len) + claim.held.len();
    let lock = tx.dialect().for_update_skip_locked("t");
    let sql = format!(
        "SELECT {COLUMNS} FROM tasks t WHERE t.provider = $1 AND t.finished_at IS NULL AND t.account_id = $2 \
         AND t.due_at <= $3 AND ({BESIDE_OTHERS}){} ORDER BY t.due_at, t.id LIMIT $4 {lock}",
        claim.beside_shut("t")
    );
    let most = i64::try_from(limit + skip).unwrap_or(i64::MAX);
    let params = [(&claim.provider).into(), account.into(), claim.now_ms.into(), most.into()];
    let mut rows = tx.all(&sql, &params)?;
    rows.retain(|row| row.str(1).is_ok_and(|id| !claim.held.contains(id)));
    if let Some(taken) = taken {
        rows.retain(|row| row.str(1).is_ok_and(|id| !taken.contains(id)));
    }
    rows.truncate(limit);
    Ok(rows)
}

fn take(tx: &mut dyn Tx, claim: &Claim, rows: &[Row], alone: bool) -> Result<Vec<Leased>, StoreError> {
    let mut fresh = claim.fresh_attempts.iter();
    let open = attempt::ids(tx, rows.iter().map(|row| Ok((row.str(0)?, row.str(1)?, row.int(11)?))))?;
    let mut leased = Vec::with_capacity(rows.len());
    for row in rows {
        leased.push(leased_of(row, claim, alone, &open, &mut fresh)?);
    }
    let lease_until = claim.now_ms + claim.lease_ms;
    let mut updates = Rows::new(9);
    let mut attempts = Rows::new(6);
    for task in &leased {
        let step = if task.step == Step::Queued { Step::Submitting } else { task.step };
        updates.push([
            task.account.as_str().into(),
            task.id.as_str().into(),
            task.fence.into(),
            step.as_str().into(),
            task.attempt.into(),
            task.deaths.into(),
            i64::from(task.alone).into(),
            lease_until.into(),
            task.deadline_at_ms.into(),
        ]);
        if task.step == Step::Queued {
            attempts.push([
                task.account.as_str().into(),
                task.id.as_str().into(),
                task.attempt.into(),
                task.attempt_id.as_str().into(),
                (&task.provider).into(),
                claim.now_ms.into(),
            ]);
        }
    }
    let names = "account_id, id, fence, step, attempt, deaths, alone, due_at, deadline_at";
    let (text, int) = (Type::Text, Type::Int);
    let types = [text, text, int, text, int, int, int, int, int];
    // The owner is the same for all rows and is this program's own text, without quotes.
    let sql = format!(
        "UPDATE tasks SET fence = keys.fence, step = keys.step, attempt = keys.attempt, deaths = \
         keys.deaths, \
         alone = keys.alone, due_at = keys.due_at, deadline_at = keys.deadline_at, \
         lease_owner = '{}', status = 'processing' FROM keys \
         WHERE tasks.account_id = keys.account_id AND tasks.id = keys.id",
        claim.owner.replace('\'', "")
    );
    with_keys(tx, names, &types, &updates, &sql)?;
    let names = "account_id, task_id, number, id, provider, started_at";
    let types = [Type::Text, Type::Text, Type::Int, Type::Text, Type::Text, Type::Int];
    insert(tx, "attempts", names, &types, &attempts, "")?;
    Ok(leased)
}

fn leased_of<'a>(
    row: &Row,
    claim: &Claim,
    alone: bool,
    open: &HashMap<String, AttemptId>,
    fresh: &mut impl Iterator<Item = &'a AttemptId>,
) -> Result<Leased, StoreError> {
    let step =
        Step::parse(row.str(3)?).ok_or_else(|| StoreError::Other("a task has an unknown step".to_owned()))?;
    let lease_lost = row.opt_text(4)?.is_some();
    let died = lease_lost && step.is_active();
    let was_alone = row.bool(13)?;
    let queued = step == Step::Queued;
    let attempt_id = match open.get(row.str(1)?) {
        Some(id) if !queued => id.clone(),
        _ => fresh.next().cloned().ok_or_else(|| StoreError::Other("no attempt id left".to_owned()))?,
    };
    let deaths = row.int(12)? + i64::from(died);
    let waits_until_ms = row.int(16)?;
    Ok(Leased {
        account: AccountId::from_stored(row.text(0)?),
        id: TaskId::from_stored(row.text(1)?),
        fence: row.int(2)? + 1,
        step,
        lease_lost,
        provider: row.text(5)?,
        vendor_model: row.text(6)?,
        product: row.text(7)?,
        mode: row.text(8)?,
        count: row.count(9)?,
        provider_task_id: row.opt_text(10)?,
        attempt: row.int(11)? + i64::from(queued),
        attempt_id,
        deaths,
        alone: alone && deaths >= DEATHS_BEFORE_ALONE,
        poisoned: died && was_alone,
        tries: row.int(14)?,
        created_at_ms: row.int(15)?,
        deadline_at_ms: match claim.task_ms.get(row.str(18)?) {
            // Too late: what is begun without the time to end it is paid for and thrown away.
            Some(task_ms) if queued && waits_until_ms - claim.now_ms < task_ms / 2 => claim.now_ms,
            // Its time begins now: until here it only waited.
            Some(task_ms) if queued => waits_until_ms.min(claim.now_ms + task_ms),
            _ => waits_until_ms,
        },
        waits_until_ms,
        body: row.text(17)?,
        model: row.text(18)?,
        agent_id: row.text(19)?,
    })
}

/// When the next task of a provider is due.
pub fn next_due_ms(tx: &mut dyn Tx, provider: &str) -> Result<Option<i64>, StoreError> {
    let row = tx.one(
        "SELECT MIN(due_at) FROM tasks WHERE provider = $1 AND finished_at IS NULL",
        &[provider.into()],
    )?;
    row.map_or(Ok(None), |row| row.opt_int(0))
}
