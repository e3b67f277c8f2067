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
use rynjer_core::{
    id::AccountId,
    ledger::{Command, Outcome},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
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

impl Batch {
    fn of(works: impl Iterator<Item = Work>) -> Self {
        let mut batch = Self::default();
        for work in works {
            match work {
                Work::Ledger(submission) => batch.commands.push(*submission),
                Work::Unit(job) => batch.units.push(job),
            }
        }
        batch
    }
}

/// How each part of a batch went, in its order.
struct Done {
    outcomes: Vec<Result<Outcome, StoreError>>,
    ran: Vec<Result<(), StoreError>>,
}

/// Why a batch does not stand as one.
enum Failed {
    /// All are told the same.
    All(StoreError),
    /// One of the commands is guilty, and nobody knows which.
    Split,
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::All(error)
    }
}

/// The state of a writer thread.
pub(crate) struct Writer<C> {
    connection: C,
    queue: Arc<Mutex<Receiver<Work>>>,
    batch_max: usize,
    writer_id: String,
    batch: i64,
    waiting: Waiting,
}

impl<C: Connection> Writer<C> {
    pub(crate) fn new(
        connection: C,
        queue: Arc<Mutex<Receiver<Work>>>,
        batch_max: usize,
        writer_id: String,
    ) -> Self {
        Self { connection, queue, batch_max, writer_id, batch: 0, waiting: Waiting::default() }
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
            self.connection.between_transactions();
        }
    }

    /// What is waiting now, once something is; `None` when every sender is gone. Taken under one lock:
    /// between two, another writer would fall asleep in `recv` with the lock, and the job already taken would
    /// wait for the next.
    fn next_batch(&mut self) -> Option<Batch> {
        loop {
            let patience = self.connection.rests_after();
            let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let first = match patience.map(|patience| queue.recv_timeout(patience)) {
                None => queue.recv().ok()?,
                Some(Ok(work)) => work,
                Some(Err(RecvTimeoutError::Disconnected)) => return None,
                Some(Err(RecvTimeoutError::Timeout)) => {
                    drop(queue);
                    self.connection.rest();
                    continue;
                }
            };
            let others = std::iter::from_fn(|| queue.try_recv().ok());
            return Some(Batch::of(std::iter::once(first).chain(others).take(self.batch_max)));
        }
    }

    /// Runs a batch and answers everyone. Commands that fail together run one by one, each in a transaction
    /// of its own, so that only the guilty caller fails; returns what all were told, if it was one error.
    fn run_batch(&mut self, mut batch: Batch) -> Option<StoreError> {
        match self.run_together(&mut batch) {
            Ok(done) => answer(batch, Ok(done)),
            Err(Failed::Split) => self.run_apart(batch),
            Err(Failed::All(error)) => {
                if let ([only], false) = (&*batch.commands, error.is_passing()) {
                    tracing::error!(%error, account = %only.command.account(), "a ledger command failed");
                }
                answer(batch, Err(error.clone()));
                return Some(error);
            }
        }
        None
    }

    /// In the order of accounts. Where one account's rows are not to be had, its other commands don't wait.
    fn run_apart(&mut self, batch: Batch) {
        let mut commands = batch.commands;
        commands.sort_by(|a, b| a.command.account().cmp(b.command.account()));
        let mut away: Option<(AccountId, StoreError)> = None;
        for submission in commands {
            let account = submission.command.account().clone();
            match &away {
                Some((known, error)) if *known == account => drop(submission.reply.send(Err(error.clone()))),
                _ => {
                    let one = Batch { commands: vec![submission], units: Vec::new() };
                    let failed = self.run_batch(one).filter(StoreError::is_passing);
                    away = failed.map(|error| (account, error));
                }
            }
        }
        if !batch.units.is_empty() {
            self.run_batch(Batch { commands: Vec::new(), units: batch.units });
        }
    }

    /// Runs a batch in one transaction, and again while another transaction is in its way or its connection
    /// breaks.
    fn run_together(&mut self, batch: &mut Batch) -> Result<Done, Failed> {
        let mut runs = 1;
        loop {
            let done = self.try_batch(batch);
            if self.connection.in_transaction() {
                // The first error is what callers are told.
                drop(self.connection.rollback());
            }
            let error = match done {
                Err(Failed::All(error)) if error.asks_for_another_run() => error,
                done => return done,
            };
            if runs == RUNS_MAX {
                tracing::error!(%error, runs, "a batch was given up");
                return Err(Failed::All(StoreError::Unavailable(error.to_string())));
            }
            std::thread::sleep(Duration::from_millis(runs.min(20)));
            runs += 1;
        }
    }

    /// One run of a batch in one transaction; after an error nothing of it stands.
    fn try_batch(&mut self, batch: &mut Batch) -> Result<Done, Failed> {
        self.connection.begin()?;
        let outcomes = self.run_commands(batch)?;
        if let (true, [unit]) = (batch.commands.is_empty(), &mut *batch.units) {
            return Ok(self.run_alone(unit.as_mut())?);
        }
        let mut ran = Vec::with_capacity(batch.units.len());
        for unit in &mut batch.units {
            ran.push(self.run_unit(unit.as_mut()));
            if let Some(failure) = self.connection.take_failure() {
                return Err(failure.into());
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
        }
        Ok(Done { outcomes: Vec::new(), ran: vec![ran] })
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        // Outside it, the batch's number would be written without the batch.
        if !self.connection.in_transaction() {
            return Err(ended());
        }
        self.batch += 1;
        let stopwatch = Stopwatch::start();
        let committed = self.connection.commit(Some(Mark { writer: &self.writer_id, batch: self.batch }));
        stopwatch.committed(&committed);
        committed
    }

    /// All commands at once, without a savepoint: one would make SQLite copy every page that the batch
    /// changes.
    fn run_commands(&mut self, batch: &Batch) -> Result<Vec<Result<Outcome, StoreError>>, Failed> {
        if batch.commands.is_empty() {
            return Ok(Vec::new());
        }
        let stopwatch = Stopwatch::start();
        let commands: Vec<_> = batch.commands.iter().map(|s| (s.now_ms, &s.command)).collect();
        let connection = &mut self.connection;
        let run = AssertUnwindSafe(|| ledger::run_batch(connection.as_tx(), &commands));
        let ran = catch_unwind(run).unwrap_or_else(|_| Err(StoreError::Panicked("see the log".into())));
        match (ran, self.connection.take_failure()) {
            (_, Some(failure)) => Err(failure.into()),
            (Ok(outcomes), None) => {
                stopwatch.decided(commands.len());
                Ok(outcomes.into_iter().map(Ok).collect())
            }
            (Err(error), None) if commands.len() == 1 && batch.units.is_empty() => Err(error.into()),
            (Err(_), None) => Err(Failed::Split),
        }
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
