//! The fields of a request by their kinds: what a vendor's own validation refuses.
//!
//! Invariant: a field that nobody listed is wrong. Not here: rules between fields, the words of a refusal.

use serde_json::Value;

/// What a field may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    /// One of these.
    Word(&'static [&'static str]),
    /// A JSON integer, both ends included.
    Whole(i64, i64),
    Flag,
    Object,
    /// A list that is not empty, and not longer.
    List(usize),
}

impl Kind {
    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Self::Whole(least, most) => value.as_i64().is_some_and(|n| (least..=most).contains(&n)),
            Self::Flag => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::List(most) => value.as_array().is_some_and(|list| (1..=most).contains(&list.len())),
        }
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    Unknown(String),
    Value(String),
}

/// The first field that is not as listed; of a body that is no object, the body.
pub(crate) fn wrong(body: &Value, known: &[(&str, Kind)]) -> Option<Wrong> {
    let Some(fields) = body.as_object() else { return Some(Wrong::Value("body".to_owned())) };
    fields.iter().find_map(|(name, value)| match known.iter().find(|(known, _)| known == name) {
        None => Some(Wrong::Unknown(name.clone())),
        Some((_, kind)) if kind.takes(value) => None,
        Some(_) => Some(Wrong::Value(name.clone())),
    })
}

/// Whether a request brings a key after this word.
pub(crate) fn has_key(headers: &axum::http::HeaderMap, word: &str) -> bool {
    let value = headers.get("authorization").and_then(|value| value.to_str().ok());
    let key = value.and_then(|value| value.strip_prefix(word)?.strip_prefix(' '));
    key.is_some_and(|key| !key.trim().is_empty())
}
