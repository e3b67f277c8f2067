//! Watching one task: its state now and after each change, for long polls and event streams.
//!
//! Invariant: however many watch a task, each of its states is read once; nobody looks without need. Not
//! here: who may see it (`task::find`).

use crate::{
    app::{Error, caller::Caller, task::poll_after_ms},
    hub::{Round, Waiter},
    state::App,
};
use rynjer_core::id::TaskId;
use rynjer_store::task::{self, TaskRow};
use std::{sync::Arc, time::Duration};

/// Where every change is told, a look from time to time only guards against a mistake.
const LOOK_EVERY_ALONE: Duration = Duration::from_secs(30);

/// A place among the requests that wait; given back when it is dropped.
pub(crate) struct Seat {
    app: App,
    account: String,
    principal: String,
}

impl Seat {
    /// Takes a place for a caller.
    pub(crate) fn take(app: &App, caller: &Caller) -> Result<Self, Error> {
        let (account, principal) = (caller.account.to_string(), caller.counted_as().to_owned());
        let limits = &app.config.limits;
        app.hub
            .take_seat((&account, &principal), limits.waits_per_principal, limits.waits)
            .map_err(|limit| Error::TooManyWaits { limit })?;
        Ok(Self { app: app.clone(), account, principal })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.app.hub.leave_seat((&self.account, &self.principal));
    }
}

/// One watcher of one task.
pub(crate) struct Watch {
    app: App,
    first: TaskRow,
    waiter: Option<Waiter>,
    round: Option<Arc<Round>>,
}

impl Watch {
    /// Watches a task that the caller may see.
    pub(crate) fn new(app: &App, row: TaskRow) -> Self {
        let waiter = Some(app.hub.subscribe(&row.id));
        Self { app: app.clone(), first: row, waiter, round: None }
    }

    pub(crate) fn id(&self) -> &TaskId {
        &self.first.id
    }

    /// The task as it is now: what the first of all watchers reads after a change.
    pub(crate) async fn row(&mut self) -> Result<Arc<TaskRow>, Error> {
        let Some(waiter) = &mut self.waiter else { return Err(Error::NotFound) };
        let round = waiter.round();
        self.round = Some(Arc::clone(&round));
        let read = || async {
            let (account, id) = (self.first.account.clone(), self.first.id.clone());
            let row = self.app.store.read(move |tx| Ok::<_, Error>(task::by_id(tx, &account, None, &id)?));
            Ok(Arc::new(row.await?.ok_or(Error::NotFound)?))
        };
        round.get_or_try_init(read).await.cloned()
    }

    /// Makes [`Watch::row`] read, unless somebody has just done so.
    pub(crate) fn look_again(&self) {
        if let Some(round) = &self.round {
            self.app.hub.look_again(&self.first.id, round);
        }
    }

    /// Returns when [`Watch::row`] may have something new.
    pub(crate) async fn changed(&mut self) {
        let pace = u64::try_from(poll_after_ms(&self.app, &self.first)).unwrap_or_default();
        let pace = if self.app.hub.is_alone() { LOOK_EVERY_ALONE } else { Duration::from_millis(pace) };
        let Some(waiter) = &mut self.waiter else { return };
        if tokio::time::timeout(pace, waiter.changed()).await.is_err() {
            self.look_again();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.waiter.take());
        self.app.hub.forget_idle(&self.first.id);
    }
}
