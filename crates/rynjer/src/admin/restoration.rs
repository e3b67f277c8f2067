//! `admin restore`: a backup as a database again, on either kind; and the end of its reconciliation.
//!
//! Invariant: nothing that is there is ever overwritten, and what was open at the backup's time is reconciled
//! before anything new is taken. Not here: reconciling (`server::app::restoration`), outputs, `master.key`.

use super::{
    backup::{finish as publish, refuse_existing, reserve, sweep},
    open,
};
use crate::{cli::Place, failure::Failure, folder, print, table::page, words::count};
use rynjer_server::{gateway, relocation};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What was restored.
struct Restored {
    database: String,
    accounts: usize,
    findings: usize,
}

/// Runs `rynjer admin restore BACKUP`.
pub(super) async fn restore(backup: PathBuf, place: Place, json: bool) -> Result<(), Failure> {
    let data_dir = match place.database() {
        Some(_) => folder::data_dir(place.data_dir.as_deref()).unwrap_or_default(),
        None => folder::data_dir(place.data_dir.as_deref())?,
    };
    let url = place.database();
    let restored = match relocation::file_of(&data_dir, url)? {
        Some(file) => into_file(&backup, &file).await?,
        None => into_server(&backup, url.unwrap_or_default())?,
    };
    if restored.findings > 0 {
        let number = count(restored.findings, "finding", "findings");
        print::warn(&format!("the ledger of this backup has {number}; see `rynjer admin audit`"));
    }
    let accounts = restored.accounts;
    let value = json!({"database": restored.database, "accounts": accounts});
    print::answer(json, &value, |style| {
        page(
            style,
            &[("database", restored.database.clone()), ("holds", count(accounts, "account", "accounts"))],
        )
    })?;
    let beside = "put the folder `outputs` and the file `master.key` of that time beside it before you serve";
    print::hint(json, beside);
    Ok(())
}

/// Runs `rynjer admin restore --finish`.
pub(super) async fn finish(place: Place, json: bool) -> Result<(), Failure> {
    let finished = open(&place)?.restoration_end().await?;
    print::answer(json, &json!({"finished": finished}), |_| {
        let said = if finished { "new requests are taken again" } else { "nothing was being reconciled" };
        format!("{said}\n")
    })
}

fn into_server(backup: &Path, url: &str) -> Result<Restored, Failure> {
    let done = relocation::restore(backup, url).map_err(|error| Failure::failed(error.to_string()))?;
    let database = "on PostgreSQL".to_owned();
    Ok(Restored { database, accounts: done.accounts, findings: done.findings.len() })
}

async fn into_file(backup: &Path, target: &Path) -> Result<Restored, Failure> {
    for ending in ["", "-wal", "-shm"] {
        let mut path = target.as_os_str().to_owned();
        path.push(ending);
        refuse_existing(Path::new(&path))?;
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = |error| Failure::failed(format!("can't make the folder {}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(made)?;
    let partial = reserve(target)?;
    let checked = match fs::copy(backup, &partial) {
        Ok(_) => check(&partial).await,
        Err(error) => Err(Failure::failed(format!("can't read {}: {error}", backup.display()))),
    };
    let (accounts, findings) = checked.inspect_err(|_| sweep(&partial))?;
    publish(&partial, target)?;
    Ok(Restored { database: target.display().to_string(), accounts, findings })
}

/// Opens the copy as a database of ours, audits it and notes that it was restored; gives its number of
/// accounts, and of findings.
async fn check(partial: &Path) -> Result<(usize, usize), Failure> {
    let admin = gateway::open_backup(partial)
        .map_err(|error| Failure::failed(format!("the backup is not usable: {error}")))?;
    let report = admin.audit().await?;
    if let Some(damage) = report.damage {
        return Err(Failure::failed(format!("the backup is damaged: {damage}")));
    }
    admin.restoration_begin().await?;
    Ok((report.accounts, report.findings.len()))
}
