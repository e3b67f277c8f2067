//! Use cases: what the API, the operator and later fronts ask for, without knowing who asks.
//!
//! Invariant: nothing here knows HTTP or SQL text; a use case takes its caller first and returns core and
//! wire types or [`Error`]. Not here: rules (`core`), storage (`store`).

pub(crate) mod account;
pub mod actor;
pub mod admin;
pub(crate) mod agent;
pub mod audit_log;
mod bind;
pub(crate) mod body;
pub(crate) mod breaker;
pub(crate) mod callback;
pub(crate) mod caller;
pub(crate) mod cancel;
mod error;
pub(crate) mod estimate;
pub(crate) mod events;
pub(crate) mod file;
pub(crate) mod generate;
pub(crate) mod input;
pub(crate) mod jwks;
pub(crate) mod key;
pub(crate) mod letter;
pub(crate) mod link;
pub(crate) mod list;
pub(crate) mod model;
pub(crate) mod new_password;
pub(crate) mod node;
mod normalize;
pub(crate) mod oidc;
pub(crate) mod operator;
pub(crate) mod output;
pub(crate) mod owner;
pub(crate) mod password;
pub mod price;
pub(crate) mod queue;
mod quote;
pub(crate) mod receipt;
pub mod reconcile;
pub(crate) mod request;
pub(crate) mod restoration;
pub(crate) mod route;
pub(crate) mod second_step;
pub(crate) mod session;
mod signed;
pub(crate) mod task;
pub(crate) mod test_mode;
pub(crate) mod token;
pub(crate) mod upload;
pub(crate) mod upstream_input;
pub(crate) mod usage;
pub(crate) mod vendor;
pub(crate) mod watch;

pub use error::{Error, Field};
