//! The one thread that writes: it takes what is waiting, runs it in one transaction, commits, then answers
//! everyone.
//!
//! Invariant: nobody is answered before COMMIT returned; a failing unit or command takes back only itself; a
//! queued job is never withdrawn because its caller went away. Not here: what a job does.

use crate::{
    error::StoreError,
    ledger,
    measure::{Stopwatch, Waiting},
    tx::{Connection, Param, Tx},
};
use rynjer_core::ledger::{Command, Outcome};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::Receiver,
};
use tokio::sync::oneshot;

/// A ledger command on its way.
pub(crate) struct Submission {
    pub(crate) now_ms: i64,
    pub(crate) command: Command,
    pub(crate) reply: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// A unit of work with its answer.
pub(crate) trait Job: Send {
    /// Runs the unit; `false` means that it must be taken back.
    fn run(&mut self, tx: &mut dyn Tx) -> bool;
    /// Answers the caller, after the commit or with why the unit does not stand; its own error goes first.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// What the writer takes from its queue.
pub(crate) enum Work {
    Ledger(Box<Submission>),
    Unit(Box<dyn Job>),
}

struct Decided {
    submission: Submission,
    outcome: Result<Outcome, StoreError>,
}

/// The state of the writer thread.
pub(crate) struct Writer<C> {
    connection: C,
    queue: Receiver<Work>,
    batch_max: usize,
    writer_id: String,
    batch: i64,
    /// The open transaction holds half a batch that could not be taken back.
    doomed: bool,
    waiting: Waiting,
}

impl<C: Connection> Writer<C> {
    pub(crate) fn new(connection: C, queue: Receiver<Work>, batch_max: usize, writer_id: String) -> Self {
        Self { connection, queue, batch_max, writer_id, batch: 0, doomed: false, waiting: Waiting::default() }
    }

    /// Tells how many jobs it has taken from those that wait.
    pub(crate) fn counting(mut self, waiting: Waiting) -> Self {
        self.waiting = waiting;
        self
    }

    /// Works until every sender is gone.
    pub(crate) fn run(mut self) {
        while let Ok(first) = self.queue.recv() {
            let mut commands = Vec::new();
            let mut units = Vec::new();
            let mut next = Some(first);
            while let Some(work) = next {
                match work {
                    Work::Ledger(submission) => commands.push(*submission),
                    Work::Unit(job) => units.push(job),
                }
                let full = commands.len() + units.len() >= self.batch_max;
                next = if full { None } else { self.queue.try_recv().ok() };
            }
            self.waiting.taken(commands.len() + units.len());
            self.run_batch(commands, units);
        }
    }

    fn run_batch(&mut self, commands: Vec<Submission>, units: Vec<Box<dyn Job>>) {
        if let Err(error) = self.connection.begin() {
            let decided =
                commands.into_iter().map(|submission| Decided { submission, outcome: Err(error.clone()) });
            let units = units.into_iter().map(|unit| (unit, Ok(()))).collect();
            answer(decided.collect(), units, &Err(error));
            return;
        }
        let decided = self.run_commands(commands);
        let mut done = Vec::with_capacity(units.len());
        for mut unit in units {
            let ran = self.run_unit(unit.as_mut());
            done.push((unit, ran));
        }
        let stopwatch = Stopwatch::start();
        let committed = self.commit();
        stopwatch.committed(&committed);
        if committed.is_err() && self.connection.in_transaction() {
            // The commit's own error is what callers are told.
            drop(self.connection.rollback());
        }
        answer(decided, done, &committed);
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        // Outside it, the batch's number would be written without the batch; and half a batch must not be.
        if !self.connection.in_transaction() || std::mem::take(&mut self.doomed) {
            return Err(ended());
        }
        self.mark_batch()?;
        self.connection.commit()
    }

    /// Writes the batch's number in its own commit, so that a lost answer to COMMIT can be looked up.
    fn mark_batch(&mut self) -> Result<(), StoreError> {
        self.batch += 1;
        let params = [Param::from(&self.writer_id), Param::Int(self.batch)];
        let sql = "INSERT INTO writer_batches (writer, batch) VALUES ($1, $2) \
                   ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch";
        self.connection.exec(sql, &params).map(drop)
    }

