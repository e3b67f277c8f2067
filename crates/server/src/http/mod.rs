//! The HTTP front: routes, extractors, answers.
//!
//! Invariant: handlers extract, call a use case and convert; every error becomes an answer in one place. Not
//! here: rules, SQL.

mod account;
mod address;
mod agent;
mod byte_range;
mod document;
pub(crate) mod error;
mod estimate;
pub(crate) mod extract;
mod generate;
mod guide;
mod health;
mod key;
pub(crate) mod listen;
mod middleware;
mod model;
mod openapi;
mod output;
pub(crate) mod rate;
pub(crate) mod router;
mod socket;
mod task;
pub(crate) mod tls;
mod token;

pub use openapi::document as openapi_document;
