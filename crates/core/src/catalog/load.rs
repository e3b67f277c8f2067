//! The catalog file turned into models and price versions.
//!
//! Invariant: a table with a problem of shape is reported and left out, so that the checks of meaning see
//! only whole tables. Not here: what makes a whole table sensible (`check.rs`, `coverage.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use toml::{Table, Value};

use super::model::{Mode, Model, Product};
use super::pixels::short_side;
use super::preset::{self, Preset};
use super::read::{CatalogError, Problem, Section};
use super::routing::{self, Routing};
use super::vendor::{Condition, VendorRoute};
use super::version::{ModelPrice, PriceVersion, ResolutionRule};
use super::{Catalog, check, coverage};
use crate::credits::{Credits, Ratio};

/// Above any sensible price, and low enough that price × multipliers × count stays within 64 bits.
const CREDITS_MAX: i64 = 1_000_000_000;

/// The quality of a model whose table names none.
const USUAL_QUALITY: u32 = 3;

pub(super) fn catalog(text: &str) -> Result<Catalog, CatalogError> {
    let table =
        text.parse::<Table>().map_err(|error| CatalogError { problems: vec![syntax(text, &error)] })?;
    let mut file = Section::new(table, "the file");
    let current = file.text("current");
    let models = file.tables("model").unwrap_or_default();
    let versions = file.tables("price_version").unwrap_or_default();
    let presets = file.optional_tables("preset").unwrap_or_default();
    let routes = file.optional_tables("route").unwrap_or_default();
    let routing = file.optional_table("routing").unwrap_or_default();
    let mut problems = file.finish();
    let presets = preset::read(presets, &mut problems);
    let routing = routing::read(routing, &mut problems);
    let (model_names, version_names) = (names(&models), names(&versions));
    let models: Vec<_> = models.into_iter().filter_map(|table| model(table, &mut problems)).collect();
    let versions: Vec<_> = versions.into_iter().filter_map(|table| version(table, &mut problems)).collect();
    let mut routes: Vec<_> =
        routes.into_iter().filter_map(|table| vendor_route(table, &mut problems)).collect();
    routes.sort_by_key(|route| route.rank);
    check::models(&models, &mut problems);
    check::routes(&routes, &models, &model_names, &mut problems);
    preset::check(&presets, &mut problems);
    routing::check(&routing, &models, &model_names, &mut problems);
    coverage::versions(&versions, &mut problems);
    let found = current.and_then(|name| coverage::current(&versions, &version_names, &name, &mut problems));
    if let Some(current) = found {
        coverage::coverage(&models, &model_names, (&versions, current), &mut problems);
    }
    match (found.cloned(), problems.is_empty()) {
        (Some(current), true) => Ok(assemble(models, versions, current, presets, routing, routes)),
        _ => Err(CatalogError { problems }),
    }
}

/// The names of all tables, also of unusable ones: what refers to one of those is no second problem.
fn names(tables: &[Table]) -> BTreeSet<String> {
    tables.iter().filter_map(|table| Some(table.get("name")?.as_str()?.to_owned())).collect()
}

fn assemble(
    models: Vec<Model>,
    versions: Vec<PriceVersion>,
    current: PriceVersion,
    presets: Vec<Preset>,
    routing: Routing,
    vendor_routes: Vec<VendorRoute>,
) -> Catalog {
    let models: Vec<_> = models.into_iter().map(Arc::new).collect();
    let by_name = models.iter().map(|model| (model.name.clone(), Arc::clone(model))).collect();
    let versions = versions.into_iter().map(Arc::new).collect();
    Catalog { models, by_name, versions, current: Arc::new(current), presets, routing, vendor_routes }
}

fn syntax(text: &str, error: &toml::de::Error) -> Problem {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.lines().count().max(1);
    let problem = error.message().to_owned();
    Problem { place: "the file".to_owned(), field: format!("line {line}"), problem }
}

fn model(table: Table, problems: &mut Vec<Problem>) -> Option<Model> {
    let place = format!("model {:?}", table.get("name").and_then(Value::as_str).unwrap_or("?"));
    let mut section = Section::new(table, place);
    let read = model_fields(&mut section);
    let found = section.finish();
    let whole = found.is_empty();
    problems.extend(found);
    read.filter(|_| whole)
}

