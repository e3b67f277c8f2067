//! Finds a prediction whose create was never answered, in the list of predictions.
//!
//! Invariant: all that the list shows must fit: model, every input, no picture that was not sent, and the
//! time; what may fit and does not tell is neither found nor absent. A picture is one by its URL alone, so a
//! job with an inline one is never looked for. Not here: which of those found belongs to another attempt.

use super::wire::{self, Prediction};
use crate::{
    LookUpAnswer, ProviderError,
    look_up::{Finds, unreadable},
    upstream::{Answer, Call, Upstream},
};
use rynjer_core::time::parse_ms;
use serde::Deserialize;
use serde_json::Value;

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

/// Predictions that fit, those made nearest to the submit first. The list has the newest first.
pub(super) async fn look_up(upstream: &Upstream, sought: &Sought<'_>) -> Result<Vec<String>, ProviderError> {
    let mut finds = Finds::new(sought.started_at_ms, sought.now_ms);
    let mut url = upstream.url("/predictions");
    for _ in 0..PAGES_MAX {
        let answer = upstream.send(Call::get(url.clone())).await?;
        finds.compare_clocks(&answer)?;
        let page = page(&answer)?;
        for prediction in &page.results {
            let made_ms = created_ms(prediction);
            if finds.is_too_old(made_ms) {
                return finds.ids();
            }
            if finds.may_be(made_ms) && sought.fits(prediction) {
                let is_sure = sought.is_model(prediction) && !prediction.data_removed;
                finds.add(prediction.id.clone(), made_ms, is_sure);
            }
        }
        let Some(next) = page.next else { return finds.ids() };
        // A page that can't be turned to may hold it: to say that there is none would make it twice.
        let unasked = |_| unreadable("the list has a next page that can't be asked for");
        url = url.join(&next).map_err(unasked)?;
    }
    Err(unreadable("there are too many predictions to look through"))
}

fn page(answer: &Answer) -> Result<Page, ProviderError> {
    if !answer.is_success() {
        return Err(wire::later(answer));
    }
    answer.json().ok_or_else(|| unreadable("the list of predictions could not be read"))
}

impl Sought<'_> {
    fn name_and_version(&self) -> (&str, &str) {
        match self.vendor_model.split_once(':') {
            Some(both) => both,
            None if self.vendor_model.contains('/') => (self.vendor_model, ""),
            None => ("", self.vendor_model),
        }
    }

    /// Whether it tells that it is of the model, and of the version if one is asked for.
    fn is_model(&self, prediction: &Prediction) -> bool {
        let (name, version) = self.name_and_version();
        let is_name = name.is_empty() || prediction.model.as_deref() == Some(name);
        is_name && (version.is_empty() || prediction.version.as_deref() == Some(version))
    }

    /// Whether it may be of the model: one that tells none, or spells it with something behind, may be.
    fn may_be_model(&self, prediction: &Prediction) -> bool {
        let (name, version) = self.name_and_version();
        let may_be = |told: Option<&str>, ours: &str| {
            let told = told.unwrap_or_default().to_ascii_lowercase();
            told.is_empty() || told == "hidden" || told.starts_with(&ours.to_ascii_lowercase())
        };
        may_be(prediction.model.as_deref(), name) && may_be(prediction.version.as_deref(), version)
    }

    /// An hour after its end a prediction no longer tells its inputs.
    fn fits(&self, prediction: &Prediction) -> bool {
        self.may_be_model(prediction) && (prediction.data_removed || self.is_input(&prediction.input))
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
