//! Lines of keys: a key and the one that takes its place.
//!
//! Invariant: the keys of a line spend one cap together, whichever of them spends. Not here: what else a
//! rotation carries over (`key`).

use crate::support::{HOUR, TestApp, agent::text, client::picture};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
    id::KeyId,
    scope::Scopes,
};
use rynjer_server::app::Error;
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;

async fn cap(app: &TestApp, key: &KeyId, period: Period, limit: i64) {
    let set = app.admin().budget_set(&app.account, Subject::Key, key.as_str(), period, Credits(limit)).await;
    set.expect("a cap");
}

/// A leaked key and its successor are no two purses: 8 credits each, 24 in all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_is_spent_once_by_the_old_key_and_the_new() {
    let app = TestApp::sqlite().await;
    let admin = app.admin();
    let (first, secret) = admin.key_create(&app.account, Scopes::ALL, "ci").await.expect("a key");
    cap(&app, &first.id, Period::Total, 24).await;
    let (second, newer) = admin.key_rotate(&first.id, 4 * HOUR_MS).await.expect("rotated");
    let (old, new) = (app.bearer(secret.expose()), app.bearer(newer.expose()));
    old.picture("one", "[[instant]]").await;
    new.picture("two", "[[instant]]").await;
    // A third key: the first one still works, two places behind.
    let (third, newest) = admin.key_rotate(&second.id, 4 * HOUR_MS).await.expect("rotated");
    let newest = app.bearer(newest.expose());
    old.picture("three", "[[instant]]").await;
    for client in [&old, &new, &newest] {
        let answer = client.post("/v1/generate", &picture("more", "a")).await;
        assert_eq!(answer.refusal(), "402 budget_exceeded");
        let balance = client.get("/v1/credits/balance").await.ok();
        let caps: Vec<(&Value, &Value)> = balance["budgets"]
            .as_array()
            .expect("caps")
            .iter()
            .map(|cap| (&cap["limit"], &cap["spent"]))
            .collect();
        assert_eq!(caps, [(&json!(24), &json!(24))]);
    }
    // A limit that is set on any of them is the line's; it counts what the line has spent.
    cap(&app, &first.id, Period::Day, 32).await;
    cap(&app, &second.id, Period::Total, 1000).await;
    newest.picture("four", "[[instant]]").await;
    assert_eq!(old.post("/v1/generate", &picture("more", "a")).await.refusal(), "402 budget_exceeded");
    let shown = admin.budget_list(&app.account).await.expect("budgets");
    let mut shown: Vec<_> =
        shown.iter().map(|b| (b.subject_id.clone(), b.period.as_str(), b.limit.0, b.spent.0)).collect();
    shown.sort();
    let of = |key: &KeyId| [(key.to_string(), "day", 32, 32), (key.to_string(), "total", 1000, 32)];
    let mut expected = [of(&first.id), of(&second.id), of(&third.id)].concat();
    expected.sort();
    assert_eq!(shown, expected);
}

/// What an open task of either key gives back, it gives back once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_back_is_given_back_to_the_line() {
    let app = TestApp::sqlite().await;
    let admin = app.admin();
    let (first, secret) = admin.key_create(&app.account, Scopes::ALL, "ci").await.expect("a key");
    cap(&app, &first.id, Period::Total, 24).await;
    let old = app.bearer(secret.expose());
    old.picture("before", "[[slow=5]] [[fail]]").await;
    let (_, fresh) = admin.key_rotate(&first.id, 48 * HOUR_MS).await.expect("rotated");
    let new = app.bearer(fresh.expose());
    old.picture("during", "[[slow=5]] [[fail]]").await;
    new.picture("after", "[[instant]]").await;
    assert_eq!(old.post("/v1/generate", &picture("more", "a")).await.refusal(), "402 budget_exceeded");
    new.finish("after").await;
    app.advance(HOUR);
    app.settle().await;
    old.picture("again", "[[instant]]").await;
    new.picture("and", "[[instant]]").await;
    assert_eq!(new.post("/v1/generate", &picture("more", "a")).await.refusal(), "402 budget_exceeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_keeps_to_the_limit_of_live_keys() {
    let app = TestApp::with("[limits]\nkeys_per_agent = 1\n").await;
    let key = KeyId::parse(&app.agent.key_id).expect("a key's id");
    let refused = app.admin().key_rotate(&key, HOUR_MS).await.err();
    assert_eq!(refused, Some(Error::TooManyKeys { limit: 1 }));
    // Nothing of it is left, and without an overlap there is one key at every moment.
    let listed = app.agent_token().post("/api/v1/agents/keys/list", &json!({})).await.ok();
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(text(&listed["keys"][0], "status"), "active");
    app.admin().key_rotate(&key, 0).await.expect("rotated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_rotated_while_a_restored_installation_is_reconciled() {
    let app = TestApp::sqlite().await;
    let admin = app.admin();
    let (old, secret) = admin.key_create(&app.account, Scopes::ALL, "ci").await.expect("a key");
    app.bearer(secret.expose()).picture("open", "[[slow=60]]").await;
    assert_eq!(admin.restoration_begin().await, Ok(true));
    assert_eq!(admin.key_rotate(&old.id, 0).await.err(), Some(Error::Restoring));
    assert_eq!(admin.restoration_end().await, Ok(true));
    admin.key_rotate(&old.id, 0).await.expect("rotated");
}
