//! What a request would cost, and a quote that holds the price.
//!
//! Invariant: writes nothing; without a quote the estimate equals the hold at the same price version. Not
//! here: acceptance.

use crate::{
    app::{Error, account, caller::Caller, model, normalize::Wanted, pause, quote, request::Fields, route},
    state::App,
};
use rynjer_api::{Breakdown, EstimateAnswer, EstimateRequest, Multiplier};
use rynjer_core::{
    catalog::{Asked, Plan, Price},
    time::rfc3339,
};
use serde_json::{Value, json};
use std::{borrow::Cow, collections::BTreeMap};

/// Prices a request.
pub(crate) async fn estimate(app: &App, caller: &Caller, fields: &Fields) -> Result<EstimateAnswer, Error> {
    let mut problems = Vec::new();
    let wanted = Wanted::read(&with_options(fields), false, &mut problems);
    let options = fields.opt_object("options");
    for name in options.iter().flat_map(|_| rynjer_api::Units::FIELDS) {
        let (option, top) = (options.as_ref().and_then(|options| options.get(name)), fields.get(name));
        if top.is_some() && option.is_some() && top != option {
            problems.push(crate::app::Field::new(*name, format!("differs from `options.{name}`")));
        }
    }
    if fields.get("options").is_some_and(|options| !options.is_object()) {
        problems.push(crate::app::Field::new("options", "must be an object"));
    }
    let max_credits = fields.opt_not_negative("max_credits", &mut problems);
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    let asked = Asked { estimate: true, ..wanted.asked() };
    pause::look(app).await?;
    let chosen = route::choose(app, caller, &wanted, &asked, (max_credits, None))?;
    let plan = chosen.plan(app, &asked)?;
    let price = app.catalog.price(&plan, wanted.price_version.as_deref()).map_err(model::price_error)?;
    let (quote_id, expires_at_ms) = quote::issue(app, caller, &plan, &price, &wanted)?;
    let spendable = account::spendable(app, caller).await?;
    Ok(EstimateAnswer {
        estimated_credits: price.total.0,
        price_version: price.version.clone(),
        model: plan.model.name.clone(),
        routed: chosen.routed,
        breakdown: breakdown(&plan, &price, wanted.preset.as_deref()),
        quote_id,
        expires_at: rfc3339(expires_at_ms),
        affordable: price.total <= spendable && caller.policies.too_dear(price.total).is_none(),
        mode: caller.mode(),
        warnings: fields.unknown(EstimateRequest::FIELDS),
    })
}

/// `options` of the running service means the same as top-level shortcuts.
fn with_options(fields: &Fields) -> Cow<'_, Fields> {
    match fields.opt_object("options") {
        Some(options) => Cow::Owned(fields.with_defaults(&options, rynjer_api::Units::FIELDS)),
        None => Cow::Borrowed(fields),
    }
}

fn breakdown(plan: &Plan, price: &Price, preset: Option<&str>) -> Breakdown {
    let mut options: BTreeMap<String, Value> = BTreeMap::new();
    options.insert("scene".to_owned(), json!(plan.mode.as_str()));
    for (name, value) in [("resolution", &plan.resolution), ("aspect_ratio", &plan.aspect_ratio)] {
        if let Some(value) = value {
            options.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(preset) = preset {
        options.insert("preset".to_owned(), json!(preset));
    }
    if let Some(seconds) = plan.duration_seconds {
        options.insert("duration".to_owned(), json!(seconds));
    }
    let multipliers = price.breakdown.multipliers.iter();
    Breakdown {
        media_type: model::product(plan.product),
        options,
        price_rules: price.breakdown.rules.clone(),
        base: price.breakdown.base.0,
        count: price.count,
        multipliers: multipliers
            .map(|(applies_to, factor)| Multiplier { applies_to: applies_to.clone(), factor: factor.clone() })
            .collect(),
    }
}
