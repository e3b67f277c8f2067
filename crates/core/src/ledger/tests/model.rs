//! The ledger once more, in the most naive way: sums over lists of what happened, no rows, no batches, no
//! caches.
//!
//! Invariant: shares no rule with the ledger, only its words. Not here: hashes and entries.

use super::desk::account;
use crate::{
    credits::Credits,
    fingerprint::Fingerprint,
    id::{AgentId, TaskId},
    ledger::{Accept, Command, Guard, Outcome, Refusal},
    task::Status,
};

pub(super) struct Job {
    account: String,
    principal: String,
    request: String,
    fingerprint: String,
    pub(super) id: TaskId,
    unit: i64,
    count: i64,
    run: Option<String>,
    /// Index of a limit and the window it was counted in.
    counted: Vec<(usize, i64)>,
    pub(super) status: Status,
    pub(super) fence: i64,
    charged: i64,
    refunded: i64,
}

impl Job {
    fn open(&self) -> bool {
        matches!(self.status, Status::Pending | Status::Processing)
    }
    /// What it takes from budgets and runs: its price while open, its charge afterwards.
    fn spends(&self) -> i64 {
        if self.open() { self.unit * self.count } else { self.charged }
    }
}

pub(super) struct Limit {
    pub(super) account: String,
    pub(super) subject: &'static str,
    pub(super) id: String,
    pub(super) period: &'static str,
    pub(super) most: i64,
    pub(super) window: i64,
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) jobs: Vec<Job>,
    pub(super) limits: Vec<Limit>,
    /// Account, principal, run id, limit.
    runs: Vec<(String, String, String, Option<i64>)>,
    /// Account, what was done, reference, amount.
    moves: Vec<(String, String, String, i64)>,
    pub(super) frozen: Vec<String>,
    /// Frozen by a debt, until it is paid.
    pub(super) owing: Vec<String>,
    pub(super) broken: Vec<String>,
}

const DAY_MS: i64 = 86_400_000;

impl Model {
    fn sum(&self, account: &str, what: &str) -> i64 {
        self.moves.iter().filter(|m| m.0 == account && m.1.starts_with(what)).map(|m| m.3).sum()
    }
    /// What is owed: every clawback beyond what was there adds, every grant pays.
    fn available_and_owed(&self, account: &str) -> (i64, i64) {
        let of = |j: &&Job| j.account == account;
        let spent: i64 = self.jobs.iter().filter(of).map(|j| j.spends() - j.refunded).sum();
        let owed = self.sum(account, "owed");
        (self.sum(account, "grant") - self.sum(account, "clawback") - spent + owed, owed)
    }
    pub(super) fn is_frozen(&self, account: &str) -> bool {
        self.frozen.iter().chain(&self.owing).any(|frozen| frozen == account)
    }

    pub(super) fn books(&self, account: &str) -> [i64; 6] {
        let of = |j: &&Job| j.account == account;
        let (available, owed) = self.available_and_owed(account);
        let held = self.jobs.iter().filter(of).filter(|j| j.open()).map(Job::spends).sum();
        let losses = self.sum(account, "loss");
        let earned: i64 = self.jobs.iter().filter(of).map(|j| j.charged - j.refunded).sum();
        let issued = self.sum(account, "clawback") - self.sum(account, "grant");
        [available, held, earned - losses, losses, issued, -owed]
    }

    pub(super) fn decide(&mut self, now_ms: i64, command: &Command) -> Outcome {
        let of = command.account().to_string();
        if (0..3).all(|n| account(n).to_string() != of) {
            return Outcome::Refused(Refusal::AccountUnknown);
        }
        if self.broken.contains(&of) {
            let detail = "books sum to 1 instead of zero".into();
            return Outcome::Refused(Refusal::LedgerFault { detail });
        }
        match command {
            Command::Accept(c) => self.accept(now_ms, &of, c),
            Command::Capture(c) => {
                let delivered = i64::from(c.delivered);
                let valid = |j: &Job| delivered >= 1 && delivered <= j.count && !c.outputs.is_empty();
                let (outcome, _) = self.finish(&of, &c.task, &c.guard, valid, Status::Success, delivered);
                if let (Outcome::Settled { .. }, Some(lost)) = (&outcome, &c.loss) {
                    let price = self.price_of(&of, &c.task, lost.units);
                    self.lose(&of, &lost.attempt.to_string(), price);
                }
                outcome
            }
            Command::Release(c) => {
                let (outcome, _) = self.finish(&of, &c.task, &c.guard, |_| true, c.status, 0);
                if let (Outcome::Settled { .. }, Some(lost)) = (&outcome, &c.loss) {
                    let price = self.price_of(&of, &c.task, lost.units);
                    self.lose(&of, &lost.attempt.to_string(), price);
                }
                outcome
            }
            Command::Grant(c) => {
                let most = (1 << 53) - self.sum(&of, "grant") + self.sum(&of, "clawback");
                let (_, owed) = self.available_and_owed(&of);
                let paid = -owed.min(c.amount.0);
                let outcome = self.moving(&of, "grant", &c.reference, c.amount.0, most, paid);
                if outcome_moved(&outcome) && self.available_and_owed(&of).1 == 0 {
                    self.owing.retain(|owing| *owing != of);
                }
                outcome
            }
            Command::Clawback(c) => {
                let most = self.sum(&of, "grant") - self.sum(&of, "clawback");
                let lacking = (c.amount.0 - self.available_and_owed(&of).0).max(0);
                let outcome = self.moving(&of, "clawback", &c.reference, c.amount.0, most, lacking);
                if outcome_moved(&outcome) && lacking > 0 && !self.is_frozen(&of) {
                    self.owing.push(of);
                }
                outcome
            }
            Command::Refund(c) => {
                let what = format!("refund {}", c.task);
                let most = self.job(&of, &c.task).map(|j| j.charged - j.refunded);
                if most.is_none() && !self.moves.iter().any(|m| m.0 == of && m.2 == c.reference) {
                    return Outcome::Refused(Refusal::TaskUnknown);
                }
                let before = self.moves.len();
                let outcome = self.moving(&of, &what, &c.reference, c.amount.0, most.unwrap_or(0), 0);
                if self.moves.len() == before {
                    return outcome;
                }
                self.job(&of, &c.task).unwrap().refunded += c.amount.0;
                moved(false, self.available_and_owed(&of).0)
            }
            Command::Loss(c) => {
                let Some(price) = self.job(&of, &c.task).map(|j| j.unit * j.count) else {
                    return Outcome::Refused(Refusal::TaskUnknown);
                };
                let fresh = self.lose(&of, &c.lost.attempt.to_string(), price);
                moved(!fresh, self.available_and_owed(&of).0)
            }
        }
    }

