//! Where outputs go: a new file, hashed while it is written.
//!
//! Invariant: an existing file is never touched, and a file whose hash is wrong is removed. Not here: the
//! download.

use crate::failure::Failure;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

/// Names that are tried before it is given up.
const MOST_NAMES: u32 = 10_000;

/// The folder that files go to; made if it is not there.
pub(super) fn folder(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let Some(folder) = named else { return Ok(PathBuf::from(".")) };
    fs::create_dir_all(&folder)
        .map_err(|error| Failure::failed(format!("can't make the folder {}: {error}", folder.display())))?;
    Ok(folder)
}

/// A new file under a free name.
pub(super) struct NewFile {
    pub(super) path: PathBuf,
    file: File,
    hash: Sha256,
}

impl NewFile {
    /// Takes `rynjer-demo-image.png`, or with -2, -3 … what is free.
    pub(super) fn create(folder: &Path, product: &str, extension: &str) -> Result<Self, Failure> {
        for number in 1..=MOST_NAMES {
            let ending = if number == 1 { String::new() } else { format!("-{number}") };
            let path = folder.join(format!("rynjer-demo-{product}{ending}.{extension}"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { path, file, hash: Sha256::new() }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(Failure::failed(format!("can't write {}: {error}", path.display())));
                }
            }
        }
        Err(Failure::failed(format!("{} is full of demos", folder.display())))
    }

    /// Takes the file away again.
    pub(super) fn discard(self) {
        drop(self.file);
        drop(fs::remove_file(self.path));
    }

    /// Keeps the file if its hash is the promised one.
    pub(super) fn keep(self, sha256: &str) -> Result<PathBuf, Failure> {
        let found = HEXLOWER.encode(&self.hash.clone().finalize());
        if found == sha256 {
            return Ok(self.path);
        }
        let message = format!("the download has SHA-256 {found}, but {sha256} was promised");
        self.discard();
        Err(Failure::failed(message))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The ending of a file's name for its type.
pub(super) fn extension(mime: &str) -> &'static str {
    match mime.split(';').next().unwrap_or_default().trim() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/webp" => "webp",
        "video/mp4" => "mp4",
        "audio/flac" | "audio/x-flac" => "flac",
        "audio/wav" | "audio/x-wav" | "audio/vnd.wave" => "wav",
        "audio/mpeg" => "mp3",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_never_taken_twice_and_wrong_files_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = NewFile::create(folder.path(), "image", "png").unwrap();
        let second = NewFile::create(folder.path(), "image", "png").unwrap();
        assert_eq!(second.path, folder.path().join("rynjer-demo-image-2.png"));
        first.write_all(b"abc").unwrap();
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(first.keep(hash).unwrap(), folder.path().join("rynjer-demo-image.png"));
        let path = second.path.clone();
        assert!(second.keep(hash).is_err() && !path.exists());
    }
}
