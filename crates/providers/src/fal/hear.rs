//! Whether a callback is fal's: Ed25519 over its ids, its time and the digest of its body.
//!
//! Invariant: keys are fetched at most once a minute, however many forged callbacks come, none is trusted for
//! more than a day, and a callback that a known key signed waits for no fetch. Not here: what a callback does
//! to a task.
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
use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};
use tokio::{sync::Mutex, time::timeout};
use url::Url;

/// How far a callback's time may be from ours.
const AGE_MAX_S: i64 = 300;
/// How long to wait before the keys are fetched once more.
const FETCH_GAP_S: i64 = 60;
/// How long keys are good.
const KEYS_MAX_S: i64 = 24 * 3600;
/// How long fetching the keys may take: until then the callbacks that need new ones wait.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
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
    known: RwLock<Known>,
    /// When they were asked for; whoever asks holds it.
    tried_s: Mutex<Option<i64>>,
}

#[derive(Default)]
struct Known {
    keys: Vec<VerifyingKey>,
    fetched_s: Option<i64>,
}

/// What known keys say of a callback.
#[derive(PartialEq, Eq)]
enum Verdict {
    Signed,
    /// By none of the keys, which are good.
    Strange,
    /// There are no keys that are good.
    Unknown,
}

impl Keys {
    pub(super) fn new(url: Url) -> Self {
        Self { url, known: RwLock::default(), tried_s: Mutex::default() }
    }

    /// Checks and reads a callback.
    pub(super) async fn hear(
        &self,
        upstream: &Upstream,
        callback: &Callback,
    ) -> Result<Heard, CallbackError> {
        let (message, signature) = signed(callback).ok_or(CallbackError::Forged)?;
        let verdict = || self.verdict(&message, &signature, callback.now_s);
        if verdict() != Verdict::Signed {
            let mut tried_s = self.tried_s.lock().await;
            // Whoever waited may find new keys here.
            let known = verdict();
            if known != Verdict::Signed {
                self.fetch(upstream, &mut tried_s, callback.now_s, known).await?;
            }
            drop(tried_s);
            if verdict() != Verdict::Signed {
                return Err(CallbackError::Forged);
            }
        }
        let body: Value = serde_json::from_slice(&callback.body).map_err(|_| CallbackError::Forged)?;
        let id = body["request_id"].as_str().and_then(plain_segment);
        Ok(Heard { provider_task_id: Some(id.ok_or(CallbackError::Forged)?) })
    }

    async fn fetch(
        &self,
        upstream: &Upstream,
        tried_s: &mut Option<i64>,
        now_s: i64,
        known: Verdict,
    ) -> Result<(), CallbackError> {
        if tried_s.is_some_and(|at| (now_s - at).abs() < FETCH_GAP_S) {
            let message = "the keys were asked for a moment ago, in vain".to_owned();
            let is_strange = known == Verdict::Strange;
            return Err(if is_strange { CallbackError::Forged } else { CallbackError::NotNow(message) });
        }
        *tried_s = Some(now_s);
        let not_now = |message: &str| CallbackError::NotNow(message.to_owned());
        let fetched = timeout(FETCH_TIMEOUT, upstream.fetch(self.url.as_str(), &LIMITS)).await;
        let bytes = fetched.map_err(|_| not_now("the keys did not come in time"))?;
        let bytes = bytes.map_err(|_| not_now("the keys could not be fetched"))?;
        let set: KeySet =
            serde_json::from_slice(&bytes).map_err(|_| not_now("the keys could not be read"))?;
        let keys = set.keys.iter().filter_map(Key::verifying).collect();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known { keys, fetched_s: Some(now_s) };
        Ok(())
    }

    fn verdict(&self, message: &[u8], signature: &Signature, now_s: i64) -> Verdict {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = known.fetched_s.is_some_and(|at| (now_s - at).abs() < KEYS_MAX_S);
        match (fresh, known.signed(message, signature)) {
            (true, true) => Verdict::Signed,
            (true, false) => Verdict::Strange,
            (false, _) => Verdict::Unknown,
        }
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
