//! The one map from use-case errors to statuses, codes and bodies.
//!
//! Invariant: exhaustive, without a wildcard; a body tells what to do next and never what went wrong inside.
//! Not here: logging, which the middleware does once.

use crate::{
    app::{Error, Field, Refused},
    http::moltbook,
};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rynjer_api::{
    Budget, BudgetKind, BudgetPeriod, Envelope, ErrorCode, ErrorData, FailureEnvelope, FieldProblem, Problem,
};
use rynjer_core::{credits::Credits, ledger::Refusal, time::rfc3339};

/// An error on its way out; the middleware turns it into a body once it knows the request.
#[derive(Debug, Clone)]
pub(crate) struct Fail(pub(crate) Error);

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(code(&self.0));
        response.extensions_mut().insert(self);
        response
    }
}

/// What the body of an error needs to know of its request.
pub(crate) struct Context<'a> {
    pub(crate) trace_id: &'a str,
    pub(crate) base_url: &'a str,
    /// Family B's paths.
    pub(crate) success_envelope: bool,
    /// The caller asked for `application/problem+json`.
    pub(crate) problem: bool,
    /// The call could have moved money.
    pub(crate) money: bool,
}

fn status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The code of an error.
pub(crate) fn code(error: &Error) -> ErrorCode {
    match error {
        Error::Invalid(_) | Error::TooManyKeys { .. } => ErrorCode::InvalidRequest,
        Error::UnknownModel { .. } => ErrorCode::UnknownModel,
        Error::ModelUnavailable { .. } => ErrorCode::ModelUnavailable,
        Error::MissingCredentials | Error::SignInRefused | Error::NotConfirmed => {
            ErrorCode::MissingCredentials
        }
        Error::InvalidToken { .. } | Error::UnexpandedToken => ErrorCode::InvalidToken,
        Error::ExpiredToken => ErrorCode::ExpiredToken,
        Error::InvalidSignature { .. } => ErrorCode::InvalidSignature,
        Error::NonceReused => ErrorCode::NonceReused,
        Error::TimestampOutOfRange { .. } => ErrorCode::TimestampOutOfRange,
        Error::ScopeNotAllowed { .. } => ErrorCode::ScopeNotAllowed,
        Error::AgentNotBound { .. } | Error::MoltbookNotBound { .. } => ErrorCode::AgentNotBound,
        Error::MoltbookRefused { refused, .. } => match refused {
            Refused::Missing => ErrorCode::MissingCredentials,
            Refused::Invalid => ErrorCode::InvalidToken,
            Refused::Expired => ErrorCode::ExpiredToken,
        },
        Error::MoltbookOff | Error::MoltbookAway { .. } => ErrorCode::UpstreamUnavailable,
        Error::AgentPaused => ErrorCode::AgentPaused,
        Error::RegistrationCodeInvalid => ErrorCode::RegistrationCodeInvalid,
        Error::NotFound | Error::UrlExpired | Error::TicketInvalid => ErrorCode::NotFound,
        Error::PriceVersionUnknown { .. } => ErrorCode::PriceVersionUnknown,
        Error::PriceAboveMax { .. } | Error::PriceAbovePolicy { .. } => ErrorCode::PriceAboveMaxCredits,
        Error::QuoteExpired => ErrorCode::QuoteExpired,
        Error::QuoteMismatch { .. } => ErrorCode::QuoteMismatch,
        Error::NotCancelable | Error::TaskOpen => ErrorCode::NotCancelable,
        Error::PayloadTooLarge { .. } | Error::FileQuota { .. } => ErrorCode::PayloadTooLarge,
        Error::UnsupportedMediaType => ErrorCode::UnsupportedMediaType,
        Error::MethodNotAllowed => ErrorCode::MethodNotAllowed,
        Error::RateLimited { .. }
        | Error::TooManyGuesses { .. }
        | Error::TooManyWaits { .. }
        | Error::TooManyUploads { .. } => ErrorCode::RateLimited,
        Error::Ledger(refusal) => ledger_code(refusal),
        Error::Overloaded | Error::Restoring | Error::ClockOff { .. } | Error::StorageAway => {
            ErrorCode::Overloaded
        }
        Error::ShuttingDown => ErrorCode::ShuttingDown,
        Error::Internal(_) => ErrorCode::Internal,
    }
}

