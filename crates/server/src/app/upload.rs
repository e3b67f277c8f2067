//! Pictures on their way into storage: received piece by piece, looked into, kept.
//!
//! Invariant: a file's row is written after its object is durable, and its type and size in pixels are read
//! from its bytes. Not here: multipart (`http::file`), what is kept already (`file`).

use crate::{
    app::{Error, caller::Caller, file::answer, restoration},
    entropy,
    objects::Upload,
    seats::Seats,
    state::App,
};
use bytes::Bytes;
use object_store::{ObjectStoreExt, path::Path};
use rynjer_api::FileAnswer;
use rynjer_core::{
    id::{AccountId, FileId},
    scope::Scope,
    time::HOUR_MS,
};
use rynjer_providers::{
    InputImage,
    guarded::{FetchError, FetchLimits, inspect_image},
};
use rynjer_store::file::{self, FileRow, Kept};
use sha2::{Digest, Sha256};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Uploads received at once. Each has at most one part in memory.
const RECEIVED_AT_ONCE: usize = 32;
/// What is sent on to object storage at once; S3 takes no smaller parts.
const PART_BYTES: usize = 5 << 20;
/// Whole pictures in memory at once, to be looked into.
const LOOKED_INTO_AT_ONCE: usize = 2;
/// How long an upload waits for its turn.
const TURN_PATIENCE: Duration = Duration::from_secs(10);

/// What uploads share: together they bound the memory of all uploads.
pub(crate) struct Uploads {
    places: Mutex<Seats>,
    received: Arc<Semaphore>,
    looked_into: Semaphore,
}

impl Uploads {
    pub(crate) fn new() -> Self {
        Self {
            places: Mutex::default(),
            received: Arc::new(Semaphore::new(RECEIVED_AT_ONCE)),
            looked_into: Semaphore::new(LOOKED_INTO_AT_ONCE),
        }
    }

    fn places(&self) -> MutexGuard<'_, Seats> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Uploads that may be under way at all; one account has half of them at most.
const PLACES: u32 = 32;

fn who(caller: &Caller) -> (&str, &str) {
    (caller.account.as_str(), caller.counted_as())
}

/// A caller's place among the uploads; given back when it is dropped.
struct Place<'a> {
    app: &'a App,
    caller: &'a Caller,
}

impl<'a> Place<'a> {
    /// Before the wait for a turn: who waits with many would hold up all others.
    fn take(app: &'a App, caller: &'a Caller) -> Result<Self, Error> {
        let (who, most_of_one) = (who(caller), app.config.limits.uploads_per_principal);
        let taken = app.uploads.places().take(who, most_of_one, PLACES);
        taken.map_err(|limit| Error::TooManyUploads { limit })?;
        Ok(Self { app, caller })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.app.uploads.places().leave(who(self.caller));
    }
}

/// An upload that has begun. Dropped before its end it leaves nothing.
pub(crate) struct Receiving<'a> {
    app: &'a App,
    caller: &'a Caller,
    id: FileId,
    buffer: Vec<u8>,
    bytes: usize,
    /// What the account had left at the beginning.
    room_bytes: i64,
    hash: Sha256,
    staged: Option<Staged<'a>>,
    _place: Place<'a>,
    _turn: OwnedSemaphorePermit,
}

/// The parts of a large upload that are in object storage already.
struct Staged<'a> {
    object_key: String,
    upload: Upload<'a>,
}

/// Begins an upload. Only who can start from a picture has a use for one.
pub(crate) async fn receive<'a>(app: &'a App, caller: &'a Caller) -> Result<Receiving<'a>, Error> {
    restoration::refuse(app)?;
    if !caller.scopes.contains(Scope::Image) && !caller.scopes.contains(Scope::Video) {
        return Err(Error::ScopeNotAllowed { needed: "image or video".to_owned() });
    }
    if caller.agent_paused {
        return Err(Error::AgentPaused);
    }
    let place = Place::take(app, caller)?;
    let turn = Arc::clone(&app.uploads.received).acquire_owned();
    let Ok(Ok(turn)) = tokio::time::timeout(TURN_PATIENCE, turn).await else {
        return Err(Error::Overloaded);
    };
    let room_bytes = room_bytes(app, &caller.account).await?;
    Ok(Receiving {
        app,
        caller,
        id: FileId::new(app.now_ms(), entropy::id()),
        buffer: Vec::new(),
        bytes: 0,
        room_bytes,
        hash: Sha256::new(),
        staged: None,
        _place: place,
        _turn: turn,
    })
}

