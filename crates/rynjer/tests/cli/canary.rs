//! Secrets of the environment, and everywhere that they must not turn up: the log at trace, metrics, printed
//! settings, bodies of errors, files of the data folder.
//!
//! Invariant: each secret that the program takes from its environment is planted here. Not here: secrets that
//! the gateway gives away, which the server's tests watch.

use crate::{
    run::{command, finish},
    web::send,
};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::Child,
    thread::JoinHandle,
};

/// Variables with secrets, and what each is given. The master key has a form of its own.
fn planted() -> BTreeMap<String, String> {
    let vendors = ["OPENAI", "GOOGLE", "XAI", "DASHSCOPE", "ARK", "FAL", "KIE", "REPLICATE"];
    let mut secrets: BTreeMap<String, String> = vendors
        .iter()
        .map(|vendor| {
            (format!("RYNJER_{vendor}_API_KEY"), format!("canary-of-{}-4f1c9a", vendor.to_lowercase()))
        })
        .collect();
    for name in OTHERS {
        secrets.insert((*name).to_owned(), format!("canary-of-{}", name.to_lowercase()));
    }
    // These are told from others by how they begin.
    secrets.insert("RYNJER_STRIPE_SECRET_KEY".to_owned(), "sk_test_canary4f1c9a".to_owned());
    secrets.insert("RYNJER_STRIPE_WEBHOOK_SECRET".to_owned(), "whsec_canary4f1c9a".to_owned());
    secrets.insert("RYNJER_MASTER_KEY".to_owned(), "c0ffee".repeat(10) + "beef");
    secrets
}

/// Secrets that are no vendor's.
const OTHERS: &[&str] = &[
    "RYNJER_KIE__WEBHOOK_KEY",
    "RYNJER_MOLTBOOK_APP_KEY",
    "RYNJER_OIDC_CLIENT_SECRET",
    "RYNJER_REPLICATE__WEBHOOK_SECRET",
    "RYNJER_SMTP_PASSWORD",
    "RYNJER_STRIPE_SECRET_KEY",
    "RYNJER_STRIPE_WEBHOOK_SECRET",
];

/// Names of settings that hold a secret, as the documented defaults have them: none is forgotten above.
#[test]
fn every_setting_with_a_secret_is_planted() {
    let text = include_str!("../../../server/config.default.toml");
    let defaults: toml::Table = text.parse().unwrap();
    let secret = |key: &str| {
        let ends =
            ["api_key", "secret", "password", "secret_access_key", "secret_key", "webhook_key", "app_key"];
        ends.iter().any(|end| key.ends_with(end))
    };
    // A bucket's secret needs a bucket: it is in the settings' own tests that it is not printed.
    for (section, keys) in defaults.iter().filter(|(section, _)| *section != "storage") {
        for key in keys.as_table().unwrap().keys().filter(|key| secret(key)) {
            let plain = format!("RYNJER_{}_{}", section.to_uppercase(), key.to_uppercase());
            let full = format!("RYNJER_{}__{}", section.to_uppercase(), key.to_uppercase());
            let planted = planted();
            assert!(planted.contains_key(&plain) || planted.contains_key(&full), "{plain} or {full}");
        }
    }
}

