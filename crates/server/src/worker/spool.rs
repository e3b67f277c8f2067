//! A vendor's file on its way: in memory while it is small, on the local disk beyond that.
//!
//! Invariant: whatever a vendor sends, at most [`HELD_BYTES`] and one chunk of it are in memory, and what is
//! plainly not what was asked for is cut off at its first bytes. Not here: fetching, storing (`files`).

use crate::objects::{Staged, Staging};
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use rynjer_providers::{
    Sink,
    guarded::FetchError,
    media::{self, HEAD_BYTES, Limits, Media, MediaError},
};
use sha2::{Digest, Sha256};
use std::{io, mem};

/// How much of a file is in memory at once.
const HELD_BYTES: usize = 1 << 20;

/// Takes a file from a vendor.
pub(super) struct Spool {
    staging: Staging,
    /// The kind that was asked for.
    wanted: &'static str,
    has_begun: bool,
    held: BytesMut,
    disk: Option<Disk>,
}

/// What is on disk already.
struct Disk {
    staged: Staged,
    hash: Sha256,
}

/// A file that is all here.
pub(super) enum Arrived {
    Held(Bytes),
    Staged(Box<Staged>),
}

/// A file that is what it should be.
pub(super) struct Looked {
    pub(super) media: Media,
    /// In hex.
    pub(super) sha256: String,
    pub(super) bytes: u64,
    pub(super) arrived: Arrived,
}

/// Why a file is not taken.
pub(super) enum NotLooked {
    Unusable(MediaError),
    /// The disk failed; that says nothing about the file.
    Unread,
}

impl Spool {
    pub(super) fn new(staging: Staging, wanted: &'static str) -> Self {
        Self { staging, wanted, has_begun: false, held: BytesMut::new(), disk: None }
    }

    /// Whether the first bytes are of the right kind.
    fn check_head(&self) -> Result<(), FetchError> {
        let kind = media::begins(&self.held).map_err(|error| FetchError::Rejected(error.to_string()))?;
        if kind.name() == self.wanted {
            return Ok(());
        }
        Err(FetchError::Rejected(format!("it is {} instead of {}", kind.name(), self.wanted)))
    }

    async fn keep(&mut self, chunk: Bytes) -> Result<(), FetchError> {
        self.held.extend_from_slice(&chunk);
        drop(chunk);
        if !self.has_begun && self.held.len() >= HEAD_BYTES {
            self.check_head()?;
            self.has_begun = true;
        }
        if self.held.len() < HELD_BYTES {
            return Ok(());
        }
        let unwritten = |error: String| FetchError::Unwritten(format!("the file could not be kept: {error}"));
        let (staging, disk, held) = (self.staging.clone(), self.disk.take(), mem::take(&mut self.held));
        let flushed = tokio::task::spawn_blocking(move || flush(&staging, disk, held)).await;
        let (disk, held) = flushed
            .map_err(|error| unwritten(error.to_string()))?
            .map_err(|error| unwritten(error.to_string()))?;
        (self.disk, self.held) = (Some(disk), held);
        Ok(())
    }

    /// Looks into the whole file. It may take as long as reading all of it: blocks.
    pub(super) fn look(self, limits: &Limits) -> Result<Looked, NotLooked> {
        match self.disk {
            None => look_held(self.held.freeze(), limits),
            disk => {
                let flushed = flush(&self.staging, disk, self.held);
                flushed.map_err(|_| NotLooked::Unread).and_then(|(disk, _)| disk.look(limits))
            }
        }
    }
}

impl Sink for Spool {
    fn take(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), FetchError>> {
        Box::pin(self.keep(chunk))
    }
}

/// Writes what is held, and gives its memory back empty.
fn flush(staging: &Staging, disk: Option<Disk>, mut held: BytesMut) -> io::Result<(Disk, BytesMut)> {
    let mut disk = match disk {
        Some(disk) => disk,
        None => Disk { staged: staging.create()?, hash: Sha256::new() },
    };
    disk.hash.update(&held);
    disk.staged.write(&held)?;
    held.clear();
    Ok((disk, held))
}

impl Disk {
    fn look(mut self, limits: &Limits) -> Result<Looked, NotLooked> {
        let media = media::inspect_file(self.staged.file(), limits)?;
        let sha256 = hex(&self.hash.finalize());
        let bytes = self.staged.bytes();
        Ok(Looked { media, sha256, bytes, arrived: Arrived::Staged(Box::new(self.staged)) })
    }
}

/// Looks into a file that is in memory; blocks as long as hashing it takes.
pub(super) fn look_held(file: Bytes, limits: &Limits) -> Result<Looked, NotLooked> {
    let media = media::inspect(&file, limits)?;
    let sha256 = hex(&Sha256::digest(&file));
    Ok(Looked { media, sha256, bytes: file.len() as u64, arrived: Arrived::Held(file) })
}

fn hex(digest: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(digest)
}

impl From<MediaError> for NotLooked {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Unread => Self::Unread,
            error => Self::Unusable(error),
        }
    }
}
