//! The pictures that a request starts from: what it may name, and what the worker is told to read.
//!
//! Invariant: what is stored with a task is an object key of its account or a URL, so nothing that a caller
//! writes ever reads an object of somebody else. Not here: fetching (`worker::inputs`), keeping (`upload`).

use crate::{
    app::{
        Error, Field,
        caller::Caller,
        file,
        link::Signature,
        output::{self, Address},
        upload,
    },
    state::App,
};
use bytes::Bytes;
use data_encoding::BASE64;
use rynjer_core::{id::FileId, time::HOUR_MS};
use rynjer_providers::{
    InputImage,
    guarded::FetchError,
    host::{Place, place},
};
use rynjer_store::file::{self as files, FileRow};
use url::Url;

const FIELD: &str = "input_image_urls";
/// The same for what never was, what is gone and what is somebody else's.
const UNKNOWN: &str = "names no file of yours that is still there";
const EXPIRED: &str = "is a link that has expired; poll GET /v1/generate/{request_id} for a fresh one";
const KINDS: &str = "must be an http or https URL, a data:image/… URI, or the id of an uploaded file";
/// Entries whose problems are told.
const LISTED_MAX: usize = 100;
/// Longest URL that is not a `data:` URI.
const URL_BYTES_MAX: usize = 4096;
/// A worker asks for a task once more after its time: its inputs live that much longer.
const GRACE_MS: i64 = HOUR_MS;

/// Syntax alone: what depends on a setting comes after the look for a repetition, which needs none of it.
pub(crate) fn check(urls: &[String], problems: &mut Vec<Field>) {
    for (index, text) in urls.iter().enumerate().take(LISTED_MAX) {
        if let Err(problem) = check_syntax(text) {
            problems.push(Field::new(format!("{FIELD}.{index}"), problem));
        }
    }
}

fn check_syntax(text: &str) -> Result<(), &'static str> {
    if text.starts_with("file_") || text.starts_with("data:image/") {
        return Ok(());
    }
    if text.len() > URL_BYTES_MAX {
        return Err("must be at most 4096 bytes long, or a data:image/… URI");
    }
    let url = Url::parse(text).map_err(|_| KINDS)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(KINDS);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password");
    }
    Ok(())
}

/// How many there may be, and literal addresses; names are resolved and checked by who fetches.
pub(crate) fn check_places(app: &App, urls: &[String]) -> Result<(), Error> {
    let most = app.config.limits.input_images;
    let mut problems = Vec::new();
    if urls.len() > most {
        problems.push(Field::new(FIELD, format!("must be at most {most} images")));
    }
    for (index, text) in urls.iter().enumerate().take(most) {
        if let Err(problem) = check_place(app, text) {
            problems.push(Field::new(format!("{FIELD}.{index}"), problem));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

fn check_place(app: &App, text: &str) -> Result<(), &'static str> {
    if text.starts_with("file_") || text.starts_with("data:image/") {
        return Ok(());
    }
    let url = Url::parse(text).map_err(|_| KINDS)?;
    let allowed = own_path(app, &url).is_some() || app.inputs.is_allowed(&url);
    if allowed || place(&url) == Place::Public { Ok(()) } else { Err("must be a public address") }
}

/// The path of one of this gateway's own stored objects, such as `files/<account>/<file>`.
fn own_path<'a>(app: &App, url: &'a Url) -> Option<&'a str> {
    let base = Url::parse(app.base_url()).ok()?;
    if base.origin() != url.origin() {
        return None;
    }
    let path = url.path().strip_prefix(base.path().trim_end_matches('/'))?.strip_prefix('/')?;
    (path.starts_with("files/") || path.starts_with("outputs/")).then_some(path)
}

/// What an entry of the list turned out to be.
enum Found {
    /// An object of ours, and how large it is.
    Stored { object_key: String, bytes: i64 },
    /// An uploaded file.
    File(Box<FileRow>),
    /// The same, but it would be deleted while the task still needs it: the task gets a file of its own.
    Ending { object_key: String, bytes: i64 },
    /// A picture in the request itself.
    Picture(InputImage),
    /// To be fetched by the worker.
    Url(String),
}

