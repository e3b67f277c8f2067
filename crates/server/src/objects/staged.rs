//! Files on the local disk that are not objects yet: what arrives is larger than it may be in memory, and is
//! looked into before it has a name.
//!
//! Invariant: a staged file is removed unless it became an object, and an object has the bytes on disk before
//! it has the name. Not here: what killed processes left (`staging`), what is written.

use super::{Objects, Place, upload::part_bytes};
use crate::entropy;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use object_store::Error;
use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Parts of one file that are sent or read at once: four films may be on their way.
const PARTS_AT_ONCE: usize = 2;

/// Folders that are remembered as durable: one for each account and day that is busy.
const FOLDERS_KNOWN: usize = 10_000;

/// Where files are staged.
#[derive(Clone)]
pub(crate) struct Staging {
    folder: PathBuf,
    /// A file is renamed into the folder of outputs; what goes to a bucket needs no name at all.
    keeps_names: bool,
    /// Folders of objects that are known to be on the disk.
    durable: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Staging {
    pub(crate) fn new(folder: PathBuf, keeps_names: bool) -> Self {
        Self { folder, keeps_names, durable: Arc::default() }
    }

    fn durable(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an object's folder durable, and those that it is in, once in this process: another task may have
    /// made one a moment ago whose name is not on the disk yet. Blocks.
    fn make_durable(&self, root: &Path, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut at = folder;
        while let Some(parent) = at.parent().filter(|_| at != root) {
            sync_folder(parent)?;
            at = parent;
        }
        let mut durable = self.durable();
        if durable.len() >= FOLDERS_KNOWN {
            durable.clear();
        }
        durable.insert(folder.to_owned());
        Ok(())
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens a new file; blocks.
    pub(crate) fn create(&self) -> io::Result<Staged> {
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(fresh_name());
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let staged = Staged { file, bytes: 0, path: Some(path) };
        Ok(if self.keeps_names { staged } else { staged.without_name() })
    }
}

/// A name that the storage does not show, and that the sweep knows.
pub(super) fn fresh_name() -> String {
    format!("{}#1", HEXLOWER.encode(&entropy::bytes::<8>()))
}

/// A file that is no object yet; its drop removes it. All calls block.
pub(crate) struct Staged {
    file: File,
    bytes: u64,
    path: Option<PathBuf>,
}

impl Staged {
    /// The space is free again when the file is closed, also by a kill.
    fn without_name(mut self) -> Self {
        self.path.take_if(|path| fs::remove_file(path).is_ok());
        self
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// To look into it.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    fn read(&mut self, most: usize) -> io::Result<Bytes> {
        let mut part = Vec::with_capacity(most);
        (&mut self.file).take(most as u64).read_to_end(&mut part)?;
        Ok(part.into())
    }

    /// Gives the file its name for ever.
    fn publish(mut self, to: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        let Some(folder) = to.parent() else { return Err(io::ErrorKind::InvalidInput.into()) };
        if let Some(path) = &self.path {
            fs::rename(path, to)?;
            self.path = None;
        }
        sync_folder(folder)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            drop(fs::remove_file(path));
        }
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: "staging", source: error.into() }
}

impl Objects {
    /// Where files are staged for this storage.
    pub(crate) fn staging(&self) -> &Staging {
        &self.staging
    }

    /// Makes sure that the folder of an object is on the disk; a bucket has none.
    pub(super) async fn folder_of(&self, key: &str) -> Result<(), Error> {
        let Place::Folder(root) = &self.place else { return Ok(()) };
        let Some(folder) = root.join(key).parent().map(Path::to_owned) else { return Ok(()) };
        if self.staging.durable().contains(&folder) && folder.exists() {
            return Ok(());
        }
        let (staging, root) = (self.staging.clone(), root.clone());
        let made = tokio::task::spawn_blocking(move || staging.make_durable(&root, &folder)).await;
        made.map_err(failed)?.map_err(failed)
    }

    /// Makes a staged file an object, and makes sure that it is there.
    pub(crate) async fn put_staged(
        &self,
        key: &str,
        mime: &'static str,
        staged: Staged,
    ) -> Result<(), Error> {
        let Place::Folder(folder) = &self.place else { return self.send_staged(key, mime, staged).await };
        self.folder_of(key).await?;
        let (to, bytes) = (folder.join(key), staged.bytes);
        let published = tokio::task::spawn_blocking(move || staged.publish(&to)).await;
        published.map_err(failed)?.map_err(failed)?;
        self.check(&key.into(), bytes).await
    }

    async fn send_staged(&self, key: &str, mime: &'static str, mut staged: Staged) -> Result<(), Error> {
        staged.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let most = part_bytes(staged.bytes);
        let mut upload = self.begin(key, mime).await?;
        let mut left = staged.bytes;
        while left > 0 {
            let read = tokio::task::spawn_blocking(move || (staged.read(most), staged)).await;
            let part;
            (part, staged) = read.map_err(failed)?;
            let part = part.map_err(failed)?;
            if part.is_empty() {
                return Err(failed("a staged file has lost bytes"));
            }
            left = left.saturating_sub(part.len() as u64);
            upload.part(part, PARTS_AT_ONCE).await?;
        }
        upload.complete().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_staged_file_is_removed_unless_it_is_published() {
        let folder = tempfile::TempDir::new().unwrap();
        let staging = Staging::new(folder.path().join("outputs"), true);
        let mut staged = staging.create().unwrap();
        staged.write(b"half").unwrap();
        assert_eq!(names(staging.folder()).len(), 1);
        drop(staged);
        assert_eq!(names(staging.folder()).len(), 0);
        let mut staged = staging.create().unwrap();
        staged.write(b"who").unwrap();
        staged.write(b"le").unwrap();
        assert_eq!(staged.bytes(), 5);
        staging.make_durable(staging.folder(), &staging.folder().join("a/b")).unwrap();
        assert!(staging.durable().contains(&staging.folder().join("a/b")));
        staged.publish(&staging.folder().join("a/b/c.mp4")).unwrap();
        assert_eq!(names(staging.folder()), ["a"]);
        assert_eq!(fs::read(staging.folder().join("a/b/c.mp4")).unwrap(), b"whole");
    }

    #[test]
    fn a_file_for_a_bucket_has_no_name() {
        let folder = tempfile::TempDir::new().unwrap();
        let staging = Staging::new(folder.path().join("staging"), false);
        let mut staged = staging.create().unwrap();
        staged.write(b"parts of it").unwrap();
        assert_eq!(names(staging.folder()).len(), 0);
        staged.file().seek(SeekFrom::Start(0)).unwrap();
        assert_eq!(staged.read(5).unwrap().as_ref(), b"parts");
        assert_eq!(staged.read(50).unwrap().as_ref(), b" of it");
    }
}
