//! The data behind the ranking: words for use cases, and rules that say which models come first.
//!
//! Invariant: a rule names models of its own product and known words only. Not here: the ranking
//! (`route.rs`).

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::check::{Place, is_name};
use super::load::named;
use super::model::{Model, Product};
use super::preset::products;
use super::read::{Problem, Section};

/// What counts most for who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QualityMode {
    /// The quickest.
    Fast,
    /// Much quality for a credit.
    #[default]
    Balanced,
    /// The finest.
    High,
}

impl QualityMode {
    /// Every mode, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Balanced, Self::High];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::High => "high",
        }
    }

    /// Reads the name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

/// What something is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseCase {
    /// The word.
    pub name: String,
    /// What can be made for it; the first where a request leaves that open.
    pub products: Vec<Product>,
    /// Other words for the same.
    pub also: Vec<String>,
    /// Whether it starts from pictures where a request leaves that open.
    pub from_images: bool,
}

/// Which models come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) product: Product,
    /// `None`: any.
    pub(super) quality_mode: Option<QualityMode>,
    /// Empty: any, also none.
    pub(super) use_cases: Vec<String>,
    pub(super) models: Vec<String>,
    /// The beginning of the reason.
    pub(super) why: String,
}

/// Everything that the ranking goes by, beside the models themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    use_cases: Vec<UseCase>,
    rules: Vec<Rule>,
}

impl Routing {
    /// Every use case, in the order of the file.
    #[must_use]
    pub fn use_cases(&self) -> &[UseCase] {
        &self.use_cases
    }

    /// The use case of a word, whatever its case, with spaces and hyphens as underscores.
    #[must_use]
    pub fn use_case(&self, word: &str) -> Option<&UseCase> {
        let plain = |text: &str| text.to_lowercase().replace([' ', '-', '_'], "");
        let wanted = plain(word.trim());
        self.use_cases
            .iter()
            .find(|case| plain(&case.name) == wanted || case.also.iter().any(|also| plain(also) == wanted))
    }

    /// The first rule that fits.
    pub(super) fn rule(
        &self,
        product: Product,
        quality_mode: QualityMode,
        use_case: Option<&UseCase>,
    ) -> Option<&Rule> {
        self.rules.iter().find(|rule| {
            rule.product == product
                && rule.quality_mode.is_none_or(|mode| mode == quality_mode)
                && (rule.use_cases.is_empty()
                    || use_case.is_some_and(|case| rule.use_cases.contains(&case.name)))
        })
    }
}

/// Reads the table `routing`; an empty one is no problem.
pub(super) fn read(table: Table, problems: &mut Vec<Problem>) -> Routing {
    let mut section = Section::new(table, "routing");
    let use_cases = section.optional_tables("use_case").unwrap_or_default();
    let rules = section.optional_tables("rule").unwrap_or_default();
    problems.extend(section.finish());
    let use_cases = use_cases.into_iter().filter_map(|table| use_case(table, problems)).collect();
    let rules = rules.into_iter().enumerate();
    let rules = rules.filter_map(|(at, table)| rule(at, table, problems)).collect();
    Routing { use_cases, rules }
}

fn use_case(table: Table, problems: &mut Vec<Problem>) -> Option<UseCase> {
    let place = format!("use case {:?}", table.get("name").and_then(Value::as_str).unwrap_or("?"));
    let mut section = Section::new(table, place);
    let name = section.text("name");
    let products = products(&mut section);
    let also = section.optional_texts("also").unwrap_or_default();
    let from_images = section.optional_boolean("from_images").unwrap_or(false);
    let found = section.finish();
    let whole = found.is_empty();
    problems.extend(found);
    let case = UseCase { name: name?, products: products?, also, from_images };
    Some(case).filter(|_| whole)
}

fn rule(at: usize, table: Table, problems: &mut Vec<Problem>) -> Option<Rule> {
    let mut section = Section::new(table, place_of(at));
    let product = named(&mut section, "product", Product::parse, "image, video or music");
    let quality_mode = match section.optional_text("quality_mode") {
        None => None,
        Some(text) => {
            let mode = QualityMode::parse(&text);
            if mode.is_none() {
                section.refuse("quality_mode", format!("{text:?} is not one of fast, balanced or high"));
            }
            mode
        }
    };
    let use_cases = section.optional_texts("use_cases").unwrap_or_default();
    let (models, why) = (section.texts("models"), section.text("why"));
    let found = section.finish();
    let whole = found.is_empty();
    problems.extend(found);
    let rule = Rule { product: product?, quality_mode, use_cases, models: models?, why: why? };
    Some(rule).filter(|_| whole)
}