fn ledger_code(refusal: &Refusal) -> ErrorCode {
    match refusal {
        Refusal::RequestIdReused { .. } => ErrorCode::RequestIdReused,
        Refusal::AccountUnknown => ErrorCode::InvalidToken,
        Refusal::AccountFrozen
        | Refusal::AccountPaused
        | Refusal::AccountClosed
        | Refusal::LedgerFault { .. } => ErrorCode::AccountFrozen,
        Refusal::TooManyOpenTasks { .. } => ErrorCode::TooManyOpenTasks,
        Refusal::BudgetExceeded { .. } => ErrorCode::BudgetExceeded,
        Refusal::RunLimitFixed { .. } | Refusal::ReferenceReused | Refusal::AmountInvalid { .. } => {
            ErrorCode::InvalidRequest
        }
        Refusal::InsufficientCredits { .. } => ErrorCode::InsufficientCredits,
        Refusal::TaskUnknown => ErrorCode::NotFound,
    }
}

/// One sentence for a person.
pub(crate) fn message(error: &Error) -> String {
    let context =
        Context { trace_id: "", base_url: "", success_envelope: false, problem: false, money: false };
    data(error, &context).message
}

/// The error object of an error.
fn data(error: &Error, context: &Context<'_>) -> ErrorData {
    let mut data = ErrorData::new(code(error), context.trace_id, context.base_url);
    data.retry_after_seconds = retry_after_seconds(error);
    if context.money {
        data.held = Some(0);
        data.charged = Some(0);
    }
    if let Some((message, suggestion)) = reworded(error) {
        data.message = message;
        suggestion.clone_into(&mut data.suggestion);
    }
    match error {
        Error::Invalid(fields) => describe_fields(&mut data, fields),
        Error::UnknownModel { nearest } => data.nearest.clone_from(nearest),
        Error::ModelUnavailable { reason, alternatives } => {
            data.message = format!("The model is not available: {reason}");
            data.alternatives.clone_from(alternatives);
        }
        Error::InvalidToken { hint: Some(hint) } => data.message = format!("{}: {hint}", data.message),
        Error::InvalidSignature { reason } => data.message = format!("{}: {reason}", data.message),
        Error::TimestampOutOfRange { server_time_s } => data.server_time = Some(*server_time_s),
        Error::ScopeNotAllowed { needed } => {
            data.fields = vec![problem("scopes", format!("needs {needed}"))];
        }
        Error::AgentNotBound { bind_url } => data.bind_url = Some(bind_url.clone()),
        Error::MoltbookNotBound { agent_id, bind_url, codes } => {
            moltbook::describe(&mut data, agent_id, bind_url, codes);
        }
        // Nothing changes until the operator does something.
        Error::MoltbookOff => data.retryable = false,
        Error::PriceVersionUnknown { current, current_price } => {
            data.current_price_version = Some(current.clone());
            data.current_price = Some(current_price.0);
        }
        Error::PriceAboveMax { price } | Error::PriceAbovePolicy { price, .. } => {
            data.current_price = Some(price.0);
        }
        Error::QuoteMismatch { field } => {
            data.fields = vec![problem(field, "differs from what was quoted".to_owned())];
        }
        Error::PayloadTooLarge { limit_bytes } => {
            data.message = format!("{}: at most {limit_bytes} bytes", data.message);
        }
        Error::Ledger(refusal) => describe_refusal(&mut data, refusal),
        // Which code an error has is decided above, for each; the others have no more to tell.
        _ => {}
    }
    data
}

fn problem(field: &str, problem: String) -> FieldProblem {
    FieldProblem { field: field.to_owned(), problem, allowed: Vec::new() }
}

