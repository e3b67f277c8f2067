//! Presets: sizes by the name of the platform where they are shown.
//!
//! Invariant: a preset that a model takes gives a shape within 3 % of its own; one that it can't make is
//! refused, naming who can. Not here: which presets there are (the catalog's data), prices.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::Catalog;
use super::ask::{Asked, FieldProblem};
use super::check::{Place, is_name};
use super::model::{Model, Product};
use super::pixels::{AspectRatio, short_side};
use super::read::{Problem, Section};
use crate::nearest;

/// How far a model's shape may be from the preset's, in hundredths of a percent.
const NEAR: u64 = 300;
/// By how much a size may be larger than its resolution says, in percent: 1080 pixels count as 1K.
const STRETCH_PERCENT: u32 = 6;
/// Pixels of one side.
const SIDES: std::ops::RangeInclusive<u32> = 16..=8192;

/// A size by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// The name that requests use.
    pub name: String,
    /// What can be made in it.
    pub products: Vec<Product>,
    /// Its shape.
    pub aspect_ratio: String,
    /// Width and height in pixels; `None` where the shape is all that it says.
    pub pixels: Option<(u32, u32)>,
}

/// A preset as one model makes it.
pub(super) struct Fit<'a> {
    model: &'a Model,
    /// Exact pixels, for pictures.
    size: Option<(u32, u32)>,
    /// The nearest of the model's shapes.
    pub(super) aspect_ratio: &'a String,
}

impl<'a> Fit<'a> {
    /// The smallest of the model's resolutions that holds the size, or else the largest; `None` without a
    /// size.
    pub(super) fn resolution(&self) -> Option<&'a String> {
        let (width, height) = self.size?;
        let side = width.min(height);
        let holds =
            |name: &&String| short_side(name).is_some_and(|most| most + most * STRETCH_PERCENT / 100 >= side);
        self.model.resolutions.iter().find(holds).or_else(|| self.model.resolutions.last())
    }

    /// The exact pixels, where `resolution` is the one that they belong to.
    pub(super) fn pixels(&self, resolution: Option<&str>) -> Option<(u32, u32)> {
        let own = self.resolution().filter(|own| resolution == Some(own.as_str()))?;
        let most = short_side(own)?;
        self.size.filter(|(width, height)| most + most * STRETCH_PERCENT / 100 >= *width.min(height))
    }
}

impl Preset {
    fn shape_of<'a>(&self, model: &'a Model) -> Option<&'a String> {
        let own = AspectRatio::parse(&self.aspect_ratio)?;
        let apart = |name: &String| AspectRatio::parse(name).map(|ratio| ratio.apart(own));
        let near = model.aspect_ratios.iter().filter_map(|name| Some((apart(name)?, name)));
        near.filter(|(apart, _)| *apart <= NEAR).min_by_key(|(apart, _)| *apart).map(|(_, name)| name)
    }

    /// Whether a model can make it.
    #[must_use]
    pub fn suits(&self, model: &Model) -> bool {
        self.products.contains(&model.product) && self.shape_of(model).is_some()
    }
}

impl Catalog {
    /// The preset of a request as `model` makes it.
    pub(super) fn fit<'a>(&self, model: &'a Model, asked: &Asked) -> Result<Option<Fit<'a>>, FieldProblem> {
        let Some(name) = &asked.preset else { return Ok(None) };
        let refuse = |field, problem, allowed| Err(FieldProblem { field, problem, allowed });
        let Some(preset) = self.presets.iter().find(|preset| preset.name == *name) else {
            let names: Vec<String> = self.presets.iter().map(|preset| preset.name.clone()).collect();
            let near = nearest::nearest_all(name, names.iter().map(String::as_str), 1);
            let meant = near.first().map(|meant| format!(" Did you mean {meant:?}?")).unwrap_or_default();
            return refuse("preset", format!("There is no preset {name:?}.{meant}"), names);
        };
        let own = &preset.aspect_ratio;
        if asked.aspect_ratio.as_ref().is_some_and(|asked| !same_shape(asked, own)) {
            let problem = format!("The preset {name} is {own}; leave the aspect ratio out.");
            return refuse("aspect_ratio", problem, vec![own.clone()]);
        }
        if preset.suits(model)
            && let Some(aspect_ratio) = preset.shape_of(model)
        {
            let size = preset.pixels.filter(|_| model.product == Product::Image);
            return Ok(Some(Fit { model, size, aspect_ratio }));
        }
        let able: Vec<&str> =
            self.models.iter().filter(|other| preset.suits(other)).map(|other| other.name.as_str()).collect();
        let able = if able.is_empty() { "none".to_owned() } else { able.join(", ") };
        let problem = format!("{} can't make {name} ({own}); models that can: {able}.", model.name);
        let own = self.presets.iter().filter(|preset| preset.suits(model));
        refuse("preset", problem, own.map(|preset| preset.name.clone()).collect())
    }
}

