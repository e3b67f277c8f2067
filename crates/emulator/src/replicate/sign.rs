//! Replicate's callbacks: the prediction, signed with the account's secret.
//!
//! Invariant: the signature is HMAC-SHA256 over id, time and body. Not here: sending them.

use crate::{CallbackOut, Job, World, moment};
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A stand-in has nothing to hide.
pub(super) const SECRET: &str = "whsec_c3RhbmQtaW4tc2VjcmV0LW9mLXJlcGxpY2F0ZQ==";

/// Keeps the callback of a prediction that wants one, as of its end.
pub(super) fn tell(world: &World, job: &Job) {
    let Some(url) = job.callback_url.clone() else { return };
    let body = super::shown(world, job, true).to_string();
    let (id, now_s) = (format!("msg_{}", job.id), moment::now_ms() / 1000);
    let key = BASE64.decode(SECRET.trim_start_matches("whsec_").as_bytes()).unwrap_or_default();
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return };
    mac.update(format!("{id}.{now_s}.{body}").as_bytes());
    let signature = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id),
        ("webhook-timestamp", now_s.to_string()),
        ("webhook-signature", signature),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
    world.callback(CallbackOut { url, headers, body: body.into() });
}
