//! Section `[oidc]`: which provider people may sign in by.
//!
//! Invariant: off without an issuer; the client's secret is never printed. Not here: the flow
//! (`peers::oidc`), who may come in by it (`app::oidc`).

use std::path::PathBuf;

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;
use super::server::text_or_empty;
use super::storage::SecretText;

/// Sign-in by another service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Oidc {
    /// Empty: off.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: SecretText,
    #[serde(serialize_with = "text_or_empty")]
    pub client_secret_file: Option<PathBuf>,
    /// What the button calls it.
    pub name: String,
    /// Whose people may come without an invitation.
    pub allowed_domains: Vec<String>,
}

impl Oidc {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        let domains = section.texts("allowed_domains")?;
        let is_domain = |text: &&str| !text.is_empty() && !text.contains(['@', ' ', '*']);
        if let Some(other) = domains.iter().find(|text| !is_domain(text)) {
            let form = format!("must be a list of domains such as example.com, but has {other:?}");
            return Err(section.invalid("allowed_domains", form));
        }
        Ok(Self {
            issuer: section.text("issuer")?.to_owned(),
            client_id: section.text("client_id")?.to_owned(),
            client_secret: SecretText::new(section.text("client_secret")?),
            client_secret_file: section.path("client_secret_file")?,
            name: section.text("name")?.to_owned(),
            allowed_domains: domains.into_iter().map(str::to_ascii_lowercase).collect(),
        })
    }

    /// Whether people may sign in by it.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.issuer.is_empty()
    }

    /// What does not go together.
    pub(super) fn problem(&self) -> Option<String> {
        if !self.is_on() {
            return None;
        }
        let (text, file) = (!self.client_secret.expose().is_empty(), self.client_secret_file.is_some());
        if self.client_id.is_empty() || text == file {
            let wanted = "oidc.issuer needs oidc.client_id and one secret beside it";
            return Some(format!("{wanted} (RYNJER_OIDC_CLIENT_SECRET, or RYNJER_OIDC_CLIENT_SECRET_FILE)"));
        }
        self.name.is_empty().then(|| "oidc.name must say what the button calls the provider".to_owned())
    }
}
