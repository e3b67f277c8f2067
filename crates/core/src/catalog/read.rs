//! Reading one table of the catalog file key by key, and the list of what is wrong with the file.
//!
//! Invariant: every key is either read or reported as unknown, and every problem names its table and key.
//! Not here: what the values mean.

use std::fmt;

use toml::{Table, Value};

/// Something wrong with a catalog file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The table: a model, a price version, or the file.
    pub place: String,
    /// The key in it.
    pub field: String,
    /// One clause.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.field, self.problem)
    }
}

/// Everything wrong with a catalog file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogError {
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the catalog can't be used:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

impl std::error::Error for CatalogError {}

/// One table being read.
pub(super) struct Section {
    table: Table,
    /// How problems call this table.
    pub(super) place: String,
    /// What was wrong so far.
    pub(super) problems: Vec<Problem>,
}

impl Section {
    pub(super) fn new(table: Table, place: impl Into<String>) -> Self {
        Self { table, place: place.into(), problems: Vec::new() }
    }

    pub(super) fn refuse(&mut self, field: &str, problem: impl Into<String>) {
        let (place, field) = (self.place.clone(), field.to_owned());
        self.problems.push(Problem { place, field, problem: problem.into() });
    }

    /// Takes a key that may be absent; `read` turns the value into what is wanted, called `kind` in problems.
    fn optional<T>(&mut self, key: &str, kind: &str, read: impl FnOnce(Value) -> Option<T>) -> Option<T> {
        let value = self.table.remove(key)?;
        let found = read(value);
        if found.is_none() {
            self.refuse(key, format!("must be {kind}"));
        }
        found
    }

    fn required<T>(&mut self, key: &str, kind: &str, read: impl FnOnce(Value) -> Option<T>) -> Option<T> {
        if !self.table.contains_key(key) {
            self.refuse(key, "missing");
            return None;
        }
        self.optional(key, kind, read)
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.required(key, "a text", text)
    }

    pub(super) fn optional_text(&mut self, key: &str) -> Option<String> {
        self.optional(key, "a text", text)
    }

    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        self.required(key, "true or false", |value| value.as_bool())
    }

    pub(super) fn number(&mut self, key: &str) -> Option<u32> {
        self.required(key, "a whole number from 0", number)
    }

    pub(super) fn optional_number(&mut self, key: &str) -> Option<u32> {
        self.optional(key, "a whole number from 0", number)
    }

    pub(super) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        self.required(key, "a list of texts", |value| list(value, text))
    }

    pub(super) fn optional_texts(&mut self, key: &str) -> Option<Vec<String>> {
        self.optional(key, "a list of texts", |value| list(value, text))
    }

    pub(super) fn optional_boolean(&mut self, key: &str) -> Option<bool> {
        self.optional(key, "true or false", |value| value.as_bool())
    }

    pub(super) fn numbers(&mut self, key: &str) -> Option<Vec<u32>> {
        self.required(key, "a list of whole numbers from 0", |value| list(value, number))
    }

    pub(super) fn optional_numbers(&mut self, key: &str) -> Option<Vec<u32>> {
        self.optional(key, "a list of whole numbers from 0", |value| list(value, number))
    }

    pub(super) fn table(&mut self, key: &str) -> Option<Table> {
        self.required(key, "a table", table)
    }

    pub(super) fn optional_table(&mut self, key: &str) -> Option<Table> {
        self.optional(key, "a table", table)
    }

    pub(super) fn tables(&mut self, key: &str) -> Option<Vec<Table>> {
        self.required(key, "a list of tables", |value| list(value, table))
    }

    pub(super) fn optional_tables(&mut self, key: &str) -> Option<Vec<Table>> {
        self.optional(key, "a list of tables", |value| list(value, table))
    }

    /// Reports every key that nobody read, and hands over the problems.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        for key in std::mem::take(&mut self.table).keys() {
            self.refuse(key, "unknown key");
        }
        self.problems
    }
}

fn text(value: Value) -> Option<String> {
    if let Value::String(text) = value { Some(text) } else { None }
}

fn table(value: Value) -> Option<Table> {
    if let Value::Table(table) = value { Some(table) } else { None }
}

#[expect(clippy::needless_pass_by_value, reason = "the same shape as its siblings, which take values apart")]
fn number(value: Value) -> Option<u32> {
    u32::try_from(value.as_integer()?).ok()
}

fn list<T>(value: Value, read: impl Fn(Value) -> Option<T>) -> Option<Vec<T>> {
    if let Value::Array(values) = value { values.into_iter().map(read).collect() } else { None }
}
