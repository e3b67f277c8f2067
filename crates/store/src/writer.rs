//! A thread that writes: it takes what is waiting, runs it in one transaction, commits, then answers
//! everyone.
//!
//! Invariant: nobody is answered before COMMIT returned; a failing unit or command takes back only itself; a
//! queued job is never withdrawn because its caller went away. Not here: what a job does.

use crate::{
    error::StoreError,
    ledger,
    measure::{Stopwatch, Waiting},
    tx::{Connection, Mark, Tx},
};
use rynjer_core::ledger::{Command, Outcome};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc::Receiver},
    time::Duration,
};
use tokio::sync::oneshot;

/// How often a batch is run that meets others; with a third of all commits failing, one in 10^20 is given up.
const RUNS_MAX: u64 = 40;

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
    /// `run` may have been called several times: what the last run said counts.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// What the writer takes from its queue.
pub(crate) enum Work {
    Ledger(Box<Submission>),
    Unit(Box<dyn Job>),
}

/// What one commit carries.
#[derive(Default)]
struct Batch {
    commands: Vec<Submission>,
    units: Vec<Box<dyn Job>>,
}

/// How each part of a batch went, in its order.
struct Done {
    outcomes: Vec<Result<Outcome, StoreError>>,
    ran: Vec<Result<(), StoreError>>,
}

/// The state of a writer thread.
pub(crate) struct Writer<C> {
    connection: C,
    queue: Arc<Mutex<Receiver<Work>>>,
    batch_max: usize,
    writer_id: String,
    batch: i64,
    /// The open transaction holds half a batch that could not be taken back.
    doomed: bool,
    waiting: Waiting,
}

impl<C: Connection> Writer<C> {
    pub(crate) fn new(
        connection: C,
        queue: Arc<Mutex<Receiver<Work>>>,
        batch_max: usize,
        writer_id: String,
    ) -> Self {
        Self { connection, queue, batch_max, writer_id, batch: 0, doomed: false, waiting: Waiting::default() }
    }

    /// Tells how many jobs it has taken from those that wait.
    pub(crate) fn counting(mut self, waiting: Waiting) -> Self {
        self.waiting = waiting;
        self
    }

    /// Works until every sender is gone.
    pub(crate) fn run(mut self) {
        while let Some(batch) = self.next_batch() {
            self.waiting.taken(batch.commands.len() + batch.units.len());
            self.run_batch(batch);
        }
    }

