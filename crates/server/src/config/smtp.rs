//! Section `[smtp]`: through which server letters are sent, and who sends them.
//!
//! Invariant: off without an address; the password is never printed. Not here: sending (`app::letter`),
//! reading the password's file.

use std::path::PathBuf;

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;
use super::server::text_or_empty;
use super::storage::SecretText;

/// How letters are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Smtp {
    /// Empty: no letters.
    pub url: String,
    /// Empty: without credentials.
    pub user: String,
    pub password: SecretText,
    #[serde(serialize_with = "text_or_empty")]
    pub password_file: Option<PathBuf>,
    pub from: String,
}

impl Smtp {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            url: section.text("url")?.to_owned(),
            user: section.text("user")?.to_owned(),
            password: SecretText::new(section.text("password")?),
            password_file: section.path("password_file")?,
            from: section.text("from")?.to_owned(),
        })
    }

    /// Whether letters are sent.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.url.is_empty()
    }

    /// What does not go together.
    pub(super) fn problem(&self) -> Option<String> {
        if !self.is_on() {
            return None;
        }
        let signs_in = !self.password.expose().is_empty() || self.password_file.is_some();
        if self.from.is_empty() {
            return Some("smtp.from must name the sender of letters, such as gateway@example.com".to_owned());
        }
        if signs_in == self.user.is_empty() {
            return Some("smtp.user and its password (RYNJER_SMTP_PASSWORD) go together".to_owned());
        }
        let both = !self.password.expose().is_empty() && self.password_file.is_some();
        both.then(|| "[smtp] has both a password and a file for it: keep one of them".to_owned())
    }
}
