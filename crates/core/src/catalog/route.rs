//! Which model to take: the models that can do what is asked, the best one first.
//!
//! Invariant: depends on the catalog and its arguments alone; a ranked model has a plan and a price within
//! the limit, each other one of the product has its reason. Not here: the rules' data (`routing.rs`), scopes.

use std::sync::Arc;

use super::model::{Mode, Model, Product};
use super::price::{PriceError, VersionProblem};
use super::routing::{QualityMode, Rule, UseCase};
use super::{Asked, Catalog, FieldProblem, Plan, Price, Refusal};
use crate::credits::Credits;

/// What somebody wants a model for.
#[derive(Debug, Clone)]
pub struct RouteAsk<'a> {
    /// What the model is to make. A prompt and pictures that an estimate leaves out are taken to be there.
    pub asked: Asked,
    /// What counts most.
    pub quality_mode: QualityMode,
    /// What it is for.
    pub use_case: Option<&'a UseCase>,
    /// The most that the request may cost.
    pub max_credits: Option<i64>,
}

/// A model that can do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranked {
    /// What would be made.
    pub plan: Plan,
    /// What it would cost.
    pub price: Price,
    /// Why it stands where it stands, in one sentence.
    pub reason: String,
}

/// Why a model is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It can't do what these fields say.
    Fields(Vec<FieldProblem>),
    /// Nobody serves it to this account.
    Unavailable(String),
    /// It costs more than the limit.
    TooDear {
        /// What it would cost.
        price: Credits,
    },
    /// It costs more than the caller's owner allows.
    AbovePolicy {
        /// What it would cost.
        price: Credits,
        /// What the owner allows.
        most: Credits,
    },
    /// It has no price where one is asked for.
    NotPriced(String),
}

impl Cause {
    /// The cause in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Fields(all) => {
                all.iter().map(|problem| problem.problem.clone()).collect::<Vec<_>>().join(" ")
            }
            Self::Unavailable(reason) => format!("Not available: {reason}."),
            Self::TooDear { price } => format!("It costs {price} credits, which is more than max_credits."),
            Self::AbovePolicy { price, most } => {
                format!("It costs {price} credits, and the owner's policy allows at most {most}.")
            }
            Self::NotPriced(text) => format!("It has no price: {text}."),
        }
    }
}

/// A model that is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsuitable {
    /// The model.
    pub model: Arc<Model>,
    /// Why.
    pub cause: Cause,
}

/// The models of one product, sorted out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What is made.
    pub product: Product,
    /// The best first.
    pub ranked: Vec<Ranked>,
    /// The others, in the order of the catalog, and then those that are too dear for the owner.
    pub unsuitable: Vec<Unsuitable>,
}

impl Route {
    /// Passes over what costs more than an owner allows; it comes after what was passed over before.
    pub fn keep_within(&mut self, most: Credits) {
        let (kept, dear): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.ranked).into_iter().partition(|one| one.price.total <= most);
        self.ranked = kept;
        self.unsuitable.extend(dear.into_iter().map(|one| Unsuitable {
            model: one.plan.model,
            cause: Cause::AbovePolicy { price: one.price.total, most },
        }));
    }

    /// What no model of the product can do: the fields that each of them refuses, with what any of them
    /// allows. Empty if some could but for their price or for who serves them, or if they fail at different
    /// fields.
    #[must_use]
    pub fn nobody_can(&self) -> Vec<FieldProblem> {
        let mut all: Vec<&[FieldProblem]> = Vec::new();
        for other in &self.unsuitable {
            let Cause::Fields(problems) = &other.cause else { return Vec::new() };
            all.push(problems);
        }
        let Some((first, others)) = all.split_first().filter(|_| self.ranked.is_empty()) else {
            return Vec::new();
        };
        let shared = first.iter().filter(|problem| {
            others.iter().all(|problems| problems.iter().any(|other| other.field == problem.field))
        });
        let merged = shared.map(|problem| {
            let same = all.iter().flat_map(|problems| problems.iter());
            let mut allowed: Vec<String> = Vec::new();
            for value in same.filter(|other| other.field == problem.field).flat_map(|other| &other.allowed) {
                if !allowed.contains(value) {
                    allowed.push(value.clone());
                }
            }
            let problem_text = format!("No {} model can: {}", self.product, problem.problem);
            FieldProblem { field: problem.field, problem: problem_text, allowed }
        });
        merged.collect()
    }
}

