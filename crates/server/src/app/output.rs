//! Finished files: their signed URLs, and opening one by its URL.
//!
//! Invariant: a URL opens exactly one output until it expires, and nothing else tells where files are. Not
//! here: how bytes are sent (`http::output`).

use crate::{
    app::{
        Error,
        link::{self, Kind, Signature, Stored},
    },
    state::App,
};
use rynjer_api::{Output, OutputType};
use rynjer_core::{
    id::{AccountId, TaskId},
    time::{DAY_MS, rfc3339},
};
use rynjer_store::{
    output::{self, OutputRow},
    task::TaskRow,
};

/// The parts of an output's URL.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) account: String,
    pub(crate) task: String,
    /// Index and extension, such as `0.png`.
    pub(crate) file: String,
    pub(crate) signature: Signature,
}

/// The outputs of a task as the wire shows them; each call signs anew.
pub(crate) fn answers(app: &App, task: &TaskRow) -> Result<Vec<Output>, Error> {
    task.outputs.iter().map(|row| answer(app, task, row)).collect()
}

fn answer(app: &App, task: &TaskRow, row: &OutputRow) -> Result<Output, Error> {
    let url_days = app.config.retention.url_days;
    let url_ends_ms = (app.now_ms() + i64::from(url_days) * DAY_MS).min(ends_ms(app, row));
    let deleted = row.deleted_at_ms.is_some();
    Ok(Output {
        url: if deleted { None } else { Some(url(app, task, row, url_ends_ms / 1000)?) },
        kind: match row.kind.as_str() {
            "video" => OutputType::Video,
            "audio" => OutputType::Audio,
            _ => OutputType::Image,
        },
        mime: row.mime.clone(),
        width: row.width.and_then(|w| u32::try_from(w).ok()),
        height: row.height.and_then(|h| u32::try_from(h).ok()),
        duration_seconds: row
            .duration_ms
            .and_then(|ms| u32::try_from(ms).ok())
            .map(|ms| f64::from(ms) / 1000.0),
        bytes: row.bytes,
        sha256: row.sha256.clone(),
        expires_at: (!deleted).then(|| rfc3339(url_ends_ms)),
        deleted_at: row.deleted_at_ms.map(rfc3339),
        sandbox: task.provider == super::model::SANDBOX,
    })
}

fn url(app: &App, task: &TaskRow, row: &OutputRow, expires_s: i64) -> Result<String, Error> {
    let extension = row.object_key.rsplit_once('.').map_or("bin", |(_, extension)| extension);
    let path = format!("{}/{}/{}.{extension}", task.account, task.id, row.index);
    link::url(app, Kind::Output, &path, expires_s)
}

/// When the file of an output is deleted.
pub(crate) fn ends_ms(app: &App, row: &OutputRow) -> i64 {
    row.created_at_ms + i64::from(app.config.retention.output_days) * DAY_MS
}

/// The output of a URL, if it is genuine, not expired and still there.
pub(crate) async fn open(app: &App, address: &Address) -> Result<OutputRow, Error> {
    let path = format!("{}/{}/{}", address.account, address.task, address.file);
    link::check(app, Kind::Output, &path, &address.signature).await?;
    let (Some(account), Some(task)) = (AccountId::parse(&address.account), TaskId::parse(&address.task))
    else {
        return Err(Error::NotFound);
    };
    let index =
        address.file.split_once('.').and_then(|(index, _)| index.parse().ok()).ok_or(Error::NotFound)?;
    let row = app.store.read(move |tx| Ok::<_, Error>(output::get(tx, &account, &task, index)?)).await?;
    row.filter(|row| row.deleted_at_ms.is_none()).ok_or(Error::NotFound)
}

/// What the URL of an output sends.
pub(crate) fn stored(row: &OutputRow) -> Stored {
    let extension = row.object_key.rsplit_once('.').map_or("bin", |(_, extension)| extension);
    Stored {
        object_key: row.object_key.clone(),
        mime: row.mime.clone(),
        bytes: u64::try_from(row.bytes).unwrap_or(0),
        sha256: row.sha256.clone(),
        file_name: format!("rynjer-{}.{extension}", row.index),
    }
}