    fn price_of(&mut self, of: &str, id: &TaskId, units: u32) -> i64 {
        self.job(of, id).map_or(0, |job| job.unit * job.count.min(i64::from(units)))
    }

    fn job(&mut self, of: &str, id: &TaskId) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|j| j.account == of && j.id == *id)
    }

    fn lose(&mut self, of: &str, attempt: &str, price: i64) -> bool {
        let reference = format!("loss:{attempt}");
        let known = self.moves.iter().any(|m| m.0 == of && m.2 == reference);
        if !known {
            self.moves.push((of.into(), "loss".into(), reference, price));
        }
        !known
    }

    fn moving(
        &mut self,
        of: &str,
        what: &str,
        reference: &str,
        amount: i64,
        most: i64,
        owed: i64,
    ) -> Outcome {
        if let Some(known) = self.moves.iter().find(|m| m.0 == of && m.2 == reference) {
            let same = known.1 == what && known.3 == amount;
            let available = self.available_and_owed(of).0;
            return if same { moved(true, available) } else { Outcome::Refused(Refusal::ReferenceReused) };
        }
        if amount <= 0 || amount > most {
            return Outcome::Refused(Refusal::AmountInvalid { most: Credits(most) });
        }
        self.moves.push((of.into(), what.into(), reference.into(), amount));
        self.moves.push((of.into(), "owed".into(), String::new(), owed));
        moved(false, self.available_and_owed(of).0)
    }

    fn finish(
        &mut self,
        of: &str,
        id: &TaskId,
        guard: &Guard,
        valid: impl Fn(&Job) -> bool,
        status: Status,
        delivered: i64,
    ) -> (Outcome, i64) {
        let Some(job) = self.job(of, id) else { return (Outcome::Refused(Refusal::TaskUnknown), 0) };
        let owns = match guard {
            Guard::Fence(fence) => *fence == job.fence,
            Guard::NotSubmitted => job.fence == 0,
        };
        if !job.open() || !owns {
            return (Outcome::Stale { status: job.status }, 0);
        }
        if !valid(job) {
            return (Outcome::Refused(Refusal::AmountInvalid { most: Credits(job.count) }), 0);
        }
        let price = job.unit * job.count;
        job.charged = job.unit * delivered;
        job.status = status;
        let released = Credits(price - job.charged);
        (Outcome::Settled { charged: Credits(job.charged), released }, price)
    }

    fn accept(&mut self, now_ms: i64, of: &str, c: &Accept) -> Outcome {
        let principal = c.task.agent.as_ref().map_or("", AgentId::as_str);
        let same = |j: &&Job| j.account == of && j.principal == principal && j.request == c.task.request_id;
        if let Some(job) = self.jobs.iter().find(same) {
            if job.fingerprint == c.task.fingerprint {
                return Outcome::Replayed { task: job.id.clone() };
            }
            let decode = |text: &str| Fingerprint::decode(text).unwrap();
            let fields = decode(&job.fingerprint).differing_fields(&decode(&c.task.fingerprint));
            return Outcome::Refused(Refusal::RequestIdReused { fields });
        }
        let price = c.task.unit_price.0 * i64::from(c.task.count);
        if let Some(refusal) = self.refuses(now_ms, of, principal, c, price) {
            return Outcome::Refused(refusal);
        }
        if let Some(run) = &c.run
            && self.run_limit(of, principal, &run.run_id).is_none()
        {
            let most = run.max_credits.map(|c| c.0);
            self.runs.push((of.into(), principal.into(), run.run_id.clone(), most));
        }
        let mut counted = Vec::new();
        for (index, limit) in self.limits.iter_mut().enumerate() {
            if limit.concerns(of, c) {
                limit.window = limit.window_at(now_ms);
                counted.push((index, limit.window));
            }
        }
        self.jobs.push(Job {
            account: of.into(),
            principal: principal.into(),
            request: c.task.request_id.clone(),
            fingerprint: c.task.fingerprint.clone(),
            id: c.task.id.clone(),
            unit: c.task.unit_price.0,
            count: i64::from(c.task.count),
            run: c.run.as_ref().map(|r| r.run_id.clone()),
            counted,
            status: Status::Pending,
            fence: 0,
            charged: 0,
            refunded: 0,
        });
        Outcome::Accepted { held: Credits(price) }
    }

    fn run_limit(&self, of: &str, principal: &str, run_id: &str) -> Option<Option<i64>> {
        self.runs.iter().find(|r| r.0 == of && r.1 == principal && r.2 == run_id).map(|r| r.3)
    }

    fn refuses(&self, now_ms: i64, of: &str, principal: &str, c: &Accept, price: i64) -> Option<Refusal> {
        if price <= 0 {
            return Some(Refusal::AmountInvalid { most: Credits(i64::MAX) });
        }
        if self.is_frozen(of) {
            return Some(Refusal::AccountFrozen);
        }
        let open = self.jobs.iter().filter(|j| j.account == of && j.open()).count();
        let open = i64::try_from(open).unwrap();
        if open >= c.open_tasks_max {
            return Some(Refusal::TooManyOpenTasks { open, max: c.open_tasks_max });
        }
        if let Some(run) = &c.run {
            let asked = run.max_credits.map(|c| c.0);
            let limit = self.run_limit(of, principal, &run.run_id).unwrap_or(asked);
            if asked.is_some() && asked != limit {
                return Some(Refusal::RunLimitFixed { limit: limit.map(Credits) });
            }
            let mine =
                |j: &&Job| j.account == of && j.principal == principal && j.run.as_ref() == Some(&run.run_id);
            let spent: i64 = self.jobs.iter().filter(mine).map(Job::spends).sum();
            if let Some(limit) = limit.filter(|limit| spent + price > *limit) {
                return Some(exceeded("run", "total", limit, spent, None));
            }
        }
        let (available, _) = self.available_and_owed(of);
        let mut spendable = available;
        for subject in ["account", "agent", "key"] {
            for period in ["day", "month", "total"] {
                for (index, limit) in self.limits.iter().enumerate() {
                    if limit.subject != subject || limit.period != period || !limit.concerns(of, c) {
                        continue;
                    }
                    let window = limit.window_at(now_ms);
                    let counted = |j: &&Job| j.counted.contains(&(index, window));
                    let spent: i64 = self.jobs.iter().filter(counted).map(Job::spends).sum();
                    if spent + price > limit.most {
                        return Some(exceeded(subject, period, limit.most, spent, limit.ends(window)));
                    }
                    spendable = spendable.min(limit.most - spent);
                }
            }
        }
        let refusal = Refusal::InsufficientCredits {
            required: Credits(price),
            available: Credits(available),
            spendable: Credits(spendable),
        };
        (available < price).then_some(refusal)
    }
}

