//! Whether the price versions are sensible and fit the models.
//!
//! Invariant: after these checks each model is priced, in exactly what it offers, by the current version or
//! by a newer one, and each table price is one that somebody pays. Not here: reading the file, models
//! (`check.rs`).

use std::collections::BTreeSet;

use super::check::{Place, is_name};
use super::model::Model;
use super::read::Problem;
use super::version::PriceVersion;

pub(super) fn versions(versions: &[PriceVersion], problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for version in versions {
        let mut place = Place { name: format!("price_version {:?}", version.name), problems };
        place.require(seen.insert(&version.name), "name", "used twice");
        place.require(is_name(&version.name), "name", "must be 1 to 100 of A-Z a-z 0-9 . _ - /");
        for (model, price) in &version.prices {
            let name = format!("price_version {:?}, model {model:?}", version.name);
            let mut place = Place { name, problems: place.problems };
            place.require(!price.modes.is_empty(), "modes", "must name at least one");
            let units = price.resolutions.iter().flat_map(|(resolution, _)| {
                price.modes.iter().map(|(mode, _)| price.unit(Some(resolution), *mode))
            });
            let units: Vec<_> = if price.resolutions.is_empty() {
                price.modes.iter().map(|(mode, _)| price.unit(None, *mode)).collect()
            } else {
                units.collect()
            };
            // The table price is what a request gets that asks for nothing special.
            let cheapest = units.iter().flatten().min();
            let fine = cheapest.is_none_or(|cheapest| *cheapest == price.credits);
            let problem = format!("{} is not the cheapest price", price.credits);
            place.require(fine, "credits", problem);
        }
    }
}

/// The current version, if it can be one. `names` has those of unusable versions too.
pub(super) fn current<'a>(
    versions: &'a [PriceVersion],
    names: &BTreeSet<String>,
    name: &str,
    problems: &mut Vec<Problem>,
) -> Option<&'a PriceVersion> {
    let found = versions.iter().find(|version| version.name == name);
    let mut place = Place { name: "the file".to_owned(), problems };
    place.require(names.contains(name), "current", format!("there is no price version {name:?}"));
    let live = found.is_none_or(|version| version.live);
    place.require(live, "current", format!("price version {name:?} is not live"));
    found
}

/// The current version, and newer ones for models that came after it, price exactly what the models offer.
/// Older versions may know fewer models, or models
/// that are gone: they never change.
pub(super) fn coverage(
    models: &[Model],
    names: &BTreeSet<String>,
    (versions, current): (&[PriceVersion], &PriceVersion),
    problems: &mut Vec<Problem>,
) {
    let version = &current.name;
    for model in current.prices.keys().filter(|model| !names.contains(*model)) {
        let mut place = Place { name: format!("price_version {version:?}, model {model:?}"), problems };
        place.require(false, "prices", "there is no such model");
    }
    let mut seen = BTreeSet::new();
    for model in models.iter().filter(|model| seen.insert(&model.name)) {
        // A model that came after the current version is priced by a newer one.
        let newer =
            || versions.iter().rev().find(|version| version.live && version.model(&model.name).is_some());
        let pricing = if current.model(&model.name).is_some() { Some(current) } else { newer() };
        let version = pricing.map_or(version, |pricing| &pricing.name);
        let mut place =
            Place { name: format!("price_version {version:?}, model {:?}", model.name), problems };
        let Some(price) = pricing.and_then(|pricing| pricing.model(&model.name)) else {
            place.require(false, "prices", "missing");
            continue;
        };
        let priced: Vec<_> = price.resolutions.iter().map(|(name, _)| name).collect();
        for name in model.resolutions.iter().filter(|name| !priced.contains(name)) {
            place.require(false, &format!("resolutions.{name}"), "missing");
        }
        for name in priced.iter().filter(|name| !model.resolutions.contains(name)) {
            place.require(false, &format!("resolutions.{name}"), "the model does not offer it");
        }
        let priced: Vec<_> = price.modes.iter().map(|(mode, _)| mode).collect();
        for mode in model.modes.iter().filter(|mode| !priced.contains(mode)) {
            place.require(false, &format!("modes.{mode}"), "missing");
        }
        for mode in priced.iter().filter(|mode| !model.modes.contains(mode)) {
            place.require(false, &format!("modes.{mode}"), "the model does not offer it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::tests::{GOOD, problems, run};

    #[test]
    fn prices_of_a_wrong_shape() {
        run(
            "price_version \"v1\", model \"brush\": ",
            r#"
credits = 10 → credits = 0
credits: 0 credits is not between 1 and 1000000000

credits = 10 → credits = 1000000001
credits: 1000000001 credits is not between 1 and 1000000000

"1K" = 10 → "1K" = -10
resolutions.1K: -10 credits is not between 1 and 1000000000

"1K" = 10 → "1k" = 10
resolutions.1k: is not a resolution such as 1K or 720p

"1.8" → "1,8"
resolutions.2K: "1,8" is not a decimal above zero with at most four places

"1.8" → 1.8
resolutions.2K: must be credits such as 40 or a multiplier such as "1.8"

"1.5" → 1.5
modes.image-to-image: must be a multiplier such as "1.5"

"1.5" → "0"
modes.image-to-image: "0" is not a decimal above zero with at most four places

, image-to-image = "1.5" → , image-to-film = "1.5"
modes.image-to-film: unknown mode
"#,
        );
    }

    #[test]
    fn prices_that_do_not_fit_the_models() {
        run(
            "price_version \"v1\", model \"brush\": ",
            r#"
"1K" = 10, → nothing
credits: 10 is not the cheapest price
resolutions.1K: missing

{ "1K" = 10, → { "4K" = 90, "1K" = 10,
resolutions.4K: the model does not offer it

, image-to-image = "1.5" → nothing
modes.image-to-image: missing

text-to-image = "1", → text-to-image = "1", text-to-music = "1",
modes.text-to-music: the model does not offer it

credits = 10 → credits = 11
credits: 11 is not the cheapest price

prices.brush] → prices.brash]
price_version "v1", model "brash": prices: there is no such model
prices: missing

live = true → live = false
the file: current: price version "v1" is not live

current = "v1" → current = "v2"
the file: current: there is no price version "v2"
"#,
        );
        let twice = format!("{GOOD}\n[[price_version]]\nname = \"v1\"\nlive = true\nprices = {{}}\n");
        assert_eq!(problems(&twice), ["price_version \"v1\": name: used twice"]);
    }
}
