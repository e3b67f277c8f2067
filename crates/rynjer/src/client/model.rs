//! `models`: what there is and what it costs.
//!
//! Invariant: prices are the gateway's, never worked out here. Not here: the price of a request (`estimate`).

use super::{account::object, session::Session};
use crate::{
    cli::{Product as Wanted, client::Models},
    failure::Failure,
    print,
    table::{page, table},
    terminal::{self, Style},
    words::{count, credits, grouped},
};
use rynjer_api::{Model, Product};
use rynjer_core::nearest::nearest_all;

/// Names that a refusal offers.
const OFFERED: usize = 3;

/// Runs `rynjer models`.
pub(super) async fn run(arguments: Models, json: bool) -> Result<(), Failure> {
    let mut session = Session::open(&arguments.reach)?;
    let answer = session.call(|client| async move { client.models().await }).await?;
    let wanted = arguments.product.map(|product| match product {
        Wanted::Image => Product::Image,
        Wanted::Video => Product::Video,
        Wanted::Music => Product::Music,
    });
    let mut models = answer.models;
    if let Some(name) = &arguments.name {
        let Some(model) = models.iter().find(|model| model.model == *name) else {
            let near = nearest_all(name, models.iter().map(|model| model.model.as_str()), OFFERED);
            let failure = Failure::not_found(format!("there is no model {name}")).coded("unknown_model");
            return Err(match near.as_slice() {
                [] => failure.suggest("`rynjer models` lists all"),
                near => failure.suggest(format!("did you mean {}?", near.join(" or "))),
            });
        };
        return print::answer(json, &object(model)?, |style| shown(style, model));
    }
    models.retain(|model| wanted.is_none_or(|product| product == model.product));
    if json {
        for model in &models {
            print::line(&object(model)?.to_string())?;
        }
        return Ok(());
    }
    print::line(&list(terminal::stdout(), &models))?;
    let number = count(models.len(), "model", "models");
    print::hint(json, &format!("{number}, credits of price version {}", answer.price_version));
    Ok(())
}

fn list(style: Style, models: &[Model]) -> String {
    let rows = models.iter().map(|model| {
        let sizes = match &model.reason_unavailable {
            Some(_) => "not on this gateway".to_owned(),
            None => prices(model),
        };
        vec![model.model.clone(), product(model.product).to_owned(), grouped(model.credits), sizes]
    });
    table(style, &["MODEL", "MAKES", ">CREDITS", "BY RESOLUTION"], &rows.collect::<Vec<_>>())
}

fn product(product: Product) -> &'static str {
    match product {
        Product::Image => "image",
        Product::Video => "video",
        Product::Music => "music",
    }
}

/// The resolutions, with their price where it differs.
fn prices(model: &Model) -> String {
    let mut sizes: Vec<(&String, &i64)> = model.resolutions.iter().collect();
    sizes.sort_by_key(|(name, price)| (**price, name.len()));
    let all_same = sizes.iter().all(|(_, price)| **price == model.credits);
    let texts = sizes.iter().map(|(name, price)| match all_same {
        true => (*name).clone(),
        false => format!("{name} {}", grouped(**price)),
    });
    texts.collect::<Vec<_>>().join(", ")
}

fn shown(style: Style, model: &Model) -> String {
    let joined = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let modes = object(&model.modes).ok();
    let modes = modes
        .as_ref()
        .and_then(|modes| modes.as_array())
        .map(|modes| modes.iter().filter_map(|mode| mode.as_str()).collect::<Vec<_>>().join(", "));
    let lines = [
        ("model", model.model.clone()),
        ("makes", product(model.product).to_owned()),
        ("from", modes.unwrap_or_default()),
        ("price", format!("{} per {}", credits(model.credits), model.unit)),
        ("by resolution", prices(model)),
        ("counts", joined(&model.counts)),
        ("shapes", model.aspect_ratios.join(", ")),
        ("seconds", joined(&model.durations_seconds)),
        (
            "input images",
            if model.max_input_images == 0 {
                String::new()
            } else {
                format!("up to {}", model.max_input_images)
            },
        ),
        ("prompt", format!("up to {} characters", model.prompt_max_chars)),
        ("served by", model.served_by.clone().unwrap_or_default()),
        ("not here", model.reason_unavailable.clone().unwrap_or_default()),
        ("takes", format!("about {} s", model.typical_seconds)),
        ("notes", model.notes.clone()),
    ];
    let lines: Vec<(&str, String)> = lines.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    page(style, &lines)
}
