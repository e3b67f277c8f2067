//! An installation of an older release, opened by this one.
//!
//! Invariant: the file is one that the older release really made. Not here: the steps (`store`).

use crate::run::{Serving, rynjer};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Made by the release of schema 2: one test account with 1,000 credits.
const OLD: &[u8] = include_bytes!("../files/schema-2.db");
const OLD_KEY: &[u8] = include_bytes!("../files/schema-2.key");

fn old_installation(folder: &Path) -> PathBuf {
    fs::write(folder.join("master.key"), OLD_KEY).unwrap();
    let database = folder.join("rynjer.db");
    fs::write(&database, OLD).unwrap();
    database
}

fn copies(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut copies: Vec<String> = names.filter(|name| name.contains("before-schema")).collect();
    copies.sort();
    copies
}

#[test]
fn a_migration_is_told_then_done_after_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let database = old_installation(folder.path());
    let place = ["--data-dir", folder.path().to_str().unwrap()];
    let told = rynjer(&["--json", "admin", "migrate", "--check", place[0], place[1]]).object();
    let latest = told["latest_version"].as_i64().unwrap();
    let copy = folder.path().join(format!("rynjer.db.before-schema-{latest}"));
    let expected = json!({
        "database": database, "schema_version": 2, "latest_version": latest, "up_to_date": false,
        "copy": copy,
    });
    assert_eq!(told, expected);
    assert_eq!(fs::read(&database).unwrap(), OLD, "looking changes nothing");
    assert!(copies(folder.path()).is_empty());

    // Two from before, of which the older one has to go, and what a start left that was killed.
    for name in ["1", "2", &format!("{latest}.partial")] {
        fs::write(folder.path().join(format!("rynjer.db.before-schema-{name}")), "old").unwrap();
    }
    let done = rynjer(&["--json", "admin", "migrate", place[0], place[1]]).object();
    assert_eq!(done, json!({"database": database, "schema_version": latest, "copy": copy}));
    let kept = ["rynjer.db.before-schema-2".to_owned(), format!("rynjer.db.before-schema-{latest}")];
    assert_eq!(copies(folder.path()), kept);

    let url = format!("sqlite:{}", copy.display());
    let of_copy = rynjer(&["--json", "admin", "migrate", "--check", "--database-url", &url]).object();
    assert_eq!(of_copy["schema_version"], 2, "the copy is the way back");
    let again = rynjer(&["--json", "admin", "migrate", place[0], place[1]]).object();
    assert_eq!(again["copy"], json!(null), "what is up to date is not copied");
    let account =
        rynjer(&["--json", "admin", "account", "show", "old@b.example", place[0], place[1]]).object();
    assert_eq!(account["available"], 1000);
}

#[cfg(unix)]
#[test]
fn serving_an_older_database_copies_it_first() {
    let folder = tempfile::tempdir().unwrap();
    old_installation(folder.path());
    let serving = Serving::start(&["--data-dir", folder.path().to_str().unwrap()]);
    assert_eq!(copies(folder.path()).len(), 1);
    use std::os::unix::fs::PermissionsExt;
    let copy = folder.path().join(&copies(folder.path())[0]);
    assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(serving.terminate(), Some(0));
}

#[cfg(unix)]
#[test]
fn without_a_copy_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let database = old_installation(folder.path());
    let place = ["--data-dir", folder.path().to_str().unwrap()];
    let told = rynjer(&["--json", "admin", "migrate", "--check", place[0], place[1]]).object();
    // A folder in the copy's place can't be replaced by a file.
    fs::create_dir_all(format!("{}.partial/x", told["copy"].as_str().unwrap())).unwrap();
    let refused = rynjer(&["admin", "migrate", place[0], place[1]]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("Nothing was changed"), "{}", refused.stderr);
    assert_eq!(fs::read(&database).unwrap(), OLD);
}
