//! Every error code of the API, with its status, its meaning and what to do next.
//!
//! Invariant: one table per kind of code; text, status, docs and schema all come from it, and rows are only
//! ever added. Not here: the error object around a code (`envelope`).

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Makes one enum of codes from its table, so that no list of them can forget one.
macro_rules! codes {
    (
        $(#[$meta:meta])*
        $name:ident {
            $($variant:ident $text:literal $status:literal $retryable:literal
                $summary:literal
                $suggestion:literal;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $(#[doc = $summary] $variant,)* }

        impl $name {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it stands in answers.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The code of a text; none for a code that this version does not know.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text)
            }

            /// Whether trying again later, with nothing changed, can succeed.
            #[must_use]
            pub fn retryable(self) -> bool {
                match self { $(Self::$variant => $retryable,)* }
            }

            /// What went wrong, in one sentence.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }

            /// What to do next, where the place of the error knows nothing better.
            #[must_use]
            pub fn suggestion(self) -> &'static str {
                match self { $(Self::$variant => $suggestion,)* }
            }

            /// The HTTP status of the answer that the code stands in.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

codes! {
    /// Why a request was refused. Codes are only ever added.
    ErrorCode {
        InvalidRequest "invalid_request" 400 false
            "The request is malformed, or asks for something that is not allowed"
            "Correct what `fields` names and send the request again.";
        UnknownModel "unknown_model" 400 false
            "There is no model of that name"
            "Use a name from `nearest`, or list all models with GET /v1/models/list.";
        ModelUnavailable "model_unavailable" 400 false
            "Nothing serves that model on this gateway"
            "Use a model from `alternatives`, or one that is `available` in GET /v1/models/list.";
        MissingCredentials "missing_credentials" 401 false
            "The request carries no credential"
            "Send `Authorization: Bearer <token>`; an agent gets one from POST /api/v1/agents/auth/token.";
        InvalidToken "invalid_token" 401 false
            "The credential is not known here, or was revoked"
            "Get a new access token from POST /api/v1/agents/auth/token.";
        ExpiredToken "expired_token" 401 false
            "The credential has expired"
            "Get a new one from POST /api/v1/agents/auth/refresh or POST /api/v1/agents/auth/token.";
        InvalidSignature "invalid_signature" 401 false
            "The signature does not match the request and the public key"
            "Sign the JSON without `signature`, keys sorted and no spaces, then send the same call again.";
        NonceReused "nonce_reused" 401 false
            "That nonce was used before"
            "Choose a new random `nonce`, sign again, and send the same call again.";
        TimestampOutOfRange "timestamp_out_of_range" 401 false
            "The timestamp is too far from the server's time"
            "Set `timestamp` from `server_time`, sign again, and send the same call again.";
        InsufficientCredits "insufficient_credits" 402 false
            "There are not enough credits available"
            "Use a cheaper model or ask the owner to top up.";
        BudgetExceeded "budget_exceeded" 402 false
            "The request would exceed a budget that the owner set"
            "Wait until `budget.resets_at`, pick a cheaper model from GET /v1/models/list, or ask the owner.";
        ScopeNotAllowed "scope_not_allowed" 403 false
            "Requested scope not allowed"
            "See what is granted with GET /v1/me, or ask the owner for more.";
        AgentNotBound "agent_not_bound" 403 false
            "The agent does not belong to an account yet"
            "Ask the owner to open `bind_url`; POST /api/v1/agents/register gives a fresh registration code.";
        AgentPaused "agent_paused" 403 false
            "The owner has paused the agent"
            "Ask the owner to resume the agent; GET /v1/generate/{request_id} still shows earlier tasks.";
        AccountFrozen "account_frozen" 403 false
            "The account is frozen"
            "Ask the owner to contact the operator; GET /v1/credits/balance still shows the credits.";
        RegistrationCodeInvalid "registration_code_invalid" 403 false
            "The registration code is wrong, expired or replaced"
            "Get a fresh code with POST /api/v1/agents/register and have the owner bind it.";
        NotFound "not_found" 404 false
            "There is nothing at that address for this credential"
            "Check the path and the id; GET /openapi.json lists all calls.";
        MethodNotAllowed "method_not_allowed" 405 false
            "That path does not take this method"
            "Use a method from the `Allow` header; GET /openapi.json lists all calls.";
        PriceVersionUnknown "price_version_unknown" 409 false
            "That price version is unknown or retired"
            "Send `current_price_version`, or no `price_version`; POST /v1/credits/estimate tells the price.";
        PriceAboveMaxCredits "price_above_max_credits" 409 false
            "The price is above `max_credits`"
            "Raise `max_credits` to `current_price`, or find a cheaper model with POST /v1/credits/estimate.";
        QuoteExpired "quote_expired" 409 false
            "The quote has expired"
            "Get a new `quote_id` from POST /v1/credits/estimate.";
        QuoteMismatch "quote_mismatch" 409 false
            "The quote was made for a different request"
            "Get a `quote_id` for exactly these inputs from POST /v1/credits/estimate.";
        NotCancelable "not_cancelable" 409 false
            "The task can no longer be canceled without cost"
            "Wait for the result with GET /v1/generate/{request_id}.";
        PayloadTooLarge "payload_too_large" 413 false
            "The body is larger than this call takes"
            "Send fewer or smaller inputs, or their URLs instead of `data:` URIs, with POST /v1/generate.";
        UnsupportedMediaType "unsupported_media_type" 415 false
            "This call does not take that content type"
            "Send JSON with `Content-Type: application/json`.";
        RequestIdReused "request_id_reused" 422 false
            "That request_id was used for a different request"
            "Use a new `request_id`; GET /v1/generate/{request_id} shows the old one.";
        RateLimited "rate_limited" 429 true
            "Too many requests in a short time"
            "Send the same call again after the seconds in `Retry-After`.";
        TooManyOpenTasks "too_many_open_tasks" 429 true
            "The account has too many unfinished tasks"
            "Wait for tasks to finish with GET /v1/generate/{request_id}, then send the same call again.";
        HeadersTooLarge "headers_too_large" 431 false
            "The request's headers are too large"
            "Send the same call with fewer or shorter headers.";
        Internal "internal" 500 true
            "The gateway failed; the fault is not in the request"
            "Send the same call with the same `request_id` again; it is never charged twice.";
        Overloaded "overloaded" 503 true
            "The gateway has more to do than it can take"
            "Send the same call with the same `request_id` again after `Retry-After`.";
        ShuttingDown "shutting_down" 503 true
            "The gateway is shutting down or restarting"
            "Send the same call with the same `request_id` again after `Retry-After`.";
        UpstreamUnavailable "upstream_unavailable" 503 true
            "A service that this call needs does not answer at the moment"
            "Send the same call with the same `request_id` again after `Retry-After`.";
    }
}

impl ErrorCode {
    /// Where the docs explain the code: a path with its anchor, to put after the public URL.
    #[must_use]
    pub fn docs_path(self) -> String {
        format!("/docs/api#{}", self.as_str())
    }
}

codes! {
    /// Why a task, or one unit of it, failed. Codes are only ever added.
    TaskErrorCode {
        ContentRejected "content_rejected" 200 false
            "The provider's content rules refused the prompt or an input"
            "Change the prompt or the inputs and call POST /v1/generate with a new `request_id`.";
        ProviderFailed "provider_failed" 200 true
            "The provider failed to make the output"
            "Call POST /v1/generate with a new `request_id`, or with another model from GET /v1/models/list.";
        TimedOut "timed_out" 200 true
            "The provider did not finish in the model's maximum time"
            "Call POST /v1/generate with a new `request_id`, or with another model from GET /v1/models/list.";
        OutcomeUnknown "outcome_unknown" 200 true
            "The provider's answer was lost, and no result came in time"
            "Nothing was charged; call POST /v1/generate with a new `request_id`.";
        InputUnreachable "input_unreachable" 200 true
            "An input URL could not be fetched"
            "Upload the file with POST /v1/files and call POST /v1/generate with a new `request_id`.";
        InputRejected "input_rejected" 200 false
            "An input is not a file that the model takes"
            "See GET /v1/models/list for what it takes; call POST /v1/generate with a new `request_id`.";
        Poisoned "poisoned" 200 false
            "The task stopped the worker that ran it, and is not run again"
            "Change the inputs and call POST /v1/generate with a new `request_id`.";
        Canceled "canceled" 200 false
            "The task was canceled before it was done"
            "To make it after all, call POST /v1/generate with a new `request_id`.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_the_contract() {
        let table: Vec<(u16, &str)> =
            ErrorCode::ALL.iter().map(|code| (code.status(), code.as_str())).collect();
        let expected = [
            (400, "invalid_request"),
            (400, "unknown_model"),
            (400, "model_unavailable"),
            (401, "missing_credentials"),
            (401, "invalid_token"),
            (401, "expired_token"),
            (401, "invalid_signature"),
            (401, "nonce_reused"),
            (401, "timestamp_out_of_range"),
            (402, "insufficient_credits"),
            (402, "budget_exceeded"),
            (403, "scope_not_allowed"),
            (403, "agent_not_bound"),
            (403, "agent_paused"),
            (403, "account_frozen"),
            (403, "registration_code_invalid"),
            (404, "not_found"),
            (405, "method_not_allowed"),
            (409, "price_version_unknown"),
            (409, "price_above_max_credits"),
            (409, "quote_expired"),
            (409, "quote_mismatch"),
            (409, "not_cancelable"),
            (413, "payload_too_large"),
            (415, "unsupported_media_type"),
            (422, "request_id_reused"),
            (429, "rate_limited"),
            (429, "too_many_open_tasks"),
            (431, "headers_too_large"),
            (500, "internal"),
            (503, "overloaded"),
            (503, "shutting_down"),
            (503, "upstream_unavailable"),
        ];
        assert_eq!(table, expected);
    }

    #[test]
    fn task_codes_are_those_of_the_contract() {
        let codes: Vec<&str> = TaskErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(
            codes,
            [
                "content_rejected",
                "provider_failed",
                "timed_out",
                "outcome_unknown",
                "input_unreachable",
                "input_rejected",
                "poisoned",
                "canceled"
            ]
        );
        assert!(TaskErrorCode::ALL.iter().all(|code| code.status() == 200));
    }

    #[test]
    fn json_text_and_parse_agree_with_the_table() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert_eq!(ErrorCode::parse(code.as_str()), Some(*code));
        }
        for code in TaskErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert_eq!(TaskErrorCode::parse(code.as_str()), Some(*code));
        }
        assert_eq!(ErrorCode::parse("of_tomorrow"), None);
    }

    #[test]
    fn only_passing_trouble_is_retryable() {
        let codes: Vec<&str> =
            ErrorCode::ALL.iter().filter(|code| code.retryable()).map(|code| code.as_str()).collect();
        assert_eq!(
            codes,
            [
                "rate_limited",
                "too_many_open_tasks",
                "internal",
                "overloaded",
                "shutting_down",
                "upstream_unavailable"
            ]
        );
    }

    #[test]
    fn texts_are_sentences() {
        let texts = ErrorCode::ALL.iter().map(|code| (code.summary(), code.suggestion()));
        let task_texts = TaskErrorCode::ALL.iter().map(|code| (code.summary(), code.suggestion()));
        for (summary, suggestion) in texts.chain(task_texts) {
            assert!(!summary.ends_with('.') && summary.starts_with(|first: char| first.is_ascii_uppercase()));
            assert!(suggestion.ends_with('.'), "{suggestion}");
        }
        assert_eq!(ErrorCode::ScopeNotAllowed.summary(), "Requested scope not allowed");
        assert_eq!(ErrorCode::NotFound.docs_path(), "/docs/api#not_found");
    }
}
