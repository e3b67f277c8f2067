//! The task engine: claims due tasks under leases, runs them, beats, drains.
//!
//! Invariant: no transaction is open while a provider is called; a worker that lost its lease changes
//! nothing. Not here: what one task does (`run`), storing files (`files`).

mod beat;
mod call;
mod files;
mod inputs;
mod job;
mod later;
mod memory;
mod patience;
mod poll;
mod run;
mod settle;
mod spool;
mod submit;
mod sweep;

pub(crate) use inputs::InputSource;

use crate::{
    app::{
        Error,
        node::{self, Duty},
        pause, restoration, vendor,
    },
    entropy,
    state::App,
};
use rynjer_core::{
    id::{AttemptId, TaskId},
    task::Step,
};
use rynjer_store::{
    StoreError,
    lease::{self, Claim, Claimed, Holder, Leased},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How often an idle worker looks for work that another process may have brought.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long what was told to stop may take.
const AFTER_STOP: Duration = Duration::from_secs(5);
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_millis(200);

/// A worker of one process.
#[derive(Clone)]
pub(crate) struct Worker(Arc<Inner>);

struct Inner {
    app: App,
    owner: String,
    /// How long a begun task of each model may take.
    task_ms: Arc<BTreeMap<String, i64>>,
    hand: Mutex<HashMap<TaskId, InHand>>,
    freed: Notify,
    tracker: TaskTracker,
    /// No more claims.
    draining: CancellationToken,
}

/// A task that this worker runs.
struct InHand {
    holder: Holder,
    provider: String,
    /// Nothing else is claimed while it runs.
    alone: bool,
    /// The lease is lost, or the worker stops: give up at the next await.
    stop: CancellationToken,
}

impl Worker {
    pub(crate) fn new(app: App) -> Self {
        let tag: [u8; 6] = entropy::bytes();
        let owner = format!("w{}", tag.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        Self(Arc::new(Inner {
            task_ms: Arc::new(task_ms(&app)),
            app,
            owner,
            hand: Mutex::default(),
            freed: Notify::new(),
            tracker: TaskTracker::new(),
            draining: CancellationToken::new(),
        }))
    }

    /// Makes the leases of dead processes due; only for who knows that they are dead.
    pub(crate) async fn take_over(&self) -> Result<u64, StoreError> {
        let (owner, now_ms) = (self.0.owner.clone(), self.0.app.now_ms());
        self.0.app.store.write(move |tx| lease::expire_others(tx, &owner, now_ms)).await
    }

    /// Starts the loops: claiming, beating, sweeping.
    pub(crate) fn start(&self) {
        let worker = self.clone();
        self.0.tracker.spawn(async move { worker.claim_loop().await });
        let worker = self.clone();
        self.0.tracker.spawn(async move { beat::run(&worker).await });
        let worker = self.clone();
        self.0.tracker.spawn(async move { sweep::run(&worker).await });
    }

    /// Stops claiming, lets what is in hand finish within `patience`, hands the rest back.
    pub(crate) async fn drain(&self, patience: Duration) {
        self.0.draining.cancel();
        self.0.tracker.close();
        let mut left = std::pin::pin!(self.0.tracker.wait());
        if tokio::time::timeout(patience, &mut left).await.is_ok() {
            return;
        }
        for task in self.hand().values() {
            task.stop.cancel();
        }
        // A store that stays away must not keep the process: what it holds is due again when its lease ends.
        drop(tokio::time::timeout(AFTER_STOP, left).await);
    }

    fn hand(&self) -> MutexGuard<'_, HashMap<TaskId, InHand>> {
        self.0.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn claim_loop(&self) {
        let mut after: HashMap<&'static str, String> = HashMap::new();
        let mut round = 0;
        while !self.0.draining.is_cancelled() {
            let mut wait = LOOK_EVERY;
            let mut again = false;
            if let Err(error) = restoration::reconcile(&self.0.app).await {
                tracing::warn!(%error, "what a backup held could not be reconciled");
                tokio::time::sleep(STORE_PAUSE).await;
                continue;
            }
            if let Err(error) = pause::look(&self.0.app).await {
                tracing::warn!(?error, "what is paused could not be read");
                tokio::time::sleep(STORE_PAUSE).await;
                continue;
            }
            // The free places go to another provider first each time.
            let names: Vec<&'static str> = self.0.app.providers.names().collect();
            round = (round + 1) % names.len().max(1);
            for provider in names.iter().cycle().skip(round).take(names.len()).copied() {
                match self.claim(provider, after.entry(provider).or_default()).await {
                    Ok(Next::Again) => again = true,
                    Ok(Next::After(pause)) => wait = wait.min(pause),
                    Err(error) => {
                        tracing::warn!(%error, "claiming tasks failed");
                        wait = STORE_PAUSE;
                    }
                }
            }
            if again {
                continue;
            }
            let full = self.hand().len() >= self.0.app.config.worker.concurrency;
            tokio::select! {
                () = self.0.app.hub.work(), if !full => {}
                () = self.0.freed.notified() => {}
                () = tokio::time::sleep(wait), if !full => {}
                () = self.0.draining.cancelled() => {}
            }
        }
    }

    /// Claims what is due of one provider and starts it.
    async fn claim(&self, provider: &'static str, after: &mut String) -> Result<Next, StoreError> {
        let inner = &self.0;
        let mut by_account: BTreeMap<String, usize> = BTreeMap::new();
        for task in self.hand().values() {
            *by_account.entry(task.holder.account.to_string()).or_default() += 1;
        }
        let in_hand = self.hand().len();
        metrics::gauge!("rynjer_worker_tasks_in_hand")
            .set(f64::from(u32::try_from(in_hand).unwrap_or(u32::MAX)));
        let capacity = inner.app.providers.get(provider).map_or(0, |provider| provider.capacity());
        let capacity = capacity.min(inner.app.vendors.concurrency(provider));
        let of_provider = self.hand().values().filter(|task| task.provider == provider).count();
        let free = inner.app.config.worker.concurrency.saturating_sub(in_hand);
        let free = free.min(capacity.saturating_sub(of_provider));
        let alone = self.hand().values().any(|task| task.alone);
        if free == 0 || alone {
            return Ok(Next::After(LOOK_EVERY));
        }
        let due_ms = inner.app.store.read(move |tx| lease::next_due_ms(tx, provider)).await?;
        let now_ms = inner.app.now_ms();
        match due_ms {
            None => return Ok(Next::After(LOOK_EVERY)),
            Some(due_ms) if due_ms > now_ms => {
                return Ok(Next::After(Duration::from_millis(u64::try_from(due_ms - now_ms).unwrap_or(0))));
            }
            Some(_) => {}
        }
        let attempt = |entropy| AttemptId::new(now_ms, entropy);
        let (without, probing) = vendor::shut(&inner.app, provider, now_ms);
        // One call finds out whether a route works again; the others wait for it in the queue.
        let free = if probing { 1 } else { free };
        let claim = Claim {
            without,
            task_ms: Arc::clone(&inner.task_ms),
            provider: provider.to_owned(),
            owner: inner.owner.clone(),
            now_ms,
            lease_ms: i64::from(inner.app.config.worker.lease_seconds) * 1000,
            limit: free,
            after_account: after.clone(),
            idle: in_hand == 0,
            in_hand: by_account,
            held: self.hand().keys().map(ToString::to_string).collect(),
            per_account_max: inner.app.config.worker.per_account_concurrency,
            fresh_attempts: entropy::ids(free).into_iter().map(attempt).collect(),
        };
        let Claimed { tasks, last_account, suspect_waiting } =
            inner.app.store.write(move |tx| lease::claim(tx, &claim)).await?;
        *after = last_account;
        let claimed = tasks.len();
        for task in tasks {
            self.start_task(task);
        }
        if suspect_waiting {
            return Ok(Next::After(Duration::from_millis(50)));
        }
        Ok(if claimed > 0 && claimed < free { Next::After(LOOK_EVERY) } else { Next::again_if(claimed > 0) })
    }

    fn start_task(&self, task: Leased) {
        let stop = CancellationToken::new();
        let guard = HandGuard { worker: self.clone(), holder: task.holder() };
        self.hand().insert(
            task.id.clone(),
            InHand {
                holder: task.holder(),
                provider: task.provider.clone(),
                alone: task.alone,
                stop: stop.clone(),
            },
        );
        self.0.app.hub.work_began(&task.account, &task.id, stop.clone());
        if task.step == Step::Queued {
            // It is being made from now on.
            self.0.app.hub.task_changed(&task.id);
        }
        let worker = self.clone();
        self.0.tracker.spawn(async move {
            let _guard = guard;
            run::run(&worker.0.app, &worker.0.owner, task, &stop).await;
        });
    }
}

/// How long a begun task of each model may take.
fn task_ms(app: &App) -> BTreeMap<String, i64> {
    let models = app.catalog.models().iter();
    models.map(|model| (model.name.clone(), i64::from(model.max_seconds) * 1000)).collect()
}

/// One round of retention, if this node has that duty; whether it has.
pub(crate) async fn sweep_now(app: &App) -> Result<bool, Error> {
    Ok(node::run(app, Duty::Retention, sweep::sweep(app)).await.transpose()?.is_some())
}

/// One look for objects that no row names, likewise.
pub(crate) async fn sweep_orphans_now(app: &App) -> Result<bool, Error> {
    Ok(node::run(app, Duty::Retention, sweep::sweep_leftovers(app)).await.transpose()?.is_some())
}

/// When to look for work again.
enum Next {
    Again,
    After(Duration),
}

impl Next {
    fn again_if(more: bool) -> Self {
        if more { Self::Again } else { Self::After(LOOK_EVERY) }
    }
}

/// Takes a task out of the hand however its run ends, also by a panic.
struct HandGuard {
    worker: Worker,
    holder: Holder,
}

impl Drop for HandGuard {
    fn drop(&mut self) {
        let id = &self.holder.id;
        let mut hand = self.worker.hand();
        // A lease that ran out may have been claimed again by this very worker: the newer run stays in hand.
        if hand.get(id).is_some_and(|task| task.holder.fence == self.holder.fence) {
            hand.remove(id);
            self.worker.0.app.hub.set_progress(id, None);
            self.worker.0.app.hub.work_ended(id);
        }
        drop(hand);
        self.worker.0.freed.notify_one();
    }
}
