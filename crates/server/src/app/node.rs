//! This process among those on the same database: that it lives, what time it is, which duties it has.
//!
//! Invariant: a process that is alone asks nobody; of others, one at a time has a duty, and who is not told
//! so does nothing. Not here: when that happens (`heartbeat`), what the duties are.

use crate::{
    app::Error,
    clock::{self, Clock, Shared},
    entropy,
    gateway::Role,
    state::App,
};
use rynjer_store::{
    Store, StoreError, election,
    node::{self, NodeRow},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// A node that was not seen for longer counts as gone.
const LIVE_MS: i64 = 5000;
/// A node that was seen further in the future doesn't count; a beat may wait for the database this long.
const AHEAD_MAX_MS: i64 = 60_000;
/// How long a duty is held without a sign of life. Duties are looked at once a minute, so whoever has one
/// keeps it.
const DUTY_MS: i64 = 90_000;
/// How often a duty is renewed while its work goes on.
const RENEWED_EVERY: Duration = Duration::from_secs(20);
/// A machine's clock that is further off gets no requests.
const CLOCK_OFF_MAX_MS: i64 = 30_000;
/// Looks at the database's time at the start; the quickest counts.
const FIRST_MEASUREMENTS: u32 = 3;

/// This process.
pub(crate) struct Node {
    id: String,
    role: &'static str,
    started_at_ms: i64,
    /// How many nodes share the requests, this one at least.
    api_nodes: Arc<AtomicU32>,
}

/// What only one node does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    /// All that sweeps, and the audit.
    Retention,
    /// Rotating the signing keys.
    Keys,
    /// Asking the payment service what it may not have told.
    Payments,
}

impl Duty {
    fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Keys => "keys",
            Self::Payments => "payments",
        }
    }
}

impl Node {
    pub(crate) fn new(role: Role, started_at_ms: i64) -> Self {
        let tag: [u8; 8] = entropy::bytes();
        let role = match role {
            Role::Api => "api",
            Role::Worker => WORKER,
            Role::All => "all",
        };
        Self {
            id: format!("n{}", data_encoding::HEXLOWER.encode(&tag)),
            role,
            started_at_ms,
            api_nodes: Arc::new(AtomicU32::new(1)),
        }
    }

    /// Whether it serves pages and calls.
    pub(crate) fn answers_requests(&self) -> bool {
        self.role != WORKER
    }

    /// How many nodes share the requests, as it changes.
    pub(crate) fn api_nodes(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.api_nodes)
    }
}

/// The role that answers no requests.
const WORKER: &str = "worker";

/// Tells that this node lives, and counts those that share the requests. If that fails, the last count holds.
pub(crate) async fn beat(app: &App) -> Result<(), Error> {
    let now_ms = app.now_ms();
    let row = NodeRow {
        id: app.node.id.clone(),
        role: app.node.role.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at_ms: app.node.started_at_ms,
        seen_at_ms: now_ms,
    };
    let beaten = app.store.write(move |tx| {
        node::beat(tx, &row)?;
        node::live(tx, now_ms - LIVE_MS)
    });
    let live = beaten.await.map_err(Error::from)?;
    // Who was seen in the future had a clock that tests had moved, and may be long gone.
    let is_now = |node: &&NodeRow| node.seen_at_ms <= now_ms.saturating_add(AHEAD_MAX_MS);
    let count = live.iter().filter(is_now).filter(|node| node.role != WORKER).count();
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    let before = app.node.api_nodes.swap(count, Ordering::Relaxed);
    if before != count {
        tracing::info!(before, count, "the number of nodes that share the requests has changed");
    }
    metrics::gauge!("rynjer_api_nodes").set(f64::from(count));
    Ok(())
}

/// Says good-bye: off the list, and every duty given back.
pub(crate) async fn leave(app: &App) -> Result<(), Error> {
    let id = app.node.id.clone();
    let left = app.store.write(move |tx| {
        election::resign_all(tx, &id)?;
        node::remove(tx, &id)
    });
    left.await.map(drop).map_err(Error::from)
}

/// Does a duty's work if this node has the duty, renewing it meanwhile; none if it has it not, or lost it.
pub(crate) async fn run<T>(app: &App, duty: Duty, work: impl Future<Output = T>) -> Option<T> {
    if app.hub.is_alone() {
        return Some(work.await);
    }
    let mut work = std::pin::pin!(work);
    while hold(app, duty).await {
        if let Ok(done) = tokio::time::timeout(RENEWED_EVERY, &mut work).await {
            return Some(done);
        }
    }
    None
}

async fn hold(app: &App, duty: Duty) -> bool {
    // Held until a time of the moved clock, a duty would be nobody's for long if this process died.
    if is_moved(app) {
        return true;
    }
    let (id, now_ms) = (app.node.id.clone(), app.now_ms());
    let unit = move |tx: &mut dyn rynjer_store::Tx| election::hold(tx, duty.as_str(), &id, now_ms, DUTY_MS);
    let held: Result<bool, StoreError> = app.store.write(unit).await;
    held.unwrap_or_else(|error| {
        tracing::warn!(%error, duty = duty.as_str(), "nobody could be elected");
        false
    })
}

/// Whether tests have moved this process's clock, so that its times say nothing to other nodes.
pub(crate) fn is_moved(app: &App) -> bool {
    app.clock.moved_ms().is_some_and(|moved_ms| moved_ms != 0)
}

/// The clock that all nodes of this database share, where the machine's own was asked for and the database
/// has a time of its own.
pub(crate) async fn shared_clock(store: &Store, asked: &Clock) -> Result<Clock, StoreError> {
    if !matches!(asked, Clock::System) {
        return Ok(asked.clone());
    }
    let mut quickest = None;
    for _ in 0..FIRST_MEASUREMENTS {
        let sent = clock::stopwatch();
        let Some(database_ms) = store.read(node::database_now_ms).await? else { return Ok(Clock::System) };
        let received = clock::stopwatch();
        let shared = Shared::new(database_ms, sent, received);
        let round_trip = received.duration_since(sent);
        if quickest.as_ref().is_none_or(|(least, _)| round_trip < *least) {
            quickest = Some((round_trip, shared));
        }
    }
    Ok(quickest.map_or(Clock::System, |(_, shared)| Clock::Shared(Arc::new(shared))))
}

/// Measures the shared clock again, if there is one.
pub(crate) async fn measure(app: &App) -> Result<(), Error> {
    let Clock::Shared(shared) = &app.clock else { return Ok(()) };
    let sent = clock::stopwatch();
    let read: Result<Option<i64>, StoreError> = app.store.read(node::database_now_ms).await;
    if let Some(database_ms) = read.map_err(Error::from)? {
        shared.measure(database_ms, sent, clock::stopwatch());
    }
    Ok(())
}

/// Refuses requests where the machine's clock is far off: what else on it goes by that clock is wrong.
pub(crate) fn check_clock(app: &App) -> Result<(), Error> {
    match app.clock.machine_ahead_ms() {
        Some(ahead_ms) if ahead_ms.saturating_abs() > CLOCK_OFF_MAX_MS => Err(Error::ClockOff { ahead_ms }),
        _ => Ok(()),
    }
}
