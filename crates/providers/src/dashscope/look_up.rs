//! A clip whose submit was ambiguous, looked for in the vendor's list of tasks.
//!
//! Invariant: nothing counts as found that the vendor does not say to have our prompt, and nothing counts as
//! absent while a task of that time may still turn out to be ours. Not here: clips from pictures, of which
//! the vendor does not tell enough.
//!
//! The list tells model and time; a task tells its prompt and size only when it is done. So the answer may
//! have to wait for the tasks of those minutes.
//!
//! Source: Model Studio's page about asynchronous tasks.

use super::{POLL_AFTER_MS, TASK_TIMEOUT_MS, map, wire};
use crate::{
    Job, LookUpAnswer, ProviderError, fan_out,
    upstream::{Answer, Call, Upstream, sentence},
};
use serde::Deserialize;
use serde_json::Value;

/// Their clock may be behind ours by this.
const CLOCK_MS: i64 = 5_000;
/// How long after the begin of a submit its task may be made, and their clock be ahead of ours.
const LATEST_MS: i64 = TASK_TIMEOUT_MS as i64 + 60_000;
/// Without times the list has the tasks of the last 24 hours.
const PAGES_MAX: u64 = 20;
const PAGE_SIZE: u64 = 50;
/// More than these at one time can't be told apart within the vendor's rate limit.
const CANDIDATES_MAX: usize = 40;
const WAIT_MS: u32 = 15_000;

#[derive(Deserialize)]
struct Page {
    #[serde(default, alias = "tasks")]
    data: Vec<Listed>,
    #[serde(default)]
    total_page: Option<u64>,
    #[serde(default)]
    total: Option<u64>,
}

#[derive(Deserialize, Clone)]
struct Listed {
    task_id: String,
    #[serde(default)]
    model_name: String,
    /// Milliseconds since 1970.
    #[serde(default)]
    gmt_create: i64,
}

pub(super) async fn find(
    upstream: &Upstream,
    job: Job,
    started_at_ms: i64,
) -> Result<LookUpAnswer, ProviderError> {
    fan_out::may_be_looked_up(job.count)?;
    if job.has_pictures() {
        let message = "the vendor's list does not tell which picture a clip starts from".to_owned();
        return Err(ProviderError::Ambiguous { message });
    }
    let mut found = Vec::new();
    let mut open = false;
    for listed in candidates(upstream, &job, started_at_ms).await? {
        let url = upstream.url(&format!("/tasks/{}", listed.task_id));
        match judge(&upstream.send(Call::get(url)).await?, &job)? {
            Verdict::Ours => found.push(listed.task_id),
            Verdict::Open => open = true,
            Verdict::Strange => {}
        }
    }
    if !found.is_empty() {
        return Ok(LookUpAnswer::Found { provider_task_ids: found, poll_after_ms: POLL_AFTER_MS });
    }
    if open {
        let message = "tasks of that time are under way and do not tell their prompts yet".to_owned();
        return Err(ProviderError::NotNow { retry_after_ms: Some(WAIT_MS), message });
    }
    Ok(LookUpAnswer::Absent)
}

/// Tasks of the model and the time, newest first.
async fn candidates(
    upstream: &Upstream,
    job: &Job,
    started_at_ms: i64,
) -> Result<Vec<Listed>, ProviderError> {
    let model = map::model(job);
    let times = started_at_ms - CLOCK_MS..=started_at_ms + LATEST_MS;
    let mut kept = Vec::new();
    for number in 1..=PAGES_MAX {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("model_name", model)
            .append_pair("page_no", &number.to_string())
            .append_pair("page_size", &PAGE_SIZE.to_string())
            .finish();
        let page = page(&upstream.send(Call::get(upstream.url(&format!("/tasks/?{query}")))).await?)?;
        let last = page.data.is_empty()
            || page.total_page.is_some_and(|pages| number >= pages)
            || page.total.is_some_and(|total| page.total_page.is_none() && number * PAGE_SIZE >= total);
        kept.extend(page.data.into_iter().filter(|listed| {
            listed.model_name == model && times.contains(&listed.gmt_create) && wire::is_id(&listed.task_id)
        }));
        if last {
            kept.sort_by_key(|listed| std::cmp::Reverse(listed.gmt_create));
            kept.dedup_by(|one, other| one.task_id == other.task_id);
            return if kept.len() > CANDIDATES_MAX { Err(too_many()) } else { Ok(kept) };
        }
    }
    Err(too_many())
}

fn too_many() -> ProviderError {
    ProviderError::Ambiguous { message: "the vendor's list has too many tasks of that time".to_owned() }
}

fn page(answer: &Answer) -> Result<Page, ProviderError> {
    let value = answer.value();
    let refused = value["code"].as_str().is_some_and(|code| !code.is_empty());
    let page = answer.json::<Page>().filter(|_| answer.is_success() && !refused);
    page.ok_or_else(|| ProviderError::NotNow {
        retry_after_ms: answer.retry_after_ms,
        message: sentence(value["message"].as_str().unwrap_or_default()),
    })
}

enum Verdict {
    Ours,
    /// It is not done, and does not tell.
    Open,
    Strange,
}

fn judge(answer: &Answer, job: &Job) -> Result<Verdict, ProviderError> {
    let (output, usage) = match wire::asked(answer) {
        Err(ProviderError::Refused { .. }) => return Ok(Verdict::Strange),
        other => other?,
    };
    match (output.status(), output.orig_prompt.as_deref()) {
        // Early or late, a strange prompt is strange.
        (_, Some(prompt)) if prompt.trim() != job.prompt.trim() => Ok(Verdict::Strange),
        (wire::Status::Open, _) => Ok(Verdict::Open),
        // Not billed, so that another one does no harm.
        (wire::Status::Failed | wire::Status::Gone, _) => Ok(Verdict::Strange),
        (wire::Status::Succeeded, Some(_)) => {
            Ok(if is_as_asked(&usage, job) { Verdict::Ours } else { Verdict::Strange })
        }
        (wire::Status::Succeeded, None) => {
            let message = "a task of that time does not tell its prompt".to_owned();
            Err(ProviderError::Ambiguous { message })
        }
    }
}

/// Whether length and size, where they are told, are those of the job.
fn is_as_asked(usage: &Value, job: &Job) -> bool {
    let seconds = u64::from(job.duration_ms / 1000);
    let length = usage["output_video_duration"].as_u64().or_else(|| usage["duration"].as_u64());
    let size = usage["size"].as_str().filter(|size| size.contains('*'));
    length.is_none_or(|told| told == seconds) && size.is_none_or(|told| told == map::clip_size(job))
}
