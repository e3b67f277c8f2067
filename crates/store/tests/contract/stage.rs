//! Opens fresh stores and makes commands for the tests.
//!
//! Invariant: every stage is a database of its own, of the kind that the run asks for (`database`); it goes
//! when the stage is dropped. Not here: assertions about nouns.

use crate::database::{TestDatabase, is_postgres};

use rynjer_core::{
    credits::Credits,
    fingerprint::Fingerprint,
    id::{AccountId, AgentId, AttemptId, BudgetId, FamilyId, KeyId, TaskId, UsageId},
    ledger::{
        Accept, Capture, Clawback, Command, Grant, Guard, Loss, LostUnits, NewOutput, NewTask, Outcome,
        Refund, Release,
    },
    task::Status,
};
use rynjer_store::{
    Database, Finding, Link, Settings, Store, StoreError, Tx, account, audit_account, audit_accounts,
    audit_tasks,
    lease::{self, Claim, Claimed},
    task::TaskRow,
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// 2024-02-29T12:34:56.789Z.
pub(crate) const NOON_MS: i64 = 1_709_210_096_789;
pub(crate) const LEASE_MS: i64 = 30_000;

/// A store with its folder.
pub(crate) struct Stage {
    pub(crate) store: Store,
    folder: TempDir,
    database: TestDatabase,
}

/// A store with an empty database.
pub(crate) fn fresh_store() -> Stage {
    stage_with(|_| {})
}

/// A fresh store whose settings differ.
pub(crate) fn stage_with(change: impl FnOnce(&mut Settings)) -> Stage {
    let (folder, database) = (tempfile::tempdir().unwrap(), TestDatabase::fresh());
    let mut settings = settings_of(&database.url(folder.path()));
    change(&mut settings);
    Stage { store: Store::open(&settings, NOON_MS).unwrap(), folder, database }
}

/// Settings of a SQLite file.
pub(crate) fn settings(path: PathBuf) -> Settings {
    Settings {
        database: Database::Sqlite(path),
        reader_threads: 2,
        writer_threads: 2,
        queue_capacity: 10_000,
        batch_max: 512,
        writer_id: "test".into(),
        notify: true,
    }
}

pub(crate) fn settings_of(url: &str) -> Settings {
    match url.strip_prefix("sqlite:") {
        Some(path) => settings(path.into()),
        None => {
            let database = Database::Postgres(Box::new(Link::parse(url).unwrap()));
            Settings { database, ..settings(PathBuf::new()) }
        }
    }
}

impl Stage {
    /// A fresh store with accounts 0 to `count`, each granted `credits`.
    pub(crate) async fn with_accounts(count: u8, credits: i64) -> Self {
        let stage = fresh_store();
        stage.add_accounts(count, credits).await;
        stage
    }

    pub(crate) async fn add_accounts(&self, count: u8, credits: i64) {
        for n in 0..count {
            let email = format!("owner{n}@example.com");
            self.write(move |tx| account::create(tx, &account_id(n), &email, "test", NOON_MS)).await;
            if credits > 0 {
                let granted = self.submit(grant(n, credits, "first")).await;
                assert_eq!(granted, moved(false, credits));
            }
        }
    }

    /// The file, in tests of files.
    pub(crate) fn path(&self) -> PathBuf {
        self.store.file().unwrap().to_owned()
    }

    /// The database's URL.
    pub(crate) fn url(&self) -> String {
        self.database.url(self.folder.path())
    }

    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends the store and opens its file again.
    pub(crate) fn reopen(self) -> Self {
        let settings = self.another_process();
        let Self { store, folder, database } = self;
        drop(store);
        Self { store: Store::open(&settings, NOON_MS).unwrap(), folder, database }
    }

    /// Settings of another process on the same database; no two have one name.
    fn another_process(&self) -> Settings {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let writer_id = format!("test{}", STARTED.fetch_add(1, Ordering::SeqCst));
        Settings { writer_id, ..settings_of(&self.url()) }
    }

    /// Another process's store on the same database.
    pub(crate) fn second_store(&self) -> Store {
        Store::open(&self.another_process(), NOON_MS).unwrap()
    }

    pub(crate) async fn submit(&self, command: Command) -> Outcome {
        self.submit_at(NOON_MS, command).await
    }

    pub(crate) async fn submit_at(&self, now_ms: i64, command: Command) -> Outcome {
        self.store.submit(now_ms, command).await.unwrap()
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        unit: impl FnMut(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.store.write(unit).await.unwrap()
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        unit: impl FnOnce(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.store.read(unit).await.unwrap()
    }

    /// The first column of the first row, as a number.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let sql = sql.to_owned();
        self.read(move |tx| tx.one(&sql, &[])?.unwrap().int(0)).await
    }

    pub(crate) async fn account(&self, n: u8) -> account::AccountRow {
        self.read(move |tx| account::get(tx, &account_id(n))).await.unwrap()
    }

    pub(crate) async fn task(&self, n: u8, id: i64) -> TaskRow {
        let row =
            self.read(move |tx| rynjer_store::task::by_id(tx, &account_id(n), None, &task_id(id))).await;
        row.unwrap()
    }

    /// All findings of all accounts.
    pub(crate) async fn audit(&self) -> Vec<Finding> {
        self.read(|tx| {
            let mut findings = Vec::new();
            for account in audit_accounts(tx)? {
                findings.extend(audit_account(tx, &account)?);
                findings.extend(audit_tasks(tx, &account, NOON_MS)?);
            }
            Ok(findings)
        })
        .await
    }

    pub(crate) async fn assert_clean(&self) {
        assert_eq!(self.audit().await, []);
        assert_eq!(self.store.integrity_check().await.unwrap(), None);
    }

    pub(crate) async fn claim(&self, claim: Claim) -> Claimed {
        self.write(move |tx| lease::claim(tx, &claim)).await
    }

    /// Accepts, claims and captures task `id` of account `n`, which must be the only one due.
    pub(crate) async fn generate(&self, n: u8, id: i64, unit_price: i64, count: u32) {
        self.submit(accept(n, id, unit_price, count)).await;
        let leased = self.claim(claim_at(NOON_MS, 1, id * 100)).await.tasks.remove(0);
        assert_eq!(leased.id, task_id(id));
        let price = unit_price * i64::from(count);
        let captured = self.submit(capture(n, id, leased.fence, count)).await;
        assert_eq!(captured, settled(price, 0));
    }
}

/// Submits all at once and returns the answers in the order of the commands.
pub(crate) async fn all_at_once(store: &Store, commands: Vec<Command>) -> Vec<Result<Outcome, StoreError>> {
    let mut set = JoinSet::new();
    for (index, command) in commands.into_iter().enumerate() {
        let store = store.clone();
        set.spawn(async move { (index, store.submit(NOON_MS, command).await) });
    }
    let mut answers = set.join_all().await;
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// A writer that is held up by a unit, so that what is queued meanwhile becomes one batch.
pub(crate) struct HeldUp {
    go: std::sync::mpsc::Sender<()>,
    held: JoinSet<()>,
}

pub(crate) async fn hold_up(store: &Store) -> HeldUp {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    let mut began = Some(began);
    let mut held = JoinSet::new();
    let busy = store.clone();
    held.spawn(async move {
        let hold = move |tx: &mut dyn Tx| {
            if is_postgres() {
                // No commit passes, but this unit's own.
                tx.exec("LOCK TABLE writer_batches IN ACCESS EXCLUSIVE MODE", &[])?;
            }
            if let Some(began) = began.take() {
                began.send(()).unwrap();
            }
            wait.recv().unwrap();
            Ok::<_, StoreError>(())
        };
        busy.write(hold).await.unwrap();
    });
    begun.await.unwrap();
    if is_postgres() {
        // The ledger's writer is another thread: it is held up at the commit of a command that does nothing.
        let decoy = store.clone();
        held.spawn(async move {
            decoy.submit(NOON_MS, grant(u8::MAX, 1, "nobody")).await.unwrap();
        });
        let waits =
            |tx: &mut dyn Tx| tx.one("SELECT COUNT(*) FROM pg_locks WHERE NOT granted", &[])?.unwrap().int(0);
        while store.read(waits).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    }
    HeldUp { go, held }
}

impl HeldUp {
    pub(crate) async fn let_go(mut self) {
        self.go.send(()).unwrap();
        while let Some(ended) = self.held.join_next().await {
            ended.unwrap();
        }
    }
}

/// Submits all into one batch.
pub(crate) async fn in_one_batch(store: &Store, commands: Vec<Command>) -> Vec<Result<Outcome, StoreError>> {
    let held = hold_up(store).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let mut set = JoinSet::new();
    for (index, command) in commands.into_iter().enumerate() {
        let (store, counted) = (store.clone(), Arc::clone(&sent));
        set.spawn(async move {
            // The test's runtime has one thread: the command is queued before anything else runs.
            counted.fetch_add(1, Ordering::SeqCst);
            (index, store.submit(NOON_MS, command).await)
        });
        // One after the other, so that they are decided in their order.
        while sent.load(Ordering::SeqCst) <= index {
            tokio::task::yield_now().await;
        }
    }
    held.let_go().await;
    let mut answers = set.join_all().await;
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// A claim by worker `w`, idle, with attempt ids from `first_attempt` on.
pub(crate) fn claim_at(now_ms: i64, limit: usize, first_attempt: i64) -> Claim {
    let attempts = first_attempt..first_attempt + i64::try_from(limit).unwrap();
    Claim {
        provider: "sandbox".into(),
        owner: "w".into(),
        now_ms,
        lease_ms: LEASE_MS,
        limit,
        after_account: String::new(),
        idle: true,
        in_hand: std::collections::BTreeMap::new(),
        per_account_max: 0,
        without: Vec::new(),
        task_ms: std::sync::Arc::default(),
        held: std::collections::BTreeSet::new(),
        fresh_attempts: attempts.map(attempt_id).collect(),
    }
}

pub(crate) fn account_id(n: u8) -> AccountId {
    AccountId::new(i64::from(n), [n; 10])
}
pub(crate) fn agent_id(n: u8) -> AgentId {
    AgentId::new(2, [n; 10])
}
pub(crate) fn key_id(n: u8) -> KeyId {
    KeyId::new(3, [n; 10])
}
pub(crate) fn budget_id(n: u8) -> BudgetId {
    BudgetId::new(4, [n; 10])
}
pub(crate) fn family_id(n: u8) -> FamilyId {
    FamilyId::new(5, [n; 10])
}
pub(crate) fn task_id(id: i64) -> TaskId {
    TaskId::new(id, [0; 10])
}
pub(crate) fn attempt_id(id: i64) -> AttemptId {
    AttemptId::new(id, [0; 10])
}

/// Task `id` under request id `r{id}`, from agent 0 with key 0.
pub(crate) fn new_accept(n: u8, id: i64, unit_price: i64, count: u32) -> Accept {
    let (model, prompt) = (serde_json::json!("m"), serde_json::json!("a cat"));
    Accept {
        account: account_id(n),
        task: NewTask {
            id: task_id(id),
            usage_id: UsageId::new(id, [0; 10]),
            agent: Some(agent_id(0)),
            key: key_id(0),
            request_id: format!("r{id}"),
            fingerprint: Fingerprint::of(&[("model", &model), ("prompt", &prompt)]).encode(),
            model: "m".into(),
            product: "image",
            mode: "test",
            provider: "sandbox".into(),
            vendor_model: "v".into(),
            price_version: "p".into(),
            unit_price: Credits(unit_price),
            count,
            deadline_at_ms: NOON_MS + 600_000,
            body: "{}".into(),
            metadata: None,
        },
        run: None,
        open_tasks_max: 1_000_000,
    }
}

pub(crate) fn accept(n: u8, id: i64, unit_price: i64, count: u32) -> Command {
    Command::Accept(Box::new(new_accept(n, id, unit_price, count)))
}

pub(crate) fn output(index: u32, key: &str) -> NewOutput {
    NewOutput {
        index,
        object_key: key.into(),
        kind: "image",
        mime: "image/png".into(),
        width: Some(64),
        height: Some(32),
        duration_ms: None,
        bytes: 1000,
        sha256: "ab".repeat(32),
    }
}

pub(crate) fn capture(n: u8, id: i64, fence: i64, delivered: u32) -> Command {
    Command::Capture(Box::new(Capture {
        account: account_id(n),
        task: task_id(id),
        guard: Guard::Fence(fence),
        delivered,
        outputs: vec![output(0, &format!("object{id}"))],
        missing: None,
        provider_task_id: None,
        loss: None,
        vendor_cost_micro_usd: None,
    }))
}

pub(crate) fn release(n: u8, id: i64, guard: Guard, loss: Option<i64>) -> Command {
    Command::Release(Box::new(Release {
        account: account_id(n),
        task: task_id(id),
        guard,
        status: Status::Failed,
        error: "provider_failed",
        message: "it failed".into(),
        missing: None,
        loss: loss.map(|id| LostUnits::all(attempt_id(id))),
        vendor_cost_micro_usd: None,
        trail: None,
    }))
}

pub(crate) fn grant(n: u8, amount: i64, reference: &str) -> Command {
    Command::Grant(Grant { account: account_id(n), amount: Credits(amount), reference: reference.into() })
}
pub(crate) fn refund(n: u8, id: i64, amount: i64, reference: &str) -> Command {
    let (account, task, reference) = (account_id(n), task_id(id), reference.into());
    Command::Refund(Refund { account, task, amount: Credits(amount), reference })
}
pub(crate) fn loss(n: u8, id: i64, attempt: i64) -> Command {
    Command::Loss(Loss {
        account: account_id(n),
        task: task_id(id),
        lost: LostUnits::all(attempt_id(attempt)),
    })
}
pub(crate) fn clawback(n: u8, amount: i64, reference: &str) -> Command {
    let (account, reference) = (account_id(n), reference.into());
    Command::Clawback(Clawback { account, amount: Credits(amount), reference })
}

pub(crate) fn accepted(held: i64) -> Outcome {
    Outcome::Accepted { held: Credits(held) }
}
pub(crate) fn settled(charged: i64, released: i64) -> Outcome {
    Outcome::Settled { charged: Credits(charged), released: Credits(released) }
}
pub(crate) fn moved(replayed: bool, available: i64) -> Outcome {
    Outcome::Moved { replayed, available: Credits(available) }
}
