//! One call of a provider, seen from outside: its span, its time, how it ended.
//!
//! Invariant: labels are names of providers and calls and four outcomes; the call itself is not changed. Not
//! here: what an answer means (`run`).

use crate::{clock, trace};
use rynjer_providers::ProviderError;
use tracing::Instrument;

/// Waits for the call.
pub(super) async fn observe<T>(
    provider: &'static str,
    call: &'static str,
    work: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let started = clock::stopwatch();
    let span = trace::provider_call(provider, call);
    let answer = work.instrument(span.clone()).await;
    let outcome = match &answer {
        Ok(_) => "answered",
        Err(ProviderError::Refused { .. }) => "refused",
        Err(ProviderError::NotNow { .. }) => "not_now",
        Err(ProviderError::Busy { .. }) => "busy",
        Err(ProviderError::Unusable { .. }) => "unusable",
        Err(ProviderError::Ambiguous { .. }) => "ambiguous",
    };
    span.record("outcome", outcome);
    if answer.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    let labels = [("provider", provider), ("call", call), ("outcome", outcome)];
    metrics::counter!("rynjer_provider_calls_total", &labels).increment(1);
    metrics::histogram!("rynjer_provider_call_seconds", "provider" => provider, "call" => call)
        .record(started.elapsed().as_secs_f64());
    answer
}
