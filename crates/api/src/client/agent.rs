//! Registration, by the typed client.
//!
//! Invariant: as for every call, it is sent once. Not here: signing.

use super::{Client, ClientError};
use crate::agent::RegisterAnswer;
use serde_json::Value;

impl Client {
    /// Registers an agent; `signed` is a signed `RegisterRequest`.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn register(&self, signed: &Value) -> Result<RegisterAnswer, ClientError> {
        self.post("/api/v1/agents/register", signed).await
    }
}