fn place_of(at: usize) -> String {
    format!("routing.rule {}", at + 1)
}

/// What makes the routing sensible beyond its shape. `names` has those of unusable models too.
pub(super) fn check(
    routing: &Routing,
    models: &[Model],
    names: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) {
    let mut seen = BTreeSet::new();
    for case in &routing.use_cases {
        let mut place = Place { name: format!("use case {:?}", case.name), problems };
        place.require(is_name(&case.name), "name", "must be 1 to 100 of A-Z a-z 0-9 . _ - /");
        for word in [&case.name].into_iter().chain(&case.also) {
            place.require(seen.insert(word.to_lowercase()), "also", format!("{word:?} is used twice"));
        }
    }
    let known = |word: &String| routing.use_cases.iter().any(|case| case.name == *word);
    for model in models {
        let mut place = Place { name: format!("model {:?}", model.name), problems };
        for word in model.use_cases.iter().filter(|word| !known(word)) {
            place.require(false, "use_cases", format!("there is no use case {word:?}"));
        }
    }
    for (at, rule) in routing.rules.iter().enumerate() {
        let mut place = Place { name: place_of(at), problems };
        for word in rule.use_cases.iter().filter(|word| !known(word)) {
            place.require(false, "use_cases", format!("there is no use case {word:?}"));
        }
        for name in &rule.models {
            let found = models.iter().find(|model| model.name == *name);
            place.require(names.contains(name), "models", format!("there is no model {name:?}"));
            let fits = found.is_none_or(|model| model.product == rule.product);
            place.require(fits, "models", format!("{name} does not make {}", rule.product));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Catalog;
    use super::super::check::tests::{GOOD, problems};
    use super::*;

    #[test]
    fn words_are_found_however_they_are_written() {
        let catalog = Catalog::builtin().unwrap();
        for (word, expected) in [
            ("ecommerce", Some("ecommerce")),
            ("E-Commerce", Some("ecommerce")),
            ("online shop", Some("ecommerce")),
            ("Product Photo", Some("product")),
            ("music", Some("song")),
            ("ecomerce", None),
            ("", None),
        ] {
            assert_eq!(catalog.routing().use_case(word).map(|case| case.name.as_str()), expected, "{word}");
        }
        for mode in QualityMode::ALL {
            assert_eq!(QualityMode::parse(mode.as_str()), Some(mode));
        }
        assert_eq!(QualityMode::parse("Fast"), None);
    }

    #[test]
    fn tables_with_problems() {
        let case = "[[routing.use_case]]\nname = \"shop\"\nproducts = [\"image\"]\n";
        let rule =
            |lines: &str| problems(&format!("{GOOD}\n{case}\n[[routing.rule]]\n{lines}\nwhy = \"w\"\n"));
        let good = "product = \"image\"\nuse_cases = [\"shop\"]\nmodels = [\"brush\"]";
        for (from, to, expected) in [
            ("\"brush\"", "\"brash\"", "models: there is no model \"brash\""),
            ("\"brush\"", "\"tune\"", "models: tune does not make image"),
            ("\"shop\"", "\"shp\"", "use_cases: there is no use case \"shp\""),
            ("\"image\"", "\"photo\"", "product: \"photo\" is not one of image, video or music"),
            (
                "product",
                "quality_mode = \"best\"\nproduct",
                "quality_mode: \"best\" is not one of fast, balanced or high",
            ),
        ] {
            assert_eq!(rule(&good.replacen(from, to, 1)), [format!("routing.rule 1: {expected}")]);
        }
        let twice = format!("{GOOD}\n{case}also = [\"Shop\"]\n");
        assert_eq!(problems(&twice), ["use case \"shop\": also: \"Shop\" is used twice"]);
        let model = GOOD.replacen("seed = true", "seed = true\nuse_cases = [\"x\"]\nquality = 6", 1);
        let expected = [
            "model \"brush\": quality: must be between 1 and 5",
            "model \"brush\": use_cases: there is no use case \"x\"",
        ];
        assert_eq!(problems(&model), expected);
    }
}
