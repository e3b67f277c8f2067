//! `/tasks/{task_id}`: one task in full, and what its owner may do to it.
//!
//! Invariant: a task of another account is not there; what callers and vendors wrote is shown as text. Not
//! here: how a task is canceled (`app::cancel`).

use super::{
    fault::{Fault, sentence},
    frame::{Frame, page},
    guard::{Guard, Sent},
    names::Names,
    output::{Piece, pieces},
    shown,
    task::{progress, status_words},
};
use crate::{
    app::{
        Error,
        body::TaskBody,
        history::{self, TaskHistory},
        session::Session,
        task, vendor,
    },
    http::extract::Shared,
    state::App,
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::StatusCode;
use rynjer_api::{TaskError, TaskErrorCode};
use rynjer_core::{id::TaskId, ledger::EntryKind};
use rynjer_store::{attempt::AttemptRow, task::TaskRow, usage::LineRow};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/tasks/{task_id}", get(show))
        .route("/tasks/{task_id}/cancel", post(cancel))
        .route("/tasks/{task_id}/delete", post(delete))
}

/// A moment of a task's life.
struct Moment {
    name: String,
    at: String,
    /// How long after the moment before; empty for the first.
    after: String,
}

struct Try {
    number: i64,
    provider: String,
    state: &'static str,
    look: &'static str,
    job: String,
    took: String,
    detail: String,
}

struct Entry {
    at: String,
    what: &'static str,
    amount: String,
    from: String,
    to: String,
    sequence: i64,
}

#[derive(Template)]
#[template(path = "task.html")]
struct Page {
    frame: Frame,
    id: String,
    status: &'static str,
    look: &'static str,
    is_open: bool,
    has_contents: bool,
    progress: Option<i64>,
    problem: String,
    error: Option<TaskError>,
    /// What the error's code means.
    meaning: &'static str,
    missing: Vec<String>,
    pieces: Vec<Piece>,
    prompt: String,
    negative_prompt: String,
    inputs: Vec<String>,
    /// Names and values of the request.
    facts: Vec<(&'static str, String)>,
    metadata: Vec<(String, String)>,
    moments: Vec<Moment>,
    tries: Vec<Try>,
    entries: Vec<Entry>,
    credits: Vec<(&'static str, String)>,
}

async fn show(
    State(shared): State<Shared>,
    Guard(session): Guard,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    task_page(&shared, &session, &id, String::new()).await
}

async fn cancel(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Sent(session, _): Sent,
) -> Result<Response, Fault> {
    let parsed = parse(&shared.app, &id)?;
    let done = history::cancel(&shared.app, &session, parsed).await;
    after(&shared, &session, &id, done).await
}

async fn delete(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Sent(session, _): Sent,
) -> Result<Response, Fault> {
    let parsed = parse(&shared.app, &id)?;
    let done = history::erase(&shared.app, &session, parsed).await;
    after(&shared, &session, &id, done).await
}

fn parse(app: &App, id: &str) -> Result<TaskId, Fault> {
    TaskId::parse(id).ok_or_else(|| Fault::of(Error::NotFound, app))
}

/// Back to the page after a change, or the page with why it could not be done.
async fn after(
    shared: &Shared,
    session: &Session,
    id: &str,
    done: Result<(), Error>,
) -> Result<Response, Fault> {
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/tasks/{id}")).into_response()),
        Err(error @ (Error::NotCancelable | Error::TaskOpen)) => {
            let mut response = task_page(shared, session, id, sentence(&error)).await?;
            *response.status_mut() = StatusCode::CONFLICT;
            Ok(response)
        }
        Err(error) => Err(Fault::of(error, &shared.app)),
    }
}

async fn task_page(shared: &Shared, session: &Session, id: &str, problem: String) -> Result<Response, Fault> {
    let app = &shared.app;
    let read = async {
        let id = TaskId::parse(id).ok_or(Error::NotFound)?;
        let history = history::task(app, session.account_id()?, id).await?;
        filled(app, session, history, problem)
    };
    let filled = read.await.map_err(|error| Fault::of(error, app))?;
    page(shared, &filled)
}

fn filled(app: &App, session: &Session, history: TaskHistory, problem: String) -> Result<Page, Error> {
    let TaskHistory { row, attempts, lines, names } = history;
    let names = Names::new(names);
    let answer = task::answer(app, row.mode == "live", &row, Vec::new())?;
    let body = row.body.as_deref().map(TaskBody::from_stored);
    let (status, look) = status_words(row.status);
    let metadata = answer.metadata.unwrap_or_default().into_iter();
    let body_or_none = body.clone().unwrap_or_default();
    Ok(Page {
        frame: Frame::new(app, session, "/tasks", &format!("Task {}", shown::short(row.id.as_str()))),
        id: row.id.to_string(),
        status,
        look,
        is_open: !row.status.is_final(),
        has_contents: body.is_some() || row.outputs.iter().any(|output| output.deleted_at_ms.is_none()),
        progress: progress(app, &row),
        problem,
        meaning: row.error_code.as_deref().and_then(TaskErrorCode::parse).map_or("", TaskErrorCode::summary),
        error: answer.error.map(|error| TaskError { message: shown::visible(&error.message), ..error }),
        missing: answer.missing.iter().map(|part| shown::visible(&part.message)).collect(),
        pieces: pieces(app, &row, &names)?,
        prompt: shown::visible(&body_or_none.prompt),
        negative_prompt: shown::visible(&body_or_none.negative_prompt.clone().unwrap_or_default()),
        inputs: body_or_none.input_image_urls.iter().map(|url| shown::beginning(url, 200)).collect(),
        facts: facts(&row, body.as_ref(), &names),
        metadata: metadata.map(|(name, value)| (shown::visible(&name), shown::visible(&value))).collect(),
        moments: moments(&row, &attempts),
        tries: attempts.iter().map(tried).collect(),
        entries: lines.iter().map(entry).collect(),
        credits: credits(&row),
    })
}

fn facts(row: &TaskRow, body: Option<&TaskBody>, names: &Names) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Model", row.model.clone()),
        ("Served by", vendor::shown(&row.provider, &row.vendor_model)),
        ("Asked by", names.of(&row.agent_id)),
        ("Request id", row.request_id.clone()),
    ];
    if let Some(run) = &row.run_id {
        facts.push(("Run", shown::visible(run)));
    }
    facts.push(("Count", row.count.to_string()));
    if let Some(body) = body {
        if body.width > 0 {
            facts.push(("Size", format!("{} × {}", body.width, body.height)));
        }
        let optional = [
            ("Resolution", body.resolution.clone()),
            ("Aspect ratio", body.aspect_ratio.clone()),
            ("Preset", body.preset.clone()),
            ("Duration", body.duration_seconds.map(|seconds| format!("{seconds} s"))),
            ("Seed", body.seed_named.then(|| body.seed.to_string())),
        ];
        facts.extend(optional.into_iter().filter_map(|(name, value)| Some((name, shown::visible(&value?)))));
    }
    facts.push(("Price version", row.price_version.clone()));
    facts
}