/// When the same call may succeed.
fn retry_after_seconds(error: &Error) -> Option<i64> {
    match error {
        Error::RateLimited { retry_after_s }
        | Error::MoltbookAway { retry_after_s }
        | Error::TooManyGuesses { wait_s: retry_after_s } => i64::try_from(*retry_after_s).ok(),
        Error::StorageAway => Some(5),
        Error::Restoring => Some(10),
        Error::Overloaded
        | Error::ClockOff { .. }
        | Error::ShuttingDown
        | Error::TooManyWaits { .. }
        | Error::TooManyUploads { .. } => Some(1),
        _ => None,
    }
}

/// What happened and what to do, where the texts of the code say too little.
fn reworded(error: &Error) -> Option<(String, &'static str)> {
    if let Some(reworded) = moltbook::reworded(error).or_else(|| of_people(error)) {
        return Some(reworded);
    }
    Some(match error {
        Error::UnexpandedToken => (
            "The token starts with `$`: it is the name of a variable, not its value".to_owned(),
            "The shell did not expand the variable: write it in double quotes, and send the same call again.",
        ),
        Error::UrlExpired => (
            "The link has expired".to_owned(),
            "Ask GET /v1/generate/{request_id} or GET /v1/files/{file_id} for a fresh link.",
        ),
        Error::StorageAway => (
            "Stored files can't be reached at the moment; tasks and credits are not touched by that"
                .to_owned(),
            "Send the same call again after Retry-After seconds.",
        ),
        Error::Restoring => (
            "The installation was restored from a backup and is being reconciled: it takes nothing new yet"
                .to_owned(),
            "Send the same call again after Retry-After seconds; GET /v1/generate/{request_id} works.",
        ),
        Error::FileQuota { limit_bytes } => (
            format!("The account's files would take more than {limit_bytes} bytes"),
            "Delete a file with DELETE /v1/files/{file_id}, or wait until one expires.",
        ),
        Error::TaskOpen => (
            "The task is not finished, and only finished tasks can be deleted".to_owned(),
            "Cancel it with POST /v1/generate/{request_id}/cancel, or wait for its end first.",
        ),
        Error::TooManyWaits { limit } => (
            format!("{limit} requests wait for tasks already, which is the most allowed"),
            "Poll GET /v1/generate/{request_id} without `wait`, or end a wait first.",
        ),
        Error::TooManyUploads { limit } => (
            format!("{limit} uploads of yours are under way already, which is the most allowed"),
            "Send POST /v1/files again when one of them has ended.",
        ),
        Error::TooManyKeys { limit } => (
            format!("The agent has {limit} live keys already"),
            "Revoke a key with POST /api/v1/agents/keys/revoke first.",
        ),
        Error::ClockOff { ahead_ms } => (
            format!(
                "This node's clock is {} s {} the database's",
                ahead_ms.saturating_abs() / 1000,
                if *ahead_ms < 0 { "behind" } else { "ahead of" }
            ),
            "Ask GET /readyz again once the operator has set the machine's clock.",
        ),
        _ => return said_by_owner(error),
    })
}

/// The same for what an owner decided.
fn said_by_owner(error: &Error) -> Option<(String, &'static str)> {
    Some(match error {
        Error::PriceAbovePolicy { price, most, subject } => (
            format!(
                "It costs {price} credits, and the owner's policy for this {} allows at most {most} for one \
                 generation",
                subject.as_str()
            ),
            "Pick a cheaper model or fewer units with POST /v1/models/route, or ask the owner for more.",
        ),
        Error::Ledger(Refusal::AccountPaused) => (
            "The account is paused by its owner: nothing new is accepted".to_owned(),
            "Ask the owner to resume the account; GET /v1/generate/{request_id} still shows earlier tasks.",
        ),
        _ => return None,
    })
}

/// The same of what people meet who sign in.
fn of_people(error: &Error) -> Option<(String, &'static str)> {
    Some(match error {
        Error::SignInRefused => (
            "The e-mail address, the password or the code is wrong".to_owned(),
            "Sign in at /login; the operator can make a link for a new password.",
        ),
        Error::TooManyGuesses { wait_s } => (
            format!("Too many wrong guesses; the next one is possible in {} minutes", wait_s.div_ceil(60)),
            "Wait for Retry-After seconds.",
        ),
        Error::TicketInvalid => (
            "This link was used already, is too old, or is not whole".to_owned(),
            "Ask whoever sent it for a new one.",
        ),
        Error::NotConfirmed => {
            ("This change needs the password once more".to_owned(), "Send the form again with the password.")
        }
        _ => return None,
    })
}

