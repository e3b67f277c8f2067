//! Checkpoints of SQLite: the pages of the log are brought into the file by a thread beside the writer.
//!
//! Invariant: nothing hangs on it but the log's length; what is committed is synced in the log. Not here:
//! commits, the checkpoint of the last connection that closes.
//!
//! A checkpoint of many scattered pages waits for the disk as long as hundreds of commits. The log begins
//! again only when nothing of it is left to bring over, and nobody writes: so the thread takes the bulk
//! while the writer goes on, and the writer itself the short rest.

use crate::error::StoreError;
use rusqlite::{Connection, hooks::Wal};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

/// The log's length, in pages, at which a checkpoint begins: 64 MiB. A checkpoint writes a page once, however
/// many commits changed it since the last.
pub(crate) const BEGIN_PAGES: u32 = 16_000;

/// How long nobody must have written before the rest of the log is brought over: what is in the file alone is
/// read fastest.
const REST_AFTER: Duration = Duration::from_millis(250);

/// Lengths of the log, in pages.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Where a checkpoint begins.
    begin: u32,
    /// What the writer brings over itself: some milliseconds.
    rest: u32,
    /// Less than this is not worth a sync. A reader may be in the way of the log's new beginning.
    least: u32,
    /// A log of this length grows faster than it is brought over: then the writer waits.
    wait: u32,
}

const LIMITS: Limits = Limits { begin: BEGIN_PAGES, rest: 1_500, least: 500, wait: 4 * BEGIN_PAGES };

