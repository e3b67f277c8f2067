//! Lays file, environment and flags over the defaults, and remembers where each setting came from.
//!
//! Invariant: the merged table has exactly the keys of `config.default.toml`, each with the type that it
//! has there.
//! Not here: ranges and forms (the sections), what must go together (`check`).

use std::collections::BTreeMap;
use std::path::Path;

use rynjer_core::nearest::nearest;
use toml::{Table, Value};

use super::error::{ConfigError, Origin};
use super::reader::Reader;
use super::{
    Catalog, Console, Database, Fal, Google, Inputs, Keys, Kie, Limits, Log, Moderation, Moltbook, OpenAi,
    Replicate, Retention, Routes, Sandbox, Server, Storage, Stripe, Trace, Vendor, Worker,
};
use super::{Config, DEFAULT_TEXT, Loaded, check, environment};

/// How many letters a key may be off to be offered as the one that was meant.
const NEAR: usize = 3;

/// The layers so far.
pub(super) struct Layers {
    /// `section.key` to its value, for every key that exists.
    values: BTreeMap<String, Value>,
    /// Only what a layer above the defaults set.
    origins: BTreeMap<String, Origin>,
}

pub(super) fn load(
    file: Option<(&Path, &str)>,
    env: impl Iterator<Item = (String, String)>,
    flags: Table,
) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::defaults()?;
    if let Some((path, text)) = file {
        layers.lay(parse(path, text)?, &Origin::File(path.to_path_buf()))?;
    }
    let mut warnings = environment::lay(&mut layers, env)?;
    layers.lay(flags, &Origin::Flag)?;
    let config = read(&layers)?;
    check::together(&config, &mut warnings)?;
    Ok(Loaded { config, warnings })
}

fn read(layers: &Layers) -> Result<Config, ConfigError> {
    let section = |name| Reader::new(layers, name);
    Ok(Config {
        server: Server::read(&section("server"))?,
        database: Database::read(&section("database"))?,
        limits: Limits::read(&section("limits"))?,
        worker: Worker::read(&section("worker"))?,
        sandbox: Sandbox::read(&section("sandbox"))?,
        retention: Retention::read(&section("retention"))?,
        keys: Keys::read(&section("keys"))?,
        inputs: Inputs::read(&section("inputs"))?,
        storage: Storage::read(&section("storage"))?,
        catalog: Catalog::read(&section("catalog"))?,
        log: Log::read(&section("log"))?,
        trace: Trace::read(&section("trace"))?,
        moderation: Moderation::read(&section("moderation"))?,
        routes: Routes::read(&section("routes"))?,
        openai: OpenAi::read(&section("openai"))?,
        google: Google::read(&section("google"))?,
        xai: Vendor::read(&section("xai"))?,
        dashscope: Vendor::read(&section("dashscope"))?,
        ark: Vendor::read(&section("ark"))?,
        fal: Fal::read(&section("fal"))?,
        kie: Kie::read(&section("kie"))?,
        replicate: Replicate::read(&section("replicate"))?,
        moltbook: Moltbook::read(&section("moltbook"))?,
        console: Console::read(&section("console"))?,
        stripe: Stripe::read(&section("stripe"))?,
    })
}

/// The text as a table. The message leaves out the line itself: it may hold a password.
fn parse(path: &Path, text: &str) -> Result<Table, ConfigError> {
    text.parse::<Table>().map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ConfigError::Syntax {
            path: path.to_path_buf(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).map_or(0, |rest| rest.chars().count()) + 1,
            problem: error.message().to_owned(),
        }
    })
}

impl Layers {
    fn defaults() -> Result<Self, ConfigError> {
        let table = parse(Path::new("config.default.toml"), DEFAULT_TEXT)?;
        let mut values = BTreeMap::new();
        for (section, keys) in table {
            for (key, value) in keys.as_table().cloned().unwrap_or_default() {
                values.insert(format!("{section}.{key}"), value);
            }
        }
        Ok(Self { values, origins: BTreeMap::new() })
    }