fn describe_fields(data: &mut ErrorData, fields: &[Field]) {
    let named = |field: &Field| match field {
        Field { field, problem, .. } if field.is_empty() => problem.clone(),
        // The catalog's problems are whole sentences, the others go on from the field's name.
        Field { field, problem, .. } if problem.ends_with('.') => format!("{field}: {problem}"),
        Field { field, problem, .. } => format!("{field} {problem}"),
    };
    data.message = fields.first().map_or_else(|| data.message.clone(), named);
    data.fields = fields
        .iter()
        .map(|f| FieldProblem {
            field: f.field.clone(),
            problem: f.problem.clone(),
            allowed: f.allowed.clone(),
        })
        .collect();
}

fn describe_refusal(data: &mut ErrorData, refusal: &Refusal) {
    match refusal {
        Refusal::RequestIdReused { fields } => {
            let named = |field: &String| FieldProblem {
                field: field.clone(),
                problem: "differs from the first request with this request_id".to_owned(),
                allowed: Vec::new(),
            };
            data.fields = fields.iter().map(named).collect();
        }
        Refusal::InsufficientCredits { required, available, .. } => {
            data.required = Some(required.0);
            data.available = Some(available.0);
        }
        Refusal::BudgetExceeded { subject, period, limit, spent, resets_at_ms } => {
            data.budget = Some(budget(subject, period, *limit, *spent, *resets_at_ms));
        }
        Refusal::RunLimitFixed { limit } => {
            let first = limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
            let problem = format!("is fixed at the run's first use: {first}");
            describe_fields(data, &[Field::new("run_max_credits", problem)]);
        }
        Refusal::TooManyOpenTasks { open, max } => {
            data.message = format!("The account has {open} unfinished tasks; {max} are allowed");
            data.retry_after_seconds = Some(5);
        }
        Refusal::ReferenceReused => {
            describe_fields(data, &[Field::new("reference", "was used for another amount")]);
        }
        Refusal::AmountInvalid { most } => {
            describe_fields(data, &[Field::new("amount", format!("must be 1 to {most}"))]);
        }
        Refusal::AccountUnknown
        | Refusal::AccountFrozen
        | Refusal::AccountPaused
        | Refusal::AccountClosed
        | Refusal::TaskUnknown
        | Refusal::LedgerFault { .. } => {}
    }
}

fn budget(subject: &str, period: &str, limit: Credits, spent: Credits, resets_at_ms: Option<i64>) -> Budget {
    Budget {
        kind: match subject {
            "account" => BudgetKind::Account,
            "agent" => BudgetKind::Agent,
            "key" => BudgetKind::Key,
            _ => BudgetKind::Run,
        },
        period: match period {
            "day" => BudgetPeriod::Day,
            "month" => BudgetPeriod::Month,
            _ => BudgetPeriod::Total,
        },
        limit: limit.0,
        spent: spent.0,
        resets_at: resets_at_ms.map(rfc3339),
    }
}

/// The answer of an error to a request.
pub(crate) fn render(error: &Error, context: &Context<'_>) -> Response {
    let code = code(error);
    let data = data(error, context);
    let retry_after = data.retry_after_seconds;
    let (mime, body) = if context.problem {
        ("application/problem+json", serde_json::to_vec(&Problem::new(code, data)))
    } else if context.success_envelope {
        ("application/json", serde_json::to_vec(&FailureEnvelope::new(data)))
    } else {
        ("application/json", serde_json::to_vec(&Envelope::new(data)))
    };
    let mut response = Response::new(Body::from(body.unwrap_or_default()));
    *response.status_mut() = status(code);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
    add_hints(headers, code, retry_after);
    response
}

fn add_hints(headers: &mut HeaderMap, code: ErrorCode, retry_after: Option<i64>) {
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if code.status() == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rynjer\""));
    }
}
