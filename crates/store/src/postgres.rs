//! PostgreSQL as a [`Tx`]: one connection that one thread drives, and that is made again when it breaks.
//!
//! Invariant: a connection that writes goes to a primary that flushes each commit to disk, read back, or it
//! is refused; after a commit whose answer was lost, the batch's mark says whether it stands. Not here: which
//! server and how it is reached (`link`), values (`value`), when a batch is run again (`writer`).

mod link;
mod value;

pub use link::{Link, LinkError};

use crate::{
    dialect::Dialect,
    error::StoreError,
    tx::{Connection, Mark, Param, Row, Tx},
};
use postgres::{Client, Statement, error::SqlState, fallible_iterator::FallibleIterator};
use std::{collections::HashMap, thread, time::Duration};
use value::{Bound, row_of};

const STATEMENTS_CACHED: usize = 512;
/// Pause between two tries to connect, and how many tries the outcome of a commit is worth.
const PAUSE: Duration = Duration::from_millis(100);
const TRIES_FOR_OUTCOME: usize = 40;
/// The advisory lock of whoever changes the schema: "rynj" in ASCII.
const SCHEMA_LOCK: i64 = 0x7279_6e6a;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Write,
    Read,
    /// Reads one snapshot, as long as that takes.
    Copy,
    /// Moves an installation: a few long statements in one long transaction.
    Move,
    /// Rings and hears, and touches no row.
    Announce,
}

/// A connection to a PostgreSQL server.
pub(crate) struct Postgres {
    link: Link,
    purpose: Use,
    client: Option<Client>,
    statements: HashMap<Box<str>, Statement>,
    in_transaction: bool,
    listens: bool,
    failure: Option<StoreError>,
}

impl Postgres {
    /// Not connected yet: the first transaction connects.
    pub(crate) fn new(link: Link, purpose: Use) -> Self {
        let statements = HashMap::new();
        Self { link, purpose, client: None, statements, in_transaction: false, listens: false, failure: None }
    }

    fn client(&mut self) -> Result<&mut Client, StoreError> {
        self.client.as_mut().ok_or_else(|| StoreError::Lost("it is not connected".to_owned()))
    }

    /// Connects, unless it is.
    pub(crate) fn connect(&mut self) -> Result<(), StoreError> {
        if self.client.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        self.forget();
        let mut client = self.link.connect().inspect_err(|_| thread::sleep(PAUSE))?;
        prepare_session(&mut client, self.purpose).map_err(|error| unavailable(error.into()))?;
        refuse_standby(&mut client)?;
        self.client = Some(client);
        Ok(())
    }

    fn forget(&mut self) {
        self.client = None;
        self.statements.clear();
        self.in_transaction = false;
        self.listens = false;
    }

    /// Sorts an error, and notes what it did to the connection and the transaction.
    fn failed(&mut self, error: postgres::Error) -> StoreError {
        let error = StoreError::from(error);
        if matches!(error, StoreError::Lost(_)) || self.client.as_ref().is_none_or(Client::is_closed) {
            self.forget();
        }
        if error.asks_for_another_run() {
            self.failure = Some(error.clone());
        }
        error
    }

    fn statement(&mut self, sql: &str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let prepared = self.client()?.prepare(sql);
        let statement = prepared.map_err(|error| self.failed(error))?;
        if self.statements.len() >= STATEMENTS_CACHED {
            self.statements.clear();
        }
        self.statements.insert(sql.into(), statement.clone());
        Ok(statement)
    }

