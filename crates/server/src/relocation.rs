//! Moving an installation between databases, and restoring a backup into one: what the operator's commands
//! name by URL.
//!
//! Invariant: no gateway holds a data folder whose database is moved. Not here: copying and comparing
//! (`store::relocation`).

use crate::{
    clock::Clock,
    data_dir::{self, DATABASE_FILE, DataDirError, Held},
    gateway::StartError,
};
use rynjer_store::{Database, relocation};
use std::path::{Path, PathBuf};

pub use rynjer_store::relocation::{Relocated, RelocationError};

/// Why nothing was moved or restored.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error(transparent)]
    Url(#[from] StartError),
    #[error(transparent)]
    Folder(#[from] DataDirError),
    #[error("there is no database at {0}")]
    NoFile(PathBuf),
    #[error(transparent)]
    Relocation(#[from] RelocationError),
}

/// Moves everything but outputs and the master key, and closes the source. Blocks.
///
/// # Errors
/// One sentence that says what to do.
pub fn relocate(from: &str, to: &str) -> Result<Relocated, MoveError> {
    let (source, target) =
        (crate::database::of_url(Path::new(""), from)?, crate::database::of_url(Path::new(""), to)?);
    if let Database::Sqlite(path) = &source
        && !path.exists()
    {
        return Err(MoveError::NoFile(path.clone()));
    }
    let names = (name(&source, from), name(&target, to));
    if names.0 == names.1 {
        return Err(RelocationError::Same.into());
    }
    let _held = (held(&source)?, held(&target)?);
    Ok(relocation::relocate(&source, &target, &names.1, Clock::System.now_ms())?)
}

/// Restores a backup's file into the server of a URL. Blocks.
///
/// # Errors
/// One sentence that says what to do.
pub fn restore(backup: &Path, to: &str) -> Result<Relocated, MoveError> {
    if !backup.exists() {
        return Err(MoveError::NoFile(backup.to_owned()));
    }
    let target = crate::database::of_url(Path::new(""), to)?;
    Ok(relocation::restore(backup, &target, Clock::System.now_ms())?)
}

/// The file that a place names; none for a server.
///
/// # Errors
/// A URL that is not understood.
pub fn file_of(data_dir: &Path, url: Option<&str>) -> Result<Option<PathBuf>, StartError> {
    Ok(match crate::database::of_url(data_dir, url.unwrap_or(""))? {
        Database::Sqlite(path) => Some(path),
        Database::Postgres(_) => None,
    })
}

/// How a database is called where everybody may read it.
fn name(database: &Database, url: &str) -> String {
    match database {
        Database::Sqlite(path) => {
            let known = path.canonicalize().or_else(|_| std::path::absolute(path));
            format!("sqlite:{}", known.unwrap_or_else(|_| path.clone()).display())
        }
        Database::Postgres(_) => without_password(url),
    }
}

/// A URL without what proves who connects: the password, and all parameters.
fn without_password(url: &str) -> String {
    let plain = url.split('?').next().unwrap_or(url);
    let Some((scheme, rest)) = plain.split_once("://") else { return String::new() };
    match rest.rsplit_once('@') {
        Some((user, place)) => format!("{scheme}://{}@{place}", user.split(':').next().unwrap_or(user)),
        None => plain.to_owned(),
    }
}

/// Holds the folder of a data folder's database.
fn held(database: &Database) -> Result<Option<Held>, DataDirError> {
    match database {
        Database::Sqlite(path) if path.file_name().is_some_and(|name| name == DATABASE_FILE) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            data_dir::hold(folder.unwrap_or(Path::new("."))).map(Some)
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_kept() {
        let rows = [
            ("postgres://u:p@h:5/n?password=q", "postgres://u@h:5/n"),
            ("postgres://u:p@q@h/n", "postgres://u@h/n"),
            ("postgres://h/n", "postgres://h/n"),
        ];
        for (url, kept) in rows {
            assert_eq!(without_password(url), kept);
        }
    }
}
