//! A gateway for one test: its folder, its clock, an account with credits, an agent with a real key.
//!
//! Invariant: when it goes, every task has ended, the audit finds nothing, and the gateway is shut down. Not
//! here: what is asked of it (`client`), how agents sign (`agent`).

pub(crate) mod agent;
pub(crate) mod answer;
pub(crate) mod browser;
pub(crate) mod canary;
pub(crate) mod client;
#[path = "../../../../store/tests/contract/database.rs"]
pub(crate) mod database;
pub(crate) mod hostile;
pub(crate) mod neighbour;
pub(crate) mod png;
pub(crate) mod routes;
pub(crate) mod s3;
pub(crate) mod shop;
pub(crate) mod upload;
pub(crate) mod vendor;
pub(crate) mod web;

pub(crate) use agent::{Agent, Signer};
pub(crate) use answer::{Answer, redacted};
pub(crate) use client::Client;

use database::TestDatabase;
use rynjer_core::{
    id::AccountId,
    scope::{Scope, Scopes},
};
use rynjer_server::{
    app::admin::Admin,
    clock::Clock,
    config::Config,
    gateway::{Gateway, Options, Role, StartError},
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicI64},
    time::Duration,
};
use tempfile::TempDir;
use toml::{Table, Value};

/// The time of the first call of the published examples.
pub(crate) const START_S: i64 = 1_742_291_400;
/// What the gateway calls itself, whatever its port.
pub(crate) const BASE_URL: &str = "https://gateway.test";
/// What an account of a test starts with.
pub(crate) const CREDITS: i64 = 100_000;
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// How long a condition may take to come true, in the machine's time.
const PATIENCE: Duration = Duration::from_secs(60);

const SETTINGS: &str = r#"
[server]
listen = "127.0.0.1:0"
public_url = "https://gateway.test"
metrics_listen = ""
[limits]
rate_limits = false
[sandbox]
parallel_renders = 2
"#;

/// A gateway, and what a test needs beside it.
pub(crate) struct TestApp {
    gateway: Option<Gateway>,
    router: client::SharedRouter,
    clock: Clock,
    _folder: TempDir,
    data_dir: PathBuf,
    /// Dropped after the gateway, and so is what is in it.
    database: TestDatabase,
    settings: Table,
    role: Role,
    /// The account that `agent` and `account_key` belong to.
    pub(crate) account: AccountId,
    pub(crate) other: AccountId,
    /// Bound to `account` with every scope, with a key and an access token.
    pub(crate) agent: Agent,
    account_key: String,
    other_key: String,
}

impl TestApp {
    /// A gateway over a database of its own with the settings of tests.
    pub(crate) async fn sqlite() -> Self {
        Self::with("").await
    }

    /// The same with more settings.
    pub(crate) async fn with(settings: &str) -> Self {
        Self::start(settings, Role::All).await
    }

    /// The same in another role. `{folder}` in the settings is the test's folder.
    pub(crate) async fn start(settings: &str, role: Role) -> Self {
        Box::pin(Self::at(settings, role, Clock::manual(START_S * 1000))).await
    }

    /// A gateway as of `serve --test-clock`, whose clock goes on from the time that tests start at.
    pub(crate) async fn with_moving_clock(settings: &str) -> Self {
        let offset_ms = START_S * 1000 - Clock::System.now_ms();
        Box::pin(Self::at(settings, Role::All, Clock::Moved(Arc::new(AtomicI64::new(offset_ms))))).await
    }

    /// The same by another clock.
    pub(crate) async fn at(settings: &str, role: Role, clock: Clock) -> Self {
        canary::watch();
        let folder = TempDir::new().expect("a temporary folder");
        let data_dir = folder.path().join("data");
        let settings = settings.replace("{folder}", &folder.path().display().to_string());
        let database = TestDatabase::fresh();
        let settings = merged(&database, folder.path(), settings.parse().expect("settings of the test"));
        let gateway = Box::pin(open(&settings, &data_dir, role, &clock)).await;
        let admin = gateway.admin().clone();
        let account = admin.account_create("owner@example.com", false, CREDITS).await.expect("an account").id;
        let other = admin.account_create("other@example.com", false, 1000).await.expect("another").id;
        let account_key = key_of(&admin, &account, Scopes::ALL).await;
        let other_key = key_of(&admin, &other, Scopes::ALL).await;
        let router = client::SharedRouter::new(Mutex::new(gateway.router()));
        let stranger = Client::new(&router, None);
        let signer = Signer::at(1, clock.now_ms() / 1000);
        let agent = Agent::ready(&stranger, &admin, &account, signer).await;
        Self {
            gateway: Some(gateway),
            router,
            clock,
            _folder: folder,
            data_dir,
            database,
            settings,
            role,
            account,
            other,
            agent,
            account_key,
            other_key,
        }
    }

