//! The only SQL of rynjer: a database, units of work on it, and the ledger's batches.
//!
//! Invariant: writes go through threads that commit durably before they answer; reads see one snapshot each.
//! Not here: rules (`core`), HTTP. Each noun has its file of queries; `admin` holds the reads that no account
//! bounds.

pub mod abandoned;
pub mod account;
pub mod admin;
pub mod agent;
pub mod attempt;
pub mod audit_log;
mod batch;
mod bell;
pub mod budget;
pub mod callback;
mod channel;
mod checkpoint;
mod claim;
pub mod closure;
mod dialect;
pub mod election;
mod error;
pub mod export;
pub mod file;
pub mod inspect;
pub mod installation;
pub mod key;
pub mod key_line;
pub mod lease;
mod ledger;
pub mod list;
mod measure;
mod migrate;
pub mod moltbook;
pub mod node;
pub mod nonce;
pub mod notice;
pub mod operator;
pub mod output;
pub mod owner;
pub mod pause;
pub mod policy;
mod postgres;
pub mod price;
pub mod queue;
mod reader;
pub mod reconcile;
pub mod recovery;
pub mod relocation;
pub mod retention;
pub mod secret;
pub mod session;
pub mod spend;
mod sqlite;
mod store;
pub mod task;
pub mod throttle;
pub mod ticket;
pub mod token;
pub mod topup;
mod tx;
pub mod usage;
mod writer;

pub use dialect::Dialect;
pub use error::StoreError;
pub use ledger::{Finding, audit_account, audit_accounts, audit_tasks, decide_within, moved_before};
pub use migrate::latest as latest_schema;
pub use postgres::{Link, LinkError};
pub use store::{Database, Settings, Store, ping};
pub use tx::{Param, Row, Tx, Value};
