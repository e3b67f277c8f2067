//! `rynjer admin user`.
//!
//! Invariant: a link is printed once and works in a browser. Not here: the pages (`server/tests/it`).

use crate::{
    run::{Ran, Serving, command, finish},
    web::send,
};
use serde_json::Value;
use std::path::Path;

fn user(folder: &Path, arguments: &[&str]) -> Ran {
    finish(command().args(["admin", "user"]).args(arguments).arg("--data-dir").arg(folder))
}

pub(crate) fn json(folder: &Path, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let ran = user(folder, &arguments);
    assert_eq!(ran.code, 0, "{arguments:?}\n{}", ran.stderr);
    ran.object()
}

/// Sends a form to a page of the gateway without a browser; the status.
fn post(serving: &Serving, path: &str, fields: &[(&str, &str)]) -> u16 {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+")));
    let body = pairs.collect::<Vec<_>>().join("&");
    let head = format!("POST {path} HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded");
    let (answer, _) = send(serving.ready["base_url"].as_str().unwrap(), &head, &body);
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn people_are_invited_stopped_and_get_new_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let serving = Serving::start(&["--data-dir", folder.to_str().unwrap()]);
    let invited = json(folder, &["invite", "Me@B.example", "--operator", "--base-url", "https://g.example/"]);
    assert_eq!(invited["role"], "operator");
    let (page, ticket) = invited["url"].as_str().unwrap().split_once("?ticket=").unwrap();
    assert_eq!(page, "https://g.example/invitation");
    let listed = json(folder, &["list"]);
    assert_eq!(
        (&listed["invitations"][0]["email"], &listed["users"]),
        (&"me@b.example".into(), &Value::from(Vec::<Value>::new()))
    );
    let first = "correct horse battery";
    assert_eq!(post(&serving, "/invitation", &[("ticket", ticket), ("password", first)]), 303);

    let reset = json(folder, &["reset-password", "me@b.example"]);
    let (page, ticket) = reset["url"].as_str().unwrap().split_once("?ticket=").unwrap();
    assert_eq!((page, &reset["expires_in_seconds"]), ("http://127.0.0.1:8787/reset", &3600.into()));
    let second = "a new and longer one";
    assert_eq!(post(&serving, "/reset", &[("ticket", ticket), ("password", second)]), 303);
    assert_eq!(post(&serving, "/reset", &[("ticket", ticket), ("password", first)]), 404);
    let login = |password| post(&serving, "/login", &[("email", "me@b.example"), ("password", password)]);
    assert_eq!((login(first), login(second)), (401, 303));

    let last = user(folder, &["disable", "me@b.example"]);
    assert_eq!(last.code, 1);
    assert!(last.stderr.contains("is the last operator; make another one first"), "{}", last.stderr);
    let other = json(folder, &["invite", "you@b.example"]);
    let (_, ticket) = other["url"].as_str().unwrap().split_once("?ticket=").unwrap();
    assert_eq!(post(&serving, "/invitation", &[("ticket", ticket), ("password", first)]), 303);
    assert_eq!(json(folder, &["promote", "you@b.example"])["role"], "operator");
    assert_eq!(json(folder, &["disable", "me@b.example"])["status"], "disabled");
    assert_eq!(login(second), 401);
    assert_eq!(json(folder, &["enable", "me@b.example"])["status"], "active");
    assert_eq!(login(second), 303);
    assert_eq!(json(folder, &["demote", "me@b.example"])["role"], "owner");
    assert_eq!(user(folder, &["demote", "nobody@b.example"]).code, 1);
}
