//! The gateway: use cases, the HTTP front, the task engine, configuration.
//!
//! Invariant: `app` knows neither HTTP nor SQL text; `http` holds no rule; `worker` calls providers outside
//! any transaction. Not here: printing and exit codes (`rynjer`), SQL (`store`), vendors (`providers`).

pub mod app;
pub mod checkup;
pub mod clock;
pub mod config;
mod console;
mod data_dir;
mod database;
mod doors;
pub mod entropy;
pub mod gateway;
mod heartbeat;
mod http;
mod hub;
mod keyring;
mod metrics;
pub mod migration;
mod objects;
mod payments;
mod peers;
pub mod relocation;
pub mod sampling;
mod seats;
mod state;
mod tar;
pub mod trace;
mod vendors;
mod worker;

pub use data_dir::{DATABASE_FILE, DataDirError};
pub use http::openapi_document;
