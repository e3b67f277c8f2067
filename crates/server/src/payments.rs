//! The payment service of a process, if its operator gave keys.
//!
//! Invariant: without a key there is none; a key file that can't be read stops the start. Not here: purchases
//! (`app::topup`).

use crate::{
    config::{Config, SecretText},
    gateway::StartError,
};
use rynjer_peers::stripe::{Secret, Stripe};
use std::path::PathBuf;
use url::Url;

/// The payment service, and the secrets that sign what it tells.
#[derive(Debug)]
pub(crate) struct Payments {
    pub(crate) stripe: Stripe,
    pub(crate) webhook_secrets: Vec<Secret>,
}

/// The payment service, if there is one.
pub(crate) fn open(config: &Config) -> Result<Option<Payments>, StartError> {
    let settings = &config.stripe;
    if !settings.is_on() {
        return Ok(None);
    }
    let refused = |problem: String| StartError::Vendor("stripe", problem);
    let base_url = Url::parse(&settings.base_url).map_err(|error| refused(error.to_string()))?;
    let key = text(&settings.secret_key, settings.secret_key_file.as_ref()).map_err(refused)?;
    let secrets = text(&settings.webhook_secret, settings.webhook_secret_file.as_ref()).map_err(refused)?;
    let is_between = |letter: char| letter == ',' || letter.is_whitespace();
    let secrets: Vec<Secret> =
        secrets.split(is_between).filter(|secret| !secret.is_empty()).map(Secret::new).collect();
    if secrets.is_empty() {
        return Err(refused("its webhook secret is empty".to_owned()));
    }
    let stripe = Stripe::new(base_url, Secret::new(&key)).map_err(|error| refused(error.to_string()))?;
    if !stripe.is_live() {
        if !settings.allow_test_payments {
            let problem = "its key is one of test mode, with which anybody gets real credits for no money; \
                           take a live key, or set stripe.allow_test_payments = true where that is wanted";
            return Err(refused(problem.to_owned()));
        }
        tracing::warn!("the key is one of Stripe's test mode: whoever buys gets credits and pays nothing");
    }
    Ok(Some(Payments { stripe, webhook_secrets: secrets }))
}

/// A secret of the configuration or of the file in its place.
fn text(secret: &SecretText, file: Option<&PathBuf>) -> Result<String, String> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("its key file {} can't be read: {error}", path.display()))?,
        None => secret.expose().to_owned(),
    };
    if text.trim().is_empty() { Err("its key is empty".to_owned()) } else { Ok(text) }
}
