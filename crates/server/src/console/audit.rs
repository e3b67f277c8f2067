//! `/audit`: every change of an account, by whom.
//!
//! Invariant: each line is a sentence that a person understands, also where its action is newer than this
//! page; names in it are text. Not here: writing lines (`app::audit_log`).

use super::{
    fault::Fault,
    filter::Choice,
    form::Form,
    frame::{Frame, page},
    guard::Guard,
    names::Names,
    shown,
};
use crate::{
    app::{Error, history, session::Session},
    http::extract::Shared,
    state::App,
};
use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    response::Response,
    routing::get,
};
use rynjer_core::{id::AuditId, ledger::OWING};
use rynjer_store::audit_log::{AuditLine, Place};
use serde_json::{Map, Value};

const LINES: usize = 50;
/// What actions are about, as one may choose.
const NOUNS: [(&str, &str); 8] = [
    ("agent", "Agents"),
    ("key", "API keys"),
    ("budget", "Limits"),
    ("policy", "What may be asked for"),
    ("account", "The account"),
    ("topup", "Top-ups"),
    ("task", "Tasks"),
    ("owner", "People"),
];

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/audit", get(show))
}

struct Line {
    at: String,
    sentence: String,
    /// What else is known; may be empty.
    more: String,
    who: String,
    address: String,
    action: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    frame: Frame,
    nouns: Vec<Choice>,
    lines: Vec<Line>,
    /// Queries of the pages beside this one; empty where there is none.
    older: String,
    newer: String,
    is_narrow: bool,
}

async fn show(
    State(shared): State<Shared>,
    Guard(session): Guard,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let read = read(&shared.app, &session, query.as_deref()).await;
    page(&shared, &read.map_err(|error| Fault::of(error, &shared.app))?)
}

async fn read(app: &App, session: &Session, query: Option<&str>) -> Result<Page, Error> {
    let fields = Form::of_query(query)?;
    let noun = fields.text("about").to_owned();
    if !noun.is_empty() && !NOUNS.iter().any(|(own, _)| *own == noun) {
        return Err(Error::field("about", "is not one that can be chosen"));
    }
    let (before, after) = (line_id(&fields, "before")?, line_id(&fields, "after")?);
    let has_newer = before.is_some();
    let has_older = after.is_some();
    let place = Place { before, after, noun: Some(noun.clone()).filter(|noun| !noun.is_empty()) };
    // One more than is shown tells whether there are more.
    let limit = u32::try_from(LINES + 1).unwrap_or(u32::MAX);
    let (mut lines, names) = history::audit(app, session.account_id()?, place, limit).await?;
    let is_full = lines.len() > LINES;
    if is_full {
        // The one too many is the farthest from where the page begins.
        lines.remove(if has_older { 0 } else { LINES });
    }
    let names = Names::new(names);
    let at = |line: Option<&AuditLine>, wanted: bool, name: &str| match line {
        Some(line) if wanted => format!("about={noun}&{name}={}", line.id),
        _ => String::new(),
    };
    Ok(Page {
        frame: Frame::new(app, session, "/audit", "Audit log"),
        older: at(lines.last(), has_older || is_full, "before"),
        newer: at(lines.first(), has_newer || (has_older && is_full), "after"),
        lines: lines.iter().map(|line| shown_line(line, session, &names)).collect(),
        nouns: NOUNS.iter().map(|(value, name)| choice(value, name, &noun)).collect(),
        is_narrow: !noun.is_empty(),
    })
}

fn choice(value: &str, name: &str, chosen: &str) -> Choice {
    Choice { value: value.to_owned(), name: name.to_owned(), chosen: value == chosen }
}

fn line_id(fields: &Form, name: &str) -> Result<Option<String>, Error> {
    let text = fields.text(name);
    if text.is_empty() {
        return Ok(None);
    }
    let id = AuditId::parse(text).ok_or_else(|| Error::field(name, "is no place in the log"))?;
    Ok(Some(id.to_string()))
}

