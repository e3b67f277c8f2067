//! The gateway from outside: every call of the API, in process, over a real database and the real worker.
//!
//! Invariant: each test has its own gateway and folder, moves time by hand, and ends with an audit of the
//! ledger (`support::TestApp`). Not here: sockets and TLS (`server/src/http/listen.rs`), the binary
//! (`crates/rynjer`). The lints know tests by `cfg(test)`.

#[cfg(test)]
mod support;

#[cfg(test)]
mod account_page;
#[cfg(test)]
mod agent_page;
#[cfg(test)]
mod audit_log;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod bind;
#[cfg(test)]
mod bind_page;
#[cfg(test)]
mod budget;
#[cfg(test)]
mod budget_page;
#[cfg(test)]
mod callback;
#[cfg(test)]
mod cancel;
#[cfg(test)]
mod closure;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod doubt;
#[cfg(test)]
mod events;
#[cfg(test)]
mod export;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod fan_out;
#[cfg(test)]
mod file;
mod film;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod gallery;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod history;
#[cfg(test)]
mod hostile_vendor;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod input;
#[cfg(test)]
mod key;
#[cfg(test)]
mod key_line;
#[cfg(test)]
mod key_page;
#[cfg(test)]
mod keyring;
#[cfg(test)]
mod letter;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod list;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod moderation;
#[cfg(test)]
mod moltbook;
#[cfg(test)]
mod node;
#[cfg(test)]
mod notice;
#[cfg(test)]
mod oidc;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod owner;
#[cfg(test)]
mod pause;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod policy_page;
#[cfg(test)]
mod preset;
#[cfg(test)]
mod price;
#[cfg(test)]
mod price_change;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod route;
#[cfg(test)]
mod s3;
#[cfg(test)]
mod s3_outage;
#[cfg(test)]
mod second_step;
#[cfg(test)]
mod security;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod slow_input;
#[cfg(test)]
mod spend;
#[cfg(test)]
mod task;
#[cfg(test)]
mod test_clock;
#[cfg(test)]
mod theft;
#[cfg(test)]
mod token;
#[cfg(test)]
mod topup;
#[cfg(test)]
mod topup_attack;
#[cfg(test)]
mod topup_freeze;
#[cfg(test)]
mod topup_sweep;
#[cfg(test)]
mod trail;
#[cfg(test)]
mod upload;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod vendor;
mod vendor_cancel;
#[cfg(test)]
mod vertical;
