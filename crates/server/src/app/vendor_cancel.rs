//! Asking a vendor to take a job back, for however many callers: one question at a time about each job, and
//! not the same one again at once.
//!
//! Invariant: of one job a vendor hears no more than one question in [`PACE_MS`] from this process, and none
//! after it has taken the job back. Not here: what is done with the answer (`cancel`).

use crate::state::App;
use moka::sync::Cache;
use rynjer_providers::{CancelAnswer, Provider};
use rynjer_store::task::TaskRow;
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// How long an answer stands: what is not free now may be neither a moment later.
const PACE_MS: i64 = 5_000;
/// When a job is forgotten that nobody asks about any more. In the machine's time, and longer than the pace.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);
/// Jobs that are remembered at once.
const JOBS_MAX: u64 = 100_000;

/// What vendors said lately, by the name of the vendor and its id of the job.
pub(crate) struct VendorCancels(Cache<(String, String), Arc<Mutex<Option<Asked>>>>);

#[derive(Debug, Clone, Copy)]
struct Asked {
    at_ms: i64,
    answer: CancelAnswer,
}

impl VendorCancels {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(JOBS_MAX).time_to_idle(FORGOTTEN_AFTER).build())
    }
}

/// Whether a job is taken back for free. Whoever asks while another one does waits for the same answer.
pub(crate) async fn ask(app: &App, provider: &dyn Provider, row: &TaskRow) -> CancelAnswer {
    let cancel = |id: Option<String>| provider.cancel(row.vendor_model.clone(), id);
    let Some(id) = row.provider_task_id.clone() else {
        // The vendor has told no id to ask about, so the adapter knows the answer.
        return cancel(None).await.unwrap_or(CancelAnswer::NotFree);
    };
    let known = app.vendor_cancels.0.get_with((row.provider.clone(), id.clone()), Arc::default);
    let mut last = known.lock().await;
    let now_ms = app.now_ms();
    let stands = |asked: &Asked| asked.answer == CancelAnswer::Free || now_ms < asked.at_ms + PACE_MS;
    if let Some(asked) = last.filter(stands) {
        return asked.answer;
    }
    // A caller that goes away ends its question, which was asked all the same.
    *last = Some(Asked { at_ms: now_ms, answer: CancelAnswer::NotFree });
    let answer = cancel(Some(id)).await.unwrap_or(CancelAnswer::NotFree);
    *last = Some(Asked { at_ms: app.now_ms(), answer });
    answer
}
