//! Random batches of commands against the model, and proof that the generator reaches every outcome.
//!
//! Invariant: after every batch each outcome and each balance equals the model's. Not here: the model.

use super::{
    desk::{
        Desk, NOON_MS, account, agent, capture, capture_with_loss, clawback, grant, in_run, key, loss,
        new_accept, prompt, refund, release, task,
    },
    model::{Limit, Model},
};
use crate::{
    budget::{Period, Subject},
    credits::Credits,
    ledger::{Book, Command, Guard, Outcome, Refusal},
    task::Status,
    time::DAY_MS,
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use std::collections::BTreeMap;

/// One step of a random history, as five numbers, so that it shrinks to small ones.
type Raw = (u8, u8, u8, u8, u8);

/// The ledger and the model side by side.
struct Pair {
    desk: Desk,
    model: Model,
    now_ms: i64,
    next_task: i64,
    waiting: Vec<(i64, Command)>,
    seen: BTreeMap<String, usize>,
}

impl Pair {
    fn new() -> Self {
        let mut pair = Self {
            desk: Desk::with_accounts(3, 0),
            model: Model::default(),
            now_ms: NOON_MS,
            next_task: 0,
            waiting: Vec::new(),
            seen: BTreeMap::new(),
        };
        for n in 0..3 {
            pair.command(grant(n, [300, 400, 90][usize::from(n)], "first"));
        }
        pair.flush();
        for (n, subject, id, period, most) in [
            (0, Subject::Account, account(0).to_string(), Period::Month, 110),
            (0, Subject::Agent, agent(0).to_string(), Period::Day, 60),
            (0, Subject::Key, key(1).to_string(), Period::Total, 70),
            (1, Subject::Key, key(0).to_string(), Period::Day, 60),
            (1, Subject::Account, account(1).to_string(), Period::Total, 120),
        ] {
            pair.desk.budget(n, (subject, &id), period, most, NOON_MS);
            pair.model.limits.push(Limit {
                account: account(n).to_string(),
                subject: subject.as_str(),
                id,
                period: period.as_str(),
                most,
                window: period.window_start_ms(NOON_MS),
            });
        }
        pair
    }

    fn command(&mut self, command: Command) {
        self.waiting.push((self.now_ms, command));
    }

    /// Runs what waits as one batch, and one by one in the model.
    fn flush(&mut self) {
        let batch = std::mem::take(&mut self.waiting);
        let outcomes = self.desk.batch(&batch);
        for ((now_ms, command), outcome) in batch.iter().zip(outcomes) {
            let expected = self.model.decide(*now_ms, command);
            assert_eq!(outcome, expected, "{command:?}");
            *self.seen.entry(name_of(&outcome)).or_default() += 1;
        }
        self.desk.check();
        for n in 0..3 {
            let id = account(n).to_string();
            let books = self.desk.books(n);
            let mut expected = self.model.books(&id);
            if self.model.broken.contains(&id) {
                expected[0] += 1;
            }
            assert_eq!(Book::ALL.map(|book| books.get(book).0), expected);
            let frozen = self.model.is_frozen(&id) || self.model.broken.contains(&id);
            let stored = self.desk.accounts[&account(n)].frozen_reason.is_some();
            assert!(stored == frozen || self.model.broken.contains(&id));
        }
    }

    fn step(&mut self, (kind, a, b, c, d): Raw) {
        let n = if a == 255 { 3 } else { a % 3 };
        // Commands about a task follow the commit that made it: nobody knows its id before.
        let id = self.some_task(b);
        let of = self.owner(id, a);
        match kind % 32 {
            0..=11 => self.accept(n, b, c, d),
            12..=15 => {
                self.flush();
                let delivered = [1, 1, 2, 3, 2, 1, 0, 4][usize::from(d % 8)];
                let guard = self.guard(id, c);
                self.command(if d.is_multiple_of(3) {
                    capture_with_loss(of, id, guard, delivered, (i64::from(d % 20), u32::from(d % 4) + 1))
                } else {
                    capture(of, id, guard, delivered)
                });
            }
            16..=18 => {
                self.flush();
                let status = if d.is_multiple_of(2) { Status::Failed } else { Status::Canceled };
                let loss = (d.is_multiple_of(5)).then_some(i64::from(d % 20));
                self.command(release(of, id, self.guard(id, c), status, loss));
            }
            19..=22 => {
                self.flush();
                self.claim(id);
            }
            23 => self.command(grant(n, i64::from(c % 8) * 12 - 12, &format!("g{}", d % 24))),
            24 => {
                self.flush();
                self.command(refund(of, id, i64::from(c % 30), &format!("g{}", d % 60)));
            }
            25 => {
                self.flush();
                self.command(loss(of, id, i64::from(d % 20)));
            }
            26 if c.is_multiple_of(2) => {
                self.command(clawback(n, i64::from(d % 200) - 10, &format!("g{}", c % 24)));
            }
            27 => {
                self.now_ms =
                    (self.now_ms + (i64::from(c) - 64) * DAY_MS / 96).clamp(NOON_MS, NOON_MS + DAY_MS);
            }
            28 => {
                self.flush();
                self.freeze(n % 3, c < 24);
            }
            29 if b.is_multiple_of(64) => {
                self.flush();
                self.damage(n % 3);
            }
            _ => self.flush(),
        }
    }

    /// Mostly a task that exists.
    fn some_task(&self, b: u8) -> i64 {
        let known = self.desk.tasks.keys().nth(usize::from(b) % self.desk.tasks.len().max(1));
        let ids = 0..self.next_task;
        ids.into_iter()
            .find(|id| !b.is_multiple_of(16) && known == Some(&task(*id)))
            .unwrap_or(self.next_task)
    }

    /// Mostly the task's own account.
    fn owner(&self, id: i64, a: u8) -> u8 {
        let of = (0..3).find(|n| self.desk.tasks.get(&task(id)).is_some_and(|t| t.account == account(*n)));
        of.filter(|_| !a.is_multiple_of(16)).unwrap_or(a % 3)
    }

    fn guard(&self, id: i64, c: u8) -> Guard {
        let fence = self.desk.tasks.get(&task(id)).map_or(0, |t| t.fence);
        match c % 8 {
            0 => Guard::Fence(fence - 1),
            1 => Guard::NotSubmitted,
            _ => Guard::Fence(fence),
        }
    }

    fn accept(&mut self, n: u8, b: u8, c: u8, d: u8) {
        let mut accept = new_accept(n, self.next_task, i64::from(c % 22), 1 + u32::from(b % 3));
        self.next_task += 1;
        accept.open_tasks_max = if d.is_multiple_of(4) { 3 } else { 12 };
        accept.task.agent = (!c.is_multiple_of(3)).then(|| agent(c % 2));
        accept.task.key = key(b % 2);
        accept.task.fingerprint = prompt(if d.is_multiple_of(8) { "a dog" } else { "a cat" });
        if d < 96 {
            accept.task.request_id = format!("r{}", d % 40);
        }
        let limit = [None, Some(40), Some(40), Some(40), Some(90)][usize::from(d % 5)];
        let command = if b.is_multiple_of(3) {
            in_run(accept, ["x", "y"][usize::from(c % 2)], limit)
        } else {
            Command::Accept(Box::new(accept))
        };
        self.command(command);
    }

    fn claim(&mut self, id: i64) {
        self.desk.claim(&task(id));
        if let Some(job) = self.model.jobs.iter_mut().find(|j| j.id == task(id))
            && !job.status.is_final()
        {
            job.fence += 1;
            job.status = Status::Processing;
        }
    }

    fn freeze(&mut self, n: u8, frozen: bool) {
        let id = account(n);
        self.model.frozen.retain(|f| *f != id.to_string());
        self.model.owing.retain(|f| *f != id.to_string());
        if frozen {
            self.model.frozen.push(id.to_string());
        }
        let account = self.desk.accounts.get_mut(&id).unwrap();
        account.frozen_reason = frozen.then(|| "the operator".to_owned());
    }

    fn damage(&mut self, n: u8) {
        let id = account(n).to_string();
        if !self.model.broken.contains(&id) {
            self.model.broken.push(id);
            self.desk.accounts.get_mut(&account(n)).unwrap().books.available.0 += 1;
        }
    }
}

fn name_of(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { .. } => "accepted".into(),
        Outcome::Replayed { .. } => "replayed".into(),
        Outcome::Settled { charged: Credits(0), .. } => "released".into(),
        Outcome::Settled { released: Credits(0), .. } => "captured".into(),
        Outcome::Settled { .. } => "captured in part".into(),
        Outcome::Moved { replayed, .. } => format!("moved, replayed {replayed}"),
        Outcome::Stale { status } => format!("stale {}", status.as_str()),
        Outcome::Refused(Refusal::BudgetExceeded { subject, period, .. }) => {
            format!("budget of {subject} per {period}")
        }
        Outcome::Refused(refusal) => {
            format!("{refusal:?}").split([' ', '{']).next().unwrap_or_default().to_owned()
        }
    }
}

