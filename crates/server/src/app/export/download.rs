//! An export that is sent while it is made.
//!
//! Invariant: an account has one at a time, and its beginning is in the log before the first byte leaves; a
//! failure cuts it short, which the receiver notices. Not here: what is in it (`export`).

use super::Course;
use crate::{
    app::{Error, admin::Admin},
    state::App,
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use rynjer_core::id::AccountId;
use serde_json::json;
use std::{
    collections::HashSet,
    future, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio_util::io::ReaderStream;

/// What is made before the receiver takes it.
const PIPE_BYTES: usize = 64 << 10;

/// The accounts whose exports are on their way from this process.
#[derive(Debug, Default, Clone)]
pub(crate) struct Exports {
    known: Arc<Mutex<HashSet<AccountId>>>,
    tables: Arc<tokio::sync::Mutex<()>>,
}

/// The one export of an account; its drop lets another one begin.
struct Turn(Exports, AccountId);

impl Exports {
    fn begin(&self, account: &AccountId) -> Option<Turn> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(account.clone()).then(|| Turn(self.clone(), account.clone()))
    }

    fn course(&self, turn: Turn) -> Course {
        Course { tables: Arc::clone(&self.tables), turn: Some(Arc::new(turn)), ..Course::default() }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// Tells when the receiver is gone.
struct Receiver(Arc<AtomicBool>);

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Admin {
    /// Everything of an account, as it is read.
    ///
    /// # Errors
    /// No such account; an export of it that is on its way; a disk that can't be written.
    pub(crate) async fn account_download(
        &self,
        app: &App,
        id: &AccountId,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>, Error> {
        self.account_show(id).await?;
        let turn = app.exports.begin(id).ok_or_else(|| {
            Error::field("", "a download of this account is on its way: let it end, or cancel it first")
        })?;
        let scratch = app.outputs.scratch().await.map_err(Error::internal)?;
        self.note(Some(id), "account.export_begun", id.as_str(), json!({})).await?;
        let (mut out, read) = tokio::io::duplex(PIPE_BYTES);
        let (hand, app, id) = (self.clone(), app.clone(), id.clone());
        let course = app.exports.course(turn);
        let receiver = Receiver(Arc::clone(&course.is_given_up));
        let making = async move {
            let _receiver = receiver;
            hand.export_to(&id, &app.outputs, (&scratch, course), &mut out).await
        };
        let failed = stream::once(making).filter_map(|made| {
            let error = made.err().map(|error| {
                tracing::warn!(?error, "an export was cut short");
                Err(io::Error::other("the export was cut short"))
            });
            future::ready(error)
        });
        Ok(stream::select(ReaderStream::new(read), failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy;

    #[test]
    fn a_turn_lasts_until_the_table_is_read_although_its_receiver_is_gone() {
        let (exports, account) = (Exports::default(), AccountId::new(0, entropy::id()));
        let turn = exports.begin(&account).expect("the first");
        assert!(exports.begin(&account).is_none());
        let course = exports.course(turn);
        let reading = course.clone();
        drop(Receiver(Arc::clone(&course.is_given_up)));
        drop(course);
        assert!(reading.is_given_up.load(Ordering::Relaxed));
        assert!(exports.begin(&account).is_none());
        drop(reading);
        assert!(exports.begin(&account).is_some());
    }
}
