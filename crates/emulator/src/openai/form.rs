//! The bodies of requests: forms with files, or JSON.
//!
//! Invariant: a field comes once, and a number in a form becomes a number. Not here: what may be in them.

use super::{INVALID, error, invalid};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Multipart, Request},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

/// Fields whose text in a form stands for a number.
const NUMBERS: [&str; 2] = ["n", "output_compression"];

/// A file of a form.
pub(super) struct File {
    pub(super) field: String,
    pub(super) mime: String,
    pub(super) bytes: Bytes,
}

/// A body, its nulls left out, and the files that came with it.
pub(super) struct Form {
    pub(super) fields: Value,
    pub(super) files: Vec<File>,
}

/// Reads either kind of body.
pub(super) async fn read(request: Request) -> Result<Form, Box<Response>> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("multipart/form-data")) {
        return read_form(request).await;
    }
    let body = Bytes::from_request(request, &()).await.map_err(|_| unreadable())?;
    json(&body)
}

/// Reads a body of JSON.
pub(super) fn json(body: &[u8]) -> Result<Form, Box<Response>> {
    let mut fields: Value = serde_json::from_slice(body).map_err(|_| unreadable())?;
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    Ok(Form { fields, files: Vec::new() })
}

async fn read_form(request: Request) -> Result<Form, Box<Response>> {
    let mut parts = Multipart::from_request(request, &()).await.map_err(|_| unreadable())?;
    let mut fields = Map::new();
    let mut files = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(|_| unreadable())? {
        let field = part.name().unwrap_or_default().to_owned();
        if part.file_name().is_some() {
            let mime = part.content_type().unwrap_or_default().to_owned();
            let bytes = part.bytes().await.map_err(|_| unreadable())?;
            files.push(File { field, mime, bytes });
            continue;
        }
        let text = part.text().await.map_err(|_| unreadable())?;
        let number = text.parse::<i64>().ok().filter(|_| NUMBERS.contains(&field.as_str()));
        let value = match (number, text.as_str(), field.as_str()) {
            (Some(number), ..) => json!(number),
            (None, "true" | "false", "stream") => json!(text == "true"),
            _ => json!(text),
        };
        if fields.insert(field.clone(), value).is_some() {
            return Err(Box::new(invalid(&field, "duplicate_parameter")));
        }
    }
    Ok(Form { fields: Value::Object(fields), files })
}

fn unreadable() -> Box<Response> {
    let message = "We could not parse the body of your request.";
    Box::new((StatusCode::BAD_REQUEST, Json(error(INVALID, "invalid_body", message))).into_response())
}
