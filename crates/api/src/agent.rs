//! Registration of an agent.
//!
//! Invariant: the signature covers the received JSON value, so these structs serve clients and docs and are
//! never what is verified. Not here: verification (`rynjer-core`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /api/v1/agents/register`: makes an agent of a public key, or a fresh code for the same key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegisterRequest {
    /// The agent's Ed25519 public key: 32 bytes in hex.
    #[schema(
        pattern = "^[0-9a-fA-F]{64}$",
        example = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )]
    pub public_key: String,
    /// What the owner sees when binding: 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000]*$", example = "Demo Agent")]
    pub agent_name: String,
    /// The agent's version, 1 to 50 characters.
    #[schema(min_length = 1, max_length = 50, pattern = "^[^\\u0000]*$", example = "0.1.0")]
    pub agent_version: String,
    /// Unix seconds; at most 300 s behind and 60 s ahead of the server's time.
    #[schema(minimum = 0, example = 1_742_291_400)]
    pub timestamp: i64,
    /// Random text, used once: 8 to 128 characters.
    #[schema(min_length = 8, max_length = 128, pattern = "^[^\\u0000]*$", example = "random-nonce")]
    pub nonce: String,
    /// Ed25519 over the canonical JSON (RFC 8785) of this object without `signature`: 64 bytes in hex.
    #[schema(pattern = "^[0-9a-fA-F]{128}$")]
    pub signature: String,
    /// The gateway's host, so that the request is worth nothing elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255, pattern = "^[^\\u0000]*$", example = "127.0.0.1:8787")]
    pub audience: Option<String>,
}

impl RegisterRequest {
    /// The fields that this call knows.
    pub const FIELDS: &'static [&'static str] =
        &["public_key", "agent_name", "agent_version", "timestamp", "nonce", "signature", "audience"];
}

/// What registration gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegisterAnswer {
    /// The agent's id, the same for the same public key.
    #[schema(example = "agt_06egn8yc05s33azjcvmtwvh70m")]
    pub agent_id: String,
    /// What the owner binds; afterwards the agent's proof in `keys/create`.
    pub registration_code: String,
    /// Until when the code can bind, RFC 3339 UTC.
    #[schema(format = DateTime, example = "2026-03-21T09:46:40Z")]
    pub expires_at: String,
    /// The page where the owner binds the agent.
    #[schema(example = "http://127.0.0.1:8787/settings/agents/bind")]
    pub bind_url: String,
    /// A short code for human eyes, valid for a few minutes.
    pub user_code: String,
    /// Whether the agent already belongs to an account.
    pub bound: bool,
    /// What was ignored, such as unknown fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_known_fields_are_those_of_the_schema() {
        crate::schema::tests::assert_fields::<RegisterRequest>(RegisterRequest::FIELDS);
    }

    #[test]
    fn the_answer_is_that_of_the_contract() {
        let answer = RegisterAnswer {
            agent_id: "agt_1".to_owned(),
            registration_code: "code".to_owned(),
            expires_at: "2026-03-21T09:46:40Z".to_owned(),
            bind_url: "http://127.0.0.1:8787/settings/agents/bind".to_owned(),
            user_code: "ABCD2345".to_owned(),
            bound: false,
            warnings: vec![],
        };
        let expected = json!({
            "agent_id": "agt_1", "registration_code": "code", "expires_at": "2026-03-21T09:46:40Z",
            "bind_url": "http://127.0.0.1:8787/settings/agents/bind", "user_code": "ABCD2345", "bound": false
        });
        assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    }
}
