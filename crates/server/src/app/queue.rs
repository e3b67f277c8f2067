//! Where a pending task stands in its queue.
//!
//! Invariant: a poll costs no count of its own; the head of a queue is read once for all who ask within a
//! quarter of a second. Not here: who is served next (`store::lease`).

use crate::{app::Error, state::App};
use moka::sync::Cache;
use rynjer_core::{
    id::{AccountId, TaskId},
    task::Status,
};
use rynjer_store::{queue, task::TaskRow};
use std::{sync::Arc, time::Duration};
use tokio::sync::OnceCell;

/// The greatest position that is told; it means "at least".
const POSITION_MAX: u32 = 1000;
const BELIEVED: Duration = Duration::from_millis(250);
const CACHED_MAX: u64 = 256;

/// Heads of queues read lately, by account and provider.
pub(crate) struct Queues(Cache<(AccountId, String), Arc<OnceCell<Arc<Head>>>>);

/// The first tasks of a queue with their places, sorted by id.
struct Head {
    places: Vec<(TaskId, i64)>,
    is_all: bool,
}

impl Queues {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(CACHED_MAX).time_to_live(BELIEVED).build())
    }
}

impl Head {
    fn place(&self, id: &TaskId) -> Option<i64> {
        let index = self.places.binary_search_by(|(other, _)| other.cmp(id)).ok()?;
        self.places.get(index).map(|(_, place)| *place)
    }
}

/// How many tasks of the same account and provider wait before a pending one, at most [`POSITION_MAX`].
pub(crate) async fn position(app: &App, row: &TaskRow) -> Result<Option<i64>, Error> {
    if row.status != Status::Pending {
        return Ok(None);
    }
    let key = (row.account.clone(), row.provider.clone());
    let cell = app.queues.0.get_with_by_ref(&key, Arc::default);
    // All who ask at once wait for one reading.
    let head = Arc::clone(cell.get_or_try_init(|| read(app, row)).await?);
    if let Some(place) = head.place(&row.id) {
        return Ok(Some(place));
    }
    if !head.is_all {
        return Ok(Some(i64::from(POSITION_MAX)));
    }
    // It came after the head was read, or has just been taken.
    let head = read(app, row).await?;
    app.queues.0.insert(key, Arc::new(OnceCell::new_with(Some(Arc::clone(&head)))));
    Ok(head.place(&row.id).or_else(|| (!head.is_all).then_some(i64::from(POSITION_MAX))))
}

async fn read(app: &App, row: &TaskRow) -> Result<Arc<Head>, Error> {
    let (account, provider) = (row.account.clone(), row.provider.clone());
    let read = app.store.read(move |tx| queue::head(tx, &account, &provider, POSITION_MAX));
    let queue::Head { ids, is_all } = read.await.map_err(Error::from)?;
    let mut places: Vec<_> = ids.into_iter().zip(0..).collect();
    places.sort_unstable();
    Ok(Arc::new(Head { places, is_all }))
}
