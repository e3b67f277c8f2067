//! Section `[console]`: who may become an owner, and how long they stay signed in.
//!
//! Invariant: a session's idle time is never longer than its whole life. Not here: the pages.

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;

/// Who may become an owner, and how long they stay signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Console {
    pub sign_up: SignUp,
    pub test_credits: i64,
    pub live_accounts: bool,
    pub session_idle_minutes: u32,
    pub session_days: u32,
}

/// Who may become an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SignUp {
    /// Whom an operator invites.
    Invitation,
    /// Everybody who reaches the gateway.
    Open,
}

impl Console {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        let sign_up = match section.text("sign_up")? {
            "invitation" => SignUp::Invitation,
            "open" => SignUp::Open,
            other => {
                let form = format!("must be \"invitation\" or \"open\", but is {other:?}");
                return Err(section.invalid("sign_up", form));
            }
        };
        Ok(Self {
            sign_up,
            test_credits: section.whole("test_credits", 0..=1_000_000_000)?,
            live_accounts: section.truth("live_accounts")?,
            session_idle_minutes: section.whole("session_idle_minutes", 5..=1440)?,
            session_days: section.whole("session_days", 1..=30)?,
        })
    }
}
