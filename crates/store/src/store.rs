//! A database opened: the writer thread, the reader threads and the ways to give them work.
//!
//! Invariant: queues are bounded; a full one answers `Overloaded` at once. Not here: SQL.

use crate::{
    bell::{self, Bell},
    channel,
    error::StoreError,
    installation,
    measure::{self, Waiting},
    migrate,
    postgres::{Link, Postgres, Use},
    reader::{self, Read},
    relocation,
    sqlite::Sqlite,
    tx::{Connection, Tx},
    writer::{Job, Submission, Work, Writer},
};
use rynjer_core::ledger::{Command, Outcome};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{JoinHandle, current},
    time::Duration,
};
use tokio::sync::oneshot;

/// How long a caller waits for a server. Longer than a stopped process may hold its locks, so that one which
/// only waits for others is not taken for silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How often, and at which pace, it is looked whether a thread has ended.
const LAST_LOOKS: u32 = 1000;
const LAST_LOOK: Duration = Duration::from_millis(2);

/// Which database.
#[derive(Debug, Clone)]
pub enum Database {
    /// A file, with one writer.
    Sqlite(PathBuf),
    /// A server, with as many processes as there are.
    Postgres(Box<Link>),
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    pub database: Database,
    pub reader_threads: usize,
    /// Threads for units of work beside the ledger's, where the database takes several writers.
    pub writer_threads: usize,
    /// Jobs that may wait for the writer before callers are told to come back.
    pub queue_capacity: usize,
    /// Jobs that one commit carries at most.
    pub batch_max: usize,
    /// Name of this process in the batch table: letters and digits.
    pub writer_id: String,
    /// Whether processes on a server wake each other.
    pub notify: bool,
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    // Dropping the senders lets the threads finish what is queued and end.
    commands: Option<SyncSender<Work>>,
    units: Option<SyncSender<Work>>,
    reads: Option<channel::Sender<Read>>,
    waiting: Waiting,
    reads_begun: AtomicU64,
    writers: Mutex<Vec<JoinHandle<()>>>,
    readers: Mutex<Vec<JoinHandle<()>>>,
    writer_id: String,
    bell: Option<Bell>,
    ended: Arc<AtomicBool>,
    wakers: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer closes last: only the last connection brings the whole database into its one file, and
        // two that close at once both believe that they are not it.
        self.ended.store(true, Ordering::Relaxed);
        self.bell = None;
        let is_server = matches!(self.database, Database::Postgres(_));
        join_all(&mut self.wakers, is_server);
        self.reads = None;
        join_all(&mut self.readers, is_server);
        self.commands = None;
        self.units = None;
        join_all(&mut self.writers, is_server);
    }
}

/// Waits for threads to end; for those that talk to a server, which may be silent, not for ever.
fn join_all(threads: &mut Mutex<Vec<JoinHandle<()>>>, is_server: bool) {
    for thread in threads.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let mut looks = 0;
        while is_server && !thread.is_finished() && looks < LAST_LOOKS {
            std::thread::sleep(LAST_LOOK);
            looks += 1;
        }
        if is_server && !thread.is_finished() {
            continue;
        }
        // A job may hold the last handle; its own thread ends by itself. One that panicked has nothing left
        // to say.
        if thread.thread().id() != current().id() {
            drop(thread.join());
        }
    }
}

/// The threads of one database and what they take work from.
struct Threads {
    commands: SyncSender<Work>,
    units: SyncSender<Work>,
    writers: Vec<JoinHandle<()>>,
}

struct Unit<F, T, E> {
    unit: F,
    result: Option<Result<T, E>>,
    reply: Option<oneshot::Sender<Result<T, E>>>,
}

impl<F, T, E> Job for Unit<F, T, E>
where
    F: FnMut(&mut dyn Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut dyn Tx) -> bool {
        self.result = None;
        self.result = Some((self.unit)(tx));
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(mut self: Box<Self>, committed: Result<(), StoreError>) {
        let lost = || Err(E::from(StoreError::Unavailable("the unit did not run".into())));
        let result = match (self.result.take(), committed) {
            (Some(Err(refused)), _) => Err(refused),
            (_, Err(error)) => Err(E::from(error)),
            (result, Ok(())) => result.unwrap_or_else(lost),
        };
        if let Some(reply) = self.reply.take() {
            drop(reply.send(result));
        }
    }
}

