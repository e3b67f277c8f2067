//! Section `[stripe]`: whether credits can be bought, in which packs, and with whose keys.
//!
//! Invariant: off without a key; keys are never printed. Not here: reading key files, and what a purchase is
//! (`app::topup`).

use std::path::PathBuf;

use rynjer_core::topup::{self, Pack};
use serde::{Serialize, Serializer};
use url::Url;

use super::error::ConfigError;
use super::reader::Reader;
use super::server::text_or_empty;
use super::storage::SecretText;
use super::vendors;

/// Most packs that a page shows.
const PACKS_MAX: usize = 12;

/// How credits are bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stripe {
    /// Empty: off, unless the file has one.
    pub secret_key: SecretText,
    #[serde(serialize_with = "text_or_empty")]
    pub secret_key_file: Option<PathBuf>,
    /// One, or several with commas between them.
    pub webhook_secret: SecretText,
    #[serde(serialize_with = "text_or_empty")]
    pub webhook_secret_file: Option<PathBuf>,
    /// Three letters in lower case.
    pub currency: String,
    #[serde(serialize_with = "pack_texts")]
    pub packs: Vec<Pack>,
    /// Without a slash at its end.
    pub base_url: String,
    /// Where browsers are sent to pay, as an origin.
    pub checkout_origin: String,
    /// Whether a key of test mode may give credits.
    pub allow_test_payments: bool,
}

impl Stripe {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            secret_key: SecretText::new(section.text("secret_key")?),
            secret_key_file: section.path("secret_key_file")?,
            webhook_secret: SecretText::new(section.text("webhook_secret")?),
            webhook_secret_file: section.path("webhook_secret_file")?,
            currency: currency(section)?,
            packs: packs(section)?,
            base_url: vendors::url(section, "base_url")?,
            checkout_origin: origin(section)?,
            allow_test_payments: section.truth("allow_test_payments")?,
        })
    }

    /// Whether the operator gave it a key.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.secret_key.expose().is_empty() || self.secret_key_file.is_some()
    }

    /// What does not go together.
    pub(super) fn problem(&self) -> Option<String> {
        if !self.is_on() {
            return None;
        }
        let both = |text: &SecretText, file: &Option<PathBuf>| !text.expose().is_empty() && file.is_some();
        if both(&self.secret_key, &self.secret_key_file)
            || both(&self.webhook_secret, &self.webhook_secret_file)
        {
            return Some("[stripe] has both a key and a file for it: keep one of them".to_owned());
        }
        if self.webhook_secret.expose().is_empty() && self.webhook_secret_file.is_none() {
            let cause = "stripe.secret_key needs stripe.webhook_secret beside it";
            return Some(format!("{cause}: without it nothing that is paid could be believed"));
        }
        if self.packs.is_empty() {
            let form = "such as [\"1000=1000\"]: credits = price in cents";
            return Some(format!("stripe.packs must name what can be bought, {form}"));
        }
        let step = topup::minor_step(&self.currency);
        self.packs.iter().find(|pack| pack.amount_minor % step != 0).map(|pack| {
            let (text, currency) = (pack.to_text(), &self.currency);
            format!("stripe.packs has {text:?}, but Stripe takes prices in {currency} as multiples of {step}")
        })
    }
}

fn currency(section: &Reader<'_>) -> Result<String, ConfigError> {
    let text = section.text("currency")?.to_ascii_lowercase();
    let letters = text.len() == 3 && text.bytes().all(|b| b.is_ascii_lowercase());
    let form = || section.invalid("currency", format!("must be three letters such as usd, but is {text:?}"));
    if letters { Ok(text) } else { Err(form()) }
}

fn packs(section: &Reader<'_>) -> Result<Vec<Pack>, ConfigError> {
    let texts = section.texts("packs")?;
    let form = |text: &str| {
        let problem = "must hold at most 12 texts CREDITS=PRICE, each from 1 to 99999999, the price in the \
                       smallest unit of the currency";
        section.invalid("packs", format!("{problem}, but has {text:?}"))
    };
    if let Some(text) = texts.get(PACKS_MAX) {
        return Err(form(text));
    }
    texts.into_iter().map(|text| Pack::parse(text).ok_or_else(|| form(text))).collect()
}

