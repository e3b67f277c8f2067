//! Generations and their tasks, by the typed client.
//!
//! Invariant: as for every call, it is sent once; the caller, who knows the `request_id`, may send it again.
//! Not here: downloads (`output`).

use super::{ANSWER_TIMEOUT, Client, ClientError, call, path_segment, query};
use crate::{
    generate::GenerateRequest,
    task::{TaskAnswer, TaskListAnswer},
};
use reqwest::Method;
use std::time::Duration;

/// The longest that the server waits for a task.
const MAX_WAIT_SECONDS: u64 = 60;

impl Client {
    /// Makes images, video or music. The same `request_id` with the same body may be sent again without harm.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn generate(&self, request: &GenerateRequest) -> Result<TaskAnswer, ClientError> {
        self.post("/v1/generate", request).await
    }

    /// The state of a task, by request id or task id. With `wait_seconds` the server answers once the task is
    /// over, or after that time, at most 60 s.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn poll(&self, request_id: &str, wait_seconds: u64) -> Result<TaskAnswer, ClientError> {
        let wait_seconds = wait_seconds.min(MAX_WAIT_SECONDS);
        let query = if wait_seconds == 0 { String::new() } else { format!("?wait={wait_seconds}") };
        let path = format!("/v1/generate/{}{query}", path_segment(request_id)?);
        let request = self.request(Method::GET, &path);
        call(request.timeout(ANSWER_TIMEOUT + Duration::from_secs(wait_seconds))).await
    }

    /// Lists tasks, newest first; `parameters` are those of `GET /v1/generate`.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn tasks(&self, parameters: &[(&str, &str)]) -> Result<TaskListAnswer, ClientError> {
        self.get(&format!("/v1/generate{}", query(parameters))).await
    }

    /// Cancels a task.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn cancel(&self, request_id: &str) -> Result<TaskAnswer, ClientError> {
        let path = format!("/v1/generate/{}/cancel", path_segment(request_id)?);
        call(self.request(Method::POST, &path).timeout(ANSWER_TIMEOUT)).await
    }

    /// Blanks a task's prompt, inputs and outputs for good.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn delete(&self, request_id: &str) -> Result<TaskAnswer, ClientError> {
        let path = format!("/v1/generate/{}", path_segment(request_id)?);
        call(self.request(Method::DELETE, &path).timeout(ANSWER_TIMEOUT)).await
    }
}
