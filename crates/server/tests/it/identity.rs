//! Agents: registration, signatures, binding, keys, and what their owner can do to them.
//!
//! Invariant: a request that the agent's key did not sign, now and for this gateway, changes nothing. Not
//! here: access and refresh tokens (`token`).

use crate::support::{
    Agent, BASE_URL, Client, DAY, HOUR, START_S, Signer, TestApp,
    agent::{fresh_nonce, text},
    client::picture,
};
use rynjer_core::{
    budget::Period,
    credits::Credits,
    id::AgentId,
    scope::{Scope, Scopes},
};
use rynjer_server::app::Error;
use serde_json::{Value, json};
use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

const REGISTER: &str = "/api/v1/agents/register";
const CREATE: &str = "/api/v1/agents/keys/create";
const LIST: &str = "/api/v1/agents/keys/list";
const REVOKE: &str = "/api/v1/agents/keys/revoke";
const SECOND: Duration = Duration::from_secs(1);

/// Lets another language sign; none if its interpreter is not installed.
fn signed_by(interpreter: &str, script: &str, seed: u8, body: &Value) -> Option<Value> {
    let path = format!("{}/tests/data/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(interpreter);
    let spawned = command.arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        println!("{interpreter} is not installed: its signatures are not tested");
        return None;
    };
    let given = json!({"seed": format!("{seed:02x}").repeat(32), "body": body});
    child.stdin.take().expect("a pipe").write_all(given.to_string().as_bytes()).expect("written");
    let output = child.wait_with_output().expect("its output");
    assert!(output.status.success(), "{interpreter} failed");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_of_python_and_javascript() {
    let app = TestApp::sqlite().await;
    for (seed, interpreter, script) in [(20, "python3", "sign.py"), (21, "node", "sign.js")] {
        let body = json!({
            "public_key": Signer::new(seed).public_hex(), "agent_name": "Démo 🦊 \"quoted\" \\ /",
            "agent_version": "0.1.0",
            "timestamp": START_S, "nonce": fresh_nonce(), "audience": "gateway.test",
            "zebra": {"b": [1, {"d": null, "c": true}], "a": -5},
        });
        let Some(signed) = signed_by(interpreter, script, seed, &body) else { continue };
        let answer = app.anonymous().post(REGISTER, &signed).await;
        let data = answer.ok();
        assert_eq!(data["warnings"], json!(["unknown field `zebra` was ignored"]), "{interpreter}");
        assert_eq!(app.anonymous().post(REGISTER, &signed).await.refusal(), "401 nonce_reused");
        let mut tampered = signed.clone();
        tampered["zebra"]["a"] = json!(-6);
        tampered["nonce"] = json!(fresh_nonce());
        assert_eq!(app.anonymous().post(REGISTER, &tampered).await.refusal(), "401 invalid_signature");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_is_spent_once() {
    let mut app = TestApp::sqlite().await;
    let signer = Signer::new(30);
    let request = signer.registration();
    let code = text(&app.anonymous().post(REGISTER, &request).await.ok(), "registration_code");
    assert_eq!(app.anonymous().post(REGISTER, &request).await.refusal(), "401 nonce_reused");
    app.restart().await;
    assert_eq!(app.anonymous().post(REGISTER, &request).await.refusal(), "401 nonce_reused");
    // For as long as its timestamp is believed.
    app.advance(Duration::from_secs(300));
    app.gateway().sweep().await.expect("a sweep");
    assert_eq!(app.anonymous().post(REGISTER, &request).await.refusal(), "401 nonce_reused");
    app.advance(SECOND);
    assert_eq!(app.anonymous().post(REGISTER, &request).await.refusal(), "401 timestamp_out_of_range");
    // A refused replay gave out no fresh code.
    assert!(app.admin().agent_bind(&code, &app.account, Scopes::ALL, None).await.is_ok());

    // An invalid signature spends nothing, and another key may use the same nonce.
    signer.set_time(app.now_s());
    let good = signer.registration();
    let mut bad = good.clone();
    bad["signature"] = json!("00".repeat(64));
    assert_eq!(app.anonymous().post(REGISTER, &bad).await.refusal(), "401 invalid_signature");
    app.anonymous().post(REGISTER, &good).await.ok();
    let other = Signer::at(31, app.now_s());
    let same_nonce = json!({"public_key": other.public_hex(), "agent_name": "b", "agent_version": "1",
        "nonce": good["nonce"]});
    app.anonymous().post(REGISTER, &other.sign(&same_nonce)).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_no_key_vouches_for() {
    let app = TestApp::sqlite().await;
    let signer = Signer::new(40);
    let base = || json!({"public_key": signer.public_hex(), "agent_name": "a", "agent_version": "1"});
    let with = |name: &str, value: Value| {
        let mut body = base();
        body[name] = value;
        body
    };
    let times = [
        (-300, "200 without a code"),
        (-301, "401 timestamp_out_of_range"),
        (60, "200 without a code"),
        (61, "401 timestamp_out_of_range"),
        (i64::MAX - START_S, "401 timestamp_out_of_range"),
        (START_S * 999, "401 timestamp_out_of_range"),
    ];
    for (offset, expected) in times {
        let answer =
            app.anonymous().post(REGISTER, &signer.sign(&with("timestamp", json!(START_S + offset)))).await;
        assert_eq!(answer.refusal(), expected, "{offset}");
    }
    let late = signer.sign(&with("timestamp", json!(START_S - 301)));
    assert_eq!(app.anonymous().post(REGISTER, &late).await.error()["server_time"], START_S);

    for audience in ["gateway.test", "https://gateway.test", "other.test", ""] {
        let answer = app.anonymous().post(REGISTER, &signer.sign(&with("audience", json!(audience)))).await;
        let expected = if audience == "gateway.test" { 200 } else { 401 };
        assert_eq!(answer.status, expected, "{audience}: {}", answer.json());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_none() {
    let app = TestApp::sqlite().await;
    let signer = Signer::new(40);
    // The last four are points of small order, for which anybody can sign.
    let keys = [
        "",
        "00",
        &"ab".repeat(31),
        &"ab".repeat(33),
        &"zz".repeat(32),
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    for key in keys {
        let body = json!({"public_key": key, "agent_name": "a", "agent_version": "1"});
        let answer = app.anonymous().post(REGISTER, &signer.sign(&body)).await;
        assert_eq!(answer.refusal(), "400 invalid_request", "{key}");
        assert_eq!(answer.error()["fields"][0]["field"], "public_key", "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_after_it_was_signed() {
    let app = TestApp::sqlite().await;
    let signer = Signer::new(40);
    let base = || json!({"public_key": signer.public_hex(), "agent_name": "a", "agent_version": "1"});
    let signed = signer.sign(&base());
    let mut tampered = Vec::new();
    for (name, value) in [("agent_name", json!("b")), ("agent_version", json!("2")), ("extra", json!(1))] {
        let mut body = signed.clone();
        body[name] = value;
        tampered.push(body);
    }
    let mut other_key = signed.clone();
    other_key["public_key"] = json!(Signer::new(41).public_hex());
    tampered.push(other_key);
    for signature in ["", "00", &"00".repeat(64), &"ff".repeat(64), &"zz".repeat(64)] {
        let mut body = signed.clone();
        body["signature"] = json!(signature);
        tampered.push(body);
    }
    for body in tampered {
        assert_eq!(app.anonymous().post(REGISTER, &body).await.refusal(), "401 invalid_signature", "{body}");
    }
    let nonces = [json!("short"), json!("x".repeat(129)), json!("with space"), json!(12_345_678)];
    for nonce in nonces {
        let mut body = base();
        body["nonce"] = nonce.clone();
        let answer = app.anonymous().post(REGISTER, &signer.sign(&body)).await;
        assert_eq!(
            (answer.refusal().as_str(), &answer.error()["fields"][0]["field"]),
            ("400 invalid_request", &json!("nonce")),
            "{nonce}"
        );
    }
    app.anonymous().post(REGISTER, &signed).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registration_codes() {
    let app = TestApp::sqlite().await;
    let (admin, stranger) = (app.admin(), app.anonymous());
    let bind = async |code: &str, account| {
        admin.agent_bind(code, account, Scopes::ALL, None).await.map(|agent| agent.id.to_string())
    };
    let first = Agent::registered(&stranger, Signer::new(50)).await;
    let early = first.key_request(&["image"]);
    let unbound = stranger.post(CREATE, &early).await;
    assert_eq!(unbound.refusal(), "403 agent_not_bound");
    assert_eq!(unbound.error()["bind_url"], format!("{BASE_URL}/settings/agents/bind"));
    // A refused request is spent as well: whoever saw it can't wait until it would be granted.
    assert_eq!(stranger.post(CREATE, &early).await.refusal(), "401 nonce_reused");

    let second = Agent::registered(&stranger, Signer::new(50)).await;
    assert_eq!((&second.id, second.code == first.code), (&first.id, false));
    assert_eq!(bind(&first.code, &app.account).await, Err(Error::RegistrationCodeInvalid));
    assert_eq!(bind("ryn_reg_nonsense", &app.account).await, Err(Error::RegistrationCodeInvalid));
    assert_eq!(bind(&second.code, &app.account).await, Ok(first.id.clone()));
    // The same owner may bind again, another one may not.
    assert_eq!(bind(&second.code, &app.account).await, Ok(first.id.clone()));
    assert_eq!(bind(&second.code, &app.other).await, Err(Error::RegistrationCodeInvalid));

    assert_eq!(
        stranger.post(CREATE, &first.key_request(&["image"])).await.refusal(),
        "403 registration_code_invalid"
    );
    stranger.post(CREATE, &second.key_request(&["image"])).await.ok();
    app.advance(HOUR * 25);
    second.signer.set_time(app.now_s());
    stranger.post(CREATE, &second.key_request(&["image"])).await.ok();
    let third = Agent::registered(&stranger, second.signer.clone()).await;
    assert_eq!(
        stranger.post(CREATE, &second.key_request(&["image"])).await.refusal(),
        "403 registration_code_invalid"
    );
    stranger.post(CREATE, &third.key_request(&["image"])).await.ok();
    assert_eq!(stranger.post(REGISTER, &third.signer.registration()).await.ok()["bound"], true);

    let late = Agent::registered(&stranger, Signer::at(51, app.now_s())).await;
    app.advance(DAY - SECOND);
    let in_time = Agent::registered(&stranger, Signer::at(52, app.now_s())).await;
    app.advance(SECOND);
    assert_eq!(bind(&late.code, &app.account).await, Err(Error::RegistrationCodeInvalid));
    assert_eq!(bind(&in_time.code, &app.account).await, Ok(in_time.id.clone()));

    // Strangers who found no owner are forgotten after seven days.
    app.advance(DAY * 8);
    app.gateway().sweep().await.expect("a sweep");
    let known: Vec<String> =
        admin.agent_list(None).await.expect("agents").iter().map(|agent| agent.id.to_string()).collect();
    assert!(!known.contains(&late.id) && known.contains(&in_time.id), "{known:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_within_the_grant() {
    let app = TestApp::sqlite().await;
    let stranger = app.anonymous();
    let agent = Agent::registered(&stranger, Signer::new(60)).await;
    let granted: Scopes = [Scope::Image, Scope::Video].into_iter().collect();
    app.admin().agent_bind(&agent.code, &app.account, granted, None).await.expect("a binding");
    let beyond = stranger.post(CREATE, &agent.key_request(&["image", "music"])).await;
    assert_eq!(beyond.refusal(), "403 scope_not_allowed");
    assert_eq!(
        (beyond.json()["success"].clone(), beyond.json()["message"].clone(), beyond.problems()),
        (json!(false), json!("Requested scope not allowed"), vec!["scopes: needs music".to_owned()])
    );
    let wrong = [
        ("scopes", json!(["images"]), "scopes: unknown scope \"images\"; did you mean \"image\"?"),
        ("scopes", json!([]), "scopes: must name at least one scope"),
        ("scopes", json!("image"), "scopes: must be a list of strings"),
        ("scopes", Value::Null, "scopes: is required"),
        ("expires_in_days", json!(0), "expires_in_days: must be 1 to 365"),
        ("expires_in_days", json!(366), "expires_in_days: must be 1 to 365"),
        ("expires_in_days", json!("90"), "expires_in_days: must be a whole number"),
        ("key_name", json!(""), "key_name: must be 1 to 100 characters, without control characters"),
        ("key_name", json!("a\nb"), "key_name: must be 1 to 100 characters, without control characters"),
        ("agent_id", json!("agt_x"), "agent_id: is not an agent id"),
    ];
    for (name, value, problem) in wrong {
        let mut body = agent.key_request(&["image"]);
        body[name] = value;
        assert_eq!(stranger.post(CREATE, &body).await.problems(), [problem]);
    }
    let mut foreign = agent.clone();
    foreign.id.clone_from(&app.agent.id);
    assert_eq!(
        stranger.post(CREATE, &foreign.key_request(&["image"])).await.refusal(),
        "401 invalid_signature"
    );

    for _ in 0..20 {
        stranger.post(CREATE, &agent.key_request(&["image"])).await.ok();
    }
    let full = stranger.post(CREATE, &agent.key_request(&["image"])).await;
    assert_eq!(full.refusal(), "400 invalid_request");
    assert_eq!(full.error()["message"], "The agent has 20 live keys already");
    let listed = stranger.post(LIST, &agent.signer.sign(&json!({"agent_id": agent.id}))).await;
    let keys = listed.ok()["keys"].as_array().expect("keys").clone();
    assert_eq!(keys.len(), 20);
    assert!(
        !listed.json().to_string().contains("ryn_agent_v1_0000")
            && keys.iter().all(|key| key.get("api_key").is_none())
    );
    let revoke = agent.signer.sign(&json!({"agent_id": agent.id, "key_id": keys[0]["key_id"]}));
    assert_eq!(stranger.post(REVOKE, &revoke).await.ok()["revoked"], true);
    stranger.post(CREATE, &agent.key_request(&["image"])).await.ok();
    assert_eq!(stranger.post(CREATE, &agent.key_request(&["image"])).await.refusal(), "400 invalid_request");

    app.advance(DAY * 90);
    agent.signer.set_time(app.now_s());
    let expired = stranger.post(LIST, &agent.signer.sign(&json!({"agent_id": agent.id}))).await.ok();
    let count = |status: &str| {
        expired["keys"].as_array().expect("keys").iter().filter(|key| key["status"] == status).count()
    };
    assert_eq!((count("expired"), count("revoked"), count("active")), (20, 1, 0));
    stranger.post(CREATE, &agent.key_request(&["image"])).await.ok();
}

/// How a key and a token of the agent fare at this moment.
async fn standing(app: &TestApp, agent: &Agent) -> [String; 2] {
    let outcome = async |client: Client| {
        let answer = client.get("/v1/models/list").await;
        if answer.status == 200 { "200".to_owned() } else { answer.refusal() }
    };
    [outcome(app.bearer(&agent.api_key)).await, outcome(app.bearer(&agent.access_token)).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_stops_at_once() {
    let app = TestApp::sqlite().await;
    let agent = &app.agent;
    assert_eq!(standing(&app, agent).await, ["200", "200"]);
    let mut second = agent.clone();
    second.make_key(&app.anonymous(), &["image"]).await;
    second.make_token(&app.anonymous()).await;
    let by_key = json!({"key_id": agent.key_id});
    assert_eq!(app.other_account().post(REVOKE, &by_key).await.refusal(), "403 scope_not_allowed");
    let stranger = app.another_agent(61).await;
    assert_eq!(app.bearer(&stranger.api_key).post(REVOKE, &by_key).await.refusal(), "404 not_found");
    assert_eq!(standing(&app, agent).await, ["200", "200"]);
    let answer = app.bearer(&agent.access_token).post(REVOKE, &by_key).await;
    assert_eq!(
        answer.redacted(),
        json!({"success": true, "data": {
            "key_id": "<key>", "revoked": true, "revoked_at": "2025-03-18T09:50:00.000Z", "mode": "test",
        }})
    );
    assert_eq!(standing(&app, agent).await, ["401 invalid_token", "401 invalid_token"]);
    let refresh = json!({"refresh_token": agent.refresh_token});
    assert_eq!(
        app.anonymous().post("/api/v1/agents/auth/refresh", &refresh).await.refusal(),
        "401 invalid_token"
    );
    assert_eq!(standing(&app, &second).await, ["200", "200"]);
    // Again is the same, and the operator's hand counts as another node: one second.
    let again = json!({"key_id": agent.key_id});
    assert_eq!(
        app.bearer(&second.api_key).post(REVOKE, &again).await.ok()["revoked_at"],
        "2025-03-18T09:50:00.000Z"
    );
    let id = rynjer_core::id::KeyId::parse(&second.key_id).expect("a key's id");
    app.admin().key_revoke(&id).await.expect("revoked");
    app.advance(SECOND);
    assert_eq!(standing(&app, &second).await, ["401 invalid_token", "401 invalid_token"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_and_revoke_an_agent() {
    let app = TestApp::sqlite().await;
    let id = AgentId::parse(&app.agent.id).expect("an agent's id");
    let generate = async |request_id: &str| {
        app.agent_token().post("/v1/generate", &picture(request_id, "[[instant]]")).await
    };
    generate("before").await.ok();
    app.admin().agent_pause(&id, true).await.expect("paused");
    app.advance(SECOND);
    assert_eq!(generate("paused").await.refusal(), "403 agent_paused");
    assert_eq!(app.agent_token().finish("before").await["status"], "success");
    assert_eq!(
        app.agent_token().post("/v1/credits/estimate", &json!({"model": "z-image"})).await.status,
        200
    );
    app.admin().agent_pause(&id, false).await.expect("resumed");
    app.advance(SECOND);
    generate("paused").await.ok();

    app.admin().agent_revoke(&id).await.expect("revoked");
    app.advance(SECOND);
    assert_eq!(standing(&app, &app.agent).await, ["401 invalid_token", "401 invalid_token"]);
    app.agent.signer.set_time(app.now_s());
    for (path, body) in [
        (REGISTER, app.agent.signer.registration()),
        (CREATE, app.agent.key_request(&["image"])),
        (LIST, app.agent.signer.sign(&json!({"agent_id": app.agent.id}))),
    ] {
        assert_eq!(app.anonymous().post(path, &body).await.refusal(), "401 invalid_signature", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unbind_and_transfer() {
    let app = TestApp::sqlite().await;
    let (stranger, mut agent) = (app.anonymous(), app.agent.clone());
    let id = AgentId::parse(&agent.id).expect("an agent's id");
    let task_id = text(&app.agent_token().picture("mine", "[[instant]]").await, "task_id");
    app.agent_token().finish("mine").await;

    app.admin().agent_transfer(&id, &app.other).await.expect("transferred");
    app.advance(SECOND);
    agent.signer.set_time(app.now_s());
    assert_eq!(standing(&app, &agent).await, ["401 invalid_token", "401 invalid_token"]);
    // The code that the old owner saw is worth nothing with the new one.
    assert_eq!(
        stranger.post(CREATE, &agent.key_request(&["image"])).await.refusal(),
        "403 registration_code_invalid"
    );
    agent.code = Agent::registered(&stranger, agent.signer.clone()).await.code;
    agent.make_key(&stranger, &["image"]).await;
    agent.make_token(&stranger).await;
    let mine = app.bearer(&agent.access_token);
    assert_eq!(mine.get("/v1/generate/mine").await.refusal(), "404 not_found");
    assert_eq!(mine.get(&format!("/v1/generate/{task_id}")).await.refusal(), "404 not_found");
    assert_eq!(app.account_key().poll(&task_id).await["status"], "success");
    mine.picture("mine", "[[instant]]").await;
    mine.finish("mine").await;
    let row = app.admin().account_show(&app.other).await.expect("the account");
    assert_eq!((row.books.revenue.0, app.books().await), (8, (crate::support::CREDITS - 8, 0)));

    app.admin().agent_unbind(&id).await.expect("unbound");
    app.advance(SECOND);
    agent.signer.set_time(app.now_s());
    assert_eq!(standing(&app, &agent).await, ["401 invalid_token", "401 invalid_token"]);
    assert_eq!(stranger.post(CREATE, &agent.key_request(&["image"])).await.status, 403);
    let bound = app.admin().agent_bind(&agent.code, &app.account, Scopes::ALL, None).await;
    assert_eq!(bound.map(|agent| agent.id), Err(Error::RegistrationCodeInvalid));
    agent.code = Agent::registered(&stranger, agent.signer.clone()).await.code;
    assert_eq!(stranger.post(CREATE, &agent.key_request(&["image"])).await.refusal(), "403 agent_not_bound");
    // A cap in total counts what the agent spent of this account before.
    let budget = Some((Credits(16), Period::Total));
    app.admin().agent_bind(&agent.code, &app.account, Scopes::ALL, budget).await.expect("bound");
    agent.make_key(&stranger, &["image", "credits:read"]).await;
    let mine = app.bearer(&agent.api_key);
    assert_eq!(text(&mine.poll("mine").await, "task_id"), task_id);
    mine.picture("new", "[[instant]]").await;
    assert_eq!(mine.post("/v1/generate", &picture("more", "a")).await.refusal(), "402 budget_exceeded");
}
