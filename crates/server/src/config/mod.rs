//! The settings of a gateway: defaults, then a file, then the environment, then flags.
//!
//! Invariant: a `Config` has passed every check, so nothing behind it asks again whether a setting makes
//! sense. Not here: secrets (`secret` only reads their form), and reading files or the process environment,
//! which the caller does.

mod check;
mod console;
mod database;
mod environment;
mod error;
mod inputs;
mod keys;
mod limits;
mod load;
mod log;
mod moderation;
mod moltbook;
mod reader;
mod retention;
mod sandbox;
pub mod secret;
mod server;
mod storage;
mod stripe;
mod trace;
mod vendors;
mod worker;

use std::path::Path;

use serde::Serialize;

pub use console::{Console, SignUp};
pub use database::{Database, DatabaseUrl, Threads};
pub use error::{ConfigError, Origin};
pub use inputs::Inputs;
pub use keys::Keys;
pub use limits::Limits;
pub use log::{Log, LogFormat};
pub use moderation::Moderation;
pub use moltbook::Moltbook;
pub use retention::Retention;
pub use sandbox::Sandbox;
pub use secret::Secret;
pub use server::Server;
pub use storage::{Catalog, Downloads, ObjectUrl, SecretText, Storage};
pub use stripe::Stripe;
pub use trace::Trace;
pub use vendors::{Fal, Google, Kie, OpenAi, Replicate, Routes, Vendor};
pub use worker::Worker;

/// The default settings with their documentation, as `config.default.toml` has them.
pub const DEFAULT_TEXT: &str = include_str!("../../config.default.toml");

/// All settings, checked. `config.default.toml` documents each key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    pub server: Server,
    pub database: Database,
    pub limits: Limits,
    pub worker: Worker,
    pub sandbox: Sandbox,
    pub retention: Retention,
    pub keys: Keys,
    pub inputs: Inputs,
    pub storage: Storage,
    pub catalog: Catalog,
    pub log: Log,
    pub trace: Trace,
    pub moderation: Moderation,
    pub routes: Routes,
    pub openai: OpenAi,
    pub google: Google,
    pub xai: Vendor,
    pub dashscope: Vendor,
    pub ark: Vendor,
    pub fal: Fal,
    pub kie: Kie,
    pub replicate: Replicate,
    pub moltbook: Moltbook,
    pub console: Console,
    pub stripe: Stripe,
}

/// A configuration, and what its operator should hear about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    pub config: Config,
    /// Whole sentences, for stderr.
    pub warnings: Vec<String>,
}

impl Config {
    /// Merges and checks all layers. `file` is the path (for messages) and the text of `--config`; `env`
    /// any pairs, of which only `RYNJER_*` count; `flags` sections with keys as in the file, only those that
    /// were given.
    ///
    /// # Errors
    /// The first setting that is unknown, of the wrong type, out of range, or at odds with another one.
    pub fn load(
        file: Option<(&Path, &str)>,
        env: impl Iterator<Item = (String, String)>,
        flags: toml::Table,
    ) -> Result<Loaded, ConfigError> {
        load::load(file, env, flags)
    }

    /// The settings as a file that `--config` accepts; a password in `database.url` and
    /// `storage.secret_access_key` are not shown.
    ///
    /// # Errors
    /// Never for a loaded configuration: only for what TOML can't hold.
    pub fn to_toml_text(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str) -> Result<Loaded, ConfigError> {
        Config::load(Some((Path::new("r.toml"), file)), std::iter::empty(), toml::Table::new())
    }

    #[test]
    fn printed_defaults_are_the_documented_defaults() {
        let printed: toml::Table = load("").unwrap().config.to_toml_text().unwrap().parse().unwrap();
        let documented: toml::Table = DEFAULT_TEXT.parse().unwrap();
        assert_eq!(printed, documented);
    }

    #[test]
    fn a_printed_configuration_loads_as_itself() {
        let all = r#"
[server]
listen = "0.0.0.0:443"
public_url = "https://gateway.example/"
trusted_proxies = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]
tls_cert = "cert.pem"
tls_key = "key.pem"
metrics_listen = ""
[database]
url = "sqlite:/var/lib/rynjer.db"
[storage]
url = "s3://bucket/outputs"
endpoint = "https://s3.example"
region = "eu-central-1"
downloads = "redirect"
access_key_id = "AKIA"
secret_access_key_file = "/run/secrets/s3"
[log]
format = "json"
"#;
        let config = load(all).unwrap().config;
        assert_eq!(load(&config.to_toml_text().unwrap()).unwrap().config, config);
    }

    #[test]
    fn every_documented_key_has_a_comment_above_it() {
        let lines: Vec<&str> = DEFAULT_TEXT.lines().collect();
        for pair in lines.windows(2) {
            let bare = pair[1].contains(" = ") && !pair[1].starts_with('#') && pair[0].is_empty();
            let heading = pair[0].starts_with('[') && !pair[1].starts_with('#');
            assert!(!bare && !heading, "{}", pair[1]);
        }
    }
}