fn credits(row: &TaskRow) -> Vec<(&'static str, String)> {
    let parts = [
        ("Held", row.held.0),
        ("Charged", row.charged.0),
        ("Released", row.released.0),
        ("Given back", row.refunded.0),
    ];
    parts.into_iter().filter(|part| part.1 > 0).map(|(name, sum)| (name, shown::credits(sum))).collect()
}

fn moments(row: &TaskRow, attempts: &[AttemptRow]) -> Vec<Moment> {
    let mut times = vec![(row.created_at_ms, "Accepted, and its price held".to_owned())];
    for attempt in attempts {
        let again = if attempt.number > 1 { "Tried again" } else { "Handed over" };
        times.push((attempt.started_at_ms, format!("{again}: {}", attempt.provider)));
    }
    if let Some(stored) = row.outputs.iter().map(|output| output.created_at_ms).max() {
        times.push((stored, "Files stored".to_owned()));
    }
    if let Some(ended) = row.finished_at_ms {
        times.push((ended, format!("Ended: {}", status_words(row.status).0.to_lowercase())));
    }
    times.sort_by_key(|(at_ms, _)| *at_ms);
    let before = std::iter::once(None).chain(times.iter().map(|(at_ms, _)| Some(*at_ms)));
    let moment = |((at_ms, name), before): (&(i64, String), Option<i64>)| Moment {
        name: name.clone(),
        at: shown::second(*at_ms),
        after: before.map(|before| format!("+ {}", shown::duration(at_ms - before))).unwrap_or_default(),
    };
    times.iter().zip(before).map(moment).collect()
}

fn tried(row: &AttemptRow) -> Try {
    let (state, look) = match row.state.as_str() {
        "open" => ("Begun", "warn"),
        "accepted" => ("Accepted by the provider", "warn"),
        "finished" => ("Finished", "good"),
        "failed" => ("Failed", "bad"),
        "refused" => ("Refused, nothing made", "bad"),
        "canceled" => ("Canceled", ""),
        "ambiguous" => ("Answer lost", "bad"),
        _ => ("Ended", ""),
    };
    Try {
        number: row.number,
        provider: row.provider.clone(),
        state,
        look,
        job: shown::visible(row.provider_task_id.as_deref().unwrap_or_default()),
        took: row.ended_at_ms.map(|ended| shown::duration(ended - row.started_at_ms)).unwrap_or_default(),
        detail: shown::visible(row.detail.as_deref().unwrap_or_default()),
    }
}

fn entry(row: &LineRow) -> Entry {
    Entry {
        at: shown::second(row.at_ms),
        what: match row.kind {
            EntryKind::Grant => "Granted",
            EntryKind::Hold => "Held",
            EntryKind::Capture => "Charged",
            EntryKind::Release => "Released",
            EntryKind::Refund => "Given back",
            EntryKind::Loss => "Paid by the house",
            EntryKind::Clawback => "Taken back",
        },
        amount: shown::credits(row.amount.0),
        from: row.from.replace('_', " "),
        to: row.to.replace('_', " "),
        sequence: row.sequence,
    }
}
