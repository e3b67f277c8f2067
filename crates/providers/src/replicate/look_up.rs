//! Finds a prediction whose create was never answered, in the list of predictions.
//!
//! Invariant: all that the list shows must fit: model, every input, no picture that was not sent, and a time
//! that is not before the submit. A picture is one by its URL alone: what is inside a request the list does
//! not show, so a job of such is never looked for. Not here: which of the ones that were found belongs to
//! another attempt.

use super::wire::{self, Prediction};
use crate::{
    LookUpAnswer, ProviderError,
    upstream::{Call, Upstream},
};
use rynjer_core::time::parse_ms;
use serde::Deserialize;
use serde_json::Value;

/// How far Replicate's clock may be behind ours.
const CLOCK_GAP_MS: i64 = 5_000;
/// How long a create may still be on its way after it was sent.
const ON_ITS_WAY_MS: i64 = 60_000;
const PAGES_MAX: u32 = 20;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    next: Option<String>,
    results: Vec<Prediction>,
}

/// What is looked for.
pub(super) struct Sought<'a> {
    pub(super) vendor_model: &'a str,
    pub(super) input: Value,
    /// What the model calls pictures to start from.
    pub(super) pictures: Vec<&'a str>,
    pub(super) started_at_ms: i64,
    pub(super) now_ms: i64,
}

/// Predictions that fit, the newest first, as the list has them.
pub(super) async fn look_up(upstream: &Upstream, sought: &Sought<'_>) -> Result<Vec<String>, ProviderError> {
    let mut found = Vec::new();
    let mut url = upstream.url("/predictions");
    for _ in 0..PAGES_MAX {
        let answer = upstream.send(Call::get(url.clone())).await?;
        let page: Option<Page> = answer.json().filter(|_| answer.is_success());
        let page = page.ok_or_else(|| wire::later(&answer))?;
        for prediction in &page.results {
            if sought.is_after(prediction) {
                return Ok(found);
            }
            if sought.fits(prediction) {
                found.push(prediction.id.clone());
            }
        }
        let Some(next) = page.next else { return Ok(found) };
        // A page that can't be turned to may hold it: to say that there is none would make it twice.
        let message = || "the list has a next page that can't be asked for".to_owned();
        url = url.join(&next).map_err(|_| ProviderError::Ambiguous { message: message() })?;
    }
    let message = "there are too many predictions to look through".to_owned();
    Err(ProviderError::Ambiguous { message })
}

impl Sought<'_> {
    fn since_ms(&self) -> i64 {
        self.started_at_ms.saturating_sub(CLOCK_GAP_MS)
    }

    /// Whether the list has come to what was made before: there is no more to be found.
    fn is_after(&self, prediction: &Prediction) -> bool {
        created_ms(prediction).is_some_and(|created| created < self.since_ms())
    }

    fn fits(&self, prediction: &Prediction) -> bool {
        let (name, version) = self.vendor_model.split_once(':').unwrap_or((self.vendor_model, ""));
        let listed = prediction.version.as_deref().unwrap_or_default();
        let is_model =
            if name.contains('/') { prediction.model.as_deref() == Some(name) } else { listed == name };
        let is_version = version.is_empty() || listed == version;
        let fits_time = created_ms(prediction).is_some_and(|created| created >= self.since_ms());
        is_model && is_version && fits_time && self.is_input(&prediction.input)
    }

    /// Whether a listed input is what we sent; the list adds the model's defaults.
    fn is_input(&self, listed: &Value) -> bool {
        let sent = self.input.as_object();
        let all = sent.is_some_and(|sent| sent.iter().all(|(name, value)| listed.get(name) == Some(value)));
        let is_none = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        let is_strange =
            |name: &&str| self.input.get(*name).is_none() && !listed.get(*name).is_none_or(is_none);
        all && !self.pictures.iter().any(is_strange)
    }

    /// Nothing was found: there is nothing, unless the create may still be on its way.
    pub(super) fn absent(&self) -> Result<LookUpAnswer, ProviderError> {
        let settled_ms = self.started_at_ms.saturating_add(ON_ITS_WAY_MS);
        let wait_ms = settled_ms.saturating_sub(self.now_ms);
        if wait_ms <= 0 {
            return Ok(LookUpAnswer::Absent);
        }
        let message = "the prediction may still be on its way".to_owned();
        Err(ProviderError::NotNow { retry_after_ms: u32::try_from(wait_ms).ok(), message })
    }
}

fn created_ms(prediction: &Prediction) -> Option<i64> {
    parse_ms(prediction.created_at.as_deref()?)
}