    /// What is waiting now, once something is.
    fn next_batch(&self) -> Option<Batch> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = queue.recv().ok();
        let mut batch = Batch::default();
        while let Some(work) = next {
            match work {
                Work::Ledger(submission) => batch.commands.push(*submission),
                Work::Unit(job) => batch.units.push(job),
            }
            let full = batch.commands.len() + batch.units.len() >= self.batch_max;
            next = if full { None } else { queue.try_recv().ok() };
        }
        (!batch.commands.is_empty() || !batch.units.is_empty()).then_some(batch)
    }

    /// Runs a batch, and again while another transaction is in its way or its connection breaks.
    fn run_batch(&mut self, mut batch: Batch) {
        let mut runs = 1;
        loop {
            let done = self.try_batch(&mut batch);
            let Err(error) = &done else { return answer(batch, done) };
            if self.connection.in_transaction() {
                // The first error is what callers are told.
                drop(self.connection.rollback());
            }
            if !error.asks_for_another_run() {
                return answer(batch, done);
            }
            if runs == RUNS_MAX {
                tracing::error!(%error, runs, "a batch was given up");
                return answer(batch, Err(StoreError::Unavailable(error.to_string())));
            }
            std::thread::sleep(Duration::from_millis(runs.min(20)));
            runs += 1;
        }
    }

    /// One run of a batch in one transaction; after an error nothing of it stands.
    fn try_batch(&mut self, batch: &mut Batch) -> Result<Done, StoreError> {
        self.connection.begin()?;
        let outcomes = self.run_commands(&batch.commands)?;
        if let (true, [unit]) = (batch.commands.is_empty(), &mut *batch.units) {
            return self.run_alone(unit.as_mut());
        }
        let mut ran = Vec::with_capacity(batch.units.len());
        for unit in &mut batch.units {
            ran.push(self.run_unit(unit.as_mut()));
            if let Some(failure) = self.connection.take_failure() {
                return Err(failure);
            }
        }
        self.commit()?;
        Ok(Done { outcomes, ran })
    }

    /// A unit that has the transaction for itself needs no savepoint.
    fn run_alone(&mut self, unit: &mut dyn Job) -> Result<Done, StoreError> {
        let connection = &mut self.connection;
        let ran = catch_unwind(AssertUnwindSafe(|| run_job(unit, connection.as_tx())));
        let ran = ran.unwrap_or_else(|_| Err(StoreError::Panicked("see the log".into())));
        if let Some(failure) = self.connection.take_failure() {
            return Err(failure);
        }
        log_failure(&ran);
        if ran.is_ok() {
            self.commit()?;
        } else if self.connection.in_transaction() {
            self.connection.rollback()?;
        }
        Ok(Done { outcomes: Vec::new(), ran: vec![ran] })
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        // Outside it, the batch's number would be written without the batch; and half a batch must not be.
        if !self.connection.in_transaction() || std::mem::take(&mut self.doomed) {
            return Err(ended());
        }
        self.batch += 1;
        let stopwatch = Stopwatch::start();
        let committed = self.connection.commit(Some(Mark { writer: &self.writer_id, batch: self.batch }));
        stopwatch.committed(&committed);
        committed
    }

    /// Decides all commands as one batch; if that fails, one by one, so that only the guilty caller fails.
    fn run_commands(
        &mut self,
        submissions: &[Submission],
    ) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
        if submissions.is_empty() {
            return Ok(Vec::new());
        }
        let stopwatch = Stopwatch::start();
        if let Ok(outcomes) = self.run_all(submissions) {
            stopwatch.decided(submissions.len());
            return Ok(outcomes.into_iter().map(Ok).collect());
        }
        if let Some(failure) = self.connection.take_failure() {
            return Err(failure);
        }
        if let Err(error) = self.begin_again() {
            tracing::error!(%error, "a batch could not be begun again");
            return Err(error);
        }
        let mut outcomes = Vec::with_capacity(submissions.len());
        for submission in submissions {
            let outcome = self.run_chunk(std::slice::from_ref(submission)).and_then(|mut outcomes| {
                outcomes.pop().ok_or_else(|| StoreError::Other("no outcome".into()))
            });
            if let Some(failure) = self.connection.take_failure() {
                return Err(failure);
            }
            if let Err(error) = &outcome {
                tracing::error!(%error, account = %submission.command.account(), "a ledger command failed");
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
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
        let ran = guarded(&mut self.connection, |tx| run_job(unit, tx));
        log_failure(&ran);
        ran
    }
}

fn run_job(unit: &mut dyn Job, tx: &mut dyn Tx) -> Result<(), StoreError> {
    if unit.run(tx) { Ok(()) } else { Err(StoreError::Other("taken back".into())) }
}

fn log_failure(ran: &Result<(), StoreError>) {
    if let Err(error @ (StoreError::Panicked(_) | StoreError::Unavailable(_))) = ran {
        tracing::error!(%error, "a unit of work failed");
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

/// Tells every caller how its part went, or why nothing of the batch stands.
fn answer(batch: Batch, done: Result<Done, StoreError>) {
    let (outcomes, ran) = match done {
        Ok(Done { outcomes, ran }) => (outcomes, ran),
        Err(error) => {
            let outcomes = batch.commands.iter().map(|_| Err(error.clone())).collect();
            (outcomes, batch.units.iter().map(|_| Err(error.clone())).collect())
        }
    };
    for (submission, outcome) in batch.commands.into_iter().zip(outcomes) {
        // The caller may be gone; the command stands all the same.
        drop(submission.reply.send(outcome));
    }
    for (unit, ran) in batch.units.into_iter().zip(ran) {
        unit.answer(ran);
    }
}
