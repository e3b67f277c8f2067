//! Uploaded pictures: showing them, opening them by their signed URLs, deleting them.
//!
//! Invariant: an agent sees its own files, an account key those of its account; what has expired is not
//! found, whether it is swept or not. Not here: uploading (`upload`), starting from a file (`input`).

use crate::{
    app::{
        Error,
        caller::Caller,
        link::{self, Kind, Signature, Stored},
    },
    state::App,
};
use object_store::{ObjectStoreExt, path::Path};
use rynjer_api::{FileAnswer, FileDeleteAnswer};
use rynjer_core::{
    id::{AccountId, AgentId, FileId},
    time::rfc3339,
};
use rynjer_store::file::{self, FileRow};

/// A file of the caller.
pub(crate) async fn find(app: &App, caller: &Caller, id: &str) -> Result<FileRow, Error> {
    let id = FileId::parse(id).ok_or(Error::NotFound)?;
    let (account, agent, now_ms) = (caller.account.clone(), agent_of(caller), app.now_ms());
    let read = app.store.read(move |tx| file::get(tx, &account, agent.as_deref(), &id, now_ms)).await;
    read.map_err(Error::from)?.ok_or(Error::NotFound)
}

/// A file of the caller, as the wire shows it.
pub(crate) async fn show(app: &App, caller: &Caller, id: &str) -> Result<FileAnswer, Error> {
    let row = find(app, caller, id).await?;
    answer(app, caller, &row, Vec::new())
}

/// Deletes a file of the caller. A task that has not read it yet fails, and costs nothing.
pub(crate) async fn delete(app: &App, caller: &Caller, id: &str) -> Result<FileDeleteAnswer, Error> {
    let id = FileId::parse(id).ok_or(Error::NotFound)?;
    let (account, agent, now_ms) = (caller.account.clone(), agent_of(caller), app.now_ms());
    let gone = app.store.write(move |tx| file::delete(tx, &account, agent.as_deref(), &id, now_ms)).await;
    let row = gone.map_err(Error::from)?.ok_or(Error::NotFound)?;
    drop(app.outputs.delete(&Path::from(row.object_key)).await);
    Ok(FileDeleteAnswer { file_id: row.id.to_string(), deleted: true })
}

/// An account key sees all files of its account, an agent its own.
fn agent_of(caller: &Caller) -> Option<String> {
    caller.agent.as_ref().map(AgentId::to_string)
}

/// The file of a URL, if it is genuine, not expired and still there. `name` is its id and extension.
pub(crate) async fn open(
    app: &App,
    account: &str,
    name: &str,
    signature: &Signature,
) -> Result<FileRow, Error> {
    link::check(app, Kind::File, &format!("{account}/{name}"), signature).await?;
    let id = name.split_once('.').and_then(|(id, _)| FileId::parse(id));
    let (Some(account), Some(id)) = (AccountId::parse(account), id) else { return Err(Error::NotFound) };
    let now_ms = app.now_ms();
    let read = app.store.read(move |tx| file::get(tx, &account, None, &id, now_ms)).await;
    read.map_err(Error::from)?.ok_or(Error::NotFound)
}

/// What the URL of a file sends.
pub(crate) fn stored(row: FileRow) -> Stored {
    let file_name = name(&row).to_owned();
    let bytes = u64::try_from(row.bytes).unwrap_or(0);
    Stored { object_key: row.object_key, mime: row.mime, bytes, sha256: row.sha256, file_name }
}

/// A file on the wire; each call signs anew.
pub(crate) fn answer(
    app: &App,
    caller: &Caller,
    row: &FileRow,
    warnings: Vec<String>,
) -> Result<FileAnswer, Error> {
    let path = format!("{}/{}", row.account, name(row));
    Ok(FileAnswer {
        file_id: row.id.to_string(),
        url: link::url(app, Kind::File, &path, row.expires_at_ms.div_euclid(1000))?,
        mime: row.mime.clone(),
        width: row.width,
        height: row.height,
        bytes: row.bytes,
        sha256: row.sha256.clone(),
        mode: caller.mode(),
        created_at: rfc3339(row.created_at_ms),
        expires_at: rfc3339(row.expires_at_ms),
        warnings,
    })
}

/// Id and extension.
fn name(row: &FileRow) -> &str {
    row.object_key.rsplit_once('/').map_or(row.object_key.as_str(), |(_, name)| name)
}
