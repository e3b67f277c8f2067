//! Strict JSON for request bodies: one pass that builds the value and refuses what two readers could read
//! differently.
//!
//! Invariant: an accepted value has no duplicate key, no U+0000 and no nesting beyond the limit, and a
//! refusal names the field. Not here: which fields a call knows (the API's types) and the size limit (the
//! connection's).

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, map::Entry};
use std::fmt;

/// What a body may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Objects and arrays inside each other; the outermost counts as one.
    pub max_depth: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_depth: 16 }
    }
}

/// Why a body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if field.is_empty() { String::new() } else { format!("{field}: ") })]
pub struct JsonError {
    /// Dotted path of the field, such as `units.count` or `image_urls.2`; empty for the body itself.
    pub field: String,
    /// One human phrase.
    pub problem: String,
}

/// Segments of a path longer than this are cut, so that an error stays short whatever the body held.
const SEGMENT_CHARS: usize = 64;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads exactly one JSON value.
///
/// # Errors
/// Names the field and the problem; see [`JsonError`].
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Value, JsonError> {
    let body = |problem: &str| Err(JsonError { field: String::new(), problem: problem.to_owned() });
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return body("starts with a byte order mark; send plain UTF-8");
    }
    let mut failure = Failure::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let node = Node { depth_left: limits.max_depth, failure: &mut failure };
    let parsed = node.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match parsed {
        Ok(value) => Ok(value),
        Err(_) if bytes.iter().all(u8::is_ascii_whitespace) => body("is empty; a JSON value is needed"),
        Err(error) => Err(failure.explain(&error, bytes)),
    }
}

/// Filled only while an error travels outwards, so that the good path pays nothing for paths.
#[derive(Default)]
struct Failure {
    problem: Option<String>,
    /// Innermost first.
    segments: Vec<String>,
    /// Members and items read so far.
    values: usize,
}

/// A value costs many times its bytes in memory, so a body may not hold more than a person would ever need.
const VALUES_MAX: usize = 10_000;

impl Failure {
    fn count<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(self.refuse(format!("is one value too many; a body may hold {VALUES_MAX}")));
        }
        Ok(())
    }

    fn push(&mut self, segment: &str) {
        let mut shown: String = segment.chars().take(SEGMENT_CHARS).collect();
        if shown.len() < segment.len() {
            shown.push('…');
        }
        self.segments.push(shown.replace('\0', "\\u0000"));
    }

    /// Records a problem of our own; the error that carries it outwards needs no text.
    fn refuse<E: serde::de::Error>(&mut self, problem: String) -> E {
        self.problem = Some(problem);
        E::custom("")
    }

    fn explain(self, error: &serde_json::Error, bytes: &[u8]) -> JsonError {
        let mut segments = self.segments;
        segments.reverse();
        let problem = self.problem.unwrap_or_else(|| match std::str::from_utf8(bytes) {
            Err(utf8) => format!("is not UTF-8 at byte {}", utf8.valid_up_to()),
            Ok(_) => format!("is not valid JSON: {error}"),
        });
        JsonError { field: segments.join("."), problem }
    }
}

/// One value that is about to be read.
struct Node<'f> {
    depth_left: u8,
    failure: &'f mut Failure,
}