impl Receiving<'_> {
    /// Takes the next bytes.
    pub(crate) async fn push(&mut self, piece: &[u8]) -> Result<(), Error> {
        let limit_bytes = self.app.config.limits.file_bytes;
        self.bytes = self.bytes.saturating_add(piece.len());
        if self.bytes > limit_bytes {
            return Err(Error::PayloadTooLarge { limit_bytes });
        }
        self.hash.update(piece);
        if !self.fits() {
            // Nothing of it is stored. It may be a file that is there already: that takes no room.
            self.buffer = Vec::new();
            self.abort().await;
            return Ok(());
        }
        self.buffer.extend_from_slice(piece);
        if self.buffer.len() >= PART_BYTES { self.send_part().await } else { Ok(()) }
    }

    fn fits(&self) -> bool {
        counted_bytes(self.bytes) <= self.room_bytes
    }

    async fn abort(&mut self) {
        if let Some(staged) = self.staged.take() {
            staged.upload.abort().await;
        }
    }

    async fn send_part(&mut self) -> Result<(), Error> {
        // Some storages want parts of one size.
        let rest = self.buffer.split_off(PART_BYTES.min(self.buffer.len()));
        let part = std::mem::replace(&mut self.buffer, rest);
        if self.staged.is_none() {
            let (extension, mime) = type_of_bytes(&part).ok_or_else(no_picture)?;
            let object_key = object_key(&self.caller.account, &self.id, extension);
            let upload = self.app.outputs.begin(&object_key, mime).await.map_err(unwritten)?;
            self.staged = Some(Staged { object_key, upload });
        }
        let Some(staged) = &mut self.staged else { return Ok(()) };
        staged.upload.part(Bytes::from(part), 1).await.map_err(unwritten)
    }

    /// Keeps what was received.
    pub(crate) async fn finish(mut self, warnings: Vec<String>) -> Result<FileAnswer, Error> {
        let (app, caller) = (self.app, self.caller);
        let sha256 = hex(std::mem::take(&mut self.hash));
        let until_ms = app.now_ms() + i64::from(app.config.retention.file_hours) * HOUR_MS;
        if let Some(known) = renewed(app, caller, &sha256, until_ms).await? {
            self.abort().await;
            return answer(app, caller, &known, warnings);
        }
        if !self.fits() {
            return Err(over_quota(app));
        }
        let (image, object_key) = if self.staged.is_some() {
            self.finish_parts().await?
        } else {
            // As it was sent: what follows the picture's end is cut off when a task reads it.
            let bytes = Bytes::from(std::mem::take(&mut self.buffer));
            let image = look(app, bytes.clone()).await.map_err(unusable)?;
            let object_key = object_key(&caller.account, &self.id, extension_of(&image));
            app.outputs.put(&object_key, image.mime, &bytes).await.map_err(unwritten)?;
            (image, object_key)
        };
        let arrived = Arrived { id: self.id.clone(), object_key, sha256, bytes: self.bytes };
        let row = arrived.row(app, caller, &image, until_ms);
        drop(image);
        let row = keep(app, row).await?;
        answer(app, caller, &row, warnings)
    }

    /// Completes a large object and looks into it.
    async fn finish_parts(&mut self) -> Result<(InputImage, String), Error> {
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        let Some(staged) = self.staged.take() else { return Err(Error::internal("no part was sent")) };
        staged.upload.complete().await.map_err(unwritten)?;
        let key = Path::from(staged.object_key.as_str());
        match look_into_object(self.app, &key).await {
            Ok(image) => Ok((image, staged.object_key)),
            Err(error) => {
                // What can't be deleted now is an orphan from here on.
                self.app.outputs.remove(&staged.object_key).await;
                Err(error)
            }
        }
    }
}

/// Keeps a picture that is in memory; the same bytes of the same caller are one file.
pub(crate) async fn store(
    app: &App,
    caller: &Caller,
    image: &InputImage,
    until_ms: i64,
) -> Result<FileRow, Error> {
    let bytes = image.bytes.clone();
    let digest = tokio::task::spawn_blocking(move || hex(Sha256::new_with_prefix(&bytes)));
    let sha256 = digest.await.map_err(Error::internal)?;
    if let Some(known) = renewed(app, caller, &sha256, until_ms).await? {
        return Ok(known);
    }
    if counted_bytes(image.bytes.len()) > room_bytes(app, &caller.account).await? {
        return Err(over_quota(app));
    }
    let id = FileId::new(app.now_ms(), entropy::id());
    let object_key = object_key(&caller.account, &id, extension_of(image));
    app.outputs.put(&object_key, image.mime, &image.bytes).await.map_err(unwritten)?;
    let arrived = Arrived { id, object_key, sha256, bytes: image.bytes.len() };
    keep(app, arrived.row(app, caller, image, until_ms)).await
}

/// Keeps a copy of an object that may be deleted soon. Few are in memory at once.
pub(crate) async fn copy(
    app: &App,
    caller: &Caller,
    object_key: &str,
    until_ms: i64,
) -> Result<FileRow, Error> {
    let _turn = app.uploads.looked_into.acquire().await.map_err(Error::internal)?;
    let object = app.outputs.get(&Path::from(object_key)).await.map_err(|error| match error {
        object_store::Error::NotFound { .. } => Error::NotFound,
        error => unread(error),
    })?;
    let bytes = object.bytes().await.map_err(unread)?;
    let image = look(app, bytes).await.map_err(unusable)?;
    store(app, caller, &image, until_ms).await
}

