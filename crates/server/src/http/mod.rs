//! The HTTP front: routes, extractors, answers.
//!
//! Invariant: handlers extract, call a use case and convert; every error becomes an answer in one place. Not
//! here: rules, SQL.

mod account;
mod address;
mod agent;
pub(crate) mod body_memory;
mod byte_range;
mod callback;
pub(crate) mod csv;
mod document;
pub(crate) mod error;
mod estimate;
mod events;
pub(crate) mod extract;
mod file;
mod form;
mod generate;
mod guide;
mod health;
mod key;
mod link;
mod list;
pub(crate) mod listen;
mod middleware;
mod model;
mod moltbook;
mod openapi;
mod output;
pub(crate) mod rate;
mod route;
pub(crate) mod router;
mod socket;
mod task;
mod test_mode;
pub(crate) mod tls;
mod token;
mod topup;
mod upstream_input;
mod usage;

pub use openapi::document as openapi_document;