impl Catalog {
    /// Sorts the models of a product by what is asked. `unavailable` says why nobody serves a model.
    pub fn route(&self, ask: &RouteAsk<'_>, unavailable: impl Fn(&Model) -> Option<String>) -> Route {
        let product = self.product_of(&ask.asked, ask.use_case);
        let asked = complete(ask, product);
        let rule = self.routing().rule(product, ask.quality_mode, ask.use_case);
        let mut ranked: Vec<(Place, Ranked)> = Vec::new();
        let mut unsuitable = Vec::new();
        for model in self.models().iter().filter(|model| model.product == product) {
            match self.candidate(model, &asked, ask.max_credits, &unavailable) {
                Ok((plan, price)) => {
                    let place = place(model, &price, ask, rule);
                    let reason = reason(model, &price, ask, rule);
                    ranked.push((place, Ranked { plan, price, reason }));
                }
                Err(cause) => unsuitable.push(Unsuitable { model: Arc::clone(model), cause }),
            }
        }
        // Stable: equals keep the order of the catalog.
        ranked.sort_by_key(|(place, _)| *place);
        Route { product, ranked: ranked.into_iter().map(|(_, ranked)| ranked).collect(), unsuitable }
    }

    fn candidate(
        &self,
        model: &Model,
        asked: &Asked,
        max_credits: Option<i64>,
        unavailable: impl Fn(&Model) -> Option<String>,
    ) -> Result<(Plan, Price), Cause> {
        let plan = self.resolve(&model.name, asked).map_err(|refusal| match refusal {
            Refusal::Fields(problems) => Cause::Fields(problems),
            Refusal::UnknownModel { name } => Cause::NotPriced(name),
        })?;
        if let Some(reason) = unavailable(model) {
            return Err(Cause::Unavailable(reason));
        }
        let price = match self.price(&plan, asked.price_version.as_deref()) {
            Ok(price) => price,
            // A version that does not exist is wrong for every model: who pinned it is told so later.
            Err(PriceError::VersionUnknown(unknown)) if unknown.reason != VersionProblem::NotPriced => {
                unknown.current_price
            }
            Err(other) => return Err(Cause::NotPriced(other.to_string())),
        };
        if max_credits.is_some_and(|max| price.total.0 > max) {
            return Err(Cause::TooDear { price: price.total });
        }
        Ok((plan, price))
    }

    /// What is to be made: as named, else as the scene, the use case, the preset or the units imply, else
    /// pictures.
    #[must_use]
    pub fn product_of(&self, asked: &Asked, use_case: Option<&UseCase>) -> Product {
        let named = asked.product.or_else(|| asked.mode.map(Mode::product));
        let of_units = || {
            let preset = asked.preset.as_ref();
            let preset = preset.and_then(|name| self.presets().iter().find(|preset| preset.name == *name));
            let only = preset.filter(|preset| preset.products.len() == 1);
            let clip = asked.resolution.as_ref().is_some_and(|name| name.to_lowercase().ends_with('p'));
            let lasting = asked.duration_seconds.is_some() || clip;
            let lasting = lasting.then_some(Product::Video);
            only.and_then(|preset| preset.products.first().copied()).or(lasting)
        };
        let fits = |product: &Product| use_case.is_none_or(|case| case.products.contains(product));
        let of_use_case = || use_case.and_then(|case| case.products.first().copied());
        named.or_else(|| of_units().filter(fits)).or_else(of_use_case).unwrap_or(Product::Image)
    }
}

/// What is asked with all that a ranking has to assume.
fn complete(ask: &RouteAsk<'_>, product: Product) -> Asked {
    let mut asked = ask.asked.clone();
    let from_images = ask.use_case.is_some_and(|case| case.from_images);
    if asked.mode.is_none() && from_images {
        asked.mode = match product {
            Product::Image => Some(Mode::ImageToImage),
            Product::Video => Some(Mode::ImageToVideo),
            Product::Music => None,
        };
    }
    if asked.estimate {
        // Whoever only asks has no prompt yet, and perhaps no pictures.
        asked.estimate = false;
        asked.prompt_chars = asked.prompt_chars.or(Some(1));
        if asked.mode.is_some_and(Mode::takes_images) {
            asked.input_images = asked.input_images.max(1);
        }
    }
    asked
}

/// Where a model stands: lower comes first.
type Place = (usize, bool, u64, u64);

fn place(model: &Model, price: &Price, ask: &RouteAsk<'_>, rule: Option<&Rule>) -> Place {
    let first = rule.and_then(|rule| rule.models.iter().position(|name| *name == model.name));
    let credits = u64::try_from(price.total.0).unwrap_or_default();
    let (quality, seconds) = (u64::from(model.quality.max(1)), u64::from(model.typical_seconds));
    let (measure, then) = match ask.quality_mode {
        QualityMode::Fast => (seconds, credits),
        QualityMode::High => (u64::MAX - quality, credits),
        QualityMode::Balanced => (credits.saturating_mul(1000) / quality, seconds),
    };
    (first.unwrap_or(usize::MAX), !names_use_case(model, ask), measure, then)
}