    /// A simple statement of ours, without values.
    fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        let ran = self.client()?.batch_execute(sql);
        ran.map_err(|error| self.failed(error))
    }

    /// Whether a batch whose answer was lost stands. The mark's row is locked until its transaction is over,
    /// so this waits for one that is still at work; and a commit that is still on its way, in a proxy, finds
    /// the mark taken and fails.
    fn stands(&mut self, mark: Mark<'_>) -> Result<bool, StoreError> {
        let sql = "INSERT INTO writer_batches (writer, batch) VALUES ($1, $2) \
                   ON CONFLICT (writer) DO UPDATE SET batch = CASE \
                   WHEN writer_batches.batch < excluded.batch - 1 THEN excluded.batch \
                   ELSE writer_batches.batch END RETURNING batch";
        self.connect()?;
        let number = number_of(mark);
        let row = self.one(sql, &[mark.writer.into(), (number + 1).into()])?;
        Ok(row.map_or(Ok(0), |row| row.int(0))? == number)
    }

    /// Asks until an answer is there, or the server stays away.
    fn outcome(&mut self, mark: Mark<'_>) -> Result<(), StoreError> {
        let mut last = StoreError::Unavailable("the outcome of a commit is not known".to_owned());
        for _ in 0..TRIES_FOR_OUTCOME {
            match self.stands(mark) {
                Ok(true) => {
                    self.failure = None;
                    return Ok(());
                }
                Ok(false) => return Err(StoreError::Lost("before it committed".to_owned())),
                Err(error) => last = error,
            }
            thread::sleep(PAUSE);
        }
        self.failure = None;
        Err(unavailable(last))
    }

    /// Rings for whoever listens.
    pub(crate) fn notify(&mut self, payload: &str) -> Result<(), StoreError> {
        self.connect()?;
        self.exec("SELECT pg_notify('rynjer', $1)", &[payload.into()]).map(drop)
    }

    /// Listens, unless it does.
    pub(crate) fn listen(&mut self) -> Result<(), StoreError> {
        self.connect()?;
        if !self.listens {
            self.run("LISTEN rynjer")?;
            self.listens = true;
        }
        Ok(())
    }

    /// What was rung until now, or first within a time.
    pub(crate) fn notifications(&mut self, within: Duration) -> Result<Vec<String>, StoreError> {
        arrivals(self.client()?, within).map_err(|error| self.failed(error))
    }

    /// Waits until nobody else changes the schema.
    pub(crate) fn lock_schema(&mut self) -> Result<(), StoreError> {
        self.run("SET statement_timeout = '10min'; SET lock_timeout = 0")?;
        self.run(&format!("SELECT pg_advisory_lock({SCHEMA_LOCK})"))?;
        self.run("SET lock_timeout = '10s'")
    }

    /// Takes the lock of whoever changes the schema, or opens the database; false if another has it.
    pub(crate) fn try_lock_schema(&mut self) -> Result<bool, StoreError> {
        let row = self.one(&format!("SELECT pg_try_advisory_lock({SCHEMA_LOCK})"), &[])?;
        row.map_or(Ok(false), |row| row.bool(0))
    }

    /// Refuses a server that may lose what it has committed, that can't be written, or whose database is
    /// somebody else's.
    pub(crate) fn check_server(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT current_setting('fsync', true), current_setting('synchronous_commit', true), \
                   current_setting('full_page_writes', true), \
                   (SELECT CAST(COUNT(*) AS BIGINT) FROM information_schema.tables \
                    WHERE table_schema = current_schema()), to_regclass('schema_migrations') IS NOT NULL";
        let row = self.one(sql, &[])?.ok_or_else(|| StoreError::Other("no settings".to_owned()))?;
        for (column, name) in ["fsync", "synchronous_commit", "full_page_writes"].into_iter().enumerate() {
            if row.opt_text(column)?.as_deref() == Some("off") {
                return Err(StoreError::NotDurable(format!(
                    "PostgreSQL runs with {name}=off, so that a crash loses what was acknowledged; turn it on"
                )));
            }
        }
        if row.int(3)? > 0 && !row.bool(4)? {
            return Err(StoreError::Corrupt(
                "the database holds another program's tables; make one for rynjer alone".to_owned(),
            ));
        }
        Ok(())
    }
}

