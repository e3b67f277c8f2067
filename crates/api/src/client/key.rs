//! API keys of agents, by the typed client.
//!
//! Invariant: as for every call, it is sent once. Not here: signing.

use super::{Client, ClientError};
use crate::key::{KeyCreateAnswer, KeyListAnswer, KeyRevokeAnswer};
use serde_json::Value;

impl Client {
    /// Makes an API key; `signed` is a signed `KeyCreateRequest`.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn create_key(&self, signed: &Value) -> Result<KeyCreateAnswer, ClientError> {
        self.post("/api/v1/agents/keys/create", signed).await
    }

    /// Lists the agent's keys, by the client's credential or a signed `KeyListRequest`.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn list_keys(&self, request: &Value) -> Result<KeyListAnswer, ClientError> {
        self.post("/api/v1/agents/keys/list", request).await
    }

    /// Revokes a key, by the client's credential or a signed `KeyRevokeRequest`.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn revoke_key(&self, request: &Value) -> Result<KeyRevokeAnswer, ClientError> {
        self.post("/api/v1/agents/keys/revoke", request).await
    }
}
