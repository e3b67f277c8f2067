//! `admin backup` and `admin restore`: the database as one file.
//!
//! Invariant: nothing that is there is ever overwritten, and a file has its final name only once it is
//! whole. Not here: outputs and `master.key`, which the operator copies beside it.

use super::open;
use crate::{
    cli::Place,
    failure::Failure,
    folder, print,
    table::page,
    words::{count, size},
};
use rynjer_server::gateway;
use serde_json::json;
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use rynjer_server::DATABASE_FILE as DATABASE;

/// Runs `rynjer admin backup`.
pub(super) async fn backup(target: PathBuf, place: Place, json: bool) -> Result<(), Failure> {
    let admin = open(&place)?;
    refuse_existing(&target)?;
    let partial = reserve(&target)?;
    if let Err(error) = admin.store.backup(partial.clone()).await {
        drop(fs::remove_file(&partial));
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

/// Runs `rynjer admin restore`.
pub(super) async fn restore(backup: PathBuf, data_dir: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let data_dir = folder::data_dir(data_dir.as_deref())?;
    let target = data_dir.join(DATABASE);
    for ending in ["", "-wal", "-shm"] {
        refuse_existing(&data_dir.join(format!("{DATABASE}{ending}")))?;
    }
    let made = |error| Failure::failed(format!("can't make the folder {}: {error}", data_dir.display()));
    fs::create_dir_all(&data_dir).map_err(made)?;
    let partial = reserve(&target)?;
    let checked = match fs::copy(&backup, &partial) {
        Ok(_) => check(&partial).await,
        Err(error) => Err(Failure::failed(format!("can't read {}: {error}", backup.display()))),
    };
    let accounts = checked.inspect_err(|_| sweep(&partial))?;
    finish(&partial, &target)?;
    let value = json!({"database": target.to_string_lossy(), "accounts": accounts});
    print::answer(json, &value, |style| {
        page(
            style,
            &[("database", target.display().to_string()), ("holds", count(accounts, "account", "accounts"))],
        )
    })?;
    let beside = "put the folder `outputs` and the file `master.key` of that time beside it before you serve";
    print::hint(json, beside);
    Ok(())
}

/// Opens the copy as a database of ours and audits it; gives its number of accounts.
async fn check(partial: &Path) -> Result<usize, Failure> {
    let admin = gateway::open_backup(partial)
        .map_err(|error| Failure::failed(format!("the backup is not usable: {error}")))?;
    let report = admin.audit().await?;
    if let Some(damage) = report.damage {
        return Err(Failure::failed(format!("the backup is damaged: {damage}")));
    }
    if !report.findings.is_empty() {
        let number = count(report.findings.len(), "finding", "findings");
        print::warn(&format!("the ledger of this backup has {number}; see `rynjer admin audit`"));
    }
    Ok(report.accounts)
}

fn refuse_existing(path: &Path) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Ok(_) => Err(Failure::failed(format!("{} exists already; nothing was written", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::failed(format!("can't look at {}: {error}", path.display()))),
    }
}

/// Makes the empty file beside `target` that is filled first; only its owner may read it.
fn reserve(target: &Path) -> Result<PathBuf, Failure> {
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
fn finish(partial: &Path, target: &Path) -> Result<u64, Failure> {
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

fn sweep(partial: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let mut path = partial.as_os_str().to_owned();
        path.push(ending);
        drop(fs::remove_file(path));
    }
}
