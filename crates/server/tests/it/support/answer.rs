//! What came back, and how answers are compared: exactly, but for what no two runs share.
//!
//! Invariant: a redacted value still says what kind of thing stood there. Not here: asking (`client`).

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {} {:?}", self.status, String::from_utf8_lossy(&self.body))
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header of text"))
    }

    /// The data of a successful answer.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()["data"].take()
    }

    /// Status and code of a refusal, as in `402 insufficient_credits`.
    pub(crate) fn refusal(&self) -> String {
        let json = self.json();
        let code = json["data"]["error"].as_str().or_else(|| json["error"].as_str());
        format!("{} {}", self.status, code.unwrap_or("without a code"))
    }

    /// The error object of a refusal.
    pub(crate) fn error(&self) -> Value {
        self.json()["data"].take()
    }

    /// The problems of the fields, as in `units.count: must be …`.
    pub(crate) fn problems(&self) -> Vec<String> {
        let error = self.error();
        let fields = error["fields"].as_array().cloned().unwrap_or_default();
        let text = |field: &Value, name: &str| field[name].as_str().unwrap_or_default().to_owned();
        fields.iter().map(|field| format!("{}: {}", text(field, "field"), text(field, "problem"))).collect()
    }

    /// The whole body with what varies replaced.
    pub(crate) fn redacted(&self) -> Value {
        redacted(self.json())
    }
}

/// Prefixes of texts that differ in each run.
const VARYING: [(&str, &str); 16] = [
    ("task_", "<task>"),
    ("agt_", "<agent>"),
    ("key_", "<key>"),
    ("acct_", "<account>"),
    ("use_", "<usage>"),
    ("file_", "<file>"),
    ("https://gateway.test/files/", "<signed url>"),
    ("sbx_", "<job>"),
    ("ryn_agent_v1_", "<agent key>"),
    ("ryn_refresh_v1_", "<refresh token>"),
    ("ryn_reg_", "<registration code>"),
    ("ryn_test_", "<account key>"),
    ("q1.", "<quote>"),
    ("eyJ", "<access token>"),
    ("https://gateway.test/outputs/", "<signed url>"),
    ("grant:", "<reference>"),
];

/// The value with ids, secrets and hashes replaced.
pub(crate) fn redacted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let field = |(name, value): (String, Value)| {
                let hidden = match name.as_str() {
                    "trace_id" | "user_code" | "sha256" if value.is_string() => json!(format!("<{name}>")),
                    "bytes" if value.is_number() => json!("<bytes>"),
                    _ => redacted(value),
                };
                (name, hidden)
            };
            Value::Object(object.into_iter().map(field).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(redacted).collect()),
        Value::String(text) => match VARYING.iter().find(|(prefix, _)| text.starts_with(prefix)) {
            // Names of ours, such as `key_name`, are never values.
            Some((_, name)) => json!(name),
            None => Value::String(text),
        },
        other => other,
    }
}
