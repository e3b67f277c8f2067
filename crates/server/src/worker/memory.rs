//! The memory for the pictures of running tasks, counted by account.
//!
//! Invariant: what is handed out stays within `inputs.memory_bytes`, and one account never has more than half
//! of it. Not here: reading pictures (`inputs`).

use rynjer_core::id::AccountId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// How long a task waits in its slot for memory.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Memory {
    bytes_max: u64,
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Default)]
struct Held {
    bytes: u64,
    by_account: BTreeMap<AccountId, OfAccount>,
}

#[derive(Default, Clone, Copy)]
struct OfAccount {
    bytes: u64,
    tasks: usize,
}

/// The memory of one task; it is free again when this is dropped.
pub(super) struct Share {
    memory: Arc<Memory>,
    account: AccountId,
    bytes: u64,
}

impl Memory {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, held: Mutex::default(), freed: Notify::new() }
    }

    /// Memory for one more task of an account, which has at most `tasks_max` at once. `None` if it is not
    /// free soon. Nobody queues, so that a large share never keeps a small one waiting.
    pub(super) async fn take(
        self: &Arc<Self>,
        account: &AccountId,
        bytes: u64,
        tasks_max: usize,
    ) -> Option<Share> {
        let taken = async {
            loop {
                let mut freed = std::pin::pin!(self.freed.notified());
                freed.as_mut().enable();
                if self.try_take(account, bytes, tasks_max) {
                    return Share { memory: Arc::clone(self), account: account.clone(), bytes };
                }
                freed.await;
            }
        };
        tokio::time::timeout(PATIENCE, taken).await.ok()
    }

    fn try_take(&self, account: &AccountId, bytes: u64, tasks_max: usize) -> bool {
        let mut held = self.held();
        let own = held.by_account.get(account).copied().unwrap_or_default();
        let has_room = own.tasks < tasks_max
            && own.bytes.saturating_add(bytes) <= self.bytes_max / 2
            && held.bytes.saturating_add(bytes) <= self.bytes_max;
        if has_room {
            held.bytes += bytes;
            let own = OfAccount { bytes: own.bytes + bytes, tasks: own.tasks + 1 };
            held.by_account.insert(account.clone(), own);
        }
        has_room
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives back what is beyond `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: u64) {
        let spare = self.bytes.saturating_sub(bytes);
        self.bytes -= spare;
        self.give_back(spare, 0);
    }

    fn give_back(&self, bytes: u64, tasks: usize) {
        let mut held = self.memory.held();
        held.bytes = held.bytes.saturating_sub(bytes);
        if let Some(own) = held.by_account.get_mut(&self.account) {
            own.bytes = own.bytes.saturating_sub(bytes);
            own.tasks = own.tasks.saturating_sub(tasks);
            if own.tasks == 0 {
                held.by_account.remove(&self.account);
            }
        }
        drop(held);
        self.memory.freed.notify_waiters();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.bytes, 1);
    }
}
