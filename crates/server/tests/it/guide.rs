//! The guides as pages: well-formed HTML, links that lead somewhere, text without holes.
//!
//! Invariant: the pages are found by following links from `/`, as a crawler would. Not here: whether what
//! they teach works (`crates/rynjer/tests/guides.rs`).

use crate::support::{Client, TestApp};
use rynjer_api::{ErrorCode, TaskErrorCode};
use std::collections::{BTreeMap, BTreeSet};

const GUIDES: [&str; 4] = ["/docs/agent-quickstart", "/docs/for-agents", "/docs/model-routing", "/docs/api"];

/// A start tag: name and attributes.
struct Tag {
    name: String,
    attributes: BTreeMap<String, String>,
}

/// All start tags of a page; fails unless each element is closed where it must be.
fn tags(path: &str, html: &str) -> Vec<Tag> {
    let body = html.strip_prefix("<!doctype html>\n").expect("a doctype");
    let (mut open, mut found): (Vec<String>, Vec<Tag>) = (Vec::new(), Vec::new());
    for part in body.split('<').skip(1) {
        let (inside, text) = part.split_once('>').unwrap_or_else(|| panic!("{path}: <{part}"));
        assert!(!text.contains('>'), "{path}: > in {text}");
        for entity in text.split('&').skip(1) {
            let name = entity.split(';').next().unwrap_or_default();
            assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "{path}: &{entity}");
        }
        if let Some(name) = inside.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "{path}: </{name}> after {}", found.len());
            continue;
        }
        let whole = inside.strip_suffix('/');
        let tag = tag(whole.unwrap_or(inside).trim_end());
        if whole.is_none() {
            open.push(tag.name.clone());
        }
        found.push(tag);
    }
    assert!(open.is_empty(), "{path}: {open:?} are open at the end");
    found
}

fn tag(inside: &str) -> Tag {
    let (name, mut rest) = inside.split_once(' ').unwrap_or((inside, ""));
    let mut attributes = BTreeMap::new();
    while let Some((name, value)) = rest.split_once("=\"") {
        let (value, behind) = value.split_once('"').expect("a closed value");
        assert!(attributes.insert(name.trim().to_owned(), value.to_owned()).is_none(), "{inside}");
        rest = behind;
    }
    assert!(rest.trim().is_empty(), "attributes without value: {inside}");
    Tag { name: name.to_owned(), attributes }
}

/// What one page holds.
struct Page {
    ids: BTreeSet<String>,
    links: Vec<String>,
}

fn check(path: &str, html: &str) -> Page {
    let tags = tags(path, html);
    let named = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
    for name in ["h1", "main", "header", "footer", "title", "html", "body"] {
        assert_eq!(named(name), 1, "{path}: {name}");
    }
    assert_eq!(named("script") + named("style") + named("iframe"), 0, "{path}");
    let (mut ids, mut links, mut level) = (BTreeSet::new(), Vec::new(), 0);
    for Tag { name, attributes } in &tags {
        let inline = attributes.keys().find(|name| *name == "style" || name.starts_with("on"));
        assert_eq!(inline, None, "{path}: {name}");
        if let Some(id) = attributes.get("id") {
            assert!(ids.insert(id.clone()), "{path}: two elements are called {id}");
        }
        if name == "img" {
            assert!(attributes.contains_key("alt"), "{path}: an image without alt");
        }
        if let Some(next) = name.strip_prefix('h').and_then(|digit| digit.parse::<u8>().ok()) {
            assert!(next <= level + 1, "{path}: h{next} after h{level}");
            level = next;
        }
        links.extend(["href", "src"].iter().filter_map(|name| attributes.get(*name)).cloned());
    }
    Page { ids, links }
}

/// The page of a link and its anchor.
fn target(from: &str, link: &str) -> (String, Option<String>) {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() { from } else { path };
    (path.to_owned(), anchor.map(str::to_owned))
}