impl Node<'_> {
    fn enter<E: serde::de::Error>(&mut self) -> Result<u8, E> {
        match self.depth_left.checked_sub(1) {
            Some(left) => Ok(left),
            None => Err(self.failure.refuse("is nested too deeply".to_owned())),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| self.failure.refuse("is a number out of range".to_owned()))
    }

    /// Text without escapes: U+0000 cannot be in it, because raw control characters are not JSON.
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        if text.contains('\0') {
            return Err(self.failure.refuse("holds the character U+0000".to_owned()));
        }
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Value, A::Error> {
        let depth_left = self.enter()?;
        let mut items = Vec::new();
        loop {
            match sequence.next_element_seed(Node { depth_left, failure: &mut *self.failure }) {
                Ok(Some(item)) => {
                    self.failure.count()?;
                    items.push(item);
                }
                Ok(None) => return Ok(Value::Array(items)),
                Err(error) => {
                    self.failure.push(&items.len().to_string());
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let depth_left = self.enter()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key_seed(Key { failure: &mut *self.failure })? {
            self.failure.count()?;
            match object.entry(key) {
                Entry::Occupied(earlier) => {
                    self.failure.push(earlier.key());
                    return Err(self.failure.refuse("appears twice".to_owned()));
                }
                Entry::Vacant(place) => {
                    match members.next_value_seed(Node { depth_left, failure: &mut *self.failure }) {
                        Ok(value) => {
                            place.insert(value);
                        }
                        Err(error) => {
                            self.failure.push(place.key());
                            return Err(error);
                        }
                    }
                }
            }
        }
        Ok(Value::Object(object))
    }
}

/// One key that is about to be read.
struct Key<'f> {
    failure: &'f mut Failure,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        if text.contains('\0') {
            self.failure.push(text);
            return Err(self.failure.refuse("is a key with the character U+0000".to_owned()));
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn refused(text: impl AsRef<[u8]>) -> (String, String) {
        let error = parse(text.as_ref(), Limits::default()).unwrap_err();
        (error.field, error.problem)
    }

    fn own(field: &str, problem: &str) -> (String, String) {
        (field.to_owned(), problem.to_owned())
    }

    #[test]
    fn accepts_what_serde_json_accepts() {
        let text = r#" {"a":[1,-2,18446744073709551615,-9223372036854775808,1.5,-0,1e2,true,
            null,"é\u00e9\ud83d\ude00"],"b":{}} "#;
        let value = parse(text.as_bytes(), Limits::default()).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(value["a"][2], json!(u64::MAX));
        assert_eq!(value["a"][3], json!(i64::MIN));
        assert!(value["a"][5].as_f64().unwrap().is_sign_negative());
        assert_eq!(value["a"][6], json!(100.0));
        assert_eq!(value["a"][9], json!("éé😀"));
        assert_eq!(parse(b"18446744073709551616", Limits::default()), Ok(json!(18446744073709551616.0)));
    }

    #[test]
    fn duplicate_keys_are_named_at_every_level() {
        assert_eq!(refused(r#"{"a":1,"a":1}"#), own("a", "appears twice"));
        assert_eq!(refused(r#"{"units":{"count":1,"x":2,"count":1}}"#), own("units.count", "appears twice"));
        assert_eq!(refused(r#"{"a":[0,{"b":1,"\u0062":2}]}"#), own("a.1.b", "appears twice"));
        assert_eq!(parse(br#"{"a":{"b":1},"b":1}"#, Limits::default()), Ok(json!({"a":{"b":1},"b":1})));
    }

    #[test]
    fn depth_counts_containers() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(16).as_bytes(), Limits::default()).is_ok());
        let (field, problem) = refused(nested(17));
        assert_eq!(
            (field.as_str(), problem.as_str()),
            ("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0", "is nested too deeply")
        );
        assert_eq!(refused("[".repeat(1_000_000)).1, "is nested too deeply");
        assert_eq!(parse(b"1", Limits { max_depth: 0 }), Ok(json!(1)));
        assert!(parse(b"[]", Limits { max_depth: 0 }).is_err());
    }

    #[test]
    fn zero_characters_are_refused() {
        assert_eq!(refused(r#"{"a":{"b":"x\u0000"}}"#), own("a.b", "holds the character U+0000"));
        assert_eq!(
            refused(r#"{"a":{"b\u0000":1}}"#),
            own("a.b\\u0000", "is a key with the character U+0000")
        );
        assert_eq!(refused("{\"a\":\"\0\"}").0, "a");
        assert_eq!(parse(br#""\\u0000""#, Limits::default()), Ok(json!("\\u0000")));
    }

    #[test]
    fn malformed_text_names_its_place() {
        for (text, field, start) in [
            (&b"\xef\xbb\xbf{}"[..], "", "starts with a byte order mark"),
            (b"", "", "is empty"),
            (b" \n", "", "is empty"),
            (b"{\"a\":\"\xff\"}", "a", "is not UTF-8 at byte 6"),
            (b"{\"\xff\":1}", "", "is not UTF-8 at byte 2"),
            (b"{\"a\":\"\xed\xa0\x80\"}", "a", "is not UTF-8 at byte 6"),
            (br#"{"a":"\ud800"}"#, "a", "is not valid JSON: "),
            (br#"{"a":"\udc00x"}"#, "a", "is not valid JSON: "),
            (br#"{"a":"\ud800\ud800"}"#, "a", "is not valid JSON: "),
            (br#"{"a":1e400}"#, "a", "is not valid JSON: number out of range"),
            (br#"{"a":-1e400}"#, "a", "is not valid JSON: number out of range"),
            (br#"{"a":[1,01]}"#, "a.1", "is not valid JSON: invalid number"),
            (b"{} {}", "", "is not valid JSON: trailing characters"),
            (b"{}x", "", "is not valid JSON: trailing characters"),
            (br#"{"a":1"#, "", "is not valid JSON: EOF while parsing"),
            (br#"{"a":tru}"#, "a", "is not valid JSON: expected ident"),
            (br#"{"a":1,}"#, "", "is not valid JSON: trailing comma"),
            (br#"{a:1}"#, "", "is not valid JSON: key must be a string"),
            (br#"{1:1}"#, "", "is not valid JSON: key must be a string"),
            (b"[NaN]", "0", "is not valid JSON: expected value"),
            (b"[1,/* */2]", "1", "is not valid JSON: expected value"),
        ] {
            let (found, problem) = refused(text);
            assert_eq!(found, field, "{}", String::from_utf8_lossy(text));
            assert!(problem.starts_with(start), "{}: {problem}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn long_keys_are_cut_in_errors() {
        let key = "k".repeat(100_000);
        let (field, _) = refused(format!("{{\"{key}\":tru}}"));
        assert_eq!(field, format!("{}…", "k".repeat(64)));
        let error = JsonError { field: "a.b".to_owned(), problem: "appears twice".to_owned() };
        assert_eq!(error.to_string(), "a.b: appears twice");
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
            "[^\0]{0,12}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::vec(("[^\0]{0,6}", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_survives(value in values()) {
            let text = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(parse(&text, Limits::default()), Ok(value));
        }

        #[test]
        fn any_bytes_are_read_as_serde_json_reads_them_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            if let Ok(value) = parse(&bytes, Limits::default()) {
                prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), value);
            }
        }
    }
}
