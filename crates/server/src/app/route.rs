//! Which model to take: the ranked answer, and the choice behind `model: "auto"`.
//!
//! Invariant: `auto` takes the first of the route for the same question, or the model of its quote. Not here:
//! the ranking (`core::catalog`), scopes.

use crate::{
    app::{
        Error, Field,
        caller::Caller,
        model,
        normalize::{self, Taste, Wanted},
        pause, policy, quote,
        request::Fields,
    },
    state::App,
};
use rynjer_api::{DurationSeconds, RankedModel, RouteAnswer, RouteRequest, Routed, Units, UnsuitableModel};
use rynjer_core::{
    catalog::{Asked, Cause, Plan, Product, Ranked, Route, RouteAsk, UseCase},
    nearest,
};

/// The name that leaves the choice to the gateway.
pub(crate) const AUTO: &str = "auto";

/// Ranks the models for a question.
pub(crate) async fn answer(app: &App, caller: &Caller, fields: &Fields) -> Result<RouteAnswer, Error> {
    pause::look(app).await?;
    let mut problems = Vec::new();
    let wanted = Wanted::without_model(fields, false, &mut problems);
    let asked = asked(fields, &wanted, &mut problems);
    let max_credits = fields.opt_not_negative("max_credits", &mut problems);
    let use_case = match use_case(app, &wanted.taste) {
        Ok(use_case) => use_case,
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    let quality_mode = wanted.taste.quality_mode.unwrap_or_default();
    let route = route(app, caller, &RouteAsk { asked, quality_mode, use_case, max_credits });
    let nobody_can = model::field_problems(route.nobody_can());
    if !nobody_can.is_empty() {
        return Err(Error::Invalid(nobody_can));
    }
    let ranked = route.ranked.iter().zip(1..);
    let models: Vec<RankedModel> = ranked.map(|(one, rank)| shown(app, caller, &wanted, one, rank)).collect();
    let passed = |other: &rynjer_core::catalog::Unsuitable| UnsuitableModel {
        model: other.model.name.clone(),
        reason: other.cause.sentence(),
    };
    Ok(RouteAnswer {
        quality_mode: model::quality_mode(quality_mode),
        use_case: use_case.map(|case| case.name.clone()),
        product: model::product(route.product),
        recommended: models.first().map(|first| first.model.clone()),
        models,
        not_suitable: route.unsuitable.iter().map(passed).collect(),
        mode: caller.mode(),
        warnings: fields.unknown(RouteRequest::FIELDS),
    })
}

/// The question's own fields beside those that it shares with estimate and generate.
fn asked(fields: &Fields, wanted: &Wanted, problems: &mut Vec<Field>) -> Asked {
    let prompt = fields.opt_str("prompt", problems);
    let seed = fields.opt_i64("seed", problems);
    let negative_prompt = fields.opt_str("negative_prompt", problems);
    let announced = fields.opt_not_negative("input_images", problems);
    let input_images = announced.and_then(|number| usize::try_from(number).ok());
    let sent = wanted.input_image_urls.len();
    if input_images.is_some_and(|number| sent > 0 && number != sent) {
        problems.push(Field::new("input_images", "differs from the number of `input_image_urls`"));
    }
    Asked {
        input_images: input_images.unwrap_or(sent),
        prompt_chars: prompt.map(|prompt| prompt.chars().count()),
        negative_prompt: negative_prompt.is_some(),
        seed: seed.is_some(),
        price_version: None,
        estimate: true,
        ..wanted.asked()
    }
}

fn shown(app: &App, caller: &Caller, wanted: &Wanted, ranked: &Ranked, rank: u32) -> RankedModel {
    let plan = &ranked.plan;
    let served = model::served_by(app, caller, &plan.model).ok();
    RankedModel {
        rank,
        model: plan.model.name.clone(),
        product: model::product(plan.product),
        credits: ranked.price.total.0,
        unit_price: ranked.price.unit.0,
        price_version: ranked.price.version.clone(),
        available: served.is_some(),
        served_by: served,
        typical_seconds: plan.model.typical_seconds,
        reason: ranked.reason.clone(),
        units: Units {
            count: Some(plan.count),
            resolution: plan.resolution.clone(),
            duration: plan.duration_seconds.map(DurationSeconds::Number),
            aspect_ratio: plan.aspect_ratio.clone(),
            preset: wanted.preset.clone(),
        },
    }
}

fn route(app: &App, caller: &Caller, ask: &RouteAsk<'_>) -> Route {
    let mut route = app.catalog.route(ask, |one| model::served_by(app, caller, one).err());
    if let Some((most, _)) = caller.policies.max_price() {
        route.keep_within(most);
    }
    route
}

/// The use case of a request, by any of its words.
fn use_case<'a>(app: &'a App, taste: &Taste) -> Result<Option<&'a UseCase>, Field> {
    let Some(word) = &taste.use_case else { return Ok(None) };
    let routing = app.catalog.routing();
    if let Some(found) = routing.use_case(word) {
        return Ok(Some(found));
    }
    let names: Vec<String> = routing.use_cases().iter().map(|case| case.name.clone()).collect();
    let meant = nearest::nearest(&word.to_lowercase(), names.iter().map(String::as_str), 2);
    let problem = match meant {
        Some(meant) => format!("is not a known use case; did you mean `{meant}`?"),
        None => "is not a known use case; take one of the allowed words, or leave it out".to_owned(),
    };
    Err(Field { field: "use_case".to_owned(), problem, allowed: names })
}

