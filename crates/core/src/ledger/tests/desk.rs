//! A store in memory: loads every row into a batch, and writes back only what the batch says has changed.
//!
//! Invariant: like the store, it takes requests and references from what was written, never from the batch's
//! maps.
//! Not here: rules.

use crate::{
    budget::{Budget, Period, Subject},
    credits::Credits,
    fingerprint::Fingerprint,
    id::{AccountId, AgentId, AttemptId, BudgetId, KeyId, TaskId, UsageId},
    ledger::{
        Accept, Account, Book, Books, BudgetNotice, Capture, Clawback, Command, Entry, Grant, Guard, Loss,
        LostUnits, NewOutput, NewTask, Outcome, Reference, Refund, Refusal, Release, Run, RunKey, RunLimit,
        TaskMoney, Working, apply,
    },
    task::{Status, Step},
};
use serde_json::json;
use std::collections::{BTreeMap, HashMap, HashSet};

/// 2024-02-29T12:34:56.789Z.
pub(super) const NOON_MS: i64 = 1_709_210_096_789;

#[derive(Default)]
pub(super) struct Desk {
    pub(super) accounts: HashMap<AccountId, Account>,
    pub(super) tasks: BTreeMap<TaskId, TaskMoney>,
    pub(super) requests: HashMap<(AccountId, String, String), (TaskId, String)>,
    pub(super) runs: HashMap<RunKey, Run>,
    pub(super) entries: Vec<Entry>,
    pub(super) outputs: Vec<(TaskId, NewOutput, i64)>,
    /// By what they are called once, as the store keeps them.
    pub(super) notices: BTreeMap<String, BudgetNotice>,
}

impl Desk {
    /// Accounts 0 to `count`, each with `credits` under the reference `first`.
    pub(super) fn with_accounts(count: u8, credits: i64) -> Self {
        let mut desk = Self::default();
        for n in 0..count {
            desk.accounts.insert(account(n), empty_account(n));
            if credits > 0 {
                desk.one(&grant(n, credits, "first"));
            }
        }
        desk
    }

    pub(super) fn one(&mut self, command: &Command) -> Outcome {
        self.batch(&[(NOON_MS, command.clone())]).remove(0)
    }

    pub(super) fn at(&mut self, now_ms: i64, command: &Command) -> Outcome {
        self.batch(&[(now_ms, command.clone())]).remove(0)
    }

    /// Loads, decides and saves a batch.
    pub(super) fn batch(&mut self, commands: &[(i64, Command)]) -> Vec<Outcome> {
        let mut working = Working {
            accounts: self.accounts.clone(),
            tasks: self.tasks.clone().into_iter().collect(),
            requests: self.requests.clone(),
            runs: self.runs.clone(),
            ..Working::default()
        };
        for entry in &self.entries {
            if let Some(reference) = entry.reference() {
                let key = (entry.account().clone(), reference.to_owned());
                let task = entry.task().cloned();
                working
                    .references
                    .insert(key, Reference { kind: entry.kind(), task, amount: entry.amount() });
            }
        }
        let outcomes = commands.iter().map(|(now_ms, c)| apply(&mut working, *now_ms, c)).collect();
        self.save(working);
        outcomes
    }

    fn save(&mut self, working: Working) {
        for (id, mut account) in working.accounts {
            let stored = self.accounts.get_mut(&id).unwrap();
            for index in std::mem::take(&mut account.budgets_changed) {
                stored.budgets[index] = account.budgets[index].clone();
            }
            if account.changed {
                let budgets = stored.budgets.clone();
                *stored = Account { budgets, changed: false, fault: None, ..account };
            }
        }
        for (id, task) in working.tasks.into_iter().filter(|(_, t)| t.changed) {
            self.tasks.insert(id, TaskMoney { changed: false, ..task });
        }
        for (key, run) in working.runs.into_iter().filter(|(_, r)| r.changed) {
            self.runs.insert(key, Run { changed: false, ..run });
        }
        for new in working.new_tasks {
            let principal = new.task.agent.as_ref().map_or("", AgentId::as_str).to_owned();
            let held = new.task.unit_price.checked_mul(new.task.count).unwrap();
            let request = (new.account.clone(), principal.clone(), new.task.request_id.clone());
            let known = self.requests.insert(request, (new.task.id.clone(), new.task.fingerprint.clone()));
            assert_eq!(known, None, "one task per request id");
            let task = TaskMoney {
                id: new.task.id.clone(),
                account: new.account,
                principal,
                fingerprint: new.task.fingerprint,
                status: Status::Pending,
                step: Step::Queued,
                unit_price: new.task.unit_price,
                count: new.task.count,
                held,
                charged: Credits::ZERO,
                released: Credits::ZERO,
                refunded: Credits::ZERO,
                charges: new.charges,
                run_id: new.run_id,
                fence: 0,
                error: None,
                missing: None,
                provider_task_id: None,
                vendor_cost_micro_usd: None,
                finished_at_ms: None,
                changed: false,
            };
            assert!(self.tasks.insert(new.task.id, task).is_none());
        }
        for notice in working.notices {
            self.notices.entry(notice.once()).or_insert(notice);
        }
        self.entries.extend(working.entries);
        self.outputs.extend(working.new_outputs.into_iter().map(|o| (o.task, o.output, o.at_ms)));
    }

