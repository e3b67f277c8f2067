//! Where delivered and uploaded files are: a local folder, or a bucket of S3.
//!
//! Invariant: a write that succeeded is durable, whole and of the promised size; one that did not leaves no
//! object, and what it began is aborted. Not here: which objects there are (the rows say), signed URLs of our
//! own (`app::link`).

mod fault;
mod health;
mod s3;
mod staged;
mod staging;
mod upload;

pub(crate) use staged::{Staged, Staging};
pub(crate) use upload::Upload;

use crate::{
    app::link::Stored,
    config::{Downloads, Storage},
};
use futures::future::join_all;
use health::Health;
use object_store::{
    Attribute, Attributes, Error, ObjectStore, ObjectStoreExt,
    aws::AmazonS3,
    local::LocalFileSystem,
    path::Path as Key,
    prefix::PrefixStore,
    signer::{SignedUrlOptions, Signer},
};
use std::{
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio_util::task::TaskTracker;

/// How long a link of the storage works.
const REDIRECT_LIFE: Duration = Duration::from_secs(300);
/// How long one removal may take; what is not removed then is an orphan, which the sweep takes.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(5);
/// Removals under way at once.
const REMOVALS_AT_ONCE: usize = 16;
/// How long a stop waits for uploads to be aborted.
const ABORT_PATIENCE: Duration = Duration::from_secs(5);

/// All stored files.
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    place: Place,
    staging: Staging,
    /// Aborts of uploads that were dropped.
    aborts: TaskTracker,
}

enum Place {
    Folder(PathBuf),
    Bucket(Box<Bucket>),
}

struct Bucket {
    signer: Arc<PrefixStore<AmazonS3>>,
    redirects: bool,
    health: Health,
}

/// Why there is no place for files: one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{1}")]
    Folder(PathBuf, String),
    #[error("{0}")]
    Bucket(String),
}

/// Opens the place that the settings name. A bucket is tried: a wrong one must not be noticed by a task.
pub(crate) async fn open(settings: &Storage, data_dir: &Path) -> Result<Objects, OpenError> {
    if settings.url.is_local() {
        return open_folder(settings.path.clone().unwrap_or_else(|| data_dir.join("outputs")));
    }
    let bucket = s3::connect(settings).map_err(OpenError::Bucket)?;
    health::try_out(&bucket)
        .await
        .map_err(|failed| OpenError::Bucket(fault::sentence(settings, failed.as_ref())))?;
    let signer = Arc::new(bucket);
    let redirects = settings.downloads == Downloads::Redirect;
    Ok(Objects {
        store: Arc::<PrefixStore<AmazonS3>>::clone(&signer),
        place: Place::Bucket(Box::new(Bucket { signer, redirects, health: Health::new() })),
        staging: Staging::new(data_dir.join("staging"), false),
        aborts: TaskTracker::new(),
    })
}

fn open_folder(folder: PathBuf) -> Result<Objects, OpenError> {
    let unusable = |error: String| OpenError::Folder(folder.clone(), error);
    std::fs::create_dir_all(&folder).map_err(|error| unusable(error.to_string()))?;
    let store = LocalFileSystem::new_with_prefix(&folder).map_err(|error| unusable(error.to_string()))?;
    Ok(Objects {
        store: Arc::new(store.with_fsync(true)),
        staging: Staging::new(folder.clone(), true),
        place: Place::Folder(folder),
        aborts: TaskTracker::new(),
    })
}

impl Deref for Objects {
    type Target = dyn ObjectStore;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl Objects {
    fn is_bucket(&self) -> bool {
        matches!(self.place, Place::Bucket(_))
    }

    /// What is stored with an object. A folder keeps nothing but bytes.
    fn attributes(&self, mime: &'static str) -> Attributes {
        if self.is_bucket() {
            Attributes::from_iter([(Attribute::ContentType, mime)])
        } else {
            Attributes::new()
        }
    }

    /// A link of the storage itself that gives the object for a short time, and for no longer than is `left`
    /// of ours; none if downloads pass through
    /// the gateway.
    pub(crate) async fn redirect(&self, stored: &Stored, left: Duration) -> Result<Option<String>, Error> {
        let Place::Bucket(bucket) = &self.place else { return Ok(None) };
        if !bucket.redirects {
            return Ok(None);
        }
        let disposition = format!("inline; filename=\"{}\"", stored.file_name);
        let options = SignedUrlOptions::new().with_query([
            ("response-content-type", stored.mime.as_str()),
            ("response-content-disposition", disposition.as_str()),
            ("response-cache-control", "private, max-age=3600"),
        ]);
        let key = Key::from(stored.object_key.as_str());
        // Whole seconds, and none is no link.
        let life = left.clamp(Duration::from_secs(1), REDIRECT_LIFE);
        let url = bucket.signer.signed_url_opts(http::Method::GET, &key, life, &options).await?;
        Ok(Some(url.into()))
    }

    /// Whether the bucket answers, as of a few seconds ago; none for a folder.
    pub(crate) async fn is_up(&self) -> Option<bool> {
        let Place::Bucket(bucket) = &self.place else { return None };
        Some(bucket.health.is_up(&bucket.signer).await)
    }

    /// Deletes an object; `false` if it may still be there, which makes it an orphan.
    pub(crate) async fn remove(&self, key: &str) -> bool {
        let gone = tokio::time::timeout(REMOVAL_PATIENCE, self.store.delete(&Key::from(key))).await;
        match gone {
            Ok(Ok(()) | Err(Error::NotFound { .. })) => true,
            Ok(Err(error)) => {
                failed("delete", &error);
                false
            }
            Err(_) => {
                tracing::warn!(key, "an object was not deleted in time");
                false
            }
        }
    }

    /// Deletes objects, several at once. Where one resists, the rest is left to the sweep: a storage that is
    /// away would be waited for once for each.
    pub(crate) async fn remove_all(&self, keys: &[String]) {
        for keys in keys.chunks(REMOVALS_AT_ONCE) {
            if join_all(keys.iter().map(|key| self.remove(key))).await.contains(&false) {
                return;
            }
        }
    }

    /// A name for a file on the local disk that is no object; what a killed process leaves there is swept.
    pub(crate) async fn scratch(&self) -> std::io::Result<PathBuf> {
        let folder = self.staging.folder();
        tokio::fs::create_dir_all(folder).await?;
        Ok(folder.join(staged::fresh_name()))
    }

    /// Removes what killed processes left on the local disk. S3 has a rule for what they left there.
    pub(crate) async fn sweep_staging(&self, oldest_ms: i64) {
        staging::sweep(self.staging.folder().to_owned(), oldest_ms).await;
    }

    /// Waits until what was begun is aborted.
    pub(crate) async fn close(&self) {
        self.aborts.close();
        drop(tokio::time::timeout(ABORT_PATIENCE, self.aborts.wait()).await);
    }
}

/// Notes that the storage did not do what it was asked.
pub(crate) fn failed(operation: &'static str, error: &Error) {
    tracing::warn!(operation, cause = %fault::cause(error), "the object storage failed");
    metrics::counter!("rynjer_object_storage_errors_total", "operation" => operation).increment(1);
}
