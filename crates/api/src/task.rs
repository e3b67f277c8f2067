//! A task as it is shown: the answer of `POST /v1/generate` and of every poll.
//!
//! Invariant: a failed task is an answer, not an HTTP error; what is unknown so far is null, never left out,
//! unless it only makes sense at times. Not here: the moves between states (`rynjer-core`).

use crate::{account::Mode, error::TaskErrorCode, generate::Units, model::Product};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap};
use utoipa::ToSchema;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// Accepted, not yet begun.
    Pending,
    /// Being made.
    Processing,
    /// At least one output is there.
    Success,
    /// There is no output, and nothing was charged.
    Failed,
    /// Canceled, and nothing was charged.
    Canceled,
}

impl TaskStatus {
    /// Whether the task is over.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Canceled)
    }
}

/// What the task did with credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct TaskCredits {
    /// Still reserved.
    #[schema(minimum = 0, example = 20)]
    pub held: i64,
    /// Charged for what was delivered.
    #[schema(minimum = 0, example = 0)]
    pub charged: i64,
    /// Reserved once, never charged.
    #[schema(minimum = 0, example = 0)]
    pub released: i64,
    /// Given back after a charge.
    #[schema(minimum = 0, example = 0)]
    pub refunded: i64,
}

/// What kind of file an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputType {
    /// A picture.
    Image,
    /// A clip.
    Video,
    /// Sound.
    Audio,
}

/// One file that the task made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Output {
    /// Where to download it, signed anew with each poll; null once it is deleted.
    #[schema(required = true, format = "uri")]
    pub url: Option<String>,
    /// What kind of file it is.
    #[serde(rename = "type")]
    pub kind: OutputType,
    /// Its media type.
    #[schema(example = "image/png")]
    pub mime: String,
    /// Its true width in pixels; null for sound.
    #[schema(required = true, example = 1024)]
    pub width: Option<u32>,
    /// Its true height in pixels; null for sound.
    #[schema(required = true, example = 1024)]
    pub height: Option<u32>,
    /// Its length; null for pictures.
    #[schema(required = true, example = json!(null))]
    pub duration_seconds: Option<f64>,
    /// Its size.
    #[schema(minimum = 0, example = 482_113)]
    pub bytes: i64,
    /// The SHA-256 of its bytes, in hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: String,
    /// Until when `url` works, RFC 3339 UTC; null once it is deleted.
    #[schema(required = true, format = DateTime, example = "2026-03-27T09:46:40Z")]
    pub expires_at: Option<String>,
    /// When the file was deleted, RFC 3339 UTC; null while it is there.
    #[schema(required = true, format = DateTime, example = json!(null))]
    pub deleted_at: Option<String>,
    /// Whether the sandbox made it.
    pub sandbox: bool,
}

/// A unit that was asked for and not delivered. It was not charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissingPart {
    /// Which of the units it is, from 0.
    #[schema(example = 3)]
    pub index: u32,
    /// Why it is missing.
    #[schema(value_type = TaskErrorCode)]
    pub error: Cow<'static, str>,
    /// The same in one sentence.
    pub message: String,
}

/// Why a task failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskError {
    /// The stable code. Text, so that a client can show a code that is newer than itself.
    #[schema(value_type = TaskErrorCode)]
    pub error: Cow<'static, str>,
    /// What went wrong, in one sentence.
    pub message: String,
    /// What to do next, as a call of this API.
    pub suggestion: String,
    /// Whether the same inputs with a new `request_id` can succeed.
    pub retryable: bool,
}

impl TaskError {
    /// An error with the texts of its code.
    #[must_use]
    pub fn new(code: TaskErrorCode) -> Self {
        Self {
            error: Cow::Borrowed(code.as_str()),
            message: code.summary().to_owned(),
            suggestion: code.suggestion().to_owned(),
            retryable: code.retryable(),
        }
    }

    /// The code; none when it is newer than this version.
    #[must_use]
    pub fn code(&self) -> Option<TaskErrorCode> {
        TaskErrorCode::parse(&self.error)
    }
}

