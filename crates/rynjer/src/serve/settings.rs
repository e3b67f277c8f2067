//! The settings of `serve`: file, environment and flags, and the master key.
//!
//! Invariant: only flags that were given are in the flags' layer; a key's text is never part of a message.
//! Not here: what settings there are (`server::config`).

use crate::{
    cli::{DATABASE_URL, Serve, Switch},
    failure::Failure,
    terminal::variable,
};
use rynjer_server::config::{Config, ConfigError, Loaded, Origin, secret::parse_master_key};
use std::path::Path;
use toml::{Table, Value};

const KEY: &str = "RYNJER_MASTER_KEY";
const KEY_FILE: &str = "RYNJER_MASTER_KEY_FILE";

/// Merges and checks all layers.
pub(crate) fn load(arguments: &Serve) -> Result<Loaded, Failure> {
    merged(arguments.config.as_deref(), flags(arguments))
}

/// Merges and checks file and environment, for commands that need what `serve` was started with.
pub(crate) fn without_flags(config: Option<&Path>) -> Result<Loaded, Failure> {
    merged(config, Table::new())
}

fn merged(config: Option<&Path>, flags: Table) -> Result<Loaded, Failure> {
    let text = match config {
        Some(path) => Some(read(path, "the settings")?),
        None => None,
    };
    let file = config.zip(text.as_deref());
    let variables = std::env::vars_os();
    let variables =
        variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let given = !flags.is_empty();
    Config::load(file, variables, flags).map_err(|error| refused(&error, given))
}

fn refused(error: &ConfigError, flags_given: bool) -> Failure {
    let by_flag = match error {
        ConfigError::UnknownKey { origin, .. }
        | ConfigError::WrongType { origin, .. }
        | ConfigError::Invalid { origin, .. } => *origin == Origin::Flag,
        ConfigError::Syntax { .. } => false,
        ConfigError::Conflict(_) => flags_given,
    };
    if by_flag { Failure::usage(error.to_string()) } else { Failure::failed(error.to_string()) }
}

fn flags(arguments: &Serve) -> Table {
    let text = |value: &Option<String>| value.clone().map(Value::String);
    let metrics = arguments.metrics_listen.as_deref();
    let metrics =
        metrics.map(|address| Value::String(if address == "off" { "" } else { address }.to_owned()));
    let server = [
        ("listen", text(&arguments.listen)),
        ("public_url", text(&arguments.public_url)),
        ("tls_cert", text(&arguments.tls_cert)),
        ("tls_key", text(&arguments.tls_key)),
        ("behind_proxy", arguments.behind_proxy.then_some(Value::Boolean(true))),
        ("metrics_listen", metrics),
    ];
    // From the environment it is in that layer already, where a refusal names the variable.
    let url = arguments.place.database().filter(|url| variable(DATABASE_URL) != *url);
    let url = url.map(|url| Value::String(url.to_owned()));
    let rates = arguments.rate_limits.map(|state| Value::Boolean(state == Switch::On));
    let sections = [
        ("server", section(server)),
        ("database", section([("url", url)])),
        ("limits", section([("rate_limits", rates)])),
    ];
    let given = sections.into_iter().filter(|(_, table)| !table.is_empty());
    given.map(|(name, table)| (name.to_owned(), Value::Table(table))).collect()
}

fn section<const N: usize>(keys: [(&str, Option<Value>); N]) -> Table {
    keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// The master key that the operator gives, if any.
pub(crate) fn master_key() -> Result<Option<[u8; 32]>, Failure> {
    let given = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let (source, text) = match (given(KEY), given(KEY_FILE)) {
        (Some(_), Some(_)) => {
            return Err(Failure::failed(format!("{KEY} and {KEY_FILE} are both set; keep one")));
        }
        (Some(text), None) => (KEY, text.to_string_lossy().into_owned()),
        (None, Some(path)) => (KEY_FILE, read(Path::new(&path), "the master key")?),
        (None, None) => return Ok(None),
    };
    let key = parse_master_key(&text).map_err(|error| Failure::failed(format!("{source}: {error}")))?;
    Ok(Some(key))
}

fn read(path: &Path, what: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("can't read {what} from {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn flags_of(line: &str) -> String {
        let words = ["rynjer", "serve"].into_iter().chain(line.split_whitespace());
        let Command::Serve(arguments) = Cli::try_parse_from(words).unwrap().command else { panic!() };
        toml::to_string(&flags(&arguments)).unwrap()
    }

    #[test]
    fn only_given_flags_are_settings() {
        assert_eq!(flags_of("--data-dir /x --test-clock"), "");
        let line = "--listen [::1]:0 --rate-limits off --metrics-listen off --behind-proxy";
        let server = "[server]\nbehind_proxy = true\nlisten = \"[::1]:0\"\nmetrics_listen = \"\"\n";
        assert_eq!(flags_of(line), format!("[limits]\nrate_limits = false\n\n{server}"));
    }
}
