//! kie's callbacks: who sent one, and which task it is about.
//!
//! Invariant: the signature covers the task's id and the time, not the body, so nothing else of the body is
//! believed. Not here: what became of the task; it is asked for.
//!
//! Source: docs.kie.ai/common-api/webhook-verification.

use super::wire::task_id;
use crate::{Callback, CallbackError, Heard, upstream::ApiKey};
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How far a callback's time may be from ours. kie states none.
const AGE_MAX_S: u64 = 300;

/// Without a key of ours kie signs nothing: the URL's own secret was checked before, and this is a hint.
pub(super) fn hear(key: Option<&ApiKey>, callback: &Callback) -> Result<Heard, CallbackError> {
    let body: serde_json::Value = serde_json::from_slice(&callback.body).unwrap_or_default();
    let provider_task_id = task_id(&body["data"]);
    if let Some(key) = key {
        let id = provider_task_id.as_deref().ok_or(CallbackError::Forged)?;
        check(key, id, callback).ok_or(CallbackError::Forged)?;
    }
    Ok(Heard { provider_task_id })
}

/// `None` unless the signature is right and fresh.
fn check(key: &ApiKey, id: &str, callback: &Callback) -> Option<()> {
    let sent = callback.header("x-webhook-timestamp")?;
    let fresh = callback.now_s.abs_diff(sent.parse().ok()?) <= AGE_MAX_S;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).ok()?;
    mac.update(format!("{id}.{sent}").as_bytes());
    let expected = BASE64.encode(&mac.finalize().into_bytes());
    let given = callback.header("x-webhook-signature")?;
    (bool::from(expected.as_bytes().ct_eq(given.as_bytes())) && fresh).then_some(())
}
