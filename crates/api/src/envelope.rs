//! What every answer is wrapped in, and the object that describes an error.
//!
//! Invariant: family A always says `code: 0`, also for errors; only the status and `data.error` tell them
//! apart. Not here: which path belongs to which family (the server).

use crate::{
    account::{Budget, Mode},
    error::ErrorCode,
    schema,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// Family A: `{"code":0,"message":"ok","data":…}`, for answers and for errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Envelope<T> {
    /// Always 0.
    #[schema(schema_with = schema::code_zero)]
    pub code: i32,
    /// Always `ok`.
    #[schema(schema_with = schema::message_ok)]
    pub message: Cow<'static, str>,
    /// The answer, or an error object when the status is not 200.
    pub data: T,
}

impl<T> Envelope<T> {
    /// Wraps an answer or an error.
    pub const fn new(data: T) -> Self {
        Self { code: 0, message: Cow::Borrowed("ok"), data }
    }
}

/// Family B: `{"success":true,"data":…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SuccessEnvelope<T> {
    /// Always true.
    #[schema(schema_with = schema::always_true)]
    pub success: bool,
    /// The answer.
    pub data: T,
}

impl<T> SuccessEnvelope<T> {
    /// Wraps an answer.
    pub const fn new(data: T) -> Self {
        Self { success: true, data }
    }
}

/// Family B's errors: `{"success":false,"error":…,"message":…,"data":…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureEnvelope {
    /// Always false.
    #[schema(schema_with = schema::always_false)]
    pub success: bool,
    /// The code, as in `data`.
    #[schema(value_type = ErrorCode)]
    pub error: Cow<'static, str>,
    /// The sentence, as in `data`.
    #[schema(example = "Requested scope not allowed")]
    pub message: String,
    /// The error object.
    pub data: ErrorData,
}

impl FailureEnvelope {
    /// Wraps an error.
    #[must_use]
    pub fn new(data: ErrorData) -> Self {
        Self { success: false, error: data.error.clone(), message: data.message.clone(), data }
    }
}

/// An error as RFC 9457 wants it, for `Accept: application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Where the docs explain the code.
    #[serde(rename = "type")]
    #[schema(format = "uri", example = "http://127.0.0.1:8787/docs/api#insufficient_credits")]
    pub kind: String,
    /// What the code means.
    #[schema(example = "There are not enough credits available")]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 402)]
    pub status: u16,
    /// What went wrong this time.
    #[schema(example = "There are not enough credits available")]
    pub detail: String,
    /// The members of the error object.
    #[serde(flatten)]
    pub data: ErrorData,
}

impl Problem {
    /// Wraps an error whose code goes with that status.
    #[must_use]
    pub fn new(code: ErrorCode, data: ErrorData) -> Self {
        Self {
            kind: data.docs_url.clone(),
            title: code.summary().to_owned(),
            status: code.status(),
            detail: data.message.clone(),
            data,
        }
    }
}

/// One field of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// The field's path.
    #[schema(example = "units.count")]
    pub field: String,
    /// What is wrong with it.
    #[schema(example = "must be one of the allowed values")]
    pub problem: String,
    /// The values that would be right, where they can be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["1", "2", "4", "8"]))]
    pub allowed: Vec<String>,
}