fn names_use_case(model: &Model, ask: &RouteAsk<'_>) -> bool {
    ask.use_case.is_none_or(|case| model.use_cases.contains(&case.name))
}

fn reason(model: &Model, price: &Price, ask: &RouteAsk<'_>, rule: Option<&Rule>) -> String {
    let first = rule.filter(|rule| rule.models.contains(&model.name));
    let strength = if model.strength.is_empty() { &model.notes } else { &model.strength };
    let strength = if strength.is_empty() { &model.name } else { strength };
    let lead = match (first, ask.use_case) {
        (Some(rule), _) => format!("{}: {strength}", rule.why),
        (None, Some(case)) if names_use_case(model, ask) => format!("Good for {}: {strength}", case.name),
        (None, _) => {
            let mut letters = strength.chars();
            letters.next().map_or_else(String::new, |letter| letter.to_uppercase().chain(letters).collect())
        }
    };
    format!("{lead}; {} credits, usually about {} s.", price.total, model.typical_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        Catalog::builtin().unwrap()
    }

    /// The ranked models for a quality mode, a use case and what is asked.
    fn ranked(
        quality_mode: QualityMode,
        use_case: &str,
        asked: Asked,
        max_credits: Option<i64>,
    ) -> Vec<String> {
        let catalog = catalog();
        let use_case = catalog.routing().use_case(use_case);
        let asked = Asked { estimate: true, ..asked };
        let ask = RouteAsk { asked, quality_mode, use_case, max_credits };
        let route = catalog.route(&ask, |_| None);
        route.ranked.iter().map(|ranked| ranked.plan.model.name.clone()).collect()
    }

    fn first(quality_mode: QualityMode, use_case: &str, asked: Asked, max_credits: Option<i64>) -> String {
        ranked(quality_mode, use_case, asked, max_credits).into_iter().next().unwrap_or_default()
    }

    #[test]
    fn the_published_routing_holds() {
        use QualityMode::{Balanced, Fast, High};
        for (quality_mode, use_case, expected) in [
            (Fast, "", "google/nano-banana"),
            (Fast, "product", "google/nano-banana"),
            (Fast, "poster", "google/nano-banana"),
            (Balanced, "product", "qwen/text-to-image"),
            (High, "product", "qwen/text-to-image"),
            (Balanced, "ecommerce", "qwen/text-to-image"),
            (High, "e-commerce", "qwen/text-to-image"),
            (Balanced, "", "nano-banana-pro"),
            (High, "", "nano-banana-pro"),
            (Balanced, "portrait", "nano-banana-pro"),
            (Balanced, "draft", "nano-banana-pro"),
            (Balanced, "edit", "nano-banana-pro"),
            (Balanced, "song", "V5"),
            (Fast, "song", "V4"),
            (Balanced, "film", "sora-2"),
            (High, "film", "veo3"),
        ] {
            assert_eq!(
                first(quality_mode, use_case, Asked::default(), None),
                expected,
                "{quality_mode:?} {use_case}"
            );
        }
    }

    #[test]
    fn what_is_asked_decides_before_any_preference() {
        use QualityMode::{Balanced, Fast, High};
        let images = |input_images| Asked { input_images, ..Asked::default() };
        let preset = |name: &str| Asked { preset: Some(name.to_owned()), ..Asked::default() };
        let resolution = |name: &str| Asked { resolution: Some(name.to_owned()), ..Asked::default() };
        let video = || Asked { product: Some(Product::Video), ..Asked::default() };
        for (quality_mode, use_case, asked, max_credits, expected) in [
            (Balanced, "product", images(1), None, "qwen/image-to-image"),
            (Balanced, "", images(8), None, "nano-banana-pro"),
            (Fast, "", resolution("4k"), None, "google/nano-banana-2"),
            (Balanced, "", preset("facebook_ad"), None, "gpt4o_image"),
            (Balanced, "", preset("tiktok_video"), None, "sora-2"),
            (Balanced, "", Asked { negative_prompt: true, ..Asked::default() }, None, "qwen/text-to-image"),
            (Balanced, "", Asked { prompt_chars: Some(20_000), ..Asked::default() }, None, "gpt4o_image"),
            (Balanced, "", Asked::default(), Some(19), "gpt4o_image"),
            (Balanced, "", Asked::default(), Some(9), "google/nano-banana"),
            (Balanced, "", Asked::default(), Some(7), ""),
            (
                Balanced,
                "",
                Asked { duration_seconds: Some(15), ..Asked::default() },
                None,
                "xai/grok-imagine-video/text-to-video",
            ),
            (Fast, "", video(), None, "xai/grok-imagine-video/text-to-video"),
            (Fast, "", Asked { input_images: 1, ..video() }, None, "doubao-seedance-1.0-pro-fast"),
            (High, "", Asked { resolution: Some("1080p".to_owned()), ..video() }, Some(349), "sora-2"),
            (Balanced, "", Asked { mode: Some(Mode::ImageToVideo), ..Asked::default() }, None, "sora-2"),
            (Balanced, "", Asked { product: Some(Product::Music), ..Asked::default() }, Some(30), "V4_5PLUS"),
        ] {
            assert_eq!(first(quality_mode, use_case, asked.clone(), max_credits), expected, "{asked:?}");
        }
    }

    #[test]
    fn the_rest_follows_by_what_counts() {
        let order = ranked(QualityMode::Fast, "", Asked::default(), None);
        let expected = [
            "google/nano-banana",
            "xai/grok-imagine-image",
            "z-image",
            "google/nano-banana-2",
            "qwen/text-to-image",
            "nano-banana-pro",
            "gpt4o_image",
        ];
        assert_eq!(order, expected);
        let order = ranked(QualityMode::High, "", Asked::default(), None);
        let expected = [
            "nano-banana-pro",
            "gpt4o_image",
            "google/nano-banana-2",
            "qwen/text-to-image",
            "xai/grok-imagine-image",
            "z-image",
            "google/nano-banana",
        ];
        assert_eq!(order, expected);
        let order = ranked(QualityMode::Balanced, "photo", Asked::default(), None);
        assert_eq!(order[..3], ["nano-banana-pro", "google/nano-banana-2", "z-image"]);
    }

    #[test]
    fn every_model_is_ranked_or_told_why_not() {
        let catalog = catalog();
        let asked = Asked { estimate: true, count: Some(2), seed: true, ..Asked::default() };
        let ask =
            RouteAsk { asked, quality_mode: QualityMode::Balanced, use_case: None, max_credits: Some(27) };
        let gone = |model: &Model| (model.name == "qwen/text-to-image").then(|| "no vendor key".to_owned());
        let route = catalog.route(&ask, gone);
        assert_eq!(route.ranked.len(), 1);
        let (only, price) = (&route.ranked[0], Credits(16));
        assert_eq!((only.plan.model.name.as_str(), only.price.total), ("google/nano-banana", price));
        assert_eq!(only.reason, "A quick draft for few credits; 16 credits, usually about 10 s.");
        let told: Vec<String> = route
            .unsuitable
            .iter()
            .map(|other| format!("{} {}", other.model.name, other.cause.sentence()))
            .collect();
        assert_eq!(
            told,
            [
                "nano-banana-pro It costs 40 credits, which is more than max_credits.",
                "gpt4o_image gpt4o_image takes no seed.",
                "qwen/text-to-image Not available: no vendor key.",
                "qwen/image-to-image qwen/image-to-image needs at least one input image for image-to-image.",
                "xai/grok-imagine-image xai/grok-imagine-image takes no seed.",
                "xai/grok-imagine-image/edit xai/grok-imagine-image/edit needs at least one input image for \
                 image-to-image. xai/grok-imagine-image/edit takes no seed.",
                "z-image It costs 40 credits, which is more than max_credits.",
                "google/nano-banana-2 It costs 28 credits, which is more than max_credits.",
            ]
        );
        assert_eq!(route.nobody_can(), []);
    }

    #[test]
    fn what_nobody_can_is_named_once() {
        let catalog = catalog();
        let route = |asked: Asked| {
            let asked = Asked { estimate: true, ..asked };
            let ask = RouteAsk { asked, quality_mode: QualityMode::Fast, use_case: None, max_credits: None };
            catalog.route(&ask, |_| None)
        };
        let three = route(Asked { count: Some(3), ..Asked::default() }).nobody_can();
        assert_eq!(three.len(), 1);
        let text = "No image model can: google/nano-banana can't make 3 images in one request.";
        assert_eq!((three[0].field, three[0].problem.as_str()), ("count", text));
        assert_eq!(three[0].allowed, ["1", "2", "4", "8"]);
        let odd = route(Asked { duration_seconds: Some(7), ..Asked::default() }).nobody_can();
        assert_eq!((odd[0].field, odd[0].allowed.join(" ")), ("duration", "4 8 12 6 5 10 15".to_owned()));
        let unlike =
            Asked { aspect_ratio: Some("21:9".to_owned()), negative_prompt: true, ..Asked::default() };
        assert_eq!(route(unlike).nobody_can(), []);
    }
}
