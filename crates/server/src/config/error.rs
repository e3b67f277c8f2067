//! What can be wrong with a configuration, and where each setting came from.
//!
//! Invariant: a message names the key and the place to mend it, and never shows `database.url`. Not here:
//! the checks.

use std::fmt;
use std::path::PathBuf;

/// The layer that a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `config.default.toml`.
    Default,
    /// The file of `--config`.
    File(PathBuf),
    /// An environment variable, by its name.
    Environment(String),
    /// A command-line flag.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::Flag => f.write_str("the command line"),
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file isn't TOML.
    #[error("{} line {line}, column {column}: {problem}", .path.display())]
    Syntax { path: PathBuf, line: usize, column: usize, problem: String },
    /// No such setting.
    #[error("{origin} sets {key}, which is not a setting; {hint}")]
    UnknownKey { key: String, hint: String, origin: Origin },
    /// A number where a text belongs, or the like.
    #[error("{key} must be {expected}, but {origin} gives {found}")]
    WrongType { key: String, expected: String, found: String, origin: Origin },
    /// The right type, but not a value that works.
    #[error("{key} {problem} (from {origin})")]
    Invalid { key: String, problem: String, origin: Origin },
    /// Settings that don't go together.
    #[error("{0}")]
    Conflict(String),
}