/// What the worker is told to read, in the order of the request. Pictures of the request are stored; files
/// that would not live as long as the task are prolonged.
pub(crate) async fn resolve(
    app: &App,
    caller: &Caller,
    urls: &[String],
    max_seconds: u32,
) -> Result<Vec<String>, Error> {
    let needed_until_ms = app.now_ms() + i64::from(max_seconds) * 1000 + GRACE_MS;
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for (index, text) in urls.iter().enumerate() {
        match find(app, caller, text, needed_until_ms).await {
            Ok(one) => found.push(one),
            Err(Error::Invalid(fields)) => problems.extend(named(index, fields)),
            Err(other) => return Err(other),
        }
    }
    check_size(app, &found, &mut problems);
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    prolong(app, caller, &found, needed_until_ms).await?;
    let mut references = Vec::with_capacity(found.len());
    for (index, one) in found.into_iter().enumerate() {
        let reference = reference(app, caller, one, needed_until_ms).await;
        references.push(reference.map_err(|error| match error {
            Error::Invalid(fields) => Error::Invalid(named(index, fields)),
            other => other,
        })?);
    }
    Ok(references)
}

/// The problems of one picture, with its place in the list.
fn named(index: usize, fields: Vec<Field>) -> Vec<Field> {
    let named = |field: Field| Field::new(format!("{FIELD}.{index}"), field.problem);
    fields.into_iter().map(named).collect()
}

fn problem(text: impl Into<String>) -> Error {
    Error::field(FIELD, text)
}

async fn find(app: &App, caller: &Caller, text: &str, needed_until_ms: i64) -> Result<Found, Error> {
    if text.starts_with("data:") {
        return Ok(Found::Picture(picture(app, text).await?));
    }
    if text.starts_with("file_") {
        return known(file::find(app, caller, text).await).map(|row| Found::File(Box::new(row)));
    }
    let url = Url::parse(text).map_err(|_| problem(KINDS))?;
    let Some(path) = own_path(app, &url) else {
        // As it was understood, not as it was written: `HTTP:/a` must be a URL for the worker too.
        return Ok(Found::Url(url.as_str().to_owned()));
    };
    let signature = signature(&url).ok_or_else(|| problem(UNKNOWN))?;
    let segments: Vec<&str> = path.split('/').collect();
    if segments.get(1) != Some(&caller.account.as_str()) {
        return Err(problem(UNKNOWN));
    }
    match segments.as_slice() {
        ["files", account, name] => {
            let row = known(file::open(app, account, name, &signature).await)?;
            Ok(Found::File(Box::new(row)))
        }
        ["outputs", account, task, name] => {
            let [account, task, file] = [account, task, name].map(|text| (*text).to_owned());
            finished(app, &Address { account, task, file, signature }, needed_until_ms).await
        }
        _ => Err(problem(UNKNOWN)),
    }
}

fn known<T>(found: Result<T, Error>) -> Result<T, Error> {
    found.map_err(|error| match error {
        Error::NotFound => problem(UNKNOWN),
        Error::UrlExpired => problem(EXPIRED),
        other => other,
    })
}

fn signature(url: &Url) -> Option<Signature> {
    let parameter =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    Some(Signature {
        expires_s: parameter("expires")?.parse().ok()?,
        key: parameter("key")?,
        tag: parameter("signature")?,
    })
}

/// An earlier output of the account.
async fn finished(app: &App, address: &Address, needed_until_ms: i64) -> Result<Found, Error> {
    let row = known(output::open(app, address).await)?;
    let pixels = row.width.zip(row.height).map_or(0, |(width, height)| width.saturating_mul(height));
    let settings = &app.config.inputs;
    if row.kind != "image" {
        return Err(problem(format!("is of type {}; only pictures can be started from", row.kind)));
    }
    if u64::try_from(row.bytes).is_ok_and(|bytes| bytes > settings.max_bytes)
        || u64::try_from(pixels).is_ok_and(|pixels| pixels > settings.max_pixels)
    {
        let (bytes, pixels) = (settings.max_bytes, settings.max_pixels);
        return Err(problem(format!("must have at most {bytes} bytes and {pixels} pixels")));
    }
    let lives = output::ends_ms(app, &row) > needed_until_ms;
    let (object_key, bytes) = (row.object_key, row.bytes);
    Ok(if lives { Found::Stored { object_key, bytes } } else { Found::Ending { object_key, bytes } })
}

