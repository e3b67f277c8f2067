//! Wakes those who wait: for a task's next change, and workers for new work.
//!
//! Invariant: a waiter that subscribed before it read the task misses no change on this node; a missed
//! wake-up costs time, never correctness. Not here: what changed.

use rynjer_core::id::TaskId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Who waits for what on this node.
#[derive(Default)]
pub(crate) struct Hub {
    waiters: Mutex<HashMap<TaskId, watch::Sender<u64>>>,
    progress: Mutex<HashMap<TaskId, u16>>,
    /// What this node's worker has in hand, and how to stop it.
    in_hand: Mutex<HashMap<TaskId, CancellationToken>>,
    work: Arc<Notify>,
}

/// A subscription to one task's changes.
pub(crate) struct Waiter {
    changes: watch::Receiver<u64>,
}

impl Waiter {
    /// Returns at the next change after the subscription or the last return.
    pub(crate) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
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
        let sender = waiters.entry(task.clone()).or_insert_with(|| watch::channel(0).0);
        Waiter { changes: sender.subscribe() }
    }

    /// Forgets a task that nobody waits for any more.
    pub(crate) fn forget_idle(&self, task: &TaskId) {
        let mut waiters = locked(&self.waiters);
        if waiters.get(task).is_some_and(|sender| sender.receiver_count() == 0) {
            waiters.remove(task);
        }
    }

    /// Tells everyone who waits for a task that it changed.
    pub(crate) fn task_changed(&self, task: &TaskId) {
        if let Some(sender) = locked(&self.waiters).get(task) {
            sender.send_modify(|version| *version += 1);
        }
    }

    /// Notes how far a task is, in thousandths, while this node works on it.
    pub(crate) fn set_progress(&self, task: &TaskId, permille: Option<u16>) {
        let mut progress = locked(&self.progress);
        match permille {
            Some(permille) => progress.insert(task.clone(), permille),
            None => progress.remove(task),
        };
    }

    /// How far a task is, if this node works on it.
    pub(crate) fn progress(&self, task: &TaskId) -> Option<u16> {
        locked(&self.progress).get(task).copied()
    }

    /// Notes that this node's worker began a task, and the token that stops it.
    pub(crate) fn work_began(&self, task: &TaskId, stop: CancellationToken) {
        locked(&self.in_hand).insert(task.clone(), stop);
    }

    /// Notes that this node's worker let go of a task.
    pub(crate) fn work_ended(&self, task: &TaskId) {
        locked(&self.in_hand).remove(task);
    }

    /// Stops the work on a task that is over, if this node does it; another node's heartbeat stops it there.
    pub(crate) fn stop_work(&self, task: &TaskId) {
        if let Some(stop) = locked(&self.in_hand).get(task) {
            stop.cancel();
        }
    }

    /// Tells the worker that there is something to do.
    pub(crate) fn work_arrived(&self) {
        self.work.notify_one();
    }

    /// Returns once there may be something to do.
    pub(crate) async fn work(&self) {
        self.work.notified().await;
    }
}
