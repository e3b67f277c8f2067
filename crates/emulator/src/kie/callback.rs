//! The callbacks of tasks, signed, as they would come.
//!
//! Invariant: the signature is over the id and the time alone. Not here: sending them over the wire.
//!
//! Source: docs.kie.ai/common-api/webhook-verification and the callback pages of each API.

use super::record::{Stage, data};
use super::{Api, WEBHOOK_KEY};
use crate::{CallbackOut, Job, World};
use bytes::Bytes;
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// When all callbacks are signed, in seconds since 1970.
const SIGNED_AT_S: i64 = 1_770_000_000;

/// Puts all callbacks of a task where tests find them.
pub(super) fn send(world: &World, api: Api, job: &Job) {
    let Some(url) = &job.callback_url else { return };
    for body in bodies(api, job) {
        let headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("x-webhook-timestamp".to_owned(), SIGNED_AT_S.to_string()),
            ("x-webhook-signature".to_owned(), sign(&job.id)),
        ];
        world.callback(CallbackOut { url: url.clone(), headers, body: Bytes::from(body.to_string()) });
    }
}

fn sign(id: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(WEBHOOK_KEY.as_bytes()) else { return String::new() };
    mac.update(format!("{id}.{SIGNED_AT_S}").as_bytes());
    BASE64.encode(&mac.finalize().into_bytes())
}

fn bodies(api: Api, job: &Job) -> Vec<Value> {
    let failed = job.failure.is_some();
    let record = data(api, job, Stage::Done);
    let (code, text) = if failed { (501, "failed") } else { (200, "success") };
    match api {
        Api::Market => vec![json!({"code": code, "msg": text, "data": record})],
        Api::Veo => {
            let info = json!({"resultUrls": job.files, "originUrls": [], "resolution": "720p"});
            let info = if failed { Value::Null } else { info };
            vec![json!({"code": code, "msg": text,
                "data": {"taskId": job.id, "info": info, "fallbackFlag": false}})]
        }
        Api::FourO => {
            let info = if failed { Value::Null } else { json!({"result_urls": job.files}) };
            vec![json!({"code": code, "msg": text, "data": {"taskId": job.id, "info": info}})]
        }
        Api::Suno if failed => vec![json!({"code": code, "msg": text,
            "data": {"callbackType": "error", "task_id": job.id, "data": []}})],
        Api::Suno => {
            let track = |url: &String| {
                json!({"id": url, "audio_url": url, "stream_audio_url": url,
                "image_url": format!("{url}.jpeg"), "prompt": job.input["prompt"], "model_name": "chirp",
                "title": "A stand-in", "tags": "calm", "createTime": "2026-02-02 02:40:20", "duration": 2.0})
            };
            let tracks: Vec<Value> = job.files.iter().map(track).collect();
            let part = |kind: &str, tracks: &[Value]| {
                json!({"code": 200, "msg": text,
                "data": {"callbackType": kind, "task_id": job.id, "data": tracks}})
            };
            vec![
                part("text", &[]),
                part("first", tracks.get(..1).unwrap_or_default()),
                part("complete", &tracks),
            ]
        }
    }
}
