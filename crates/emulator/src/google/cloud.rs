//! The cloud platform: tokens for a service account, and Veo's long-running operations.
//!
//! Invariant: a token is given for an assertion that the account's own key signed, and Veo wants one. Not
//! here: buckets.

use super::{is_file, pixels, refusal, unknown};
use crate::{Job, World, control::Made, media};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

const PRIVATE_KEY: &str = include_str!("service_account.pem");
const PUBLIC_KEY: &str = include_str!("service_account.pub.pem");
const EMAIL: &str = "stand-in@stand-in.iam.gserviceaccount.com";
const KEY_ID: &str = "0123456789abcdef";
const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
const REAL_AUDIENCE: &str = "https://oauth2.googleapis.com/token";
const TOKEN: &str = "ya29.stand-in-";
const CLIP_AREA: f64 = 15_360.0;
const CLIP_MS: u32 = 500;
const PARAMETERS: [&str; 14] = [
    "sampleCount",
    "durationSeconds",
    "aspectRatio",
    "resolution",
    "personGeneration",
    "negativePrompt",
    "storageUri",
    "fps",
    "seed",
    "generateAudio",
    "enhancePrompt",
    "compressionQuality",
    "pubsubTopic",
    "resizeMode",
];
const MODELS: [&str; 3] = ["veo-3.1-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001"];

/// The JSON file of the only service account that a stand-in at this address knows. Its key is no secret.
#[must_use]
pub fn service_account(origin: &str) -> String {
    let account = json!({
        "type": "service_account", "project_id": "stand-in", "private_key_id": KEY_ID,
        "private_key": PRIVATE_KEY, "client_email": EMAIL, "client_id": "100000000000000000000",
        "token_uri": format!("{origin}/token"), "universe_domain": "googleapis.com",
    });
    account.to_string()
}

pub(super) async fn credentials(State(world): State<World>) -> String {
    service_account(world.origin())
}

pub(super) async fn token(State(world): State<World>, body: String) -> Response {
    let refused = |error: &str, description: &str| {
        refusal::answer(400, &json!({"error": error, "error_description": description}))
    };
    let mut pairs = body.split('&');
    if !pairs.clone().any(|pair| pair == GRANT) {
        return refused("unsupported_grant_type", "Invalid grant_type");
    }
    let assertion = pairs.find_map(|pair| pair.strip_prefix("assertion=")).unwrap_or_default();
    if claims(assertion, &format!("{}/token", world.origin())).is_none() {
        return refused("invalid_grant", "Invalid JWT Signature.");
    }
    let token = format!("{TOKEN}{}", world.number());
    Json(json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})).into_response()
}

fn claims(assertion: &str, audience: &str) -> Option<Value> {
    let key = DecodingKey::from_rsa_pem(PUBLIC_KEY.as_bytes()).ok()?;
    let mut validation = Validation::new(Algorithm::RS256);
    // Google's own package names the real host, whatever the account's file says.
    validation.set_audience(&[audience, REAL_AUDIENCE]);
    validation.set_issuer(&[EMAIL]);
    validation.set_required_spec_claims(&["iss", "aud", "exp"]);
    // A stand-in has no clock; the length of its life is all that it can check.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Value>(assertion, &key, &validation).ok()?.claims;
    let life = claims["exp"].as_i64()?.checked_sub(claims["iat"].as_i64()?)?;
    let scope = claims["scope"].as_str()?.contains("https://www.googleapis.com/auth/cloud-platform");
    ((1..=3600).contains(&life) && scope).then_some(claims)
}

