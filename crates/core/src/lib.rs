//! The rules of rynjer: what things cost, when money may move, which task states follow which, whose
//! signature counts.
//!
//! Invariant: nothing here does I/O, reads a clock or draws randomness; `now` and ids come in as arguments,
//! so every rule runs in microseconds and can be replayed. Not here: SQL, HTTP, JSON of vendors.

pub mod address;
pub mod budget;
pub mod canonical;
pub mod catalog;
pub mod credits;
pub mod fingerprint;
pub mod id;
pub mod job_id;
pub mod json;
pub mod key;
pub mod ledger;
pub mod nearest;
pub mod policy;
pub mod scope;
pub mod signature;
pub mod task;
pub mod throttle;
pub mod time;
pub mod topup;
pub mod totp;
