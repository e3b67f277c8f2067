//! Whether a callback is Replicate's: an HMAC over its id, its time and its body.
//!
//! Invariant: compared in constant time; one that is older than five minutes is refused. Not here: what a
//! callback does to a task.
//!
//! Source: PyPI `replicate` 1.0.7 `webhook.py`, replicate.com/docs/topics/webhooks.

use crate::{Callback, CallbackError, Heard, upstream::ApiKey};
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

const AGE_MAX_S: i64 = 300;

/// Checks and reads a callback.
pub(super) fn hear(secret: Option<&ApiKey>, callback: &Callback) -> Result<Heard, CallbackError> {
    let secret = secret.ok_or(CallbackError::Forged)?;
    if !is_signed(secret, callback).unwrap_or(false) {
        return Err(CallbackError::Forged);
    }
    let body: Value = serde_json::from_slice(&callback.body).map_err(|_| CallbackError::Forged)?;
    let id = body["id"].as_str().filter(|id| super::wire::is_id(id)).ok_or(CallbackError::Forged)?;
    Ok(Heard { provider_task_id: Some(id.to_owned()) })
}

/// `None` if something is missing or can't be read.
fn is_signed(secret: &ApiKey, callback: &Callback) -> Option<bool> {
    let (id, timestamp) = (callback.header("webhook-id")?, callback.header("webhook-timestamp")?);
    let seconds: i64 = timestamp.parse().ok()?;
    if callback.now_s.checked_sub(seconds)?.checked_abs()? > AGE_MAX_S {
        return None;
    }
    let key = BASE64.decode(secret.expose().trim_start_matches("whsec_").as_bytes()).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(&callback.body);
    let listed = callback.header("webhook-signature")?.split(' ');
    let decoded = listed.filter_map(|one| BASE64.decode(one.strip_prefix("v1,")?.as_bytes()).ok());
    // `verify_slice` compares in constant time.
    Some(decoded.take(8).any(|signature| mac.clone().verify_slice(&signature).is_ok()))
}
