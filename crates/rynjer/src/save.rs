//! Where outputs go: a new file, hashed while it is written.
//!
//! Invariant: an existing file is never touched, and a file whose hash is wrong never gets its name. Not
//! here: the download.

use crate::failure::Failure;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Names that are tried before it is given up.
const MOST_NAMES: u32 = 10_000;

/// The folder that files go to; made if it is not there.
pub(crate) fn folder(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let Some(folder) = named else { return Ok(PathBuf::from(".")) };
    fs::create_dir_all(&folder)
        .map_err(|error| Failure::failed(format!("can't make the folder {}: {error}", folder.display())))?;
    Ok(folder)
}

/// A file without a name yet: gone, unless it is kept.
pub(crate) struct NewFile {
    file: NamedTempFile,
    hash: Sha256,
}

impl NewFile {
    /// Begins a file in a folder.
    pub(crate) fn create(folder: &Path) -> Result<Self, Failure> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".rynjer-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder);
        let file =
            file.map_err(|error| Failure::failed(format!("can't write into {}: {error}", folder.display())))?;
        Ok(Self { file, hash: Sha256::new() })
    }

    /// Keeps the file if its hash is the promised one, as `stem.png`, or with -2, -3 … what is free. A file
    /// of that name with the same bytes stands for it.
    pub(crate) fn keep(
        self,
        sha256: &str,
        folder: &Path,
        stem: &str,
        extension: &str,
    ) -> Result<PathBuf, Failure> {
        let found = HEXLOWER.encode(&self.hash.finalize());
        if found != sha256 {
            let message = format!("the download has SHA-256 {found}, but {sha256} was promised");
            return Err(Failure::failed(message));
        }
        let mut file = self.file;
        for number in 1..=MOST_NAMES {
            let ending = if number == 1 { String::new() } else { format!("-{number}") };
            let path = folder.join(format!("{stem}{ending}.{extension}"));
            match file.persist_noclobber(&path) {
                Ok(_) => return Ok(path),
                Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => {
                    if hash_of(&path).is_ok_and(|hash| hash == sha256) {
                        return Ok(path);
                    }
                    file = refused.file;
                }
                Err(refused) => {
                    return Err(Failure::failed(format!(
                        "can't write {}: {}",
                        path.display(),
                        refused.error
                    )));
                }
            }
        }
        Err(Failure::failed(format!("{} has no free name for {stem}", folder.display())))
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

/// The SHA-256 of a file, in hex.
fn hash_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut part = vec![0; 64 * 1024];
    loop {
        let length = io::Read::read(&mut file, &mut part)?;
        if length == 0 {
            return Ok(HEXLOWER.encode(&hash.finalize()));
        }
        hash.update(part.get(..length).unwrap_or_default());
    }
}

/// The ending of a file's name for its type.
pub(crate) fn extension(mime: &str) -> &'static str {
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

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn kept(folder: &Path, bytes: &[u8], sha256: &str) -> Result<PathBuf, Failure> {
        let mut file = NewFile::create(folder).unwrap();
        file.write_all(bytes).unwrap();
        file.keep(sha256, folder, "a", "png")
    }

    #[test]
    fn other_files_are_never_touched_and_wrong_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.png"), "another").unwrap();
        assert_eq!(kept(folder.path(), b"abc", ABC).unwrap(), at("a-2.png"));
        assert_eq!(kept(folder.path(), b"abc", ABC).unwrap(), at("a-2.png"));
        assert!(kept(folder.path(), b"abd", ABC).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert_eq!(fs::read_to_string(at("a.png")).unwrap(), "another");
    }
}
