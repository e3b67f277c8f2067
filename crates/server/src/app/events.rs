//! A task's states as a stream of events, from now or from the last one that was seen to its end.
//!
//! Invariant: numbers of events only rise and follow from the task's state alone, so they mean the same after
//! a reconnect, a restart and on another node; the end is always told. Not here: how events are written
//! (`http`).

use crate::{
    app::{
        Error,
        caller::{self, Caller},
        queue, task,
        watch::{Seat, Watch},
    },
    state::App,
};
use rynjer_api::TaskAnswer;
use rynjer_core::task::Status;
use rynjer_store::task::TaskRow;
use std::sync::Arc;

/// Distance of the numbers of two statuses; there is room for a thousand steps of progress between.
const STATUS_STEP: i64 = 10_000;
const END: i64 = 3 * STATUS_STEP;

/// One state of a task.
pub(crate) struct TaskEvent {
    pub(crate) id: i64,
    pub(crate) answer: TaskAnswer,
}

/// The events of one task for one caller.
pub(crate) struct Events {
    app: App,
    caller: Arc<Caller>,
    bearer: String,
    watch: Watch,
    seen: i64,
    over: bool,
    _seat: Seat,
}

/// The number of a state: it rises with status, progress and, last, with the provider's id becoming known.
fn event_id(app: &App, row: &TaskRow) -> i64 {
    match row.status {
        Status::Pending => STATUS_STEP,
        Status::Processing => {
            let permille = app.hub.progress(&row.id).map(i64::from).or(row.progress_permille).unwrap_or(0);
            2 * STATUS_STEP + permille.clamp(0, 999) * 2 + i64::from(row.provider_task_id.is_some())
        }
        Status::Success | Status::Failed | Status::Canceled => END,
    }
}

/// Opens the stream after the event `last`, if that is a number of ours; none if that was the end.
pub(crate) async fn open(
    app: &App,
    caller: Arc<Caller>,
    bearer: String,
    id: &str,
    last: Option<&str>,
) -> Result<Option<Events>, Error> {
    let row = task::find(app, &caller, id).await?;
    let seen = last.and_then(|text| text.parse().ok()).filter(|id| (STATUS_STEP..=END).contains(id));
    let seen = seen.unwrap_or(0);
    if seen == END && row.status.is_final() {
        return Ok(None);
    }
    let seat = Seat::take(app, &caller)?;
    // An end that was seen and is none: the number is not of this task, so everything is told.
    let seen = if seen == END { 0 } else { seen };
    let watch = Watch::new(app, row);
    Ok(Some(Events { app: app.clone(), caller, bearer, watch, seen, over: false, _seat: seat }))
}

impl Events {
    /// The next event; none after the end, and when the stream can't go on. The client comes back then.
    pub(crate) async fn next(&mut self) -> Option<TaskEvent> {
        while !self.over {
            match self.state().await {
                Ok(Some(event)) => return Some(event),
                Ok(None) => self.watch.changed().await,
                Err(error) => {
                    tracing::debug!(?error, task = %self.watch.id(), "an event stream ends early");
                    return None;
                }
            }
        }
        None
    }

    /// The state now, if it was not told yet.
    async fn state(&mut self) -> Result<Option<TaskEvent>, Error> {
        let row = self.watch.row().await?;
        let id = event_id(&self.app, &row);
        if id <= self.seen {
            return Ok(None);
        }
        // A credential that was revoked since sees nothing more.
        caller::authenticate(&self.app, &self.bearer).await?;
        let mut answer = task::answer(&self.app, self.caller.live, &row, Vec::new())?;
        answer.queue_position = queue::position(&self.app, &row).await?;
        (self.seen, self.over) = (id, row.status.is_final());
        Ok(Some(TaskEvent { id, answer }))
    }
}
