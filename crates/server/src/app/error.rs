//! Everything that a use case can refuse or fail with, free of HTTP.
//!
//! Invariant: each variant carries what the caller needs to do better; internal causes are for the log alone.
//! Not here: status codes and sentences (`http::error`).

use crate::app::agent::Codes;
use rynjer_core::{budget::Subject, credits::Credits, ledger::Refusal};
use rynjer_store::StoreError;

/// A field of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub field: String,
    pub problem: String,
    pub allowed: Vec<String>,
}

impl Field {
    /// A problem without a list of allowed values.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into(), allowed: Vec::new() }
    }
}

/// What is wrong with an identity token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    Missing,
    Invalid,
    Expired,
}

/// Why a use case did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    Invalid(Vec<Field>),
    UnknownModel {
        nearest: Vec<String>,
    },
    ModelUnavailable {
        reason: String,
        alternatives: Vec<String>,
    },
    MissingCredentials,
    InvalidToken {
        hint: Option<&'static str>,
    },
    /// The name of a variable came instead of its value.
    UnexpandedToken,
    ExpiredToken,
    InvalidSignature {
        reason: String,
    },
    NonceReused,
    TimestampOutOfRange {
        server_time_s: i64,
    },
    ScopeNotAllowed {
        needed: String,
    },
    AgentNotBound {
        bind_url: String,
    },
    /// The same of an agent that Moltbook vouches for, with codes for its owner.
    MoltbookNotBound {
        agent_id: String,
        bind_url: String,
        codes: Codes,
    },
    MoltbookRefused {
        refused: Refused,
        reason: &'static str,
    },
    /// The operator has not turned it on.
    MoltbookOff,
    /// Moltbook can't be asked now, for no fault of the agent's.
    MoltbookAway {
        retry_after_s: u64,
    },
    AgentPaused,
    RegistrationCodeInvalid,
    NotFound,
    /// A wrong e-mail address, password or one-time code.
    SignInRefused,
    /// Too many wrong guesses at a person, or from an address.
    TooManyGuesses {
        wait_s: u64,
    },
    /// A one-time link that was used, is too old, or never was.
    TicketInvalid,
    /// A change that needs the owner's password once more.
    NotConfirmed,
    /// A genuine signed URL whose time is over.
    UrlExpired,
    PriceVersionUnknown {
        current: String,
        current_price: Credits,
    },
    PriceAboveMax {
        price: Credits,
    },
    /// Above what the owner allows for one generation.
    PriceAbovePolicy {
        price: Credits,
        most: Credits,
        subject: Subject,
    },
    QuoteExpired,
    QuoteMismatch {
        field: &'static str,
    },
    NotCancelable,
    /// What is asked for needs the task to be over.
    TaskOpen,
    PayloadTooLarge {
        limit_bytes: usize,
    },
    /// The account's files would take more than they may at once.
    FileQuota {
        limit_bytes: u64,
    },
    UnsupportedMediaType,
    MethodNotAllowed,
    TooManyKeys {
        limit: u32,
    },
    /// Too many requests of one caller, or of all, wait for tasks.
    TooManyWaits {
        limit: u32,
    },
    /// Too many uploads of one caller are under way.
    TooManyUploads {
        limit: u32,
    },
    RateLimited {
        retry_after_s: u64,
    },
    /// Refused by the ledger.
    Ledger(Refusal),
    Overloaded,
    /// Restored from a backup, and not reconciled yet.
    Restoring,
    /// Stored files can't be read or written now.
    StorageAway,
    ShuttingDown,
    /// This machine's clock is far from the time that all nodes share.
    ClockOff {
        ahead_ms: i64,
    },
    /// A fault of ours; the text goes to the log only.
    Internal(String),
}

impl Error {
    /// One wrong field.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid(vec![Field::new(field, problem)])
    }

    /// The object storage did not do what it was asked; it may do it soon.
    pub(crate) fn storage(operation: &'static str, error: &object_store::Error) -> Self {
        crate::objects::failed(operation, error);
        Self::StorageAway
    }

    /// A fault of ours.
    #[expect(clippy::needless_pass_by_value, reason = "it is the argument of `map_err`")]
    pub fn internal(cause: impl ToString) -> Self {
        Self::Internal(cause.to_string())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        if error.is_passing() {
            if error != StoreError::Overloaded {
                tracing::warn!(%error, "the store is not available");
            }
            return Self::Overloaded;
        }
        Self::internal(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Ledger(refusal)
    }
}
