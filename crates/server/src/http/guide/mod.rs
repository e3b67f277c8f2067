//! The guides: documents that teach the API, as HTML for people and as text for agents.
//!
//! Invariant: a guide is one text, whose facts come from the running gateway; HTML, Markdown and
//! `llms-full.txt` are made of it once, at its first reading. Not here: OpenAPI (`document`).

mod colour;
mod field;
mod fill;
mod layout;
mod markdown;
mod reference;
mod table;

use crate::{
    app::Error,
    http::{error::Fail, extract::Shared},
    state::App,
};
use axum::{
    Extension, Router,
    extract::{MatchedPath, State},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use fill::Facts;
use http::{HeaderMap, HeaderValue, header};
use layout::{Frame, PAGE_POLICY};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// One guide.
struct Guide {
    path: &'static str,
    /// Its name in the navigation.
    short: &'static str,
    title: &'static str,
    /// What one finds there, in one sentence.
    summary: &'static str,
    text: &'static str,
}

const GUIDES: [Guide; 4] = [
    Guide {
        path: "/docs/agent-quickstart",
        short: "Quickstart",
        title: "Agent quickstart",
        summary: "From nothing to a downloaded file: with an account key, then with an identity of your own.",
        text: include_str!("pages/agent-quickstart.md"),
    },
    Guide {
        path: "/docs/for-agents",
        short: "For agents",
        title: "For agents",
        summary: "Whether rynjer fits, what it promises, how to behave, and how to stay within a budget.",
        text: include_str!("pages/for-agents.md"),
    },
    Guide {
        path: "/docs/model-routing",
        short: "Models",
        title: "Model routing guide",
        summary: "Which model to begin with, what each costs and can do.",
        text: include_str!("pages/model-routing.md"),
    },
    Guide {
        path: "/docs/api",
        short: "API",
        title: "API reference",
        summary: "Every call with its fields and limits, and every error code with what to do.",
        text: include_str!("pages/api.md"),
    },
];

const HOME: &str = include_str!("pages/home.md");
const SKILL: &str = include_str!("pages/skill.md");
const LLMS: &str = include_str!("pages/llms.txt");
const STYLE: &str = include_str!("pages/style.css");
const ICON: &str = include_str!("pages/icon.svg");

const HTML: &str = "text/html; charset=utf-8";
const MARKDOWN: &str = "text/markdown; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Everything that does not fit a guide's pair of paths.
const OTHER_PATHS: [&str; 7] = [
    "/docs",
    "/docs/style.css",
    "/docs/icon.svg",
    "/llms.txt",
    "/agent/llms.txt",
    "/llms-full.txt",
    "/skill.md",
];

type Library = BTreeMap<String, Document>;

/// A finished answer.
struct Document {
    mime: &'static str,
    cache: &'static str,
    body: Bytes,
}

/// The routes of all documents.
pub(crate) fn routes() -> Router<Shared> {
    let guides = GUIDES.iter().flat_map(|guide| [guide.path.to_owned(), format!("{}.md", guide.path)]);
    let mut router = Router::new().route("/.well-known/security.txt", get(security));
    for path in guides.chain(OTHER_PATHS.map(str::to_owned)) {
        router = router.route(&path, get(show));
    }
    router.layer(Extension(Arc::<OnceLock<Library>>::default()))
}

async fn show(
    State(shared): State<Shared>,
    Extension(library): Extension<Arc<OnceLock<Library>>>,
    path: MatchedPath,
) -> Result<Response, Fail> {
    let library = library.get_or_init(|| library_of(&shared.app));
    let document = library.get(path.as_str()).ok_or(Fail(Error::NotFound))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(document.mime));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(document.cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok((headers, document.body.clone()).into_response())
}

/// Where to report a weakness (RFC 9116).
async fn security(State(shared): State<Shared>) -> Response {
    const HALF_A_YEAR_MS: i64 = 182 * 86_400 * 1000;
    let expires = rynjer_core::time::rfc3339(shared.app.now_ms() + HALF_A_YEAR_MS);
    let base_url = shared.app.base_url();
    let contact = match shared.app.config.server.security_contact.as_str() {
        "" => format!("{base_url}/docs/for-agents#report-a-weakness"),
        contact => contact.to_owned(),
    };
    let text = format!(
        "Contact: {contact}\nExpires: {expires}\n\
         Preferred-Languages: en\nCanonical: {base_url}/.well-known/security.txt\n"
    );
    ([(header::CONTENT_TYPE, HeaderValue::from_static(TEXT))], text).into_response()
}

/// Every document of a gateway.
fn library_of(app: &App) -> Library {
    let facts = Facts::new(app);
    let style_version = &data_encoding::HEXLOWER.encode(&Sha256::digest(STYLE))[..12];
    let mut library = Library::new();
    let mut put = |path: &str, mime, body: String| {
        let cache =
            if mime == "text/css" { "public, max-age=31536000, immutable" } else { "public, max-age=300" };
        library.insert(path.to_owned(), Document { mime, cache, body: Bytes::from(body) });
    };
    let mut full = facts.fill(LLMS);
    for guide in &GUIDES {
        let text = facts.fill(guide.text);
        let title = format!("{} · rynjer", guide.title);
        let frame = Frame { path: guide.path, title: &title, description: guide.summary, style_version };
        put(guide.path, HTML, layout::page(&frame, &text));
        full = format!("{full}\n---\n\n{text}");
        put(&format!("{}.md", guide.path), MARKDOWN, text);
    }
    let home = Frame {
        path: "/docs",
        title: "rynjer: images, video and music for AI agents",
        description: "One HTTP API for agents that make images, video and music, priced in credits.",
        style_version,
    };
    put("/docs", HTML, layout::page(&home, &facts.fill(HOME)));
    put("/docs/style.css", "text/css", STYLE.to_owned());
    put("/docs/icon.svg", "image/svg+xml", ICON.to_owned());
    put("/llms.txt", TEXT, facts.fill(LLMS));
    put("/agent/llms.txt", TEXT, facts.fill(LLMS));
    put("/llms-full.txt", TEXT, full);
    put("/skill.md", MARKDOWN, facts.fill(SKILL));
    library
}
