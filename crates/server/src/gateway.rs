//! A gateway from start to stop: opens everything in order, serves, drains.
//!
//! Invariant: nothing is served before the database, its schema, the prices and the keys are checked; a stop
//! loses no request. Not here: flags, signals, printing.

use crate::{
    app::{
        self, Error,
        actor::{Actor, Reach},
        admin::Admin,
        breaker::Breakers,
        caller::Callers,
        letter::Letters,
        moderation::{Blocklist, BlocklistError, PromptCheck},
        node,
        password::Passwords,
        pause::Pauses,
        price::PricesError,
        queue::Queues,
        restoration::Restoration,
        upload::Uploads,
        vendor_cancel::VendorCancels,
    },
    clock::Clock,
    config::Config,
    data_dir::{self, DataDirError, Held},
    database,
    doors::Doors,
    heartbeat::{self, Heartbeat},
    http::{
        body_memory::Bodies,
        extract::{Shared, SharedParts},
        listen::Drain,
        rate::RateLimits,
        router,
    },
    hub::Hub,
    keyring::{Keyring, Lives},
    migration,
    objects::{self, OpenError},
    payments, peers,
    state::{App, Inner},
    vendors,
    worker::{self, InputSource, Worker},
};
use axum::Router;
use rynjer_core::{catalog::Catalog, time::DAY_MS};
use rynjer_store::{Database, LinkError, Store, StoreError, secret};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};
use tokio_util::task::TaskTracker;

/// Outputs that are fetched at once; each may take `storage.max_output_bytes` of the disk.
const FETCHES_AT_ONCE: usize = 4;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers requests only.
    Api,
    /// Runs tasks only.
    Worker,
    /// Both.
    All,
}

/// How a gateway is started.
#[derive(Debug)]
pub struct Options {
    pub config: Config,
    pub data_dir: PathBuf,
    pub role: Role,
    pub clock: Clock,
    /// From the environment; otherwise the data folder's.
    pub master_key: Option<[u8; 32]>,
}

/// Why a gateway did not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("the database {0} can't be opened: {1}")]
    Database(String, StoreError),
    #[error(
        "the database {0} has an older schema, and the copy that is made before it is changed failed: {1}. \
         Nothing was changed. Free room beside it, then start again."
    )]
    NoCopy(PathBuf, String),
    #[error("no database at {0}. Start a gateway there first (`rynjer serve`), or correct --data-dir.")]
    NoDatabase(PathBuf),
    #[error("database.url {0:?} is not supported: it is sqlite:PATH or postgres://USER@HOST/NAME")]
    DatabaseUrl(String),
    #[error("{0}")]
    DatabaseLink(#[from] LinkError),
    #[error("the catalog is not usable: {0}")]
    Catalog(String),
    #[error(transparent)]
    Prices(PricesError),
    #[error("{0}")]
    Keys(String),
    #[error(
        "the database holds keys that are sealed with a master key, and none is given: start with the master \
         key that this installation was made with (RYNJER_MASTER_KEY, or its master.key as {0})"
    )]
    NoMasterKey(PathBuf),
    #[error(transparent)]
    Blocklist(#[from] BlocklistError),
    #[error("{0}")]
    Listen(io::Error),
    #[error("{0}")]
    Tls(String),
    #[error("inputs.allow_hosts can't be used: {0}")]
    Inputs(String),
    #[error(
        "the vendor {0} can't be used: {1}. Correct its section of the configuration, or take its key away."
    )]
    Vendor(&'static str, String),
    #[error("letters can't be sent: {0}. Correct [smtp] in the configuration, or take its url away.")]
    Letters(String),
    #[error("the provider of sign-ins can't be used: {0}. Correct [oidc], or empty its issuer.")]
    Oidc(String),
    #[error("the section [moltbook] can't be used: {0}. Correct it, or set moltbook.enabled = false.")]
    Moltbook(String),
    #[error("the output folder {0} can't be used: {1}")]
    Outputs(PathBuf, String),
    #[error("{0}")]
    Objects(String),
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Folder(folder, problem) => Self::Outputs(folder, problem),
            OpenError::Bucket(sentence) => Self::Objects(sentence),
        }
    }
}

/// A running gateway.
pub struct Gateway {
    app: App,
    admin: Admin,
    address: Option<SocketAddr>,
    metrics_address: Option<SocketAddr>,
    worker: Option<Worker>,
    heart: Heartbeat,
    drain: Drain,
    servers: TaskTracker,
    shared: Shared,
    _held: Option<Held>,
}