fn shown_line(line: &AuditLine, session: &Session, names: &Names) -> Line {
    let detail: Map<String, Value> = serde_json::from_str(&line.detail).unwrap_or_default();
    let who = actor(line, session, names);
    let (deed, is_whole) = deed(line, &detail, names);
    Line {
        at: shown::second(line.at_ms),
        sentence: format!("{who} {deed}"),
        more: if is_whole { String::new() } else { rest(&detail) },
        who: format!("{} {}", line.actor_kind.replace('_', " "), shown::short(&line.actor_id)),
        address: line.address_for(Some(session.owner.id.as_str())).unwrap_or_default().to_owned(),
        action: line.action.clone(),
    }
}

fn actor(line: &AuditLine, session: &Session, names: &Names) -> String {
    if line.actor_id == session.owner.id.as_str() {
        return "You".to_owned();
    }
    match line.actor_kind.as_str() {
        "operator" => "An operator".to_owned(),
        "owner" => "The owner".to_owned(),
        "command_line" => "The operator (command line)".to_owned(),
        "agent" => format!("Agent {}", names.of(&line.actor_id)),
        "key" => format!("API key {}", shown::short(&line.actor_id)),
        "payment" => "The payment service".to_owned(),
        _ => "The gateway".to_owned(),
    }
}

/// What was done, and whether that says all.
fn deed(line: &AuditLine, detail: &Map<String, Value>, names: &Names) -> (String, bool) {
    let text = |name: &str| detail.get(name).and_then(Value::as_str).map(shown::visible).unwrap_or_default();
    let credits = |name: &str| shown::credits(detail.get(name).and_then(Value::as_i64).unwrap_or_default());
    match line.action.as_str() {
        "account.created" => (format!("made this {} account", text("mode")), true),
        "account.granted" => {
            (format!("granted {} credits ({})", credits("credits"), text("reference")), true)
        }
        "account.frozen" if text("reason") == OWING => (
            "took back more credits than were left: the account is frozen until they are paid".to_owned(),
            true,
        ),
        "account.frozen" => (format!("froze this account: {}", text("reason")), true),
        "account.export_begun" => ("began to download everything of this account".to_owned(), true),
        "account.closed" => {
            (format!("closed this account, with {} credits left", credits("credits_left")), true)
        }
        "account.thawed" => ("let this account go on".to_owned(), true),
        "budget.set" => {
            let per = if text("period") == "total" {
                "in all".to_owned()
            } else {
                "per ".to_owned() + &text("period")
            };
            let of = object(line, detail, names);
            (format!("set a limit of {} credits {per} for {of}", credits("limit")), true)
        }
        "policy.set" => (format!("{} for {}", policy(detail), object(line, detail, names)), true),
        "task.canceled" => (format!("canceled task {}", shown::short(&line.subject_id)), false),
        "task.erased" => (format!("deleted the contents of task {}", shown::short(&line.subject_id)), false),
        action => {
            let (noun, verb) = action.split_once('.').unwrap_or((action, "changed"));
            let noun = if noun == "key" { "API key".to_owned() } else { noun.replace('_', " ") };
            let verb = verb.replace('_', " ");
            (format!("{verb} {noun} {}", object(line, detail, names)), false)
        }
    }
}

/// What may be asked for from then on.
pub(super) fn policy(detail: &Map<String, Value>) -> String {
    let models = detail.get("models").and_then(Value::as_array);
    let models = models.map(|names| names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    let price = detail.get("max_price").and_then(Value::as_i64).map(shown::credits);
    match (models, price) {
        (None, None) => "allowed every model at any price".to_owned(),
        (Some(models), None) => format!("allowed only {models}"),
        (None, Some(price)) => format!("allowed at most {price} credits for one generation"),
        (Some(models), Some(price)) => {
            format!("allowed only {models}, at most {price} credits for one generation,")
        }
    }
}

/// What was changed, by its name.
fn object(line: &AuditLine, detail: &Map<String, Value>, names: &Names) -> String {
    if let Some(name) = detail.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        return shown::visible(name);
    }
    if line.subject_id == line.account_id {
        return "this account".to_owned();
    }
    names.get(&line.subject_id).map_or_else(|| shown::short(&shown::visible(&line.subject_id)), str::to_owned)
}

/// What else a line knows.
fn rest(detail: &Map<String, Value>) -> String {
    let known = detail.iter().filter(|(name, value)| *name != "name" && !value.is_null());
    let word = |(name, value): (&String, &Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{}: {value}", name.replace('_', " "))
    };
    shown::beginning(&known.map(word).collect::<Vec<_>>().join("; "), 300)
}