    /// What a worker's claim does to a task's row.
    pub(super) fn claim(&mut self, id: &TaskId) {
        if let Some(task) = self.tasks.get_mut(id).filter(|t| !t.status.is_final()) {
            task.fence += 1;
            task.step = Step::Submitting;
            task.status = Status::Processing;
        }
    }

    pub(super) fn books(&self, n: u8) -> Books {
        self.accounts[&account(n)].books
    }

    pub(super) fn budget(
        &mut self,
        n: u8,
        subject: (Subject, &str),
        period: Period,
        limit: i64,
        now_ms: i64,
    ) {
        let budgets = &mut self.accounts.get_mut(&account(n)).unwrap().budgets;
        budgets.push(Budget {
            id: BudgetId::new(i64::try_from(budgets.len()).unwrap(), [n; 10]),
            subject: subject.0,
            subject_id: subject.1.to_owned(),
            period,
            limit: Credits(limit),
            window_start_ms: period.window_start_ms(now_ms),
            spent: Credits::ZERO,
        });
    }

    /// Recomputes everything that is cached from the entries and tasks, and compares.
    pub(super) fn check(&self) {
        for account in self.accounts.values() {
            let mut books = Books::default();
            let mut head = [0; 32];
            let mut sequence = 0;
            for entry in self.entries.iter().filter(|e| *e.account() == account.id) {
                assert!(entry.amount() > Credits::ZERO);
                books.transfer(entry.from(), entry.to(), entry.amount()).unwrap();
                books.check().unwrap();
                sequence += 1;
                assert_eq!(entry.sequence(), sequence);
                head = *entry.hash();
            }
            if account.books.check().is_ok() {
                assert_eq!(books, account.books, "cached and recomputed");
            }
            assert_eq!((account.sequence, account.head_hash), (sequence, head));
            let open: Vec<_> =
                self.tasks.values().filter(|t| t.account == account.id && !t.status.is_final()).collect();
            assert_eq!(books.get(Book::Held).0, open.iter().map(|t| t.held.0).sum::<i64>());
            assert_eq!(account.open_tasks, i64::try_from(open.len()).unwrap());
            assert!(books.owed <= Credits::ZERO && books.issued <= Credits::ZERO);
        }
        for task in self.tasks.values() {
            let price = task.unit_price.0 * i64::from(task.count);
            assert_eq!(task.held.0 + task.charged.0 + task.released.0, price);
            assert_eq!(task.status.is_final(), task.held == Credits::ZERO);
            assert_eq!(task.status == Status::Success, task.charged > Credits::ZERO);
            assert!((0..=task.charged.0).contains(&task.refunded.0));
            assert_eq!(task.finished_at_ms.is_some(), task.status.is_final());
        }
    }
}

pub(super) fn account(n: u8) -> AccountId {
    AccountId::new(1, [n; 10])
}
pub(super) fn task(n: i64) -> TaskId {
    TaskId::new(n, [0; 10])
}
pub(super) fn agent(n: u8) -> AgentId {
    AgentId::new(2, [n; 10])
}
pub(super) fn key(n: u8) -> KeyId {
    KeyId::new(3, [n; 10])
}
pub(super) fn attempt(n: i64) -> AttemptId {
    AttemptId::new(n, [0; 10])
}

fn empty_account(n: u8) -> Account {
    Account {
        id: account(n),
        frozen_reason: None,
        paused: false,
        closed: false,
        books: Books::default(),
        sequence: 0,
        head_hash: [0; 32],
        open_tasks: 0,
        successors: HashMap::new(),
        budgets: Vec::new(),
        fault: None,
        changed: false,
        budgets_changed: HashSet::new(),
    }
}

