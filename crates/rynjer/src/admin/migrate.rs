//! `admin migrate`: bring the schema up to date.
//!
//! Invariant: steps only go forward. Not here: the steps (`store::migrate`).

use super::open;
use crate::{cli::Place, failure::Failure, print, table::page};
use rynjer_store::latest_schema;
use serde_json::json;
use std::path::Path;

fn name_of(file: Option<&Path>) -> String {
    file.map_or_else(|| "on PostgreSQL".to_owned(), |path| path.display().to_string())
}

/// Runs `rynjer admin migrate`: opening the database applies what is missing.
pub(super) async fn run(place: Place, json: bool) -> Result<(), Failure> {
    let admin = open(&place)?;
    let (version, path) = (latest_schema(), name_of(admin.store.file()));
    let value = json!({"schema_version": version, "database": path});
    print::answer(json, &value, |style| {
        page(style, &[("database", path.clone()), ("schema", format!("{version}, up to date"))])
    })
}
