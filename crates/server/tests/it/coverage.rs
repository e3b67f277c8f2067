//! Every operation of the API description meets every kind of wrong caller.
//!
//! Invariant: an operation without a probe of its kind fails this test; exceptions stand in `EXEMPT` with a
//! reason and go when they are no longer needed. Not here: what each refusal says in detail.

use crate::support::{Client, Signer, TestApp, agent::text, client::picture, png::png, upload::upload};
use http::Method;
use rynjer_core::scope::Scope;
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::PathBuf};

/// Operation, kind of probe, reason.
const EXEMPT: &[(&str, &str, &str)] = &[
    ("register", "no-credentials", "a stranger's first call; its signature is the credential"),
    ("register", "foreign-object", "names no object"),
    ("register", "missing-scope", "needs none"),
    ("refresh_token", "missing-scope", "a refresh keeps the scopes of its family"),
    ("refresh_token", "foreign-object", "names nothing but the credential itself"),
    (
        "exchange_moltbook",
        "no-credentials",
        "off by default; without an identity, see `moltbook::tokens_that_are_none`",
    ),
    (
        "exchange_moltbook",
        "foreign-object",
        "names nothing but the identity itself, see `moltbook::one_identity_never_yields_anothers_agent`",
    ),
    ("exchange_moltbook", "missing-scope", "gives what the owner granted"),
    ("issue_token", "foreign-object", "the key must be the agent's own, see `token::what_a_token_may_do`"),
    ("list_keys", "missing-scope", "an agent always sees its own keys"),
    ("revoke_key", "missing-scope", "an agent may always give up its own keys"),
    ("list_models", "foreign-object", "names no object"),
    ("list_models", "missing-scope", "the contract: models need no scope"),
    ("route_model", "foreign-object", "names no object"),
    ("route_model", "missing-scope", "like models and estimates it needs none"),
    ("list_triggers", "foreign-object", "names no object"),
    ("list_triggers", "missing-scope", "needs none; live accounts find nothing, see `test_clock`"),
    ("get_clock", "foreign-object", "names no object"),
    ("get_clock", "missing-scope", "needs none; see `test_clock` for who finds nothing"),
    ("advance_clock", "foreign-object", "names no object"),
    ("advance_clock", "missing-scope", "needs none; see `test_clock` for who finds nothing"),
    ("estimate", "foreign-object", "names no object"),
    ("estimate", "missing-scope", "the contract: estimates need no scope"),
    ("estimate_alias", "foreign-object", "names no object"),
    ("estimate_alias", "missing-scope", "the contract: estimates need no scope"),
    ("get_balance", "foreign-object", "names no object"),
    ("get_me", "foreign-object", "names no object"),
    ("get_me", "missing-scope", "tells callers what they hold themselves, and no balance"),
    ("generate", "foreign-object", "names no object; quotes are bound to their principal, see `price`"),
    (
        "list_generations",
        "foreign-object",
        "names no object, see `list::agents_see_their_own_and_owners_all`",
    ),
    ("list_generations", "missing-scope", "the contract: one's own tasks need no scope"),
    ("watch_generation", "missing-scope", "the contract: one's own tasks need no scope"),
    ("list_usage", "foreign-object", "names no object, see `usage::the_report_adds_up_to_the_books`"),
    ("get_generation", "missing-scope", "the contract: one's own tasks need no scope"),
    ("delete_generation", "missing-scope", "the contract: one's own tasks need no scope"),
    ("cancel_generation", "missing-scope", "the contract: one's own tasks need no scope"),
    ("cancel_generation", "malformed-body", "takes no body, and reads none"),
    ("upload_file", "foreign-object", "names no object"),
    ("get_file", "missing-scope", "one's own files need none, as one's own tasks"),
    ("delete_file", "missing-scope", "one's own files need none, as one's own tasks"),
    ("download_file", "no-credentials", "the signature in the URL is the credential"),
    ("download_file", "missing-scope", "the signature in the URL is the credential"),
    ("get_output", "no-credentials", "the signature in the URL is the credential"),
    ("get_output", "missing-scope", "the signature in the URL is the credential"),
    ("livez", "no-credentials", "tells nothing but that the process lives"),
    ("livez", "foreign-object", "names no object"),
    ("livez", "missing-scope", "needs none"),
    ("readyz", "no-credentials", "tells nothing but that the process is ready"),
    ("readyz", "foreign-object", "names no object"),
    ("readyz", "missing-scope", "needs none"),
    ("healthz", "no-credentials", "the same as readyz"),
    ("healthz", "foreign-object", "names no object"),
    ("healthz", "missing-scope", "needs none"),
];

struct Operation {
    id: String,
    method: Method,
    path: String,
}