pub(super) async fn veo(
    State(world): State<World>,
    Path((project, location, call)): Path<(String, String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !bearer.strip_prefix("Bearer ").is_some_and(|token| token.starts_with(TOKEN)) {
        let message = "Request had invalid authentication credentials.";
        return refusal::answer(401, &refusal::numbered(401, "UNAUTHENTICATED", message, &[]));
    }
    let (model, verb) = call.split_once(':').unwrap_or_default();
    if !MODELS.contains(&model) {
        return refusal::answer(404, &refusal::no_model(model));
    }
    let resource = format!("projects/{project}/locations/{location}/publishers/google/models/{model}");
    match verb {
        "predictLongRunning" => match checked(&body) {
            Ok(ratio) => begun(&world, &resource, body, &ratio),
            Err(message) => refusal::invalid(&message),
        },
        "fetchPredictOperation" => {
            asked(&world, &resource, body["operationName"].as_str().unwrap_or_default())
        }
        _ => refusal::answer(404, &refusal::no_model(model)),
    }
}

/// The shape, or what is wrong with the request.
fn checked(body: &Value) -> Result<String, String> {
    let (instance, parameters) = (&body["instances"][0], &body["parameters"]);
    let pictures = ["prompt", "image", "lastFrame", "referenceImages", "video", "mask"];
    let wrong = [
        unknown(body, &["instances", "parameters"]),
        unknown(instance, &pictures),
        unknown(parameters, &PARAMETERS),
    ];
    if let Some(name) = wrong.into_iter().flatten().next() {
        return Err(format!("Unknown field {name}"));
    }
    let is_picture = |image: &Value| {
        image.is_null() || image["mimeType"].is_string() && is_file(&image["bytesBase64Encoded"])
    };
    let references = instance["referenceImages"].as_array().cloned().unwrap_or_default();
    let references_good = references.len() <= 3
        && (references.is_empty() || instance["image"].is_null())
        && references.iter().all(|one| is_picture(&one["image"]) && one["referenceType"] == "asset");
    if !is_picture(&instance["image"]) || !references_good {
        return Err("Provided image is not valid.".to_owned());
    }
    if !instance["prompt"].is_string() && instance["image"].is_null() {
        return Err("Prompt is missing".to_owned());
    }
    let number = |name: &str, known: &dyn Fn(u64) -> bool| {
        let value = &parameters[name];
        if value.is_null() || value.as_u64().is_some_and(known) { Ok(()) } else { Err(format!("Bad {name}")) }
    };
    number("sampleCount", &|count| (1..=4).contains(&count))?;
    number("durationSeconds", &|seconds| [4, 6, 8].contains(&seconds))?;
    number("seed", &|seed| u32::try_from(seed).is_ok())?;
    let word = |name: &str, known: &[&str], absent: &str| {
        let value = &parameters[name];
        let text = if value.is_null() { Some(absent) } else { value.as_str() };
        text.filter(|text| known.contains(text)).map(str::to_owned).ok_or_else(|| format!("Bad {name}"))
    };
    word("resolution", &["720p", "1080p", "4k"], "720p")?;
    word("aspectRatio", &["16:9", "9:16"], "16:9")
}

fn begun(world: &World, resource: &str, input: Value, ratio: &str) -> Response {
    let id = format!("{resource}/operations/{}", world.number());
    // Keeps the shape for the clip, which is made when it is asked for.
    let files = vec![ratio.to_owned()];
    let job = world.make(Job { id, model: resource.to_owned(), input, files, ..Job::default() });
    (Extension(Made(vec![job.id.clone()])), Json(json!({"name": job.id}))).into_response()
}

fn asked(world: &World, resource: &str, name: &str) -> Response {
    let known = world.ask(name).filter(|(job, _)| job.model == resource);
    let Some((job, done)) = known else {
        let message = format!("Operation {name} not found.");
        return refusal::answer(404, &refusal::numbered(404, "NOT_FOUND", &message, &[]));
    };
    if !done {
        return Json(json!({"name": name})).into_response();
    }
    if let Some(Value::Object(mut failure)) = job.failure {
        failure.insert("name".to_owned(), json!(name));
        failure.insert("done".to_owned(), json!(true));
        return Json(Value::Object(failure)).into_response();
    }
    let ratio = job.files.first().map_or("16:9", String::as_str);
    let (width, height) = pixels(ratio, CLIP_AREA).unwrap_or((160, 96));
    let clip = BASE64.encode(&media::clip(width, height, CLIP_MS));
    let count = job.input["parameters"]["sampleCount"].as_u64().unwrap_or(1);
    let clip = json!({"bytesBase64Encoded": clip, "mimeType": "video/mp4"});
    let videos: Vec<Value> = (0..count).map(|_| clip.clone()).collect();
    let kind = "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse";
    let response = json!({"@type": kind, "raiMediaFilteredCount": 0, "videos": videos});
    Json(json!({"name": name, "done": true, "response": response})).into_response()
}
