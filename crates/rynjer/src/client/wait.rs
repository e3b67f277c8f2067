//! Waiting for a task and downloading what it made.
//!
//! Invariant: an output is kept only if its SHA-256 is the promised one; stopping to wait never stops the
//! task. Not here: sending the request (`generate`).

use super::{
    account::object,
    patience::Patience,
    session::{Session, Trouble},
};
use crate::{
    failure::Failure,
    folder::quoted,
    print,
    progress::Progress,
    save::{self, NewFile},
    signal::Signals,
    table::page,
    terminal::Style,
    words::{grouped, size},
};
use rynjer_api::{Output, TaskAnswer, TaskStatus};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Seconds that one poll waits.
const POLL_SECONDS: u64 = 5;
/// How long the gateway may be away while a task is waited for.
const AWAY_SECONDS: u64 = 120;

/// An output with its file.
pub(super) struct Saved {
    index: usize,
    path: PathBuf,
}

/// Waits for the end, downloads, prints; a task that failed is a failure.
pub(super) async fn finish(
    session: &mut Session,
    task: TaskAnswer,
    folder: &Path,
    timeout_seconds: u64,
    signals: &mut Signals,
    json: bool,
) -> Result<(), Failure> {
    let id = task.request_id.clone();
    let go_on = format!("`rynjer tasks wait {}` goes on", quoted(&id));
    let (task, saved) = tokio::select! {
        done = Box::pin(until_done(session, task, folder, timeout_seconds)) => done?,
        () = signals.next() => {
            return Err(Failure::failed("interrupted; the task goes on").suggest(go_on));
        }
    };
    task.warnings.iter().for_each(|warning| print::warn(warning));
    let mut value = object(&task)?;
    value["files"] = saved
        .iter()
        .map(|saved| json!({"index": saved.index, "path": saved.path.to_string_lossy()}))
        .collect::<Vec<_>>()
        .into();
    print::answer(json, &value, |style| page_of(style, &task, &saved))?;
    verdict(&task)
}

async fn until_done(
    session: &mut Session,
    task: TaskAnswer,
    folder: &Path,
    timeout_seconds: u64,
) -> Result<(TaskAnswer, Vec<Saved>), Failure> {
    let task = poll(session, task, timeout_seconds).await?;
    let mut saved = Vec::new();
    for (index, output) in task.outputs.iter().enumerate() {
        let path = download(session, &task, (index, output), folder).await?;
        saved.push(Saved { index, path });
    }
    Ok((task, saved))
}

async fn poll(
    session: &mut Session,
    mut task: TaskAnswer,
    timeout_seconds: u64,
) -> Result<TaskAnswer, Failure> {
    let progress = Progress::parts("waiting");
    let until = Instant::now() + Duration::from_secs(timeout_seconds);
    let mut patience = Patience::new(AWAY_SECONDS);
    while !task.status.is_final() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let message = format!("the task is not done after {timeout_seconds} s; it goes on");
            let hint = format!("`rynjer tasks wait {}` waits on", quoted(&task.request_id));
            return Err(Failure::failed(message).coded("timed_out").suggest(hint));
        }
        let seconds = POLL_SECONDS.min(left.as_secs() + 1);
        let id = &task.request_id.clone();
        match session.call(|client| async move { client.poll(id, seconds).await }).await {
            Ok(answer) => {
                task = answer;
                patience.renew();
                progress.reach_share(task.progress.unwrap_or_default());
            }
            Err(Trouble::Call(error)) => match patience.next(&error) {
                Some(pause) => tokio::time::sleep(pause.min(left)).await,
                None => return Err(error.into()),
            },
            Err(Trouble::Setup(failure)) => return Err(failure),
        }
    }
    Ok(task)
}

