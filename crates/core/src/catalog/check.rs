//! What makes the models of a catalog sensible beyond their shape.
//!
//! Invariant: after these checks every default is allowed and every offered size has pixels.
//! Not here: reading the file, prices (`coverage.rs`).

use std::collections::BTreeSet;

use super::model::Model;
use super::pixels::{AspectRatio, short_side};
use super::read::Problem;
use super::vendor::VendorRoute;

/// Most outputs of one request.
const COUNT_MAX: u32 = 64;
/// Most input images of one request.
const INPUT_IMAGES_MAX: u32 = 16;
/// The longest output.
const DURATION_MAX_SECONDS: u32 = 3600;
/// The longest time that a task may take.
const TASK_MAX_SECONDS: u32 = 86_400;

/// A table of the file being checked.
pub(super) struct Place<'a> {
    pub(super) name: String,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Place<'_> {
    /// Reports `problem` of `field` unless `fine`.
    pub(super) fn require(&mut self, fine: bool, field: &str, problem: impl Into<String>) {
        if !fine {
            let (place, field) = (self.name.clone(), field.to_owned());
            self.problems.push(Problem { place, field, problem: problem.into() });
        }
    }
}

pub(super) fn models(models: &[Model], problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for model in models {
        let mut place = Place { name: format!("model {:?}", model.name), problems };
        place.require(seen.insert(&model.name), "name", "used twice");
        place.require(is_name(&model.name), "name", "must be 1 to 100 of A-Z a-z 0-9 . _ - /");
        modes(model, &mut place);
        lists(model, &mut place);
        defaults(model, &mut place);
        limits(model, &mut place);
    }
}

pub(super) fn routes(
    routes: &[VendorRoute],
    models: &[Model],
    model_names: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) {
    let mut seen = BTreeSet::new();
    for route in routes {
        let name = format!("route of {:?} to {}", route.model, route.provider);
        let mut place = Place { name, problems };
        place.require(model_names.contains(&route.model), "model", "there is no such model");
        let key = (&route.model, &route.provider, &route.vendor_model);
        place.require(seen.insert(key), "vendor_model", "the same route twice");
        let model = models.iter().find(|model| model.name == route.model);
        if let Some((field, value)) = model.and_then(|model| route.beyond(model)) {
            place.require(false, field, format!("{value} is not one of the model's"));
        }
    }
}

pub(super) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    (1..=100).contains(&text.len()) && text.bytes().all(plain)
}

fn modes(model: &Model, place: &mut Place<'_>) {
    place.require(!model.modes.is_empty(), "modes", "must name at least one");
    place.require(distinct(&model.modes), "modes", "has one twice");
    let product = model.product;
    for mode in model.modes.iter().filter(|mode| mode.product() != product) {
        place.require(false, "modes", format!("{mode} does not make {product}"));
    }
    let unit = product.unit();
    place.require(model.unit == unit, "unit", format!("must be {unit:?} for {product}"));
}

fn lists(model: &Model, place: &mut Place<'_>) {
    use super::model::Product::{Image, Music};
    let Model { product, resolutions, aspect_ratios, counts, durations_seconds, .. } = model;
    let sides: Vec<_> = resolutions.iter().map(|name| short_side(name)).collect();
    for (name, _) in resolutions.iter().zip(&sides).filter(|(_, side)| side.is_none()) {
        place.require(false, "resolutions", format!("{name:?} is not a resolution such as 1K or 720p"));
    }
    place.require(ascending(&sides), "resolutions", "must ascend");
    for ratio in aspect_ratios.iter().filter(|ratio| AspectRatio::parse(ratio).is_none()) {
        place.require(false, "aspect_ratios", format!("{ratio:?} is not an aspect ratio such as 16:9"));
    }
    place.require(distinct(aspect_ratios), "aspect_ratios", "has one twice");
    for (field, list) in [("resolutions", resolutions), ("aspect_ratios", aspect_ratios)] {
        let fine = list.is_empty() == (*product == Music);
        place.require(fine, field, format!("must be {} for {product}", emptiness(*product == Music)));
    }
    place.require(counts.contains(&1), "counts", "must contain 1");
    place.require(ascending(counts), "counts", "must ascend");
    let counts_fine = counts.iter().all(|count| (1..=COUNT_MAX).contains(count));
    place.require(counts_fine, "counts", format!("must be between 1 and {COUNT_MAX}"));
    let fine = durations_seconds.is_empty() == (*product == Image);
    let problem = format!("must be {} for {product}", emptiness(*product == Image));
    place.require(fine, "durations_seconds", problem);
    place.require(ascending(durations_seconds), "durations_seconds", "must ascend");
    let durations_fine = durations_seconds.iter().all(|length| (1..=DURATION_MAX_SECONDS).contains(length));
    place.require(
        durations_fine,
        "durations_seconds",
        format!("must be between 1 and {DURATION_MAX_SECONDS}"),
    );
}

