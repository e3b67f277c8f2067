//! How many machines so many agents need: a small simulation of gateways, their ledger writers and
//! PostgreSQL, fed with measured costs.
//!
//! Invariant: deterministic; each number is measured (`measured`) or stands in the table of what is assumed
//! (`table`). Not here: measuring (`bench_postgres`), advice (docs/SCALING.md).

mod fleet;
mod measured;
mod table;

pub(crate) use table::run;
