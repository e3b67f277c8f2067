//! fal's callbacks and the key that signs them.
//!
//! Invariant: the signature is Ed25519 over the ids, the time and the digest of the body, each on a line. Not
//! here: sending them.

use super::errors;
use crate::{CallbackOut, Job, World, moment};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A stand-in has nothing to hide.
const SEED: [u8; 32] = [7; 32];
const USER_ID: &str = "user_stand_in";

/// What `/.well-known/jwks.json` shows.
pub(super) fn key_set() -> Value {
    let public = SigningKey::from_bytes(&SEED).verifying_key();
    let x = BASE64URL_NOPAD.encode(public.as_bytes());
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": x}]})
}

/// Keeps the callback of a job that wants one.
pub(super) fn tell(world: &World, job: &Job) {
    let Some(url) = job.callback_url.clone() else { return };
    let mut body = json!({"request_id": job.id, "gateway_request_id": format!("{}-1", job.id)});
    match &job.failure {
        None => {
            body["status"] = json!("OK");
            body["payload"] = job.input["output"].clone();
        }
        Some(failure) => {
            body["status"] = json!("ERROR");
            body["error"] = json!(errors::sentence(failure));
            body["payload"] = failure["body"].clone();
        }
    }
    let body = body.to_string();
    let now_s = moment::now_ms() / 1000;
    let digest = HEXLOWER.encode(&Sha256::digest(&body));
    let message = format!("{}\n{USER_ID}\n{now_s}\n{digest}", job.id);
    let signature = SigningKey::from_bytes(&SEED).sign(message.as_bytes());
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("x-fal-webhook-request-id", job.id.clone()),
        ("x-fal-webhook-user-id", USER_ID.to_owned()),
        ("x-fal-webhook-timestamp", now_s.to_string()),
        ("x-fal-webhook-signature", HEXLOWER.encode(&signature.to_bytes())),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
    world.callback(CallbackOut { url, headers, body: body.into() });
}
