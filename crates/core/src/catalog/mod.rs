//! The catalog: which models there are, what they can do and what they cost.
//!
//! Invariant: prices and rules are data; a `Catalog` exists only if its whole file has passed every check, so
//! each offered combination has a price in the current version. Not here: who serves a model, holds, quotes.

mod ask;
mod check;
mod coverage;
mod load;
mod model;
mod pixels;
mod preset;
mod price;
mod read;
mod resolve;
mod route;
mod routing;
mod vendor;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use ask::{Asked, FieldProblem, Plan, Refusal};
pub use model::{Combination, Mode, Model, Product};
pub use pixels::{AspectRatio, parse_duration_text, short_side};
pub use preset::Preset;
pub use price::{Breakdown, Price, PriceError, PriceVersionUnknown, VersionProblem};
pub use read::{CatalogError, Problem};
pub use route::{Cause, Ranked, Route, RouteAsk, Unsuitable};
pub use routing::{QualityMode, Routing, UseCase};
pub use vendor::{Condition, Need, VendorRoute};
pub use version::{ModelPrice, PriceVersion, ResolutionRule};

use crate::credits::Credits;
use price::Wanted;

/// The catalog that is compiled in.
const BUILTIN: &str = include_str!("../catalog.toml");

/// Every model and every price version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    models: Vec<Arc<Model>>,
    by_name: BTreeMap<String, Arc<Model>>,
    versions: Vec<Arc<PriceVersion>>,
    current: Arc<PriceVersion>,
    presets: Vec<Preset>,
    routing: Routing,
    vendor_routes: Vec<VendorRoute>,
}

impl Catalog {
    /// Reads and checks a catalog file.
    ///
    /// # Errors
    /// Lists every problem of the file with the model and the field.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        load::catalog(text)
    }

    /// The catalog that is compiled in. Parsing takes a moment: keep the result.
    ///
    /// # Errors
    /// Never in a build that passed its tests.
    pub fn builtin() -> Result<Self, CatalogError> {
        Self::parse(BUILTIN)
    }

    /// Every model, in the order of the file.
    #[must_use]
    pub fn models(&self) -> &[Arc<Model>] {
        &self.models
    }

    /// One model, by its exact name.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Arc<Model>> {
        self.by_name.get(name)
    }

    /// The names of all models, in the order of the file.
    pub fn model_names(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|model| model.name.as_str())
    }

    /// Every price version, in the order of the file.
    #[must_use]
    pub fn price_versions(&self) -> &[Arc<PriceVersion>] {
        &self.versions
    }

    /// One price version, by its exact name, live or not.
    #[must_use]
    pub fn price_version(&self, name: &str) -> Option<&PriceVersion> {
        self.versions.iter().find(|version| version.name == name).map(AsRef::as_ref)
    }

    /// Every route to a vendor, those of lower rank first, otherwise in the order of the file.
    #[must_use]
    pub fn vendor_routes(&self) -> &[VendorRoute] {
        &self.vendor_routes
    }

    /// The routes of one model, in the order in which they are tried.
    pub fn routes_of<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a VendorRoute> {
        self.vendor_routes.iter().filter(move |route| route.model == model)
    }

    /// The price version of requests that pin none.
    #[must_use]
    pub fn current(&self) -> &PriceVersion {
        &self.current
    }

    /// The price version of requests for a model that pin none: the current one, or for a model that came
    /// after it the newest live one that has it.
    #[must_use]
    pub fn pricing(&self, model: &str) -> &PriceVersion {
        if self.current.model(model).is_some() {
            return &self.current;
        }
        let later = self.versions.iter().rev().find(|version| version.live && version.model(model).is_some());
        later.unwrap_or(&self.current)
    }

    /// The price of a model there.
    #[must_use]
    pub fn model_price(&self, model: &str) -> Option<&ModelPrice> {
        self.pricing(model).model(model)
    }

    /// Every preset, in the order of the file.
    #[must_use]
    pub fn presets(&self) -> &[Preset] {
        &self.presets
    }

    /// The words for use cases and the rules of the ranking.
    #[must_use]
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// The version and the price of one output, as [`Catalog::price`] gives them, without the explanation
    /// that an acceptance has no use for.
    ///
    /// # Errors
    /// As [`Catalog::price`].
    pub fn unit_price(&self, plan: &Plan, version: Option<&str>) -> Result<(String, Credits), PriceError> {
        let pricing = self.pricing(&plan.model.name);
        if version.is_none()
            && let Some(model) = pricing.model(&plan.model.name)
            && let Some(unit) = model.unit(plan.resolution.as_deref(), plan.mode)
        {
            return Ok((pricing.name.clone(), unit));
        }
        self.price(plan, version).map(|price| (price.version, price.unit))
    }

    /// The price of a plan with its explanation, in `version` or else in the current one.
    ///
    /// # Errors
    /// Says what is wrong with the pinned version, with the price in the current one.
    pub fn price(&self, plan: &Plan, version: Option<&str>) -> Result<Price, PriceError> {
        let wanted = wanted(plan);
        let reason = match version.map(|name| (name, self.price_version(name))) {
            None => return self.current_price(&wanted),
            Some((_, None)) => VersionProblem::Unknown,
            Some((_, Some(pinned))) if !pinned.live => VersionProblem::Retired,
            Some((_, Some(pinned))) => match pinned.price(&wanted) {
                Some(price) => return Ok(price),
                None => VersionProblem::NotPriced,
            },
        };
        let live = self.versions.iter().filter(|version| version.live);
        Err(PriceError::VersionUnknown(Box::new(PriceVersionUnknown {
            asked: version.unwrap_or_default().to_owned(),
            reason,
            current: self.pricing(wanted.model).name.clone(),
            current_price: self.current_price(&wanted)?,
            live: live.map(|version| version.name.clone()).collect(),
        })))
    }

    fn current_price(&self, wanted: &Wanted<'_>) -> Result<Price, PriceError> {
        let pricing = self.pricing(wanted.model);
        pricing.price(wanted).ok_or_else(|| PriceError::NotPriced {
            version: pricing.name.clone(),
            model: wanted.model.to_owned(),
            mode: wanted.mode,
        })
    }

    /// A model's resolutions with their current prices in the mode of its table price; empty for music.
    #[must_use]
    pub fn resolution_prices<'a>(&self, model: &'a Model) -> Vec<(&'a str, Credits)> {
        let Some(price) = self.model_price(&model.name) else { return Vec::new() };
        let Some(mode) = model.text_mode().or_else(|| model.image_mode()) else { return Vec::new() };
        let units = model.resolutions.iter().map(|name| Some((name.as_str(), price.unit(Some(name), mode)?)));
        units.flatten().collect()
    }

    /// Everything that can be bought: each model × mode × resolution × count.
    pub fn every_combination(&self) -> impl Iterator<Item = Combination<'_>> {
        self.models.iter().flat_map(|model| {
            let names = model.resolutions.iter().map(|name| Some(name.as_str()));
            let resolutions: Vec<_> = names.chain(model.resolutions.is_empty().then_some(None)).collect();
            model.modes.iter().flat_map(move |mode| {
                resolutions.clone().into_iter().flat_map(move |resolution| {
                    let counts = model.counts.iter();
                    counts.map(move |count| Combination { model, mode: *mode, resolution, count: *count })
                })
            })
        })
    }
}

fn wanted(plan: &Plan) -> Wanted<'_> {
    Wanted {
        model: &plan.model.name,
        noun: plan.product.unit(),
        resolution: plan.resolution.as_deref(),
        mode: plan.mode,
        count: plan.count,
    }
}
