//! Long-lived API keys of agents: create, list, revoke.
//!
//! Invariant: a key's secret appears in one answer only, that of its creation. Not here: which scopes an
//! agent may ask for (`rynjer-core`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a credential may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    /// Make images.
    #[serde(rename = "image")]
    Image,
    /// Make video.
    #[serde(rename = "video")]
    Video,
    /// Make music.
    #[serde(rename = "music")]
    Music,
    /// See balance and usage.
    #[serde(rename = "credits:read")]
    CreditsRead,
}

/// `POST /api/v1/agents/keys/create`: makes an API key for a bound agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyCreateRequest {
    /// The agent that signs.
    #[schema(max_length = 64, pattern = "^agt_[0-9a-z]+$", example = "agt_06egn8yc05s33azjcvmtwvh70m")]
    pub agent_id: String,
    /// The code that the owner bound.
    #[schema(min_length = 1, max_length = 128, pattern = "^[^\\u0000]*$")]
    pub registration_code: String,
    /// What the owner sees in the list of keys: 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000]*$", example = "demo-key")]
    pub key_name: String,
    /// What the key may do, within what the owner granted.
    #[schema(value_type = Vec<Scope>, min_items = 1, max_items = 4, example = json!(["image"]))]
    pub scopes: Vec<String>,
    /// After how many days the key expires: 1 to 365.
    #[schema(minimum = 1, maximum = 365, example = 90)]
    pub expires_in_days: i64,
    /// Unix seconds; at most 300 s behind and 60 s ahead of the server's time.
    #[schema(minimum = 0, example = 1_742_291_460)]
    pub timestamp: i64,
    /// Random text, used once: 8 to 128 characters.
    #[schema(min_length = 8, max_length = 128, pattern = "^[^\\u0000]*$", example = "random-nonce-2")]
    pub nonce: String,
    /// Ed25519 over the canonical JSON (RFC 8785) of this object without `signature`: 64 bytes in hex.
    #[schema(pattern = "^[0-9a-fA-F]{128}$")]
    pub signature: String,
    /// The gateway's host, so that the request is worth nothing elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255, pattern = "^[^\\u0000]*$", example = "127.0.0.1:8787")]
    pub audience: Option<String>,
}

impl KeyCreateRequest {
    /// The fields that this call knows.
    pub const FIELDS: &'static [&'static str] = &[
        "agent_id",
        "registration_code",
        "key_name",
        "scopes",
        "expires_in_days",
        "timestamp",
        "nonce",
        "signature",
        "audience",
    ];
}

/// A new key. Its secret is shown here and never again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyCreateAnswer {
    /// The key's id, for the list and for revocation.
    #[schema(example = "key_06egn8yc09w1hehz5e88wt5rq4")]
    pub key_id: String,
    /// The secret; it starts with `ryn_agent_v1_`.
    #[schema(pattern = "^ryn_agent_v1_")]
    pub api_key: String,
    /// What the key may do.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: Vec<String>,
    /// When it expires, RFC 3339 UTC.
    #[schema(format = DateTime, example = "2026-06-18T09:46:40Z")]
    pub expires_at: String,
    /// The account's mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mode: Option<crate::Mode>,
    /// What was ignored, such as unknown fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl std::fmt::Debug for KeyCreateAnswer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeyCreateAnswer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// `POST /api/v1/agents/keys/list`: by the agent's Bearer credential, or signed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct KeyListRequest {
    /// The agent whose keys to list; needed when the request is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, pattern = "^agt_[0-9a-z]+$", example = "agt_06egn8yc05s33azjcvmtwvh70m")]
    pub agent_id: Option<String>,
    /// Unix seconds; needed when the request is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 1_742_291_460)]
    pub timestamp: Option<i64>,
    /// Random text, used once; needed when the request is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 8, max_length = 128, pattern = "^[^\\u0000]*$", example = "random-nonce-4")]
    pub nonce: Option<String>,
    /// Ed25519 over the canonical JSON of this object without `signature`, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-fA-F]{128}$")]
    pub signature: Option<String>,
    /// The gateway's host, the one of its public URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255, pattern = "^[^\\u0000]*$", example = "127.0.0.1:8787")]
    pub audience: Option<String>,
}

impl KeyListRequest {
    /// The fields that this call knows.
    pub const FIELDS: &'static [&'static str] = &["agent_id", "timestamp", "nonce", "signature", "audience"];
}