fn same_shape(one: &str, other: &str) -> bool {
    let parsed = AspectRatio::parse(one).zip(AspectRatio::parse(other));
    parsed.is_some_and(|(one, other)| one.apart(other) == 0)
}

/// Reads the tables of presets.
pub(super) fn read(tables: Vec<Table>, problems: &mut Vec<Problem>) -> Vec<Preset> {
    tables.into_iter().filter_map(|table| preset(table, problems)).collect()
}

fn preset(table: Table, problems: &mut Vec<Problem>) -> Option<Preset> {
    let place = format!("preset {:?}", table.get("name").and_then(Value::as_str).unwrap_or("?"));
    let mut section = Section::new(table, place);
    let name = section.text("name");
    let products = products(&mut section);
    let aspect_ratio = section.text("aspect_ratio");
    let (width, height) = (section.optional_number("width"), section.optional_number("height"));
    if width.is_some() != height.is_some() {
        section.refuse("width", "needs height, and height needs width");
    }
    let found = section.finish();
    let whole = found.is_empty();
    problems.extend(found);
    let preset =
        Preset { name: name?, products: products?, aspect_ratio: aspect_ratio?, pixels: width.zip(height) };
    Some(preset).filter(|_| whole)
}

/// A list of products.
pub(super) fn products(section: &mut Section) -> Option<Vec<Product>> {
    let texts = section.texts("products")?;
    let products: Vec<Product> = texts.iter().filter_map(|text| Product::parse(text)).collect();
    if products.len() != texts.len() || products.is_empty() {
        section.refuse("products", "must name image, video or music");
        return None;
    }
    Some(products)
}

