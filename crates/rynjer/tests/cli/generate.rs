//! `generate` and `tasks` of one task: sent once whatever happens in between, waited for, downloaded.
//!
//! Invariant: however often a command runs under one request id, it is charged once. Not here: lists.

use crate::{
    house::House,
    run::{Serving, finish},
};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};

const MODEL: [&str; 2] = ["--model", "google/nano-banana"];

/// The lines of stderr until one contains a text.
fn read_until(child: &mut Child, text: &str) -> String {
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap());
    let mut seen = String::new();
    while !seen.contains(text) {
        assert_ne!(lines.read_line(&mut seen).unwrap(), 0, "{seen}");
    }
    seen
}

fn kill(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn what_was_made_is_downloaded_checked_and_never_overwrites() {
    let house = House::new();
    let out = house.folder.path().join("out");
    let out = out.to_str().unwrap();
    std::fs::create_dir(out).unwrap();
    std::fs::write(format!("{out}/boat-1-0.png"), "mine").unwrap();
    let line = [
        "generate",
        "[[instant]] a paper boat",
        MODEL[0],
        MODEL[1],
        "--request-id",
        "boat-1",
        "--wait",
        "--out",
        out,
        "--max-credits",
        "8",
        "--run-id",
        "r1",
        "--metadata",
        "a=b",
        "--json",
    ];
    let ran = house.run(&line);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("request_id boat-1\n"), "{}", ran.stderr);
    let task = ran.object();
    assert_eq!((&task["status"], &task["credits"]["charged"]), (&"success".into(), &8.into()));
    assert_eq!((&task["run_id"], &task["metadata"]["a"]), (&"r1".into(), &"b".into()));
    let path = format!("{out}/boat-1-0-2.png");
    assert_eq!(task["files"], serde_json::json!([{"index": 0, "path": path}]));
    assert_eq!(std::fs::read_to_string(format!("{out}/boat-1-0.png")).unwrap(), "mine");
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(task["outputs"][0]["bytes"], bytes.len());
    // The same again: the same task, the same file, no second charge.
    assert_eq!(house.run(&line).object()["files"], task["files"]);
    assert_eq!(house.json(&["balance"])["available"], 992);
    let text = house.run(&["tasks", "show", "boat-1"]).stdout;
    assert!(text.contains("credits    8 charged\n") && text.contains("image/png, 1024 × 1024"), "{text}");
    // Another request under the same id is refused, and says what differs.
    let other = house.run(&["generate", "a city", MODEL[0], MODEL[1], "--request-id", "boat-1"]);
    assert_eq!(other.code, 1);
    assert!(other.stderr.contains("prompt"), "{}", other.stderr);
}

#[test]
fn failures_have_their_words_and_exit_codes() {
    let house = House::with_credits(10);
    let failed = house.run(&["generate", "[[reject]]", MODEL[0], MODEL[1], "--wait", "--json"]);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert_eq!(failed.object()["error"]["error"], "content_rejected");
    assert!(failed.stderr.contains("content_rejected") && failed.stderr.contains("new `request_id`"));
    let poor = house.run(&["generate", "a", "--model", "veo3"]);
    assert_eq!((poor.code, poor.stdout.as_str()), (5, ""), "{}", poor.stderr);
    let dear = house.run(&["generate", "a", MODEL[0], MODEL[1], "--max-credits", "7"]);
    assert_eq!(dear.code, 1, "{}", dear.stderr);
    let near = house.run(&["generate", "a", "--model", "nano-bananna"]);
    assert!(near.stderr.contains("hint: did you mean "), "{}", near.stderr);
    let stranger = finish(&mut house.stranger(&["generate", "a", MODEL[0], MODEL[1]]));
    assert_eq!((stranger.code, stranger.stdout.as_str()), (4, ""), "{}", stranger.stderr);
    assert!(!stranger.stderr.contains("request_id"), "{}", stranger.stderr);
    let missing = house.run(&["tasks", "show", "no-such-task"]);
    assert_eq!(missing.stderr.lines().next(), Some("error: there is no task no-such-task of yours"));
    let file = house.run(&["generate", "a", "--model", "qwen/image-to-image", "--input", "no-such.png"]);
    assert_eq!(file.code, 2, "{}", file.stderr);
    assert_eq!(house.json(&["balance"])["available"], 10);
}

#[test]
fn a_picture_of_this_machine_is_sent_along() {
    let house = House::new();
    let out = house.folder.path().to_str().unwrap();
    let first = house.json(&[
        "generate",
        "[[instant]] a boat",
        MODEL[0],
        MODEL[1],
        "--request-id",
        "first",
        "--wait",
        "--out",
        out,
    ]);
    let picture = first["files"][0]["path"].as_str().unwrap();
    let line =
        ["generate", "a", "--model", "qwen/image-to-image", "--input", picture, "--request-id", "second"];
    let second = house.json(&line);
    assert_eq!(second["credits"]["held"], 15);
    assert_eq!(house.json(&line)["task_id"], second["task_id"], "a file is the same text each time");
}

#[cfg(unix)]
#[test]
fn a_gateway_that_dies_is_waited_for_under_the_same_request_id() {
    let mut house = House::new();
    let address = house.address().to_owned();
    house.serving.take().unwrap().kill();
    let out = house.folder.path().to_str().unwrap().to_owned();
    let line = ["generate", "[[slow=1]] a boat", MODEL[0], MODEL[1], "--wait", "--out", &out, "--json"];
    let mut child = house.client(&line).spawn().unwrap();
    let seen = read_until(&mut child, "trying again with the same request_id");
    let id = seen.lines().next().unwrap().strip_prefix("request_id ").unwrap().to_owned();
    let start = || Serving::start_on(&address, &["--data-dir", &out, "--rate-limits", "off"]);
    let first = start();
    // It dies again with the task in its hands, and the client waits on.
    let client = || house.run(&["tasks", "show", &id, "--json"]);
    while client().code != 0 {
        std::thread::yield_now();
    }
    first.kill();
    let second = start();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let task: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&task["request_id"], &task["status"]), (&id.as_str().into(), &"success".into()));
    assert_eq!(house.json(&["balance"])["available"], 992);
    assert_eq!(house.admin(&["audit"])["ok"], true);
    drop(second);
}

#[cfg(unix)]
#[test]
fn an_interrupted_wait_leaves_the_id_to_go_on_with() {
    let house = House::new();
    let line = ["generate", "[[slow=5]] a boat", MODEL[0], MODEL[1], "--request-id", "b", "--wait"];
    let mut child = house.client(&line).spawn().unwrap();
    read_until(&mut child, "request_id b\n");
    while house.run(&["tasks", "show", "b"]).code != 0 {
        std::thread::yield_now();
    }
    kill("-INT", &child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), [].as_slice()), "{said}");
    assert!(said.contains("`rynjer tasks wait b` goes on") || said.contains("--request-id b"), "{said}");
    let out = house.folder.path().to_str().unwrap();
    let late = house.run(&["tasks", "wait", "b", "--timeout-seconds", "0", "--out", out]);
    assert_eq!(late.code, 1);
    assert!(late.stderr.contains("it goes on"), "{}", late.stderr);
    let task = house.json(&["tasks", "wait", "b", "--out", out]);
    assert_eq!((&task["status"], &task["credits"]["charged"]), (&"success".into(), &8.into()));
}
