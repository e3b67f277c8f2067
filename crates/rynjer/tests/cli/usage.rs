//! `tasks` and `usage` as lists, and receipts of a real gateway.
//!
//! Invariant: with `--json` each entry is one object on one line. Not here: one task (`generate`), receipts
//! that were changed (`receipt`).

use crate::house::House;
use serde_json::Value;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lists_page_through_all_and_totals_are_sums() {
    let house = House::new();
    let out = house.folder.path().to_str().unwrap();
    for number in ["1", "2", "3"] {
        let prompt = if number == "3" { "[[fail]]" } else { "[[instant]] a boat" };
        house.run(&[
            "generate",
            prompt,
            "--model",
            "google/nano-banana",
            "--request-id",
            number,
            "--run-id",
            "r",
            "--wait",
            "--out",
            out,
        ]);
    }
    let ids = |ran: crate::run::Ran| -> Vec<String> {
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        lines(&ran.stdout).iter().map(|task| task["request_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(house.run(&["tasks", "--json"])), ["3", "2", "1"]);
    assert_eq!(ids(house.run(&["tasks", "--json", "--limit", "1"])), ["3"]);
    assert_eq!(ids(house.run(&["tasks", "--json", "--status", "failed", "--run-id", "r"])), ["3"]);
    assert_eq!(ids(house.run(&["usage", "--json", "--all"])), ["3", "2", "1"]);
    let table = house.run(&["tasks", "--limit", "2"]);
    let rows: Vec<&str> = table.stdout.lines().collect();
    assert!(rows.len() == 3 && rows[0].starts_with("REQUEST  STATUS   MODEL"), "{}", table.stdout);
    assert_eq!(table.stderr, "2 tasks; more with --all\n");
    let none = house.run(&["tasks", "--status", "canceled"]);
    assert_eq!((none.code, none.stdout.as_str(), none.stderr.as_str()), (0, "", "0 tasks\n"));
    let mixed = house.run(&["tasks", "--status", "failed", "show", "1"]);
    assert_eq!(mixed.code, 2, "{}", mixed.stderr);

    let usage = house.run(&["usage", "--all"]);
    let total = usage.stdout.lines().last().unwrap();
    assert_eq!(total.split_whitespace().collect::<Vec<_>>(), ["total", "0", "16"], "{}", usage.stdout);
    assert!(house.run(&["usage", "--to", "2020-01-01", "--json"]).stdout.is_empty());
    let csv = house.run(&["usage", "--csv", "--limit", "2"]).stdout;
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.starts_with("usage_event_id,task_id,request_id,status,"), "{csv}");

    let event = lines(&house.run(&["usage", "--json"]).stdout)[2]["usage_event_id"].clone();
    let receipt = house.run(&["usage", "--receipt", event.as_str().unwrap()]);
    let file = house.folder.path().join("receipt.json");
    std::fs::write(&file, &receipt.stdout).unwrap();
    let key = serde_json::from_str::<Value>(&receipt.stdout).unwrap()["public_key"].clone();
    let verify = ["verify", "receipt", file.to_str().unwrap(), "--public-key", key.as_str().unwrap()];
    assert_eq!(house.json(&verify)["net"], 8);
    // Without a key the gateway vouches for it.
    assert_eq!(house.json(&verify[..3])["key_vouched_by"], house.json(&["whoami"])["base_url"]);
}
