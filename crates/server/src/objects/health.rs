//! Whether a bucket can be used: tried out in full at the start, asked shortly later on.
//!
//! Invariant: at most one question is under way, and an answer is believed for some seconds. Not here: what
//! follows from it.

use super::fault;
use crate::entropy;
use futures::TryStreamExt;
use moka::sync::Cache;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutPayload, aws::AmazonS3, path::Path, prefix::PrefixStore,
};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long the trial at the start may take.
const TRIAL_PATIENCE: Duration = Duration::from_secs(20);
/// How long an answer is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(10);
/// How long whoever asks waits for one.
const PATIENCE: Duration = Duration::from_secs(3);
const FOLDER: &str = "probe";

/// Lists, writes, reads and deletes; `Err(None)` if it took too long.
pub(super) async fn try_out(store: &PrefixStore<AmazonS3>) -> Result<(), Option<Error>> {
    let trial = async {
        let name = data_encoding::HEXLOWER.encode(&entropy::bytes::<8>());
        let (folder, bytes) = (Path::from(FOLDER), name.clone().into_bytes());
        drop(store.list(Some(&folder)).try_next().await?);
        let key = folder.join(name);
        store.put(&key, PutPayload::from(bytes.clone())).await?;
        let read = store.get(&key).await?.bytes().await?;
        store.delete(&key).await?;
        if read[..] == bytes[..] {
            return Ok(());
        }
        Err(Error::Generic { store: "S3", source: "it did not give back what was written".into() })
    };
    tokio::time::timeout(TRIAL_PATIENCE, trial).await.map_err(|_| None)?.map_err(Some)
}

/// The last answer.
pub(super) struct Health {
    answers: Cache<(), bool>,
    asking: Mutex<()>,
}

impl Health {
    pub(super) fn new() -> Self {
        let answers = Cache::builder().max_capacity(1).time_to_live(BELIEVED_FOR).build();
        Self { answers, asking: Mutex::new(()) }
    }

    /// Whether the bucket answers.
    pub(super) async fn is_up(&self, store: &PrefixStore<AmazonS3>) -> bool {
        if let Some(known) = self.answers.get(&()) {
            return known;
        }
        let _turn = self.asking.lock().await;
        if let Some(known) = self.answers.get(&()) {
            return known;
        }
        let up = answers(store).await;
        metrics::gauge!("rynjer_object_storage_up").set(if up { 1.0 } else { 0.0 });
        self.answers.insert((), up);
        up
    }
}

/// An object that is not there is an answer, a bucket that is not there is none.
async fn answers(store: &PrefixStore<AmazonS3>) -> bool {
    let nothing = Path::from(FOLDER).join("nothing");
    match tokio::time::timeout(PATIENCE, store.get(&nothing)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => matches!(error, Error::NotFound { .. }) && fault::cause(&error) != "NoSuchBucket",
        Err(_) => false,
    }
}