impl Store {
    /// Opens the database, brings its schema up to date and starts its threads.
    pub fn open(settings: &Settings, now_ms: i64) -> Result<Self, StoreError> {
        let waiting = Waiting::default();
        let threads = match &settings.database {
            Database::Sqlite(path) => open_sqlite(settings, path, &waiting, now_ms)?,
            Database::Postgres(link) => open_postgres(settings, link, &waiting, now_ms)?,
        };
        let (reads, queue) = channel::bounded::<Read>(settings.queue_capacity);
        let mut readers = Vec::new();
        for index in 0..settings.reader_threads.max(1) {
            let queue = queue.clone();
            let name = format!("rynjer-reader-{index}");
            readers.push(match &settings.database {
                Database::Sqlite(path) => {
                    let connection = Sqlite::open_reader(path)?;
                    spawn(&name, move || reader::run(connection, &queue))?
                }
                Database::Postgres(link) => {
                    let connection = Postgres::new(Link::clone(link), Use::Read);
                    spawn(&name, move || reader::run(connection, &queue))?
                }
            });
        }
        let mut wakers = Vec::new();
        let bell = match &settings.database {
            Database::Postgres(link) if settings.notify => {
                let (bell, announce) = Bell::new(Link::clone(link), settings.writer_id.clone());
                wakers.push(spawn("rynjer-bell", announce)?);
                Some(bell)
            }
            _ => None,
        };
        let inner = Inner {
            writer_id: settings.writer_id.clone(),
            bell,
            ended: Arc::default(),
            wakers: Mutex::new(wakers),
            database: settings.database.clone(),
            commands: Some(threads.commands),
            units: Some(threads.units),
            reads: Some(reads),
            waiting,
            reads_begun: AtomicU64::new(0),
            writers: Mutex::new(threads.writers),
            readers: Mutex::new(readers),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs one ledger command in the next batch; `Ok` means that its outcome is durable.
    pub async fn submit(&self, now_ms: i64, command: Command) -> Result<Outcome, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(
            self.inner.commands.as_ref(),
            Work::Ledger(Box::new(Submission { now_ms, command, reply })),
        )?;
        self.answered(answer).await.unwrap_or_else(Err)
    }

    /// Runs a unit of work that writes; its error takes everything back that it did. It may be run several
    /// times, from its beginning, when other transactions are in its way.
    pub async fn write<T, E>(
        &self,
        unit: impl FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let unit = Unit { unit, result: None, reply: Some(reply) };
        self.send(self.inner.units.as_ref(), Work::Unit(Box::new(unit))).map_err(E::from)?;
        self.answered(answer).await.unwrap_or_else(|error| Err(E::from(error)))
    }

    /// Runs a unit of work that reads one snapshot.
    pub async fn read<T, E>(
        &self,
        unit: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let answer = self.ask(unit)?;
        self.answered(answer).await.unwrap_or_else(|error| Err(E::from(error)))
    }

    /// The same for what may take minutes, such as a whole table: its caller waits for as long as it takes,
    /// and sees to it that few run at once. On a file it has a connection of its own, since every poll waits
    /// for one of few readers.
    pub async fn read_at_length<T, E>(
        &self,
        unit: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Database::Sqlite(path) = &self.inner.database else {
            return self.ask(unit)?.await.unwrap_or_else(|_| Err(E::from(stopped())));
        };
        let path = path.clone();
        let read = move || {
            let mut connection = Sqlite::open_reader(&path)?;
            connection.begin()?;
            unit(connection.as_tx())
        };
        let panicked = |_| Err(E::from(StoreError::Panicked("see the log".into())));
        tokio::task::spawn_blocking(read).await.unwrap_or_else(panicked)
    }

    fn ask<T, E>(
        &self,
        unit: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, E>>, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |tx| {
            let result = match tx {
                // A panic must not end the thread that every later read needs.
                Ok(tx) => catch_unwind(AssertUnwindSafe(|| unit(tx)))
                    .unwrap_or_else(|_| Err(E::from(StoreError::Panicked("see the log".into())))),
                Err(error) => Err(E::from(error)),
            };
            drop(reply.send(result));
        });
        self.inner.reads_begun.fetch_add(1, Ordering::Relaxed);
        let queue = self.inner.reads.as_ref().ok_or_else(|| E::from(stopped()))?;
        if !queue.try_send(read) {
            measure::refused("read");
            return Err(E::from(StoreError::Overloaded));
        }
        Ok(answer)
    }

    /// What a thread answers. A server that is silent for so long is away, as far as the caller is concerned:
    /// what was asked for may stand or not.
    async fn answered<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, StoreError> {
        let Database::Postgres(_) = &self.inner.database else { return answer.await.map_err(|_| stopped()) };
        match tokio::time::timeout(SILENCE_MAX, answer).await {
            Ok(answered) => answered.map_err(|_| stopped()),
            Err(_) => Err(StoreError::Unavailable("the database does not answer".to_owned())),
        }
    }

    /// How many units have asked to read since the store was opened.
    #[must_use]
    pub fn reads_begun(&self) -> u64 {
        self.inner.reads_begun.load(Ordering::Relaxed)
    }

    /// Tells the other processes on this database that something may have changed: one word of at most 100
    /// characters. They may miss it.
    pub fn ring(&self, what: impl FnOnce() -> String) {
        if let Some(bell) = &self.inner.bell {
            bell.ring(what());
        }
    }

    /// Calls back with each word that another process rings, on a thread of its own, until the store ends.
    /// The callback must not keep the store alive.
    pub fn on_ring(&self, heard: impl Fn(&str) + Send + 'static) -> Result<(), StoreError> {
        let (Some(_), Database::Postgres(link)) = (&self.inner.bell, &self.inner.database) else {
            return Ok(());
        };
        let (link, sender) = (Link::clone(link), self.inner.writer_id.clone());
        let (ended, heard): (_, bell::Heard) = (Arc::clone(&self.inner.ended), Box::new(heard));
        let listener = spawn("rynjer-listener", move || bell::listen(link, &sender, &ended, &heard))?;
        self.inner.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        Ok(())
    }

