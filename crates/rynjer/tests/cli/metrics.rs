//! `/metrics` after real work, and what is built on its names: the dashboard and the alerts in `deploy`.
//!
//! Invariant: a name that a panel or an alert asks for is one that a gateway serves. Not here: their look.

use crate::{
    run::{Serving, rynjer},
    web::send,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

fn deploy(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(path);
    fs::read_to_string(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()))
}

/// Every `rynjer_…` name of a text.
fn names(text: &str) -> BTreeSet<String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !letters(c)).filter(|word| word.starts_with("rynjer_"));
    words.map(str::to_owned).collect()
}

/// What a gateway serves after one generation and one refused request.
fn served() -> String {
    let folder = tempfile::tempdir().unwrap();
    let place = ["--data-dir", folder.path().to_str().unwrap()];
    let serving = Serving::start(&place);
    let made =
        rynjer(&["--json", "admin", "account", "create", "--email", "a@b.example", place[0], place[1]]);
    let account = made.object()["account_id"].as_str().unwrap().to_owned();
    let made = rynjer(&["--json", "admin", "key", "create", "--account", &account, place[0], place[1]]);
    let key = made.object()["api_key"].as_str().unwrap().to_owned();
    let base_url = serving.ready["base_url"].as_str().unwrap();
    let head = format!(
        "POST /v1/generate HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Prefer: wait=60"
    );
    let body = r#"{"request_id":"m1","model":"google/nano-banana","prompt":"secret words [[instant]]"}"#;
    let (_, answer) = send(base_url, &head, body);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["data"]["status"], "success", "{answer}");
    let (head, _) = send(base_url, "GET /v1/generate/none HTTP/1.1\r\nAuthorization: Bearer none", "");
    assert!(head.starts_with("http/1.1 401"), "{head}");
    let metrics = serving.ready["metrics_url"].as_str().unwrap().strip_suffix("/metrics").unwrap();
    let (_, text) = send(metrics, "GET /metrics HTTP/1.1", "");
    assert!(!text.contains("secret") && !text.contains(&account) && !text.contains(&key), "{text}");
    text
}

#[test]
fn dashboard_and_alerts_ask_for_names_that_are_served() {
    let text = served();
    let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let has = |start: &str| samples.iter().any(|line| line.starts_with(start));
    for expected in [
        "rynjer_http_requests_total{route=\"/v1/generate\",status=\"200\"} 1",
        "rynjer_http_request_seconds_bucket{route=\"/v1/generate/{request_id}\",class=\"4xx\",le=\"",
        "rynjer_tasks_finished_total{product=\"image\",status=\"success\"} 1",
        "rynjer_provider_calls_total{provider=\"sandbox\",call=\"submit\",outcome=\"answered\"} 1",
        "rynjer_tasks_open 0",
        "rynjer_tasks_open_by_step{step=\"queued\"} 0",
        "rynjer_store_queue_capacity 4096",
        "rynjer_store_writes_waiting 0",
        "rynjer_ledger_commands_total ",
        "rynjer_leases_lost_total 0",
        "rynjer_ledger_findings 0",
    ] {
        assert!(has(expected), "{expected}\n{text}");
    }
    let served: BTreeSet<String> = names(&samples.join("\n"));
    // Only a gateway with a bucket has these: the server's tests of S3 read them.
    let mut known = served.clone();
    known.extend(["up", "errors_total"].map(|end| format!("rynjer_object_storage_{end}")));
    let dashboard: Value = serde_json::from_str(&deploy("grafana/rynjer.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let queries = panels.iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let asked: String = queries.map(|query| format!("{}\n", query["expr"].as_str().unwrap())).collect();
    for (file, text) in [("grafana", asked), ("alerts", deploy("prometheus/alerts.yml"))] {
        let unknown: Vec<String> = names(&text).difference(&known).cloned().collect();
        assert!(!names(&text).is_empty() && unknown.is_empty(), "{file} asks for {unknown:?}");
    }
    // The other way round: what is served is described to operators.
    let manual =
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/OPERATING.md"));
    let manual = names(&manual.unwrap());
    let base = |name: &String| {
        let cut = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        cut.unwrap_or(name).to_owned()
    };
    let untold: Vec<String> = served.iter().map(base).filter(|name| !manual.contains(name)).collect();
    assert!(untold.is_empty(), "docs/OPERATING.md does not tell of {untold:?}");
}