async fn download(
    session: &Session,
    task: &TaskAnswer,
    (index, output): (usize, &Output),
    folder: &Path,
) -> Result<PathBuf, Failure> {
    let Some(url) = output.url.as_deref() else {
        return Err(Failure::failed(format!("output {index} was deleted and can't be downloaded")));
    };
    let mut patience = Patience::new(AWAY_SECONDS);
    loop {
        let mut file = NewFile::create(folder)?;
        let size = u64::try_from(output.bytes).unwrap_or_default();
        let progress = Progress::bytes("downloading", size);
        match session.client.download_to(url, size, &mut file, |done, _| progress.reach_bytes(done)).await {
            Ok(_) => {
                let stem = format!("{}-{index}", file_name(&task.request_id));
                return file.keep(&output.sha256, folder, &stem, save::extension(&output.mime));
            }
            Err(error) => match patience.next(&error) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error.into()),
            },
        }
    }
}

/// The request id as a part of a file's name on any system.
fn file_name(request_id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = request_id.chars().take(100).map(plain).collect();
    if name.starts_with(['.', '-']) { format!("_{name}") } else { name }
}

/// A task in lines for people.
pub(super) fn page_of(style: Style, task: &TaskAnswer, saved: &[Saved]) -> String {
    let mut lines = vec![
        ("request", task.request_id.clone()),
        ("task", task.task_id.clone()),
        ("status", status_word(task.status).to_owned()),
        ("model", task.model.clone()),
        ("credits", credits_line(task)),
    ];
    if let Some(by) = &task.served_by {
        lines.push(("served by", by.clone()));
    }
    if let Some(error) = &task.error {
        lines.push(("error", format!("{}: {}", error.error, error.message)));
    }
    lines.extend(task.outputs.iter().map(|output| ("output", describe(output))));
    lines.extend(task.missing.iter().map(|part| ("missing", format!("{}: {}", part.index, part.message))));
    lines.extend(saved.iter().map(|saved| ("file", saved.path.display().to_string())));
    if saved.is_empty() {
        lines.extend(task.outputs.iter().filter_map(|output| Some(("address", output.url.clone()?))));
    }
    page(style, &lines)
}

/// A status as it stands in answers.
pub(super) fn status_word(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Pending => "pending",
        TaskStatus::Processing => "processing",
        TaskStatus::Success => "success",
        TaskStatus::Failed => "failed",
        TaskStatus::Canceled => "canceled",
    }
}

fn credits_line(task: &TaskAnswer) -> String {
    let credits = task.credits;
    let words = [
        ("held", credits.held),
        ("charged", credits.charged),
        ("released", credits.released),
        ("refunded", credits.refunded),
    ];
    let shown = words.iter().filter(|(_, number)| *number != 0);
    let shown: Vec<String> = shown.map(|(word, number)| format!("{} {word}", grouped(*number))).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(" · ") }
}

/// Type, pixels, length and size of an output.
fn describe(output: &Output) -> String {
    let pixels = output.width.zip(output.height).map(|(width, height)| format!("{width} × {height}"));
    let length = output.duration_seconds.map(|seconds| format!("{seconds:.1} s"));
    let bytes = Some(size(u64::try_from(output.bytes).unwrap_or_default()));
    let parts = [Some(output.mime.clone()), pixels, length, bytes];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A task that made nothing is a failure, with its own words.
pub(super) fn verdict(task: &TaskAnswer) -> Result<(), Failure> {
    match (task.status, &task.error) {
        (TaskStatus::Failed | TaskStatus::Canceled, Some(error)) => {
            Err(Failure::failed(error.message.clone())
                .coded(error.error.as_ref())
                .suggest(error.suggestion.as_str()))
        }
        (TaskStatus::Failed, None) => Err(Failure::failed("the task failed")),
        (TaskStatus::Canceled, None) => Err(Failure::failed("the task was canceled").coded("canceled")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_plain() {
        assert_eq!(file_name("cli-1"), "cli-1");
        assert_eq!(file_name("a:b+c@d"), "a_b_c_d");
        assert_eq!(file_name("-rf"), "_-rf");
        assert_eq!(file_name(".hidden"), "_.hidden");
    }
}
