//! What a request asked for, as one short hash per field, so that a reused request id can name what differs.
//!
//! Invariant: two bodies have one fingerprint if each field has the same JSON value, and otherwise differ but
//! for a chance of 1 in 2^64; `null` equals absent. Not here: which fields count and the defaults filled in
//! before (the API).

use crate::canonical::canonical_bytes;
use data_encoding::HEXLOWER;
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

type FieldHash = [u8; 8];

/// One hash per present field, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprint {
    fields: Vec<(Cow<'static, str>, FieldHash)>,
}

impl Fingerprint {
    /// Hashes each field whose value is not `null`. Names must differ and hold neither `:` nor `,`.
    #[must_use]
    pub fn of(fields: &[(&'static str, &Value)]) -> Self {
        let mut text = Vec::with_capacity(256);
        let mut hashed: Vec<(Cow<'static, str>, FieldHash)> = fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|&(name, value)| {
                text.clear();
                write_value(value, &mut text);
                (Cow::Borrowed(name), short_hash(&text))
            })
            .collect();
        hashed.sort_unstable();
        Self { fields: hashed }
    }

    /// One line for one column: `name:hex,name:hex`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(self.fields.len() * 32);
        for (name, hash) in &self.fields {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push(':');
            HEXLOWER.encode_append(hash, &mut text);
        }
        text
    }

    /// Reads what `encode` wrote; `None` for any text that it cannot have written.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut fields: Vec<(Cow<'static, str>, FieldHash)> = Vec::new();
        for part in text.split(',') {
            let (name, hex) = part.split_once(':')?;
            let bytes = HEXLOWER.decode(hex.as_bytes()).ok()?;
            fields.push((Cow::Owned(name.to_owned()), FieldHash::try_from(bytes.as_slice()).ok()?));
        }
        fields.is_sorted_by(|left, right| left.0 < right.0).then_some(Self { fields })
    }

    /// Names of the fields that were changed, added or removed, sorted.
    #[must_use]
    pub fn differing_fields(&self, other: &Self) -> Vec<String> {
        let lacks = |in_fields: &[(Cow<'static, str>, FieldHash)], field: &(Cow<'static, str>, FieldHash)| {
            in_fields.binary_search(field).is_err()
        };
        let here = self.fields.iter().filter(|field| lacks(&other.fields, field));
        let there = other.fields.iter().filter(|field| lacks(&self.fields, field));
        let mut names: Vec<String> = here.chain(there).map(|(name, _)| name.clone().into_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn short_hash(bytes: &[u8]) -> FieldHash {
    let mut short = FieldHash::default();
    for (place, byte) in short.iter_mut().zip(Sha256::digest(bytes)) {
        *place = byte;
    }
    short
}

/// One text per value, to be hashed and never read. RFC 8785 would round integers beyond 2^53, and two seeds
/// there must not look the same. Members that are `null` are left out: `null` equals absent at every level.
fn write_value(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Null => text.extend_from_slice(b"null"),
        Value::Bool(true) => text.extend_from_slice(b"true"),
        Value::Bool(false) => text.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, value, text),
        Value::String(string) => write_string(string, text),
        Value::Array(items) => {
            text.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write_value(item, text);
            }
            text.push(b']');
        }
        Value::Object(object) => {
            let mut members: Vec<(&String, &Value)> =
                object.iter().filter(|(_, member)| !member.is_null()).collect();
            members.sort_unstable_by_key(|&(name, _)| name);
            text.push(b'{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write_string(name, text);
                text.push(b':');
                write_value(member, text);
            }
            text.push(b'}');
        }
    }
}

/// Whole doubles print like integers (`1.0` is `1`), so both spellings of a number are one value.
fn write_number(number: &Number, value: &Value, text: &mut Vec<u8>) {
    let exact = || number.to_string().into_bytes();
    let digits = if number.is_f64() { canonical_bytes(value).unwrap_or_else(|_| exact()) } else { exact() };
    text.extend_from_slice(&digits);
}

