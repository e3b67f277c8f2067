//! `admin prices`: show the current prices, check a catalog file, install one.
//!
//! Invariant: only `import` writes, and only what has passed every check. Not here: how prices are worked out
//! (`core::catalog`), what is stored (`server::app::price`).

use super::open;
use crate::{
    cli::{Place, admin::Prices},
    failure::Failure,
    folder, in_runtime, print,
    table::{page, table},
    terminal::Style,
    words::{count, grouped},
};
use rynjer_core::catalog::{Catalog, CatalogError, Model, ModelPrice, Problem};
use rynjer_server::app::price;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Runs `rynjer admin prices …`.
pub(super) fn run(command: &Prices, json: bool) -> Result<(), Failure> {
    match command {
        Prices::Show { catalog: Some(file), .. } => show(&read(file)?, json),
        Prices::Show { catalog: None, place } => show(&catalog(place)?, json),
        Prices::Check { file } => check(file, json),
        Prices::Import { file, place } => in_runtime(import(file, place, json)),
    }
}

/// The catalog of a place: the one that was imported, else the built-in one.
pub(super) fn catalog(place: &Place) -> Result<Catalog, Failure> {
    match installed(place) {
        Some(file) => read(&file),
        None => parsed("the built-in catalog", Catalog::builtin()),
    }
}

/// The catalog file that was imported into a place, if any.
fn installed(place: &Place) -> Option<PathBuf> {
    let data_dir = folder::data_dir(place.data_dir.as_deref()).ok()?;
    price::installed_catalog(&data_dir)
}

async fn import(file: &Path, place: &Place, json: bool) -> Result<(), Failure> {
    let text = text_of(file)?;
    let catalog = parsed(&file.display().to_string(), Catalog::parse(&text))?;
    let data_dir = folder::data_dir(place.data_dir.as_deref())?;
    let admin = open(place)?;
    let imported = admin.prices_import(&catalog, &text, &data_dir).await;
    let imported = imported.map_err(|error| Failure::failed(error.to_string()))?;
    let (current, installed) = (&catalog.current().name, imported.installed.display().to_string());
    let state = |new| if new { "stored" } else { "unchanged" };
    let versions: Vec<Value> = imported
        .versions
        .iter()
        .map(|version| json!({"price_version": version.name, "state": state(version.new)}))
        .collect();
    let value = json!({
        "file": file.display().to_string(), "installed": installed, "current": current,
        "models": catalog.models().len(), "price_versions": versions, "left_out": imported.left_out,
        "restart_needed": true,
    });
    print::answer(json, &value, |style| {
        let versions = imported.versions.iter();
        let versions: Vec<String> =
            versions.map(|version| format!("{} ({})", version.name, state(version.new))).collect();
        let mut rows = vec![
            ("installed", installed.clone()),
            ("current", current.clone()),
            ("models", catalog.models().len().to_string()),
            ("versions", versions.join(", ")),
        ];
        if !imported.left_out.is_empty() {
            rows.push(("left out", imported.left_out.join(", ")));
        }
        page(style, &rows)
    })?;
    if !imported.left_out.is_empty() {
        let names = imported.left_out.join(", ");
        print::hint(json, &format!("versions that are not in the file can't be pinned any more: {names}"));
    }
    print::hint(
        json,
        "next: restart `rynjer serve`, which goes on with the old prices until then; where its settings name \
         catalog.path, that file counts",
    );
    Ok(())
}

fn read(file: &Path) -> Result<Catalog, Failure> {
    parsed(&file.display().to_string(), Catalog::parse(&text_of(file)?))
}

fn text_of(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::failed(format!("can't read {}: {error}", file.display())))
}

fn parsed(name: &str, result: Result<Catalog, CatalogError>) -> Result<Catalog, Failure> {
    result.map_err(|error| {
        let number = count(error.problems.len(), "problem", "problems");
        Failure::failed(format!("{name} has {number}")).suggest("`rynjer admin prices check FILE` names them")
    })
}

