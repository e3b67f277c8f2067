//! `whoami`, `models`, `estimate`, `balance`: what a client may ask for free.
//!
//! Invariant: text for people and objects for programs say the same. Not here: generating.

use crate::{house::House, run::finish};
use serde_json::{Value, json};

#[test]
fn free_questions_are_answered_in_both_forms() {
    let house = House::new();
    let me = house.json(&["whoami"]);
    assert_eq!(me["account"], json!({"account_id": house.account, "frozen": false}));
    assert_eq!((&me["mode"], &me["base_url"]), (&"test".into(), &house.base_url.as_str().into()));
    let text = house.run(&["whoami"]).stdout;
    assert!(text.contains(&format!("account  {}\n", house.account)), "{text}");
    assert!(text.contains("may use  image, video, music, credits:read"), "{text}");

    let balance = house.json(&["balance"]);
    assert_eq!((&balance["available"], &balance["held"]), (&1000.into(), &0.into()));
    assert!(house.run(&["balance"]).stdout.starts_with("available  1,000 credits\nheld       0 credits\n"));

    let listed = house.run(&["models", "--product", "music", "--json"]);
    let models: Vec<Value> = listed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let prices: Vec<(&str, i64)> =
        models.iter().map(|m| (m["model"].as_str().unwrap(), m["credits"].as_i64().unwrap())).collect();
    assert_eq!(prices, [("V5", 35), ("V4_5PLUS", 30), ("V4_5", 25), ("V4", 20)]);
    let table = house.run(&["models"]);
    assert!(table.stdout.starts_with("MODEL "), "{}", table.stdout);
    let widest = table.stdout.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{}", table.stdout);
    assert!(table.stderr.contains("price version 2026-02-02-v1"), "{}", table.stderr);
    let one = house.run(&["models", "nano-banana-pro"]).stdout;
    assert!(one.contains("1K 20, 2K 20, 4K 40"), "{one}");
    let near = house.run(&["models", "nano-bananna-pro"]);
    assert_eq!(near.code, 1);
    assert!(near.stderr.contains("did you mean nano-banana-pro or "), "{}", near.stderr);

    let estimate = house.json(&["estimate", "nano-banana-pro", "--resolution", "4K", "--count", "2"]);
    assert_eq!((&estimate["estimated_credits"], &estimate["affordable"]), (&80.into(), &true.into()));
    let text = house.run(&["estimate", "nano-banana-pro", "--resolution", "4K", "--count", "2"]).stdout;
    assert!(text.contains("80 credits\n"), "{text}");
    let refused = house.run(&["estimate", "nano-banana-pro", "--count", "3"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(refused.stderr.contains("count"), "{}", refused.stderr);
}

#[test]
fn the_environment_wins_over_the_profile_and_flags_over_both() {
    let house = House::new();
    assert_eq!(house.log_in().code, 0);
    let whoami = |command: &mut std::process::Command| finish(command.args(["whoami", "--json"]));
    assert_eq!(whoami(&mut house.saved(&[])).object()["base_url"], house.base_url.as_str());
    // An address of the environment is not the profile's, so the profile's key stays at home.
    let ran = whoami(house.saved(&[]).env("RYNJER_BASE_URL", "http://127.0.0.1:9"));
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""));
    assert!(ran.stderr.contains(&format!("the profile default is for {}", house.base_url)), "{}", ran.stderr);
    let mut flagged = house.saved(&["--base-url", &house.base_url]);
    assert_eq!(finish(&mut flagged).code, 2, "a flag of a command stands behind it");
    let mut command = house.saved(&[]);
    let ran = finish(command.env("RYNJER_BASE_URL", "http://127.0.0.1:9").args([
        "whoami",
        "--base-url",
        &house.base_url,
    ]));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // A flag that names the profile also wins over a credential of the environment.
    let mut command = house.stranger(&[]);
    command.env("RYNJER_AGENT_API_KEY", "$KEY");
    assert_eq!(whoami(&mut command).code, 4);
    assert_eq!(finish(command.args(["--profile", "default"])).code, 0);
    let mut command = house.stranger(&[]);
    command.env("RYNJER_AGENT_API_KEY", &house.key).env("RYNJER_ACCESS_TOKEN", "$TOKEN");
    let ran = whoami(&mut command);
    assert!(ran.stderr.contains("RYNJER_ACCESS_TOKEN holds the text"), "{}", ran.stderr);
}