/// The picture of a `data:` URI. Its declared type is not believed.
async fn picture(app: &App, text: &str) -> Result<InputImage, Error> {
    let form = "must have the form data:image/png;base64,… with standard base64";
    let (head, data) = text.split_once(',').ok_or_else(|| problem(form))?;
    if !head.to_ascii_lowercase().ends_with(";base64") {
        return Err(problem(form));
    }
    let limit_bytes = app.config.limits.file_bytes;
    if data.len() / 4 * 3 > limit_bytes.saturating_add(3) {
        return Err(problem(format!("must be at most {limit_bytes} bytes")));
    }
    let data = data.to_owned();
    let decoded = tokio::task::spawn_blocking(move || BASE64.decode(data.as_bytes()).ok()).await;
    let bytes = decoded.map_err(Error::internal)?.ok_or_else(|| problem(form))?;
    upload::look(app, Bytes::from(bytes)).await.map_err(rejected)
}

fn rejected(error: FetchError) -> Error {
    match error {
        FetchError::Unreachable(message)
        | FetchError::Forbidden(message)
        | FetchError::Rejected(message)
        | FetchError::Unwritten(message) => problem(message),
    }
}

/// What is known to be too much for one task is refused before it is accepted.
fn check_size(app: &App, found: &[Found], problems: &mut Vec<Field>) {
    let bytes_of = |one: &Found| match one {
        Found::Stored { bytes, .. } | Found::Ending { bytes, .. } => u64::try_from(*bytes).unwrap_or(0),
        Found::File(row) => u64::try_from(row.bytes).unwrap_or(0),
        Found::Picture(image) => image.bytes.len() as u64,
        Found::Url(_) => 0,
    };
    let most = app.config.inputs.task_bytes();
    if found.iter().map(bytes_of).sum::<u64>() > most {
        problems.push(Field::new(FIELD, format!("must have at most {most} bytes together")));
    }
}

/// Lets files live until the task is over; most live longer anyway, and cost no write.
async fn prolong(app: &App, caller: &Caller, found: &[Found], until_ms: i64) -> Result<(), Error> {
    let short = |(index, one): (usize, &Found)| match one {
        Found::File(row) if row.expires_at_ms < until_ms => Some((index, row.id.clone())),
        _ => None,
    };
    let files: Vec<(usize, FileId)> = found.iter().enumerate().filter_map(short).collect();
    if files.is_empty() {
        return Ok(());
    }
    let account = caller.account.clone();
    let prolong = move |tx: &mut dyn rynjer_store::Tx| {
        let mut gone = Vec::new();
        for (index, id) in &files {
            if !files::prolong(tx, &account, id, until_ms)? {
                gone.push(Field::new(format!("{FIELD}.{index}"), UNKNOWN));
            }
        }
        Ok::<_, Error>(gone)
    };
    let gone = app.store.write(prolong).await?;
    if gone.is_empty() { Ok(()) } else { Err(Error::Invalid(gone)) }
}

async fn reference(app: &App, caller: &Caller, found: Found, until_ms: i64) -> Result<String, Error> {
    match found {
        Found::Stored { object_key, .. } => Ok(object_key),
        Found::File(row) => Ok(row.object_key),
        Found::Url(url) => Ok(url),
        Found::Ending { object_key, .. } => {
            let copied = upload::copy(app, caller, &object_key, until_ms).await;
            known(copied).map(|row| row.object_key)
        }
        Found::Picture(image) => {
            // Nobody knows the id of such a file, so it lives no longer than its task needs it.
            let row = upload::store(app, caller, &image, until_ms).await?;
            Ok(row.object_key)
        }
    }
}
