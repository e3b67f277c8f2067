//! Use cases: what the API, the operator and later fronts ask for, without knowing who asks.
//!
//! Invariant: nothing here knows HTTP or SQL text; a use case takes its caller first and returns core and
//! wire types or [`Error`]. Not here: rules (`core`), storage (`store`).

pub(crate) mod account;
pub mod actor;
pub mod admin;
pub mod agent;
pub mod audit_log;
pub mod bind;
pub(crate) mod body;
pub(crate) mod breaker;
pub(crate) mod callback;
pub(crate) mod caller;
pub(crate) mod cancel;
pub(crate) mod closure;
pub(crate) mod csv;
mod error;
pub(crate) mod estimate;
pub(crate) mod events;
pub mod export;
pub(crate) mod file;
pub(crate) mod generate;
pub(crate) mod history;
pub(crate) mod input;
pub(crate) mod jwks;
pub(crate) mod key;
pub(crate) mod link;
pub(crate) mod list;
pub(crate) mod model;
pub(crate) mod moderation;
pub(crate) mod moltbook;
pub(crate) mod node;
mod normalize;
pub(crate) mod notice;
pub(crate) mod output;
pub(crate) mod overview;
pub(crate) mod owner;
pub(crate) mod password;
pub mod pause;
pub(crate) mod policy;
pub mod price;
pub(crate) mod queue;
mod quote;
pub(crate) mod receipt;
pub mod reconcile;
pub(crate) mod request;
pub(crate) mod restoration;
pub(crate) mod route;
pub(crate) mod session;
mod signed;
pub(crate) mod spend;
pub(crate) mod task;
pub(crate) mod test_mode;
pub(crate) mod token;
pub(crate) mod topup;
pub(crate) mod upload;
pub(crate) mod upstream_input;
pub(crate) mod usage;
pub(crate) mod vendor;
pub(crate) mod watch;

pub use error::{Error, Field, Refused};
