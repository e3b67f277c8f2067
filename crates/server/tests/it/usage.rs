//! Usage: the report, single events, CSV and signed receipts.
//!
//! Invariant: what a report or receipt adds up to is what the ledger says. Not here: which tasks a list holds
//! (`list`).

use crate::support::{CREDITS, TestApp, agent::text, client::picture, until};
use rynjer_core::{
    canonical::signed_bytes,
    signature::{PublicKey, Signature},
};
use serde_json::{Value, json};
use std::time::Duration;

/// Checks a receipt as somebody would who has nothing but its text.
#[track_caller]
fn verify(receipt: &Value) -> bool {
    let message = signed_bytes(receipt.as_object().expect("an object")).expect("canonical JSON");
    let key = PublicKey::parse_hex(&text(receipt, "public_key")).expect("a key");
    let signature = Signature::parse_hex(&text(receipt, "signature")).expect("a signature");
    key.verify(&message, &signature).is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_adds_up_to_the_books() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let mut four = picture("four", "[[instant]] [[partial=3]]");
    (four["count"], four["run_id"]) = (json!(4), json!("run-1"));
    let accepted = agent.generate(&four).await;
    agent.finish("four").await;
    app.advance(Duration::from_secs(1));
    agent.picture("bad", "[[fail]]").await;
    agent.finish("bad").await;
    app.advance(Duration::from_secs(1));
    agent.picture("open", "[[slow=600]]").await;

    let report = agent.get("/v1/usage").await.ok();
    let events = report["events"].as_array().expect("events");
    let names: Vec<String> = events.iter().map(|event| text(event, "request_id")).collect();
    assert_eq!(names, ["open", "bad", "four"]);
    let expected = json!({
        "usage_event_id": accepted["usage_event_id"], "task_id": accepted["task_id"], "request_id": "four",
        "status": "success", "model": "google/nano-banana", "product": "image", "agent_id": app.agent.id,
        "key_id": app.agent.key_id, "run_id": "run-1", "price_version": "2026-02-02-v1", "unit_price": 8,
        "count": 4, "credits": {"held": 0, "charged": 24, "released": 8, "refunded": 0}, "mode": "test",
        "created_at": "2025-03-18T09:50:00.000Z", "finished_at": "2025-03-18T09:50:00.000Z"
    });
    assert_eq!(events[2], expected);
    let credits = json!({"held": 8, "charged": 24, "released": 16, "refunded": 0});
    assert_eq!(report["totals"], json!({"events": 3, "credits": credits}));
    assert_eq!(app.books().await, (CREDITS - 24 - 8, 8));
    assert_eq!(report["next_cursor"], Value::Null);

    let path = format!("/v1/usage/{}", text(&accepted, "usage_event_id"));
    assert_eq!(agent.get(&path).await.ok(), expected);
    assert_eq!(app.account_key().get(&path).await.ok(), expected);
    assert_eq!(app.other_account().get(&path).await.refusal(), "404 not_found");
    let sister = app.another_agent(2).await;
    assert_eq!(app.bearer(&sister.api_key).get(&path).await.refusal(), "404 not_found");
    let own = app.bearer(&sister.api_key).get("/v1/usage").await.ok();
    assert_eq!(own["totals"]["events"], 0);
    for id in ["use_", "x", "use_06egn8yc0hs5fc4pkp2kezx3y4"] {
        assert_eq!(agent.get(&format!("/v1/usage/{id}")).await.refusal(), "404 not_found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_has_a_beginning_and_an_end() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    for name in ["a", "b", "c"] {
        agent.picture(name, "[[fail]]").await;
        agent.finish(name).await;
        app.advance(Duration::from_secs(3600));
    }
    // The three were accepted at 09:50, 10:50 and 11:50 of 18 March 2025.
    let rows = [
        ("from=2025-03-18T10:50:00Z", "c b"),
        ("from=2025-03-18T10:50:00.001Z", "c"),
        ("to=2025-03-18T10:50:00Z", "a"),
        ("to=2025-03-18T10:50:00.001Z", "b a"),
        ("from=1742291400&to=1742295001", "b a"),
        ("from=2025-03-18T11:50:00+01:00&to=2025-03-18T12:00:00%2B01:00", "b"),
        ("from=2025-03-18", "c b a"),
        ("to=2025-03-18", ""),
        ("from=2025-03-18T10:00:00Z&limit=1", "c"),
    ];
    for (query, expected) in rows {
        let report = agent.get(&format!("/v1/usage?{query}")).await.ok();
        let names: Vec<String> = report["events"]
            .as_array()
            .expect("events")
            .iter()
            .map(|event| text(event, "request_id"))
            .collect();
        assert_eq!(names.join(" "), expected, "{query}");
    }
    let refusals = [
        ("from=2025-03-19&to=2025-03-18", "from: must be before `to`"),
        (
            "from=yesterday",
            "from: must be a date, an RFC 3339 time or unix seconds, such as 2026-03-20T09:46:40Z",
        ),
        ("form=2025-03-19", "form: is not a field; did you mean `from`?"),
    ];
    for (query, problem) in refusals {
        assert_eq!(agent.get(&format!("/v1/usage?{query}")).await.problems(), [problem]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_runs_no_formula() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    for (name, run) in [("=1+1", "=2"), ("@x", "-2"), ("plain", "+3")] {
        let mut body = picture(name, "[[fail]]");
        body["run_id"] = json!(run);
        agent.generate(&body).await;
        agent.finish(name).await;
        app.advance(Duration::from_secs(1));
    }
    let table = agent.with("accept", "text/csv");
    let answer = table.get("/v1/usage?limit=2&status=failed").await;
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let body = String::from_utf8(answer.body.to_vec()).expect("text");
    let lines: Vec<&str> = body.split("\r\n").collect();
    assert_eq!(
        lines[0],
        "usage_event_id,task_id,request_id,status,model,product,agent_id,key_id,run_id,price_version,\
         unit_price,count,held,charged,released,refunded,mode,created_at,finished_at"
    );
    let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!((lines.len(), lines[3]), (4, ""));
    assert_eq!(
        cells(lines[1])[8..],
        [
            "'+3",
            "2026-02-02-v1",
            "8",
            "1",
            "0",
            "0",
            "8",
            "0",
            "test",
            "2025-03-18T09:50:02.000Z",
            "2025-03-18T09:50:02.000Z"
        ]
    );
    assert_eq!((cells(lines[2])[2].as_str(), cells(lines[2])[8].as_str()), ("'@x", "'-2"));

    let link = answer.header("link").expect("a link to the next page");
    let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).expect("a URL");
    assert!(next.starts_with("https://gateway.test/v1/usage?limit=2&status=failed&cursor="), "{next}");
    let last = table.get(next).await;
    assert_eq!(last.header("link"), None);
    let body = String::from_utf8(last.body.to_vec()).expect("text");
    assert!(body.contains(",'=1+1,failed,") && body.contains(",'=2,"), "{body}");

    let id = text(&agent.poll("plain").await, "usage_event_id");
    let single = table.get(&format!("/v1/usage/{id}")).await;
    let body = String::from_utf8(single.body.to_vec()).expect("text");
    assert_eq!(body.split("\r\n").collect::<Vec<_>>(), [lines[0], lines[1], ""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_verifies_and_adds_up() {
    let mut app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let mut four = picture("four", "[[slow=10]] [[instant]] [[partial=3]]");
    four["count"] = json!(4);
    let accepted = agent.generate(&four).await;
    let path = format!("/v1/usage/{}/receipt", text(&accepted, "usage_event_id"));
    let open = agent.get(&path).await.ok();
    assert!(verify(&open), "{open:#}");
    let totals = json!({"reserved": 32, "charged": 0, "released": 0, "refunded": 0, "held": 32, "net": 0});
    assert_eq!(open["totals"], totals);

    let begun = async || agent.poll("four").await["provider_task_id"].is_string().then_some(());
    until("it has begun", begun).await;
    app.advance(Duration::from_secs(10));
    agent.finish("four").await;
    let receipt = agent.get(&path).await.ok();
    assert!(verify(&receipt), "{receipt:#}");
    // The gateway vouches for the key, and publishes nothing but public halves.
    let keys = app.anonymous().get("/.well-known/jwks.json").await.json()["keys"].take();
    let known = keys.as_array().expect("keys").iter().find(|key| key["kid"] == receipt["key_id"]);
    let public = data_encoding::HEXLOWER.decode(text(&receipt, "public_key").as_bytes()).expect("hex");
    let x = data_encoding::BASE64URL_NOPAD.encode(&public);
    let expected = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
        "kid": receipt["key_id"], "x": x});
    assert_eq!((known, keys.as_array().map(Vec::len)), (Some(&expected), Some(2)));
    let lines: Vec<String> = receipt["lines"].as_array().expect("lines").iter().map(shown).collect();
    // The account's first line is its grant.
    assert_eq!(
        lines,
        [
            "2 hold available→held 32 at 2025-03-18T09:50:00.000Z",
            "3 capture held→revenue 24 at 2025-03-18T09:50:10.000Z",
            "4 release held→available 8 at 2025-03-18T09:50:10.000Z",
        ]
    );
    assert_eq!(receipt["lines"][0], open["lines"][0]);
    assert_eq!(
        receipt["totals"],
        json!({"reserved": 32, "charged": 24, "released": 8, "refunded": 0, "held": 0, "net": 24})
    );
    assert_eq!(receipt["usage_event"], agent.get(path.trim_end_matches("/receipt")).await.ok());
    let about = ["receipt_version", "account_id", "issued_at", "base_url"].map(|name| receipt[name].clone());
    assert_eq!(
        about,
        [
            json!(1),
            json!(app.account.as_str()),
            json!("2025-03-18T09:50:10.000Z"),
            json!("https://gateway.test")
        ]
    );

    let mut forged = receipt.clone();
    forged["totals"]["net"] = json!(1);
    assert!(!verify(&forged));
    // The key outlives the process, and the same state signs to the same text.
    app.restart().await;
    assert_eq!(app.agent_key().get(&path).await.ok(), receipt);
    assert_eq!(app.other_account().get(&path).await.refusal(), "404 not_found");
}

fn shown(line: &Value) -> String {
    assert_eq!(text(line, "hash").len(), 64);
    let (kind, from, to, at) = (text(line, "kind"), text(line, "from"), text(line, "to"), text(line, "at"));
    format!("{} {kind} {from}→{to} {} at {at}", line["sequence"], line["amount"])
}
