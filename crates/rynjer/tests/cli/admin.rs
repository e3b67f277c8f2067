//! `rynjer admin`.
//!
//! Invariant: the commands work while a gateway serves the same database. Not here: agents, which `demo`
//! walks.

use crate::run::{Ran, Serving, command, finish, rynjer};
use std::path::Path;
use tempfile::TempDir;

struct House {
    folder: TempDir,
    _serving: Serving,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let serving = Serving::start(&["--data-dir", folder.path().to_str().unwrap()]);
        Self { folder, _serving: serving }
    }

    fn admin(&self, arguments: &[&str]) -> Ran {
        finish(command().arg("admin").args(arguments).arg("--data-dir").arg(self.folder.path()))
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let ran = self.admin(&arguments);
        assert_eq!(ran.code, 0, "{arguments:?}\n{}", ran.stderr);
        ran.object()
    }
}

#[test]
fn accounts_keys_and_budgets() {
    let house = House::new();
    let account = house.json(&["account", "create", "--email", "me@b.example", "--credits", "500"]);
    let id = account["account_id"].as_str().unwrap();
    assert_eq!((&account["mode"], &account["available"]), (&"test".into(), &500.into()));

    let granted = house.json(&["account", "grant", "me@b.example", "70", "--reference", "r1"]);
    assert_eq!((&granted["available"], &granted["replayed"]), (&570.into(), &false.into()));
    let again = house.json(&["account", "grant", id, "70", "--reference", "r1"]);
    assert_eq!((&again["available"], &again["granted"]), (&570.into(), &0.into()));

    let taken = house.json(&["account", "clawback", "me@b.example", "70", "--reference", "c1"]);
    assert_eq!((&taken["available"], &taken["taken_back"]), (&500.into(), &70.into()));
    let again = house.json(&["account", "clawback", id, "70", "--reference", "c1"]);
    assert_eq!(
        (&again["available"], &again["taken_back"], &again["replayed"]),
        (&500.into(), &0.into(), &true.into())
    );
    let other = house.admin(&["account", "clawback", id, "71", "--reference", "c1"]);
    assert_eq!(other.code, 1, "{}", other.stderr);

    let key = house.json(&["key", "create", "--account", "me@b.example", "--scopes", "image,credits:read"]);
    assert!(key["api_key"].as_str().unwrap().starts_with("ryn_test_"));
    assert_eq!(key["scopes"], serde_json::json!(["image", "credits:read"]));
    let key_id = key["key_id"].as_str().unwrap();
    let keys = house.json(&["key", "list", "--account", id]);
    assert_eq!((&keys["keys"][0]["key_id"], &keys["keys"][0]["status"]), (&key["key_id"], &"active".into()));
    assert!(keys["keys"][0].get("api_key").is_none());

    let budgets = house.json(&["budget", "set", "50/day", "--account", id, "--key", key_id]);
    assert_eq!(
        (&budgets["budgets"][0]["kind"], &budgets["budgets"][0]["limit"]),
        (&"key".into(), &50.into())
    );
    assert_eq!(house.json(&["account", "show", id])["budgets"], budgets["budgets"]);
    assert_eq!(house.json(&["key", "revoke", key_id])["revoked"], true);

    let frozen = house.json(&["account", "freeze", id, "--reason", "a look"]);
    assert_eq!((&frozen["frozen"], &frozen["frozen_reason"]), (&true.into(), &"a look".into()));
    assert_eq!(house.json(&["account", "freeze", id, "--thaw"])["frozen"], false);
    assert_eq!(house.json(&["account", "list"])["accounts"].as_array().unwrap().len(), 1);
    assert_eq!(house.json(&["audit"])["ok"], true);
}

#[test]
fn tables_go_to_stdout_and_hints_to_stderr() {
    let house = House::new();
    let created = house.admin(&["account", "create", "--email", "me@b.example"]);
    assert!(created.stdout.contains("available   1,000 credits\n"), "{}", created.stdout);
    assert!(
        created.stderr.starts_with("next: rynjer admin key create --account acct_"),
        "{}",
        created.stderr
    );
    let listed = house.admin(&["account", "list"]);
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("ACCOUNT") && lines[1].starts_with("acct_"));
    assert_eq!(listed.stderr, "1 account\n");
}

#[test]
fn refusals_say_what_to_do() {
    let house = House::new();
    let ran = house.admin(&["account", "show", "nobody@b.example"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    let expected = "error: there is no account of nobody@b.example\n\
                    hint: make one with `rynjer admin account create --email nobody@b.example`\n";
    assert_eq!(ran.stderr, expected);
    for live in [&[][..], &["--live"]] {
        let create: Vec<&str> = ["account", "create", "--email", "me@b.example"]
            .into_iter()
            .chain(live.iter().copied())
            .collect();
        assert_eq!(house.admin(&create).code, 0);
    }
    let ran = house.admin(&["account", "show", "me@b.example"]);
    assert!(ran.stderr.contains("has 2 accounts") && ran.stderr.contains("by its id"), "{}", ran.stderr);
    let ran = house.admin(&["account", "create", "--email", "me@b.example"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("email has a test account already"), "{}", ran.stderr);
}

#[test]
fn a_database_is_never_made_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let ran = finish(command().args(["admin", "account", "list", "--data-dir"]).arg(folder.path()));
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_backup_restores_once() {
    let house = House::new();
    house.json(&["account", "create", "--email", "me@b.example"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let backup = elsewhere.path().join("copy.db");
    let target = backup.to_str().unwrap();
    assert_eq!(house.json(&["backup", target])["accounts"], 1);
    let again = house.admin(&["backup", target]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);

    let data_dir = elsewhere.path().join("restored");
    let restore = |from: &Path| {
        let from = from.to_str().unwrap();
        rynjer(&["admin", "restore", from, "--data-dir", data_dir.to_str().unwrap(), "--json"])
    };
    let garbage = elsewhere.path().join("garbage");
    std::fs::write(&garbage, [7; 5000]).unwrap();
    assert_eq!(restore(&garbage).code, 1);
    assert_eq!(std::fs::read_dir(&data_dir).unwrap().count(), 0);
    assert_eq!(restore(&backup).object()["accounts"], 1);
    assert_eq!(restore(&backup).code, 1);
    let listed = rynjer(&["admin", "account", "list", "--json", "--data-dir", data_dir.to_str().unwrap()]);
    assert_eq!(listed.object()["accounts"][0]["email"], "me@b.example");
}

#[test]
fn prices_are_the_published_ones() {
    let prices = rynjer(&["admin", "prices", "show", "--json"]).object();
    let models = prices["models"].as_array().unwrap();
    let of = |name: &str| models.iter().find(|model| model["model"] == name).unwrap();
    assert_eq!(of("nano-banana-pro")["resolutions"], serde_json::json!({"1K": 20, "2K": 20, "4K": 40}));
    assert_eq!(of("V5")["credits"], 35);
}

#[test]
fn a_catalog_with_problems_is_refused_with_each_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalog.toml");
    std::fs::write(&file, "current = \"x\"\ncolour = 1\n").unwrap();
    let ran = rynjer(&["admin", "prices", "check", file.to_str().unwrap(), "--json"]);
    assert_eq!(ran.code, 1);
    let object = ran.object();
    assert_eq!(object["ok"], false);
    assert!(object["problems"].as_array().unwrap().iter().any(|problem| problem["field"] == "colour"));
}
