//! Wakes those who wait: for a task's next change, and workers for new work.
//!
//! Invariant: a waiter that subscribed before it read the task misses no change on this node, and all who
//! wait for one task read each of its states once between them; a missed wake-up costs time, never
//! correctness. Not here: what changed, what is read (`app::watch`).

use crate::{clock, seats::Seats};
use rynjer_core::id::{AccountId, TaskId};
use rynjer_store::{Store, task::TaskRow};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Notify, OnceCell, watch};
use tokio_util::sync::CancellationToken;

/// Waiters hear of progress at most this often, and only of whole hundredths.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Who waits for what on this node.
#[derive(Default)]
pub(crate) struct Hub {
    waiters: Mutex<HashMap<TaskId, watch::Sender<Arc<Round>>>>,
    progress: Mutex<HashMap<TaskId, Progress>>,
    /// What this node's worker has in hand, and how to stop it.
    in_hand: Mutex<HashMap<TaskId, (AccountId, CancellationToken)>>,
    seats: Mutex<Seats>,
    work: Arc<Notify>,
    /// No other process changes tasks of this database.
    alone: AtomicBool,
    /// How other processes are told.
    others: OnceLock<Store>,
}

/// What processes on one database tell each other. A version of tomorrow may say more: unknown words are
/// passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ring {
    /// A task changed.
    Task(TaskId),
    /// A task is over: whoever works on it may stop.
    Stop(TaskId),
    /// There is something to do.
    Work,
    /// Keys, tokens or agents changed.
    Credentials,
}

impl Ring {
    /// One word.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Task(id) => format!("task:{id}"),
            Self::Stop(id) => format!("stop:{id}"),
            Self::Work => "work".to_owned(),
            Self::Credentials => "credentials".to_owned(),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("task", id)) => TaskId::parse(id).map(Self::Task),
            Some(("stop", id)) => TaskId::parse(id).map(Self::Stop),
            None if text == "work" => Some(Self::Work),
            None if text == "credentials" => Some(Self::Credentials),
            _ => None,
        }
    }
}

/// What is between two changes of a task: one reading for all who wait.
pub(crate) type Round = OnceCell<Arc<TaskRow>>;

/// How far a task is, in thousandths, and when its waiters last heard of it.
struct Progress {
    permille: u16,
    told: Option<(u16, Instant)>,
}

/// A subscription to one task's changes.
pub(crate) struct Waiter {
    rounds: watch::Receiver<Arc<Round>>,
}

impl Waiter {
    /// The round that goes on now.
    pub(crate) fn round(&mut self) -> Arc<Round> {
        Arc::clone(&self.rounds.borrow_and_update())
    }