    /// Stops the gateway and starts another one in the same folder, at the same time of the clock.
    pub(crate) async fn restart(&mut self) {
        self.restart_as(self.role).await;
    }

    /// The same with other settings than the test began with.
    pub(crate) async fn restart_with(&mut self, settings: &str) {
        let own = settings.parse().expect("settings of the test");
        self.settings = merged(&self.database, &self.data_dir, own);
        self.restart().await;
    }

    /// The same with another role.
    pub(crate) async fn restart_as(&mut self, role: Role) {
        if let Some(gateway) = self.gateway.take() {
            gateway.shutdown().await;
        }
        self.role = role;
        let gateway = open(&self.settings, &self.data_dir, role, &self.clock).await;
        *self.router.lock().expect("the router") = gateway.router();
        self.gateway = Some(gateway);
    }

    /// Like `restart_with`, where the start may be refused: the sentence, and no gateway then.
    pub(crate) async fn try_restart_with(&mut self, settings: &str) -> Option<String> {
        let own = settings.parse().expect("settings of the test");
        self.settings = merged(&self.database, &self.data_dir, own);
        if let Some(gateway) = self.gateway.take() {
            gateway.shutdown().await;
        }
        match start(&self.settings, &self.data_dir, self.role, &self.clock).await {
            Ok(gateway) => {
                *self.router.lock().expect("the router") = gateway.router();
                self.gateway = Some(gateway);
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }

    /// Stops the gateway, puts a copy of before in the place of its database, and starts it again.
    pub(crate) async fn restart_from(&mut self, copy: &Path) {
        if let Some(gateway) = self.gateway.take() {
            gateway.shutdown().await;
        }
        // The routes hold the store, and the store its file.
        *self.router.lock().expect("the router") = axum::Router::new();
        let file = self.data_dir.join("rynjer.db");
        for beside in ["-wal", "-shm"] {
            drop(std::fs::remove_file(format!("{}{beside}", file.display())));
        }
        std::fs::copy(copy, file).expect("a database");
        self.restart().await;
    }

    /// Changes a setting for the next start.
    pub(crate) fn set(&mut self, section: &str, key: &str, value: Value) {
        let place = self.settings.entry(section).or_insert_with(|| Value::Table(Table::new()));
        place.as_table_mut().expect("a section").insert(key.to_owned(), value);
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("a running gateway")
    }

    pub(crate) fn admin(&self) -> &Admin {
        self.gateway().admin()
    }

    /// The gateway's folder.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The clock's time in unix seconds.
    pub(crate) fn now_s(&self) -> i64 {
        self.clock.now_ms() / 1000
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Moves the clock and lets the worker look for what is due now.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.gateway().wake_worker();
    }

    /// A caller with that bearer credential.
    pub(crate) fn bearer(&self, token: &str) -> Client {
        Client::new(&self.router, Some(token))
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client::new(&self.router, None)
    }

    pub(crate) fn agent_token(&self) -> Client {
        self.bearer(&self.agent.access_token)
    }

    pub(crate) fn agent_key(&self) -> Client {
        self.bearer(&self.agent.api_key)
    }

    pub(crate) fn account_key(&self) -> Client {
        self.bearer(&self.account_key)
    }

    /// The account key itself, for other nodes.
    pub(crate) fn account_key_text(&self) -> &str {
        &self.account_key
    }

    pub(crate) fn other_account(&self) -> Client {
        self.bearer(&self.other_key)
    }

    /// A caller with an account key of those scopes.
    pub(crate) async fn scoped(&self, scopes: &[Scope]) -> Client {
        let scopes: Scopes = scopes.iter().copied().collect();
        self.bearer(&key_of(self.admin(), &self.account, scopes).await)
    }

    /// Another agent of the account with every scope.
    pub(crate) async fn another_agent(&self, seed: u8) -> Agent {
        Agent::ready(&self.anonymous(), self.admin(), &self.account, Signer::at(seed, self.now_s())).await
    }

    /// Available and held credits of the account.
    pub(crate) async fn books(&self) -> (i64, i64) {
        let row = self.admin().account_show(&self.account).await.expect("the account");
        (row.books.available.0, row.books.held.0)
    }

    /// What a test checks to see that nothing has changed: every account's books and how many tasks are open.
    pub(crate) async fn ledger(&self) -> String {
        let rows = self.admin().account_list().await.expect("the accounts");
        rows.iter().map(|row| format!("{} {:?} {}\n", row.email, row.books, row.open_tasks)).collect()
    }

    /// Waits until no task is open any more.
    pub(crate) async fn settle(&self) {
        until("every task has ended", async || (self.open_tasks().await == 0).then_some(())).await;
    }

    async fn open_tasks(&self) -> i64 {
        let rows = self.admin().account_list().await.expect("the accounts");
        rows.iter().map(|row| row.open_tasks).sum()
    }

    /// Lets every open task run into its time limit: what is still open then is stuck.
    async fn run_out(&self) {
        let mut looks = 0;
        let over = async || {
            looks += 1;
            if looks % 100 == 0 {
                self.advance(HOUR);
            }
            (self.open_tasks().await == 0).then_some(())
        };
        until("no task is stuck", over).await;
    }

    /// No task is stuck, the audit finds nothing, the gateway stops.
    async fn end(&mut self) {
        if self.gateway.is_none() {
            return;
        }
        if self.role != Role::Api {
            self.run_out().await;
        }
        let report = self.admin().audit().await.expect("an audit");
        assert!(report.findings.is_empty() && report.damage.is_none(), "{report:?}");
        if let Some(gateway) = self.gateway.take() {
            gateway.shutdown().await;
        }
        let leaks = canary::leaks(&self.data_dir);
        assert!(leaks.is_empty(), "{} secrets leaked:\n{}", leaks.len(), leaks.join("\n"));
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(self.end()));
        }
    }
}

