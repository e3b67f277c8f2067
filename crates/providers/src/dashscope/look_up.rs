//! A clip whose submit was ambiguous, looked for in the vendor's list of tasks.
//!
//! Invariant: nothing counts as found that the vendor does not say to have our prompt, and nothing counts as
//! absent while a task of that time may still turn out to be ours, or the list was not read in full. Not
//! here: clips from pictures, of which the vendor does not tell enough.
//!
//! The list tells model and time; a task tells its prompt and size only when it is done. So the answer may
//! have to wait for the tasks of those minutes.
//!
//! Source: Model Studio's page about asynchronous tasks.

use super::{POLL_AFTER_MS, map, wire};
use crate::{
    Job, LookUpAnswer, ProviderError, fan_out,
    look_up::{Finds, unreadable},
    upstream::{Answer, Call, Upstream, sentence},
};
use serde::Deserialize;
use serde_json::Value;

/// Without times the list has the tasks of the last 24 hours.
const PAGES_MAX: u64 = 20;
const PAGE_SIZE: u64 = 50;
/// More than these at one time can't be told apart within the vendor's rate limit.
const CANDIDATES_MAX: usize = 40;
const WAIT_MS: u32 = 15_000;
const TOO_MANY: &str = "the vendor's list has too many tasks of that time";

#[derive(Deserialize)]
struct Page {
    #[serde(alias = "tasks")]
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
    gmt_create: Option<i64>,
}

impl Listed {
    /// Whether it may be of the model: a snapshot has a date behind its name, and some rows have no name.
    fn may_be_model(&self, model: &str) -> bool {
        let (told, model) = (self.model_name.to_ascii_lowercase(), model.to_ascii_lowercase());
        told.starts_with(&model) || model.starts_with(&told)
    }
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
    let mut finds = Finds::new(started_at_ms, job.now_ms);
    let mut open = false;
    for listed in candidates(upstream, &job, &mut finds).await? {
        let url = upstream.url(&format!("/tasks/{}", listed.task_id));
        match judge(&upstream.send(Call::get(url)).await?, &job)? {
            Verdict::Ours => {
                let is_model = listed.model_name == map::model(&job);
                finds.add(listed.task_id, listed.gmt_create, is_model);
            }
            Verdict::Open => open = true,
            Verdict::Strange => {}
        }
    }
    // Before what was found: that may belong to other attempts, and one of these be ours.
    if open {
        let message = "tasks of that time are under way and do not tell their prompts yet".to_owned();
        return Err(ProviderError::NotNow { retry_after_ms: Some(WAIT_MS), message });
    }
    let provider_task_ids = finds.ids()?;
    if provider_task_ids.is_empty() {
        return Ok(LookUpAnswer::Absent);
    }
    Ok(LookUpAnswer::Found { provider_task_ids, poll_after_ms: POLL_AFTER_MS })
}

/// Tasks that may be of the model and the time.
async fn candidates(upstream: &Upstream, job: &Job, finds: &mut Finds) -> Result<Vec<Listed>, ProviderError> {
    let model = map::model(job);
    let mut kept: Vec<Listed> = Vec::new();
    let mut read = 0;
    for number in 1..=PAGES_MAX {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("model_name", model)
            .append_pair("page_no", &number.to_string())
            .append_pair("page_size", &PAGE_SIZE.to_string())
            .finish();
        let answer = upstream.send(Call::get(upstream.url(&format!("/tasks/?{query}")))).await?;
        finds.compare_clocks(&answer)?;
        let page = page(&answer)?;
        read += page.data.len() as u64;
        let last = page.data.is_empty()
            || page.total_page.is_some_and(|pages| number >= pages)
            || page.total.is_some_and(|total| page.total_page.is_none() && read >= total);
        for listed in page.data {
            let may_be = listed.may_be_model(model) && finds.may_be(listed.gmt_create);
            if may_be && !kept.iter().any(|other| other.task_id == listed.task_id) {
                kept.push(listed);
            }
        }
        if last {
            let is_whole = page.total.is_none_or(|total| read >= total);
            return if is_whole { asked_for(kept) } else { Err(unreadable("the vendor's list has a gap")) };
        }
    }
    Err(unreadable(TOO_MANY))
}

/// The candidates, if each of them can be asked for.
fn asked_for(kept: Vec<Listed>) -> Result<Vec<Listed>, ProviderError> {
    if kept.len() > CANDIDATES_MAX {
        return Err(unreadable(TOO_MANY));
    }
    if !kept.iter().all(|listed| wire::is_id(&listed.task_id)) {
        return Err(unreadable("the vendor's list has an id that can't be asked for"));
    }
    Ok(kept)
}

fn page(answer: &Answer) -> Result<Page, ProviderError> {
    let value = answer.value();
    let refused = value["code"].as_str().is_some_and(|code| !code.is_empty());
    if refused || !answer.is_success() {
        let message = sentence(value["message"].as_str().unwrap_or_default());
        return Err(ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message });
    }
    answer.json().ok_or_else(|| unreadable("the vendor's list could not be read"))
}

enum Verdict {
    Ours,
    /// It is not done, and does not tell.
    Open,
    Strange,
}

fn judge(answer: &Answer, job: &Job) -> Result<Verdict, ProviderError> {
    let (output, usage) = wire::asked(answer)?;
    match (output.status(), output.orig_prompt.as_deref()) {
        // Early or late, a strange prompt is strange.
        (_, Some(prompt)) if prompt.trim() != job.prompt.trim() => Ok(Verdict::Strange),
        // The list has it, so that one which is not known by its id is not gone for good.
        (wire::Status::Open | wire::Status::Gone, _) => Ok(Verdict::Open),
        // Not billed, so that another one does no harm.
        (wire::Status::Failed, _) => Ok(Verdict::Strange),
        (wire::Status::Succeeded, Some(_)) => {
            Ok(if is_as_asked(&usage, job) { Verdict::Ours } else { Verdict::Strange })
        }
        (wire::Status::Succeeded, None) => Err(unreadable("a task of that time does not tell its prompt")),
    }
}

/// Whether length and size, where they are told, are those of the job.
fn is_as_asked(usage: &Value, job: &Job) -> bool {
    let seconds = u64::from(job.duration_ms / 1000);
    let length = usage["output_video_duration"].as_u64().or_else(|| usage["duration"].as_u64());
    let size = usage["size"].as_str().filter(|size| size.contains('*'));
    length.is_none_or(|told| told == seconds) && size.is_none_or(|told| told == map::clip_size(job))
}
