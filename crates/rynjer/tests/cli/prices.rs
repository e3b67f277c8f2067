//! `rynjer admin prices import` and what `serve` makes of it.
//!
//! Invariant: a catalog is installed whole or not at all, and a running gateway keeps its own. Not here: what
//! prices do to requests (the server's tests).

use crate::run::{Serving, rynjer};
use serde_json::json;

const BUILTIN: &str = include_str!("../../../core/src/catalog.toml");

/// The built-in catalog with one more version, made current, in which V4 costs 21.
fn newer() -> String {
    let start = BUILTIN.find("\n[[price_version]]").unwrap();
    let (models, prices) = BUILTIN.split_at(start);
    let (old, later) = prices.split_at(prices.find("\n# Models that came later.").unwrap());
    let new = old.replace("2026-02-02-v1", "2026-05-01-v2");
    let price = "[price_version.prices.\"V4\"]\ncredits = ";
    let new = new.replacen(&format!("{price}20"), &format!("{price}21"), 1);
    format!("{}{old}{later}\n{new}", models.replacen("2026-02-02-v1", "2026-05-01-v2", 1))
}

#[test]
fn an_imported_catalog_counts_from_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let place = ["--data-dir", folder.path().to_str().unwrap()];
    let file = folder.path().join("newer.toml");
    std::fs::write(&file, newer()).unwrap();
    let import = ["admin", "prices", "import", file.to_str().unwrap(), place[0], place[1]];
    let early = rynjer(&import);
    assert_eq!(early.code, 1);
    assert!(early.stderr.contains("no database"), "{}", early.stderr);

    let serving = Serving::start(&place);
    let imported = rynjer(&[&import[..], &["--json"]].concat()).object();
    let installed = folder.path().join("catalog.toml");
    assert_eq!(
        imported,
        json!({
            "file": file, "installed": installed, "current": "2026-05-01-v2", "models": 21,
            "price_versions": [
                {"price_version": "2026-02-02-v1", "state": "unchanged"},
                {"price_version": "2026-11-23-v1", "state": "unchanged"},
                {"price_version": "2026-05-01-v2", "state": "stored"},
            ],
            "left_out": [], "restart_needed": true,
        })
    );
    let again = rynjer(&import);
    assert!(again.stderr.starts_with("next: restart `rynjer serve`"), "{}", again.stderr);
    assert!(
        again
            .stdout
            .contains("2026-02-02-v1 (unchanged), 2026-11-23-v1 (unchanged), 2026-05-01-v2 (unchanged)"),
        "{}",
        again.stdout
    );
    let shown = rynjer(&["admin", "prices", "show", "--json", place[0], place[1]]).object();
    let v4 = shown["models"].as_array().unwrap().iter().find(|model| model["model"] == "V4").unwrap();
    assert_eq!((&shown["price_version"], &v4["credits"]), (&json!("2026-05-01-v2"), &json!(21)));
    drop(serving);
    // The installed file and the database agree, so it starts.
    drop(Serving::start(&place));
}

#[test]
fn other_prices_under_a_stored_name_are_named_and_not_installed() {
    let folder = tempfile::tempdir().unwrap();
    let place = ["--data-dir", folder.path().to_str().unwrap()];
    drop(Serving::start(&place));
    let file = folder.path().join("wrong.toml");
    let price = "[price_version.prices.\"V4\"]\ncredits = ";
    std::fs::write(&file, BUILTIN.replacen(&format!("{price}20"), &format!("{price}19"), 1)).unwrap();
    let ran = rynjer(&["admin", "prices", "import", file.to_str().unwrap(), place[0], place[1]]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("stored but not in the file: V4 - text-to-music 20"), "{}", ran.stderr);
    assert!(!folder.path().join("catalog.toml").exists());
    std::fs::write(&file, "current = 1").unwrap();
    let ran = rynjer(&["admin", "prices", "import", file.to_str().unwrap(), place[0], place[1]]);
    assert!(ran.stderr.contains("`rynjer admin prices check FILE` names them"), "{}", ran.stderr);
}
