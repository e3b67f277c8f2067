//! Why a call of the typed client gave no answer.
//!
//! Invariant: what the server said is kept as it said it. Not here: what to do about it, which is the
//! caller's decision.

use crate::envelope::ErrorData;
use std::{error::Error, io};

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused the call and said why.
    #[error("{}: {}", .data.error, .data.message)]
    Api {
        /// The HTTP status.
        status: u16,
        /// The error object.
        data: Box<ErrorData>,
    },
    /// The call did not reach the server, or its answer did not reach us.
    #[error("no answer from the gateway: {0}")]
    Transport(#[source] reqwest::Error),
    /// The answer is not what this version of the client understands.
    #[error("HTTP {status} with an unexpected body: {reason}")]
    Decode {
        /// The HTTP status.
        status: u16,
        /// What is unexpected about it.
        reason: String,
    },
    /// The address can't be used.
    #[error("not a usable address: {0}")]
    Address(String),
    /// What was downloaded could not be written.
    #[error("can't write the download: {0}")]
    Write(#[source] io::Error),
}

impl ClientError {
    /// Whether the same call, sent again later, can succeed: nothing answered, or something in between or the
    /// gateway itself had passing trouble. Only for calls that may be sent twice.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Api { data, .. } => data.retryable,
            Self::Transport(error) => !error.is_builder(),
            // A proxy before the gateway speaks no JSON.
            Self::Decode { status, .. } => matches!(status, 429 | 502..=504),
            Self::Address(_) | Self::Write(_) => false,
        }
    }

    /// Whether not even a connection was made, so that nothing was sent.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Transport(error) if error.is_connect())
    }

    /// What the gateway asked us to wait before the next try.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let Self::Api { data, .. } = self else { return None };
        data.retry_after_seconds.and_then(|seconds| u64::try_from(seconds).ok())
    }

    /// The innermost cause, which is the one that tells people something: `Connection refused`.
    #[must_use]
    pub fn root_cause(&self) -> String {
        let mut cause: &dyn Error = self;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        cause.to_string()
    }
}
