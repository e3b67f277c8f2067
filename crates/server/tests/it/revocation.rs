//! Whatever takes a credential's right away, on the node where it happens and on another one.
//!
//! Invariant: on a node of its own cache the right ends after one second at the latest, by the test's clock.
//! Not here: the same under load and with real processes (`scripts/storm revocation`).

use crate::support::{
    Agent, Client, SECOND, Signer, TestApp,
    agent::text,
    client::picture,
    neighbour::{Neighbour, SHARED},
};
use rynjer_core::{
    id::{AgentId, KeyId},
    scope::{Scope, Scopes},
};
use rynjer_server::gateway::Role;
use serde_json::json;
use std::time::Duration;

/// What is taken away.
#[derive(Debug, Clone, Copy)]
enum Way {
    Key,
    KeyByAgent,
    Agent,
    Pause,
    Unbind,
    Transfer,
    DroppedScope,
    Family,
}

const WAYS: [Way; 8] = [
    Way::Key,
    Way::KeyByAgent,
    Way::Agent,
    Way::Pause,
    Way::Unbind,
    Way::Transfer,
    Way::DroppedScope,
    Way::Family,
];

impl Way {
    async fn take(self, app: &TestApp, agent: &Agent) {
        let admin = app.admin();
        let id = AgentId::parse(&agent.id).expect("an id");
        let key = KeyId::parse(&agent.key_id).expect("an id");
        match self {
            Self::Key => drop(admin.key_revoke(&key).await.expect("revoked")),
            Self::KeyByAgent => {
                let body = json!({"key_id": agent.key_id});
                app.bearer(&agent.api_key).post("/api/v1/agents/keys/revoke", &body).await.ok();
            }
            Self::Agent => drop(admin.agent_revoke(&id).await.expect("revoked")),
            Self::Pause => drop(admin.agent_pause(&id, true).await.expect("paused")),
            Self::Unbind => drop(admin.agent_unbind(&id).await.expect("unbound")),
            Self::Transfer => drop(admin.agent_transfer(&id, &app.other).await.expect("transferred")),
            Self::DroppedScope => {
                let video: Scopes = [Scope::Video].into_iter().collect();
                drop(admin.agent_bind(&agent.code, &app.account, video, None).await.expect("bound"));
            }
            Self::Family => {
                for status in [200, 401] {
                    let body = json!({"refresh_token": agent.refresh_token});
                    let answer = app.anonymous().post("/api/v1/agents/auth/refresh", &body).await;
                    assert_eq!(answer.status, status);
                }
            }
        }
    }

    /// How a use of the agent's key and of its token is answered then.
    fn expected(self) -> [&'static str; 2] {
        match self {
            Self::Pause => ["403 agent_paused"; 2],
            Self::DroppedScope => ["403 scope_not_allowed"; 2],
            // The key itself is none the worse.
            Self::Family => [ACCEPTED, "401 invalid_token"],
            _ => ["401 invalid_token"; 2],
        }
    }
}

/// A generation that gets as far as its price: it needs all rights and makes nothing.
const ACCEPTED: &str = "409 price_above_max_credits";

async fn used(client: Client, paused: bool) -> String {
    // Whether the agent is paused is asked after the price.
    let mut body = picture("used", "[[instant]]");
    if !paused {
        body["max_credits"] = json!(1);
    }
    let answer = client.post("/v1/generate", &body).await;
    if answer.status == 200 { ACCEPTED.to_owned() } else { answer.refusal() }
}

async fn both(bearer: impl Fn(&str) -> Client, agent: &Agent, paused: bool) -> [String; 2] {
    [used(bearer(&agent.api_key), paused).await, used(bearer(&agent.access_token), paused).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_its_own_node_at_once() {
    let app = TestApp::sqlite().await;
    for (seed, way) in (100..).zip(WAYS) {
        let agent =
            Agent::ready(&app.anonymous(), app.admin(), &app.account, Signer::at(seed, app.now_s())).await;
        assert_eq!(both(|token| app.bearer(token), &agent, false).await, [ACCEPTED; 2], "{way:?}");
        way.take(&app, &agent).await;
        let paused = matches!(way, Way::Pause);
        assert_eq!(both(|token| app.bearer(token), &agent, paused).await, way.expected(), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_another_node_within_a_second() {
    let app = TestApp::with(SHARED).await;
    let other: Neighbour = app.neighbour(Role::Api).await;
    for (seed, way) in (100..).zip(WAYS) {
        let agent =
            Agent::ready(&app.anonymous(), app.admin(), &app.account, Signer::at(seed, app.now_s())).await;
        assert_eq!(both(|token| other.bearer(token), &agent, false).await, [ACCEPTED; 2], "{way:?}");
        way.take(&app, &agent).await;
        app.advance(SECOND);
        let paused = matches!(way, Way::Pause);
        assert_eq!(both(|token| other.bearer(token), &agent, paused).await, way.expected(), "{way:?}");
        // A new exchange of what is left fails there too.
        app.advance(Duration::from_millis(1));
        let request = agent.signer.sign(&json!({"agent_id": agent.id}));
        let answer = other.bearer(&agent.api_key).post("/api/v1/agents/auth/token", &request).await;
        let alive = matches!(way, Way::Pause | Way::DroppedScope | Way::Family);
        assert_eq!(answer.status == 200, alive, "{way:?}: {}", answer.json());
    }
    other.stop().await;
}

/// A transferred agent has nothing of its old life: the same request id is another task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transferred_agent_begins_anew() {
    let app = TestApp::sqlite().await;
    let mut agent = app.another_agent(120).await;
    let id = AgentId::parse(&agent.id).expect("an id");
    let old = app.bearer(&agent.access_token).picture("mine", "[[instant]]").await;
    app.bearer(&agent.access_token).finish("mine").await;
    app.admin().agent_transfer(&id, &app.other).await.expect("transferred");
    agent.code = Agent::registered(&app.anonymous(), agent.signer.clone()).await.code;
    agent.make_key(&app.anonymous(), &["image", "credits:read"]).await;
    let mine = app.bearer(&agent.api_key);
    for path in ["/v1/generate/mine".to_owned(), format!("/v1/generate/{}", text(&old, "task_id"))] {
        assert_eq!(mine.get(&path).await.refusal(), "404 not_found", "{path}");
    }
    let usage = format!("/v1/usage/{}", text(&old, "usage_event_id"));
    assert_eq!(mine.get(&usage).await.refusal(), "404 not_found");
    assert_eq!(mine.get("/v1/generate").await.ok()["tasks"], json!([]));
    let answer = mine.post("/v1/generate", &picture("mine", "[[instant]]")).await;
    assert_eq!(answer.header("idempotent-replayed"), None);
    let new = text(&answer.ok(), "task_id");
    assert_ne!(new, text(&old, "task_id"));
    mine.finish("mine").await;
    let task = app.account_key().poll(&text(&old, "task_id")).await;
    assert_eq!((&task["status"], &task["credits"]["charged"]), (&json!("success"), &json!(8)));
    assert_eq!(app.other_account().poll(&new).await["status"], "success");
}