fn emptiness(empty: bool) -> &'static str {
    if empty { "empty" } else { "filled" }
}

fn defaults(model: &Model, place: &mut Place<'_>) {
    let fine = match &model.default_aspect_ratio {
        Some(ratio) => model.aspect_ratios.contains(ratio),
        None => model.aspect_ratios.is_empty(),
    };
    place.require(fine, "defaults.aspect_ratio", "must be one of aspect_ratios");
    let fine = match &model.default_duration_seconds {
        Some(length) => model.durations_seconds.contains(length),
        None => model.durations_seconds.is_empty(),
    };
    place.require(fine, "defaults.duration_seconds", "must be one of durations_seconds");
}

fn limits(model: &Model, place: &mut Place<'_>) {
    let takes_images = model.image_mode().is_some();
    let images = model.max_input_images;
    let fine = if takes_images { (1..=INPUT_IMAGES_MAX).contains(&images) } else { images == 0 };
    let wanted = if takes_images {
        format!("must be between 1 and {INPUT_IMAGES_MAX}")
    } else {
        "must be 0".to_owned()
    };
    place.require(fine, "max_input_images", format!("{wanted} with these modes"));
    place.require(model.prompt_max_chars > 0, "prompt_max_chars", "must be above 0");
    match &model.prompt_default {
        None => place.require(!takes_images, "prompt_default", "missing for a model that takes images"),
        Some(text) => {
            let fits = u32::try_from(text.chars().count()).is_ok_and(|chars| chars <= model.prompt_max_chars);
            place.require(takes_images, "prompt_default", "is only for models that take images");
            place.require(
                !text.trim().is_empty() && fits,
                "prompt_default",
                "must fit into prompt_max_chars",
            );
        }
    }
    place.require((1..=5).contains(&model.quality), "quality", "must be between 1 and 5");
    place.require(model.typical_seconds > 0, "typical_seconds", "must be above 0");
    let longest = model.typical_seconds..=TASK_MAX_SECONDS;
    let problem = format!("must be between typical_seconds and {TASK_MAX_SECONDS}");
    place.require(longest.contains(&model.max_seconds), "max_seconds", problem);
}

fn distinct<T: Ord>(list: &[T]) -> bool {
    list.iter().collect::<BTreeSet<_>>().len() == list.len()
}

