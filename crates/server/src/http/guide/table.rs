//! The tables inside the guides, as Markdown: models, use cases, errors, triggers, limits.
//!
//! Invariant: each figure comes from where the gateway itself takes it. Not here: the calls (`reference`).

use rynjer_api::{ErrorCode, TaskErrorCode};
use rynjer_core::catalog::{Asked, Catalog, Model, Product, QualityMode, RouteAsk, UseCase};
use serde_json::Value;

/// What somebody wants, the model to begin with, and why.
const USE_CASES: &[(&str, &str, &str)] = &[
    ("A picture, and you have no reason for another model", "nano-banana-pro", "the default: up to 4K"),
    ("Drafts, many variants, quick feedback", "google/nano-banana", "the cheapest and among the quickest"),
    ("Product and ecommerce pictures, text in pictures", "qwen/text-to-image", "made for this"),
    ("Change a picture by instruction", "nano-banana-pro", "takes the most input pictures"),
    ("A cheap clip", "sora-2", "the lowest price of a clip"),
    ("Clips while you still try things", "veo3_fast", "quicker and cheaper than `veo3`"),
    ("The best clip", "veo3", "dearer and slower: estimate first"),
    ("Animate one picture", "fal-ai/ltx-2/image-to-video", "takes nothing but one picture; 1080p"),
    ("A song", "V5", "the newest"),
    ("A cheap song", "V4", "the cheapest"),
];

/// Settings that a caller meets, and what they limit.
const LIMITS: &[(&str, &str, &str)] = &[
    ("limits", "body_bytes", "Size of a request's body"),
    ("limits", "data_uri_body_bytes", "Size of a body that carries pictures as `data:` URIs"),
    ("limits", "header_bytes", "Size of a request's headers"),
    ("limits", "json_depth", "Nesting of JSON"),
    ("limits", "input_images", "Input pictures of one request; a model may take fewer"),
    ("limits", "wait_seconds_max", "Seconds that one call waits with `?wait=` or `Prefer: wait=`"),
    ("limits", "open_tasks_per_account", "Unfinished tasks of one account"),
    ("limits", "keys_per_agent", "Live keys of one agent"),
    ("limits", "requests_per_second", "Requests per second of one credential"),
    ("limits", "burst", "Requests of one credential at once"),
    ("limits", "identity_per_minute", "Calls per minute and address that need no credential"),
    ("retention", "url_days", "Days that a link to a file works; each poll gives a new one"),
    ("retention", "output_days", "Days that files are kept"),
    ("retention", "body_days", "Days that prompts and inputs are kept"),
    ("retention", "unbound_agent_days", "Days that an agent may be without an owner"),
    ("retention", "refresh_family_days", "Days that refreshing works before a new token is needed"),
];

/// A row of a table; what would end a cell is escaped.
pub(super) fn row<const N: usize>(cells: [String; N]) -> String {
    let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a table.
pub(super) fn head<const N: usize>(names: [&str; N]) -> String {
    format!("| {} |\n|{}\n", names.join(" | "), "---|".repeat(N))
}

pub(super) fn code(text: impl AsRef<str>) -> String {
    format!("`{}`", text.as_ref())
}

fn list<T: ToString>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    if texts.is_empty() { "–".to_owned() } else { texts.join(", ") }
}

/// Every model of a product, with what it costs and what it can do.
pub(super) fn models(catalog: &Catalog, product: Product) -> String {
    let models = catalog.models().iter().filter(|model| model.product == product);
    let mut text = match product {
        Product::Image => head(["Model", "Credits", "Modes", "Shapes", "Inputs", "Typical", "Notes"]),
        Product::Video => head(["Model", "Credits", "Modes", "Shapes", "Seconds", "Typical", "Notes"]),
        Product::Music => head(["Model", "Credits", "Seconds", "Prompt", "Typical", "Notes"]),
    };
    for model in models {
        let (name, price) = (code(&model.name), price(catalog, model));
        let modes: Vec<String> = model.modes.iter().map(|mode| code(mode.as_str())).collect();
        let modes = modes.join(" ");
        let typical = format!("{} s", model.typical_seconds);
        let (shapes, seconds) = (list(&model.aspect_ratios), list(&model.durations_seconds));
        let notes = model.notes.clone();
        text += &match product {
            Product::Image => {
                let inputs = model.max_input_images.to_string();
                row([name, price, modes, shapes, inputs, typical, notes])
            }
            Product::Video => row([name, price, modes, shapes, seconds, typical, notes]),
            Product::Music => {
                let prompt = format!("{} letters", model.prompt_max_chars);
                row([name, price, seconds, prompt, typical, notes])
            }
        };
    }
    text
}

/// Each size with its price, then what multiplies it.
fn price(catalog: &Catalog, model: &Model) -> String {
    let Some(price) = catalog.model_price(&model.name) else { return "–".to_owned() };
    let sizes = catalog.resolution_prices(model);
    let mut parts: Vec<String> =
        sizes.iter().map(|(name, credits)| format!("{name}: {}", credits.0)).collect();
    if parts.is_empty() {
        parts.push(price.credits.0.to_string());
    }
    let modes = model.modes.iter().map(|mode| mode.as_str());
    let multiplied =
        price.multipliers().into_iter().filter(|(name, _)| modes.clone().any(|mode| mode == name));
    parts.extend(multiplied.map(|(name, ratio)| format!("{name} × {ratio}")));
    parts.join("; ")
}