impl Limit {
    fn concerns(&self, of: &str, c: &Accept) -> bool {
        let subject = match self.subject {
            "account" => Some(of),
            "agent" => c.task.agent.as_ref().map(AgentId::as_str),
            _ => Some(c.task.key.as_str()),
        };
        self.account == of && subject == Some(self.id.as_str())
    }
    /// The random clock stays in February and March 2024.
    fn window_at(&self, now_ms: i64) -> i64 {
        let window = match self.period {
            "day" => now_ms - now_ms % DAY_MS,
            "month" if now_ms >= MARCH_MS => MARCH_MS,
            "month" => FEBRUARY_MS,
            _ => 0,
        };
        window.max(self.window)
    }
    fn ends(&self, window: i64) -> Option<i64> {
        match self.period {
            "day" => Some(window + DAY_MS),
            "month" if window == MARCH_MS => Some(MARCH_MS + 31 * DAY_MS),
            "month" => Some(MARCH_MS),
            _ => None,
        }
    }
}

/// 2024-02-01 and 2024-03-01.
const FEBRUARY_MS: i64 = 1_706_745_600_000;
const MARCH_MS: i64 = 1_709_251_200_000;

fn moved(replayed: bool, available: i64) -> Outcome {
    Outcome::Moved { replayed, available: Credits(available) }
}

fn outcome_moved(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Moved { replayed: false, .. })
}

fn exceeded(
    subject: &'static str,
    period: &'static str,
    limit: i64,
    spent: i64,
    resets_at_ms: Option<i64>,
) -> Refusal {
    Refusal::BudgetExceeded { subject, period, limit: Credits(limit), spent: Credits(spent), resets_at_ms }
}
