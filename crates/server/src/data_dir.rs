//! The folder of an installation: its lock, its master key, its database and outputs.
//!
//! Invariant: one gateway at a time holds a folder, and the master key's file is readable by its owner alone.
//! Not here: what the files hold.

use crate::{config::secret, entropy};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Name of the database file inside the folder.
pub const DATABASE_FILE: &str = "rynjer.db";
const LOCK_FILE: &str = "rynjer.lock";
const MASTER_KEY_FILE: &str = "master.key";

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("the data folder {0} can't be used: {1}. Choose a folder that you may write to with --data-dir.")]
    Unusable(PathBuf, io::Error),
    #[error(
        "another gateway uses the data folder {0}. Stop it first, or choose another folder with --data-dir."
    )]
    Locked(PathBuf),
    #[error("the master key in {0} is not usable: {1}")]
    MasterKey(PathBuf, String),
}

/// A folder that this process holds until the value is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: File,
}

/// Makes the folder if needed.
pub(crate) fn create(dir: &Path) -> Result<(), DataDirError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    // Prompts, balances and the master key are nobody else's business; a folder that exists keeps its mode.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| DataDirError::Unusable(dir.to_owned(), error))
}

/// Takes the folder for this process.
pub(crate) fn hold(dir: &Path) -> Result<Held, DataDirError> {
    let unusable = |error| DataDirError::Unusable(dir.to_owned(), error);
    let path = dir.join(LOCK_FILE);
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(Held { _lock: lock }),
        Err(TryLockError::WouldBlock) => Err(DataDirError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// The file whose lock says that the folder is in use.
pub(crate) fn lock_file(dir: &Path) -> PathBuf {
    dir.join(LOCK_FILE)
}

/// Where the folder's master key is.
pub(crate) fn master_key_file(dir: &Path) -> PathBuf {
    dir.join(MASTER_KEY_FILE)
}

/// The folder's master key, made on first use with mode 600.
pub(crate) fn master_key(dir: &Path) -> Result<[u8; 32], DataDirError> {
    let path = dir.join(MASTER_KEY_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => secret::parse_master_key(text.trim())
            .map_err(|error| DataDirError::MasterKey(path, error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key: [u8; 32] = entropy::bytes();
            write_key(&path, &key).map_err(|error| DataDirError::Unusable(path, error))?;
            Ok(key)
        }
        Err(error) => Err(DataDirError::Unusable(path, error)),
    }
}

fn write_key(path: &Path, key: &[u8; 32]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{}", data_encoding::HEXLOWER.encode(key))?;
    file.sync_all()
}