/// Whether a key still works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    /// It works.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeySummary {
    /// The key's id.
    #[schema(example = "key_06egn8yc09w1hehz5e88wt5rq4")]
    pub key_id: String,
    /// The name it was made with.
    #[schema(example = "demo-key")]
    pub key_name: String,
    /// The first characters of the secret, enough to tell keys apart.
    pub prefix: String,
    /// What the key may do.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: Vec<String>,
    /// When it was made, RFC 3339 UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it expires, RFC 3339 UTC; null where it never does.
    #[schema(required = true, format = DateTime)]
    pub expires_at: Option<String>,
    /// When it was last used, RFC 3339 UTC; null before its first use.
    #[schema(required = true, format = DateTime)]
    pub last_used_at: Option<String>,
    /// When it was revoked, RFC 3339 UTC; null while it isn't.
    #[schema(required = true, format = DateTime)]
    pub revoked_at: Option<String>,
    /// Whether it still works.
    pub status: KeyStatus,
}

/// The keys of an agent, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyListAnswer {
    /// The keys, also those that no longer work.
    pub keys: Vec<KeySummary>,
    /// The account's mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mode: Option<crate::Mode>,
    /// What was ignored, such as unknown fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `POST /api/v1/agents/keys/revoke`: by the agent's Bearer credential, or signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyRevokeRequest {
    /// The key to revoke.
    #[schema(max_length = 64, pattern = "^key_[0-9a-z]+$", example = "key_06egn8yc09w1hehz5e88wt5rq4")]
    pub key_id: String,
    /// The agent whose key it is; needed when the request is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, pattern = "^agt_[0-9a-z]+$", example = "agt_06egn8yc05s33azjcvmtwvh70m")]
    pub agent_id: Option<String>,
    /// Unix seconds; needed when the request is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 1_742_291_460)]
    pub timestamp: Option<i64>,
    /// Random text, used once; needed when the request is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 8, max_length = 128, pattern = "^[^\\u0000]*$", example = "random-nonce-5")]
    pub nonce: Option<String>,
    /// Ed25519 over the canonical JSON of this object without `signature`, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-fA-F]{128}$")]
    pub signature: Option<String>,
    /// The gateway's host, the one of its public URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255, pattern = "^[^\\u0000]*$", example = "127.0.0.1:8787")]
    pub audience: Option<String>,
}

impl KeyRevokeRequest {
    /// The fields that this call knows.
    pub const FIELDS: &'static [&'static str] =
        &["key_id", "agent_id", "timestamp", "nonce", "signature", "audience"];
}

/// The key no longer works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyRevokeAnswer {
    /// The revoked key.
    #[schema(example = "key_06egn8yc09w1hehz5e88wt5rq4")]
    pub key_id: String,
    /// Always true.
    #[schema(schema_with = crate::schema::always_true)]
    pub revoked: bool,
    /// When it was revoked first, RFC 3339 UTC.
    #[schema(format = DateTime)]
    pub revoked_at: String,
    /// The account's mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mode: Option<crate::Mode>,
    /// What was ignored, such as unknown fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::assert_fields;
    use serde_json::json;

    #[test]
    fn the_known_fields_are_those_of_the_schemas() {
        assert_fields::<KeyCreateRequest>(KeyCreateRequest::FIELDS);
        assert_fields::<KeyListRequest>(KeyListRequest::FIELDS);
        assert_fields::<KeyRevokeRequest>(KeyRevokeRequest::FIELDS);
    }

    #[test]
    fn a_new_key_is_that_of_the_seed_and_is_not_printed() {
        let answer = KeyCreateAnswer {
            key_id: "key_1".to_owned(),
            api_key: "ryn_agent_v1_secret".to_owned(),
            scopes: vec!["image".to_owned()],
            expires_at: "2026-06-18T09:46:40Z".to_owned(),
            mode: None,
            warnings: vec![],
        };
        assert!(!format!("{answer:?}").contains("secret"));
        let expected = json!({
            "key_id": "key_1", "api_key": "ryn_agent_v1_secret", "scopes": ["image"],
            "expires_at": "2026-06-18T09:46:40Z"
        });
        assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    }

    #[test]
    fn what_never_happened_is_null() {
        let key = KeySummary {
            key_id: "key_1".to_owned(),
            key_name: "demo-key".to_owned(),
            prefix: "ryn_agent_v1_ab".to_owned(),
            scopes: vec!["credits:read".to_owned()],
            created_at: "2026-03-20T09:46:40Z".to_owned(),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
            status: KeyStatus::Active,
        };
        let expected = json!({
            "key_id": "key_1", "key_name": "demo-key", "prefix": "ryn_agent_v1_ab",
            "scopes": ["credits:read"],
            "created_at": "2026-03-20T09:46:40Z", "expires_at": null, "last_used_at": null,
            "revoked_at": null,
            "status": "active"
        });
        assert_eq!(serde_json::to_value(key).unwrap(), expected);
        assert_eq!(serde_json::to_value(Scope::CreditsRead).unwrap(), "credits:read");
    }
}
