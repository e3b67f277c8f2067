//! `tasks`: the list, and one task of it.
//!
//! Invariant: only `cancel` and `delete` change anything. Not here: making one (`generate`).

use super::{
    account::object,
    moment,
    session::Session,
    wait::{self, page_of, status_word},
};
use crate::{
    cli::client::{OneTask, Paging, Status, Tasks},
    failure::Failure,
    print, save,
    signal::Signals,
    table::table,
    terminal,
    words::{count, grouped},
};
use rynjer_api::TaskAnswer;

/// How many are listed unless told otherwise.
const USUAL: usize = 20;
/// The most that one page gives.
const PAGE_MAX: usize = 100;

/// Runs `rynjer tasks`.
pub(super) async fn run(arguments: Tasks, json: bool) -> Result<(), Failure> {
    let mut session = Session::open(&arguments.reach)?;
    let Some(one) = arguments.one else {
        let mut filter = Vec::new();
        if let Some(status) = arguments.status {
            filter.push(("status", word(status).to_owned()));
        }
        filter.extend(arguments.model.map(|model| ("model", model)));
        filter.extend(arguments.run_id.map(|run_id| ("run_id", run_id)));
        return list(&mut session, filter, &arguments.paging, json).await;
    };
    let filtered = arguments.status.is_some() || arguments.model.is_some() || arguments.run_id.is_some();
    if filtered || arguments.paging.all || arguments.paging.limit.is_some() {
        return Err(Failure::usage("--status, --model, --run-id, --limit and --all are for the list"));
    }
    let task = match one {
        OneTask::Show { id } => found(session.call(|client| poll(client, &id)).await, &id)?,
        OneTask::Wait { id, waiting } => {
            let folder = save::folder(waiting.out)?;
            let mut signals = Signals::listen()?;
            let task = found(session.call(|client| poll(client, &id)).await, &id)?;
            return wait::finish(&mut session, task, &folder, waiting.timeout_seconds, &mut signals, json)
                .await;
        }
        OneTask::Cancel { id } => {
            let id = &id;
            found(session.call(|client| async move { client.cancel(id).await }).await, id)?
        }
        OneTask::Delete { id } => {
            let id = &id;
            found(session.call(|client| async move { client.delete(id).await }).await, id)?
        }
    };
    print::answer(json, &object(&task)?, |style| page_of(style, &task, &[]))
}

async fn poll(client: rynjer_api::Client, id: &str) -> Result<TaskAnswer, rynjer_api::ClientError> {
    client.poll(id, 0).await
}

fn found(answer: Result<TaskAnswer, super::session::Trouble>, id: &str) -> Result<TaskAnswer, Failure> {
    answer.map_err(|trouble| Failure::from(trouble).naming(&format!("task {id} of yours")))
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Processing => "processing",
        Status::Success => "success",
        Status::Failed => "failed",
        Status::Canceled => "canceled",
    }
}

/// How many entries are wanted.
pub(super) fn wanted(paging: &Paging) -> usize {
    match (paging.all, paging.limit) {
        (true, _) => usize::MAX,
        (false, limit) => limit.map_or(USUAL, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
    }
}

/// The parameters of a page.
pub(super) fn parameters<'text>(
    filter: &'text [(&'text str, String)],
    limit: &'text str,
    cursor: Option<&'text str>,
) -> Vec<(&'text str, &'text str)> {
    let filter = filter.iter().map(|(name, value)| (*name, value.as_str()));
    filter.chain([("limit", limit)]).chain(cursor.map(|cursor| ("cursor", cursor))).collect()
}

/// The size of the next page, as text.
pub(super) fn page_limit(left: usize) -> String {
    left.min(PAGE_MAX).to_string()
}

async fn list(
    session: &mut Session,
    filter: Vec<(&str, String)>,
    paging: &Paging,
    json: bool,
) -> Result<(), Failure> {
    let mut left = wanted(paging);
    let mut cursor: Option<String> = None;
    let mut rows = Vec::new();
    loop {
        let limit = page_limit(left);
        let asked = &parameters(&filter, &limit, cursor.as_deref());
        let answer = session.call(|client| async move { client.tasks(asked).await }).await?;
        left = left.saturating_sub(answer.tasks.len());
        for task in &answer.tasks {
            if json {
                print::line(&object(task)?.to_string())?;
            } else {
                rows.push(row(task));
            }
        }
        cursor = answer.next_cursor;
        if cursor.is_none() || left == 0 {
            break;
        }
    }
    if json {
        return Ok(());
    }
    if !rows.is_empty() {
        let headings = ["REQUEST", "STATUS", "MODEL", ">CREDITS", "ACCEPTED (UTC)"];
        print::line(&table(terminal::stdout(), &headings, &rows))?;
    }
    let more = if cursor.is_some() { "; more with --all" } else { "" };
    print::hint(json, &format!("{}{more}", count(rows.len(), "task", "tasks")));
    Ok(())
}

fn row(task: &TaskAnswer) -> Vec<String> {
    vec![
        task.request_id.clone(),
        status_word(task.status).to_owned(),
        task.model.clone(),
        grouped(task.credits.held + task.credits.charged),
        moment(&task.created_at).get(5..16).unwrap_or_default().to_owned(),
    ]
}
