//! Agents that Moltbook vouches for, against a server that is built from what is known of Moltbook's.
//!
//! Invariant: only a token that Moltbook takes, for this gateway and of a bound agent, becomes an access
//! token, and it dies with everything else of its agent. Not here: how answers are read (`peers`).

use crate::support::{Answer, CREDITS, SECOND, TestApp, agent::text, client::picture};
use rynjer_core::{
    budget::Period,
    credits::Credits,
    id::{AgentId, KeyId},
    scope::{Scope, Scopes},
};
use rynjer_emulator::{Moltbook, MoltbookFault};
use serde_json::{Value, json};
use std::time::Duration;

const EXCHANGE: &str = "/auth/moltbook/exchange";
const ADA: &str = "0b9d1c7e-4a52-4d7a-9c3e-2f8f0d6f1a11";
const BOB: &str = "1c8e2d6f-0000-4000-8000-000000000002";
const HOST: Option<&str> = Some("gateway.test");

/// A gateway that asks a stand-in of Moltbook's which knows two agents.
struct Stage {
    app: TestApp,
    moltbook: Moltbook,
}

impl Stage {
    async fn new() -> Self {
        let moltbook = Moltbook::start(Some("moltdev_right")).await.expect("a stand-in");
        let settings = format!(
            "[moltbook]\nenabled = true\napp_key = \"moltdev_right\"\nverify_url = \"{}\"\n",
            moltbook.verify_url()
        );
        let app = TestApp::with(&settings).await;
        for (id, name) in [(ADA, "Ada"), (BOB, "Bob")] {
            drop(moltbook.agent(id, name));
        }
        moltbook.set_now_ms(app.now_ms());
        Self { app, moltbook }
    }

    async fn send(&self, token: &str) -> Answer {
        self.app.anonymous().with("x-moltbook-identity", token).post(EXCHANGE, &json!({})).await
    }

    /// An exchange by an agent that is at Moltbook.
    async fn exchange(&self, id: &str) -> Answer {
        self.send(&self.moltbook.token(id, HOST)).await
    }

    /// Exchanges, and binds the agent by its long code.
    async fn bound(&self, id: &str, scopes: Scopes) -> AgentId {
        let data = self.exchange(id).await.error();
        let code = text(&data, "registration_code");
        self.app.admin().agent_bind(&code, &self.app.account, scopes, None).await.expect("bound").id
    }

    /// How an access token fares now.
    async fn standing(&self, token: &str) -> String {
        let answer = self.app.bearer(token).get("/v1/models/list").await;
        if answer.status == 200 { "200".to_owned() } else { answer.refusal() }
    }

