//! What can be asked of the ledger, and what it answers.
//!
//! Invariant: a command carries every fact it needs (ids, prices, time limits); nothing is looked up while
//! deciding but the rows in [`super::Working`]. Not here: the decisions.

use crate::{
    credits::Credits,
    id::{AccountId, AgentId, AttemptId, AuditId, KeyId, TaskId, UsageId},
    task::Status,
};

/// A task as it is first written.
#[derive(Debug, Clone)]
pub struct NewTask {
    pub id: TaskId,
    pub usage_id: UsageId,
    pub agent: Option<AgentId>,
    pub key: KeyId,
    pub request_id: String,
    /// Per-field hashes of the typed body, see `core::fingerprint`.
    pub fingerprint: String,
    pub model: String,
    pub product: &'static str,
    pub mode: &'static str,
    /// Provider that was chosen; a worker leases only what it can serve.
    pub provider: String,
    pub vendor_model: String,
    pub price_version: String,
    pub unit_price: Credits,
    pub count: u32,
    pub deadline_at_ms: i64,
    /// Prompt, inputs and sizes as JSON; blanked after the retention time.
    pub body: String,
    /// The caller's string pairs as JSON.
    pub metadata: Option<String>,
}

/// A run that caps what its tasks may spend together; the limit is fixed at first use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLimit {
    pub run_id: String,
    pub max_credits: Option<Credits>,
}

/// Accept a generation: idempotency, budgets, hold and task in one decision.
#[derive(Debug, Clone)]
pub struct Accept {
    pub account: AccountId,
    pub task: NewTask,
    pub run: Option<RunLimit>,
    pub open_tasks_max: i64,
}

/// Proof that the caller still owns a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The worker's fencing token.
    Fence(i64),
    /// Nobody may have handed the task to a provider yet.
    NotSubmitted,
}

/// A stored file of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOutput {
    pub index: u32,
    pub object_key: String,
    /// `image`, `video` or `audio`.
    pub kind: &'static str,
    pub mime: String,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub duration_ms: Option<u64>,
    pub bytes: u64,
    pub sha256: String,
}

/// The outputs are durable: charge what was delivered, give the rest back.
#[derive(Debug, Clone)]
pub struct Capture {
    pub account: AccountId,
    pub task: TaskId,
    pub guard: Guard,
    /// Units delivered, 1 to the task's count.
    pub delivered: u32,
    pub outputs: Vec<NewOutput>,
    /// What was not delivered, as JSON, see the wire's `missing`.
    pub missing: Option<String>,
    pub provider_task_id: Option<String>,
    /// Units that a vendor may bill although they were not delivered.
    pub loss: Option<LostUnits>,
    /// What the vendor says that it bills for the attempt, in millionths of a US dollar.
    pub vendor_cost_micro_usd: Option<i64>,
}

/// Units of an attempt that a vendor may bill although nothing is charged for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostUnits {
    pub attempt: AttemptId,
    /// From 1; more than the task's count is all of it.
    pub units: u32,
}

impl LostUnits {
    /// Everything that the task asked for.
    #[must_use]
    pub fn all(attempt: AttemptId) -> Self {
        Self { attempt, units: u32::MAX }
    }
}

/// A line of the audit log that goes with a command: it is written in its commit, and only if it has effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    pub id: AuditId,
    pub actor_kind: &'static str,
    pub actor_id: String,
    pub action: &'static str,
    /// A JSON object.
    pub detail: String,
    pub address: Option<String>,
}

/// The task ends without output: give everything back.
#[derive(Debug, Clone)]
pub struct Release {
    pub account: AccountId,
    pub task: TaskId,
    pub guard: Guard,
    /// `Failed` or `Canceled`.
    pub status: Status,
    /// Stable code of the task error.
    pub error: &'static str,
    pub message: String,
    pub missing: Option<String>,
    /// What a vendor may bill although nothing is charged.
    pub loss: Option<LostUnits>,
    /// As in [`Capture`].
    pub vendor_cost_micro_usd: Option<i64>,
    /// The line of the audit log that tells who wanted it.
    pub trail: Option<Trail>,
}

/// Give an account credits; idempotent by reference.
#[derive(Debug, Clone)]
pub struct Grant {
    pub account: AccountId,
    pub amount: Credits,
    pub reference: String,
}