/// What every session of ours runs with. All statements of writers are looked up by an index, whatever the
/// tables' size was when they were planned; a stopped process must not hold its locks for long.
fn prepare_session(client: &mut Client, purpose: Use) -> Result<(), postgres::Error> {
    let mut wanted = vec![
        ("application_name", "rynjer"),
        ("jit", "off"),
        ("timezone", "UTC"),
        ("client_min_messages", "warning"),
        ("idle_in_transaction_session_timeout", "5s"),
        ("statement_timeout", "30s"),
    ];
    match purpose {
        Use::Write => wanted.extend([
            // A process that is stopped holds its locks longer; whoever needs those rows has to come back.
            ("lock_timeout", "2s"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("plan_cache_mode", "force_generic_plan"),
        ]),
        Use::Copy | Use::Move => {
            wanted.extend([("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")]);
            wanted.push(("lock_timeout", "10s"));
        }
        // An audit reads whole accounts.
        Use::Read => wanted.push(("statement_timeout", "10min")),
        // A ring is no fact that must outlive a crash.
        Use::Announce => wanted.push(("synchronous_commit", "off")),
    }
    for (name, value) in wanted {
        // A compatible database may lack some.
        let sql = "SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1";
        client.execute(sql, &[&name, &value])?;
    }
    if matches!(purpose, Use::Write | Use::Move) {
        client.batch_execute(
            "DO $$ BEGIN IF current_setting('synchronous_commit') = 'off' THEN \
             PERFORM set_config('synchronous_commit', 'on', false); END IF; END $$",
        )?;
    }
    Ok(())
}

/// Every second number is left to whoever finds that a batch does not stand.
fn number_of(mark: Mark<'_>) -> i64 {
    mark.batch * 2
}

fn arrivals(client: &mut Client, within: Duration) -> Result<Vec<String>, postgres::Error> {
    let mut arrived = client.notifications();
    let first = arrived.timeout_iter(within).next()?;
    let mut rings: Vec<String> = first.map(|ring| ring.payload().to_owned()).into_iter().collect();
    while let Some(ring) = arrived.iter().next()? {
        rings.push(ring.payload().to_owned());
    }
    Ok(rings)
}

/// A name may lead to another server tomorrow: each connection asks. What a standby reads is old, and it
/// takes no writes.
fn refuse_standby(client: &mut Client) -> Result<(), StoreError> {
    let asked = client.query_one("SELECT pg_is_in_recovery()", &[]).and_then(|row| row.try_get(0));
    if asked.map_err(|error| unavailable(error.into()))? {
        return Err(StoreError::Unavailable("the server is a standby".to_owned()));
    }
    Ok(())
}

fn unavailable(error: StoreError) -> StoreError {
    match error {
        StoreError::Lost(text) | StoreError::Conflict(text) => StoreError::Unavailable(text),
        error => error,
    }
}

impl From<postgres::Error> for StoreError {
    fn from(error: postgres::Error) -> Self {
        let Some(from_server) = error.as_db_error() else {
            // Everything else is the wire's, or a value of ours that it can't carry.
            let text = error.to_string();
            let broken = error.is_closed()
                || std::error::Error::source(&error)
                    .is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
            return if broken { Self::Lost(text) } else { Self::Other(text) };
        };
        // The detail would name stored values.
        let text = format!("{} ({})", from_server.message(), from_server.code().code());
        match from_server.code() {
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => Self::Conflict(text),
            &SqlState::LOCK_NOT_AVAILABLE
            | &SqlState::QUERY_CANCELED
            | &SqlState::READ_ONLY_SQL_TRANSACTION => Self::Unavailable(text),
            &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Self::Lost(text),
            code => match code.code().get(..2) {
                Some("23") => Self::Constraint(text),
                Some("08" | "57") => Self::Lost(text),
                Some("53" | "58") => Self::Unavailable(text),
                Some("XX") => Self::Corrupt(text),
                _ => Self::Other(text),
            },
        }
    }
}

impl Tx for Postgres {
    fn all(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        let statement = self.statement(sql)?;
        let bound = Bound::new(&statement, params)?;
        let rows = self.client()?.query(&statement, &bound.refs());
        let rows = rows.map_err(|error| self.failed(error))?;
        rows.iter().map(row_of).collect()
    }

    fn exec(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let statement = self.statement(sql)?;
        let bound = Bound::new(&statement, params)?;
        let ran = self.client()?.execute(&statement, &bound.refs());
        ran.map_err(|error| self.failed(error))
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }
}

impl Connection for Postgres {
    fn begin(&mut self) -> Result<(), StoreError> {
        self.failure = None;
        self.connect()?;
        let begin = match self.purpose {
            // Who decides has locked what it decides from; see `Dialect::for_update`.
            Use::Write => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            Use::Move => "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE",
            Use::Read | Use::Copy | Use::Announce => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        if self.run(begin).is_err() {
            // It broke while nobody looked; a new one works or says why not.
            self.failure = None;
            self.forget();
            self.connect()?;
            self.run(begin).map_err(unavailable)?;
        }
        self.in_transaction = true;
        Ok(())
    }

    fn commit(&mut self, mark: Option<Mark<'_>>) -> Result<(), StoreError> {
        let Some(mark) = mark else {
            self.run("COMMIT")?;
            self.in_transaction = false;
            return Ok(());
        };
        let name: String = mark.writer.chars().filter(char::is_ascii_alphanumeric).collect();
        // One round trip for both.
        let sql = format!(
            "INSERT INTO writer_batches (writer, batch) VALUES ('{name}', {batch}) \
             ON CONFLICT (writer) DO UPDATE SET batch = CASE \
             WHEN writer_batches.batch < excluded.batch THEN excluded.batch END; COMMIT",
            batch = number_of(mark)
        );
        match self.run(&sql) {
            Ok(()) => {
                self.in_transaction = false;
                Ok(())
            }
            Err(StoreError::Lost(_)) => self.outcome(mark),
            Err(error) => Err(error),
        }
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        let rolled = self.run("ROLLBACK");
        self.in_transaction = false;
        if rolled.is_err() {
            // Without its connection the server gives the transaction up.
            self.forget();
        }
        Ok(())
    }

    fn savepoint(&mut self) -> Result<(), StoreError> {
        self.run("SAVEPOINT unit")
    }

    fn release_savepoint(&mut self) -> Result<(), StoreError> {
        self.run("RELEASE SAVEPOINT unit")
    }

    fn rollback_to_savepoint(&mut self) -> Result<(), StoreError> {
        self.run("ROLLBACK TO SAVEPOINT unit; RELEASE SAVEPOINT unit")
    }

    fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    fn take_failure(&mut self) -> Option<StoreError> {
        self.failure.take()
    }

    fn run_script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.run(sql)
    }

    fn as_tx(&mut self) -> &mut dyn Tx {
        self
    }
}
