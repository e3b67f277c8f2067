//! The arguments of `admin policy`.
//!
//! Invariant: what is not named stays as it is. Not here: what the commands do (`crate::admin::policy`).

use crate::cli::{
    Place,
    value::{self, AccountName},
};
use clap::{ArgGroup, Subcommand};
use rynjer_core::{
    credits::Credits,
    id::{AgentId, KeyId},
};

/// `admin policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Say which models an account, or one agent or key of it, may use, and what one generation may cost
    #[command(group(ArgGroup::new("what").args(["models", "max_price"]).required(true).multiple(true)))]
    Set {
        /// The account's id or e-mail
        #[arg(long, value_parser = value::account)]
        account: AccountName,
        /// For this agent alone
        #[arg(long, value_parser = value::agent, conflicts_with = "key")]
        agent: Option<AgentId>,
        /// For this key alone
        #[arg(long, value_parser = value::key)]
        key: Option<KeyId>,
        /// The models, with commas, or all
        #[arg(long, value_name = "NAMES", value_parser = models)]
        models: Option<Models>,
        /// The most credits that one generation may cost, or none
        #[arg(long, value_name = "N", value_parser = max_price)]
        max_price: Option<MaxPrice>,
        #[command(flatten)]
        place: Place,
    },
    /// List the policies of an account
    List {
        /// The account's id or e-mail
        #[arg(long, value_parser = value::account)]
        account: AccountName,
        #[command(flatten)]
        place: Place,
    },
}

/// Allowed models; none is all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Models(pub(crate) Option<Vec<String>>);

fn models(text: &str) -> Result<Models, String> {
    if text == "all" {
        return Ok(Models(None));
    }
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err("must be names of models with commas between, or all".to_owned());
    }
    Ok(Models(Some(names)))
}

/// The highest price; none is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MaxPrice(pub(crate) Option<Credits>);

fn max_price(text: &str) -> Result<MaxPrice, String> {
    if text == "none" {
        return Ok(MaxPrice(None));
    }
    let number = text.parse().ok().filter(|number: &i64| *number >= 0);
    number.map(|number| MaxPrice(Some(Credits(number)))).ok_or_else(|| "must be credits, or none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_prices() {
        assert_eq!(models("all"), Ok(Models(None)));
        assert_eq!(models("V4, z-image"), Ok(Models(Some(vec!["V4".to_owned(), "z-image".to_owned()]))));
        assert!(models("V4,").is_err() && models("").is_err());
        assert_eq!(max_price("none"), Ok(MaxPrice(None)));
        assert_eq!(max_price("0"), Ok(MaxPrice(Some(Credits(0)))));
        assert!(max_price("-1").is_err() && max_price("").is_err());
    }
}
