//! `admin migrate`: bring the schema up to date, or tell what that would do.
//!
//! Invariant: steps only go forward; `--check` changes nothing. Not here: the steps (`store::migrate`), the
//! copy before them (`server::migration`).

use super::open;
use crate::{cli::Place, failure::Failure, folder, print, table::page};
use rynjer_server::migration::{self, Plan};
use serde_json::json;
use std::path::Path;

fn name_of(file: Option<&Path>) -> String {
    file.map_or_else(|| "on PostgreSQL".to_owned(), |path| path.display().to_string())
}

/// Runs `rynjer admin migrate`: opening the database applies what is missing.
pub(super) async fn run(place: Place, check: bool, json: bool) -> Result<(), Failure> {
    let data_dir = folder::data_dir(place.data_dir.as_deref()).unwrap_or_default();
    let plan = migration::plan(&data_dir, place.database())?;
    if check {
        return told(&plan, json);
    }
    open(&place)?;
    let (version, path) = (plan.latest, name_of(plan.database.as_deref()));
    let copy = plan.copy.map(|copy| copy.display().to_string());
    let value = json!({"schema_version": version, "database": path, "copy": copy});
    print::answer(json, &value, |style| {
        let mut rows = vec![("database", path.clone()), ("schema", format!("{version}, up to date"))];
        rows.extend(copy.clone().map(|copy| ("copy from before", copy)));
        page(style, &rows)
    })
}

fn told(plan: &Plan, json: bool) -> Result<(), Failure> {
    let copy = plan.copy.as_ref().map(|copy| copy.display().to_string());
    let path = name_of(plan.database.as_deref());
    let value = json!({
        "database": path,
        "schema_version": plan.found,
        "latest_version": plan.latest,
        "up_to_date": plan.found == Some(plan.latest),
        "copy": copy,
    });
    print::answer(json, &value, |style| {
        let found = plan.found.map_or_else(|| "none yet".to_owned(), |found| found.to_string());
        let mut rows = vec![
            ("database", path.clone()),
            ("schema", found),
            ("this program's schema", plan.latest.to_string()),
        ];
        rows.extend(copy.clone().map(|copy| ("would be copied to", copy)));
        page(style, &rows)
    })
}
