//! Keys that take each other's place, and what keys leave in the audit log.
//!
//! Invariant: a rotation refuses nobody while both keys work, and the old key ends when it was said to. Not
//! here: keys that agents make (`identity`).

use crate::support::{Agent, Answer, CREDITS, Client, DAY, HOUR, TestApp, agent::text, client::picture};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
    id::{AccountId, KeyId},
    scope::{Scope, Scopes},
};
use rynjer_server::app::{Error, actor::Reach};
use rynjer_store::{StoreError, Tx};
use serde_json::json;
use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

const HOUR_MS: i64 = 3_600_000;
const SECOND: Duration = Duration::from_secs(1);

fn id_of(text: &str) -> KeyId {
    KeyId::parse(text).expect("a key's id")
}

async fn models(client: &Client) -> String {
    let answer: Answer = client.get("/v1/models/list").await;
    if answer.status == 200 { "200".to_owned() } else { answer.refusal() }
}

fn refused<T>(result: Result<T, Error>) -> String {
    match result.err().expect("a refusal") {
        Error::Invalid(fields) => fields[0].problem.clone(),
        other => format!("{other:?}"),
    }
}

/// The policies of an account's keys: key, models, highest price.
async fn policies(app: &TestApp) -> Vec<(String, String, i64)> {
    let read = app.admin().store.read(|tx| {
        let sql =
            "SELECT subject_id, models, max_price FROM policies WHERE subject = 'key' ORDER BY updated_at";
        let rows = tx.all(sql, &[])?;
        rows.iter().map(|row| Ok::<_, StoreError>((row.text(0)?, row.text(1)?, row.int(2)?))).collect()
    });
    read.await.expect("policies")
}

