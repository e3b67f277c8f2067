//! Every difference between the databases, in one place.
//!
//! Invariant: no other file asks which database it talks to. Not here: connections.

/// A database that the store speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
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
    /// Ends a SELECT that must lock rows of the table `name` until commit. Locks are taken in the order of
    /// accounts, then tasks by account and id, then what hangs on a task; who decides from what it read has
    /// locked it before.
    pub(crate) fn for_update(self, name: &str) -> String {
        match self {
            // One writer holds the whole database.
            Self::Sqlite => String::new(),
            // Not the key: rows that refer to this one may come meanwhile.
            Self::Postgres => format!("FOR NO KEY UPDATE OF {name}"),
        }
    }

    /// The same for rows of `name` that no other worker claims.
    pub(crate) fn for_update_skip_locked(self, name: &str) -> String {
        match self {
            Self::Sqlite => String::new(),
            Self::Postgres => format!("FOR NO KEY UPDATE OF {name} SKIP LOCKED"),
        }
    }

    /// Statement that tells the database's time in milliseconds; none where it is this machine's.
    pub(crate) fn now_ms_sql(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"),
        }
    }

    /// Whether a snapshot outlives a read that failed in it.
    pub(crate) fn reads_share_a_snapshot(self) -> bool {
        match self {
            Self::Sqlite => true,
            // One error fails whatever comes after it in the same transaction.
            Self::Postgres => false,
        }
    }

    /// How many rows one statement carries, smallest first; few sizes, so that statements are prepared once.
    pub(crate) fn rows_per_statement(self) -> &'static [usize] {
        match self {
            // No round trip to save, and a statement of one row needs no journal of its own.
            Self::Sqlite => &[1],
            Self::Postgres => &[1, 4, 16, 32, 64, 128, 256],
        }
    }

    /// The type's name in a cast.
    pub(crate) fn type_name(self, column: Type) -> &'static str {
        match (self, column) {
            (_, Type::Text | Type::OptText) => "TEXT",
            (Self::Sqlite, Type::Int) => "INTEGER",
            (Self::Sqlite, Type::Bytes) => "BLOB",
            (Self::Postgres, Type::Int) => "BIGINT",
            (Self::Postgres, Type::Bytes) => "BYTEA",
        }
    }

    /// A migration's text with the words that differ filled in.
    pub(crate) fn ddl(self, text: &str) -> String {
        match self {
            Self::Sqlite => text
                .replace("{int}", "INTEGER")
                .replace("{bytes}", "BLOB")
                .replace("{strict}", "STRICT")
                .replace("{clustered}", "STRICT, WITHOUT ROWID"),
            Self::Postgres => text
                .replace("{int}", "BIGINT")
                .replace("{bytes}", "BYTEA")
                .replace("{strict}", "")
                .replace("{clustered}", "")
                // Ids sort by their bytes, as SQLite and Rust do.
                .replace(" TEXT", " TEXT COLLATE \"C\""),
        }
    }

    /// Tells the planner what a transaction has just written much of.
    pub(crate) fn planner_statistics(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "ANALYZE accounts, entries, tasks, attempts, outputs",
        }
    }

    /// Statements after which no row of the tables is added or changed any more.
    pub(crate) fn close_tables(self, tables: &[&str]) -> String {
        let text = "this installation was moved; its table installation says where to";
        match self {
            Self::Sqlite => tables
                .iter()
                .flat_map(|table| ["INSERT", "UPDATE"].map(|verb| (table, verb)))
                .map(|(table, verb)| {
                    let lower = verb.to_lowercase();
                    format!(
                        "CREATE TRIGGER IF NOT EXISTS {table}_closed_{lower} BEFORE {verb} ON {table} BEGIN \
                         SELECT RAISE(ABORT, '{text}'); END;"
                    )
                })
                .collect(),
            Self::Postgres => {
                let refuse = format!(
                    "CREATE OR REPLACE FUNCTION installation_closed() RETURNS trigger LANGUAGE plpgsql AS \
                     $$ BEGIN RAISE EXCEPTION '{text}' USING ERRCODE = 'integrity_constraint_violation'; \
                     END $$;"
                );
                let closed = tables.iter().map(|table| {
                    format!(
                        "DROP TRIGGER IF EXISTS {table}_closed ON {table}; \
                         CREATE TRIGGER {table}_closed BEFORE INSERT OR UPDATE ON {table} \
                         FOR EACH STATEMENT EXECUTE FUNCTION installation_closed();"
                    )
                });
                refuse + &closed.collect::<String>()
            }
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
            Self::Postgres => format!(
                "CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION '{table} is append-only' \
                 USING ERRCODE = 'integrity_constraint_violation'; END $$; \
                 CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} \
                 FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only();"
            ),
        }
    }
}
