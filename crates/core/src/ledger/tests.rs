//! Tests of the ledger: a reference model on random commands, and tables of the cases that the contract
//! names.
//!
//! Invariant: rows are loaded by hand and written back as the store does it, so that a forgotten `changed`
//! shows. Not here: SQL (`store`'s contract suite).

mod budgets;
mod desk;
mod model;
mod money;
mod notices;
mod order;
mod random;
mod settling;
