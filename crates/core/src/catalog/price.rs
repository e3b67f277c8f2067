//! Pricing one request, and the sentences that explain the price.
//!
//! Invariant: unit price = ceil(base × multipliers) rounded once, total = unit price × count, and the
//! breakdown's numbers give the same total. Not here: the price lists (`version.rs`), holds, quotes.

use super::model::Mode;
use super::version::{PriceVersion, ResolutionRule, is_one};
use crate::credits::Credits;

impl PriceVersion {
    /// Prices `count` outputs; `None` for a cell that has no price.
    pub(super) fn price(&self, wanted: &Wanted<'_>) -> Option<Price> {
        let Wanted { model, noun, resolution, mode, count } = *wanted;
        let model_price = self.prices.get(model)?;
        let parts = model_price.parts(resolution, mode)?;
        let total = parts.unit.checked_mul(count)?;
        let at = resolution.map(|name| format!(" at {name}")).unwrap_or_default();
        let mut rules = vec![format!("{model} costs {} credits per {noun}{at}.", parts.base)];
        let mut multipliers = Vec::new();
        if !is_one(parts.resolution_ratio) {
            let table = model_price.credits;
            let name = resolution.unwrap_or_default();
            rules[0] = format!("{model} costs {table} credits per {noun}.");
            rules.push(format!("{name} multiplies the price by {}.", parts.resolution_ratio));
            multipliers.push((name.to_owned(), parts.resolution_ratio.to_string()));
        }
        if !is_one(parts.mode_ratio) {
            rules.push(format!("{mode} multiplies the price by {}.", parts.mode_ratio));
            multipliers.push((mode.as_str().to_owned(), parts.mode_ratio.to_string()));
        }
        if !multipliers.is_empty() {
            rules.push(format!("The price of one {noun} is rounded up once, to {} credits.", parts.unit));
        }
        if count > 1 {
            rules.push(format!("{count} {noun}s at {} credits each cost {total} credits.", parts.unit));
        }
        let rule = model_price.resolutions.iter().find(|(name, _)| Some(name.as_str()) == resolution);
        let resolution_rule = rule.map(|(_, rule)| *rule);
        let breakdown = Breakdown { base: parts.base, count, resolution_rule, multipliers, rules };
        Some(Price { version: self.name.clone(), unit: parts.unit, count, total, breakdown })
    }
}

/// What `PriceVersion::price` is asked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) model: &'a str,
    pub(super) noun: &'a str,
    pub(super) resolution: Option<&'a str>,
    pub(super) mode: Mode,
    pub(super) count: u32,
}

/// What a request costs, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The price version that says so.
    pub version: String,
    /// The price of one output.
    pub unit: Credits,
    /// How many outputs.
    pub count: u32,
    /// `unit` × `count`.
    pub total: Credits,
    /// How `unit` came about.
    pub breakdown: Breakdown,
}

/// How a unit price came about: ceil(`base` × every multiplier).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breakdown {
    /// What the multipliers start from.
    pub base: Credits,
    /// How many outputs.
    pub count: u32,
    /// How the resolution set the price; `None` for music.
    pub resolution_rule: Option<ResolutionRule>,
    /// The name of the resolution or mode, and its exact ratio; ×1 is left out.
    pub multipliers: Vec<(String, String)>,
    /// The same as sentences.
    pub rules: Vec<String>,
}

/// Why nothing could be priced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// The version that the request pins can't be used.
    #[error("{0}")]
    VersionUnknown(Box<PriceVersionUnknown>),
    /// The plan asks for what the current version has no price for: it was made by another catalog.
    #[error("model {model} has no price for {mode} in price version {version}")]
    NotPriced {
        /// The current version.
        version: String,
        /// The plan's model.
        model: String,
        /// The plan's mode.
        mode: Mode,
    },
}

/// The version that a request pins can't be used; what to pin instead, and what it costs there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("price version {asked:?} {}; the current one is {:?}", .reason.as_str(), .current_price.version)]
pub struct PriceVersionUnknown {
    /// What the request said.
    pub asked: String,
    /// What is wrong with it.
    pub reason: VersionProblem,
    /// The current version's name.
    pub current: String,
    /// The same request at the current version.
    pub current_price: Price,
    /// Every version that may be pinned.
    pub live: Vec<String>,
}

