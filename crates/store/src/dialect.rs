//! Every difference between the databases, in one place.
//!
//! Invariant: no other file asks which database it talks to. Not here: connections.

/// A database that the store speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
}

/// Types of columns, for casts of parameters in `VALUES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Int,
    Bytes,
    /// A column that may be NULL text.
    OptText,
}

impl Dialect {
    /// Statement that begins a transaction that may write.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            // A deferred transaction that reads first fails with BUSY at its first write, whatever the
            // time-out.
            Self::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    /// Ends a SELECT that must lock its rows until commit.
    pub(crate) fn for_update(self) -> &'static str {
        match self {
            // One writer holds the whole database.
            Self::Sqlite => "",
        }
    }

    /// Ends a SELECT that claims rows which no other worker claims.
    pub(crate) fn for_update_skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
        }
    }

    /// Statement that tells the database's time in milliseconds; none where it is this machine's.
    pub(crate) fn now_ms_sql(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
        }
    }

    /// How many rows one statement carries at most, largest first; few sizes, so that statements are prepared
    /// once.
    pub(crate) fn rows_per_statement(self) -> &'static [usize] {
        match self {
            // No round trip to save, and a statement of one row needs no journal of its own.
            Self::Sqlite => &[1],
        }
    }

    /// The type's name in a cast.
    pub(crate) fn type_name(self, column: Type) -> &'static str {
        match (self, column) {
            (Self::Sqlite, Type::Text | Type::OptText) => "TEXT",
            (Self::Sqlite, Type::Int) => "INTEGER",
            (Self::Sqlite, Type::Bytes) => "BLOB",
        }
    }

    /// A migration's text with the words that differ filled in.
    pub(crate) fn ddl(self, text: &str) -> String {
        match self {
            Self::Sqlite => text
                .replace("{int}", "INTEGER")
                .replace("{bytes}", "BLOB")
                .replace("{bool}", "INTEGER")
                .replace("{strict}", "STRICT")
                .replace("{clustered}", "STRICT, WITHOUT ROWID"),
        }
    }

    /// Statements that make a table append-only.
    pub(crate) fn append_only(self, table: &str) -> String {
        match self {
            Self::Sqlite => ["UPDATE", "DELETE"]
                .map(|verb| {
                    format!(
                        "CREATE TRIGGER {table}_no_{lower} BEFORE {verb} ON {table} BEGIN \
                         SELECT RAISE(ABORT, '{table} is append-only'); END;",
                        lower = verb.to_lowercase()
                    )
                })
                .concat(),
        }
    }
}
