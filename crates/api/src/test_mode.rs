//! The test mode: triggers that force outcomes, and the clock that tests move.
//!
//! Invariant: for test accounts alone. Not here: what a trigger does (the sandbox).

use crate::account::Mode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer of `GET /v1/test/triggers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TriggersAnswer {
    /// Whether this gateway looks for triggers in prompts at all.
    pub enabled: bool,
    /// Every trigger.
    pub triggers: Vec<Trigger>,
    /// The account's mode.
    pub mode: Mode,
}

/// A text that forces an outcome when it stands in a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trigger {
    /// How it is written; words in capitals stand for numbers.
    #[schema(example = "[[reject]]")]
    pub trigger: String,
    /// A prompt that holds it.
    #[schema(example = "A red fox [[reject]]")]
    pub example: String,
    /// What happens then.
    pub effect: String,
    /// The code of the task's error, where the task fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "content_rejected")]
    pub task_error: Option<String>,
}

/// `POST /v1/test/clock`: how far to move the gateway's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ClockRequest {
    /// Forward by so many seconds, at most 400 days.
    #[schema(minimum = 1, maximum = 34_560_000, example = 86_400)]
    pub advance_seconds: i64,
}

impl ClockRequest {
    /// The fields that this call knows.
    pub const FIELDS: &'static [&'static str] = &["advance_seconds"];
}

/// The gateway's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClockAnswer {
    /// Its time, RFC 3339 UTC.
    #[schema(format = DateTime, example = "2026-03-20T09:46:40Z")]
    pub now: String,
    /// The same as unix seconds.
    #[schema(example = 1_774_000_000)]
    pub unix_seconds: i64,
    /// How far it was moved since the gateway started, all calls together.
    #[schema(minimum = 0, example = 86_400)]
    pub moved_seconds: i64,
    /// The account's mode.
    pub mode: Mode,
    /// What was ignored, such as unknown fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_fields_are_those_of_the_schema() {
        crate::schema::tests::assert_fields::<ClockRequest>(ClockRequest::FIELDS);
    }
}