/// Reads every field before it gives up, so that all problems are found.
fn model_fields(section: &mut Section) -> Option<Model> {
    let name = section.text("name");
    let product = named(section, "product", Product::parse, "image, video or music");
    let modes = modes(section);
    let notes = section.text("notes");
    let unit = section.text("unit");
    let resolutions = section.texts("resolutions");
    let counts = section.numbers("counts");
    let aspect_ratios = section.texts("aspect_ratios");
    let durations_seconds = section.numbers("durations_seconds");
    let max_input_images = section.number("max_input_images");
    let prompt_max_chars = section.number("prompt_max_chars");
    let prompt_default = section.optional_text("prompt_default");
    let negative_prompt = section.boolean("negative_prompt");
    let seed = section.boolean("seed");
    let quality = section.optional_number("quality");
    let use_cases = section.optional_texts("use_cases");
    let strength = section.optional_text("strength");
    let typical_seconds = section.number("typical_seconds");
    let max_seconds = section.number("max_seconds");
    let defaults = section.table("defaults").unwrap_or_default();
    let mut defaults = Section::new(defaults, section.place.clone());
    let default_aspect_ratio = defaults.optional_text("aspect_ratio");
    let default_duration_seconds = defaults.optional_number("duration_seconds");
    for problem in defaults.finish() {
        section.refuse(&format!("defaults.{}", problem.field), problem.problem);
    }
    Some(Model {
        name: name?,
        product: product?,
        modes: modes?,
        notes: notes?,
        unit: unit?,
        resolutions: resolutions?,
        counts: counts?,
        aspect_ratios: aspect_ratios?,
        durations_seconds: durations_seconds?,
        default_aspect_ratio,
        default_duration_seconds,
        max_input_images: max_input_images?,
        prompt_max_chars: prompt_max_chars?,
        prompt_default,
        negative_prompt: negative_prompt?,
        seed: seed?,
        quality: quality.unwrap_or(USUAL_QUALITY),
        use_cases: use_cases.unwrap_or_default(),
        strength: strength.unwrap_or_default(),
        typical_seconds: typical_seconds?,
        max_seconds: max_seconds?,
    })
}

pub(super) fn named<T>(
    section: &mut Section,
    key: &str,
    parse: fn(&str) -> Option<T>,
    known: &str,
) -> Option<T> {
    let text = section.text(key)?;
    let found = parse(&text);
    if found.is_none() {
        section.refuse(key, format!("{text:?} is not one of {known}"));
    }
    found
}

fn vendor_route(table: Table, problems: &mut Vec<Problem>) -> Option<VendorRoute> {
    let word = |key: &str| table.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
    let place = format!("route of {:?} to {}", word("model"), word("provider"));
    let mut section = Section::new(table, place);
    let read = route_fields(&mut section);
    let found = section.finish();
    let whole = found.is_empty();
    problems.extend(found);
    read.filter(|_| whole)
}

fn route_fields(section: &mut Section) -> Option<VendorRoute> {
    let (model, provider) = (section.text("model"), section.text("provider"));
    let vendor_model = section.text("vendor_model");
    let rank = section.optional_number("rank").unwrap_or(1);
    let condition = section.optional_text("condition");
    let known = condition.as_deref().map(Condition::parse);
    if known == Some(None) {
        section.refuse("condition", "is not one of substitute or relay");
    }
    let modes = section.optional_texts("modes").map(|texts| known_modes(section, &texts));
    let mut inputs = BTreeMap::new();
    for (key, value) in section.optional_table("inputs").unwrap_or_default() {
        match value {
            Value::String(text) => drop(inputs.insert(key, text)),
            _ => section.refuse(&format!("inputs.{key}"), "must be a text"),
        }
    }
    Some(VendorRoute {
        resolutions: section.optional_texts("resolutions"),
        aspect_ratios: section.optional_texts("aspect_ratios"),
        durations_seconds: section.optional_numbers("durations_seconds"),
        max_input_images: section.optional_number("max_input_images"),
        prompt_max_chars: section.optional_number("prompt_max_chars"),
        negative_prompt: section.optional_boolean("negative_prompt").unwrap_or(false),
        seed: section.optional_boolean("seed").unwrap_or(false),
        cost_micro_usd: section.optional_number("cost_micro_usd"),
        model: model?,
        provider: provider?,
        vendor_model: vendor_model?,
        rank,
        condition: known.flatten(),
        modes: match modes {
            Some(modes) => Some(modes?),
            None => None,
        },
        inputs,
    })
}

