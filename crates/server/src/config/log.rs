//! Section `[log]`: what the gateway writes about itself.
//!
//! Invariant: a prompt is in no log line. Not here: the filter's syntax, which
//! its owner checks.

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;

/// What the gateway writes about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Log {
    pub format: LogFormat,
    pub filter: String,
}

/// Lines for people or for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

impl Log {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        let format = match section.text("format")? {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            other => {
                let problem = format!("must be \"text\" or \"json\", but is {other:?}");
                return Err(section.invalid("format", problem));
            }
        };
        let filter = section.text("filter")?.to_owned();
        Ok(Self { format, filter })
    }
}
