//! One transaction of a database, as units of work see it: statements with `$N` parameters, rows of plain
//! values.
//!
//! Invariant: synchronous, so that no unit can hold a transaction across an await; parameters are bound by
//! the number in their name, on every database. Not here: which database, begin and commit (`writer`,
//! `reader`).

use crate::{dialect::Dialect, error::StoreError};
use std::time::Duration;

/// A value bound to a parameter.
#[derive(Debug, Clone, Copy)]
pub enum Param<'a> {
    Null,
    Int(i64),
    Bool(bool),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}
impl<'a> From<&'a String> for Param<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}
impl<'a> From<&'a [u8]> for Param<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}
impl<'a> From<&'a [u8; 32]> for Param<'a> {
    fn from(bytes: &'a [u8; 32]) -> Self {
        Self::Bytes(bytes)
    }
}
impl From<i64> for Param<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl From<u32> for Param<'_> {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}
impl From<bool> for Param<'_> {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}
impl From<rynjer_core::credits::Credits> for Param<'_> {
    fn from(amount: rynjer_core::credits::Credits) -> Self {
        Self::Int(amount.0)
    }
}
impl<'a, T: Into<Param<'a>>> From<Option<T>> for Param<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row; columns by position, as the statement lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<Value>);

impl Row {
    fn value(&self, column: usize) -> Result<&Value, StoreError> {
        self.0.get(column).ok_or_else(|| StoreError::column(column, "a value"))
    }

    /// A number that may be missing.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(*number)),
            Value::Text(_) | Value::Bytes(_) => Err(StoreError::column(column, "an integer")),
        }
    }

    /// A number.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or_else(|| StoreError::column(column, "an integer"))
    }

    /// A small count.
    pub fn count(&self, column: usize) -> Result<u32, StoreError> {
        u32::try_from(self.int(column)?).map_err(|_| StoreError::column(column, "a small count"))
    }

    /// A truth value.
    pub fn bool(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }

    /// Text that may be missing.
    pub fn opt_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text.clone())),
            Value::Int(_) | Value::Bytes(_) => Err(StoreError::column(column, "text")),
        }
    }

    /// Text.
    pub fn text(&self, column: usize) -> Result<String, StoreError> {
        self.opt_text(column)?.ok_or_else(|| StoreError::column(column, "text"))
    }

    /// Text that may be missing, taken out of the row.
    pub(crate) fn take_opt_text(&mut self, column: usize) -> Result<Option<String>, StoreError> {
        let value = self.0.get_mut(column).ok_or_else(|| StoreError::column(column, "a value"))?;
        match std::mem::replace(value, Value::Null) {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Int(_) | Value::Bytes(_) => Err(StoreError::column(column, "text")),
        }
    }

    /// Text, taken out of the row.
    pub(crate) fn take_text(&mut self, column: usize) -> Result<String, StoreError> {
        self.take_opt_text(column)?.ok_or_else(|| StoreError::column(column, "text"))
    }

    /// Text, borrowed.
    pub fn str(&self, column: usize) -> Result<&str, StoreError> {
        match self.value(column)? {
            Value::Text(text) => Ok(text),
            Value::Null | Value::Int(_) | Value::Bytes(_) => Err(StoreError::column(column, "text")),
        }
    }

    /// Bytes.
    pub fn bytes(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        match self.value(column)? {
            Value::Bytes(bytes) => Ok(bytes.clone()),
            Value::Null | Value::Int(_) | Value::Text(_) => Err(StoreError::column(column, "bytes")),
        }
    }

    /// A SHA-256 hash.
    pub fn hash(&self, column: usize) -> Result<[u8; 32], StoreError> {
        let bytes = self.bytes(column)?;
        bytes.try_into().map_err(|_| StoreError::column(column, "a hash of 32 bytes"))
    }
}

/// A transaction under way.
pub trait Tx {
    /// All rows of a statement.
    fn all(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError>;

    /// Runs a statement and tells how many rows it changed.
    fn exec(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError>;

    /// Which database this is, for the few differences.
    fn dialect(&self) -> Dialect;

    /// The first row of a statement.
    fn one(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.all(sql, params)?.into_iter().next())
    }
}

/// What a commit leaves behind, so that an answer that was lost can be looked up: which writer, and the
/// number of its batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark<'a> {
    pub(crate) writer: &'a str,
    pub(crate) batch: i64,
}

/// A connection that a thread of ours drives.
pub(crate) trait Connection: Tx {
    /// Begins a transaction, on a new connection if the last one is gone.
    fn begin(&mut self) -> Result<(), StoreError>;
    /// Writes the mark and commits; after `Ok` the change is on disk, after `Err` it is not, unless the error
    /// is `Unavailable`: then nobody knows.
    fn commit(&mut self, mark: Option<Mark<'_>>) -> Result<(), StoreError>;
    /// Gives the transaction up.
    fn rollback(&mut self) -> Result<(), StoreError>;
    /// Does what may wait until a transaction's callers are answered.
    fn between_transactions(&mut self) {}
    /// How long nobody must have asked for anything before [`Connection::rest`] has something to do.
    fn rests_after(&self) -> Option<Duration> {
        None
    }
    /// Does what is best done while nobody asks for anything.
    fn rest(&mut self) {}
    /// Marks a point inside the transaction.
    fn savepoint(&mut self) -> Result<(), StoreError>;
    /// Keeps what was done since the mark.
    fn release_savepoint(&mut self) -> Result<(), StoreError>;
    /// Takes back what was done since the mark.
    fn rollback_to_savepoint(&mut self) -> Result<(), StoreError>;
    /// Whether a transaction is open; an error may have ended it.
    fn in_transaction(&self) -> bool;
    /// The failure since the last call that asks for the whole transaction to be run again. A unit's own
    /// error type hides it.
    fn take_failure(&mut self) -> Option<StoreError>;
    /// Runs several statements; for migrations.
    fn run_script(&mut self, sql: &str) -> Result<(), StoreError>;
    /// The connection as a transaction.
    fn as_tx(&mut self) -> &mut dyn Tx;
}

/// The statement that writes a mark.
pub(crate) const MARK: &str = "INSERT INTO writer_batches (writer, batch) VALUES ($1, $2) \
                               ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch";