    /// Every `section.key` that exists.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    pub(super) fn origin(&self, name: &str) -> Origin {
        self.origins.get(name).cloned().unwrap_or(Origin::Default)
    }

    /// Sets one existing key to a value of its own type.
    pub(super) fn set(&mut self, name: &str, value: Value, origin: &Origin) -> Result<(), ConfigError> {
        let Some(slot) = self.values.get_mut(name) else {
            return Err(self.unknown(name, origin));
        };
        let texts = |value: &Value| value.as_array().is_none_or(|list| list.iter().all(Value::is_str));
        if !slot.same_type(&value) || !texts(&value) {
            return Err(ConfigError::WrongType {
                key: name.to_owned(),
                expected: type_name(slot).to_owned(),
                found: found(&value),
                origin: origin.clone(),
            });
        }
        *slot = value;
        self.origins.insert(name.to_owned(), origin.clone());
        Ok(())
    }

    fn lay(&mut self, table: Table, origin: &Origin) -> Result<(), ConfigError> {
        for (section, keys) in table {
            if !self.has_section(&section) {
                return Err(self.unknown_section(&section, &keys, origin));
            }
            let Value::Table(keys) = keys else {
                return Err(ConfigError::WrongType {
                    key: format!("[{section}]"),
                    expected: "a section".to_owned(),
                    found: found(&keys),
                    origin: origin.clone(),
                });
            };
            for (key, value) in keys {
                self.set(&format!("{section}.{key}"), value, origin)?;
            }
        }
        Ok(())
    }

    fn sections(&self) -> Vec<&str> {
        let mut sections: Vec<&str> =
            self.names().filter_map(|name| name.split_once('.')).map(|(section, _)| section).collect();
        sections.dedup();
        sections
    }

    fn has_section(&self, section: &str) -> bool {
        self.sections().contains(&section)
    }

    /// A key outside any section may be one whose section was forgotten.
    fn unknown_section(&self, section: &str, value: &Value, origin: &Origin) -> ConfigError {
        let hint = if value.is_table() {
            match nearest(section, self.sections(), NEAR) {
                Some(near) => format!("did you mean [{near}]?"),
                None => format!("the sections are {}", self.sections().join(", ")),
            }
        } else {
            match self.names().find(|name| name.ends_with(&format!(".{section}"))) {
                Some(name) => format!("did you mean {name}?"),
                None => "every setting stands in a section, such as [server]".to_owned(),
            }
        };
        let key = if value.is_table() { format!("[{section}]") } else { section.to_owned() };
        ConfigError::UnknownKey { key, hint, origin: origin.clone() }
    }

    /// Offers the same key in another section first, then the nearest name, then what the section has.
    pub(super) fn unknown(&self, name: &str, origin: &Origin) -> ConfigError {
        let (section, key) = name.split_once('.').unwrap_or((name, ""));
        let elsewhere = self.names().find(|known| known.split_once('.').is_some_and(|(_, own)| own == key));
        let siblings =
            self.names().filter(|known| known.split_once('.').is_some_and(|(own, _)| own == section));
        let near =
            elsewhere.or_else(|| nearest(name, siblings, NEAR)).or_else(|| nearest(name, self.names(), NEAR));
        let hint = match near {
            Some(near) => format!("did you mean {near}?"),
            None => self.list(section),
        };
        ConfigError::UnknownKey { key: name.to_owned(), hint, origin: origin.clone() }
    }

    fn list(&self, section: &str) -> String {
        let keys: Vec<&str> = self
            .names()
            .filter_map(|name| name.split_once('.'))
            .filter(|(own, _)| *own == section)
            .map(|(_, key)| key)
            .collect();
        if keys.is_empty() {
            return format!("the sections are {}", self.sections().join(", "));
        }
        format!("[{section}] has {}", keys.join(", "))
    }
}