/// What makes presets sensible beyond their shape.
pub(super) fn check(presets: &[Preset], problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for preset in presets {
        let mut place = Place { name: format!("preset {:?}", preset.name), problems };
        place.require(seen.insert(&preset.name), "name", "used twice");
        place.require(is_name(&preset.name), "name", "must be 1 to 100 of A-Z a-z 0-9 . _ - /");
        let Some(shape) = AspectRatio::parse(&preset.aspect_ratio) else {
            place.require(false, "aspect_ratio", "is not an aspect ratio such as 16:9");
            continue;
        };
        let Some((width, height)) = preset.pixels else { continue };
        place.require(SIDES.contains(&width) && SIDES.contains(&height), "width", "must be 16 to 8192");
        let own = AspectRatio::of_pixels(width, height);
        let fine = own.is_some_and(|own| own.apart(shape) <= 100);
        place.require(fine, "aspect_ratio", format!("is not the shape of {width}×{height}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::tests::{GOOD, problems};
    use super::super::{Plan, Refusal};
    use super::*;

    fn resolve(model: &str, preset: &str, resolution: Option<&str>) -> Result<Plan, Refusal> {
        let asked = Asked {
            preset: Some(preset.to_owned()),
            resolution: resolution.map(ToOwned::to_owned),
            estimate: true,
            ..Asked::default()
        };
        Catalog::builtin().unwrap().resolve(model, &asked)
    }

    #[test]
    fn a_preset_gives_shape_and_pixels() {
        for (model, preset, resolution, expected) in [
            ("z-image", "instagram_post", None, ("1:1", "1K", 1080, 1080)),
            ("nano-banana-pro", "instagram_story", None, ("9:16", "1K", 1080, 1920)),
            ("nano-banana-pro", "instagram_post", Some("1k"), ("1:1", "1K", 1080, 1080)),
            ("nano-banana-pro", "instagram_post", Some("4K"), ("1:1", "4K", 4096, 4096)),
            ("gpt4o_image", "facebook_ad", None, ("1.91:1", "1K", 1200, 628)),
            ("gpt4o_image", "linkedin_post", None, ("1.91:1", "1K", 1200, 627)),
            ("z-image", "youtube_thumbnail", None, ("16:9", "1K", 1280, 720)),
            ("veo3", "tiktok_video", None, ("9:16", "720p", 720, 1280)),
            ("veo3", "instagram_story", None, ("9:16", "720p", 720, 1280)),
            ("veo3", "instagram_story", Some("1080p"), ("9:16", "1080p", 1080, 1920)),
        ] {
            let plan = resolve(model, preset, resolution).unwrap();
            let ratio = plan.aspect_ratio.as_deref().unwrap();
            let made = (ratio, plan.resolution.as_deref().unwrap(), plan.width, plan.height);
            assert_eq!(made, expected, "{model} {preset} {resolution:?}");
        }
    }

    #[test]
    fn what_a_model_can_not_make_is_refused_with_who_can() {
        let problem = |model, preset| match resolve(model, preset, None) {
            Err(Refusal::Fields(mut all)) => all.remove(0),
            other => panic!("{other:?}"),
        };
        let refused = problem("qwen/text-to-image", "facebook_ad");
        let text = "qwen/text-to-image can't make facebook_ad (1.91:1); models that can: gpt4o_image.";
        assert_eq!((refused.field, refused.problem.as_str()), ("preset", text));
        let own = ["instagram_post", "instagram_story", "facebook_post", "twitter_post", "youtube_thumbnail"];
        assert_eq!(refused.allowed, own);
        let unknown = problem("z-image", "instagram_pots");
        assert_eq!(
            unknown.problem,
            "There is no preset \"instagram_pots\". Did you mean \"instagram_post\"?"
        );
        assert_eq!(unknown.allowed.len(), 15);
        assert!(
            problem("veo3", "youtube_thumbnail").problem.starts_with("veo3 can't make youtube_thumbnail")
        );
        assert!(problem("V5", "youtube_video").problem.starts_with("V5 can't make youtube_video"));
    }

    #[test]
    fn another_shape_beside_a_preset_is_refused() {
        let with = |ratio: &str| {
            let (preset, ratio) = (Some("youtube_thumbnail".to_owned()), Some(ratio.to_owned()));
            let asked = Asked { preset, aspect_ratio: ratio, estimate: true, ..Asked::default() };
            Catalog::builtin().unwrap().resolve("z-image", &asked)
        };
        assert_eq!(with("16:9").unwrap().width, 1280);
        assert_eq!(with("32:18").unwrap().width, 1280);
        for other in ["1:1", "9:16", "wide"] {
            let refused = with(other).unwrap_err().to_string();
            let text = "aspect_ratio: The preset youtube_thumbnail is 16:9; leave the aspect ratio out.";
            assert!(refused.starts_with(text), "{refused}");
        }
    }

    #[test]
    fn tables_with_problems() {
        let table = |lines: &str| problems(&format!("{GOOD}\n[[preset]]\nname = \"p\"\n{lines}\n"));
        for (lines, expected) in [
            (
                "products = [\"image\"]\naspect_ratio = \"wide\"",
                "aspect_ratio: is not an aspect ratio such as 16:9",
            ),
            ("products = [\"photo\"]\naspect_ratio = \"1:1\"", "products: must name image, video or music"),
            (
                "products = [\"image\"]\naspect_ratio = \"1:1\"\nwidth = 100\nheight = 200",
                "aspect_ratio: is not the shape of 100×200",
            ),
            (
                "products = [\"image\"]\naspect_ratio = \"1:1\"\nwidth = 100",
                "width: needs height, and height needs width",
            ),
            ("products = [\"image\"]\naspect_ratio = \"1:1\"\ncolour = 1", "colour: unknown key"),
        ] {
            assert_eq!(table(lines), [format!("preset \"p\": {expected}")]);
        }
    }
}
