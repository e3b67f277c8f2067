//! What happened in an account, as its owner reads it: its tasks, each with its tries and its lines of the
//! ledger; and what an owner may do to a task.
//!
//! Invariant: every read and change names the account that the session shows; a change has its line in the
//! audit log. Not here: sums (`spend`), how a task is ended (`cancel`).

use crate::{
    app::{Error, cancel, receipt, session::Session},
    state::App,
};
use rynjer_core::id::{AccountId, TaskId, UsageId};
use rynjer_store::{
    StoreError, Tx, agent,
    attempt::{self, AttemptRow},
    audit_log::{self, AuditLine, Place},
    list::{self, Filter, Page},
    task::{self, TaskRow},
    usage::{self, LineRow},
};

/// How many agents are known by name on a page.
const NAMES_MAX: u32 = 1000;

/// Ids and names of agents.
pub(crate) type AgentNames = Vec<(String, String)>;

/// A page of an account's tasks, newest first, and the names of its agents.
pub(crate) async fn tasks(
    app: &App,
    account: AccountId,
    filter: Filter,
    limit: usize,
) -> Result<(Page<TaskRow>, AgentNames), Error> {
    let read = app.store.read(move |tx| {
        let page = list::tasks(tx, &account, &filter, limit)?;
        Ok::<_, StoreError>((page, names(tx, &account)?))
    });
    Ok(read.await?)
}

/// Names of an account's agents.
pub(crate) fn names(tx: &mut dyn Tx, account: &AccountId) -> Result<AgentNames, StoreError> {
    agent::names(tx, account, NAMES_MAX)
}

/// Everything about one task.
pub(crate) struct TaskHistory {
    pub(crate) row: TaskRow,
    pub(crate) attempts: Vec<AttemptRow>,
    pub(crate) lines: Vec<LineRow>,
    pub(crate) names: AgentNames,
}

/// A task of an account with all that belongs to it.
pub(crate) async fn task(app: &App, account: AccountId, id: TaskId) -> Result<TaskHistory, Error> {
    let read = app.store.read(move |tx| {
        let Some(row) = task::by_id(tx, &account, None, &id)? else { return Err(Error::NotFound) };
        let attempts = attempt::of_task(tx, &account, &id)?;
        let event = usage::event(tx, &account, None, &UsageId::from_stored(row.usage_id.clone()))?;
        let lines = match &event {
            Some(event) => usage::lines(tx, &account, event, |lines| receipt::are_all(event, lines))?,
            None => Vec::new(),
        };
        Ok(TaskHistory { row, attempts, lines, names: names(tx, &account)? })
    });
    read.await
}

/// Cancels a task for its owner.
pub(crate) async fn cancel(app: &App, session: &Session, id: TaskId) -> Result<(), Error> {
    let account = session.account_id()?;
    let TaskHistory { row, .. } = task(app, account, id).await?;
    cancel::take_back(app, row, &session.hand(app)?.by).await.map(drop)
}

/// Blanks what a finished task holds, for its owner.
pub(crate) async fn erase(app: &App, session: &Session, id: TaskId) -> Result<(), Error> {
    let account = session.account_id()?;
    let TaskHistory { row, .. } = task(app, account, id).await?;
    cancel::erase(app, &row, Some(session.hand(app)?.by)).await
}

/// A page of an account's audit log, newest first, and the names of its agents.
pub(crate) async fn audit(
    app: &App,
    account: AccountId,
    place: Place,
    limit: u32,
) -> Result<(Vec<AuditLine>, AgentNames), Error> {
    let read = app.store.read(move |tx| {
        let lines = audit_log::page(tx, account.as_str(), &place, limit)?;
        Ok::<_, StoreError>((lines, names(tx, &account)?))
    });
    Ok(read.await?)
}