async fn set_policy(app: &TestApp, account: &AccountId, key: &KeyId) {
    let (account, key, now_ms) = (account.clone(), key.clone(), app.now_ms());
    let write = app.admin().store.write(move |tx: &mut dyn Tx| {
        tx.exec(
            "INSERT INTO policies (account_id, subject, subject_id, models, max_price, updated_at) \
             VALUES ($1, 'key', $2, '[\"z-image\",\"google/nano-banana\"]', 40, $3)",
            &[account.as_str().into(), key.as_str().into(), now_ms.into()],
        )
    });
    let written: Result<u64, StoreError> = write.await;
    assert_eq!(written.expect("a policy"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_takes_the_place_of_another() {
    let app = TestApp::sqlite().await;
    let admin = app.admin();
    let scopes: Scopes = [Scope::Image, Scope::CreditsRead].into_iter().collect();
    let (old, secret) = admin.key_create(&app.account, scopes, "ci").await.expect("a key");
    let cap = async |period, limit| {
        let set = admin.budget_set(&app.account, Subject::Key, old.id.as_str(), period, Credits(limit));
        set.await.expect("a cap");
    };
    cap(Period::Total, 24).await;
    cap(Period::Day, 100).await;
    set_policy(&app, &app.account, &old.id).await;
    let before = app.bearer(secret.expose());
    before.picture("one", "[[instant]]").await;
    before.finish("one").await;
    app.advance(SECOND);
    let (new, fresh) = admin.key_rotate(&old.id, 2 * HOUR_MS).await.expect("rotated");
    assert_eq!(
        (new.name.as_str(), new.scopes.as_str(), new.agent_id.as_ref(), new.expires_at_ms),
        ("ci", old.scopes.as_str(), None, None)
    );
    assert!(new.id != old.id && new.hash != old.hash && fresh.expose().starts_with("ryn_test_"));
    let after = app.bearer(fresh.expose());
    assert_eq!((models(&before).await, models(&after).await), ("200".to_owned(), "200".to_owned()));
    // Its caps begin with what the old key has spent: 8 of 24.
    let spent = |period: &str, caps: &serde_json::Value| {
        let caps = caps["budgets"].as_array().expect("caps").clone();
        caps.iter()
            .find(|cap| cap["period"] == period)
            .map(|cap| (cap["limit"].clone(), cap["spent"].clone()))
    };
    let balance = after.get("/v1/credits/balance").await.ok();
    assert_eq!(spent("total", &balance), Some((json!(24), json!(8))), "{balance:#}");
    assert_eq!(spent("day", &balance), Some((json!(100), json!(8))));
    for request_id in ["two", "three"] {
        after.picture(request_id, "[[instant]]").await;
        after.finish(request_id).await;
    }
    assert_eq!(after.post("/v1/generate", &picture("four", "a")).await.refusal(), "402 budget_exceeded");
    let expected = |key: &KeyId| (key.to_string(), "[\"z-image\",\"google/nano-banana\"]".to_owned(), 40);
    assert_eq!(policies(&app).await, [expected(&old.id), expected(&new.id)]);
    // To the second.
    app.advance(HOUR * 2 - SECOND);
    assert_eq!(models(&before).await, "200");
    app.advance(SECOND);
    assert_eq!(
        (models(&before).await, models(&after).await),
        ("401 expired_token".to_owned(), "200".to_owned())
    );
    assert_eq!(app.books().await, (CREDITS - 24, 0));
}

/// What an open task of the old key gives back, both keys get back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn released_credits_come_back_to_both_keys() {
    let app = TestApp::sqlite().await;
    let admin = app.admin();
    let (old, secret) = admin.key_create(&app.account, Scopes::ALL, "ci").await.expect("a key");
    admin
        .budget_set(&app.account, Subject::Key, old.id.as_str(), Period::Total, Credits(8))
        .await
        .expect("a cap");
    app.bearer(secret.expose()).picture("slow", "[[slow=5]] [[fail]]").await;
    let (_, fresh) = admin.key_rotate(&old.id, HOUR_MS).await.expect("rotated");
    let after = app.bearer(fresh.expose());
    assert_eq!(after.post("/v1/generate", &picture("next", "a")).await.refusal(), "402 budget_exceeded");
    app.advance(HOUR);
    app.settle().await;
    after.picture("next", "[[instant]]").await;
    after.finish("next").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_key_ends_with_its_tokens() {
    let app = TestApp::sqlite().await;
    let agent: &Agent = &app.agent;
    app.advance(DAY * 10);
    let token = json!({"refresh_token": agent.refresh_token});
    let data = app.anonymous().post("/api/v1/agents/auth/refresh", &token).await.ok();
    let (new, fresh) = app.admin().key_rotate(&id_of(&agent.key_id), 0).await.expect("rotated");
    // As long a life as the old one was given.
    assert_eq!(new.expires_at_ms, Some(app.now_ms() + 90 * 24 * HOUR_MS));
    assert!(fresh.expose().starts_with("ryn_agent_v1_"));
    assert_eq!(models(&app.agent_key()).await, "401 expired_token");
    assert_eq!(models(&app.bearer(&text(&data, "access_token"))).await, "401 expired_token");
    let token = json!({"refresh_token": data["refresh_token"]});
    let answer = app.anonymous().post("/api/v1/agents/auth/refresh", &token).await;
    assert_eq!(answer.refusal(), "401 expired_token");
    let mut next = agent.clone();
    next.api_key = fresh.expose().to_owned();
    next.signer.set_time(app.now_s());
    next.make_token(&app.anonymous()).await;
    assert_eq!(models(&app.bearer(&next.access_token)).await, "200");
    let me = app.bearer(&next.access_token).get("/v1/me").await.ok();
    assert_eq!((&me["agent"]["agent_id"], &me["key"]["key_name"]), (&json!(agent.id), &json!("demo-key")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_not_replaced() {
    let app = TestApp::sqlite().await;
    let admin = app.admin();
    let make =
        async |name: &str| admin.key_create(&app.account, Scopes::ALL, name).await.expect("a key").0.id;
    let (twice, revoked) = (make("twice").await, make("revoked").await);
    admin.key_revoke(&revoked).await.expect("revoked");
    assert_eq!(refused(admin.key_rotate(&revoked, 0).await), "was revoked: make a new one");
    let (second, _) = admin.key_rotate(&twice, HOUR_MS).await.expect("rotated");
    assert_eq!(
        refused(admin.key_rotate(&twice, HOUR_MS).await),
        "was replaced before: rotate the key that took its place"
    );
    let (third, _) = admin.key_rotate(&second.id, HOUR_MS).await.expect("rotated");
    assert_eq!(third.expires_at_ms, None);
    app.advance(HOUR);
    assert_eq!(refused(admin.key_rotate(&second.id, 0).await), "has expired: make a new one");
    for overlap_ms in [-1, 30 * 24 * HOUR_MS + 1] {
        assert_eq!(refused(admin.key_rotate(&third.id, overlap_ms).await), "must be 0 to 720 hours");
    }
    let mut stranger = admin.clone();
    stranger.reach = Reach::Account(app.other.clone());
    assert_eq!(refused(stranger.key_rotate(&third.id, 0).await), "NotFound");
    let unknown = KeyId::new(1, [7; 10]);
    assert_eq!(refused(admin.key_rotate(&unknown, 0).await), "NotFound");
}

/// Clients go over from one key to the next while they call without a pause.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotation_under_load_refuses_nobody() {
    let app = TestApp::sqlite().await;
    let (mut old, secret) = app.admin().key_create(&app.account, Scopes::ALL, "load").await.expect("a key");
    let current = Arc::new(RwLock::new(app.bearer(secret.expose())));
    let (calls, rotations) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut clients = JoinSet::new();
    for n in 0..8 {
        let (current, calls, rotations) = (Arc::clone(&current), Arc::clone(&calls), Arc::clone(&rotations));
        clients.spawn(async move {
            let mut refused = Vec::new();
            // Half of them take up the new key late.
            let mut mine = current.read().expect("a key").clone();
            while rotations.load(Ordering::SeqCst) < 10 {
                let seen = rotations.load(Ordering::SeqCst);
                if n % 2 == 0 || seen % 2 == 0 {
                    mine = current.read().expect("a key").clone();
                }
                let answer = models(&mine).await;
                calls.fetch_add(1, Ordering::SeqCst);
                if answer != "200" {
                    refused.push(answer);
                }
                // A call in process may never wait for anything.
                tokio::task::yield_now().await;
            }
            refused
        });
    }
    for _ in 0..10 {
        let (new, fresh) = app.admin().key_rotate(&old.id, HOUR_MS).await.expect("rotated");
        *current.write().expect("a key") = app.bearer(fresh.expose());
        // Whoever holds the key before this one is within the overlap.
        app.advance(Duration::from_secs(600));
        old = new;
        let at_least = calls.load(Ordering::SeqCst) + 40;
        let enough = async || (calls.load(Ordering::SeqCst) >= at_least).then_some(());
        crate::support::until("clients have called", enough).await;
        rotations.fetch_add(1, Ordering::SeqCst);
    }
    let refused: Vec<String> = clients.join_all().await.concat();
    assert_eq!(refused, Vec::<String>::new(), "of {} calls", calls.load(Ordering::SeqCst));
    app.advance(HOUR);
    assert_eq!(models(&app.bearer(secret.expose())).await, "401 expired_token");
}

/// Agents leave their lines as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_agents_do_to_keys_is_in_the_log() {
    let app = TestApp::sqlite().await;
    let mut agent = app.agent.clone();
    agent.make_key(&app.anonymous(), &["image"]).await;
    let revoke = json!({"key_id": agent.key_id});
    app.bearer(&agent.api_key).post("/api/v1/agents/keys/revoke", &revoke).await.ok();
    let refresh = json!({"refresh_token": agent.refresh_token});
    for status in [200, 401] {
        let answer = app.anonymous().post("/api/v1/agents/auth/refresh", &refresh).await;
        assert_eq!(answer.status, status);
    }
    let lines = app.admin().audit_lines(Some(&app.account), None, 50).await.expect("lines");
    let of = |kind: &str| {
        let mut found: Vec<(String, String)> = lines
            .iter()
            .filter(|line| line.actor_kind == kind && line.actor_id.is_empty() == (kind == "gateway"))
            .map(|line| (line.action.clone(), line.subject_id.clone()))
            .collect();
        found.sort();
        found
    };
    let mut expected = vec![
        ("key.created".to_owned(), app.agent.key_id.clone()),
        ("key.created".to_owned(), agent.key_id.clone()),
        ("key.revoked".to_owned(), agent.key_id.clone()),
    ];
    expected.sort();
    assert_eq!(of("agent"), expected);
    assert_eq!(of("gateway"), [("token.reused".to_owned(), agent.id.clone())]);
}