struct Gateway {
    child: Child,
    ready: serde_json::Value,
    /// Reads the log all the time: a full pipe would stop the gateway.
    log: Option<JoinHandle<Vec<u8>>>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn start(folder: &Path, secrets: &BTreeMap<String, String>) -> Gateway {
    let mut command = command();
    command.args(["--json", "serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder);
    command.env("RYNJER_LOG__FILTER", "trace").envs(secrets);
    for (name, value) in [
        ("RYNJER_MOLTBOOK__ENABLED", "true"),
        ("RYNJER_MOLTBOOK__VERIFY_URL", "http://127.0.0.1:9/verify"),
        ("RYNJER_OIDC__ISSUER", "http://127.0.0.1:9"),
        ("RYNJER_OIDC__CLIENT_ID", "rynjer"),
        ("RYNJER_SMTP__URL", "smtp://127.0.0.1:9"),
        ("RYNJER_SMTP__USER", "rynjer"),
        ("RYNJER_SMTP__FROM", "gateway@example.com"),
        ("RYNJER_STRIPE__BASE_URL", "http://127.0.0.1:9"),
        ("RYNJER_STRIPE__PACKS", "1000=1000"),
        ("RYNJER_STRIPE__ALLOW_TEST_PAYMENTS", "true"),
    ] {
        command.env(name, value);
    }
    for vendor in ["OPENAI", "XAI", "DASHSCOPE", "ARK", "KIE", "REPLICATE", "GOOGLE"] {
        // Nobody answers there, so each call fails and is told of.
        command.env(format!("RYNJER_{vendor}_BASE_URL"), "http://127.0.0.1:9");
    }
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ready = serde_json::from_str(&line).unwrap_or_else(|_| {
        let mut talk = String::new();
        child.stderr.as_mut().unwrap().read_to_string(&mut talk).unwrap();
        panic!("no gateway: {talk}")
    });
    let mut stderr = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut log = Vec::new();
        stderr.read_to_end(&mut log).unwrap();
        log
    });
    Gateway { child, ready, log: Some(log) }
}

/// Everything in a folder, names and contents.
fn contents(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            contents(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn secrets_of_the_environment_turn_up_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = planted();
    let mut gateway = start(folder.path(), &secrets);
    let base_url = gateway.ready["base_url"].as_str().unwrap().to_owned();
    let mut seen: Vec<(String, Vec<u8>)> =
        vec![("stdout".to_owned(), gateway.ready.to_string().into_bytes())];
    let admin = |arguments: &[&str]| {
        let ran =
            finish(command().args(["--json", "admin"]).args(arguments).arg("--data-dir").arg(folder.path()));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.object()
    };
    let account = admin(&["account", "create", "--email", "a@b.example", "--credits", "5000", "--live"]);
    let account = account["account_id"].as_str().unwrap().to_owned();
    let key = admin(&["key", "create", "--account", &account])["api_key"].as_str().unwrap().to_owned();
    for (at, model) in
        ["gpt4o_image", "xai/grok-imagine-image", "z-image", "google/nano-banana"].iter().enumerate()
    {
        let head = format!(
            "POST /v1/generate HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Prefer: wait=2"
        );
        let body = format!(r#"{{"request_id":"c{at}","model":"{model}","prompt":"canary of prompts 7d21"}}"#);
        let (head, answer) = send(&base_url, &head, &body);
        seen.push((format!("answer {model}"), format!("{head}{answer}").into_bytes()));
    }
    for path in [
        "/login/oidc",
        "/forgot",
        "/v1/generate/none",
        "/v1/me",
        "/settings/agents",
        "/callbacks/fal/x",
        "/nowhere",
    ] {
        let (head, answer) =
            send(&base_url, &format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer none"), "");
        seen.push((path.to_owned(), format!("{head}{answer}").into_bytes()));
    }
    let metrics = gateway.ready["metrics_url"].as_str().unwrap().strip_suffix("/metrics").unwrap().to_owned();
    let (_, text) = send(&metrics, "GET /metrics HTTP/1.1", "");
    seen.push(("metrics".to_owned(), text.into_bytes()));
    let mut printing = command();
    printing.args(["serve", "--print-config", "--data-dir"]).arg(folder.path()).envs(&secrets);
    let printed = finish(&mut printing);
    seen.push(("printed settings".to_owned(), format!("{}{}", printed.stdout, printed.stderr).into_bytes()));
    contents(folder.path(), &mut seen);
    gateway.child.kill().unwrap();
    let log = gateway.log.take().unwrap().join().unwrap();
    let log_text = String::from_utf8_lossy(&log);
    assert!(log_text.contains("DEBUG rynjer_server::http"), "the log is not talkative: {log_text}");
    assert!(
        !log_text.contains("canary of prompts") && !log_text.contains(&key),
        "a prompt or key in the log"
    );
    seen.push(("the log".to_owned(), log));
    for (name, secret) in &secrets {
        for (place, bytes) in &seen {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{name} is in {place}");
        }
    }
}