fn histories() -> impl Strategy<Value = Vec<Raw>> {
    proptest::collection::vec(any::<Raw>(), 1..160)
}

proptest! {
    #![proptest_config(Config { cases: 400, failure_persistence: None, ..Config::default() })]
    #[test]
    fn the_ledger_and_the_model_never_differ(history in histories()) {
        let mut pair = Pair::new();
        history.into_iter().for_each(|raw| pair.step(raw));
        pair.flush();
    }
}

/// Every outcome of every command, by name, that a history may reach.
const OUTCOMES: [&str; 25] = [
    "accepted",
    "replayed",
    "released",
    "captured",
    "captured in part",
    "moved, replayed false",
    "moved, replayed true",
    "stale pending",
    "stale processing",
    "stale success",
    "stale failed",
    "stale canceled",
    "budget of run per total",
    "budget of account per month",
    "budget of account per total",
    "budget of agent per day",
    "budget of key per day",
    "RequestIdReused",
    "AccountUnknown",
    "AccountFrozen",
    "TooManyOpenTasks",
    "RunLimitFixed",
    "InsufficientCredits",
    "ReferenceReused",
    "LedgerFault",
];
/// Reached too, but by commands of all kinds.
const MORE: [&str; 3] = ["budget of key per total", "TaskUnknown", "AmountInvalid"];

#[test]
fn the_generator_reaches_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..400 {
        let mut pair = Pair::new();
        let history = proptest::collection::vec(any::<Raw>(), 160..240).new_tree(&mut runner).unwrap();
        history.current().into_iter().for_each(|raw| pair.step(raw));
        pair.flush();
        for (name, count) in pair.seen {
            *seen.entry(name).or_default() += count;
        }
    }
    let rare: Vec<_> =
        OUTCOMES.iter().chain(&MORE).filter(|n| seen.get(**n).copied().unwrap_or(0) < 40).collect();
    assert!(rare.is_empty(), "seldom reached: {rare:?} in {seen:#?}");
    let unknown: Vec<_> =
        seen.keys().filter(|n| !OUTCOMES.contains(&n.as_str()) && !MORE.contains(&n.as_str())).collect();
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");
    let all: usize = seen.values().sum();
    let moving = ["accepted", "released", "captured", "captured in part", "moved, replayed false"];
    let success: usize = moving.iter().map(|n| seen[*n]).sum();
    assert!((25..=90).contains(&(100 * success / all)), "{success} of {all}: {seen:#?}");
}