async fn open(settings: &Table, data_dir: &Path, role: Role, clock: &Clock) -> Gateway {
    start(settings, data_dir, role, clock).await.expect("a gateway")
}

async fn start(settings: &Table, data_dir: &Path, role: Role, clock: &Clock) -> Result<Gateway, StartError> {
    let loaded = Config::load(None, std::iter::empty(), settings.clone()).expect("the settings of the test");
    let options = Options {
        config: loaded.config,
        data_dir: data_dir.to_owned(),
        role,
        clock: clock.clone(),
        master_key: None,
    };
    Gateway::start(options).await
}

async fn key_of(admin: &Admin, account: &AccountId, scopes: Scopes) -> String {
    let key = admin.key_create(account, scopes, "test").await.expect("a key").1.expose().to_owned();
    canary::plant("an account's key", &key);
    key
}

/// The settings of tests under those of one test.
fn merged(database: &TestDatabase, folder: &Path, own: Table) -> Table {
    let mut all: Table = SETTINGS.parse().expect("settings of tests");
    if database::is_postgres() {
        let url = Value::String(database.url(folder));
        all.insert("database".to_owned(), Value::Table(Table::from_iter([("url".to_owned(), url)])));
    }
    for (section, mut keys) in own {
        if let (true, "database", Value::Table(keys)) = (database::is_postgres(), &*section, &mut keys) {
            // What a test says of its file does not hold there.
            keys.remove("url");
        }
        let place = all.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let (Value::Table(place), Value::Table(keys)) = (place, keys) {
            place.extend(keys);
        }
    }
    all
}

/// Waits until a condition holds, in the machine's time.
pub(crate) async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let began = tokio::time::Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn files_below(folder: &std::path::Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path.display().to_string());
        }
    }
    files
}
