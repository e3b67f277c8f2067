//! Finished files: their signed URLs, and opening one by its URL.
//!
//! Invariant: a URL opens exactly one output until it expires, and nothing else tells where files are. Not
//! here: how bytes are sent (`http::output`).

use crate::{app::Error, keyring::Purpose, state::App};
use data_encoding::BASE64URL_NOPAD;
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
    pub(crate) expires_s: i64,
    pub(crate) key: String,
    pub(crate) signature: String,
}

/// The outputs of a task as the wire shows them; each call signs anew.
pub(crate) fn answers(app: &App, task: &TaskRow) -> Result<Vec<Output>, Error> {
    task.outputs.iter().map(|row| answer(app, task, row)).collect()
}

fn answer(app: &App, task: &TaskRow, row: &OutputRow) -> Result<Output, Error> {
    let retention = &app.config.retention;
    let file_ends_ms = row.created_at_ms + i64::from(retention.output_days) * DAY_MS;
    let url_ends_ms = (app.now_ms() + i64::from(retention.url_days) * DAY_MS).min(file_ends_ms);
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
    let (key, tag) = app.keyring.sign(Purpose::Url, message(&path, expires_s).as_bytes())?;
    let base = app.base_url();
    let tag = BASE64URL_NOPAD.encode(&tag);
    Ok(format!("{base}/outputs/{path}?expires={expires_s}&key={key}&signature={tag}"))
}

fn message(path: &str, expires_s: i64) -> String {
    format!("rynjer output {path} {expires_s}")
}

/// The output of a URL, if it is genuine, not expired and still there.
pub(crate) async fn open(app: &App, address: &Address) -> Result<OutputRow, Error> {
    let path = format!("{}/{}/{}", address.account, address.task, address.file);
    let tag = BASE64URL_NOPAD.decode(address.signature.as_bytes()).map_err(|_| Error::NotFound)?;
    let text = message(&path, address.expires_s);
    let genuine = app.keyring.verify(Purpose::Url, &address.key, text.as_bytes(), &tag);
    if !genuine {
        return Err(Error::NotFound);
    }
    if address.expires_s * 1000 <= app.now_ms() {
        return Err(Error::UrlExpired);
    }
    let (Some(account), Some(task)) = (AccountId::parse(&address.account), TaskId::parse(&address.task))
    else {
        return Err(Error::NotFound);
    };
    let index =
        address.file.split_once('.').and_then(|(index, _)| index.parse().ok()).ok_or(Error::NotFound)?;
    let row = app.store.read(move |tx| Ok::<_, Error>(output::get(tx, &account, &task, index)?)).await?;
    row.filter(|row| row.deleted_at_ms.is_none()).ok_or(Error::NotFound)
}
