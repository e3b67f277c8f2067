//! Traces as a collector gets them.
//!
//! Invariant: one trace from the client's call to the provider's, and no prompt, key or account in a byte of
//! it. Not here: reading `traceparent` (`server::trace`).

use crate::{
    collector::{Collector, Span},
    run::{Serving, command, finish, rynjer},
    web::send,
};
use serde_json::Value;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const PROMPT: &str = "a heron nobody else has asked for";

/// Makes an account with a key; account and key.
fn account(place: [&str; 2]) -> (String, String) {
    let made =
        rynjer(&["--json", "admin", "account", "create", "--email", "a@b.example", place[0], place[1]]);
    let account = made.object()["account_id"].as_str().unwrap().to_owned();
    let made = rynjer(&["--json", "admin", "key", "create", "--account", &account, place[0], place[1]]);
    (account, made.object()["api_key"].as_str().unwrap().to_owned())
}

fn generate(base_url: &str, key: &str, request_id: &str) -> String {
    let head = format!(
        "POST /v1/generate HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Prefer: wait=60\r\ntraceparent: 00-{TRACE}-{CALLER}-00"
    );
    let body = format!(
        "{{\"request_id\":\"{request_id}\",\"model\":\"google/nano-banana\",\
         \"prompt\":\"{PROMPT} [[instant]]\"}}"
    );
    let (head, body) = send(base_url, &head, &body);
    assert!(head.starts_with("http/1.1 200"), "{head}{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["data"]["status"], "success", "{body}");
    body
}

#[cfg(unix)]
#[test]
fn a_generation_is_one_trace_without_its_prompt() {
    let collector = Collector::start();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("r.toml");
    let text = format!("[trace]\notlp_endpoint = \"http://{}\"\n", collector.address);
    std::fs::write(&config, text).unwrap();
    let place = ["--data-dir", folder.path().to_str().unwrap()];
    let serving = Serving::start(&[place[0], place[1], "--config", config.to_str().unwrap()]);
    let (account, key) = account(place);
    let base_url = serving.ready["base_url"].as_str().unwrap().to_owned();
    let answer = generate(&base_url, &key, "traced-1");
    assert_eq!(serving.terminate(), Some(0));

    let requests = collector.requests();
    assert!(requests.iter().all(|(head, _)| head.starts_with("post /v1/traces http/1.1")));
    let spans = collector.spans();
    let of = |name: &str| -> Vec<&Span> { spans.iter().filter(|span| span.name == name).collect() };
    let (request, task, call) = (of("POST /v1/generate"), of("task run"), of("provider submit"));
    assert_eq!((request.len(), task.len(), call.len()), (1, 1, 1), "{spans:?}");
    let (request, task, call) = (request[0], task[0], call[0]);
    assert_eq!((request.trace.as_str(), request.parent.as_str()), (TRACE, CALLER));
    assert_eq!((task.trace.as_str(), &task.parent), (TRACE, &request.id));
    assert_eq!((call.trace.as_str(), &call.parent), (TRACE, &task.id));

    let data: Value = serde_json::from_str(&answer).unwrap();
    let task_id = data["data"]["task_id"].as_str().unwrap();
    for secret in [PROMPT, "heron", &key, &account, task_id, "traced-1"] {
        for (head, body) in &requests {
            let text = format!("{head}{}", String::from_utf8_lossy(body));
            assert!(!text.contains(secret), "{secret} left the gateway");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_dead_collector_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("r.toml");
    // Port 9 of loopback: nobody listens there.
    std::fs::write(&config, "[trace]\notlp_endpoint = \"http://127.0.0.1:9\"\n").unwrap();
    let place = ["--data-dir", folder.path().to_str().unwrap()];
    let serving = Serving::start(&[place[0], place[1], "--config", config.to_str().unwrap()]);
    let (_, key) = account(place);
    generate(serving.ready["base_url"].as_str().unwrap(), &key, "traced-2");
    assert_eq!(serving.terminate(), Some(0));
}

#[test]
fn variables_of_other_programs_are_refused_not_used() {
    let mut command = command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", "/nonexistent"]);
    command.env("RYNJER_TRACE__OTLP_ENDPOINT", "http://127.0.0.1:9");
    let ran = finish(command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer secret"));
    assert_eq!((ran.code, ran.stderr.lines().count()), (1, 1), "{}", ran.stderr);
    assert!(ran.stderr.contains("OTEL_EXPORTER_OTLP_HEADERS is set"), "{}", ran.stderr);
}
