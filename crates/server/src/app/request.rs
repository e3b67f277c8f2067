//! A request body as received: strict JSON, read field by field with problems that name the field.
//!
//! Invariant: null equals absent; nothing is coerced; unknown fields are told, and where money is at stake a
//! likely misspelling is refused. Not here: which fields a call takes.

use crate::app::{Error, Field};
use rynjer_core::{json, nearest};
use serde_json::{Map, Value};

/// How many unknown fields are named and compared; a body can hold tens of thousands.
const UNKNOWN_NAMED_MAX: usize = 20;

/// A JSON object of a request.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    object: Map<String, Value>,
}

impl Fields {
    /// Parses a body. An empty body is an empty object.
    pub(crate) fn parse(body: &[u8], max_depth: usize) -> Result<Self, Error> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { object: Map::new() });
        }
        let limits = json::Limits { max_depth: u8::try_from(max_depth).unwrap_or(u8::MAX) };
        match json::parse(body, limits) {
            Ok(Value::Object(object)) => Ok(Self { object }),
            Ok(_) => Err(Error::field("", "the body must be a JSON object")),
            Err(error) => Err(Error::field(error.field, error.problem)),
        }
    }

    /// Reads a query string, each value as text. An empty value is as good as none.
    pub(crate) fn of_query(query: &str) -> Result<Self, Error> {
        let mut object = Map::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if value.contains('\0') {
                return Err(Error::field(shown(&name), "holds the character U+0000"));
            }
            let value = if value.is_empty() { Value::Null } else { Value::String(value.into_owned()) };
            if object.insert(name.clone().into_owned(), value).is_some() {
                return Err(Error::field(shown(&name), "is given twice"));
            }
        }
        Ok(Self { object })
    }

    /// An object that holds a count alone.
    pub(crate) fn of_count(count: &serde_json::Number) -> Option<Self> {
        let object = Map::from_iter([("count".to_owned(), Value::Number(count.clone()))]);
        Some(Self { object })
    }

    /// The same object, with some fields of another one where it has none.
    pub(crate) fn with_defaults(&self, other: &Self, names: &[&str]) -> Self {
        let mut object = self.object.clone();
        for name in names {
            if let Some(value) = other.get(name)
                && self.get(name).is_none()
            {
                object.insert((*name).to_owned(), value.clone());
            }
        }
        Self { object }
    }

    /// The received object.
    pub(crate) fn object(&self) -> &Map<String, Value> {
        &self.object
    }

    /// A field that is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Fields that the call doesn't know, as warnings.
    pub(crate) fn unknown(&self, known: &[&str]) -> Vec<String> {
        let unknown = self.object.keys().filter(|key| !known.contains(&key.as_str()));
        unknown
            .take(UNKNOWN_NAMED_MAX)
            .map(|key| format!("unknown field `{}` was ignored", shown(key)))
            .collect()
    }

    /// On calls that cost money: refuses unknown fields that look like a known one misspelt.
    pub(crate) fn refuse_misspelt(&self, known: &[&str], prefix: &str, problems: &mut Vec<Field>) {
        // All of them: a misspelt limit must not hide behind other unknown fields.
        for key in self.object.keys().filter(|key| !known.contains(&key.as_str())) {
            if problems.len() >= UNKNOWN_NAMED_MAX {
                return;
            }
            if let Some(meant) = nearest::nearest(key, known.iter().copied(), 2) {
                problems.push(Field {
                    field: format!("{prefix}{}", shown(key)),
                    problem: format!("is not a field; did you mean `{prefix}{meant}`?"),
                    allowed: vec![format!("{prefix}{meant}")],
                });
            }
        }
    }

    /// Short text such as a name of the catalog; never more than `max` characters, so that an error may
    /// repeat it.
    pub(crate) fn opt_word<'a>(
        &'a self,
        name: &str,
        max: usize,
        problems: &mut Vec<Field>,
    ) -> Option<&'a str> {
        let text = self.opt_str(name, problems)?;
        if text.len() > max * 4 || text.chars().count() > max {
            problems.push(Field::new(name, format!("must be at most {max} characters")));
            return None;
        }
        Some(text)
    }

    pub(crate) fn opt_str<'a>(&'a self, name: &str, problems: &mut Vec<Field>) -> Option<&'a str> {
        let value = self.get(name)?;
        if value.is_string() {
            return value.as_str();
        }
        problems.push(Field::new(name, "must be a string"));
        None
    }

    pub(crate) fn required_str<'a>(&'a self, name: &str, problems: &mut Vec<Field>) -> Option<&'a str> {
        if self.get(name).is_none() {
            problems.push(Field::new(name, "is required"));
        }
        self.opt_str(name, problems)
    }

    pub(crate) fn opt_i64(&self, name: &str, problems: &mut Vec<Field>) -> Option<i64> {
        let value = self.get(name)?;
        let number = value.as_i64();
        if number.is_none() {
            problems.push(Field::new(name, "must be a whole number"));
        }
        number
    }

    pub(crate) fn required_i64(&self, name: &str, problems: &mut Vec<Field>) -> Option<i64> {
        if self.get(name).is_none() {
            problems.push(Field::new(name, "is required"));
        }
        self.opt_i64(name, problems)
    }

    /// A list of strings; `None` if absent.
    pub(crate) fn opt_strings<'a>(&'a self, name: &str, problems: &mut Vec<Field>) -> Option<Vec<&'a str>> {
        let value = self.get(name)?;
        let strings = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
        if strings.is_none() {
            problems.push(Field::new(name, "must be a list of strings"));
        }
        strings
    }

    /// A nested object; `None` if absent or of another type.
    pub(crate) fn opt_object(&self, name: &str) -> Option<Self> {
        self.get(name)?.as_object().map(|object| Self { object: object.clone() })
    }

    /// Text of 1 to `max` characters without control characters.
    pub(crate) fn label<'a>(&'a self, name: &str, max: usize, problems: &mut Vec<Field>) -> Option<&'a str> {
        let text = self.required_str(name, problems)?;
        if text.trim().is_empty() || text.chars().count() > max || text.chars().any(char::is_control) {
            problems
                .push(Field::new(name, format!("must be 1 to {max} characters, without control characters")));
            return None;
        }
        Some(text)
    }
}

/// An unknown name as it may be repeated to its sender.
fn shown(key: &str) -> String {
    key.chars().filter(|c| !c.is_control()).take(64).collect()
}
