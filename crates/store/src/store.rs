//! A database opened: the writer thread, the reader threads and the ways to give them work.
//!
//! Invariant: queues are bounded; a full one answers `Overloaded` at once. Not here: SQL.

use crate::{
    error::StoreError,
    measure::{self, Waiting},
    migrate,
    reader::{self, Read},
    sqlite::Sqlite,
    tx::Tx,
    writer::{Job, Submission, Work, Writer},
};
use rynjer_core::ledger::{Command, Outcome};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{JoinHandle, current},
};
use tokio::sync::oneshot;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The SQLite file.
    pub path: PathBuf,
    pub reader_threads: usize,
    /// Jobs that may wait for the writer before callers are told to come back.
    pub queue_capacity: usize,
    /// Jobs that one commit carries at most.
    pub batch_max: usize,
    /// Name of this process in the batch table.
    pub writer_id: String,
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    // Dropping the senders lets the threads finish what is queued and end.
    writes: Option<SyncSender<Work>>,
    reads: Option<SyncSender<Read>>,
    waiting: Waiting,
    reads_begun: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Ok(threads) = self.threads.get_mut() else { return };
        // A job may hold the last handle; its own thread ends by itself. One that panicked has nothing left
        // to say.
        let join = |thread: JoinHandle<()>| {
            if thread.thread().id() != current().id() {
                drop(thread.join());
            }
        };
        // The writer, which is the first, closes last: only the last connection brings the whole database
        // into its one file, and two that close at once both believe that they are not it.
        self.reads = None;
        threads.drain(1..).for_each(join);
        self.writes = None;
        threads.drain(..).for_each(join);
    }
}

struct Unit<F, T, E> {
    unit: Option<F>,
    result: Option<Result<T, E>>,
    reply: Option<oneshot::Sender<Result<T, E>>>,
}

impl<F, T, E> Job for Unit<F, T, E>
where
    F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut dyn Tx) -> bool {
        self.result = self.unit.take().map(|unit| unit(tx));
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
        let mut writer = Sqlite::open_writer(&settings.path)?;
        migrate::migrate(&mut writer, now_ms)?;
        let (writes, queue) = sync_channel(settings.queue_capacity);
        let waiting = Waiting::default();
        let writer = Writer::new(writer, queue, settings.batch_max, settings.writer_id.clone());
        let writer = writer.counting(waiting.clone());
        let mut threads = vec![spawn("rynjer-writer", move || writer.run())?];
        let (reads, queue) = sync_channel::<Read>(settings.queue_capacity);
        let queue: Arc<Mutex<Receiver<Read>>> = Arc::new(Mutex::new(queue));
        for index in 0..settings.reader_threads.max(1) {
            let connection = Sqlite::open_reader(&settings.path)?;
            let queue = Arc::clone(&queue);
            let run = move || reader::run(connection, &queue, "BEGIN");
            threads.push(spawn(&format!("rynjer-reader-{index}"), run)?);
        }
        let inner = Inner {
            path: settings.path.clone(),
            writes: Some(writes),
            reads: Some(reads),
            waiting,
            reads_begun: AtomicU64::new(0),
            threads: Mutex::new(threads),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs one ledger command in the next batch; `Ok` means that its outcome is durable.
    pub async fn submit(&self, now_ms: i64, command: Command) -> Result<Outcome, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Work::Ledger(Box::new(Submission { now_ms, command, reply })))?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Runs a unit of work that writes; its error takes everything back that it did.
    pub async fn write<T, E>(
        &self,
        unit: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let unit = Unit { unit: Some(unit), result: None, reply: Some(reply) };
        self.send(Work::Unit(Box::new(unit))).map_err(E::from)?;
        answer.await.unwrap_or_else(|_| Err(E::from(stopped())))
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
        queue.try_send(read).map_err(|error| {
            measure::refused("read");
            E::from(refused(&error))
        })?;
        answer.await.unwrap_or_else(|_| Err(E::from(stopped())))
    }

    /// How many units have asked to read since the store was opened.
    #[must_use]
    pub fn reads_begun(&self) -> u64 {
        self.inner.reads_begun.load(Ordering::Relaxed)
    }

    /// How many jobs wait for the writer.
    #[must_use]
    pub fn writes_waiting(&self) -> usize {
        self.inner.waiting.jobs()
    }

    /// Copies the whole database into a new file while it is in use.
    pub async fn backup(&self, target: PathBuf) -> Result<(), StoreError> {
        let path = self.inner.path.clone();
        let copy = move || Sqlite::open_reader(&path)?.backup_to(&target);
        tokio::task::spawn_blocking(copy).await.map_err(|e| StoreError::Other(e.to_string()))?
    }

    /// Reads every page of the file; what is wrong, if anything.
    pub async fn integrity_check(&self) -> Result<Option<String>, StoreError> {
        let path = self.inner.path.clone();
        let check = move || Sqlite::open_reader(&path)?.integrity_check();
        tokio::task::spawn_blocking(check).await.map_err(|e| StoreError::Other(e.to_string()))?
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    fn send(&self, work: Work) -> Result<(), StoreError> {
        let queue = self.inner.writes.as_ref().ok_or_else(stopped)?;
        self.inner.waiting.one_more();
        queue.try_send(work).map_err(|error| {
            self.inner.waiting.refused();
            refused(&error)
        })
    }
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

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
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
