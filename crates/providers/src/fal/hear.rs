//! Whether a callback is fal's: Ed25519 over its ids, its time and the digest of its body.
//!
//! Invariant: keys are fetched at most once a minute, however many forged callbacks come, and none is trusted
//! for more than a day. Not here: what a callback does to a task.
//!
//! Source: docs.fal.ai, webhooks; several open-source verifiers with the same algorithm.

use crate::{
    Callback, CallbackError, Heard,
    guarded::FetchLimits,
    upstream::{Upstream, plain_segment},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use url::Url;

/// How far a callback's time may be from ours.
const AGE_MAX_S: i64 = 300;
/// How long to wait before the keys are fetched once more.
const FETCH_GAP_S: i64 = 60;
/// How long keys are good.
const KEYS_MAX_S: i64 = 24 * 3600;
const LIMITS: FetchLimits = FetchLimits { max_bytes: 64 << 10, max_pixels: 0 };

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
}

/// fal's public keys, as far as they are known.
pub(super) struct Keys {
    url: Url,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: Vec<VerifyingKey>,
    fetched_s: Option<i64>,
    tried_s: Option<i64>,
}

impl Keys {
    pub(super) fn new(url: Url) -> Self {
        Self { url, known: Mutex::default() }
    }

    /// Checks and reads a callback.
    pub(super) async fn hear(
        &self,
        upstream: &Upstream,
        callback: &Callback,
    ) -> Result<Heard, CallbackError> {
        let (message, signature) = signed(callback).ok_or(CallbackError::Forged)?;
        let mut known = self.known.lock().await;
        let fresh = known.fetched_s.is_some_and(|at| (callback.now_s - at).abs() < KEYS_MAX_S);
        if !(fresh && known.signed(&message, &signature)) {
            self.fetch(upstream, &mut known, callback.now_s, fresh).await?;
            if !known.signed(&message, &signature) {
                return Err(CallbackError::Forged);
            }
        }
        drop(known);
        let body: Value = serde_json::from_slice(&callback.body).map_err(|_| CallbackError::Forged)?;
        let id = body["request_id"].as_str().and_then(plain_segment);
        Ok(Heard { provider_task_id: Some(id.ok_or(CallbackError::Forged)?) })
    }

    async fn fetch(
        &self,
        upstream: &Upstream,
        known: &mut Known,
        now_s: i64,
        fresh: bool,
    ) -> Result<(), CallbackError> {
        if known.tried_s.is_some_and(|at| (now_s - at).abs() < FETCH_GAP_S) {
            let message = "the keys were asked for a moment ago, in vain".to_owned();
            return if fresh { Err(CallbackError::Forged) } else { Err(CallbackError::NotNow(message)) };
        }
        known.tried_s = Some(now_s);
        let not_now = |message: &str| CallbackError::NotNow(message.to_owned());
        let bytes = upstream.fetch(self.url.as_str(), &LIMITS).await;
        let bytes = bytes.map_err(|_| not_now("the keys could not be fetched"))?;
        let set: KeySet =
            serde_json::from_slice(&bytes).map_err(|_| not_now("the keys could not be read"))?;
        known.keys = set.keys.iter().filter_map(Key::verifying).collect();
        known.fetched_s = Some(now_s);
        Ok(())
    }
}

impl Known {
    fn signed(&self, message: &[u8], signature: &Signature) -> bool {
        self.keys.iter().any(|key| key.verify_strict(message, signature).is_ok())
    }
}

impl Key {
    fn verifying(&self) -> Option<VerifyingKey> {
        let bytes = BASE64URL_NOPAD.decode(self.x.trim_end_matches('=').as_bytes()).ok()?;
        let key = VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()?;
        (self.crv == "Ed25519").then_some(key)
    }
}

/// What must have been signed, and the signature; `None` if a header is missing or the callback is too old.
fn signed(callback: &Callback) -> Option<(Vec<u8>, Signature)> {
    let request = callback.header("x-fal-webhook-request-id")?;
    let user = callback.header("x-fal-webhook-user-id")?;
    let timestamp = callback.header("x-fal-webhook-timestamp")?;
    let seconds: i64 = timestamp.parse().ok()?;
    if callback.now_s.checked_sub(seconds)?.checked_abs()? > AGE_MAX_S {
        return None;
    }
    let digest = HEXLOWER.encode(&Sha256::digest(&callback.body));
    let hex = callback.header("x-fal-webhook-signature")?;
    let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
    let signature = Signature::from_bytes(&bytes.try_into().ok()?);
    Some((format!("{request}\n{user}\n{timestamp}\n{digest}").into_bytes(), signature))
}
