//! `rynjer admin policy`, `pause` and `resume`, `account export` and `close`.
//!
//! Invariant: what the commands set is what they list, in a database that a gateway serves. Not here: what
//! the gateway makes of it (the server's tests).

use crate::run::{Ran, Serving, command, finish};
use serde_json::{Value, json};
use tempfile::TempDir;

struct House {
    folder: TempDir,
    _serving: Serving,
    account: String,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let serving = Serving::start(&["--data-dir", folder.path().to_str().unwrap()]);
        let mut house = Self { folder, _serving: serving, account: String::new() };
        let made = house.json(&["account", "create", "--email", "me@b.example"]);
        house.account = made["account_id"].as_str().unwrap().to_owned();
        house
    }

    fn admin(&self, arguments: &[&str]) -> Ran {
        finish(command().arg("admin").args(arguments).arg("--data-dir").arg(self.folder.path()))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let ran = self.admin(&arguments);
        assert_eq!(ran.code, 0, "{arguments:?}\n{}", ran.stderr);
        ran.object()
    }
}

#[test]
fn policies() {
    let house = House::new();
    let set = |more: &[&str]| {
        let front = ["policy", "set", "--account", "me@b.example"];
        house.json(&front.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let one = |answer: &Value| {
        let policy = &answer["policies"][0];
        (policy["models"].clone(), policy["max_price"].clone())
    };
    assert_eq!(one(&set(&["--models", "z-image,V4"])), (json!(["z-image", "V4"]), Value::Null));
    // What is not named stays.
    assert_eq!(one(&set(&["--max-price", "50"])), (json!(["z-image", "V4"]), json!(50)));
    assert_eq!(one(&set(&["--models", "all"])), (Value::Null, json!(50)));
    let listed = house.json(&["policy", "list", "--account", &house.account]);
    assert_eq!(listed["policies"][0]["subject_id"], house.account);
    assert_eq!(set(&["--max-price", "none"])["policies"], json!([]));
    let nothing = house.admin(&["policy", "set", "--account", &house.account]);
    assert_eq!(nothing.code, 2, "{}", nothing.stderr);
    let misspelt = house.admin(&["policy", "set", "--account", &house.account, "--models", "z-imag"]);
    assert_eq!(misspelt.code, 1);
    assert!(misspelt.stderr.contains("nearest: z-image"), "{}", misspelt.stderr);
}

#[test]
fn pauses() {
    let house = House::new();
    assert_eq!(house.json(&["pause", "list"])["paused"], json!([]));
    house.json(&["pause", "account", "me@b.example"]);
    let model = house.json(&["pause", "model", "z-image", "--reason", "six fingers"]);
    assert_eq!(model, json!({"kind": "model", "name": "z-image", "paused": true}));
    house.json(&["pause", "provider", "openai"]);
    let listed = house.json(&["pause", "list"]);
    let told: Vec<_> = listed["paused"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(told, [json!(house.account), json!("z-image"), json!("openai")]);
    assert_eq!(listed["paused"][1]["reason"], "six fingers");
    assert_eq!(house.json(&["account", "show", &house.account])["paused"], true);
    let wrong = house.admin(&["pause", "provider", "opnai"]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.stderr.contains("openai"), "{}", wrong.stderr);
    house.json(&["resume", "account", "me@b.example"]);
    house.json(&["resume", "model", "z-image"]);
    house.json(&["resume", "provider", "openai"]);
    assert_eq!(house.json(&["pause", "list"])["paused"], json!([]));
    let again = house.admin(&["resume", "model", "z-image"]);
    assert_eq!((again.code, again.stdout.as_str()), (1, ""));
    assert!(again.stderr.contains("is not paused"), "{}", again.stderr);
}

#[test]
fn an_account_leaves() {
    let house = House::new();
    let archive = house.folder.path().join("account.tar");
    let out = archive.to_str().unwrap();
    let told = house.json(&["account", "export", "me@b.example", "--out", out]);
    assert_eq!((&told["tasks"], &told["entries"], &told["missing"]), (&json!(0), &json!(1), &json!([])));
    let listed = std::process::Command::new("tar").args(["-tf", out]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let expected = "account.json agents.json keys.json budgets.json policies.json tasks.jsonl ledger.jsonl \
                    usage.csv audit.jsonl \
                    purchases.jsonl notices.jsonl uploads.jsonl";
    assert_eq!(listed.split_whitespace().collect::<Vec<_>>().join(" "), expected);
    let again = house.admin(&["account", "export", "me@b.example", "--out", out]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("exists"), "{}", again.stderr);
    assert_eq!(house.admin(&["account", "close", &house.account]).code, 2);
    let closed = house.json(&["account", "close", &house.account, "--yes"]);
    assert_eq!((&closed["closed"], &closed["frozen_reason"]), (&json!(true), &json!("closed")));
    let grant = house.admin(&["account", "grant", &house.account, "5"]);
    assert_eq!(grant.code, 1);
    assert!(grant.stderr.contains("the account is closed"), "{}", grant.stderr);
    assert_eq!(house.admin(&["account", "freeze", &house.account, "--thaw"]).code, 1);
    assert_eq!(house.json(&["audit"])["ok"], true);
}
