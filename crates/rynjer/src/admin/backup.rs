//! `admin backup`: the database as one file.
//!
//! Invariant: nothing that is there is ever overwritten, and a file has its final name only once it is
//! whole. Not here: the way back (`restoration`); outputs and `master.key`, which the operator copies beside
//! it.

use super::open;
use crate::{
    cli::Place,
    failure::Failure,
    print,
    table::page,
    words::{count, size},
};
use serde_json::json;
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// Runs `rynjer admin backup`.
pub(super) async fn backup(target: PathBuf, place: Place, json: bool) -> Result<(), Failure> {
    let admin = open(&place)?;
    refuse_existing(&target)?;
    let partial = reserve(&target)?;
    if let Err(error) = admin.store.backup(partial.clone(), admin.clock.now_ms()).await {
        sweep(&partial);
        return Err(error.into());
    }
    let bytes = finish(&partial, &target)?;
    let accounts = admin.account_list().await?.len();
    let value = json!({"backup": target.to_string_lossy(), "bytes": bytes, "accounts": accounts});
    print::answer(json, &value, |style| {
        page(
            style,
            &[
                ("backup", target.display().to_string()),
                ("size", size(bytes)),
                ("holds", count(accounts, "account", "accounts")),
            ],
        )
    })?;
    let beside =
        "copy the folder `outputs` and the file `master.key` of the data folder too: they are not in it";
    print::hint(json, beside);
    Ok(())
}

pub(super) fn refuse_existing(path: &Path) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Ok(_) => Err(Failure::failed(format!("{} exists already; nothing was written", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::failed(format!("can't look at {}: {error}", path.display()))),
    }
}

/// Makes the empty file beside `target` that is filled first; only its owner may read it.
pub(super) fn reserve(target: &Path) -> Result<PathBuf, Failure> {
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&partial) {
        Ok(_) => Ok(partial),
        Err(error) => Err(Failure::failed(format!("can't write {}: {error}", partial.display()))),
    }
}

/// Makes the file durable under its final name and gives its size.
pub(super) fn finish(partial: &Path, target: &Path) -> Result<u64, Failure> {
    let failed = |error| Failure::failed(format!("can't write {}: {error}", target.display()));
    let file = fs::File::open(partial).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    refuse_existing(target)?;
    fs::rename(partial, target).map_err(failed)?;
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    // A folder that can't be synced still holds the file; only a power cut right now could undo the name.
    drop(fs::File::open(parent.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()));
    Ok(bytes)
}

pub(super) fn sweep(partial: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let mut path = partial.as_os_str().to_owned();
        path.push(ending);
        drop(fs::remove_file(path));
    }
}