/// Looks into a picture in memory.
pub(crate) async fn look(app: &App, bytes: Bytes) -> Result<InputImage, FetchError> {
    let limits = FetchLimits {
        max_bytes: u64::try_from(app.config.limits.file_bytes).unwrap_or(u64::MAX),
        max_pixels: app.config.inputs.max_pixels,
    };
    // Checksums over megabytes would hold up everything else on this thread.
    let looked = tokio::task::spawn_blocking(move || inspect_image(&bytes, &limits)).await;
    looked.unwrap_or_else(|_| Err(FetchError::Rejected("The picture could not be looked into.".to_owned())))
}

async fn look_into_object(app: &App, key: &Path) -> Result<InputImage, Error> {
    let _turn = app.uploads.looked_into.acquire().await.map_err(Error::internal)?;
    let object = app.outputs.get(key).await.map_err(unread)?;
    let bytes = object.bytes().await.map_err(unread)?;
    let image = look(app, bytes).await.map_err(unusable)?;
    // Its bytes would stay in memory after the turn is over.
    Ok(InputImage { bytes: Bytes::new(), ..image })
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of `map_err`")]
fn unwritten(error: object_store::Error) -> Error {
    Error::storage("write", &error)
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of `map_err`")]
fn unread(error: object_store::Error) -> Error {
    Error::storage("read", &error)
}

async fn renewed(app: &App, caller: &Caller, sha256: &str, until_ms: i64) -> Result<Option<FileRow>, Error> {
    let (account, agent, sha256) = (caller.account.clone(), caller.principal().to_owned(), sha256.to_owned());
    let now_ms = app.now_ms();
    Ok(app.store.write(move |tx| file::renew(tx, &account, &agent, &sha256, now_ms, until_ms)).await?)
}

/// An object that is stored and has no row yet.
struct Arrived {
    id: FileId,
    object_key: String,
    sha256: String,
    bytes: usize,
}

impl Arrived {
    fn row(self, app: &App, caller: &Caller, image: &InputImage, until_ms: i64) -> FileRow {
        FileRow {
            account: caller.account.clone(),
            id: self.id,
            agent_id: caller.principal().to_owned(),
            object_key: self.object_key,
            mime: image.mime.to_owned(),
            width: image.width,
            height: image.height,
            bytes: i64::try_from(self.bytes).unwrap_or(i64::MAX),
            sha256: self.sha256,
            created_at_ms: app.now_ms(),
            expires_at_ms: until_ms,
        }
    }
}

/// Writes the row of a stored object; where it gets none, the object goes again.
async fn keep(app: &App, row: FileRow) -> Result<FileRow, Error> {
    let (now_ms, most_bytes) = (app.now_ms(), app.config.limits.file_bytes_per_account);
    let account_bytes_max = i64::try_from(most_bytes).unwrap_or(i64::MAX);
    let new = row.clone();
    let kept = app.store.write(move |tx| file::keep(tx, &new, now_ms, account_bytes_max)).await;
    // After an error nobody knows whether the row is there: the sweep finds out.
    if matches!(kept, Ok(Kept::Renewed(_) | Kept::OverQuota)) {
        app.outputs.remove(&row.object_key).await;
    }
    match kept? {
        Kept::New => Ok(row),
        Kept::Renewed(known) => Ok(known),
        Kept::OverQuota => Err(over_quota(app)),
    }
}

/// What the account may have besides the files it has. [`keep`] decides; this only spares storing in vain.
async fn room_bytes(app: &App, account: &AccountId) -> Result<i64, Error> {
    let (account, now_ms) = (account.clone(), app.now_ms());
    let living = app.store.read(move |tx| Ok::<_, Error>(file::living_bytes(tx, &account, now_ms)?)).await?;
    let most = i64::try_from(app.config.limits.file_bytes_per_account).unwrap_or(i64::MAX);
    Ok(most.saturating_sub(living))
}

fn counted_bytes(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX).max(file::COUNTED_BYTES_MIN)
}

fn over_quota(app: &App) -> Error {
    Error::FileQuota { limit_bytes: app.config.limits.file_bytes_per_account }
}

fn object_key(account: &AccountId, id: &FileId, extension: &str) -> String {
    format!("files/{account}/{id}.{extension}")
}

fn extension_of(image: &InputImage) -> &'static str {
    match image.mime {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        _ => "webp",
    }
}

/// From the first bytes, long before the whole picture is there.
fn type_of_bytes(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some(("png", "image/png")),
        [0xff, 0xd8, 0xff, ..] => Some(("jpg", "image/jpeg")),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(("webp", "image/webp")),
        _ => None,
    }
}

fn no_picture() -> Error {
    Error::field("file", "must be a PNG, JPEG or WebP picture")
}

fn unusable(error: FetchError) -> Error {
    match error {
        FetchError::Unreachable(message)
        | FetchError::Forbidden(message)
        | FetchError::Rejected(message)
        | FetchError::Unwritten(message) => Error::field("file", message),
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
