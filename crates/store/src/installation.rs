//! What holds for this database as a whole: where it was moved to, that it was restored, and up to
//! which time some duties are done.
//!
//! Invariant: who opens a database that was moved away is refused. Not here: moving (`relocation`), what a
//! restored gateway does.

use crate::{
    error::StoreError,
    tx::{Param, Tx},
};

const MOVED_TO: &str = "moved_to";
const RESTORED_AT: &str = "restored_at";

fn value(tx: &mut dyn Tx, name: &str) -> Result<Option<String>, StoreError> {
    let row = tx.one("SELECT value FROM installation WHERE name = $1", &[name.into()])?;
    row.map(|row| row.text(0)).transpose()
}

fn set(tx: &mut dyn Tx, name: &str, value: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO installation (name, value) VALUES ($1, $2) \
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.exec(sql, &[name.into(), value.into()]).map(drop)
}

/// A time up to which something was done for the installation as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The payment service was asked about open purchases.
    PaymentsAsked,
    /// The payment service's events were read.
    PaymentsRead,
}

impl Moment {
    fn name(self) -> &'static str {
        match self {
            Self::PaymentsAsked => "payments_asked_at",
            Self::PaymentsRead => "payments_read_at",
        }
    }

    /// The time, if there is one.
    pub fn get(self, tx: &mut dyn Tx) -> Result<Option<i64>, StoreError> {
        Ok(value(tx, self.name())?.and_then(|text| text.parse().ok()))
    }

    /// Keeps it.
    pub fn set(self, tx: &mut dyn Tx, at_ms: i64) -> Result<(), StoreError> {
        set(tx, self.name(), &at_ms.to_string())
    }
}

/// Notes where everything went.
pub(crate) fn set_moved(tx: &mut dyn Tx, to: &str) -> Result<(), StoreError> {
    set(tx, MOVED_TO, to)
}

/// Refuses a database whose installation lives elsewhere.
pub(crate) fn refuse_moved(tx: &mut dyn Tx) -> Result<(), StoreError> {
    value(tx, MOVED_TO)?.map_or(Ok(()), |to| Err(StoreError::Moved(to)))
}

/// Notes that this is a backup's content, if a task was open in it; whether one was.
pub fn set_restored(tx: &mut dyn Tx, now_ms: i64) -> Result<bool, StoreError> {
    let open = tx.one("SELECT 1 FROM tasks WHERE finished_at IS NULL LIMIT 1", &[])?.is_some();
    if open {
        set(tx, RESTORED_AT, &now_ms.to_string())?;
    }
    Ok(open)
}

/// When it was restored, if what was under way then may still be open.
pub fn restored_at_ms(tx: &mut dyn Tx) -> Result<Option<i64>, StoreError> {
    // A value that is no number still says that it was.
    Ok(value(tx, RESTORED_AT)?.map(|text| text.parse().unwrap_or(0)))
}

/// Takes the note of a restoration away; whether it was there.
pub fn end_restoration(tx: &mut dyn Tx) -> Result<bool, StoreError> {
    Ok(tx.exec("DELETE FROM installation WHERE name = $1", &[RESTORED_AT.into()])? > 0)
}

/// The same, unless a task is open.
pub fn end_restoration_if_settled(tx: &mut dyn Tx) -> Result<bool, StoreError> {
    let sql = "DELETE FROM installation WHERE name = $1 \
               AND NOT EXISTS (SELECT 1 FROM tasks WHERE finished_at IS NULL)";
    Ok(tx.exec(sql, &[Param::Text(RESTORED_AT)])? > 0)
}
