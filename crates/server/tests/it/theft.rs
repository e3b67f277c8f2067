//! Games between an agent and the thief of one of its refresh tokens.
//!
//! Invariant: whoever comes second, after however many honest refreshes, ends the family, and nothing of it
//! lives on. Not here: single cases (`token`).

use crate::support::{Agent, TestApp, agent::text};
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::{sync::Barrier, task::JoinSet};

const REFRESH: &str = "/api/v1/agents/auth/refresh";
/// Refreshes before the theft, at most.
const DEPTH_MAX: u64 = 20;
/// So many in every run; `RYNJER_THEFT_GAMES` asks for more.
const GAMES: u64 = 1000;
/// Games at once share the commits of the store.
const AT_ONCE: usize = 64;

/// Numbers of one game, the same in each run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// All that ever was given out of one family.
struct Family<'a> {
    app: &'a TestApp,
    refresh: Vec<String>,
    access: Vec<String>,
}

impl Family<'_> {
    fn keep(&mut self, pair: &Value) -> String {
        let refresh = text(pair, "refresh_token");
        self.refresh.push(refresh.clone());
        self.access.push(text(pair, "access_token"));
        refresh
    }

    /// One unsigned refresh; none if it was refused.
    async fn spend(&mut self, token: &str) -> Option<String> {
        let answer = self.app.anonymous().post(REFRESH, &json!({"refresh_token": token})).await;
        if answer.status != 200 {
            assert_eq!(answer.refusal(), "401 invalid_token");
            return None;
        }
        Some(self.keep(&answer.ok()))
    }

    /// Whatever of the family still opens something.
    async fn alive(&self) -> Vec<String> {
        let mut alive = Vec::new();
        for token in &self.access {
            if self.app.bearer(token).get("/v1/me").await.status == 200 {
                alive.push(token.clone());
            }
        }
        for token in &self.refresh {
            let body = json!({"refresh_token": token});
            if self.app.anonymous().post(REFRESH, &body).await.status == 200 {
                alive.push(token.clone());
            }
        }
        alive
    }
}

async fn play(app: &TestApp, number: u64) -> String {
    let mut dice = Dice(number);
    let request = app.agent.signer.sign(&json!({"agent_id": app.agent.id}));
    let pair = app.agent_key().post("/api/v1/agents/auth/token", &request).await.ok();
    let mut family = Family { app, refresh: Vec::new(), access: Vec::new() };
    let mut newest = family.keep(&pair);
    let depth = 1 + dice.roll(DEPTH_MAX);
    for _ in 1..depth {
        newest = family.spend(&newest).await.expect("an honest refresh");
    }
    // The thief has some token of the family: the newest, or one from before.
    let newest_stolen = dice.roll(4) > 0;
    let at =
        if newest_stolen { family.refresh.len() as u64 - 1 } else { dice.roll(family.refresh.len() as u64) };
    let stolen = family.refresh[usize::try_from(at).expect("an index")].clone();
    let thief_first = dice.roll(2) == 0;
    let (mut thief, mut victim) = (stolen, newest);
    // Both go on for a while, each with the newest token that they have, until one finds the family dead.
    for turn in 0..6 {
        let thief_moves = (turn % 2 == 0) == thief_first;
        let mover = if thief_moves { &mut thief } else { &mut victim };
        match family.spend(mover).await {
            Some(next) => *mover = next,
            None => break,
        }
    }
    let alive = family.alive().await;
    if alive.is_empty() { String::new() } else { format!("game {number}: {} live tokens", alive.len()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_survives_a_theft() {
    let app = TestApp::sqlite().await;
    let games = std::env::var("RYNJER_THEFT_GAMES").map_or(GAMES, |text| text.parse().expect("a number"));
    let played = stream::iter(0..games).map(|number| play(&app, number)).buffer_unordered(AT_ONCE);
    let lost: Vec<String> = played.filter(|lost| std::future::ready(!lost.is_empty())).collect().await;
    assert_eq!(lost, Vec::<String>::new(), "of {games} games");
    // The agent itself is none the worse.
    let mut agent: Agent = app.agent.clone();
    agent.make_token(&app.anonymous()).await;
    assert_eq!(app.bearer(&agent.access_token).get("/v1/me").await.status, 200);
}

/// A hundred at one moment, many times: one is given a successor at most, and it is worth nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_present_one_token() {
    let app = TestApp::sqlite().await;
    for round in 0..10 {
        let mut agent = app.agent.clone();
        agent.make_token(&app.anonymous()).await;
        let start = std::sync::Arc::new(Barrier::new(100));
        let given = std::sync::Arc::new(AtomicUsize::new(0));
        let mut calls = JoinSet::new();
        for _ in 0..100 {
            let (stranger, start, given) = (app.anonymous(), start.clone(), given.clone());
            let body = json!({"refresh_token": agent.refresh_token});
            calls.spawn(async move {
                start.wait().await;
                let answer = stranger.post(REFRESH, &body).await;
                if answer.status != 200 {
                    assert_eq!(answer.refusal(), "401 invalid_token");
                    return None;
                }
                given.fetch_add(1, Ordering::SeqCst);
                Some(answer.ok())
            });
        }
        let pairs: Vec<Value> = calls.join_all().await.into_iter().flatten().collect();
        assert_eq!((pairs.len(), given.load(Ordering::SeqCst)), (1, 1), "round {round}");
        let mut family =
            Family { app: &app, refresh: vec![agent.refresh_token], access: vec![agent.access_token] };
        family.keep(&pairs[0]);
        assert_eq!(family.alive().await, Vec::<String>::new(), "round {round}");
    }
}