/// Only the two characters that could end the string early are escaped: that is enough to keep texts apart.
fn write_string(string: &str, text: &mut Vec<u8>) {
    text.push(b'"');
    let mut rest = string.as_bytes();
    while let Some(place) = rest.iter().position(|&byte| byte == b'"' || byte == b'\\') {
        let (plain, tail) = rest.split_at(place);
        text.extend_from_slice(plain);
        text.push(b'\\');
        text.extend_from_slice(&tail[..1]);
        rest = &tail[1..];
    }
    text.extend_from_slice(rest);
    text.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn one(value: &Value) -> Fingerprint {
        Fingerprint::of(&[("field", value)])
    }

    #[test]
    fn text_form_is_fixed() {
        let (model, count, none) = (json!("veo3"), json!(1), json!(null));
        let fingerprint = Fingerprint::of(&[("model", &model), ("count", &count), ("seed", &none)]);
        // SHA-256 of `1` and of `"veo3"`.
        assert_eq!(fingerprint.encode(), "count:6b86b273ff34fce1,model:c58c4b8a8ecfde1a");
        assert_eq!(Fingerprint::decode(&fingerprint.encode()), Some(fingerprint));
        assert_eq!(Fingerprint::of(&[]).encode(), "");
        assert_eq!(Fingerprint::decode(""), Some(Fingerprint::default()));
        for bad in [
            "a",
            "a:",
            "a:00",
            "a:6B86B273FF34FCE1",
            "a:6b86b273ff34fce1,",
            "b:6b86b273ff34fce1,a:6b86b273ff34fce1",
        ] {
            assert_eq!(Fingerprint::decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn spelling_does_not_matter() {
        assert_eq!(one(&json!(1)), one(&json!(1.0)));
        assert_eq!(one(&json!(0)), one(&json!(-0.0)));
        assert_eq!(one(&json!({"a": 1, "b": null})), one(&json!({"a": 1})));
        assert_eq!(Fingerprint::of(&[("a", &json!(null))]), Fingerprint::of(&[]));
        let escaped: Value = serde_json::from_str(r#"{"b":"\u0061","a":[2]}"#).unwrap();
        assert_eq!(one(&escaped), one(&json!({"a": [2], "b": "a"})));
    }

    #[test]
    fn unlike_values_differ() {
        let values = [
            json!(9_007_199_254_740_992_u64),
            json!(9_007_199_254_740_993_u64),
            json!("1"),
            json!(1),
            json!(true),
            json!([1]),
            json!([[1]]),
            json!([null]),
            json!([]),
            json!({}),
            json!(["a", "b"]),
            json!(["a\",\"b"]),
            json!(["a\\", "b"]),
            json!("\n"),
            json!("\\n"),
            json!({"a": {"b": 1}}),
            json!({"a": {}, "b": 1}),
            json!(0.1),
            json!(0.10000000000000002),
        ];
        for (index, left) in values.iter().enumerate() {
            for right in &values[index + 1..] {
                assert_ne!(one(left), one(right), "{left} {right}");
            }
        }
    }

    #[test]
    fn differences_are_named() {
        let (a, b, c) = (json!("x"), json!(2), json!([1]));
        let first = Fingerprint::of(&[("model", &a), ("count", &b), ("seed", &b)]);
        let second = Fingerprint::of(&[("prompt", &a), ("count", &c), ("model", &a)]);
        assert_eq!(first.differing_fields(&second), ["count", "prompt", "seed"]);
        assert_eq!(second.differing_fields(&first), ["count", "prompt", "seed"]);
        let stored = Fingerprint::decode(&first.encode()).unwrap();
        assert_eq!(stored.differing_fields(&first), Vec::<String>::new());
    }

    const NAMES: [&str; 6] = ["model", "prompt", "count", "units", "seed", "negative_prompt"];

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<u64>().prop_map(Value::from),
            "[a\"\\\\,:]{0,4}".prop_map(Value::String),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                prop::collection::vec(("[ab]{1,2}", inner), 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn reversed(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(reversed).collect(),
            Value::Object(object) => {
                let mut members: Vec<_> =
                    object.iter().map(|(name, member)| (name.clone(), reversed(member))).collect();
                members.reverse();
                Value::Object(members.into_iter().collect())
            }
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn order_of_keys_and_fields_is_irrelevant(body in prop::collection::vec(values(), 6)) {
            let forward: Vec<_> = NAMES.into_iter().zip(&body).collect();
            let turned: Vec<Value> = body.iter().map(reversed).collect();
            let backward: Vec<_> = NAMES.into_iter().zip(&turned).rev().collect();
            prop_assert_eq!(Fingerprint::of(&forward).encode(), Fingerprint::of(&backward).encode());
        }

        #[test]
        fn any_single_change_is_found(
            body in prop::collection::vec(values(), 6),
            place in 0usize..6,
            changed in prop::option::of(values()),
        ) {
            let changed = changed.unwrap_or(Value::Null);
            prop_assume!(changed != body[place]);
            let mut other = body.clone();
            other[place] = changed;
            let first = Fingerprint::of(&NAMES.into_iter().zip(&body).collect::<Vec<_>>());
            let second = Fingerprint::of(&NAMES.into_iter().zip(&other).collect::<Vec<_>>());
            prop_assert_eq!(first.differing_fields(&second), vec![NAMES[place].to_owned()]);
            prop_assert_eq!(Fingerprint::decode(&second.encode()), Some(second));
        }
    }
}