fn modes(section: &mut Section) -> Option<Vec<Mode>> {
    let texts = section.texts("modes")?;
    known_modes(section, &texts)
}

fn known_modes(section: &mut Section, texts: &[String]) -> Option<Vec<Mode>> {
    let modes: Vec<_> = texts.iter().filter_map(|text| Mode::parse(text)).collect();
    for text in texts.iter().filter(|text| Mode::parse(text).is_none()) {
        section.refuse("modes", format!("unknown mode {text:?}"));
    }
    (modes.len() == texts.len()).then_some(modes)
}

fn version(table: Table, problems: &mut Vec<Problem>) -> Option<PriceVersion> {
    let place = format!("price_version {:?}", table.get("name").and_then(Value::as_str).unwrap_or("?"));
    let mut section = Section::new(table, place.clone());
    let (name, live, prices) = (section.text("name"), section.boolean("live"), section.table("prices"));
    let mut found = section.finish();
    let mut read = BTreeMap::new();
    for (model, value) in prices.unwrap_or_default() {
        let place = format!("{place}, model {model:?}");
        match value {
            Value::Table(table) => {
                let mut section = Section::new(table, place);
                let price = model_price(&mut section);
                found.extend(section.finish());
                read.extend(price.map(|price| (model, price)));
            }
            _ => found.push(Problem {
                place,
                field: "prices".to_owned(),
                problem: "must be a table".to_owned(),
            }),
        }
    }
    let whole = found.is_empty();
    problems.extend(found);
    Some(PriceVersion { name: name?, live: live?, prices: read }).filter(|_| whole)
}

fn model_price(section: &mut Section) -> Option<ModelPrice> {
    let credits =
        section.number("credits").map(i64::from).and_then(|number| amount(section, "credits", number));
    let mut resolutions = Vec::new();
    for (name, value) in section.optional_table("resolutions").unwrap_or_default() {
        let field = format!("resolutions.{name}");
        if short_side(&name).is_none() {
            section.refuse(&field, "is not a resolution such as 1K or 720p");
        }
        let rule = match value {
            Value::Integer(number) => amount(section, &field, number).map(ResolutionRule::Fixed),
            Value::String(text) => ratio(section, &field, &text).map(ResolutionRule::Multiplied),
            _ => {
                section.refuse(&field, "must be credits such as 40 or a multiplier such as \"1.8\"");
                None
            }
        };
        resolutions.extend(rule.map(|rule| (name, rule)));
    }
    resolutions.sort_by_key(|(name, _)| short_side(name));
    let mut modes = Vec::new();
    for (name, value) in section.table("modes").unwrap_or_default() {
        let field = format!("modes.{name}");
        let mode = Mode::parse(&name);
        if mode.is_none() {
            section.refuse(&field, "unknown mode");
        }
        let Value::String(text) = value else {
            section.refuse(&field, "must be a multiplier such as \"1.5\"");
            continue;
        };
        modes.extend(mode.zip(ratio(section, &field, &text)));
    }
    modes.sort_by_key(|(mode, _)| *mode);
    Some(ModelPrice { credits: credits?, resolutions, modes })
}

fn amount(section: &mut Section, field: &str, number: i64) -> Option<Credits> {
    if (1..=CREDITS_MAX).contains(&number) {
        return Some(Credits(number));
    }
    section.refuse(field, format!("{number} credits is not between 1 and {CREDITS_MAX}"));
    None
}

fn ratio(section: &mut Section, field: &str, text: &str) -> Option<Ratio> {
    let found = Ratio::parse_decimal(text);
    if found.is_none() {
        section.refuse(field, format!("{text:?} is not a decimal above zero with at most four places"));
    }
    found
}
