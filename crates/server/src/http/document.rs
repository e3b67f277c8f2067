//! What machines and people read: OpenAPI, llms.txt, the error table, the welcome, metrics; and what is not
//! there.
//!
//! Invariant: addresses in these texts are the gateway's own. Not here: the API.

use crate::{
    app::Error,
    http::{error::Fail, extract::Shared, openapi},
};
use axum::{
    extract::State,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderValue, header};
use rynjer_api::{ErrorCode, TaskErrorCode};
use std::fmt::Write as _;

const LLMS: &str = include_str!("llms.txt");

pub(crate) async fn openapi(State(shared): State<Shared>) -> Response {
    let text = shared.app.openapi.get_or_init(|| {
        let mut document = openapi::document();
        document.servers = Some(vec![utoipa::openapi::Server::new(shared.app.base_url())]);
        document.to_json().unwrap_or_default()
    });
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.clone()).into_response()
}

pub(crate) async fn llms(State(shared): State<Shared>) -> Response {
    let text = LLMS.replace("{base_url}", shared.app.base_url());
    let mime = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(header::CONTENT_TYPE, mime)], text).into_response()
}

const STYLE: &str = ":root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:52rem;\
margin:3rem auto;padding:0 1.25rem}code{font:0.9em \
ui-monospace,monospace}table{border-collapse:collapse;width:100%}\
td,th{text-align:left;vertical-align:top;padding:.5rem .75rem .5rem 0;border-bottom:1px solid #8884}\
h1{letter-spacing:-.02em}a{color:inherit}";

fn page(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style>{body}"
    ))
}

pub(crate) async fn welcome() -> Html<String> {
    page(
        "rynjer",
        "<h1>rynjer</h1><p>A gateway that AI agents call to make images, video and music.</p>\
         <p>For agents: <a href=/llms.txt>llms.txt</a> · <a href=/agent/openapi.json>OpenAPI</a> · \
         <a href=/docs/api>error codes</a></p>",
    )
}

/// A sentence as HTML; what stands between backticks is code.
fn html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let parts = escaped.split('`').enumerate();
    parts.map(|(n, part)| if n % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

/// The table of error codes, made from the enum.
pub(crate) async fn errors() -> Html<String> {
    let mut rows = String::new();
    for code in ErrorCode::ALL {
        let _ = write!(
            rows,
            "<tr id={0}><td><code>{0}</code><td>{1}<td>{2}.<td>{3}",
            code.as_str(),
            code.status(),
            html(code.summary()),
            html(code.suggestion())
        );
    }
    for code in TaskErrorCode::ALL {
        let _ = write!(
            rows,
            "<tr id={0}><td><code>{0}</code><td>task<td>{1}.<td>{2}",
            code.as_str(),
            html(code.summary()),
            html(code.suggestion())
        );
    }
    let head = "<h1>Error codes</h1><p>Every error has a stable code, says what happened and what to do \
                next. Codes \
                are only ever added. Task errors stand inside a failed task, whose answer is 200.</p>\
                <table><tr><th>Code<th>Status<th>Meaning<th>What to do";
    page("rynjer error codes", &format!("{head}{rows}</table>"))
}

pub(crate) async fn not_found() -> Fail {
    Fail(Error::NotFound)
}

pub(crate) async fn method_not_allowed() -> Fail {
    Fail(Error::MethodNotAllowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_escaped() {
        assert_eq!(html("Send `a <b>` & go"), "Send <code>a &lt;b&gt;</code> &amp; go");
    }
}
