//! Puts facts into the text of a guide: `{base_url}`, `{limits.burst}`, `{models:image}`.
//!
//! Invariant: a name that is not known stays as it stands, because `{request_id}` belongs to the text. Not
//! here: the tables themselves (`table`, `reference`).

use super::{reference, table};
use crate::state::App;
use rynjer_core::catalog::Product;
use serde_json::Value;

/// What the guides of one gateway state.
pub(super) struct Facts<'a> {
    pub(super) app: &'a App,
    /// All settings, as JSON.
    pub(super) settings: Value,
    /// The OpenAPI description, as JSON.
    pub(super) openapi: Value,
}

impl<'a> Facts<'a> {
    pub(super) fn new(app: &'a App) -> Self {
        let settings = serde_json::to_value(&app.config).unwrap_or_default();
        let openapi = serde_json::to_value(crate::http::openapi::document()).unwrap_or_default();
        Self { app, settings, openapi }
    }

    /// The text with every known name replaced.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            let (before, from) = rest.split_at(start);
            filled.push_str(before);
            let name = from.get(1..).and_then(|inside| inside.split_once('}')).map(|(name, _)| name);
            match name.and_then(|name| Some((name.len() + 2, self.fact(name)?))) {
                Some((length, fact)) => {
                    filled.push_str(&fact);
                    rest = from.get(length..).unwrap_or_default();
                }
                None => {
                    filled.push('{');
                    rest = from.get(1..).unwrap_or_default();
                }
            }
        }
        filled.push_str(rest);
        filled
    }

    fn fact(&self, name: &str) -> Option<String> {
        let catalog = &self.app.catalog;
        Some(match name {
            "base_url" => self.app.base_url().to_owned(),
            "audience" => {
                let base_url = self.app.base_url();
                base_url.split_once("://").map_or(base_url, |(_, host)| host).to_owned()
            }
            "price_version" => catalog.current().name.clone(),
            "models:image" => table::models(catalog, Product::Image),
            "models:video" => table::models(catalog, Product::Video),
            "models:music" => table::models(catalog, Product::Music),
            "use_cases" => table::use_cases(catalog),
            "use_case_words" => table::use_case_words(catalog),
            "errors" => table::errors(),
            "task_errors" => table::task_errors(),
            "triggers" => table::triggers(),
            "limits" => table::limits(&self.settings),
            "operations" => reference::operations(&self.openapi),
            _ => return self.named(name),
        })
    }

    /// A setting, or a figure of one model.
    fn named(&self, name: &str) -> Option<String> {
        if let Some((kind @ ("credits" | "seconds"), model)) = name.split_once(':') {
            let catalog = &self.app.catalog;
            let figure = match kind {
                "credits" => catalog.model_price(model).map(|price| price.credits.0.to_string()),
                _ => catalog.model(model).map(|model| model.typical_seconds.to_string()),
            };
            return Some(figure.unwrap_or_else(|| "?".to_owned()));
        }
        let (section, key) = name.split_once('.')?;
        table::setting(&self.settings, section, key)
    }
}
