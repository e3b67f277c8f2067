//! Access tokens: issue, refresh, and the exchange of a Moltbook identity.
//!
//! Invariant: secrets of answers are never printed by `Debug`. Not here: how tokens are signed (the server).

use crate::{account::Mode, key::Scope};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// `POST /api/v1/agents/auth/token`: an access token for the API key in `Authorization`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenRequest {
    /// The agent that signs and owns the API key.
    #[schema(max_length = 64, pattern = "^agt_[0-9a-z]+$", example = "agt_06egn8yc05s33azjcvmtwvh70m")]
    pub agent_id: String,
    /// What the token may do, within the key's scopes; absent: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Scope>>, min_items = 1, max_items = 4, example = json!(["image"]))]
    pub scopes: Option<Vec<String>>,
    /// Unix seconds; at most 300 s behind and 60 s ahead of the server's time.
    #[schema(minimum = 0, example = 1_742_291_520)]
    pub timestamp: i64,
    /// Random text, used once: 8 to 128 characters.
    #[schema(min_length = 8, max_length = 128, pattern = "^[^\\u0000]*$", example = "random-nonce-3")]
    pub nonce: String,
    /// Ed25519 over the canonical JSON (RFC 8785) of this object without `signature`: 64 bytes in hex.
    #[schema(pattern = "^[0-9a-fA-F]{128}$")]
    pub signature: String,
    /// The gateway's host, so that the request is worth nothing elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255, pattern = "^[^\\u0000]*$", example = "127.0.0.1:8787")]
    pub audience: Option<String>,
}

impl TokenRequest {
    /// The fields that this call knows.
    pub const FIELDS: &'static [&'static str] =
        &["agent_id", "scopes", "timestamp", "nonce", "signature", "audience"];
}

/// `POST /api/v1/agents/auth/refresh`: a new pair of tokens for a refresh token, which is spent by it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefreshRequest {
    /// The newest refresh token.
    #[schema(min_length = 1, max_length = 1024, pattern = "^[^\\u0000]*$")]
    pub refresh_token: String,
    /// The agent; needed when the request is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, pattern = "^agt_[0-9a-z]+$", example = "agt_06egn8yc05s33azjcvmtwvh70m")]
    pub agent_id: Option<String>,
    /// Unix seconds; needed when the request is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 1_742_291_580)]
    pub timestamp: Option<i64>,
    /// Random text, used once; needed when the request is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 8, max_length = 128, pattern = "^[^\\u0000]*$", example = "random-nonce-6")]
    pub nonce: Option<String>,
    /// Ed25519 over the canonical JSON of this object without `signature`, in hex. Signing makes a retry
    /// safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-fA-F]{128}$")]
    pub signature: Option<String>,
    /// The gateway's host, the one of its public URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255, pattern = "^[^\\u0000]*$", example = "127.0.0.1:8787")]
    pub audience: Option<String>,
}

impl RefreshRequest {
    /// The fields that this call knows.
    pub const FIELDS: &'static [&'static str] =
        &["refresh_token", "agent_id", "timestamp", "nonce", "signature", "audience"];
}

impl fmt::Debug for RefreshRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RefreshRequest").field("agent_id", &self.agent_id).finish_non_exhaustive()
    }
}

/// `POST /auth/moltbook/exchange`: an access token for a Moltbook identity.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct MoltbookExchangeRequest {
    /// The identity token; the header `X-Moltbook-Identity` can carry it instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 4096, pattern = "^[^\\u0000]*$")]
    pub identity_token: Option<String>,
}

impl MoltbookExchangeRequest {
    /// The fields that this call knows.
    pub const FIELDS: &'static [&'static str] = &["identity_token"];
}

impl fmt::Debug for MoltbookExchangeRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MoltbookExchangeRequest").finish_non_exhaustive()
    }
}

/// A short-lived access token, and the refresh token that follows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenAnswer {
    /// Send it as `Authorization: Bearer …` to `/v1/*`.
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    pub token_type: String,
    /// For how many seconds the access token is valid.
    #[schema(minimum = 0, example = 900)]
    pub expires_in: i64,
    /// Gives the next pair of tokens, once; a Moltbook exchange has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub refresh_token: Option<String>,
    /// The agent that the token speaks for.
    #[schema(example = "agt_06egn8yc05s33azjcvmtwvh70m")]
    pub agent_id: String,
    /// The account that is charged.
    #[schema(example = "acct_06egn8yc0dr0b2kra71j90fzxw")]
    pub account_id: String,
    /// What the token may do.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: Vec<String>,
    /// The account's mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mode: Option<Mode>,
    /// What was ignored, such as unknown fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenAnswer").field("agent_id", &self.agent_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::assert_fields;
    use serde_json::json;

    #[test]
    fn the_known_fields_are_those_of_the_schemas() {
        assert_fields::<TokenRequest>(TokenRequest::FIELDS);
        assert_fields::<RefreshRequest>(RefreshRequest::FIELDS);
        assert_fields::<MoltbookExchangeRequest>(MoltbookExchangeRequest::FIELDS);
    }

    #[test]
    fn the_answer_is_that_of_the_seed_and_is_not_printed() {
        let answer = TokenAnswer {
            access_token: "secret-a".to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: 900,
            refresh_token: Some("secret-r".to_owned()),
            agent_id: "agt_1".to_owned(),
            account_id: "acct_1".to_owned(),
            scopes: vec!["image".to_owned()],
            mode: None,
            warnings: vec![],
        };
        assert!(!format!("{answer:?}").contains("secret"));
        let expected = json!({
            "access_token": "secret-a", "token_type": "Bearer", "expires_in": 900,
            "refresh_token": "secret-r",
            "agent_id": "agt_1", "account_id": "acct_1", "scopes": ["image"]
        });
        assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    }
}