    /// How many jobs wait for the writer.
    #[must_use]
    pub fn writes_waiting(&self) -> usize {
        self.inner.waiting.jobs()
    }

    /// Copies everything into a new file while it is in use: one moment of it, as a database of SQLite.
    pub async fn backup(&self, target: PathBuf, now_ms: i64) -> Result<(), StoreError> {
        let database = self.inner.database.clone();
        let copy = move || match &database {
            Database::Sqlite(path) => Sqlite::open_reader(path)?.backup_to(&target),
            Database::Postgres(_) => {
                let copied = relocation::copy_to_file(&database, &target, now_ms);
                copied.map(drop).map_err(|error| StoreError::Other(error.to_string()))
            }
        };
        tokio::task::spawn_blocking(copy).await.map_err(|e| StoreError::Other(e.to_string()))?
    }

    /// Reads every page of the file; what is wrong, if anything. A server checks its pages itself.
    pub async fn integrity_check(&self) -> Result<Option<String>, StoreError> {
        let Database::Sqlite(path) = &self.inner.database else { return Ok(None) };
        let path = path.clone();
        let check = move || Sqlite::open_reader(&path)?.integrity_check();
        tokio::task::spawn_blocking(check).await.map_err(|e| StoreError::Other(e.to_string()))?
    }

    /// The file, if the database is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.inner.database {
            Database::Sqlite(path) => Some(path),
            Database::Postgres(_) => None,
        }
    }

    fn send(&self, queue: Option<&SyncSender<Work>>, work: Work) -> Result<(), StoreError> {
        let queue = queue.ok_or_else(stopped)?;
        self.inner.waiting.one_more();
        queue.try_send(work).map_err(|error| {
            self.inner.waiting.refused();
            refused(&error)
        })
    }
}

/// One queue and one writer for everything.
fn open_sqlite(
    settings: &Settings,
    path: &Path,
    waiting: &Waiting,
    now_ms: i64,
) -> Result<Threads, StoreError> {
    let mut connection = Sqlite::open_writer(path)?;
    migrate::migrate(&mut connection, now_ms)?;
    installation::refuse_moved(&mut connection)?;
    let (commands, queue) = sync_channel(settings.queue_capacity);
    let queue = Arc::new(Mutex::new(queue));
    connection.checkpoint_beside(path)?;
    let writer = Writer::new(connection, queue, settings.batch_max, settings.writer_id.clone());
    let writer = writer.counting(waiting.clone());
    let writers = vec![spawn("rynjer-writer", move || writer.run())?];
    Ok(Threads { units: commands.clone(), commands, writers })
}

/// A writer for the ledger's batches, and several for units, each of which has a transaction of its own: what
/// units lock would get in each other's way.
fn open_postgres(
    settings: &Settings,
    link: &Link,
    waiting: &Waiting,
    now_ms: i64,
) -> Result<Threads, StoreError> {
    // A connection lives and dies on threads of its own: it blocks, which a runtime's threads must not.
    let (first, link) = (link.clone(), link.clone());
    let prepared = spawn("rynjer-schema", move || prepare(&first, now_ms))?;
    prepared.join().map_err(|_| StoreError::Panicked("see the log".to_owned()))??;
    let start = |name: &str, batch_max: usize, queue| {
        let id = format!("{}{name}", settings.writer_id);
        let writer = Writer::new(Postgres::new(link.clone(), Use::Write), queue, batch_max, id);
        let writer = writer.counting(waiting.clone());
        spawn(&format!("rynjer-writer-{name}"), move || writer.run())
    };
    let (commands, queue) = sync_channel(settings.queue_capacity);
    let mut writers = vec![start("ledger", settings.batch_max, Arc::new(Mutex::new(queue)))?];
    let (units, queue) = sync_channel(settings.queue_capacity);
    let queue = Arc::new(Mutex::new(queue));
    for index in 0..settings.writer_threads.max(1) {
        writers.push(start(&format!("unit{index}"), 1, Arc::clone(&queue))?);
    }
    Ok(Threads { commands, units, writers })
}

/// Looks at the server and brings the schema up to date; only one process does so at a time.
fn prepare(link: &Link, now_ms: i64) -> Result<(), StoreError> {
    let mut connection = Postgres::new(link.clone(), Use::Write);
    connection.connect()?;
    connection.lock_schema()?;
    connection.check_server()?;
    migrate::migrate(&mut connection, now_ms)?;
    installation::refuse_moved(&mut connection)
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store has stopped".into())
}

fn refused<T>(error: &TrySendError<T>) -> StoreError {
    match error {
        TrySendError::Full(_) => StoreError::Overloaded,
        TrySendError::Disconnected(_) => stopped(),
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, StoreError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// Whether the database answers.
///
/// # Errors
/// Whatever keeps it from answering.
pub fn ping(tx: &mut dyn Tx) -> Result<(), StoreError> {
    tx.one("SELECT 1", &[]).map(drop)
}