/// What is wrong with a pinned version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionProblem {
    /// No such version.
    Unknown,
    /// It may not be pinned any more.
    Retired,
    /// It is live, but older than this model, mode or resolution.
    NotPriced,
}

impl VersionProblem {
    /// The problem as the end of a sentence about the version.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "does not exist",
            Self::Retired => "is retired",
            Self::NotPriced => "has no price for this",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Asked, Catalog, Plan};
    use super::*;
    use proptest::prelude::*;

    fn plan(catalog: &Catalog, model: &str, mode: Mode, resolution: Option<&str>, count: u32) -> Plan {
        let resolution = resolution.map(ToOwned::to_owned);
        let count = Some(i128::from(count));
        let asked = Asked { mode: Some(mode), resolution, count, estimate: true, ..Asked::default() };
        catalog.resolve(model, &asked).unwrap()
    }

    /// Whole ceil(base × ratios) on its own: fractions of 128-bit integers, no code shared with `Ratio`.
    fn exact(base: i64, ratios: &[&str]) -> i64 {
        let (mut numerator, mut denominator) = (i128::from(base), 1i128);
        for ratio in ratios {
            let (whole, places) = ratio.split_once('.').unwrap_or((ratio, ""));
            for digit in places.bytes() {
                assert!(digit.is_ascii_digit());
                denominator *= 10;
            }
            numerator *= format!("{whole}{places}").parse::<i128>().unwrap();
        }
        i64::try_from((numerator + denominator - 1) / denominator).unwrap()
    }

    const EVERY: [&str; 21] = [
        "google/nano-banana 1K=8,8",
        "nano-banana-pro 1K=20,20 2K=20,20 4K=40,40",
        "gpt4o_image 1K=10,10",
        "qwen/text-to-image 1K=15",
        "qwen/image-to-image 1K=15",
        "xai/grok-imagine-image 1K=20 2K=20",
        "xai/grok-imagine-image/edit 1K=20 2K=20",
        "z-image 1K=20",
        "google/nano-banana-2 1K=14,14 2K=20,20 4K=30,30",
        "sora-2 720p=10,15 1080p=18,27",
        "sora-2-pro 720p=330,495 1080p=594,891",
        "veo3_fast 720p=50,75 1080p=90,135",
        "veo3 720p=280,420 1080p=350,525",
        "doubao-seedance-1.0-pro-fast 720p=40,60 1080p=72,108",
        "wan-2.6 720p=20,30 1080p=300,450",
        "fal-ai/ltx-2/image-to-video 1080p=50",
        "xai/grok-imagine-video/text-to-video 720p=10 1080p=18",
        "V5 -=35",
        "V4_5PLUS -=30",
        "V4_5 -=25",
        "V4 -=20",
    ];

    /// One model came after the public table.
    fn version_of(model: &str) -> &'static str {
        if model == "google/nano-banana-2" { "2026-11-23-v1" } else { "2026-02-02-v1" }
    }

    #[test]
    fn the_whole_price_list() {
        let catalog = Catalog::builtin().unwrap();
        let rows: Vec<String> = catalog
            .models()
            .iter()
            .map(|model| {
                let price = catalog.model_price(&model.name).unwrap();
                let names = model.resolutions.iter().map(|name| Some(name.as_str()));
                let cells = names.chain(model.resolutions.is_empty().then_some(None)).map(|name| {
                    let units = model.modes.iter().map(|mode| price.unit(name, *mode).unwrap().to_string());
                    format!(" {}={}", name.unwrap_or("-"), units.collect::<Vec<_>>().join(","))
                });
                format!("{}{}", model.name, cells.collect::<String>())
            })
            .collect();
        assert_eq!(rows, EVERY);
    }

    #[test]
    fn the_public_table_is_what_a_plain_request_costs() {
        let table = [
            8, 20, 10, 15, 15, 20, 20, 20, 14, // images
            10, 330, 50, 280, 40, 20, 50, 10, // video
            35, 30, 25, 20, // music
        ];
        let catalog = Catalog::builtin().unwrap();
        let asked = Asked { estimate: true, ..Asked::default() };
        for (model, credits) in catalog.models().iter().zip(table) {
            let price = catalog.price(&catalog.resolve(&model.name, &asked).unwrap(), None).unwrap();
            assert_eq!(
                (price.total, price.version.as_str()),
                (Credits(credits), version_of(&model.name)),
                "{}",
                model.name
            );
            assert_eq!(catalog.model_price(&model.name).unwrap().credits, Credits(credits));
        }
    }

    #[test]
    fn every_combination_is_base_times_multipliers_rounded_up_once_times_count() {
        let catalog = Catalog::builtin().unwrap();
        let mut seen = 0;
        for cell in catalog.every_combination() {
            let plan = plan(&catalog, &cell.model.name, cell.mode, cell.resolution, cell.count);
            let price = catalog.price(&plan, Some(version_of(&cell.model.name))).unwrap();
            assert_eq!(price, catalog.price(&plan, None).unwrap());
            let ratios: Vec<_> =
                price.breakdown.multipliers.iter().map(|(_, ratio)| ratio.as_str()).collect();
            let unit = exact(price.breakdown.base.0, &ratios);
            assert_eq!((price.unit.0, price.count), (unit, cell.count), "{cell:?}");
            assert_eq!(price.total.0, unit * i64::from(cell.count), "{cell:?}");
            assert!(!price.breakdown.rules.is_empty());
            seen += 1;
        }
        // Images: (1·2 + 3·2 + 1·2 + 1 + 1 + 2 + 2 + 1 + 3·2) × 4 counts; video: 6 × 2·2 + 1 + 2; music: 4.
        assert_eq!(seen, 23 * 4 + 27 + 4);
    }

    #[test]
    fn prices_explain_themselves() {
        let catalog = Catalog::builtin().unwrap();
        let explain = |model, mode, resolution, count| {
            let plan = plan(&catalog, model, mode, resolution, count);
            catalog.price(&plan, None).unwrap().breakdown
        };
        let both = explain("sora-2-pro", Mode::ImageToVideo, Some("1080p"), 1);
        let pairs = [("1080p", "1.8"), ("image-to-video", "1.5")];
        assert_eq!(both.multipliers, pairs.map(|(name, ratio)| (name.to_owned(), ratio.to_owned())));
        assert_eq!(both.base, Credits(330));
        let sentences = [
            "sora-2-pro costs 330 credits per video.",
            "1080p multiplies the price by 1.8.",
            "image-to-video multiplies the price by 1.5.",
            "The price of one video is rounded up once, to 891 credits.",
        ];
        assert_eq!(both.rules, sentences);
        let four = explain("nano-banana-pro", Mode::TextToImage, Some("4K"), 4);
        assert_eq!(four.resolution_rule, Some(ResolutionRule::Fixed(Credits(40))));
        let sentences = [
            "nano-banana-pro costs 40 credits per image at 4K.",
            "4 images at 40 credits each cost 160 credits.",
        ];
        assert_eq!(four.rules, sentences);
        let song = explain("V5", Mode::TextToMusic, None, 1);
        assert_eq!((song.resolution_rule, song.multipliers.len()), (None, 0));
        assert_eq!(song.rules, ["V5 costs 35 credits per song."]);
        let price = catalog.current().model("sora-2").unwrap();
        let shown: Vec<_> =
            price.multipliers().iter().map(|(name, ratio)| format!("{name} {ratio}")).collect();
        assert_eq!(shown, ["1080p 1.8", "image-to-video 1.5"]);
        let model = catalog.model("veo3").unwrap();
        assert_eq!(catalog.resolution_prices(model), [("720p", Credits(280)), ("1080p", Credits(350))]);
    }

    const OLDER: &str = r#"
