//! What the demo makes: product, model and prompt, decided before anything starts.
//!
//! Invariant: a choice names a model that makes the product from a prompt alone. Not here: units, which are
//! the model's defaults.

use crate::{
    cli::{Demo, Product as Wanted},
    failure::Failure,
};
use rynjer_core::{
    catalog::{Catalog, Model, Product},
    nearest::nearest_all,
    scope::Scope,
};

/// Names of models that a refusal offers.
const OFFERED: usize = 3;

/// What is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) product: Product,
    pub(super) model: String,
    pub(super) prompt: String,
}

impl Choice {
    /// The scope that it takes.
    pub(super) fn scope(&self) -> Scope {
        match self.product {
            Product::Image => Scope::Image,
            Product::Video => Scope::Video,
            Product::Music => Scope::Music,
        }
    }
}

/// Fills in what was not given.
pub(super) fn choose(arguments: &Demo) -> Result<Choice, Failure> {
    let catalog =
        Catalog::builtin().map_err(|error| Failure::failed(format!("the built-in catalog: {error}")))?;
    let wanted = arguments.product.map(|product| match product {
        Wanted::Image => Product::Image,
        Wanted::Video => Product::Video,
        Wanted::Music => Product::Music,
    });
    let name = match &arguments.model {
        Some(name) => name.as_str(),
        None => usual_model(wanted.unwrap_or(Product::Image)),
    };
    let Some(model) = catalog.model(name) else {
        let near = nearest_all(name, catalog.model_names(), OFFERED);
        let suggestion = match near.as_slice() {
            [] => "`rynjer admin prices show` lists all models".to_owned(),
            near => format!("did you mean {}?", near.join(" or ")),
        };
        return Err(Failure::usage(format!("there is no model {name}")).suggest(suggestion));
    };
    if let Some(wanted) = wanted
        && wanted != model.product
    {
        let message = format!("{name} makes {}, not {wanted}", model.product);
        return Err(
            Failure::usage(message).suggest(format!("for {wanted} use {}", offered(&catalog, wanted)))
        );
    }
    if model.text_mode().is_none() {
        let message = format!("{name} starts from a picture; the demo starts from a prompt");
        return Err(Failure::usage(message).suggest(format!("use {}", offered(&catalog, model.product))));
    }
    let prompt = arguments.prompt.as_deref().map(str::trim).filter(|prompt| !prompt.is_empty());
    let prompt = prompt.unwrap_or(usual_prompt(model.product)).to_owned();
    Ok(Choice { product: model.product, model: model.name.clone(), prompt })
}

fn usual_model(product: Product) -> &'static str {
    match product {
        Product::Image => "nano-banana-pro",
        Product::Video => "veo3_fast",
        Product::Music => "V5",
    }
}

fn usual_prompt(product: Product) -> &'static str {
    match product {
        Product::Image => {
            "A small lighthouse on a rocky island at dawn, soft pink light, a sailing boat on calm water"
        }
        Product::Video => "Slow drift across a misty mountain lake at sunrise, golden light on the water",
        Product::Music => {
            "Warm piano and soft strings, unhurried and hopeful, like the first light of a summer day"
        }
    }
}

fn offered(catalog: &Catalog, product: Product) -> String {
    let makes = |model: &&std::sync::Arc<Model>| model.product == product && model.text_mode().is_some();
    let names = catalog.models().iter().filter(makes).map(|model| model.name.as_str());
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo(product: Option<Wanted>, model: Option<&str>) -> Demo {
        Demo { prompt: None, product, model: model.map(str::to_owned), out: None }
    }

    #[test]
    fn each_product_has_its_model() {
        let image = choose(&demo(None, None)).unwrap();
        assert_eq!((image.model.as_str(), image.scope()), ("nano-banana-pro", Scope::Image));
        assert_eq!(choose(&demo(Some(Wanted::Video), None)).unwrap().model, "veo3_fast");
        assert_eq!(choose(&demo(Some(Wanted::Music), None)).unwrap().model, "V5");
        assert_eq!(choose(&demo(None, Some("V4"))).unwrap().product, Product::Music);
    }

    #[test]
    fn contradictions_are_refused_before_anything_starts() {
        for (product, model) in
            [(Some(Wanted::Music), "z-image"), (None, "nano-bananna"), (None, "qwen/image-to-image")]
        {
            assert!(choose(&demo(product, Some(model))).is_err(), "{model}");
        }
    }
}
