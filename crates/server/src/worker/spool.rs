//! A vendor's file on its way: in memory while it is small, on the local disk beyond that.
//!
//! Invariant: whatever a vendor sends, at most [`HELD_BYTES`] and one chunk of it are in memory, and what is
//! plainly not what was asked for is cut off at its first bytes. Not here: fetching, storing (`files`).

use crate::objects::{Staged, Staging};
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use rynjer_providers::{
    Length, Sink,
    guarded::FetchError,
    media::{self, HEAD_BYTES, Kind, Limits, Media, MediaError, Outline},
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
    outline: Option<Outline>,
    /// How much is on disk already.
    flushed_bytes: u64,
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
    /// For a file of that kind.
    pub(super) fn new(staging: Staging, wanted: &'static str) -> Self {
        let (held, flushed_bytes) = (BytesMut::new(), 0);
        Self { staging, wanted, has_begun: false, outline: None, flushed_bytes, held, disk: None }
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
        if let Some(outline) = self.outline.as_mut().filter(|_| self.has_begun) {
            let seen = outline.see(self.flushed_bytes, &self.held);
            seen.map_err(|error| FetchError::Rejected(error.to_string()))?;
        }
        if self.held.len() < HELD_BYTES {
            return Ok(());
        }
        self.flushed_bytes += self.held.len() as u64;
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
    fn begin(&mut self, length: Length) {
        self.outline = (self.wanted == Kind::Video.name()).then(|| Outline::new(length));
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const LIMITS: Limits = Limits { max_bytes: 1 << 30, max_pixels: 1 << 24 };

    fn boxed(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let bytes = u32::try_from(body.len() + 8).unwrap().to_be_bytes();
        [&bytes[..], name, body].concat()
    }

    /// A film whose index stands at its end.
    fn film(data_bytes: usize) -> Vec<u8> {
        let length = [[0, 0, 0x03, 0xe8], [0, 0, 0x07, 0xd0]].concat();
        let header = boxed(b"mvhd", &[&[0; 12], &length[..], &[0; 80]].concat());
        let size = boxed(b"tkhd", &[&[0; 76][..], &[2, 0x80, 0, 0, 1, 0x68, 0, 0]].concat());
        let media = boxed(b"mdia", &boxed(b"hdlr", &[&[0; 8][..], b"vide", &[0; 13]].concat()));
        let index = boxed(b"moov", &[header, boxed(b"trak", &[size, media].concat())].concat());
        let data: Vec<u8> = (0..data_bytes).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
        [boxed(b"ftyp", b"isom\0\0\x02\0isom"), boxed(b"mdat", &data), index].concat()
    }

    struct Folder(TempDir);

    impl Folder {
        fn new() -> Self {
            Self(TempDir::new().unwrap())
        }

        fn spool(&self, wanted: &'static str) -> Spool {
            let mut spool = Spool::new(Staging::new(self.0.path().to_owned(), true), wanted);
            spool.begin(Length { max_bytes: LIMITS.max_bytes, is_declared: false });
            spool
        }

        fn files(&self) -> Vec<u64> {
            let entries = std::fs::read_dir(self.0.path()).unwrap();
            entries.map(|entry| entry.unwrap().metadata().unwrap().len()).collect()
        }
    }

    async fn pour(spool: &mut Spool, file: &[u8]) -> Result<(), FetchError> {
        for chunk in file.chunks(100_003) {
            spool.take(Bytes::copy_from_slice(chunk)).await?;
            assert!(spool.held.len() < HELD_BYTES, "{}", spool.held.len());
            assert!(spool.held.capacity() <= 2 * HELD_BYTES, "{}", spool.held.capacity());
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_film_is_on_disk_and_never_in_one_buffer() {
        let (folder, film) = (Folder::new(), film(9_000_000));
        let mut spool = folder.spool("video");
        pour(&mut spool, &film).await.unwrap();
        let held = spool.held.len() as u64;
        assert_eq!(folder.files(), [film.len() as u64 - held]);
        let looked = spool.look(&LIMITS).ok().unwrap();
        assert_eq!((looked.media.width, looked.media.height), (Some(640), Some(360)));
        assert_eq!((looked.media.duration_ms, looked.bytes), (Some(2_000), film.len() as u64));
        assert_eq!(looked.sha256, hex(&Sha256::digest(&film)));
        assert!(matches!(looked.arrived, Arrived::Staged(_)));
        assert_eq!(folder.files(), [film.len() as u64]);
        drop(looked.arrived);
        assert_eq!(folder.files().len(), 0);
    }

    #[tokio::test]
    async fn a_small_file_touches_no_disk() {
        let (folder, film) = (Folder::new(), film(900_000));
        let mut spool = folder.spool("video");
        pour(&mut spool, &film).await.unwrap();
        let looked = spool.look(&LIMITS).ok().unwrap();
        assert_eq!(looked.sha256, hex(&Sha256::digest(&film)));
        assert!(matches!(looked.arrived, Arrived::Held(file) if file == film));
        assert_eq!(folder.files().len(), 0);
    }

    #[tokio::test]
    async fn what_is_plainly_something_else_is_cut_off_at_its_first_bytes() {
        let rejected = |reason: &str| Err(FetchError::Rejected(reason.to_owned()));
        let unknown = rejected("the bytes are no known picture, video or audio format");
        for (wanted, file, expected) in [
            ("image", &film(100)[..], rejected("it is video instead of image")),
            ("video", &[b'A'; 100], unknown),
            (
                "video",
                b"\x1a\x45\xdf\xa3 a film in another box",
                rejected("WebM or Matroska files are not supported"),
            ),
            ("audio", b"ID3\x04\0\0\0\0\0\0 and so on", Ok(())),
        ] {
            let folder = Folder::new();
            let mut spool = folder.spool(wanted);
            // However small the chunks are.
            let mut answer = Ok(());
            for byte in file {
                answer = spool.take(Bytes::copy_from_slice(&[*byte])).await;
                if answer.is_err() {
                    break;
                }
            }
            assert_eq!(answer, expected, "{wanted}");
            assert!(spool.held.len() == HEAD_BYTES || answer.is_ok());
        }
    }

    #[tokio::test]
    async fn a_film_without_an_end_is_cut_off_at_once() {
        let folder = Folder::new();
        let mut spool = folder.spool("video");
        let begin = &film(10)[..20];
        assert_eq!(pour(&mut spool, begin).await, Ok(()));
        let refused = pour(&mut spool, &[b'A'; 4]).await.unwrap_err().to_string();
        assert_eq!(refused, "the file has 1094795605 bytes, more than the 1073741824 allowed");
        assert_eq!(folder.files().len(), 0);
    }

    #[tokio::test]
    async fn a_broken_film_is_found_on_disk() {
        let (folder, mut film) = (Folder::new(), film(3_000_000));
        film.truncate(2_900_000);
        let mut spool = folder.spool("video");
        pour(&mut spool, &film).await.unwrap();
        let refused = spool.look(&LIMITS).err().unwrap();
        assert!(matches!(refused, NotLooked::Unusable(error) if error.to_string().contains("cut off")));
        assert_eq!(folder.files().len(), 0);
    }
}