fn document() -> Value {
    serde_json::to_value(rynjer_server::openapi_document()).expect("a document")
}

fn operations() -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document()["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
            if operation.get("operationId").is_some() {
                found.push(Operation { id: text(operation, "operationId"), method, path: path.clone() });
            }
        }
    }
    found
}

/// The operations that a kind of probe must cover.
fn to_probe(kind: &str) -> Vec<Operation> {
    let exempt = |operation: &Operation| EXEMPT.iter().any(|row| row.0 == operation.id && row.1 == kind);
    operations().into_iter().filter(|operation| !exempt(operation)).collect()
}

#[test]
fn exemptions_are_few_and_needed() {
    let known: BTreeSet<String> = operations().into_iter().map(|operation| operation.id).collect();
    let mut seen = BTreeSet::new();
    for (operation, kind, reason) in EXEMPT {
        assert!(known.contains(*operation), "{operation} is gone: so is its exemption");
        assert!(
            ["no-credentials", "foreign-object", "missing-scope", "malformed-body"].contains(kind),
            "{kind}"
        );
        assert!(seen.insert((operation, kind)) && !reason.is_empty(), "{operation} {kind}");
    }
}

#[test]
fn the_checked_in_description_is_current() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../api/openapi.json"));
    let current = serde_json::to_string_pretty(&document()).expect("JSON") + "\n";
    if std::env::var_os("RYNJER_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(&path, &current).expect("written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    let line = stored.lines().zip(current.lines()).position(|(old, new)| old != new);
    assert!(
        stored == current,
        "api/openapi.json is not what the code says, first at line {:?}; if the change is meant, run this \
         test with RYNJER_UPDATE=1",
        line.map(|line| line + 1)
    );
}