    /// Returns at the next change or progress after the last call of [`Waiter::round`].
    pub(crate) async fn changed(&mut self) {
        if self.rounds.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Hub {
    /// Subscribes to a task.
    pub(crate) fn subscribe(&self, task: &TaskId) -> Waiter {
        let mut waiters = locked(&self.waiters);
        let sender = waiters.entry(task.clone()).or_insert_with(|| watch::channel(Arc::default()).0);
        Waiter { rounds: sender.subscribe() }
    }

    /// Forgets a task that nobody waits for any more.
    pub(crate) fn forget_idle(&self, task: &TaskId) {
        let mut waiters = locked(&self.waiters);
        if waiters.get(task).is_some_and(|sender| sender.receiver_count() == 0) {
            waiters.remove(task);
        }
    }

    /// From now on other processes on this database are told too.
    pub(crate) fn tell_others(&self, store: &Store) {
        drop(self.others.set(store.clone()));
    }

    fn tell(&self, ring: impl FnOnce() -> Ring) {
        if let Some(store) = self.others.get() {
            store.ring(|| ring().text());
        }
    }

    /// Does here what another process told.
    pub(crate) fn heard(&self, ring: &Ring) {
        match ring {
            Ring::Task(id) => self.task_changed_here(id),
            Ring::Work => self.work.notify_one(),
            // These two are looked into first (`state`).
            Ring::Stop(_) | Ring::Credentials => {}
        }
    }

    /// Tells everyone who waits for a task that it changed.
    pub(crate) fn task_changed(&self, task: &TaskId) {
        self.task_changed_here(task);
        self.tell(|| Ring::Task(task.clone()));
    }

    fn task_changed_here(&self, task: &TaskId) {
        if let Some(sender) = locked(&self.waiters).get(task) {
            sender.send_replace(Arc::default());
        }
    }

    /// Ends a round that is too old to be believed; whoever asks first does it for all.
    pub(crate) fn look_again(&self, task: &TaskId, old: &Arc<Round>) {
        if let Some(sender) = locked(&self.waiters).get(task) {
            sender.send_if_modified(|round| {
                let is_old = Arc::ptr_eq(round, old);
                if is_old {
                    *round = Arc::default();
                }
                is_old
            });
        }
    }

    /// Notes how far a task is, in thousandths, while this node works on it.
    pub(crate) fn set_progress(&self, task: &TaskId, permille: Option<u16>) {
        let mut all = locked(&self.progress);
        let Some(permille) = permille else {
            all.remove(task);
            return;
        };
        let progress = all.entry(task.clone()).or_insert(Progress { permille, told: None });
        progress.permille = permille;
        let now = clock::stopwatch();
        let quiet = progress
            .told
            .is_some_and(|(told, at)| told / 10 == permille / 10 || now.duration_since(at) < PROGRESS_EVERY);
        if quiet {
            return;
        }
        progress.told = Some((permille, now));
        drop(all);
        // The same round: nothing that is stored has changed.
        if let Some(sender) = locked(&self.waiters).get(task) {
            sender.send_modify(|_| {});
        }
    }

    /// How far a task is, if this node works on it.
    pub(crate) fn progress(&self, task: &TaskId) -> Option<u16> {
        locked(&self.progress).get(task).map(|progress| progress.permille)
    }

    /// Takes one of the places for requests that wait, unless there are too many; then the limit that is
    /// reached.
    pub(crate) fn take_seat(&self, who: (&str, &str), most_of_one: u32, most: u32) -> Result<(), u32> {
        locked(&self.seats).take(who, most_of_one, most)
    }

    /// Gives a place back.
    pub(crate) fn leave_seat(&self, who: (&str, &str)) {
        locked(&self.seats).leave(who);
    }

    /// Notes that no other process changes tasks, so that nobody has to look for changes.
    pub(crate) fn set_alone(&self) {
        self.alone.store(true, Ordering::Relaxed);
    }

    /// Whether every change of a task is told here.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }

    /// Notes that this node's worker began a task, and the token that stops it.
    pub(crate) fn work_began(&self, account: &AccountId, task: &TaskId, stop: CancellationToken) {
        locked(&self.in_hand).insert(task.clone(), (account.clone(), stop));
    }

    /// Notes that this node's worker let go of a task.
    pub(crate) fn work_ended(&self, task: &TaskId) {
        locked(&self.in_hand).remove(task);
    }

    /// Stops the work on a task that is over, wherever it is done; where nobody hears, the heartbeat does.
    pub(crate) fn stop_work(&self, task: &TaskId) {
        self.stop_here(task);
        self.tell(|| Ring::Stop(task.clone()));
    }

    /// Whose task it is, if this node works on it.
    pub(crate) fn account_in_hand(&self, task: &TaskId) -> Option<AccountId> {
        locked(&self.in_hand).get(task).map(|(account, _)| account.clone())
    }

    /// Stops the work on a task that is known to be over, if this node does it.
    pub(crate) fn stop_here(&self, task: &TaskId) {
        if let Some((_, stop)) = locked(&self.in_hand).get(task) {
            stop.cancel();
        }
    }

    /// Tells the workers that there is something to do.
    pub(crate) fn work_arrived(&self) {
        self.work.notify_one();
        self.tell(|| Ring::Work);
    }

    /// Returns once there may be something to do.
    pub(crate) async fn work(&self) {
        self.work.notified().await;
    }
}
