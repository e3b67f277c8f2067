//! What can go wrong between us and the database, sorted by what the caller can do.
//!
//! Invariant: messages name tables and causes, never stored values. Not here: domain refusals, which units
//! return in their own error type.

/// A failure of the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The queue is full; try again soon.
    #[error("the store's queue is full")]
    Overloaded,
    /// Locked by another process, the disk is full, or the connection is gone; may pass.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Two transactions were in each other's way; nothing stands, and the whole is run again by itself.
    #[error("the transaction met another one: {0}")]
    Conflict(String),
    /// The connection broke before the commit; nothing stands, and the whole is run again by itself.
    #[error("the connection to the database broke: {0}")]
    Lost(String),
    /// A constraint refused the statement.
    #[error("a constraint refused the change: {0}")]
    Constraint(String),
    /// The file is not a database of ours or is damaged.
    #[error("the database is damaged or not rynjer's: {0}")]
    Corrupt(String),
    /// The schema is newer than this program.
    #[error("the database has schema {found}, this program knows {known}; use the newer program")]
    SchemaTooNew { found: i64, known: i64 },
    /// Everything in it lives elsewhere by now.
    #[error("this installation was moved to {0}; name that database instead")]
    Moved(String),
    /// A setting that durability rests on could not be made.
    #[error("refusing to serve: {0}")]
    NotDurable(String),
    /// A unit of work panicked; it was rolled back.
    #[error("a unit of work failed: {0}")]
    Panicked(String),
    /// Anything else: a bug, or a statement that the database does not know.
    #[error("database error: {0}")]
    Other(String),
}

impl StoreError {
    pub(crate) fn column(index: usize, expected: &str) -> Self {
        Self::Other(format!("column {index} is not {expected}"))
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Overloaded | Self::Unavailable(_) | Self::Conflict(_) | Self::Lost(_) => true,
            Self::Constraint(_)
            | Self::Corrupt(_)
            | Self::SchemaTooNew { .. }
            | Self::Moved(_)
            | Self::NotDurable(_)
            | Self::Panicked(_)
            | Self::Other(_) => false,
        }
    }

    /// Whether nothing stands and the same transaction is worth another run at once.
    pub(crate) fn asks_for_another_run(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Lost(_))
    }
}
