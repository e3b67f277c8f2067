//! Access tokens, by the typed client.
//!
//! Invariant: as for every call, it is sent once. Not here: when a token is too old.

use super::{Client, ClientError};
use crate::token::{RefreshRequest, TokenAnswer};
use serde_json::Value;

impl Client {
    /// Gets an access token for the client's API key; `signed` is a signed `TokenRequest`.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn issue_token(&self, signed: &Value) -> Result<TokenAnswer, ClientError> {
        self.post("/api/v1/agents/auth/token", signed).await
    }

    /// Spends a refresh token for the next pair of tokens.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn refresh(&self, request: &RefreshRequest) -> Result<TokenAnswer, ClientError> {
        self.post("/api/v1/agents/auth/refresh", request).await
    }
}
