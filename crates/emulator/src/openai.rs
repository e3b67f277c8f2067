//! OpenAI's images API: generations and edits, answered at once with base64.
//!
//! Invariant: shapes and codes are those of its Python package 3.54.0 and its error guide. Not here: faults,
//! videos.

use crate::{ErrorCase, Expected, Fault, Job, World, control::Made, media};
use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// The size of `auto`.
const USUAL_SIZE: &str = "1024x1024";

/// Behind the host.
pub(crate) const BASE_PATH: &str = "/v1";

/// Calls that make pictures.
pub(crate) fn submits(method: &str, path: &str) -> bool {
    method == "POST" && path.starts_with("/v1/images/")
}

pub(crate) fn router(world: World) -> Router {
    Router::new()
        .route("/v1/images/generations", post(generations))
        .route("/v1/images/edits", post(edits))
        .with_state(world)
}

async fn generations(State(world): State<World>, Json(body): Json<Value>) -> Response {
    let size = body["size"].as_str().unwrap_or(USUAL_SIZE).to_owned();
    let count = body["n"].as_u64().unwrap_or(1);
    images(&world, body, &size, count)
}

/// The fields of a form that matter here, as the SDK writes them: one part each, its value on a line of its
/// own.
async fn edits(State(world): State<World>, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body).into_owned();
    let field = |name: &str| {
        let (_, rest) = text.split_once(&format!("name=\"{name}\"\r\n"))?;
        let (_, rest) = rest.split_once("\r\n")?;
        Some(rest.trim_start_matches("\r\n").split("\r\n").next()?.to_owned())
    };
    let pictures = text.matches("filename=").count();
    if pictures == 0 {
        return refused(StatusCode::BAD_REQUEST, "invalid_request_error", "missing_required_parameter");
    }
    let size = field("size").unwrap_or_else(|| USUAL_SIZE.to_owned());
    let count = field("n").and_then(|n| n.parse().ok()).unwrap_or(1);
    let input = json!({"model": field("model"), "prompt": field("prompt"), "n": count, "size": size,
        "images": pictures});
    images(&world, input, &size, count)
}

fn images(world: &World, input: Value, size: &str, count: u64) -> Response {
    let size = if size == "auto" { USUAL_SIZE } else { size };
    let pixels = size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let Some((width, height)) = pixels.filter(|(w, h): &(u32, u32)| w % 16 == 0 && h % 16 == 0) else {
        return refused(StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_value");
    };
    let job = world.make(Job {
        id: format!("img_{}", world.number()),
        model: input["model"].as_str().unwrap_or_default().to_owned(),
        input,
        ..Job::default()
    });
    let picture = BASE64.encode(&media::picture(width, height));
    let data: Vec<Value> = (0..count).map(|_| json!({"b64_json": picture})).collect();
    let body = json!({
        "created": 1_770_000_000, "data": data, "size": format!("{width}x{height}"), "quality": "medium",
        "background": "opaque", "output_format": "png",
        "usage": {"input_tokens": 12, "output_tokens": 1056 * count, "total_tokens": 12 + 1056 * count,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 12}},
    });
    (Extension(Made(vec![job.id])), Json(body)).into_response()
}

fn error(kind: &str, code: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn refused(status: StatusCode, kind: &str, code: &str) -> Response {
    (status, Json(error(kind, code, "Invalid value."))).into_response()
}

/// Its error guide, by case.
pub(crate) fn errors() -> Vec<ErrorCase> {
    let case = |name, status, kind, code, message, expected| ErrorCase {
        name,
        fault: Fault::Answer { status, headers: Vec::new(), body: error(kind, code, message) },
        expected,
    };
    let invalid = "invalid_request_error";
    let moderation = "Your request was rejected by the safety system. safety_violations=[violence].";
    let mut cases = vec![
        case("bad key", 401, invalid, "invalid_api_key", "Incorrect API key provided.", Expected::Unusable),
        case("region", 403, invalid, "unsupported_country_region_territory", "No.", Expected::Unusable),
        case("rate limit", 429, "requests", "rate_limit_exceeded", "Slow down.", Expected::NotNow),
        case("quota", 429, "insufficient_quota", "insufficient_quota", "No quota.", Expected::Unusable),
        case("hard limit", 400, invalid, "billing_hard_limit_reached", "Limit.", Expected::Unusable),
        case(
            "moderation",
            400,
            "image_generation_user_error",
            "moderation_blocked",
            moderation,
            Expected::Refused("content_rejected"),
        ),
        case("old moderation", 400, invalid, "content_policy_violation", "No.", {
            Expected::Refused("content_rejected")
        }),
        case("invalid", 400, invalid, "invalid_value", "Bad size.", Expected::Refused("provider_failed")),
        case("retired model", 404, invalid, "model_not_found", "No such model.", Expected::Unusable),
        case("internal", 500, "server_error", "internal_error", "Oops.", Expected::Unknown),
    ];
    let body = json!({"created": 1, "data": []});
    let fault = Fault::Answer { status: 200, headers: Vec::new(), body };
    cases.push(ErrorCase { name: "no picture", fault, expected: Expected::Refused("content_rejected") });
    cases
}
