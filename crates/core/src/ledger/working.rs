//! The rows of one batch in memory: what was loaded, what changed, what is new.
//!
//! Invariant: only `apply` changes a `Working`, and after a refused command it is as before. Not here: how
//! rows are read and written.

use super::{
    book::{Books, Entry, EntryKind, Fault, Line},
    command::{NewOutput, NewTask, Trail},
    notice::BudgetNotice,
};
use crate::{
    budget::{Budget, Charge},
    credits::Credits,
    id::{AccountId, KeyId, TaskId},
    task::{Status, Step},
};
use std::collections::{HashMap, HashSet};

/// An account's balances and the head of its chain.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: AccountId,
    pub frozen_reason: Option<String>,
    /// Its owner stopped it for a while.
    pub paused: bool,
    /// For good: no credits are given any more.
    pub closed: bool,
    pub books: Books,
    pub sequence: i64,
    pub head_hash: [u8; 32],
    pub open_tasks: i64,
    pub budgets: Vec<Budget>,
    /// Whose caps a replaced key counts in: the newest key of its line.
    pub successors: HashMap<KeyId, KeyId>,
    /// Set by the first broken invariant of the batch; every later command of the account is refused.
    pub fault: Option<Fault>,
    pub changed: bool,
    pub budgets_changed: HashSet<usize>,
}

impl Account {
    /// Moves credits and appends the chained entry; on a fault nothing is changed.
    pub(super) fn post(&mut self, at_ms: i64, line: &Line<'_>) -> Result<Entry, Fault> {
        let mut books = self.books;
        books.transfer(line.from, line.to, line.amount)?;
        books.check()?;
        let entry = Entry::chained(&self.id, self.sequence + 1, at_ms, line, &self.head_hash);
        self.books = books;
        self.sequence += 1;
        self.head_hash = *entry.hash();
        self.changed = true;
        Ok(entry)
    }

    /// Gives `amount` back to the windows that a hold was counted in.
    pub(super) fn give_back(&mut self, amount: Credits, charges: &[Charge]) {
        for charge in charges {
            let found = self.budgets.iter_mut().enumerate().find(|(_, b)| b.id == charge.budget);
            if let Some((index, budget)) = found {
                budget.give_back(amount, charge.window_start_ms);
                self.budgets_changed.insert(index);
            }
        }
    }
}

/// The money side of a stored task.
#[derive(Debug, Clone)]
pub struct TaskMoney {
    pub id: TaskId,
    pub account: AccountId,
    /// The agent's id, or empty for an account key.
    pub principal: String,
    pub fingerprint: String,
    pub status: Status,
    pub step: Step,
    pub unit_price: Credits,
    pub count: u32,
    pub held: Credits,
    pub charged: Credits,
    pub released: Credits,
    pub refunded: Credits,
    pub charges: Vec<Charge>,
    pub run_id: Option<String>,
    pub fence: i64,
    pub error: Option<(&'static str, String)>,
    pub missing: Option<String>,
    pub provider_task_id: Option<String>,
    pub finished_at_ms: Option<i64>,
    /// For the attempt that ends with the task.
    pub vendor_cost_micro_usd: Option<i64>,
    pub changed: bool,
}

/// Account, principal (agent id or empty) and the caller's run id.
pub type RunKey = (AccountId, String, String);

/// A run's limit and spending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub max_credits: Option<Credits>,
    pub spent: Credits,
    pub changed: bool,
}

/// What an earlier entry under a reference did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub kind: EntryKind,
    pub task: Option<TaskId>,
    pub amount: Credits,
}

/// A task that the batch accepted.
#[derive(Debug, Clone)]
pub struct AcceptedTask {
    pub account: AccountId,
    pub task: NewTask,
    /// The windows that its hold was counted in.
    pub charges: Vec<Charge>,
    pub run_id: Option<String>,
    pub at_ms: i64,
}

/// An output that the batch captured.
#[derive(Debug, Clone)]
pub struct CapturedOutput {
    pub account: AccountId,
    pub task: TaskId,
    pub output: NewOutput,
    pub at_ms: i64,
}

/// A line of the audit log about a task of the batch.
#[derive(Debug, Clone)]
pub struct TrailLine {
    pub account: AccountId,
    pub task: TaskId,
    pub trail: Trail,
    pub at_ms: i64,
}

/// All rows of a batch.
#[derive(Debug, Default)]
pub struct Working {
    pub accounts: HashMap<AccountId, Account>,
    /// Stored tasks by id.
    pub tasks: HashMap<TaskId, TaskMoney>,
    /// Task id and fingerprint by (account, principal, request id); new ones of this batch too.
    pub requests: HashMap<(AccountId, String, String), (TaskId, String)>,
    pub runs: HashMap<RunKey, Run>,
    /// The entries under the references that the batch asks for.
    pub references: HashMap<(AccountId, String), Reference>,
    /// New entries, in the order they were decided.
    pub entries: Vec<Entry>,
    pub new_tasks: Vec<AcceptedTask>,
    pub new_outputs: Vec<CapturedOutput>,
    /// What owners should hear about.
    pub notices: Vec<BudgetNotice>,
    /// What the audit log tells of it.
    pub trails: Vec<TrailLine>,
}

/// How far `Working`'s lists reached before a command, so that a fault takes back exactly that command.
pub(super) struct Mark {
    entries: usize,
    new_tasks: usize,
    new_outputs: usize,
    notices: usize,
    trails: usize,
}

impl Working {
    pub(super) fn mark(&self) -> Mark {
        Mark {
            entries: self.entries.len(),
            new_tasks: self.new_tasks.len(),
            new_outputs: self.new_outputs.len(),
            notices: self.notices.len(),
            trails: self.trails.len(),
        }
    }

    pub(super) fn rewind(&mut self, mark: &Mark) {
        self.entries.truncate(mark.entries);
        self.new_tasks.truncate(mark.new_tasks);
        self.new_outputs.truncate(mark.new_outputs);
        self.notices.truncate(mark.notices);
        self.trails.truncate(mark.trails);
    }
}
