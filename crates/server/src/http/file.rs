//! `POST /v1/files`, `GET` and `DELETE /v1/files/{file_id}`, and `GET /files/…` by signed URLs.
//!
//! Invariant: an upload is one part named `file`; nothing of a broken body is kept. Not here: what a picture
//! must be (`app::upload`), parts of a body (`form`), who sees a file (`app::file`).

use crate::{
    app::{Error, file, upload},
    http::{
        error::Fail,
        extract::{Auth, Shared, body_patience},
        form::{AROUND_PARTS_BYTES, Form, Part},
        link::{self, Signed},
    },
    state::App,
};
use axum::{
    extract::{DefaultBodyLimit, Path, Request, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, header};
use rynjer_api::{Envelope, FileAnswer, FileDeleteAnswer, FileUpload};

/// How many other parts are named.
const OTHERS_NAMED_MAX: usize = 20;

/// Upload a picture to start from
///
/// A PNG, JPEG or WebP picture in one part named `file`. Send its `file_id` in `input_image_urls`. The same
/// bytes again are the same file and renew its life. Needs the scope `image` or `video`. Costs nothing.
#[utoipa::path(post, path = "/v1/files", tag = "files",
    request_body(content = FileUpload, content_type = "multipart/form-data"),
    security(("bearer" = [])), responses((status = 200, body = Envelope<FileAnswer>)))]
pub(crate) async fn upload_file(
    State(shared): State<Shared>,
    Auth(caller): Auth,
    request: Request,
) -> Result<Response, Fail> {
    let limit_bytes = shared.app.config.limits.file_bytes.saturating_add(AROUND_PARTS_BYTES);
    let form = form(request, &shared, limit_bytes).await?;
    let receiving = upload::receive(&shared.app, &caller).await?;
    let received = tokio::time::timeout(body_patience(limit_bytes), read(form, receiving)).await;
    let (receiving, warnings) =
        received.map_err(|_| Fail(Error::field("", "the body did not arrive in time")))??;
    let answer = receiving.finish(warnings).await?;
    Ok(axum::Json(Envelope::new(answer)).into_response())
}

/// Look up an uploaded file
///
/// With a fresh link. Costs nothing.
#[utoipa::path(get, path = "/v1/files/{file_id}", tag = "files",
    params(("file_id" = String, Path, description = "The file's id.")),
    security(("bearer" = [])), responses((status = 200, body = Envelope<FileAnswer>)))]
pub(crate) async fn get_file(
    State(app): State<App>,
    Auth(caller): Auth,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Fail> {
    let Path(id) = id.map_err(|_| Fail(Error::NotFound))?;
    let answer = file::show(&app, &caller, &id).await?;
    Ok(axum::Json(Envelope::new(answer)).into_response())
}

/// Delete an uploaded file
///
/// At once. A generation that has not read it yet fails, and costs nothing.
#[utoipa::path(delete, path = "/v1/files/{file_id}", tag = "files",
    params(("file_id" = String, Path, description = "The file's id.")),
    security(("bearer" = [])), responses((status = 200, body = Envelope<FileDeleteAnswer>)))]
pub(crate) async fn delete_file(
    State(app): State<App>,
    Auth(caller): Auth,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Fail> {
    let Path(id) = id.map_err(|_| Fail(Error::NotFound))?;
    let answer = file::delete(&app, &caller, &id).await?;
    Ok(axum::Json(Envelope::new(answer)).into_response())
}

/// Download an uploaded file
///
/// By the URL that the upload gave, until it expires. Ranges, HEAD and conditional requests work.
#[utoipa::path(get, path = "/files/{account}/{file}", tag = "files",
    params(("account" = String, Path), ("file" = String, Path),
        ("expires" = i64, Query), ("key" = String, Query), ("signature" = String, Query)),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The part", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "Unchanged"),
        (status = 307, description = "It is at the address in `Location`, for a few minutes"),
        (status = 416, description = "No such part")))]
pub(crate) async fn download_file(
    State(app): State<App>,
    method: Method,
    path: Result<Path<(String, String)>, PathRejection>,
    Signed(signature): Signed,
    headers: HeaderMap,
) -> Result<Response, Fail> {
    let Path((account, name)) = path.map_err(|_| Fail(Error::NotFound))?;
    let stored = file::stored(file::open(&app, &account, &name, &signature).await?);
    Ok(link::send(&app, &stored, signature.expires_s, &method, &headers).await?)
}

/// The body as parts; a length that is too large is refused before anything is read.
async fn form(mut request: Request, shared: &Shared, limit_bytes: usize) -> Result<Form, Fail> {
    let file_bytes = shared.app.config.limits.file_bytes;
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if length.and_then(|text| text.parse::<usize>().ok()).is_some_and(|length| length > limit_bytes) {
        return Err(Fail(Error::PayloadTooLarge { limit_bytes: file_bytes }));
    }
    DefaultBodyLimit::max(limit_bytes).apply(&mut request);
    Form::new(request, file_bytes).await
}

/// Reads every part to the end of the body: the one named `file` is kept, others are told as warnings.
async fn read(
    mut form: Form,
    mut receiving: upload::Receiving<'_>,
) -> Result<(upload::Receiving<'_>, Vec<String>), Fail> {
    let (mut files, mut others) = (0_u32, Vec::new());
    while let Some(mut part) = form.next().await? {
        let is_file = part.name() == Some("file");
        if is_file {
            files += 1;
        } else if others.len() < OTHERS_NAMED_MAX {
            others.push(shown(&part));
        }
        if files > 1 {
            return Err(Fail(Error::field("file", "appears twice: send one picture with each call")));
        }
        while let Some(piece) = part.chunk().await? {
            if is_file {
                receiving.push(&piece).await?;
            }
        }
    }
    if files == 0 {
        let sent = if others.is_empty() { String::new() } else { format!(", not {}", others.join(", ")) };
        return Err(Fail(Error::field("file", format!("is required: a part of that name{sent}"))));
    }
    Ok((receiving, others.iter().map(|name| format!("unknown part {name} was ignored")).collect()))
}

/// The name of a part as it may be repeated to its sender.
fn shown(part: &Part<'_>) -> String {
    let name = part.name().unwrap_or_default();
    format!("`{}`", name.chars().filter(|c| !c.is_control()).take(64).collect::<String>())
}