fn show(catalog: &Catalog, json: bool) -> Result<(), Failure> {
    let models: Vec<Value> = catalog.models().iter().map(|model| object(catalog, model)).collect();
    let version = &catalog.current().name;
    let value = json!({"currency": "credits", "price_version": version, "models": models});
    print::answer(json, &value, |style| rows(style, catalog))?;
    print::hint(json, &format!("price version {version}; {}", count(models.len(), "model", "models")));
    Ok(())
}

fn object(catalog: &Catalog, model: &Model) -> Value {
    let price = catalog.model_price(&model.name);
    let resolutions = catalog.resolution_prices(model);
    let resolutions: Map<String, Value> =
        resolutions.into_iter().map(|(name, price)| (name.to_owned(), price.0.into())).collect();
    let multipliers = price.map(ModelPrice::multipliers).unwrap_or_default();
    let multipliers: Vec<Value> = multipliers
        .into_iter()
        .map(|(name, ratio)| json!({"applies_to": name, "factor": ratio.to_string()}))
        .collect();
    json!({
        "model": model.name,
        "product": model.product.as_str(),
        "unit": model.unit,
        "credits": price.map(|price| price.credits.0),
        "resolutions": resolutions,
        "multipliers": multipliers,
        "notes": model.notes,
    })
}

fn rows(style: Style, catalog: &Catalog) -> String {
    let cells = catalog.models().iter().map(|model| {
        let price = catalog.model_price(&model.name);
        let by_size = catalog.resolution_prices(model);
        let by_size: Vec<String> = by_size.iter().map(|(name, price)| format!("{name} {price}")).collect();
        let multipliers = price.map(ModelPrice::multipliers).unwrap_or_default();
        let multipliers: Vec<String> = multipliers
            .iter()
            .filter(|(name, _)| model.modes.iter().any(|mode| mode.as_str() == name))
            .map(|(name, ratio)| format!("{name} ×{ratio}"))
            .collect();
        vec![
            model.name.clone(),
            model.product.to_string(),
            price.map_or_else(|| "-".to_owned(), |price| grouped(price.credits.0)),
            model.unit.clone(),
            by_size.join(", "),
            multipliers.join(", "),
        ]
    });
    let headings = ["MODEL", "PRODUCT", ">CREDITS", "PER", "BY SIZE", "TIMES"];
    table(style, &headings, &cells.collect::<Vec<_>>())
}

fn check(file: &Path, json: bool) -> Result<(), Failure> {
    let name = file.display().to_string();
    match Catalog::parse(&text_of(file)?) {
        Ok(catalog) => {
            let versions: Vec<&str> =
                catalog.price_versions().iter().map(|version| version.name.as_str()).collect();
            let (models, cells) = (catalog.models().len(), catalog.every_combination().count());
            let current = &catalog.current().name;
            let value = json!({
                "file": name, "ok": true, "problems": [], "models": models, "combinations": cells,
                "price_versions": versions, "current": current,
            });
            print::answer(json, &value, |style| {
                page(
                    style,
                    &[
                        ("file", name),
                        ("models", models.to_string()),
                        ("priced", format!("{} of model, mode, size and count", grouped_count(cells))),
                        ("versions", versions.join(", ")),
                        ("current", current.clone()),
                    ],
                )
            })
        }
        Err(error) => {
            let problem = |p: &Problem| json!({"place": p.place, "field": p.field, "problem": p.problem});
            let problems: Vec<Value> = error.problems.iter().map(problem).collect();
            let value = json!({"file": name, "ok": false, "problems": problems});
            print::answer(json, &value, |style| {
                let cells = error.problems.iter();
                let cells = cells.map(|p| vec![p.place.clone(), p.field.clone(), p.problem.clone()]);
                table(style, &["WHERE", "FIELD", "PROBLEM"], &cells.collect::<Vec<_>>())
            })?;
            Err(Failure::failed(format!("{name} has {}", count(problems.len(), "problem", "problems"))))
        }
    }
}

fn grouped_count(number: usize) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX)) + " combinations"
}