async fn crawl(stranger: &Client) -> BTreeMap<String, Page> {
    let mut pages: BTreeMap<String, Page> = BTreeMap::new();
    let mut seen = BTreeSet::from(["/docs".to_owned()]);
    let mut waiting = vec!["/docs".to_owned()];
    while let Some(path) = waiting.pop() {
        assert!(path.starts_with('/') && !path.starts_with("//"), "a foreign link: {path}");
        let answer = stranger.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        if answer.header("content-type") != Some("text/html; charset=utf-8") {
            continue;
        }
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self';"), "{policy}");
        let page = check(&path, std::str::from_utf8(&answer.body).expect("text"));
        let found = page.links.iter().map(|link| target(&path, link).0);
        waiting.extend(found.filter(|path| seen.insert(path.clone())));
        pages.insert(path, page);
    }
    pages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_sound_and_every_link_leads_somewhere() {
    let app = TestApp::sqlite().await;
    let pages = crawl(&app.anonymous()).await;
    let mut expected = vec!["/docs"];
    expected.extend(GUIDES);
    for path in &expected {
        assert!(pages.contains_key(*path), "nothing links to {path}");
    }
    assert_eq!(pages.len(), expected.len(), "{:?}", pages.keys());
    for (path, page) in &pages {
        for link in &page.links {
            let (to, anchor) = target(path, link);
            if let Some(anchor) = anchor {
                assert!(pages[&to].ids.contains(&anchor), "{path}: {link} leads nowhere");
            }
        }
    }
    let codes = ErrorCode::ALL.iter().map(|code| code.as_str());
    for code in codes.chain(TaskErrorCode::ALL.iter().map(|code| code.as_str())) {
        assert!(pages["/docs/api"].ids.contains(code), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guides_are_markdown_too_and_have_no_holes() {
    let app = TestApp::with("[limits]\nburst = 777\n").await;
    let stranger = app.anonymous();
    let full = text(&stranger, "/llms-full.txt", "text/plain; charset=utf-8").await;
    let llms = text(&stranger, "/llms.txt", "text/plain; charset=utf-8").await;
    let skill = text(&stranger, "/skill.md", "text/markdown; charset=utf-8").await;
    assert!(full.starts_with(&llms) && skill.starts_with("---\nname: rynjer\ndescription: "), "{skill}");
    for path in GUIDES {
        let markdown = text(&stranger, &format!("{path}.md"), "text/markdown; charset=utf-8").await;
        assert!(markdown.starts_with("# ") && full.contains(&markdown), "{path}");
        assert!(llms.contains(&format!("https://gateway.test{path}.md")), "{path}");
    }
    for name in ["{base_url}", "{audience}", "{limits", "{models:", "{credits:", "{errors}", "| ? |", "(? "] {
        assert!(!full.contains(name) && !skill.contains(name), "{name}");
    }
    assert!(full.contains("| Requests of one credential at once | 777 |"));
    assert!(full.contains("| `nano-banana-pro` | 1K: 20; 2K: 20; 4K: 40 |"));
    assert!(full.contains("| `not_cancelable` | 409 | no |"));
}

async fn text(client: &Client, path: &str, mime: &str) -> String {
    let answer = client.get(path).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(mime)), "{path}");
    assert!(!answer.body.is_empty());
    String::from_utf8(answer.body.to_vec()).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_and_every_field_is_in_the_reference() {
    let app = TestApp::sqlite().await;
    let page = text(&app.anonymous(), "/docs/api.md", "text/markdown; charset=utf-8").await;
    let document = serde_json::to_value(rynjer_server::openapi_document()).expect("a document");
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("an item").keys() {
            assert!(page.contains(&format!("\n### {} {path}\n", method.to_uppercase())), "{method} {path}");
        }
    }
    for row in [
        "| `request_id` (required) | text, 1 to 255 letters |",
        "| `units.count` | `1`, `2`, `4`, `8` |",
        "| `outputs[].sha256` | text |",
        "| `credits.released` | whole number |",
        "| `wait` | query |",
    ] {
        assert!(page.contains(row), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stylesheet_can_be_kept_and_weaknesses_reported() {
    let app = TestApp::sqlite().await;
    let stranger = app.anonymous();
    let page = text(&stranger, "/docs", "text/html; charset=utf-8").await;
    let from = page.find("/docs/style.css?v=").expect("a stylesheet");
    let link = page[from..].split('"').next().expect("a link");
    let style = stranger.get(link).await;
    assert_eq!(style.header("content-type"), Some("text/css"));
    assert_eq!(style.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let security = text(&stranger, "/.well-known/security.txt", "text/plain; charset=utf-8").await;
    assert_eq!(
        security,
        "Contact: https://gateway.test/docs/for-agents#report-a-weakness\n\
         Expires: 2025-09-16T09:50:00.000Z\nPreferred-Languages: en\n\
         Canonical: https://gateway.test/.well-known/security.txt\n"
    );
    let app = TestApp::with("[server]\nsecurity_contact = \"mailto:s@gateway.test\"\n").await;
    let path = "/.well-known/security.txt";
    let security = text(&app.anonymous(), path, "text/plain; charset=utf-8").await;
    assert!(security.starts_with("Contact: mailto:s@gateway.test\n"), "{security}");
}