pub(super) fn prompt(text: &str) -> String {
    let (model, prompt) = (json!("m"), json!(text));
    Fingerprint::of(&[("model", &model), ("prompt", &prompt)]).encode()
}

/// Task `id` under request id `r{id}`: `count` units at `unit_price`, from agent 0 with key 0.
pub(super) fn new_accept(n: u8, id: i64, unit_price: i64, count: u32) -> Accept {
    Accept {
        account: account(n),
        task: NewTask {
            id: task(id),
            usage_id: UsageId::new(id, [0; 10]),
            agent: Some(agent(0)),
            key: key(0),
            request_id: format!("r{id}"),
            fingerprint: prompt("a cat"),
            model: "m".into(),
            product: "image",
            mode: "test",
            provider: "sandbox".into(),
            vendor_model: "v".into(),
            price_version: "p".into(),
            unit_price: Credits(unit_price),
            count,
            deadline_at_ms: NOON_MS + 60_000,
            body: "{}".into(),
            metadata: None,
        },
        run: None,
        open_tasks_max: 100,
    }
}

pub(super) fn accept(n: u8, id: i64, unit_price: i64, count: u32) -> Command {
    Command::Accept(Box::new(new_accept(n, id, unit_price, count)))
}

pub(super) fn in_run(mut accept: Accept, run_id: &str, max_credits: Option<i64>) -> Command {
    accept.run = Some(RunLimit { run_id: run_id.into(), max_credits: max_credits.map(Credits) });
    Command::Accept(Box::new(accept))
}

pub(super) fn capture(n: u8, id: i64, guard: Guard, delivered: u32) -> Command {
    let output = NewOutput {
        index: 0,
        object_key: format!("k{id}"),
        kind: "image",
        mime: "image/png".into(),
        width: Some(1),
        height: Some(1),
        duration_ms: None,
        bytes: 1,
        sha256: "0".repeat(64),
    };
    Command::Capture(Box::new(Capture {
        account: account(n),
        task: task(id),
        guard,
        delivered,
        outputs: vec![output],
        missing: None,
        provider_task_id: None,
        loss: None,
        vendor_cost_micro_usd: None,
    }))
}

/// A capture some units of which a vendor may bill although they did not come.
pub(super) fn capture_with_loss(n: u8, id: i64, guard: Guard, delivered: u32, lost: (i64, u32)) -> Command {
    let Command::Capture(mut whole) = capture(n, id, guard, delivered) else { unreachable!() };
    whole.loss = Some(LostUnits { attempt: attempt(lost.0), units: lost.1 });
    Command::Capture(whole)
}

pub(super) fn release(n: u8, id: i64, guard: Guard, status: Status, loss: Option<i64>) -> Command {
    Command::Release(Box::new(Release {
        account: account(n),
        task: task(id),
        guard,
        status,
        error: "provider_failed",
        message: "it failed".into(),
        missing: None,
        loss: loss.map(|id| LostUnits::all(attempt(id))),
        vendor_cost_micro_usd: None,
        trail: None,
    }))
}

pub(super) fn grant(n: u8, amount: i64, reference: &str) -> Command {
    Command::Grant(Grant { account: account(n), amount: Credits(amount), reference: reference.into() })
}
pub(super) fn refund(n: u8, id: i64, amount: i64, reference: &str) -> Command {
    let reference = reference.into();
    Command::Refund(Refund { account: account(n), task: task(id), amount: Credits(amount), reference })
}
pub(super) fn loss(n: u8, id: i64, attempt_id: i64) -> Command {
    Command::Loss(Loss { account: account(n), task: task(id), lost: LostUnits::all(attempt(attempt_id)) })
}
pub(super) fn clawback(n: u8, amount: i64, reference: &str) -> Command {
    Command::Clawback(Clawback { account: account(n), amount: Credits(amount), reference: reference.into() })
}

pub(super) fn accepted(held: i64) -> Outcome {
    Outcome::Accepted { held: Credits(held) }
}
pub(super) fn settled(charged: i64, released: i64) -> Outcome {
    Outcome::Settled { charged: Credits(charged), released: Credits(released) }
}
pub(super) fn moved(replayed: bool, available: i64) -> Outcome {
    Outcome::Moved { replayed, available: Credits(available) }
}
pub(super) fn refused(refusal: Refusal) -> Outcome {
    Outcome::Refused(refusal)
}