/// The type of a default, as the person who sets it would say it.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list of texts",
        Value::Table(_) => "a section",
        Value::Float(_) => "a number with a fraction",
        Value::Datetime(_) => "a date",
    }
}

/// What was given instead. A text is not shown: it may be a secret in the wrong place.
fn found(value: &Value) -> String {
    match value {
        Value::Integer(number) => format!("the whole number {number}"),
        Value::Boolean(truth) => truth.to_string(),
        Value::Float(number) => format!("the number {number}"),
        Value::Array(list) if list.iter().all(Value::is_str) => "a list of texts".to_owned(),
        Value::Array(_) => "a list of other things".to_owned(),
        Value::String(_) | Value::Table(_) | Value::Datetime(_) => type_name(value).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The sections of the documented defaults, as errors list them.
    fn sections() -> String {
        let documented: Table = DEFAULT_TEXT.parse().unwrap();
        let mut names: Vec<&str> = documented.keys().map(String::as_str).collect();
        names.sort_unstable();
        names.join(", ")
    }

    fn of_file(text: &str) -> Result<Loaded, ConfigError> {
        load(Some((Path::new("r.toml"), text)), env(&[]), Table::new())
    }

    fn of_env(pairs: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        load(None, env(pairs), Table::new())
    }

    fn of_flags(text: &str) -> Result<Loaded, ConfigError> {
        load(None, env(&[]), text.parse().unwrap())
    }

    #[test]
    fn nothing_given_is_the_defaults_without_a_warning() {
        let loaded = of_env(&[]).unwrap();
        assert_eq!(loaded.warnings, Vec::<String>::new());
        let config = loaded.config;
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:8787");
        assert_eq!(config.server.base_url(config.server.listen), "http://127.0.0.1:8787");
        assert_eq!(config.server.metrics_listen.map(|address| address.to_string()).unwrap(), "127.0.0.1:0");
        assert_eq!((config.server.tls_cert, config.storage.path, config.catalog.path), (None, None, None));
        assert_eq!((config.limits.body_bytes, config.limits.data_uri_body_bytes), (1 << 20, 32 << 20));
        assert_eq!((config.limits.header_bytes, config.limits.json_depth), (16 << 10, 16));
        assert_eq!((config.limits.waits_per_principal, config.limits.waits), (1000, 8000));
        assert_eq!((config.limits.requests_per_second, config.limits.burst), (500, 1000));
        assert_eq!((config.worker.lease_seconds, config.worker.beat_seconds), (30, 10));
        assert_eq!((config.retention.output_days, config.retention.body_days), (30, 90));
        assert!(config.database.url.is_empty() && config.limits.rate_limits);
    }

    #[test]
    fn each_layer_wins_over_the_one_before() {
        let file = "[worker]\nconcurrency = 1\nsubmit_retries = 1\nbeat_seconds = 1\n";
        let variables = [("RYNJER_WORKER__CONCURRENCY", "2"), ("RYNJER_WORKER__SUBMIT_RETRIES", "2")];
        let flags = "[worker]\nconcurrency = 3".parse().unwrap();
        let worker = load(Some((Path::new("r.toml"), file)), env(&variables), flags).unwrap().config.worker;
        assert_eq!((worker.concurrency, worker.submit_retries, worker.beat_seconds), (3, 2, 1));
        assert_eq!(worker.lease_seconds, 30);
    }

    #[test]
    fn every_key_can_be_set_by_its_variable() {
        for (name, value) in Layers::defaults().unwrap().values {
            let text = match &value {
                Value::String(text) => text.clone(),
                Value::Array(_) => String::new(),
                other => other.to_string(),
            };
            let variable = format!("RYNJER_{}", name.replace('.', "__").to_uppercase());
            let loaded = of_env(&[(&variable, &text)]).unwrap_or_else(|error| panic!("{variable}: {error}"));
            assert_eq!(loaded, of_env(&[]).unwrap(), "{variable}");
        }
    }

    #[test]
    fn texts_of_the_environment_become_the_type_of_the_key() {
        let config = of_env(&[
            ("RYNJER_SERVER__TRUSTED_PROXIES", " 10.0.0.0/8, 192.0.2.1 ,"),
            ("RYNJER_LIMITS__RATE_LIMITS", "false"),
            ("RYNJER_LOG__FORMAT", "json"),
            ("RYNJER_WORKER__CONCURRENCY", "7"),
            ("RYNJER_SERVER__METRICS_LISTEN", ""),
            ("PATH", "/bin"),
            ("SERVER__LISTEN", "nonsense"),
        ])
        .unwrap()
        .config;
        let proxies: Vec<String> = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.1/32"]);
        assert_eq!((config.limits.rate_limits, config.worker.concurrency), (false, 7));
        assert_eq!((config.log.format, config.server.metrics_listen), (super::super::LogFormat::Json, None));
    }

    #[test]
    fn refusals_of_files() {
        let rows = [
            (
                "[server]\nlisten = \n",
                "r.toml line 2, column 10: string values must be quoted, expected literal string",
            ),
            ("[server]\nlisten = \"a\"\nlisten = \"b\"\n", "r.toml line 3, column 1: duplicate key"),
            (
                "[server]\nlisen = \"a\"",
                "r.toml sets server.lisen, which is not a setting; did you mean server.listen?",
            ),
            (
                "[server]\nlease_seconds = 9",
                "r.toml sets server.lease_seconds, which is not a setting; did you mean \
                 worker.lease_seconds?",
            ),
            (
                "[log]\ncolours_of_the_rainbow = 7",
                "r.toml sets log.colours_of_the_rainbow, which is not a setting; [log] has filter, \
                 format",
            ),
            (
                "[sever]\nlisten = \"a\"",
                "r.toml sets [sever], which is not a setting; did you mean [server]?",
            ),
            (
                "[rainbows]\non = true",
                &format!("r.toml sets [rainbows], which is not a setting; the sections are {}", sections()),
            ),
            ("listen = \"a\"", "r.toml sets listen, which is not a setting; did you mean server.listen?"),
            (
                "rainbow = 7",
                "r.toml sets rainbow, which is not a setting; every setting stands in a section, such \
                 as [server]",
            ),
            ("server = 1", "[server] must be a section, but r.toml gives the whole number 1"),
            (
                "[server]\nlisten = 8787",
                "server.listen must be a text, but r.toml gives the whole number 8787",
            ),
            ("[limits]\nburst = \"9\"", "limits.burst must be a whole number, but r.toml gives a text"),
            ("[limits]\nburst = 9.5", "limits.burst must be a whole number, but r.toml gives the number 9.5"),
            (
                "[sandbox]\ntriggers = \"yes\"",
                "sandbox.triggers must be true or false, but r.toml gives a text",
            ),
            ("[log]\nfilter = true", "log.filter must be a text, but r.toml gives true"),
            (
                "[server]\ntrusted_proxies = \"10.0.0.0/8\"",
                "server.trusted_proxies must be a list of texts, but r.toml gives a text",
            ),
            (
                "[server]\ntrusted_proxies = [10]",
                "server.trusted_proxies must be a list of texts, but r.toml gives a list of other things",
            ),
            ("[log]\nfilter = [\"a\"]", "log.filter must be a text, but r.toml gives a list of texts"),
            ("[log.filter]\na = 1", "log.filter must be a text, but r.toml gives a section"),
            ("[log]\nfilter = 2026-01-01", "log.filter must be a text, but r.toml gives a date"),
        ];
        for (text, message) in rows {
            assert_eq!(of_file(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn refusals_of_single_settings() {
        let url = "must be an absolute http or https URL without user, path, query or fragment, such as \
                   https://gateway.example, but is";
        let address = "must be an IP address and a port such as 127.0.0.1:8787 or [::1]:8787, but is";
        for given in [
            "gateway.example",
            "ftp://a.b",
            "https://a.b/c",
            "https://a.b/?",
            "https://a.b/#",
            "https://u@a.b",
        ] {
            let error = of_file(&format!("server.public_url = {given:?}")).unwrap_err().to_string();
            assert_eq!(error, format!("server.public_url {url} {given:?} (from r.toml)"));
        }
        for (key, given) in [("listen", "localhost:1"), ("listen", ""), ("metrics_listen", "9")] {
            let error = of_file(&format!("server.{key} = {given:?}")).unwrap_err().to_string();
            assert_eq!(error, format!("server.{key} {address} {given:?} (from r.toml)"));
        }
        let rows = [
            (
                "server.trusted_proxies = [\"10.0.0.0/8\", \"proxy\"]",
                "server.trusted_proxies must hold IP addresses or networks such as 10.0.0.0/8, but has \
                 \"proxy\" (from r.toml)",
            ),
            (
                "database.url = \"mysql://u:hunter2@h/d\"",
                "database.url must be empty, sqlite:FILE, or postgres://USER@HOST/NAME (from r.toml)",
            ),
            ("log.format = \"xml\"", "log.format must be \"text\" or \"json\", but is \"xml\" (from r.toml)"),
            ("limits.burst = 0", "limits.burst must be from 1 to 1000000, but is 0 (from r.toml)"),
            ("limits.burst = -1", "limits.burst must be from 1 to 1000000, but is -1 (from r.toml)"),
            ("retention.url_days = 0", "retention.url_days must be from 1 to 365, but is 0 (from r.toml)"),
        ];
        for (text, message) in rows {
            assert_eq!(of_file(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_refused_file_does_not_show_its_line() {
        let error = of_file("[database]\nurl = \"postgres://u:hunter2@h/d\n").unwrap_err().to_string();
        assert!(error.starts_with("r.toml line 2, column ") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn refusals_of_the_environment() {
        let rows = [
            (
                ("RYNJER_SERVER__LISEN", "a"),
                "the environment variable RYNJER_SERVER__LISEN sets server.lisen, which is not a setting; \
                 did you mean RYNJER_SERVER__LISTEN?",
            ),
            (
                ("RYNJER_server__listen", "a"),
                "the environment variable RYNJER_server__listen sets server.listen, which is not a setting; \
                 did you mean RYNJER_SERVER__LISTEN?",
            ),
            (
                ("RYNJER_RAINBOWS__ON", "a"),
                &format!(
                    "the environment variable RYNJER_RAINBOWS__ON sets rainbows.on, which is not a setting; \
                     the sections are {}",
                    sections()
                ),
            ),
            (
                ("RYNJER_LIMITS__BURST", "many"),
                "limits.burst must be a whole number, but the environment variable RYNJER_LIMITS__BURST \
                 gives \"many\"",
            ),
            (
                ("RYNJER_LIMITS__RATE_LIMITS", "off"),
                "limits.rate_limits must be true or false, but the environment variable \
                 RYNJER_LIMITS__RATE_LIMITS gives \"off\"",
            ),
            (
                ("RYNJER_WORKER__CONCURRENCY", "0"),
                "worker.concurrency must be from 1 to 100000, but is 0 (from the environment variable \
                 RYNJER_WORKER__CONCURRENCY)",
            ),
        ];
        for (pair, message) in rows {
            assert_eq!(of_env(&[pair]).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn refusals_of_flags() {
        let rows = [
            (
                "[server]\nlisten = 1",
                "server.listen must be a text, but the command line gives the whole number 1",
            ),
            (
                "[server]\nlisen = 1",
                "the command line sets server.lisen, which is not a setting; did you mean server.listen?",
            ),
            (
                "[worker]\nbeat_seconds = 0",
                "worker.beat_seconds must be from 1 to 1800, but is 0 (from the command line)",
            ),
        ];
        for (flags, message) in rows {
            assert_eq!(of_flags(flags).unwrap_err().to_string(), message);
        }
    }
}