impl Gateway {
    /// Opens, checks and starts everything.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        Self::start_with(options, Router::new()).await
    }

    /// Like [`Gateway::start`], with more routes below the same layers; for benchmarks.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub async fn start_with(options: Options, more: Router) -> Result<Self, StartError> {
        data_dir::create(&options.data_dir)?;
        let owns = options.config.database.url.is_empty();
        let held = if owns { Some(data_dir::hold(&options.data_dir)?) } else { None };
        let app = open_app(&options).await?;
        if held.is_some() {
            app.hub.set_alone();
        } else {
            app.hear_others().map_err(|error| StartError::Database("of many processes".to_owned(), error))?;
        }
        let worker = match options.role {
            Role::Api => None,
            Role::Worker | Role::All => Some(Worker::new(app.clone())),
        };
        if let (Some(worker), Some(_)) = (&worker, &held) {
            // The lock proves that every other owner of a lease is dead.
            let taken = worker.take_over().await;
            taken.map_err(|error| StartError::Database("of the data folder".to_owned(), error))?;
        }
        let doors = Doors::open(&app, options.role).await?;
        // From here on nothing fails: whoever doesn't start is not counted, and halves nobody's rate limit.
        let heart = Heartbeat::start(&app).await;
        let drain = Drain::new();
        let limits = &app.config.limits;
        let rates = RateLimits::new(
            limits.requests_per_second,
            limits.burst,
            limits.identity_per_minute,
            limits.rate_limits,
            app.node.api_nodes(),
        );
        let bodies = Bodies::new(limits.bodies_bytes);
        let shared = Shared::new(SharedParts { app: app.clone(), rates, bodies, drain: drain.clone() });
        let servers = TaskTracker::new();
        let (address, metrics_address) = doors.serve(&shared, more, &servers);
        if let Some(worker) = &worker {
            worker.start();
        }
        let admin = Admin::within(&app, Actor::CommandLine, Reach::All);
        Ok(Self { app, admin, address, metrics_address, worker, heart, drain, servers, shared, _held: held })
    }

    /// Where the world reaches it; no slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.app.base_url()
    }

    /// The listening address; none for a pure worker.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where `/metrics` is.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// The operator's hand on its database.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The routes, for calling them in process.
    pub fn router(&self) -> Router {
        router::build(self.shared.clone(), Router::new())
    }

    /// Lets the worker look for due tasks now; for tests that moved the clock.
    pub fn wake_worker(&self) {
        self.app.hub.work_arrived();
    }

    /// Runs one round of retention now, unless another node has that duty; whether it ran.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn sweep(&self) -> Result<bool, Error> {
        worker::sweep_now(&self.app).await
    }

    /// Looks for stored objects that no row names, and deletes those older than a day; unless another node
    /// has that duty.
    ///
    /// # Errors
    /// Of the store or the object storage.
    pub async fn sweep_orphans(&self) -> Result<bool, Error> {
        worker::sweep_orphans_now(&self.app).await
    }

    /// Asks the payment service what it may not have told, unless another node has that duty; whether it ran.
    ///
    /// # Errors
    /// Of the store or the payment service.
    pub async fn sweep_payments(&self) -> Result<bool, Error> {
        app::topup::sweep::now(&self.app).await
    }

    /// Adds new signing keys where the newest are old, unless another node has that duty; whether it has it.
    pub async fn rotate_keys(&self) -> bool {
        heartbeat::rotate_keys(&self.app).await
    }

    /// Drains and stops: no new work, every accepted request is answered, leases are handed back.
    pub async fn shutdown(self) {
        self.drain.begin();
        self.servers.close();
        let patience = Duration::from_secs(u64::from(self.app.config.server.drain_seconds));
        let work = async {
            if let Some(worker) = &self.worker {
                worker.drain(patience).await;
            }
        };
        tokio::join!(self.servers.wait(), work);
        tokio::join!(self.app.letters.close(), self.app.closures.close());
        self.heart.stop().await;
        self.app.outputs.close().await;
    }
}

/// Opens an existing installation for the operator's commands.
///
/// # Errors
/// No database there, or one that can't be opened.
pub fn open_admin(data_dir: &Path, database_url: Option<&str>) -> Result<Admin, StartError> {
    let place = database::of_url(data_dir, database_url.unwrap_or(""))?;
    if let Database::Sqlite(path) = &place
        && !path.exists()
    {
        return Err(StartError::NoDatabase(path.clone()));
    }
    migration::keep_copy(&place)?;
    opened(place)
}

/// Opens a database file that is a copy itself.
///
/// # Errors
/// It can't be opened.
pub fn open_backup(path: &Path) -> Result<Admin, StartError> {
    opened(Database::Sqlite(path.to_owned()))
}

fn opened(place: Database) -> Result<Admin, StartError> {
    let clock = Clock::System;
    let store = database::open(place, &database::ADMIN, true, clock.now_ms())?;
    Ok(Admin::of_command_line(store, clock))
}