/// What went wrong and what to do next. Only the first six members are always there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ErrorData {
    /// The stable code. Text, so that a client can show a code that is newer than itself.
    #[schema(value_type = ErrorCode)]
    pub error: Cow<'static, str>,
    /// What went wrong, in one sentence for people.
    #[schema(example = "There are not enough credits available")]
    pub message: String,
    /// What to do next, as a call of this API.
    #[schema(example = "Use a cheaper model or ask the owner to top up.")]
    pub suggestion: String,
    /// Whether the same call, sent again later, can succeed.
    pub retryable: bool,
    /// The id of this request in the logs, as in `X-Request-Id`.
    pub trace_id: String,
    /// Where the docs explain the code.
    #[schema(example = "http://127.0.0.1:8787/docs/api#insufficient_credits")]
    pub docs_url: String,
    /// The fields that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// Credits reserved by this request: 0 when it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, nullable = false)]
    pub held: Option<i64>,
    /// Credits charged by this request: 0 when it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, nullable = false)]
    pub charged: Option<i64>,
    /// Credits that the request needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, nullable = false, example = 50)]
    pub required: Option<i64>,
    /// Credits that the caller may still spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, nullable = false, example = 10)]
    pub available: Option<i64>,
    /// The price version that is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "2026-02-02-v1")]
    pub current_price_version: Option<String>,
    /// What the request would cost now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, nullable = false)]
    pub current_price: Option<i64>,
    /// Where the owner binds the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub bind_url: Option<String>,
    /// The code that the owner binds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub registration_code: Option<String>,
    /// The short code that the owner can type instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "BCDF-GHJK")]
    pub user_code: Option<String>,
    /// Until when the registration code can be bound; the short code lives ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub expires_at: Option<String>,
    /// The agent that is to be bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agent_id: Option<String>,
    /// The server's time in unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 1_742_291_400)]
    pub server_time: Option<i64>,
    /// After how many seconds to try again, as in `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, nullable = false)]
    pub retry_after_seconds: Option<i64>,
    /// The budget that stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub budget: Option<Budget>,
    /// Known names close to the one sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<String>,
    /// Models that would do instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<String>,
    /// The account's mode, once the caller is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mode: Option<Mode>,
    /// What was ignored, such as unknown fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl ErrorData {
    /// An error with the texts of its code; `public_url` has no slash at its end.
    #[must_use]
    pub fn new(code: ErrorCode, trace_id: &str, public_url: &str) -> Self {
        Self {
            error: Cow::Borrowed(code.as_str()),
            message: code.summary().to_owned(),
            suggestion: code.suggestion().to_owned(),
            retryable: code.retryable(),
            trace_id: trace_id.to_owned(),
            docs_url: format!("{public_url}{}", code.docs_path()),
            ..Self::default()
        }
    }

    /// The code; none when it is newer than this version.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        ErrorCode::parse(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn insufficient() -> ErrorData {
        ErrorData {
            required: Some(50),
            available: Some(10),
            ..ErrorData::new(ErrorCode::InsufficientCredits, "trace", "http://h")
        }
    }

    fn insufficient_json() -> Value {
        json!({
            "error": "insufficient_credits",
            "message": "There are not enough credits available",
            "suggestion": "Use a cheaper model or ask the owner to top up.",
            "retryable": false,
            "trace_id": "trace",
            "docs_url": "http://h/docs/api#insufficient_credits",
            "required": 50,
            "available": 10
        })
    }

    #[test]
    fn family_a_success_is_exact() {
        let text = serde_json::to_string(&Envelope::new(json!({"task_id": "task_1"}))).unwrap();
        assert_eq!(text, r#"{"code":0,"message":"ok","data":{"task_id":"task_1"}}"#);
    }

    #[test]
    fn family_a_error_is_exact() {
        let value = serde_json::to_value(Envelope::new(insufficient())).unwrap();
        assert_eq!(value, json!({"code": 0, "message": "ok", "data": insufficient_json()}));
    }

    #[test]
    fn family_b_success_is_exact() {
        let text = serde_json::to_string(&SuccessEnvelope::new(json!({"agent_id": "agt_1"}))).unwrap();
        assert_eq!(text, r#"{"success":true,"data":{"agent_id":"agt_1"}}"#);
    }

    #[test]
    fn family_b_error_is_exact() {
        let data = ErrorData::new(ErrorCode::ScopeNotAllowed, "trace", "http://h");
        let text = serde_json::to_string(&FailureEnvelope::new(data)).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"success":false,"error":"scope_not_allowed","message":"Requested scope not allowed","#,
                r#""data":{"error":"scope_not_allowed","message":"Requested scope not allowed","#,
                r#""suggestion":"See what is granted with GET /v1/me, or ask the owner for more.","#,
                r#""retryable":false,"trace_id":"trace","#,
                r#""docs_url":"http://h/docs/api#scope_not_allowed"}}"#
            )
        );
    }

    #[test]
    fn a_problem_has_the_same_members_beside_its_own() {
        let mut expected = insufficient_json();
        expected["type"] = "http://h/docs/api#insufficient_credits".into();
        expected["title"] = "There are not enough credits available".into();
        expected["status"] = 402.into();
        expected["detail"] = "There are not enough credits available".into();
        let problem = Problem::new(ErrorCode::InsufficientCredits, insufficient());
        assert_eq!(serde_json::to_value(&problem).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Problem>(expected).unwrap(), problem);
    }

    #[test]
    fn a_code_of_tomorrow_is_kept_as_text() {
        let mut value = insufficient_json();
        value["error"] = "of_tomorrow".into();
        let data: ErrorData = serde_json::from_value(value).unwrap();
        assert_eq!((data.code(), data.error.as_ref()), (None, "of_tomorrow"));
        assert_eq!(insufficient().code(), Some(ErrorCode::InsufficientCredits));
    }

    #[test]
    fn only_six_members_are_always_there() {
        assert_eq!(
            crate::schema::tests::required::<ErrorData>(),
            ["docs_url", "error", "message", "retryable", "suggestion", "trace_id"]
        );
    }
}
