//! What a request asks for, after its shortcuts are moved to their places.
//!
//! Invariant: a value that stands in two places must be the same in both; types are checked here, values by
//! the catalog. Not here: prices, money.

use crate::app::{Error, Field, model, request::Fields, route::AUTO};
use rynjer_api::Units;
use rynjer_core::catalog::{Asked, Mode, Product, QualityMode};
use serde_json::Value;

/// The fields that estimate and generate share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) model: String,
    pub(crate) product: Option<Product>,
    pub(crate) scene: Option<Mode>,
    pub(crate) count: Option<i128>,
    pub(crate) resolution: Option<String>,
    pub(crate) duration_seconds: Option<i128>,
    pub(crate) aspect_ratio: Option<String>,
    pub(crate) preset: Option<String>,
    pub(crate) input_image_urls: Vec<String>,
    pub(crate) taste: Taste,
    pub(crate) price_version: Option<String>,
}

impl Wanted {
    /// Reads everything; see [`Wanted::without_model`].
    pub(crate) fn read(fields: &Fields, strict: bool, problems: &mut Vec<Field>) -> Self {
        let model = fields.required_word("model", 100, problems).unwrap_or_default().to_owned();
        let wanted = Self { model, ..Self::without_model(fields, strict, problems) };
        if !wanted.model.is_empty() && wanted.model != AUTO {
            for field in Taste::FIELDS.iter().filter(|field| fields.get(field).is_some()) {
                problems.push(Field::new(*field, "goes with `model: \"auto\"` alone"));
            }
        }
        wanted
    }

    /// Reads and moves all but `model`; `strict` refuses likely misspellings inside `units`, and `units` that
    /// is a bare count.
    pub(crate) fn without_model(fields: &Fields, strict: bool, problems: &mut Vec<Field>) -> Self {
        let units = units_of(fields, strict, problems);
        if let Some(units) = &units
            && strict
        {
            units.refuse_misspelt(Units::FIELDS, "units.", problems);
        }
        let units = units.as_ref();
        Self {
            model: String::new(),
            product: word(fields, "product", Product::parse, &Product::ALL.map(Product::as_str), problems),
            scene: word(fields, "scene", Mode::parse, &Mode::ALL.map(Mode::as_str), problems),
            count: both(fields, units, "count", whole, problems),
            resolution: both(fields, units, "resolution", text, problems),
            duration_seconds: both(fields, units, "duration", seconds, problems),
            aspect_ratio: both(fields, units, "aspect_ratio", text, problems),
            preset: both(fields, units, "preset", text, problems),
            input_image_urls: images(fields, problems),
            taste: Taste::read(fields, problems),
            price_version: fields.opt_word("price_version", 64, problems).map(str::to_owned),
        }
    }

    /// The question to the catalog.
    pub(crate) fn asked(&self) -> Asked {
        Asked {
            product: self.product,
            mode: self.scene,
            count: self.count,
            resolution: self.resolution.clone(),
            duration_seconds: self.duration_seconds,
            aspect_ratio: self.aspect_ratio.clone(),
            preset: self.preset.clone(),
            input_images: self.input_image_urls.len(),
            price_version: self.price_version.clone(),
            ..Asked::default()
        }
    }
}

/// What guides the choice of a model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taste {
    pub(crate) quality_mode: Option<QualityMode>,
    /// As sent: any word for it.
    pub(crate) use_case: Option<String>,
}

impl Taste {
    const FIELDS: [&'static str; 2] = ["quality_mode", "use_case"];

    fn read(fields: &Fields, problems: &mut Vec<Field>) -> Self {
        let modes = QualityMode::ALL.map(QualityMode::as_str);
        Self {
            quality_mode: word(fields, "quality_mode", QualityMode::parse, &modes, problems),
            use_case: fields.opt_word("use_case", 64, problems).map(str::to_owned),
        }
    }
}

/// `units` as an object; unless `strict`, a bare count becomes one.
fn units_of(fields: &Fields, strict: bool, problems: &mut Vec<Field>) -> Option<Fields> {
    match fields.get("units")? {
        Value::Object(_) => fields.opt_object("units"),
        Value::Number(count) if !strict && (count.is_i64() || count.is_u64()) => Fields::of_count(count),
        _ => {
            let kinds = if strict { "must be an object" } else { "must be an object or a whole number" };
            problems.push(Field::new("units", kinds));
            None
        }
    }
}

fn word<T>(
    fields: &Fields,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
    allowed: &[&str],
    problems: &mut Vec<Field>,
) -> Option<T> {
    let text = fields.opt_str(name, problems)?;
    let parsed = parse(text);
    if parsed.is_none() {
        let allowed = allowed.iter().map(|word| (*word).to_owned()).collect();
        let problem = "must be one of the allowed values".to_owned();
        problems.push(Field { field: name.to_owned(), problem, allowed });
    }
    parsed
}

/// A value from `units` or from the top level; different values in both are refused.
fn both<T: PartialEq>(
    fields: &Fields,
    units: Option<&Fields>,
    name: &str,
    read: impl Fn(&Value) -> Result<T, &'static str>,
    problems: &mut Vec<Field>,
) -> Option<T> {
    let mut one = |value: Option<&Value>, field: String| match value.map(&read) {
        Some(Ok(value)) => Some(value),
        Some(Err(problem)) => {
            problems.push(Field::new(field, problem));
            None
        }
        None => None,
    };
    let top = one(fields.get(name), name.to_owned());
    let inner = one(units.and_then(|units| units.get(name)), format!("units.{name}"));
    if let (Some(top), Some(inner)) = (&top, &inner)
        && top != inner
    {
        problems.push(Field::new(name, format!("differs from `units.{name}`")));
    }
    inner.or(top)
}

fn whole(value: &Value) -> Result<i128, &'static str> {
    let number = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    number.ok_or("must be a whole number")
}

/// A resolution or a ratio; an error may repeat it, so it is short.
fn text(value: &Value) -> Result<String, &'static str> {
    let text = value.as_str().ok_or("must be a string")?;
    if text.len() > 32 { Err("must be at most 32 bytes long") } else { Ok(text.to_owned()) }
}

fn seconds(value: &Value) -> Result<i128, &'static str> {
    match value {
        Value::String(text) if text.len() <= 32 => rynjer_core::catalog::parse_duration_text(text)
            .map(i128::from)
            .ok_or("must be whole seconds, such as 5 or \"5\""),
        other => whole(other).map_err(|_| "must be whole seconds, such as 5 or \"5\""),
    }
}

fn images(fields: &Fields, problems: &mut Vec<Field>) -> Vec<String> {
    let direct = fields.opt_strings("input_image_urls", problems);
    let short = fields.opt_strings("image_urls", problems);
    if let (Some(direct), Some(short)) = (&direct, &short)
        && direct != short
    {
        problems.push(Field::new("image_urls", "differs from `input_image_urls`"));
    }
    direct.or(short).unwrap_or_default().into_iter().map(str::to_owned).collect()
}

/// A refusal of the catalog as a refusal of the API.
pub(crate) fn refused(app: &crate::state::App, refusal: rynjer_core::catalog::Refusal) -> Error {
    use rynjer_core::{catalog::Refusal, nearest};
    match refusal {
        Refusal::UnknownModel { name } => {
            let near = nearest::nearest_all(&name, app.catalog.model_names(), 3);
            Error::UnknownModel { nearest: near.into_iter().map(str::to_owned).collect() }
        }
        Refusal::Fields(fields) => Error::Invalid(model::field_problems(fields)),
    }
}