    /// Decides all commands as one batch; if that fails, one by one, so that only the guilty caller fails.
    fn run_commands(&mut self, submissions: Vec<Submission>) -> Vec<Decided> {
        if submissions.is_empty() {
            return Vec::new();
        }
        let stopwatch = Stopwatch::start();
        match self.run_all(&submissions) {
            Ok(outcomes) => {
                stopwatch.decided(submissions.len());
                let pairs = submissions.into_iter().zip(outcomes);
                return pairs
                    .map(|(submission, outcome)| Decided { submission, outcome: Ok(outcome) })
                    .collect();
            }
            Err(_) => {
                if let Err(error) = self.begin_again() {
                    tracing::error!(%error, "a batch could not be begun again");
                    let failed = |submission| Decided { submission, outcome: Err(error.clone()) };
                    return submissions.into_iter().map(failed).collect();
                }
            }
        }
        let one_by_one = |submission: Submission| {
            let outcome = self.run_chunk(std::slice::from_ref(&submission)).and_then(|mut outcomes| {
                outcomes.pop().ok_or_else(|| StoreError::Other("no outcome".into()))
            });
            if let Err(error) = &outcome {
                tracing::error!(%error, account = %submission.command.account(), "a ledger command failed");
            }
            Decided { submission, outcome }
        };
        submissions.into_iter().map(one_by_one).collect()
    }

    /// Commands come first in their transaction, so nothing else is lost with it.
    fn begin_again(&mut self) -> Result<(), StoreError> {
        if self.connection.in_transaction() {
            self.doomed = true;
            self.connection.rollback()?;
            self.doomed = false;
        }
        self.connection.begin()
    }

    /// All commands at once, without a savepoint: one would make SQLite copy every page that the batch
    /// changes.
    fn run_all(&mut self, submissions: &[Submission]) -> Result<Vec<Outcome>, StoreError> {
        let commands: Vec<_> = submissions.iter().map(|s| (s.now_ms, &s.command)).collect();
        let connection = &mut self.connection;
        let run = AssertUnwindSafe(|| ledger::run_batch(connection.as_tx(), &commands));
        catch_unwind(run).unwrap_or_else(|_| Err(StoreError::Panicked("see the log".into())))
    }

    fn run_chunk(&mut self, submissions: &[Submission]) -> Result<Vec<Outcome>, StoreError> {
        let commands: Vec<_> = submissions.iter().map(|s| (s.now_ms, &s.command)).collect();
        let connection = &mut self.connection;
        guarded(connection, |tx| ledger::run_batch(tx, &commands))
    }

    fn run_unit(&mut self, unit: &mut dyn Job) -> Result<(), StoreError> {
        let ran = guarded(&mut self.connection, |tx| {
            if unit.run(tx) { Ok(()) } else { Err(StoreError::Other("taken back".into())) }
        });
        if let Err(error @ (StoreError::Panicked(_) | StoreError::Unavailable(_))) = &ran {
            tracing::error!(%error, "a unit of work failed");
        }
        ran
    }
}

/// Runs work inside a savepoint; an error or a panic takes it back.
fn guarded<C: Connection, T>(
    connection: &mut C,
    work: impl FnOnce(&mut dyn Tx) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    if !connection.in_transaction() {
        // An error such as a full disk ended the transaction under an earlier job of this batch.
        return Err(ended());
    }
    connection.savepoint()?;
    let result = catch_unwind(AssertUnwindSafe(|| work(connection.as_tx())));
    let result = result.unwrap_or_else(|_| Err(StoreError::Panicked("see the log".into())));
    if result.is_ok() {
        if let Err(error) = connection.release_savepoint() {
            drop(connection.rollback());
            return Err(error);
        }
    } else if connection.in_transaction() && connection.rollback_to_savepoint().is_err() {
        // What can't be taken back alone must not be committed with the rest.
        drop(connection.rollback());
    }
    result
}

fn ended() -> StoreError {
    StoreError::Unavailable("the transaction was ended by the database".into())
}

fn answer(
    decided: Vec<Decided>,
    units: Vec<(Box<dyn Job>, Result<(), StoreError>)>,
    committed: &Result<(), StoreError>,
) {
    for Decided { submission, outcome } in decided {
        let told = committed.clone().and(outcome);
        // The caller may be gone; the command stands all the same.
        drop(submission.reply.send(told));
    }
    for (unit, ran) in units {
        unit.answer(committed.clone().and(ran));
    }
}