[[price_version]]
name = "old"
live = false
[price_version.prices]
"V4" = { credits = 1, modes = { text-to-music = "1" } }
"veo3" = { credits = 1, resolutions = { "720p" = 2, "1080p" = 1 }, modes = { text-to-video = "1" } }

[[price_version]]
name = "spring"
live = true
[price_version.prices]
"V4" = { credits = 19, modes = { text-to-music = "1" } }
"gone" = { credits = 9, modes = { text-to-music = "1" } }
"veo3" = { credits = 7, resolutions = { "720p" = 9, "1080p" = 7 }, modes = { text-to-video = "1" } }
"#;

    #[test]
    fn a_request_may_pin_a_live_version() {
        let catalog = Catalog::parse(&format!("{}{OLDER}", super::super::BUILTIN)).unwrap();
        let names: Vec<_> = catalog.price_versions().iter().map(|version| version.name.as_str()).collect();
        assert_eq!(names, ["2026-02-02-v1", "2026-11-23-v1", "old", "spring"]);
        let refused = |model: &str, mode, version| {
            let plan = plan(&catalog, model, mode, None, 1);
            match catalog.price(&plan, Some(version)) {
                Err(PriceError::VersionUnknown(unknown)) => *unknown,
                other => panic!("{other:?}"),
            }
        };
        let song = plan(&catalog, "V4", Mode::TextToMusic, None, 1);
        let pinned = catalog.price(&song, Some("spring")).unwrap();
        assert_eq!((pinned.total, pinned.version.as_str()), (Credits(19), "spring"));
        let unknown = refused("V4", Mode::TextToMusic, "never");
        assert_eq!((unknown.reason, unknown.current.as_str()), (VersionProblem::Unknown, "2026-02-02-v1"));
        assert_eq!((unknown.current_price.total, unknown.live.len()), (Credits(20), 3));
        let text = "price version \"never\" does not exist; the current one is \"2026-02-02-v1\"";
        assert_eq!(unknown.to_string(), text);
        assert_eq!(refused("V4", Mode::TextToMusic, "old").reason, VersionProblem::Retired);
        assert_eq!(refused("V5", Mode::TextToMusic, "spring").reason, VersionProblem::NotPriced);
        assert_eq!(refused("veo3", Mode::ImageToVideo, "spring").reason, VersionProblem::NotPriced);
        // The default resolution is the cheapest of the version that will be charged.
        let asked = |version: &str| Asked {
            price_version: Some(version.to_owned()),
            estimate: true,
            ..Asked::default()
        };
        let default = |version| catalog.resolve("veo3", &asked(version)).unwrap().resolution.unwrap();
        assert_eq!(
            ["spring", "old", "never", "2026-02-02-v1"].map(default),
            ["1080p", "720p", "720p", "720p"]
        );
    }

    #[test]
    fn a_plan_of_another_catalog_is_refused() {
        let catalog = Catalog::builtin().unwrap();
        let mut stranger = plan(&catalog, "veo3", Mode::TextToVideo, None, 1);
        stranger.resolution = Some("4K".to_owned());
        for version in [None, Some("2026-02-02-v1"), Some("never")] {
            let refused = catalog.price(&stranger, version);
            assert!(matches!(refused, Err(PriceError::NotPriced { .. })), "{refused:?}");
        }
    }

    proptest! {
        #[test]
        fn any_price_list_is_charged_exactly(
            credits in 1u32..1_000_000_000, wide in 10_000u32..99_999_999, image in 10_000u32..99_999_999,
        ) {
            let decimal = |places: u32| format!("{}.{:04}", places / 10_000, places % 10_000);
            let (wide, image) = (decimal(wide), decimal(image));
            let name = "sora-2";
            let row = format!(
                "credits = {credits}\nresolutions = {{ \"720p\" = \"1\", \"1080p\" = \"{wide}\" }}\n\
                 modes = {{ text-to-video = \"1\", image-to-video = \"{image}\" }}\n"
            );
            let start = super::super::BUILTIN.find("[price_version.prices.\"sora-2\"]").unwrap();
            let (before, rest) = super::super::BUILTIN.split_at(start);
            let after = &rest[rest[1..].find('[').unwrap() + 1..];
            let text = format!("{before}[price_version.prices.\"sora-2\"]\n{row}\n{after}");
            let catalog = Catalog::parse(&text).unwrap();
            for (mode, resolution, ratios) in [
                (Mode::TextToVideo, "720p", vec![]),
                (Mode::TextToVideo, "1080p", vec![wide.as_str()]),
                (Mode::ImageToVideo, "720p", vec![image.as_str()]),
                (Mode::ImageToVideo, "1080p", vec![wide.as_str(), image.as_str()]),
            ] {
                let price = catalog.price(&plan(&catalog, name, mode, Some(resolution), 1), None).unwrap();
                prop_assert_eq!(price.total.0, exact(i64::from(credits), &ratios));
            }
        }
    }
}
