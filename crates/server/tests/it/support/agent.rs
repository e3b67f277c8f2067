//! Agents with real Ed25519 keys: signing, and the way from registration to an access token.
//!
//! Invariant: the signed bytes are made here by hand (sorted keys, no spaces), not by the code under test.
//! Not here: what else clients do (`client`).

use super::{Client, START_S, canary};
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer as _, SigningKey};
use rynjer_core::{id::AccountId, scope::Scopes};
use rynjer_server::app::admin::Admin;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

static NONCES: AtomicU64 = AtomicU64::new(1);

/// A nonce that no other call of this process used.
pub(crate) fn fresh_nonce() -> String {
    format!("nonce-{:08}", NONCES.fetch_add(1, Ordering::Relaxed))
}

/// An Ed25519 key that signs requests at a settable time.
#[derive(Clone)]
pub(crate) struct Signer {
    key: SigningKey,
    now_s: Arc<AtomicI64>,
}

impl Signer {
    /// The key of that number, at the time that tests start at.
    pub(crate) fn new(seed: u8) -> Self {
        Self::at(seed, START_S)
    }

    pub(crate) fn at(seed: u8, now_s: i64) -> Self {
        Self { key: SigningKey::from_bytes(&[seed; 32]), now_s: Arc::new(AtomicI64::new(now_s)) }
    }

    /// The time that it signs from now on.
    pub(crate) fn set_time(&self, now_s: i64) {
        self.now_s.store(now_s, Ordering::SeqCst);
    }

    pub(crate) fn public_hex(&self) -> String {
        HEXLOWER.encode(self.key.verifying_key().as_bytes())
    }

    /// Adds time, nonce and signature.
    pub(crate) fn sign(&self, body: &Value) -> Value {
        let mut body = body.clone();
        for (name, value) in
            [("timestamp", json!(self.now_s.load(Ordering::SeqCst))), ("nonce", json!(fresh_nonce()))]
        {
            if body.get(name).is_none() {
                body[name] = value;
            }
        }
        self.sign_as_is(&body)
    }

    /// Adds the signature alone.
    pub(crate) fn sign_as_is(&self, body: &Value) -> Value {
        let mut body = body.clone();
        let signature = self.key.sign(sorted(&body).as_bytes());
        body["signature"] = json!(HEXLOWER.encode(&signature.to_bytes()));
        body
    }

    pub(crate) fn registration(&self) -> Value {
        self.sign(&json!({
            "public_key": self.public_hex(),
            "agent_name": "Demo Agent",
            "agent_version": "0.1.0",
        }))
    }
}

/// Sorted keys and no spaces; enough for ASCII keys, text and whole numbers.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let ordered: BTreeMap<&String, &Value> = object.iter().collect();
            let pairs: Vec<String> =
                ordered.iter().map(|(name, value)| format!("{}:{}", json!(name), sorted(value))).collect();
            format!("{{{}}}", pairs.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(sorted).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

/// A bound agent with its credentials.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) signer: Signer,
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) key_id: String,
    pub(crate) api_key: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl Agent {
    /// Registers, is bound with every scope, makes a key and a token.
    pub(crate) async fn ready(client: &Client, admin: &Admin, account: &AccountId, signer: Signer) -> Self {
        let mut agent = Self::registered(client, signer).await;
        admin.agent_bind(&agent.code, account, Scopes::ALL, None).await.expect("a binding");
        agent.make_key(client, &["image", "video", "music", "credits:read"]).await;
        agent.make_token(client).await;
        agent
    }

    /// Registers only.
    pub(crate) async fn registered(client: &Client, signer: Signer) -> Self {
        let data = client.post("/api/v1/agents/register", &signer.registration()).await.ok();
        canary::plant("a registration code", &text(&data, "registration_code"));
        canary::plant("a user code", &text(&data, "user_code"));
        Self {
            id: text(&data, "agent_id"),
            code: text(&data, "registration_code"),
            signer,
            key_id: String::new(),
            api_key: String::new(),
            access_token: String::new(),
            refresh_token: String::new(),
        }
    }

    /// A signed request for a key.
    pub(crate) fn key_request(&self, scopes: &[&str]) -> Value {
        self.signer.sign(&json!({
            "agent_id": self.id,
            "registration_code": self.code,
            "key_name": "demo-key",
            "scopes": scopes,
            "expires_in_days": 90,
        }))
    }

    /// A signed request for a token.
    pub(crate) fn token_request(&self, scopes: &[&str]) -> Value {
        self.signer.sign(&json!({"agent_id": self.id, "scopes": scopes}))
    }

    pub(crate) async fn make_key(&mut self, client: &Client, scopes: &[&str]) {
        let data = client.post("/api/v1/agents/keys/create", &self.key_request(scopes)).await.ok();
        self.key_id = text(&data, "key_id");
        self.api_key = text(&data, "api_key");
        canary::plant("an agent's key", &self.api_key);
    }

    /// Exchanges the key for a token with all of the key's scopes.
    pub(crate) async fn make_token(&mut self, client: &Client) {
        let request = self.signer.sign(&json!({"agent_id": self.id}));
        let bearer = client.with("authorization", &format!("Bearer {}", self.api_key));
        let data = bearer.post("/api/v1/agents/auth/token", &request).await.ok();
        self.access_token = text(&data, "access_token");
        self.refresh_token = text(&data, "refresh_token");
        canary::plant("an access token", &self.access_token);
        canary::plant("a refresh token", &self.refresh_token);
    }
}

/// A text of an answer.
#[track_caller]
pub(crate) fn text(data: &Value, name: &str) -> String {
    data[name].as_str().unwrap_or_else(|| panic!("no {name} in {data:#}")).to_owned()
}
