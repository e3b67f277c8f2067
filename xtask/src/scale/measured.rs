//! What `cargo xtask bench-postgres` measured on machine A of docs/PERFORMANCE.md, on 2026-11-23.
//!
//! Invariant: figures of one run, from the lines that are named beside them; times in microseconds of one
//! core. Not here: what is assumed (`table`).

/// Processor time of requests, and what a commit waits for.
#[derive(Clone, Copy)]
pub(crate) struct Costs {
    /// Of a gateway for an accept: HTTP, rules, and the ledger writer's part.
    pub(crate) accept_gateway: f64,
    /// Of PostgreSQL for a batch, whatever it carries.
    pub(crate) batch_database: f64,
    /// Of PostgreSQL for each accept in a batch.
    pub(crate) accept_database: f64,
    pub(crate) poll_gateway: f64,
    pub(crate) poll_database: f64,
    /// From the accept to the capture of an output that is at hand, with the answer.
    pub(crate) whole_gateway: f64,
    pub(crate) whole_database: f64,
    /// Of the load generator for an accept.
    pub(crate) client: f64,
    /// A commit's sync to disk, in which nobody computes.
    pub(crate) sync: f64,
    /// A statement's way there and back, beside processor time.
    pub(crate) round_trip: f64,
}

/// Statements of a batch of accepts: BEGIN, accounts, requests, budgets, tasks, entries, accounts, COMMIT.
pub(crate) const ROUND_TRIPS: f64 = 8.0;
/// How much of the gateway's part of an accept is the one ledger writer's. Assumed, not measured.
pub(crate) const WRITER_SHARE: f64 = 0.3;

/// One core of machine A at a load average of 10: the run's lines of one process. 64 clients on one account
/// (accept: 32.4 in a commit; poll), and whole tasks. An accept of one client took 1,144 microseconds, 200 of
/// them nobody's processor time: sync and round trips. PostgreSQL's part of it was 548.9, and 44.8 in a
/// commit of 32.4: what is a batch's own and what an accept's follows.
pub(crate) const MACHINE: Costs = Costs {
    accept_gateway: 38.2,
    batch_database: 520.0,
    accept_database: 28.7,
    poll_gateway: 74.0,
    poll_database: 91.6,
    whole_gateway: 1_229.0,
    whole_database: 1_367.0,
    client: 10.5,
    sync: 120.0,
    round_trip: 10.0,
};

/// The run that the simulation must give again: one process, one account.
#[cfg(test)]
pub(crate) struct Run {
    pub(crate) clients: usize,
    pub(crate) cores: usize,
    pub(crate) per_second: f64,
}

/// It used 1.06 cores: other programs had the rest. That makes it a weak test of anything but the costs:
/// with both cores the simulation says 14,706.
#[cfg(test)]
pub(crate) const MEASURED: Run = Run { clients: 64, cores: 1, per_second: 11_354.0 };

/// What a finished task keeps in the database, with its part of the indexes: its row, two entries, an
/// attempt, an output.
pub(crate) const ROW_BYTES: f64 = 3_450.0;
