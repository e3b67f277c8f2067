//! Price versions: what every model costs, as data.
//!
//! Invariant: a version's prices depend on that version's own data alone, never on what the models can do
//! today, so that its canonical text never changes. Not here: pricing a request (`price.rs`).

use std::collections::BTreeMap;

use super::model::Mode;
use crate::credits::{Credits, Ratio};

/// How a resolution sets the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResolutionRule {
    /// It has a price of its own.
    Fixed(Credits),
    /// It multiplies the model's table price.
    Multiplied(Ratio),
}

/// What one model costs in one price version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPrice {
    /// The price in the public table: the cheapest resolution, without multipliers of a mode.
    pub credits: Credits,
    /// Every priced resolution, smallest first; empty for music.
    pub resolutions: Vec<(String, ResolutionRule)>,
    /// Every priced mode with its multiplier.
    pub modes: Vec<(Mode, Ratio)>,
}

impl ModelPrice {
    /// What the unit price starts from and what multiplies it; `None` for a cell that has no price.
    pub(super) fn parts(&self, resolution: Option<&str>, mode: Mode) -> Option<Parts> {
        let rule = match resolution {
            Some(name) => Some(self.resolutions.iter().find(|(known, _)| known == name)?.1),
            None if self.resolutions.is_empty() => None,
            None => return None,
        };
        let (_, mode_ratio) = self.modes.iter().find(|(known, _)| *known == mode)?;
        let (base, resolution_ratio) = match rule {
            Some(ResolutionRule::Fixed(credits)) => (credits, Ratio::ONE),
            Some(ResolutionRule::Multiplied(ratio)) => (self.credits, ratio),
            None => (self.credits, Ratio::ONE),
        };
        let unit = Ratio::apply_all_ceil(base, &[resolution_ratio, *mode_ratio])?;
        Some(Parts { base, resolution_ratio, mode_ratio: *mode_ratio, unit })
    }

    /// The price of one output; `None` for a cell that has no price.
    #[must_use]
    pub fn unit(&self, resolution: Option<&str>, mode: Mode) -> Option<Credits> {
        self.parts(resolution, mode).map(|parts| parts.unit)
    }

    /// The cheapest of `resolutions` in `mode`, the first of them among equals.
    pub(super) fn cheapest<'a>(&self, resolutions: &'a [String], mode: Mode) -> Option<&'a String> {
        let priced = resolutions.iter().filter_map(|name| Some((self.unit(Some(name), mode)?, name)));
        priced.min_by_key(|(unit, _)| *unit).map(|(_, name)| name)
    }

    /// What multiplies the table price, by the name of the resolution or mode; ×1 is left out.
    #[must_use]
    pub fn multipliers(&self) -> Vec<(String, Ratio)> {
        let resolutions = self.resolutions.iter().filter_map(|(name, rule)| match rule {
            ResolutionRule::Multiplied(ratio) => Some((name.clone(), *ratio)),
            ResolutionRule::Fixed(_) => None,
        });
        let modes = self.modes.iter().map(|(mode, ratio)| (mode.as_str().to_owned(), *ratio));
        resolutions.chain(modes).filter(|(_, ratio)| !is_one(*ratio)).collect()
    }
}

/// The parts of one unit price.
pub(super) struct Parts {
    pub(super) base: Credits,
    pub(super) resolution_ratio: Ratio,
    pub(super) mode_ratio: Ratio,
    pub(super) unit: Credits,
}

/// A ratio has at most four places, so ×10,000 shows every difference from 1.
pub(super) fn is_one(ratio: Ratio) -> bool {
    Ratio::apply_all_ceil(Credits(10_000), &[ratio]) == Some(Credits(10_000))
}

/// One immutable price list. Only `live` may ever change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceVersion {
    /// Its name, such as `2026-02-02-v1`.
    pub name: String,
    /// Whether requests may pin it.
    pub live: bool,
    /// What each model costs.
    pub(super) prices: BTreeMap<String, ModelPrice>,
}

impl PriceVersion {
    /// What one model costs, by its name.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&ModelPrice> {
        self.prices.get(name)
    }

    /// Every price of this version, sorted, one per line: model, resolution (`-` for none), mode, credits,
    /// with tabs between. Two versions with the same text charge the same for everything.
    #[must_use]
    pub fn canonical_text(&self) -> String {
        let mut lines = Vec::new();
        for (model, price) in &self.prices {
            let names = price.resolutions.iter().map(|(name, _)| Some(name.as_str()));
            let without = price.resolutions.is_empty().then_some(None);
            for resolution in names.chain(without) {
                for (mode, _) in &price.modes {
                    let unit = price.unit(resolution, *mode).unwrap_or_default();
                    let resolution = resolution.unwrap_or("-");
                    lines.push(format!("{model}\t{resolution}\t{mode}\t{unit}"));
                }
            }
        }
        lines.sort();
        format!("price_version\t{}\n{}\n", self.name, lines.join("\n"))
    }

    /// Where this version and a canonical text stored under its name disagree, one sentence per line of
    /// either; empty if they are the same.
    #[must_use]
    pub fn differences(&self, stored: &str) -> Vec<String> {
        let ours = self.canonical_text();
        if ours == stored {
            return Vec::new();
        }
        let show = |line: &str| line.replace('\t', " ");
        let gone = stored.lines().filter(|line| !ours.lines().any(|other| other == *line));
        let new = ours.lines().filter(|line| !stored.lines().any(|other| other == *line));
        let mut all: Vec<_> =
            gone.map(|line| format!("stored but not in the file: {}", show(line))).collect();
        all.extend(new.map(|line| format!("in the file but not stored: {}", show(line))));
        if all.is_empty() {
            all.push("the same lines in another order or number".to_owned());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::Catalog;
    use super::*;

    #[test]
    fn cells_without_a_price_have_none() {
        let catalog = Catalog::builtin().unwrap();
        let unit = |model, resolution, mode| catalog.current().model(model).unwrap().unit(resolution, mode);
        assert_eq!(unit("veo3", None, Mode::TextToVideo), None);
        assert_eq!(unit("veo3", Some("4K"), Mode::TextToVideo), None);
        assert_eq!(unit("veo3", Some("720p"), Mode::TextToMusic), None);
        assert_eq!(unit("V5", Some("1K"), Mode::TextToMusic), None);
        assert_eq!(unit("V5", None, Mode::TextToMusic), Some(Credits(35)));
    }

    #[test]
    fn canonical_text_is_sorted_and_complete() {
        let version = Catalog::builtin().unwrap().current().clone();
        let text = version.canonical_text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "price_version\t2026-02-02-v1");
        assert!(lines[1..].is_sorted() && text.ends_with('\n'));
        assert_eq!(lines.len(), 1 + 17 + 27 + 4);
        for line in ["V4\t-\ttext-to-music\t20", "sora-2-pro\t1080p\timage-to-video\t891"] {
            assert!(lines.contains(&line), "{line}");
        }
        assert_eq!(version.differences(&text), Vec::<String>::new());
        let other = text.replace("text-to-music\t20", "text-to-music\t21");
        let difference = [
            "stored but not in the file: V4 - text-to-music 21",
            "in the file but not stored: V4 - text-to-music 20",
        ];
        assert_eq!(version.differences(&other), difference);
        assert_eq!(version.differences(&format!("{text}{}\n", lines[1])).len(), 1);
        let retired = PriceVersion { live: false, ..version };
        assert_eq!(retired.canonical_text(), text);
    }
}