/// What to use for what; models that the catalog lacks are left out.
pub(super) fn use_cases(catalog: &Catalog) -> String {
    let mut text = head(["You want", "Begin with", "Credits", "Typical", "Because"]);
    for (use_case, name, reason) in USE_CASES {
        if let Some(model) = catalog.model(name) {
            let typical = format!("{} s", model.typical_seconds);
            let cells = [(*use_case).to_owned(), code(name), price(catalog, model), typical];
            let [use_case, name, price, typical] = cells;
            text += &row([use_case, name, price, typical, (*reason).to_owned()]);
        }
    }
    text
}

/// The words that a request may give as `use_case`, and what the route takes first for each.
pub(super) fn use_case_words(catalog: &Catalog) -> String {
    let first = |case: &UseCase, quality_mode: QualityMode| {
        let asked = Asked { estimate: true, ..Asked::default() };
        let route = catalog
            .route(&RouteAsk { asked, quality_mode, use_case: Some(case), max_credits: None }, |_| None);
        route.ranked.first().map_or_else(|| "–".to_owned(), |ranked| code(&ranked.plan.model.name))
    };
    let rows = catalog.routing().use_cases().iter().map(|case| {
        let [fast, balanced, high] = QualityMode::ALL.map(|mode| first(case, mode));
        row([code(&case.name), case.also.join(", "), fast, balanced, high])
    });
    head(["`use_case`", "Also", "`fast`", "`balanced`", "`high`"]) + &rows.collect::<String>()
}

pub(super) fn errors() -> String {
    let rows = ErrorCode::ALL.iter().map(|error| {
        let retry = if error.retryable() { "yes" } else { "no" };
        row([
            code(error.as_str()),
            error.status().to_string(),
            retry.to_owned(),
            format!("{}.", error.summary()),
            error.suggestion().to_owned(),
        ])
    });
    head(["Code", "Status", "Retry", "Meaning", "What to do"]) + &rows.collect::<String>()
}

pub(super) fn task_errors() -> String {
    let rows = TaskErrorCode::ALL.iter().map(|error| {
        row([code(error.as_str()), format!("{}.", error.summary()), error.suggestion().to_owned()])
    });
    head(["Code", "Meaning", "What to do"]) + &rows.collect::<String>()
}

pub(super) fn triggers() -> String {
    let rows = rynjer_providers::sandbox::triggers().iter();
    let rows = rows.map(|trigger| row([code(trigger.text), trigger.effect.to_owned()]));
    head(["In the prompt", "What happens"]) + &rows.collect::<String>()
}

pub(super) fn limits(settings: &Value) -> String {
    let rows = LIMITS.iter().filter_map(|(section, key, meaning)| {
        Some(row([(*meaning).to_owned(), setting(settings, section, key)?]))
    });
    head(["Limit", "Here"]) + &rows.collect::<String>()
}

/// A setting as people read it; none if there is no such setting.
pub(super) fn setting(settings: &Value, section: &str, key: &str) -> Option<String> {
    let value = settings.get(section)?.get(key)?;
    match value.as_u64() {
        Some(number) if key.ends_with("_bytes") => Some(bytes(number)),
        Some(number) => Some(number.to_string()),
        None => value.as_str().map(str::to_owned),
    }
}

fn bytes(number: u64) -> String {
    match number {
        _ if number > 0 && number.is_multiple_of(1 << 20) => format!("{} MiB", number >> 20),
        _ if number > 0 && number.is_multiple_of(1 << 10) => format!("{} KiB", number >> 10),
        _ => format!("{number} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_cases_name_models_of_the_catalog() {
        let catalog = Catalog::builtin().unwrap();
        for (use_case, name, _) in USE_CASES {
            assert!(catalog.model(name).is_some(), "{use_case}: {name}");
        }
    }

    #[test]
    fn prices_are_those_of_the_catalog() {
        let catalog = Catalog::builtin().unwrap();
        let of = |name: &str| price(&catalog, catalog.model(name).unwrap());
        assert_eq!(of("nano-banana-pro"), "1K: 20; 2K: 20; 4K: 40");
        assert_eq!(of("veo3"), "720p: 280; 1080p: 350; image-to-video × 1.5");
        assert_eq!(of("V5"), "35");
    }

    #[test]
    fn limits_are_settings() {
        let loaded = crate::config::Config::load(None, std::iter::empty(), toml::Table::new()).unwrap();
        let settings = serde_json::to_value(loaded.config).unwrap();
        assert_eq!(limits(&settings).lines().count(), LIMITS.len() + 2);
        assert_eq!(setting(&settings, "limits", "body_bytes").as_deref(), Some("1 MiB"));
        assert_eq!(bytes(1500), "1500 bytes");
    }
}
