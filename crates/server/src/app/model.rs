//! The models as a caller sees them: abilities, prices, and who serves them.
//!
//! Invariant: every model of the catalog is listed, whether or not anybody serves it. Not here: prices of
//! requests (`estimate`).

use crate::{
    app::{Error, Field, caller::Caller, pause, policy, vendor},
    state::App,
};
use rynjer_api::{Model, ModelsAnswer, Multiplier, Preset, Product, QualityMode, Scene, Units};
use rynjer_core::catalog;
use std::collections::BTreeMap;

/// The provider that serves test accounts, always and only.
pub(crate) const SANDBOX: &str = "sandbox";

/// Who serves a model to a caller, or why nobody does.
pub(crate) fn served_by(app: &App, caller: &Caller, model: &catalog::Model) -> Result<String, String> {
    closed(app, caller, &model.name)?;
    vendor::served_by(app, caller.live, model).map(|served| served.shown())
}

/// Refuses a model that the operator paused or the owner does not allow.
pub(crate) fn closed(app: &App, caller: &Caller, model: &str) -> Result<(), String> {
    policy::forbidden(caller, model).or_else(|| app.pauses.of_model(model)).map_or(Ok(()), Err)
}

/// All models for a caller.
pub(crate) async fn list(app: &App, caller: &Caller) -> Result<ModelsAnswer, Error> {
    pause::look(app).await?;
    Ok(ModelsAnswer {
        currency: "credits".to_owned(),
        price_version: app.catalog.current().name.clone(),
        mode: caller.mode(),
        models: app.catalog.models().iter().map(|model| shown(app, caller, model)).collect(),
        presets: app.catalog.presets().iter().map(|one| preset(app, one)).collect(),
    })
}

fn preset(app: &App, preset: &catalog::Preset) -> Preset {
    let models = app.catalog.models().iter().filter(|model| preset.suits(model));
    Preset {
        preset: preset.name.clone(),
        products: preset.products.iter().copied().map(product).collect(),
        aspect_ratio: preset.aspect_ratio.clone(),
        width: preset.pixels.map(|(width, _)| width),
        height: preset.pixels.map(|(_, height)| height),
        models: models.map(|model| model.name.clone()).collect(),
    }
}

fn shown(app: &App, caller: &Caller, model: &catalog::Model) -> Model {
    let served = served_by(app, caller, model);
    let price = app.catalog.model_price(&model.name);
    let mode = model.text_mode().or_else(|| model.image_mode());
    let resolutions: BTreeMap<String, i64> = app
        .catalog
        .resolution_prices(model)
        .into_iter()
        .map(|(name, credits)| (name.to_owned(), credits.0))
        .collect();
    let default_resolution = mode.and_then(|mode| app.catalog.default_resolution(model, mode, None).cloned());
    Model {
        model: model.name.clone(),
        product: product(model.product),
        modes: model.modes.iter().map(|mode| scene(*mode)).collect(),
        credits: price.map_or(0, |price| price.credits.0),
        unit: model.unit.clone(),
        notes: model.notes.clone(),
        resolutions,
        counts: model.counts.clone(),
        aspect_ratios: model.aspect_ratios.clone(),
        durations_seconds: model.durations_seconds.clone(),
        max_input_images: model.max_input_images,
        prompt_max_chars: model.prompt_max_chars,
        defaults: Units {
            count: Some(1),
            resolution: default_resolution,
            duration: model.default_duration_seconds.map(rynjer_api::DurationSeconds::Number),
            aspect_ratio: model.default_aspect_ratio.clone(),
            preset: None,
        },
        multipliers: price.map_or_else(Vec::new, |price| {
            let multipliers = price.multipliers().into_iter();
            multipliers
                .map(|(applies_to, ratio)| Multiplier { applies_to, factor: ratio.to_string() })
                .collect()
        }),
        available: served.is_ok(),
        reason_unavailable: served.as_ref().err().cloned(),
        served_by: served.ok(),
        typical_seconds: model.typical_seconds,
    }
}

/// The models that a caller can use now and that make the same thing.
pub(crate) fn alternatives(app: &App, caller: &Caller, product: catalog::Product) -> Vec<String> {
    let models = app.catalog.models().iter();
    let usable = models.filter(|model| model.product == product && served_by(app, caller, model).is_ok());
    usable.map(|model| model.name.clone()).collect()
}

pub(crate) fn product(product: catalog::Product) -> Product {
    match product {
        catalog::Product::Image => Product::Image,
        catalog::Product::Video => Product::Video,
        catalog::Product::Music => Product::Music,
    }
}

fn scene(mode: catalog::Mode) -> Scene {
    match mode {
        catalog::Mode::TextToImage => Scene::TextToImage,
        catalog::Mode::ImageToImage => Scene::ImageToImage,
        catalog::Mode::TextToVideo => Scene::TextToVideo,
        catalog::Mode::ImageToVideo => Scene::ImageToVideo,
        catalog::Mode::TextToMusic => Scene::TextToMusic,
    }
}

pub(crate) fn quality_mode(mode: catalog::QualityMode) -> QualityMode {
    match mode {
        catalog::QualityMode::Fast => QualityMode::Fast,
        catalog::QualityMode::Balanced => QualityMode::Balanced,
        catalog::QualityMode::High => QualityMode::High,
    }
}

/// What the catalog says of fields, as the API says it.
pub(crate) fn field_problems(problems: Vec<catalog::FieldProblem>) -> Vec<Field> {
    let field = |p: catalog::FieldProblem| Field {
        field: p.field.to_owned(),
        problem: p.problem,
        allowed: p.allowed,
    };
    problems.into_iter().map(field).collect()
}

/// A price that can't be given, as the API says it.
pub(crate) fn price_error(error: catalog::PriceError) -> Error {
    match error {
        catalog::PriceError::VersionUnknown(unknown) => Error::PriceVersionUnknown {
            current: unknown.current,
            current_price: unknown.current_price.total,
        },
        not_priced @ catalog::PriceError::NotPriced { .. } => Error::internal(not_priced),
    }
}