async fn call(client: &Client, operation: &Operation, body: &Value) -> crate::support::Answer {
    let path = operation.path.replace("{request_id}", "some-request");
    let path = path.replace("{file_id}", body["file_id"].as_str().unwrap_or("file_unknown"));
    let path = path.replace("{usage_event_id}", "use_06egn8yc0hs5fc4pkp2kezx3y4");
    let body = (operation.method == Method::POST).then_some(body);
    client.request(operation.method.clone(), &path, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials() {
    let app = TestApp::sqlite().await;
    let before = app.ledger().await;
    for operation in to_probe("no-credentials") {
        // Bodies are complete but for what proves who sends them.
        let body = match operation.id.as_str() {
            "generate" => picture("c-1", "a"),
            "create_key" => {
                let mut body = app.agent.key_request(&["image"]);
                body["signature"] = json!("00".repeat(64));
                body
            }
            "refresh_token" => json!({"refresh_token": format!("{}x", app.agent.refresh_token)}),
            "revoke_key" => json!({"agent_id": app.agent.id, "key_id": app.agent.key_id}),
            _ => json!({"agent_id": app.agent.id, "model": "z-image"}),
        };
        let answer = call(&app.anonymous(), &operation, &body).await;
        let expected = match operation.id.as_str() {
            "create_key" => "401 invalid_signature",
            "refresh_token" => "401 invalid_token",
            _ => "401 missing_credentials",
        };
        assert_eq!(answer.refusal(), expected, "{}", operation.id);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"rynjer\""), "{}", operation.id);
    }
    assert_eq!(app.ledger().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_another_accounts_object() {
    let app = TestApp::sqlite().await;
    let (owner, mut stranger) = (app.account_key(), app.another_agent(90).await);
    owner.picture("some-request", "[[instant]]").await;
    let task = owner.finish("some-request").await;
    let file = upload(&owner, &png(2, 2, 0)).await.ok();
    let id = rynjer_core::id::AgentId::parse(&stranger.id).expect("an agent's id");
    app.admin().agent_transfer(&id, &app.other).await.expect("transferred");
    stranger.code = crate::support::Agent::registered(&app.anonymous(), Signer::new(90)).await.code;
    stranger.make_key(&app.anonymous(), &["image", "credits:read"]).await;
    let mine = app.bearer(&stranger.api_key);
    for operation in to_probe("foreign-object") {
        let (answers, expected) = match operation.id.as_str() {
            "get_generation" | "delete_generation" | "cancel_generation" => {
                let path = operation.path.replace("{request_id}", &text(&task, "task_id"));
                let by_id = mine.request(operation.method.clone(), &path, None).await;
                (vec![call(&mine, &operation, &json!({})).await, by_id], "404 not_found")
            }
            "watch_generation" => (vec![call(&mine, &operation, &json!({})).await], "404 not_found"),
            "get_usage" | "get_receipt" => {
                let id = text(&task, "usage_event_id");
                (vec![mine.get(&operation.path.replace("{usage_event_id}", &id)).await], "404 not_found")
            }
            "list_keys" => {
                (vec![call(&mine, &operation, &json!({"agent_id": app.agent.id})).await], "404 not_found")
            }
            "revoke_key" => {
                (vec![call(&mine, &operation, &json!({"key_id": app.agent.key_id})).await], "404 not_found")
            }
            "create_key" => {
                let mut foreign = stranger.clone();
                foreign.id.clone_from(&app.agent.id);
                let signed = foreign.key_request(&["image"]);
                (vec![call(&mine, &operation, &signed).await], "401 invalid_signature")
            }
            "get_output" => {
                let url = text(&task["outputs"][0], "url");
                let other = url.replace(app.account.as_str(), app.other.as_str());
                (vec![mine.get(&other).await], "404 not_found")
            }
            "get_file" | "delete_file" => {
                (vec![call(&mine, &operation, &json!({"file_id": file["file_id"]})).await], "404 not_found")
            }
            "download_file" => {
                let other = text(&file, "url").replace(app.account.as_str(), app.other.as_str());
                (vec![mine.get(&other).await], "404 not_found")
            }
            other => panic!("{other} has no probe with another account's object"),
        };
        for answer in answers {
            assert_eq!(answer.refusal(), expected, "{}", operation.id);
        }
    }
    assert_eq!(app.agent_key().get("/v1/models/list").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_missing_scope() {
    let app = TestApp::sqlite().await;
    let before = app.ledger().await;
    let (reader, painter) = (app.scoped(&[Scope::CreditsRead]).await, app.scoped(&[Scope::Image]).await);
    let mut narrow = crate::support::Agent::registered(&app.anonymous(), Signer::new(91)).await;
    let image = [Scope::Image].into_iter().collect();
    app.admin().agent_bind(&narrow.code, &app.account, image, None).await.expect("a binding");
    narrow.make_key(&app.anonymous(), &["image"]).await;
    for operation in to_probe("missing-scope") {
        let answers = match operation.id.as_str() {
            "get_balance" | "list_usage" | "get_usage" | "get_receipt" => {
                vec![call(&painter, &operation, &json!({})).await]
            }
            "generate" => {
                let song = json!({"request_id": "s", "model": "V5", "prompt": "a"});
                let film = json!({"request_id": "f", "model": "sora-2", "prompt": "a"});
                vec![
                    call(&reader, &operation, &picture("p", "a")).await,
                    call(&painter, &operation, &song).await,
                    call(&painter, &operation, &film).await,
                ]
            }
            "create_key" => vec![call(&app.anonymous(), &operation, &narrow.key_request(&["video"])).await],
            "issue_token" => {
                let bearer = app.bearer(&narrow.api_key);
                vec![call(&bearer, &operation, &narrow.token_request(&["image", "credits:read"])).await]
            }
            "upload_file" => vec![upload(&reader, &png(2, 2, 0)).await],
            other => panic!("{other} has no probe with a missing scope"),
        };
        for answer in answers {
            assert_eq!(answer.refusal(), "403 scope_not_allowed", "{}", operation.id);
        }
    }
    assert_eq!(app.ledger().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_malformed_body() {
    let app = TestApp::sqlite().await;
    let before = app.ledger().await;
    for operation in to_probe("malformed-body").into_iter().filter(|one| one.method == Method::POST) {
        if operation.id == "upload_file" {
            // No JSON at all: its malformed bodies are in `file`.
            let answer = app.agent_key().post_text(&operation.path, "{}").await;
            assert_eq!(answer.refusal(), "415 unsupported_media_type");
            continue;
        }
        for text in ["{\"model\":", "[]", "{\"a\":1,\"a\":2}"] {
            let answer = app.agent_key().post_text(&operation.path, text).await;
            assert_eq!(answer.refusal(), "400 invalid_request", "{} {text}", operation.id);
        }
        let plain = app.agent_key().with("content-type", "text/plain");
        let answer = plain.send(Method::POST, &operation.path, "{}".into()).await;
        assert_eq!(answer.refusal(), "415 unsupported_media_type", "{}", operation.id);
    }
    assert_eq!(app.ledger().await, before);
}

/// Statuses that the probes above met must be documented.
#[test]
fn refusals_are_documented() {
    let document = document();
    for operation in operations() {
        let item = &document["paths"][&operation.path][operation.method.as_str().to_lowercase()];
        let documented: BTreeSet<&String> =
            item["responses"].as_object().expect("responses").keys().collect();
        let mut expected = vec!["200", "500", "503"];
        if operation.method == Method::POST {
            expected.extend(["400", "413", "415", "429"]);
        }
        if item.get("security").is_some() {
            expected.extend(["401", "429"]);
        }
        for status in expected {
            assert!(documented.contains(&status.to_owned()), "{} does not document {status}", operation.id);
        }
    }
}