/// Give back what was captured; idempotent by reference.
#[derive(Debug, Clone)]
pub struct Refund {
    pub account: AccountId,
    pub task: TaskId,
    pub amount: Credits,
    pub reference: String,
}

/// Book what a vendor was paid for nothing; once per attempt.
#[derive(Debug, Clone)]
pub struct Loss {
    pub account: AccountId,
    pub task: TaskId,
    pub lost: LostUnits,
}

/// Take granted credits back; what is spent already is owed and freezes the account. Idempotent by reference.
#[derive(Debug, Clone)]
pub struct Clawback {
    pub account: AccountId,
    pub amount: Credits,
    pub reference: String,
}

/// One thing asked of the ledger.
#[derive(Debug, Clone)]
pub enum Command {
    Accept(Box<Accept>),
    Capture(Box<Capture>),
    Release(Box<Release>),
    Grant(Grant),
    Refund(Refund),
    Loss(Loss),
    Clawback(Clawback),
}

impl Command {
    /// The account whose books the command moves.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        match self {
            Self::Accept(c) => &c.account,
            Self::Capture(c) => &c.account,
            Self::Release(c) => &c.account,
            Self::Grant(c) => &c.account,
            Self::Refund(c) => &c.account,
            Self::Loss(c) => &c.account,
            Self::Clawback(c) => &c.account,
        }
    }

    /// The existing task that the command is about.
    #[must_use]
    pub fn task(&self) -> Option<&TaskId> {
        match self {
            Self::Capture(c) => Some(&c.task),
            Self::Release(c) => Some(&c.task),
            Self::Refund(c) => Some(&c.task),
            Self::Loss(c) => Some(&c.task),
            Self::Accept(_) | Self::Grant(_) | Self::Clawback(_) => None,
        }
    }

    /// The reference under which the command's entry may exist already.
    #[must_use]
    pub fn reference(&self) -> Option<String> {
        match self {
            Self::Grant(c) => Some(c.reference.clone()),
            Self::Refund(c) => Some(c.reference.clone()),
            Self::Clawback(c) => Some(c.reference.clone()),
            Self::Loss(c) => Some(loss_reference(&c.lost.attempt)),
            Self::Release(c) => c.loss.as_ref().map(|lost| loss_reference(&lost.attempt)),
            Self::Capture(c) => c.loss.as_ref().map(|lost| loss_reference(&lost.attempt)),
            Self::Accept(_) => None,
        }
    }
}

/// One loss per attempt, whoever books it.
pub(super) fn loss_reference(attempt: &AttemptId) -> String {
    format!("loss:{attempt}")
}

/// Why a command was refused. The order of the checks is part of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The same request id came with another body; the fields that differ.
    RequestIdReused {
        fields: Vec<String>,
    },
    AccountUnknown,
    AccountFrozen,
    /// Its owner stopped it for a while.
    AccountPaused,
    /// It was closed for good.
    AccountClosed,
    TooManyOpenTasks {
        open: i64,
        max: i64,
    },
    /// A run, or a budget of the account, agent or key.
    BudgetExceeded {
        subject: &'static str,
        period: &'static str,
        limit: Credits,
        spent: Credits,
        resets_at_ms: Option<i64>,
    },
    /// `run_max_credits` differs from the run's first use.
    RunLimitFixed {
        limit: Option<Credits>,
    },
    InsufficientCredits {
        required: Credits,
        available: Credits,
        spendable: Credits,
    },
    /// The reference was used for another move: another kind, task or amount.
    ReferenceReused,
    TaskUnknown,
    /// The amount is zero, negative or more than there is.
    AmountInvalid {
        most: Credits,
    },
    /// The account's books broke an invariant; it is frozen until somebody looks.
    LedgerFault {
        detail: String,
    },
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A new task exists and holds its price.
    Accepted { held: Credits },
    /// The task exists already; nothing changed.
    Replayed { task: TaskId },
    /// The task is over. `charged` and `released` are what this command moved.
    Settled { charged: Credits, released: Credits },
    /// Credits moved (grant, refund, loss, clawback); `replayed` if an earlier command had moved them.
    Moved { replayed: bool, available: Credits },
    /// The caller no longer owns the task, or it is over; nothing changed.
    Stale { status: Status },
    /// Nothing changed.
    Refused(Refusal),
}