/// A task, whatever its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskAnswer {
    /// The task's id.
    #[schema(example = "task_06egn8yc01y9ffva1z8sc6m4bc")]
    pub task_id: String,
    /// The provider's id of the job; null until it is known.
    #[schema(required = true)]
    pub provider_task_id: Option<String>,
    /// Where the task stands.
    pub status: TaskStatus,
    /// The id of its row in the usage report.
    #[schema(example = "use_06egn8yc0hs5fc4pkp2kezx3y4")]
    pub usage_event_id: String,
    /// Your name for the task.
    #[schema(example = "demo-uuid-001")]
    pub request_id: String,
    /// The model that was asked for.
    #[schema(example = "nano-banana-pro")]
    pub model: String,
    /// Who makes the output.
    #[schema(required = true, example = "sandbox")]
    pub served_by: Option<String>,
    /// The account's mode.
    pub mode: Mode,
    /// What the task did with credits.
    pub credits: TaskCredits,
    /// After how many milliseconds to poll again; null once the task is over.
    #[schema(required = true, minimum = 0, example = 1000)]
    pub poll_after_ms: Option<i64>,
    /// What is made.
    pub product: Product,
    /// What was bought, defaults filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub units: Option<Units>,
    /// The files; empty until they are there.
    pub outputs: Vec<Output>,
    /// The units that were not delivered.
    pub missing: Vec<MissingPart>,
    /// Why the task failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<TaskError>,
    /// How far it is, from 0 to 1, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 1.0, nullable = false)]
    pub progress: Option<f64>,
    /// How many tasks are before it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, nullable = false)]
    pub queue_position: Option<i64>,
    /// When it was accepted, RFC 3339 UTC.
    #[schema(format = DateTime, example = "2026-03-20T09:46:40Z")]
    pub created_at: String,
    /// When it was over, RFC 3339 UTC; null before.
    #[schema(required = true, format = DateTime, example = json!(null))]
    pub finished_at: Option<String>,
    /// Your own notes on the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = json!({"campaign": "spring"}))]
    pub metadata: Option<BTreeMap<String, String>>,
    /// The run that the task belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub run_id: Option<String>,
    /// What was ignored, such as unknown fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The answer of `GET /v1/generate`: tasks, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskListAnswer {
    /// The tasks. A page may be shorter than `limit`, even empty, before the last one.
    pub tasks: Vec<TaskAnswer>,
    /// What to send as `cursor` for the next page; null when there is none.
    #[schema(required = true, example = json!(null))]
    pub next_cursor: Option<String>,
    /// What was ignored, such as unknown query parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pending() -> TaskAnswer {
        TaskAnswer {
            task_id: "task_1".to_owned(),
            provider_task_id: None,
            status: TaskStatus::Pending,
            usage_event_id: "use_1".to_owned(),
            request_id: "demo-uuid-001".to_owned(),
            model: "nano-banana-pro".to_owned(),
            served_by: Some("sandbox".to_owned()),
            mode: Mode::Test,
            credits: TaskCredits { held: 20, ..TaskCredits::default() },
            poll_after_ms: Some(1000),
            product: Product::Image,
            units: None,
            outputs: vec![],
            missing: vec![],
            error: None,
            progress: None,
            queue_position: None,
            created_at: "2026-03-20T09:46:40Z".to_owned(),
            finished_at: None,
            metadata: None,
            run_id: None,
            warnings: vec![],
        }
    }

    #[test]
    fn an_accepted_task_is_that_of_the_contract() {
        let expected = json!({
            "task_id": "task_1", "provider_task_id": null, "status": "pending", "usage_event_id": "use_1",
            "request_id": "demo-uuid-001", "model": "nano-banana-pro", "served_by": "sandbox", "mode": "test",
            "credits": {"held": 20, "charged": 0, "released": 0, "refunded": 0}, "poll_after_ms": 1000,
            "product": "image", "outputs": [], "missing": [], "created_at": "2026-03-20T09:46:40Z",
            "finished_at": null
        });
        assert_eq!(serde_json::to_value(pending()).unwrap(), expected);
        assert_eq!(serde_json::from_value::<TaskAnswer>(expected).unwrap(), pending());
    }

    #[test]
    fn the_last_page_of_a_list_says_so() {
        let list = TaskListAnswer { tasks: vec![pending()], next_cursor: None, warnings: vec![] };
        let expected = json!({"tasks": [serde_json::to_value(pending()).unwrap()], "next_cursor": null});
        assert_eq!(serde_json::to_value(&list).unwrap(), expected);
        assert_eq!(serde_json::from_value::<TaskListAnswer>(expected).unwrap(), list);
    }

    #[test]
    fn an_output_shows_what_it_has_not_as_null() {
        let output = Output {
            url: Some("http://h/f".to_owned()),
            kind: OutputType::Image,
            mime: "image/png".to_owned(),
            width: Some(1024),
            height: Some(1024),
            duration_seconds: None,
            bytes: 3,
            sha256: "ab".repeat(32),
            expires_at: Some("2026-03-27T09:46:40Z".to_owned()),
            deleted_at: None,
            sandbox: true,
        };
        let expected = json!({
            "url": "http://h/f", "type": "image", "mime": "image/png", "width": 1024, "height": 1024,
            "duration_seconds": null, "bytes": 3, "sha256": "ab".repeat(32),
            "expires_at": "2026-03-27T09:46:40Z", "deleted_at": null, "sandbox": true
        });
        assert_eq!(serde_json::to_value(output).unwrap(), expected);
    }

    #[test]
    fn a_failure_tells_to_use_a_new_request_id() {
        for code in TaskErrorCode::ALL {
            let error = TaskError::new(*code);
            assert!(error.suggestion.contains("new `request_id`"), "{code}");
            assert_eq!(error.code(), Some(*code));
        }
        let part = MissingPart { index: 3, error: "timed_out".into(), message: "late".to_owned() };
        assert_eq!(
            serde_json::to_value(part).unwrap(),
            json!({"index": 3, "error": "timed_out", "message": "late"})
        );
    }

    #[test]
    fn the_last_three_states_are_final() {
        use TaskStatus::{Canceled, Failed, Pending, Processing, Success};
        let finals = [Pending, Processing, Success, Failed, Canceled].map(TaskStatus::is_final);
        assert_eq!(finals, [false, false, true, true, true]);
    }
}
