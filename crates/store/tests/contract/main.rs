//! The store's contract: what every backend must do, noun by noun.
//!
//! Invariant: no test names a database but those in `audit`, `crash` and `migrate`, which reach below the
//! store. Not here: rules (`core`). The lints know tests, with their `unwrap`, by `cfg(test)`.

#[cfg(test)]
mod agent;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod budget;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod database;
#[cfg(test)]
mod election;
#[cfg(test)]
mod file;
#[cfg(test)]
mod key;
#[cfg(test)]
mod key_line;
#[cfg(test)]
mod lease;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod list;
#[cfg(test)]
mod migrate;
#[cfg(test)]
mod node;
#[cfg(test)]
mod notice;
#[cfg(test)]
mod pause;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod relocation;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod secret;
#[cfg(test)]
mod spend;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod task;
#[cfg(test)]
mod token;
#[cfg(test)]
mod topup;
#[cfg(test)]
mod writer;