    fn pass_a_second(&self) {
        self.app.advance(SECOND);
        self.moltbook.set_now_ms(self.app.now_ms());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn off_unless_the_operator_wants_it() {
    let app = TestApp::sqlite().await;
    let answer = app.anonymous().with("x-moltbook-identity", "a.b.c").post(EXCHANGE, &json!({})).await;
    assert_eq!((answer.refusal().as_str(), answer.header("retry-after")), ("503 upstream_unavailable", None));
    let error = answer.error();
    assert_eq!(
        (&error["retryable"], &error["message"]),
        (&json!(false), &json!("This gateway takes no Moltbook identities"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_finds_its_owner() {
    let stage = Stage::new().await;
    let first = stage.exchange(ADA).await;
    assert_eq!(
        first.redacted(),
        json!({"code": 0, "message": "ok", "data": {
            "error": "agent_not_bound",
            "message": "Moltbook knows the agent, but it does not belong to an account here yet",
            "suggestion": "Show the owner `bind_url` and `user_code`; call POST /auth/moltbook/exchange \
                           again once it is bound. Each call before makes the earlier codes useless.",
            "retryable": false, "trace_id": "<trace_id>",
            "docs_url": "https://gateway.test/docs/api#agent_not_bound",
            "bind_url": "https://gateway.test/settings/agents/bind",
            "registration_code": "<registration code>", "user_code": "<user_code>",
            "expires_at": "2025-03-19T09:50:00.000Z", "agent_id": "<agent>",
        }})
    );
    let (id, code) = (text(&first.error(), "agent_id"), text(&first.error(), "user_code"));
    let shown = stage.app.admin().agent_find(&code).await.expect("the agent");
    assert_eq!(
        (shown.agent.id.as_str(), shown.agent.name.as_str(), shown.moltbook_id.as_deref()),
        (id.as_str(), "Ada", Some(ADA))
    );
    let limit = Some((Credits(8), Period::Total));
    stage.app.admin().agent_bind(&code, &stage.app.account, Scopes::ALL, limit).await.expect("bound");
    let data = stage.exchange(ADA).await;
    assert_eq!(
        data.redacted(),
        json!({"code": 0, "message": "ok", "data": {
            "access_token": "<access token>", "token_type": "Bearer", "expires_in": 900,
            "agent_id": "<agent>", "account_id": "<account>",
            "scopes": ["image", "video", "music", "credits:read"], "mode": "test",
        }})
    );
    let token = text(&data.ok(), "access_token");
    let mine = stage.app.bearer(&token);
    assert_eq!(
        (data.ok()["agent_id"].as_str(), mine.get("/v1/me").await.ok()["agent"]["agent_name"].clone()),
        (Some(id.as_str()), json!("Ada"))
    );
    mine.picture("one", "[[instant]]").await;
    mine.finish("one").await;
    assert_eq!(mine.post("/v1/generate", &picture("two", "a")).await.refusal(), "402 budget_exceeded");
    assert_eq!(stage.app.books().await, (CREDITS - 8, 0));
    // The identity token lives longer than its exchange, and the next one is the same agent by the same key.
    let again = stage.exchange(ADA).await.ok();
    let key = async |token: &str| stage.app.bearer(token).get("/v1/me").await.ok()["key"]["key_id"].clone();
    assert_eq!(key(&text(&again, "access_token")).await, key(&token).await);
    stage.app.advance(Duration::from_secs(900));
    assert_eq!(stage.standing(&token).await, "401 expired_token");
    // What Moltbook was asked.
    let seen = stage.moltbook.seen();
    let asked = seen.last().expect("a call");
    assert_eq!(
        (asked.path.as_str(), asked.header("x-moltbook-app-key")),
        ("/api/v1/agents/verify-identity", Some("moltdev_right"))
    );
    assert_eq!(
        (&asked.json()["audience"], asked.json().as_object().map(serde_json::Map::len)),
        (&json!("gateway.test"), Some(2))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_none() {
    let stage = Stage::new().await;
    let good = stage.moltbook.token(ADA, HOST);
    let missing = stage.app.anonymous().post(EXCHANGE, &json!({})).await;
    assert_eq!(missing.refusal(), "401 missing_credentials");
    assert_eq!(
        missing.error()["message"],
        "The Moltbook identity is not taken: send the identity token in the header X-Moltbook-Identity"
    );
    for token in ["$TOKEN", "a b", "é", &"x".repeat(4097), "moltbook_sk_1", "moltdev_1"] {
        let in_body = json!({"identity_token": token});
        let answer = stage.app.anonymous().post(EXCHANGE, &in_body).await;
        assert_eq!(answer.refusal(), "401 invalid_token", "{token}");
        assert!(!answer.json().to_string().contains(&"x".repeat(64)));
    }
    for body in [json!({"identity_token": 7}), json!({"identity_token": ["a"]})] {
        assert_eq!(stage.app.anonymous().post(EXCHANGE, &body).await.refusal(), "400 invalid_request");
    }
    let two = stage.app.anonymous().with("x-moltbook-identity", &good);
    let answer = two.post(EXCHANGE, &json!({"identity_token": stage.moltbook.token(BOB, HOST)})).await;
    assert_eq!(answer.refusal(), "400 invalid_request");
    // None of that was worth a question.
    assert_eq!(stage.moltbook.seen().len(), 0);
    // A body alone does, and so do both with the same token; what is unknown there is told.
    let body = json!({"identity_token": good, "zebra": 1});
    assert_eq!(stage.app.anonymous().post(EXCHANGE, &body).await.refusal(), "403 agent_not_bound");
    assert_eq!(two.post(EXCHANGE, &body).await.refusal(), "403 agent_not_bound");
    assert_eq!(stage.moltbook.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_moltbook_refuses() {
    let stage = Stage::new().await;
    stage.bound(ADA, Scopes::ALL).await;
    let message = |answer: &Answer| {
        let text = text(&answer.error(), "message");
        text.strip_prefix("The Moltbook identity is not taken: ").expect("of Moltbook").to_owned()
    };
    let mut forged = stage.moltbook.token(ADA, HOST);
    forged.truncate(forged.len() - 2);
    let rows = [
        ("a.b.c".to_owned(), "Moltbook does not know the token"),
        (forged, "Moltbook does not know the token"),
        (stage.moltbook.token(ADA, Some("else.test")), "the token was made for another service"),
        (stage.moltbook.token("nobody", HOST), "Moltbook has no such agent any more"),
    ];
    for (token, reason) in rows {
        let answer = stage.send(&token).await;
        assert_eq!((answer.refusal().as_str(), message(&answer).as_str()), ("401 invalid_token", reason));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"rynjer\""));
    }
    let old = stage.moltbook.token(ADA, HOST);
    stage.moltbook.set_now_ms(stage.app.now_ms() + 3_600_000);
    assert_eq!(stage.send(&old).await.refusal(), "401 expired_token");
    stage.exchange(ADA).await.ok();
    for name in ["\u{1b}[2J", "Ada\nOwner: you", "Ada \u{202e}nimda", ""] {
        drop(stage.moltbook.agent(ADA, name));
        let answer = stage.exchange(ADA).await;
        assert_eq!(answer.refusal(), "401 invalid_token", "{name:?}");
    }
    drop(stage.moltbook.agent(ADA, "Ada"));
    stage.moltbook.deactivate(ADA);
    let answer = stage.exchange(ADA).await;
    assert_eq!(message(&answer), "Moltbook has no such agent any more");
}

/// Trouble that is not the agent's: 503, and nothing of what was said stands in the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_at_moltbook_and_of_the_operator() {
    let mut stage = Stage::new().await;
    stage.bound(ADA, Scopes::ALL).await;
    let answer = |status: u16, body: String| MoltbookFault::Answer { status, headers: Vec::new(), body };
    let redirect = MoltbookFault::Answer {
        status: 307,
        headers: vec![("location".to_owned(), stage.moltbook.verify_url())],
        body: String::new(),
    };
    let yes = json!({"success": true, "valid": true, "agent": {"id": ADA, "name": "Ada"}}).to_string();
    let faults = [
        answer(500, yes.clone()),
        answer(502, "<html>canary</html>".to_owned()),
        answer(200, "<html>canary</html>".to_owned()),
        answer(200, format!("{yes}{}", " ".repeat(300 << 10))),
        answer(200, json!({"success": true, "valid": true, "agent": {"id": "a b", "name": "x"}}).to_string()),
        answer(400, json!({"success": false, "error": "canary"}).to_string()),
        redirect,
        MoltbookFault::Closed,
    ];
    for fault in faults {
        stage.moltbook.fault(fault.clone());
        let answer = stage.exchange(ADA).await;
        assert_eq!(answer.refusal(), "503 upstream_unavailable", "{fault:?}");
        assert_eq!((answer.header("retry-after"), &answer.error()["retryable"]), (Some("5"), &json!(true)));
        assert!(!answer.json().to_string().contains("canary"));
    }
    let asked = stage.moltbook.seen().len();
    stage.exchange(ADA).await.ok();
    assert_eq!(stage.moltbook.seen().len(), asked + 1);
    let busy = json!({"success": false, "error": "rate_limit_exceeded", "retry_after_seconds": 17});
    stage.moltbook.fault(answer(429, busy.to_string()));
    assert_eq!(stage.exchange(ADA).await.header("retry-after"), Some("17"));
    // A wrong key, and none.
    stage.moltbook.set_app_key(Some("moltdev_new"));
    let wrong = stage.exchange(ADA).await;
    assert_eq!(
        (wrong.refusal().as_str(), wrong.header("retry-after")),
        ("503 upstream_unavailable", Some("60"))
    );
    stage.app.set("moltbook", "app_key", "".into());
    stage.app.restart().await;
    assert_eq!(stage.exchange(ADA).await.refusal(), "503 upstream_unavailable");
    assert_eq!(stage.moltbook.seen().last().expect("a call").header("x-moltbook-app-key"), None);
    // At another name of Moltbook's nobody answers.
    stage.app.set("moltbook", "verify_url", "http://127.0.0.1:9/verify".into());
    stage.app.restart().await;
    assert_eq!(stage.exchange(ADA).await.refusal(), "503 upstream_unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_moltbook_is_waited_for_five_seconds() {
    let stage = Stage::new().await;
    stage.bound(ADA, Scopes::ALL).await;
    stage.moltbook.fault(MoltbookFault::Slow { ms: 20_000 });
    let began = tokio::time::Instant::now();
    assert_eq!(stage.exchange(ADA).await.refusal(), "503 upstream_unavailable");
    assert!((4..15).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_identity_never_yields_anothers_agent() {
    let stage = Stage::new().await;
    let ada = stage.bound(ADA, Scopes::ALL).await;
    // The same name is nothing.
    drop(stage.moltbook.agent(BOB, "Ada"));
    let bob = stage.exchange(BOB).await;
    assert_eq!(bob.refusal(), "403 agent_not_bound");
    assert_ne!(text(&bob.error(), "agent_id"), ada.to_string());
    // Nor is a field that names it, nor an id that looks like it.
    let named = stage.app.anonymous().with("x-moltbook-identity", &stage.moltbook.token(BOB, HOST));
    let answer = named.post(EXCHANGE, &json!({"agent_id": ada.as_str(), "sub": ADA})).await;
    assert_eq!(answer.refusal(), "403 agent_not_bound");
    let upper = ADA.to_uppercase();
    drop(stage.moltbook.agent(&upper, "Ada"));
    assert_ne!(text(&stage.exchange(&upper).await.error(), "agent_id"), ada.to_string());
    // Nobody signs for it: it has no key, and none that is registered reads like its name.
    let registration =
        json!({"public_key": format!("moltbook:{ADA}"), "agent_name": "a", "agent_version": "1"});
    let signer = &stage.app.agent.signer;
    let answer = stage.app.anonymous().post("/api/v1/agents/register", &signer.sign(&registration)).await;
    assert_eq!(answer.problems().len(), 1);
    assert_eq!(answer.refusal(), "400 invalid_request");
    let create = json!({"agent_id": ada.as_str(), "registration_code": "x", "key_name": "k",
        "scopes": ["image"], "expires_in_days": 1});
    let answer = stage.app.anonymous().post("/api/v1/agents/keys/create", &signer.sign(&create)).await;
    assert_eq!(answer.refusal(), "401 invalid_signature");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_stops_agents_stops_these() {
    let stage = Stage::new().await;
    let admin = stage.app.admin().clone();
    let code = text(&stage.exchange(ADA).await.error(), "registration_code");
    let bind = async |scopes| admin.agent_bind(&code, &stage.app.account, scopes, None).await.expect("bound");
    let id = bind(Scopes::ALL).await.id;
    let token = async || text(&stage.exchange(ADA).await.ok(), "access_token");
    // Paused: the token that is there can't generate, and no other one is given.
    let first = token().await;
    admin.agent_pause(&id, true).await.expect("paused");
    assert_eq!(stage.exchange(ADA).await.refusal(), "403 agent_paused");
    let answer = stage.app.bearer(&first).post("/v1/generate", &picture("p", "a")).await;
    assert_eq!(answer.refusal(), "403 agent_paused");
    admin.agent_pause(&id, false).await.expect("resumed");
    // Another grant holds from the next exchange on, and at once where it is less.
    let all = token().await;
    bind([Scope::Image].into_iter().collect()).await;
    let data = stage.exchange(ADA).await.ok();
    assert_eq!(data["scopes"], json!(["image"]));
    assert_eq!(stage.app.bearer(&all).get("/v1/credits/balance").await.refusal(), "403 scope_not_allowed");
    // Its key, revoked by the owner: no exchange makes another one until the owner binds again.
    stage.pass_a_second();
    let key = text(&stage.app.bearer(&all).get("/v1/me").await.ok()["key"], "key_id");
    admin.key_revoke(&KeyId::parse(&key).expect("an id")).await.expect("revoked");
    assert_eq!(stage.standing(&all).await, "401 invalid_token");
    assert_eq!(stage.exchange(ADA).await.refusal(), "401 invalid_token");
    stage.pass_a_second();
    bind(Scopes::ALL).await;
    let third = token().await;
    // Transferred: the old token is dead, the next one is the new account's, with nothing of the old one.
    stage.app.bearer(&third).picture("mine", "[[instant]]").await;
    stage.app.bearer(&third).finish("mine").await;
    admin.agent_transfer(&id, &stage.app.other).await.expect("transferred");
    assert_eq!(stage.standing(&third).await, "401 invalid_token");
    let data = stage.exchange(ADA).await.ok();
    assert_eq!(text(&data, "account_id"), stage.app.other.to_string());
    let fourth = text(&data, "access_token");
    assert_eq!(stage.app.bearer(&fourth).get("/v1/generate/mine").await.refusal(), "404 not_found");
    // Unbound: back to the codes. Revoked: for good.
    admin.agent_unbind(&id).await.expect("unbound");
    assert_eq!(stage.standing(&fourth).await, "401 invalid_token");
    assert_eq!(stage.exchange(ADA).await.refusal(), "403 agent_not_bound");
    assert_eq!(stage.bound(ADA, Scopes::ALL).await, id);
    let fifth = token().await;
    admin.agent_revoke(&id).await.expect("revoked");
    assert_eq!(stage.standing(&fifth).await, "401 invalid_token");
    assert_eq!(stage.exchange(ADA).await.refusal(), "401 invalid_token");
}

/// Strangers who found no owner are forgotten, and begin anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_without_an_owner_is_forgotten() {
    let stage = Stage::new().await;
    let first = text(&stage.exchange(ADA).await.error(), "agent_id");
    stage.app.advance(Duration::from_secs(8 * 86_400));
    stage.moltbook.set_now_ms(stage.app.now_ms());
    stage.app.gateway().sweep().await.expect("a sweep");
    let id = stage.bound(ADA, Scopes::ALL).await;
    assert_ne!(id.to_string(), first);
    stage.exchange(ADA).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchanges_are_counted_by_address() {
    let moltbook = Moltbook::start(None).await.expect("a stand-in");
    let url = moltbook.verify_url();
    let settings =
        format!("[limits]\nrate_limits = true\n[moltbook]\nenabled = true\nverify_url = \"{url}\"\n");
    let app = TestApp::with(&settings).await;
    let stranger = app.anonymous();
    let mut answers: Vec<Value> = Vec::new();
    for _ in 0..40 {
        let answer = stranger.with("x-moltbook-identity", "a.b.c").post(EXCHANGE, &json!({})).await;
        answers.push(json!(answer.status));
    }
    assert!(answers.contains(&json!(401)) && answers.last() == Some(&json!(429)), "{answers:?}");
    assert!(moltbook.seen().len() <= 30);
}
