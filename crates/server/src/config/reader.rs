//! Typed reads of one section, each with its range or form.
//!
//! Invariant: a refusal names the key, what it must be, and where the value came from. Not here: the
//! values' meaning.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::Value;

use super::error::{ConfigError, Origin};
use super::load::Layers;

/// One section of the merged layers.
pub(super) struct Reader<'a> {
    layers: &'a Layers,
    section: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(layers: &'a Layers, section: &'static str) -> Self {
        Self { layers, section }
    }

    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.section)
    }

    fn value(&self, key: &str) -> Result<&'a Value, ConfigError> {
        let name = self.name(key);
        self.layers.value(&name).ok_or_else(|| self.layers.unknown(&name, &Origin::Default))
    }

    /// A refusal of this key's value; `problem` goes on after the key's name.
    pub(super) fn invalid(&self, key: &str, problem: String) -> ConfigError {
        let name = self.name(key);
        let origin = self.layers.origin(&name);
        ConfigError::Invalid { key: name, problem, origin }
    }

    fn mistyped(&self, key: &str) -> ConfigError {
        self.invalid(key, "has a type that its default doesn't have".to_owned())
    }

    pub(super) fn truth(&self, key: &str) -> Result<bool, ConfigError> {
        self.value(key)?.as_bool().ok_or_else(|| self.mistyped(key))
    }

    pub(super) fn text(&self, key: &str) -> Result<&'a str, ConfigError> {
        self.value(key)?.as_str().ok_or_else(|| self.mistyped(key))
    }

    pub(super) fn texts(&self, key: &str) -> Result<Vec<&'a str>, ConfigError> {
        let list = self.value(key)?.as_array().ok_or_else(|| self.mistyped(key))?;
        list.iter().map(|item| item.as_str().ok_or_else(|| self.mistyped(key))).collect()
    }

    /// A whole number within `range`.
    pub(super) fn whole<T: TryFrom<i64>>(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Result<T, ConfigError> {
        let number = self.value(key)?.as_integer().ok_or_else(|| self.mistyped(key))?;
        let in_range = range.contains(&number).then(|| T::try_from(number).ok()).flatten();
        in_range.ok_or_else(|| {
            let (low, high) = (range.start(), range.end());
            self.invalid(key, format!("must be from {low} to {high}, but is {number}"))
        })
    }

    /// A path, or `None` for an empty text.
    pub(super) fn path(&self, key: &str) -> Result<Option<PathBuf>, ConfigError> {
        let text = self.text(key)?;
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    /// An address with its port.
    pub(super) fn address(&self, key: &str) -> Result<SocketAddr, ConfigError> {
        let text = self.text(key)?;
        text.parse().map_err(|_| {
            let form = "must be an IP address and a port such as 127.0.0.1:8787 or [::1]:8787";
            self.invalid(key, format!("{form}, but is {text:?}"))
        })
    }
}
