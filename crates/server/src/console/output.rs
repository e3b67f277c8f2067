//! Pictures, videos and music on pages.
//!
//! Invariant: a file is opened by its own signed address alone; one that is gone says since when and why. Not
//! here: signing (`app::output`), which tasks are shown.

use super::{names::Names, shown};
use crate::{
    app::{Error, body::TaskBody, output},
    state::App,
};
use rynjer_api::OutputType;
use rynjer_store::{output::OutputRow, task::TaskRow};

/// How much of a prompt stands for a picture.
const WORDS_LETTERS: usize = 160;

/// A file of a task.
pub(super) struct Piece {
    pub(super) task: String,
    /// `image`, `video` or `audio`.
    pub(super) kind: &'static str,
    /// Empty where the file is gone.
    pub(super) url: String,
    pub(super) mime: String,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Why there is no file.
    pub(super) gone: String,
    /// What it shows, as far as we know: what was asked for.
    pub(super) text: String,
    pub(super) model: String,
    pub(super) agent: String,
    pub(super) at: String,
    /// Such as `1024 × 1024 · PNG`.
    pub(super) facts: String,
    pub(super) sandbox: bool,
}

/// All files of a task; each address is signed anew.
pub(super) fn pieces(app: &App, row: &TaskRow, names: &Names) -> Result<Vec<Piece>, Error> {
    let body = row.body.as_deref().map(TaskBody::from_stored).unwrap_or_default();
    let text = shown::beginning(&body.prompt, WORDS_LETTERS);
    let outputs = output::answers(app, row)?;
    let piece = |(stored, shown_output): (&OutputRow, rynjer_api::Output)| Piece {
        task: row.id.to_string(),
        kind: match shown_output.kind {
            OutputType::Image => "image",
            OutputType::Video => "video",
            OutputType::Audio => "audio",
        },
        url: shown_output.url.as_deref().map(|url| own_path(app, url)).unwrap_or_default(),
        mime: stored.mime.clone(),
        width: shown_output.width.unwrap_or(0),
        height: shown_output.height.unwrap_or(0),
        gone: gone(app, stored),
        text: text.clone(),
        model: row.model.clone(),
        agent: names.of(&row.agent_id),
        at: shown::minute(stored.created_at_ms),
        facts: facts(stored),
        sandbox: shown_output.sandbox,
    };
    Ok(row.outputs.iter().zip(outputs).map(piece).collect())
}

/// A page is read at whatever name the gateway was reached by, and so are its pictures.
fn own_path(app: &App, url: &str) -> String {
    url.strip_prefix(app.public_url()).unwrap_or(url).to_owned()
}

fn gone(app: &App, row: &OutputRow) -> String {
    let Some(deleted_at_ms) = row.deleted_at_ms else { return String::new() };
    let how = if deleted_at_ms >= output::ends_ms(app, row) { "Expired" } else { "Deleted" };
    format!("{how} on {}", shown::day(deleted_at_ms))
}

fn facts(row: &OutputRow) -> String {
    let mut facts = Vec::new();
    if let (Some(width), Some(height)) = (row.width, row.height) {
        facts.push(format!("{width} × {height}"));
    }
    if let Some(duration_ms) = row.duration_ms {
        facts.push(shown::duration(duration_ms));
    }
    let format = row.mime.rsplit_once('/').map_or("", |(_, format)| format).trim_start_matches("x-");
    facts.push(format.to_uppercase());
    facts.push(size(row.bytes));
    facts.join(" · ")
}

fn size(bytes: i64) -> String {
    match bytes {
        ..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1000),
        1_000_000.. => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}
