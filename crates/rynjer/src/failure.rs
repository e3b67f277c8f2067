//! Why a command failed: a sentence, what to do about it, and the exit code.
//!
//! Invariant: each failure is one sentence on stderr, with `--json` one object there; stdout stays empty.
//! Not here: refusals of arguments, which clap words.

use crate::{plain, print, terminal};
use rynjer_api::{ClientError, ErrorCode};
use rynjer_core::ledger::Refusal;
use rynjer_server::{app::Error, gateway::StartError};
use rynjer_store::StoreError;
use serde_json::json;
use std::process::ExitCode;

/// How the program ends when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed,
    Usage,
    NotAuthenticated,
    NotEnoughCredits,
}

impl Exit {
    const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotAuthenticated => 4,
            Self::NotEnoughCredits => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// A stable word for programs.
    code: String,
    message: String,
    suggestion: Option<String>,
}

impl Failure {
    /// Something went wrong.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "failed", message)
    }

    /// The command was not given right.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// What was named is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "not_found", message)
    }

    /// There is no credential, or it is not worth sending.
    pub(crate) fn not_authenticated(message: impl Into<String>) -> Self {
        Self::new(Exit::NotAuthenticated, "missing_credentials", message)
    }

    /// The same under another stable word.
    pub(crate) fn coded(self, code: impl Into<String>) -> Self {
        Self { code: code.into(), ..self }
    }

    /// The same, counted as nothing but failed.
    pub(crate) fn into_failed(self) -> Self {
        Self { exit: Exit::Failed, ..self }
    }

    /// A stable word for programs.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub(crate) fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    fn new(exit: Exit, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { exit, code: code.into(), message: message.into(), suggestion: None }
    }

    /// The same with what to do about it.
    pub(crate) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// The same, saying what was not found.
    pub(crate) fn naming(self, what: &str) -> Self {
        if self.code == "not_found" { Self { message: format!("there is no {what}"), ..self } } else { self }
    }

    /// Says it on stderr.
    pub(crate) fn show(&self, json: bool) {
        if json {
            let mut object =
                json!({"error": self.code, "message": self.message, "exit_code": self.exit.code()});
            if let Some(suggestion) = &self.suggestion {
                object["suggestion"] = suggestion.as_str().into();
            }
            return print::talk(&object.to_string());
        }
        let style = terminal::stderr();
        print::talk(&format!("{} {}", style.red("error:"), plain::paragraph(&self.message)));
        if let Some(suggestion) = &self.suggestion {
            print::talk(&format!("{} {}", style.dim("hint:"), plain::paragraph(suggestion)));
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = Self::failed(error.to_string());
        if error.is_passing() { failure.suggest("try again in a moment") } else { failure }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(fields) => {
                let sentences = fields.iter().map(|field| match field.allowed.as_slice() {
                    [] => format!("{} {}", field.field, field.problem),
                    allowed => {
                        format!("{} {} (allowed: {})", field.field, field.problem, allowed.join(", "))
                    }
                });
                let sentences: Vec<String> = sentences.collect();
                Self::new(Exit::Failed, "invalid_request", sentences.join("; "))
            }
            Error::NotFound => Self::not_found("there is nothing of that name"),
            Error::RegistrationCodeInvalid => Self::new(
                Exit::Failed,
                "registration_code_invalid",
                "the registration code is wrong, expired, replaced or bound to another account",
            )
            .suggest("let the agent register again, which gives it a fresh code"),
            Error::UnknownModel { nearest } => {
                Self::not_found("there is no such model").suggest(format!("nearest: {}", nearest.join(", ")))
            }
            Error::MissingCredentials
            | Error::InvalidToken { .. }
            | Error::UnexpandedToken
            | Error::ExpiredToken => Self::new(
                Exit::NotAuthenticated,
                "invalid_token",
                "the credential is missing, wrong or expired",
            ),
            Error::Ledger(refusal) => refusal.into(),
            Error::Overloaded => Self::new(
                Exit::Failed,
                "overloaded",
                "the database is busy, locked by another program, or can't be written",
            )
            .suggest("try again in a moment; if it stays so, look at the disk's space and permissions"),
            Error::Internal(cause) => Self::new(Exit::Failed, "internal", cause),
            other => Self::failed(format!("the gateway refused: {other:?}")),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let failed = |code: &str, message: String| Self::new(Exit::Failed, code, message);
        match refusal {
            Refusal::AccountUnknown => Self::not_found("there is no such account"),
            Refusal::AccountPaused => {
                failed("account_frozen", "the account is paused by its owner".to_owned())
            }
            Refusal::AccountClosed => failed("account_closed", "the account is closed".to_owned()),
            Refusal::AccountFrozen => failed("account_frozen", "the account is frozen".to_owned())
                .suggest("thaw it with `rynjer admin account freeze ACCOUNT --thaw`"),
            Refusal::ReferenceReused => failed(
                "reference_reused",
                "that reference was used for a grant of another amount; nothing was granted".to_owned(),
            ),
            Refusal::AmountInvalid { most } => {
                failed("invalid_request", format!("the amount must be from 1 to {most}"))
            }
            Refusal::InsufficientCredits { required, available, .. } => Self::new(
                Exit::NotEnoughCredits,
                "insufficient_credits",
                format!("{required} credits are needed and {available} are available"),
            ),
            Refusal::BudgetExceeded { subject, period, limit, spent, .. } => Self::new(
                Exit::NotEnoughCredits,
                "budget_exceeded",
                format!("the {subject}'s budget ({limit} per {period}, {spent} spent) does not allow it"),
            ),
            Refusal::LedgerFault { detail } => failed("ledger_fault", detail)
                .suggest("the account is frozen now; `rynjer admin audit` says what is wrong"),
            other => failed("refused", format!("the ledger refused: {other:?}")),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let ClientError::Api { status, data } = &error else {
            let said = match &error {
                ClientError::Transport(_) => format!("no answer from the gateway: {}", error.root_cause()),
                other => other.to_string(),
            };
            return Self::failed(said).coded("no_answer").suggest("`rynjer doctor` finds out why");
        };
        let exit = match (status, data.code()) {
            (401, _) | (_, Some(ErrorCode::AgentNotBound)) => Exit::NotAuthenticated,
            (402, _) => Exit::NotEnoughCredits,
            _ => Exit::Failed,
        };
        let fields = data.fields.iter().map(|field| format!("; {} {}", field.field, field.problem));
        let message = format!("{}{}", data.message, fields.collect::<String>());
        let offered = if data.nearest.is_empty() { &data.alternatives } else { &data.nearest };
        let suggestion = match status {
            401 => "`rynjer doctor` says what is wrong with the credential; `rynjer login` saves another"
                .to_owned(),
            _ if !data.nearest.is_empty() => format!("did you mean {}?", offered.join(" or ")),
            _ if !offered.is_empty() => format!("{} would do instead", offered.join(" or ")),
            _ => data.suggestion.clone(),
        };
        Self::new(exit, data.error.as_ref(), message).suggest(suggestion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rynjer_core::credits::Credits;

    #[test]
    fn refusals_have_their_exit_codes() {
        let short = Refusal::InsufficientCredits {
            required: Credits(50),
            available: Credits(10),
            spendable: Credits(10),
        };
        let failure = Failure::from(Error::Ledger(short));
        assert_eq!((failure.exit.code(), failure.code.as_str()), (5, "insufficient_credits"));
        assert_eq!(failure.message, "50 credits are needed and 10 are available");
        assert_eq!(Failure::from(Error::MissingCredentials).exit.code(), 4);
        assert_eq!(Failure::from(Error::field("email", "is wrong")).message, "email is wrong");
    }

    #[test]
    fn what_is_missing_is_named() {
        let failure = Failure::from(Error::NotFound).naming("agent agt_1");
        assert_eq!(failure.message, "there is no agent agt_1");
        assert_eq!(Failure::failed("x").naming("agent").message, "x");
    }
}