async fn open_app(options: &Options) -> Result<App, StartError> {
    let config = options.config.clone();
    let now_ms = options.clock.now_ms();
    let place = database::of_url(&options.data_dir, config.database.url.expose())?;
    migration::keep_copy(&place)?;
    let store = database::open(place, &config.database.threads, config.database.notify, now_ms)?;
    let catalog = open_catalog(&config, &options.data_dir)?;
    app::price::keep(&store, &catalog, now_ms).await.map_err(|error| match error {
        PricesError::Store(error) => StartError::Database("with the prices".to_owned(), error),
        other => StartError::Prices(other),
    })?;
    let master_key = match options.master_key {
        Some(key) => key,
        None => folder_key(&store, &options.data_dir).await?,
    };
    let clock = node::shared_clock(&store, &options.clock).await;
    let clock = clock.map_err(|error| StartError::Database("of many processes".to_owned(), error))?;
    let restoration = Restoration::open(&store).await;
    let restoration = restoration.map_err(|error| StartError::Database("of a backup".to_owned(), error))?;
    let keyring =
        Keyring::open(&store, &master_key, &clock, lives(&config)).await.map_err(|error| match error {
            Error::Internal(text) => StartError::Keys(text),
            other => StartError::Keys(format!("{other:?}")),
        })?;
    let outputs = objects::open(&config.storage, &options.data_dir).await?;
    let inputs = InputSource::new(&config.inputs).map_err(|error| StartError::Inputs(error.to_string()))?;
    let (providers, vendors) = vendors::open(&config, &catalog)?;
    let payments = payments::open(&config)?;
    let moltbook = peers::moltbook(&config.moltbook).map_err(StartError::Moltbook)?;
    let prompt_check = prompt_check(&config)?;
    Ok(App::new(Inner {
        moltbook,
        store,
        catalog,
        keyring,
        node: node::Node::new(options.role, clock.now_ms()),
        clock,
        providers,
        vendors,
        vendor_cancels: VendorCancels::new(),
        payments,
        breakers: Breakers::default(),
        pauses: Pauses::default(),
        prompt_check,
        fetches: tokio::sync::Semaphore::new(FETCHES_AT_ONCE),
        outputs,
        exports: app::export::download::Exports::default(),
        closures: app::closure::Closures::default(),
        uploads: Uploads::new(),
        inputs,
        callers: Callers::new(),
        passwords: Passwords::new(),
        letters: Letters::open(&config)?,
        oidc: app::oidc::open(&config)?,
        hub: Hub::default(),
        queues: Queues::new(),
        restoration,
        base_url: OnceLock::new(),
        openapi: OnceLock::new(),
        config,
    }))
}

/// What looks at prompts, if anything does.
fn prompt_check(config: &Config) -> Result<Option<Box<dyn PromptCheck>>, StartError> {
    let Some(path) = &config.moderation.blocklist_file else { return Ok(None) };
    Ok(Some(Box::new(Blocklist::open(path)?)))
}

/// The folder's master key. None is made beside keys that it could not open.
async fn folder_key(store: &Store, dir: &Path) -> Result<[u8; 32], StartError> {
    let file = data_dir::master_key_file(dir);
    if !file.exists() {
        let rows: Result<_, StoreError> = store.read(|tx| secret::all(tx)).await;
        let rows = rows.map_err(|error| StartError::Database("with the keys".to_owned(), error))?;
        if !rows.is_empty() {
            return Err(StartError::NoMasterKey(file));
        }
    }
    Ok(data_dir::master_key(dir)?)
}

/// How long keys sign, and the longest life of what they sign.
fn lives(config: &Config) -> Lives {
    let (url_days, file_hours) = (config.retention.url_days, config.retention.file_hours);
    let url_ms = (i64::from(url_days) * DAY_MS).max(i64::from(file_hours) * 3_600_000);
    Lives { rotate_days: config.keys.rotate_days, url_ms }
}

/// The catalog that the settings name, else the installed one, else the compiled-in one.
pub(crate) fn open_catalog(config: &Config, data_dir: &Path) -> Result<Catalog, StartError> {
    match config.catalog.path.clone().or_else(|| app::price::installed_catalog(data_dir)) {
        None => Catalog::builtin().map_err(|error| StartError::Catalog(error.to_string())),
        Some(path) => {
            let unusable = |error: String| StartError::Catalog(format!("{}: {error}", path.display()));
            let text = std::fs::read_to_string(&path).map_err(|error| unusable(error.to_string()))?;
            Catalog::parse(&text).map_err(|error| unusable(error.to_string()))
        }
    }
}
