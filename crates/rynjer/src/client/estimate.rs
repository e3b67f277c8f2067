//! `estimate`: what a generation would cost.
//!
//! Invariant: it spends nothing. Not here: how prices come about (the gateway).

use super::{account::object, input, moment, session::Session};
use crate::{
    cli::client::{Estimate, Wanted},
    failure::Failure,
    print,
    table::page,
    words::{credits, grouped},
};
use rynjer_api::{CountOrUnits, DurationSeconds, EstimateRequest, Units};

/// Runs `rynjer estimate`.
pub(super) async fn run(arguments: Estimate, json: bool) -> Result<(), Failure> {
    let mut session = Session::open(&arguments.reach)?;
    let inputs = input::addresses(&arguments.wanted.input)?;
    let request = EstimateRequest {
        model: arguments.model.clone(),
        units: units(&arguments.wanted).map(CountOrUnits::Units),
        input_image_urls: (!inputs.is_empty()).then_some(inputs),
        ..EstimateRequest::default()
    };
    let request = &request;
    let estimate = session.call(|client| async move { client.estimate(request).await }).await?;
    print::answer(json, &object(&estimate)?, |style| {
        let breakdown = &estimate.breakdown;
        let mut price = grouped(breakdown.base);
        breakdown.multipliers.iter().for_each(|factor| {
            price.push_str(&format!(" × {} ({})", factor.factor, factor.applies_to));
        });
        if breakdown.count > 1 {
            price.push_str(&format!(" × {}", breakdown.count));
        }
        let options = breakdown.options.iter().map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name} {text}"),
            None => format!("{name} {value}"),
        });
        let model = match &estimate.routed {
            Some(routed) => format!("{}: {}", estimate.model, routed.reason),
            None => estimate.model.clone(),
        };
        let affordable = if estimate.affordable { "yes" } else { "no" };
        page(
            style,
            &[
                ("model", model),
                ("for", options.collect::<Vec<_>>().join(", ")),
                ("price", price),
                ("total", credits(estimate.estimated_credits)),
                ("affordable", affordable.to_owned()),
                ("prices of", estimate.price_version.clone()),
                ("quote until", moment(&estimate.expires_at)),
            ],
        )
    })?;
    print::hint(json, "`--json` has the quote_id, which fixes the price for `rynjer generate`");
    Ok(())
}

/// What is bought; none if nothing was said.
pub(super) fn units(wanted: &Wanted) -> Option<Units> {
    let units = Units {
        count: wanted.count,
        resolution: wanted.resolution.clone(),
        duration: wanted.duration.map(DurationSeconds::Number),
        aspect_ratio: wanted.aspect_ratio.clone(),
        preset: wanted.preset.clone(),
    };
    (units != Units::default()).then_some(units)
}