/// The writer's side.
pub(crate) struct Checkpoints {
    limits: Limits,
    /// The log's length after the last commit.
    log_pages: Arc<AtomicU32>,
    /// The log's length at the last checkpoint, and how much of it was brought over.
    seen_pages: u32,
    done_pages: u32,
    under_way: bool,
    orders: Option<Sender<()>>,
    results: Receiver<u32>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Checkpoints {
    /// Takes the checkpoints over from SQLite's own rule, by which each is part of a commit.
    pub(crate) fn take_over(writer: &mut Connection, path: &Path) -> Result<Self, StoreError> {
        Self::with_limits(writer, path, LIMITS)
    }

    fn with_limits(writer: &mut Connection, path: &Path, limits: Limits) -> Result<Self, StoreError> {
        let mut beside = Connection::open(path)?;
        beside.pragma_update(None, "synchronous", "FULL")?;
        let ((orders, ordered), (answers, results)) = (channel(), channel());
        let work = move || {
            while ordered.recv().is_ok() {
                if answers.send(checkpoint(&mut beside)).is_err() {
                    return;
                }
            }
        };
        let thread = Builder::new().name("rynjer-checkpoint".to_owned()).spawn(work);
        let thread = thread.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let log_pages = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&log_pages);
        writer.wal_hook(Some(move |_: &mut Wal, pages: i32| {
            told.store(pages.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self {
            limits,
            log_pages,
            seen_pages: 0,
            done_pages: 0,
            under_way: false,
            orders: Some(orders),
            results,
            thread: Some(thread),
        })
    }

    /// Whether the thread is at it. Takes what it told when it came to an end, waiting for that if asked to.
    fn is_under_way(&mut self, waits: bool) -> bool {
        if self.under_way {
            let waited = || self.results.recv().map_err(|_| TryRecvError::Disconnected);
            match if waits { waited() } else { self.results.try_recv() } {
                Ok(done_pages) => self.done_pages = done_pages,
                Err(TryRecvError::Empty) => return true,
                // The thread is gone: what it did will be found done.
                Err(TryRecvError::Disconnected) => {}
            }
            self.under_way = false;
        }
        false
    }

    /// How long nobody must have written before the rest of the log is brought over; `None` if that is not
    /// worth a sync, or was tried: a reader may be in the way.
    pub(crate) fn rests_after(&self) -> Option<Duration> {
        let log_pages = self.log_pages.load(Ordering::Relaxed);
        let new_pages = log_pages.abs_diff(self.seen_pages);
        let left_pages = log_pages.saturating_sub(self.done_pages);
        (new_pages >= self.limits.least && left_pages >= self.limits.least).then_some(REST_AFTER)
    }

    /// Lets the thread bring the rest over, while nobody writes.
    pub(crate) fn rest(&mut self) {
        if self.is_under_way(false) {
            return;
        }
        self.seen_pages = self.log_pages.load(Ordering::Relaxed);
        self.under_way = self.orders.as_ref().is_some_and(|orders| orders.send(()).is_ok());
    }

    /// Does what is due; for the writer, between two transactions.
    pub(crate) fn between_commits(&mut self, writer: &mut Connection) {
        let Limits { begin, rest, least, wait } = self.limits;
        let log_pages = self.log_pages.load(Ordering::Relaxed);
        if self.is_under_way(log_pages >= wait) {
            return;
        }
        if log_pages < self.seen_pages {
            // The log began again.
            (self.seen_pages, self.done_pages) = (0, 0);
        }
        let left_pages = log_pages.saturating_sub(self.done_pages);
        let new_pages = log_pages.saturating_sub(self.seen_pages);
        if log_pages < begin || left_pages < least || new_pages < least {
            return;
        }
        self.seen_pages = log_pages;
        let is_bulk = left_pages > rest && log_pages < wait;
        self.under_way = is_bulk && self.orders.as_ref().is_some_and(|orders| orders.send(()).is_ok());
        if !self.under_way {
            self.done_pages = checkpoint(writer);
        }
    }
}

/// Brings over what no reader is in the way of, and waits for nobody; how much of the log is done. One that
/// fails is tried again later: all it left undone is in the log.
fn checkpoint(connection: &mut Connection) -> u32 {
    let sql = "PRAGMA wal_checkpoint(PASSIVE)";
    match connection.query_row(sql, [], |row| row.get::<_, i64>(2)) {
        // Less than zero: another connection is at it.
        Ok(pages) => u32::try_from(pages).unwrap_or(0),
        Err(error) => {
            tracing::warn!(%error, "a checkpoint failed");
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const PAGE_BYTES: u64 = 4096;

    #[test]
    fn the_log_stays_short_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.db");
        let mut writer = Connection::open(&path).unwrap();
        writer.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(())).unwrap();
        writer.execute_batch("CREATE TABLE numbers (number INTEGER, filler BLOB)").unwrap();
        let limits = Limits { begin: 100, rest: 30, least: 10, wait: 400 };
        let mut checkpoints = Checkpoints::with_limits(&mut writer, &path, limits).unwrap();
        let mut longest = 0;
        for number in 0..500 {
            let sql = "INSERT INTO numbers VALUES (?1, zeroblob(30000))";
            writer.execute(sql, [number]).unwrap();
            checkpoints.between_commits(&mut writer);
            longest = longest.max(checkpoints.log_pages.load(Ordering::Relaxed));
        }
        // One commit writes about ten pages, and all of them more than 4000.
        assert!((100..=440).contains(&longest), "{longest}");
        let log_bytes = fs::metadata(folder.path().join("file.db-wal")).unwrap().len();
        assert!(log_bytes < 450 * (PAGE_BYTES + 24), "{log_bytes}");
        drop((checkpoints, writer));
        assert!(!folder.path().join("file.db-wal").exists());
        let reader = Connection::open(&path).unwrap();
        let sum: i64 = reader.query_row("SELECT SUM(number) FROM numbers", [], |row| row.get(0)).unwrap();
        assert_eq!(sum, 500 * 499 / 2);
        let verdict: String = reader.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
    }

    #[test]
    fn who_rests_brings_the_rest_over_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.db");
        let mut writer = Connection::open(&path).unwrap();
        writer.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(())).unwrap();
        writer.execute_batch("CREATE TABLE numbers (number INTEGER, filler BLOB)").unwrap();
        let limits = Limits { begin: 1_000, rest: 30, least: 10, wait: 4_000 };
        let mut checkpoints = Checkpoints::with_limits(&mut writer, &path, limits).unwrap();
        let write = |writer: &Connection, bytes: i64| {
            writer.execute("INSERT INTO numbers VALUES (1, zeroblob(?1))", [bytes]).unwrap();
        };
        write(&writer, 1);
        assert_eq!(checkpoints.rests_after(), None, "two pages are not worth a sync");
        write(&writer, 100_000);
        checkpoints.between_commits(&mut writer);
        assert_eq!(checkpoints.rests_after(), Some(REST_AFTER));
        let before = fs::metadata(&path).unwrap().len();
        checkpoints.rest();
        assert_eq!(checkpoints.rests_after(), None, "it is under way");
        assert!(!checkpoints.is_under_way(true));
        assert_eq!(checkpoints.done_pages, checkpoints.log_pages.load(Ordering::Relaxed));
        assert!(fs::metadata(&path).unwrap().len() > before + 90_000, "all of it is in the file");
        assert_eq!(checkpoints.rests_after(), None, "and nothing is left");
        // The log begins again with the next commit.
        write(&writer, 1);
        checkpoints.between_commits(&mut writer);
        assert!(checkpoints.log_pages.load(Ordering::Relaxed) < 10);
    }

    #[test]
    fn an_old_snapshot_stops_checkpoints_but_no_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.db");
        let mut writer = Connection::open(&path).unwrap();
        writer.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(())).unwrap();
        writer.execute_batch("CREATE TABLE numbers (number INTEGER, filler BLOB)").unwrap();
        let limits = Limits { begin: 50, rest: 30, least: 10, wait: 100 };
        let mut checkpoints = Checkpoints::with_limits(&mut writer, &path, limits).unwrap();
        let reader = Connection::open(&path).unwrap();
        let count = || reader.query_row("SELECT COUNT(*) FROM numbers", [], |row| row.get::<_, i64>(0));
        reader.execute_batch("BEGIN").unwrap();
        assert_eq!(count().unwrap(), 0);
        let mut write = |from: i64| {
            for number in from..from + 50 {
                writer.execute("INSERT INTO numbers VALUES (?1, zeroblob(30000))", [number]).unwrap();
                checkpoints.between_commits(&mut writer);
            }
            checkpoints.log_pages.load(Ordering::Relaxed)
        };
        assert!(write(0) > 400, "the log grows as long as somebody reads what it began with");
        assert_eq!(count().unwrap(), 0);
        reader.execute_batch("COMMIT").unwrap();
        assert!(write(50) < 200, "then it begins again");
        assert_eq!(count().unwrap(), 100);
    }
}
