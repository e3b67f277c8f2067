//! The arguments of `admin pause` and `admin resume`.
//!
//! Invariant: both name the same three kinds of things. Not here: what the commands do
//! (`crate::admin::pause`), and agents (`admin agent pause`).

use crate::cli::{
    Place,
    value::{self, AccountName},
};
use clap::Subcommand;

/// `admin pause`.
#[derive(Debug, Subcommand)]
pub(crate) enum Pause {
    /// Accept nothing new for an account, as its owner can do
    Account {
        /// Its id or e-mail
        #[arg(value_parser = value::account)]
        account: AccountName,
        #[command(flatten)]
        place: Place,
    },
    /// Accept nothing new for a model
    Model {
        /// Its name
        name: String,
        /// Why; callers are told
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
        #[command(flatten)]
        place: Place,
    },
    /// Hand nothing more to a provider; its tasks go elsewhere or wait
    Provider {
        /// Its name, such as openai or sandbox
        name: String,
        /// Why; callers are told
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
        #[command(flatten)]
        place: Place,
    },
    /// List what is paused
    List {
        #[command(flatten)]
        place: Place,
    },
}

/// `admin resume`.
#[derive(Debug, Subcommand)]
pub(crate) enum Resume {
    /// Take an account's requests again; a freeze stays
    Account {
        /// Its id or e-mail
        #[arg(value_parser = value::account)]
        account: AccountName,
        #[command(flatten)]
        place: Place,
    },
    /// Take requests for a model again
    Model {
        /// Its name
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Hand work to a provider again
    Provider {
        /// Its name
        name: String,
        #[command(flatten)]
        place: Place,
    },
}