fn origin(section: &Reader<'_>) -> Result<String, ConfigError> {
    let text = vendors::url(section, "checkout_origin")?;
    let origin = Url::parse(&text).map(|url| url.origin().ascii_serialization());
    let form = || {
        let wanted = "must be a scheme and a host such as https://checkout.stripe.com, without a path";
        section.invalid("checkout_origin", wanted.to_owned())
    };
    origin.ok().filter(|origin| *origin == text).ok_or_else(form)
}

fn pack_texts<S: Serializer>(packs: &[Pack], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(packs.iter().map(Pack::to_text))
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Loaded};
    use super::*;
    use std::path::Path;

    fn load(text: &str) -> Result<Loaded, ConfigError> {
        Config::load(Some((Path::new("r.toml"), text)), std::iter::empty(), toml::Table::new())
    }

    #[test]
    fn it_is_off_without_a_key_and_needs_all_three_with_one() {
        assert!(!load("").unwrap().config.stripe.is_on());
        let key = "[stripe]\nsecret_key = \"sk_test_hunter2\"\n";
        let rows = [
            ("", "stripe.secret_key needs stripe.webhook_secret beside it"),
            ("webhook_secret = \"whsec_1\"\n", "stripe.packs must name what can be bought"),
            (
                "webhook_secret = \"whsec_1\"\nwebhook_secret_file = \"f\"\n",
                "[stripe] has both a key and a file for it",
            ),
        ];
        for (more, start) in rows {
            let error = load(&format!("{key}{more}")).unwrap_err().to_string();
            assert!(error.starts_with(start) && !error.contains("hunter2"), "{error}");
        }
        let whole = format!("{key}webhook_secret = \"whsec_1\"\npacks = [\"1000=999\", \" 5000 = 4500\"]\n");
        for (currency, step) in [("kwd", Some(10)), ("isk", Some(100)), ("jpy", None)] {
            let loaded = load(&format!("{whole}currency = \"{currency}\"\n"));
            let problem = step.map(|step| format!("prices in {currency} as multiples of {step}"));
            match (loaded, problem) {
                (Ok(_), None) => {}
                (Err(error), Some(problem)) => assert!(error.to_string().contains(&problem), "{error}"),
                (loaded, problem) => panic!("{currency}: {problem:?}, {}", loaded.is_ok()),
            }
        }
        let config = load(&whole).unwrap().config;
        assert!(config.stripe.is_on());
        assert_eq!(
            config.stripe.packs,
            [Pack::parse("1000=999").unwrap(), Pack::parse("5000=4500").unwrap()]
        );
        let printed = config.to_toml_text().unwrap();
        assert!(printed.contains("\"5000=4500\"") && !printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn forms() {
        let thirteen = vec!["\"1=1\""; 13].join(",");
        let rows = [
            ("currency = \"dollars\"".to_owned(), "stripe.currency must be three letters such as usd"),
            ("packs = [\"1000\"]".to_owned(), "stripe.packs must hold at most 12 texts CREDITS=PRICE"),
            (format!("packs = [{thirteen}]"), "stripe.packs must hold at most 12 texts CREDITS=PRICE"),
            ("base_url = \"http://pay.example\"".to_owned(), "stripe.base_url must be an https URL"),
            (
                "checkout_origin = \"https://a.example/b\"".to_owned(),
                "stripe.checkout_origin must be a scheme and a host",
            ),
        ];
        for (text, start) in rows {
            let error = load(&format!("stripe.{text}")).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
        assert_eq!(load("stripe.currency = \"EUR\"").unwrap().config.stripe.currency, "eur");
    }

    #[test]
    fn keys_of_the_environment_turn_it_on() {
        let env =
            [("RYNJER_STRIPE_SECRET_KEY", "sk_test_1"), ("RYNJER_STRIPE_WEBHOOK_SECRET", "whsec_1, whsec_2")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let file = Some((Path::new("r.toml"), "[stripe]\npacks = [\"1=1\"]"));
        let loaded = Config::load(file, env.into_iter(), toml::Table::new()).unwrap();
        assert!(loaded.config.stripe.is_on() && loaded.warnings.is_empty());
        let misspelt = [("RYNJER_STRIPE_SECRETKEY".to_owned(), "x".to_owned())];
        let loaded = Config::load(None, misspelt.into_iter(), toml::Table::new()).unwrap();
        assert_eq!(
            loaded.warnings,
            ["RYNJER_STRIPE_SECRETKEY is ignored; did you mean RYNJER_STRIPE_SECRET_KEY?"]
        );
    }
}