/// The model of a request, with the choice behind it where that was left to the gateway.
pub(crate) struct Chosen {
    model: String,
    /// What the route would make of it.
    plan: Option<Plan>,
    pub(crate) routed: Option<Routed>,
}

impl Chosen {
    /// What its model makes.
    pub(crate) fn product(&self, app: &App) -> Option<Product> {
        app.catalog.model(&self.model).map(|model| model.product)
    }

    /// The request as its model makes it.
    pub(crate) fn plan(&self, app: &App, asked: &Asked) -> Result<Plan, Error> {
        match &self.plan {
            Some(plan) => Ok(plan.clone()),
            None => app.catalog.resolve(&self.model, asked).map_err(|r| normalize::refused(app, r)),
        }
    }
}

/// What a request would make, as far as that is known before a model is chosen.
pub(crate) fn product(app: &App, wanted: &Wanted, asked: &Asked) -> Option<Product> {
    if wanted.model != AUTO {
        return app.catalog.model(&wanted.model).map(|model| model.product);
    }
    let use_case = use_case(app, &wanted.taste).ok()?;
    Some(app.catalog.product_of(asked, use_case))
}

/// The model that a request names, or the first of its route, or the model of its quote.
pub(crate) fn choose(
    app: &App,
    caller: &Caller,
    wanted: &Wanted,
    asked: &Asked,
    (max_credits, quote_id): (Option<i64>, Option<&str>),
) -> Result<Chosen, Error> {
    if wanted.model != AUTO {
        return Ok(Chosen { model: wanted.model.clone(), plan: None, routed: None });
    }
    let use_case = use_case(app, &wanted.taste).map_err(|problem| Error::Invalid(vec![problem]))?;
    let quality_mode = wanted.taste.quality_mode.unwrap_or_default();
    let routed = |reason: String| Routed {
        reason,
        quality_mode: model::quality_mode(quality_mode),
        use_case: use_case.map(|case| case.name.clone()),
    };
    if let Some(text) = quote_id {
        let model = quote::routed_model(app, caller, text, &wanted.taste)?;
        let reason = "The quote was made for it.".to_owned();
        return Ok(Chosen { model, plan: None, routed: Some(routed(reason)) });
    }
    let ask = RouteAsk { asked: asked.clone(), quality_mode, use_case, max_credits };
    let mut route = route(app, caller, &ask);
    if route.ranked.is_empty() {
        return Err(nothing_fits(caller, &route));
    }
    let first = route.ranked.remove(0);
    let model = first.plan.model.name.clone();
    Ok(Chosen { model, plan: Some(first.plan), routed: Some(routed(first.reason)) })
}

/// Why `auto` found nothing: the price if that is all, else who serves it, else what nobody can do.
fn nothing_fits(caller: &Caller, route: &Route) -> Error {
    let causes = || route.unsuitable.iter().map(|other| &other.cause);
    let prices = causes().filter_map(|cause| match cause {
        Cause::TooDear { price } => Some(*price),
        _ => None,
    });
    if let Some(price) = prices.min() {
        return Error::PriceAboveMax { price };
    }
    let forbidden = causes().filter_map(|cause| match cause {
        Cause::AbovePolicy { price, .. } => {
            policy::check_price(caller, *price).err().map(|error| (*price, error))
        }
        _ => None,
    });
    if let Some((_, error)) = forbidden.min_by_key(|(price, _)| *price) {
        return error;
    }
    let unavailable = causes().find_map(|cause| match cause {
        Cause::Unavailable(reason) => Some(reason.clone()),
        _ => None,
    });
    if let Some(reason) = unavailable {
        return Error::ModelUnavailable { reason, alternatives: Vec::new() };
    }
    let nobody_can = model::field_problems(route.nobody_can());
    if nobody_can.is_empty() {
        let problem = format!(
            "auto found no {} model that does all of this at once; POST /v1/models/route with the same body \
             tells what each one lacks",
            route.product
        );
        return Error::field("model", problem);
    }
    Error::Invalid(nobody_can)
}