fn ascending<T: Ord>(list: &[T]) -> bool {
    list.is_sorted_by(|one, next| one < next)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Catalog;

    pub(in super::super) const GOOD: &str = r#"
current = "v1"

[[model]]
name = "brush"
product = "image"
modes = ["text-to-image", "image-to-image"]
notes = "a note"
unit = "image"
resolutions = ["1K", "2K"]
counts = [1, 2]
aspect_ratios = ["1:1", "16:9"]
durations_seconds = []
max_input_images = 2
prompt_max_chars = 100
prompt_default = "Better."
negative_prompt = false
seed = true
typical_seconds = 10
max_seconds = 60
defaults = { aspect_ratio = "1:1" }

[[model]]
name = "tune"
product = "music"
modes = ["text-to-music"]
notes = ""
unit = "song"
resolutions = []
counts = [1]
aspect_ratios = []
durations_seconds = [30, 60]
max_input_images = 0
prompt_max_chars = 100
negative_prompt = false
seed = false
typical_seconds = 10
max_seconds = 60
defaults = { duration_seconds = 30 }

[[price_version]]
name = "v1"
live = true
[price_version.prices.brush]
credits = 10
resolutions = { "1K" = 10, "2K" = "1.8" }
modes = { text-to-image = "1", image-to-image = "1.5" }
[price_version.prices.tune]
credits = 20
modes = { text-to-music = "1" }
"#;

    pub(in super::super) fn problems(text: &str) -> Vec<String> {
        let error = Catalog::parse(text).unwrap_err();
        error.problems.iter().map(ToString::to_string).collect()
    }

    /// What the good catalog's problems are once the first `old` is `new`.
    #[track_caller]
    fn broken(old: &str, new: &str) -> Vec<String> {
        assert!(GOOD.contains(old), "{old}");
        problems(&GOOD.replacen(old, new, 1))
    }

    #[test]
    fn the_builtin_catalog_has_the_models_of_the_public_list() {
        let catalog = Catalog::builtin().unwrap();
        // The public list has twenty; google/nano-banana-2 came later.
        assert_eq!(catalog.model_names().count(), 21);
        for model in catalog.models() {
            assert_eq!(catalog.model(&model.name), Some(model));
            let counts: &[u32] = if model.unit == "image" { &[1, 2, 4, 8] } else { &[1] };
            assert_eq!(model.counts, counts, "{}", model.name);
            assert_eq!(model.default_duration_seconds, model.durations_seconds.first().copied());
        }
        assert_eq!(Catalog::parse(GOOD).unwrap().model_names().collect::<Vec<_>>(), ["brush", "tune"]);
    }

    /// Runs a table of `old → new` (`⏎` is a line end, `nothing` no text), each followed by the problems that
    /// it must give.
    #[track_caller]
    pub(in super::super) fn run(prefix: &str, table: &str) {
        for case in table.trim().split("\n\n") {
            let (change, expected) = case.split_once('\n').unwrap();
            let (old, new) = change.split_once(" → ").unwrap();
            let found = broken(old, &new.replace('⏎', "\n").replace("nothing", ""));
            let found: Vec<_> = found.iter().map(|line| line.strip_prefix(prefix).unwrap_or(line)).collect();
            assert_eq!(found, expected.lines().collect::<Vec<_>>(), "{change}");
        }
    }

    #[test]
    fn shapes_that_are_wrong() {
        run(
            "model \"brush\": ",
            r#"
notes = "a note" → note = 1
notes: missing
note: unknown key

"image-to-image"] → "image-to-film"]
modes: unknown mode "image-to-film"

product = "image" → product = "picture"
product: "picture" is not one of image, video or music

counts = [1, 2] → counts = [1, -2]
counts: must be a list of whole numbers from 0

seed = true → seed = "yes"
seed: must be true or false

max_seconds = 60 → max_seconds = 6.5
max_seconds: must be a whole number from 0

{ aspect_ratio = "1:1" } → { aspect_ratio = "1:1", count = 1 }
defaults.count: unknown key

current = "v1" → current = "v1"⏎version = 2
the file: version: unknown key

live = true → live = true⏎retired = false
price_version "v1": retired: unknown key
"#,
        );
    }

    #[test]
    fn text_that_is_not_toml_names_the_line() {
        assert_eq!(
            problems("current = \"v1\"\n\n[[model]]\nname = \n")[0].split(": ").nth(1),
            Some("line 4")
        );
        let twice = GOOD.replacen("seed = true", "seed = true\nseed = true", 1);
        assert_eq!(problems(&twice), ["the file: line 18: duplicate key"]);
        let missing =
            ["the file: current: missing", "the file: model: missing", "the file: price_version: missing"];
        assert_eq!(problems(""), missing);
    }

    #[test]
    fn models_that_make_no_sense() {
        run(
            "model \"brush\": ",
            r#"
name = "tune" → name = "brush"
name: used twice
price_version "v1", model "tune": prices: there is no such model

name = "tune" → name = "the tune"
model "the tune": name: must be 1 to 100 of A-Z a-z 0-9 . _ - /
price_version "v1", model "tune": prices: there is no such model
price_version "v1", model "the tune": prices: missing

unit = "image" → unit = "song"
unit: must be "image" for image

"image-to-image"] → "text-to-image"]
modes: has one twice
max_input_images: must be 0 with these modes
prompt_default: is only for models that take images
price_version "v1", model "brush": modes.image-to-image: the model does not offer it

resolutions = ["1K", "2K"] → resolutions = ["2K", "1K"]
resolutions: must ascend

counts = [1, 2] → counts = [2, 4]
counts: must contain 1

counts = [1, 2] → counts = [0, 1]
counts: must be between 1 and 64

"16:9"] → "16x9"]
aspect_ratios: "16x9" is not an aspect ratio such as 16:9

durations_seconds = [] → durations_seconds = [5]
durations_seconds: must be empty for image
defaults.duration_seconds: must be one of durations_seconds

{ aspect_ratio = "1:1" } → { aspect_ratio = "3:2" }
defaults.aspect_ratio: must be one of aspect_ratios

{ aspect_ratio = "1:1" } → {}
defaults.aspect_ratio: must be one of aspect_ratios

{ duration_seconds = 30 } → { duration_seconds = 45 }
model "tune": defaults.duration_seconds: must be one of durations_seconds

max_input_images = 2 → max_input_images = 0
max_input_images: must be between 1 and 16 with these modes

prompt_max_chars = 100 → prompt_max_chars = 6
prompt_default: must fit into prompt_max_chars

prompt_default = "Better." → nothing
prompt_default: missing for a model that takes images

max_seconds = 60 → max_seconds = 9
max_seconds: must be between typical_seconds and 86400
"#,
        );
    }

    #[test]
    fn all_problems_of_a_file_come_at_once() {
        let text =
            GOOD.replacen("counts = [1, 2]", "counts = []", 1).replacen("unit = \"song\"", "unit = 5", 1);
        let error = Catalog::parse(&text).unwrap_err();
        let expected = "the catalog can't be used:\n- model \"tune\": unit: must be a text\n\
                        - model \"brush\": counts: must contain 1";
        assert_eq!(error.to_string(), expected);
    }
}
