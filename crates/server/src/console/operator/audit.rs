//! `/operator/audit`: who changed what, in the installation and in any account.
//!
//! Invariant: lines are shown as they were written. Not here: an owner's own log.

use crate::{
    app::Error,
    console::{
        fault::Fault,
        frame::{Frame, page},
        guard::Operator,
        shown,
    },
    http::extract::Shared,
};
use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    response::Response,
    routing::get,
};
use rynjer_core::id::AccountId;
use rynjer_store::audit_log::AuditLine;
use serde::Deserialize;

const PATH: &str = "/operator/audit";
const PAGE_SIZE: u32 = 50;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route(PATH, get(show))
}

#[derive(Deserialize)]
struct Asked {
    /// Whose lines; empty for the installation's.
    #[serde(default)]
    account: String,
    #[serde(default)]
    before: String,
}

#[derive(Template)]
#[template(path = "operator_audit.html")]
struct Page {
    frame: Frame,
    account: String,
    lines: Vec<Line>,
    /// The line that the next page goes on below; empty on the last.
    next: String,
    is_first: bool,
}

struct Line {
    at: String,
    actor: String,
    actor_id: String,
    action: String,
    subject: String,
    detail: String,
    address: String,
}

impl Line {
    fn of(line: &AuditLine) -> Self {
        Self {
            at: shown::minute(line.at_ms),
            actor: line.actor_kind.replace('_', " "),
            actor_id: shown::short(&line.actor_id),
            action: line.action.replace(['.', '_'], " "),
            subject: line.subject_id.clone(),
            detail: detail(&line.detail),
            address: line.address.clone().unwrap_or_default(),
        }
    }
}

/// `{"credits":5,"reference":"a"}` as people read it.
fn detail(text: &str) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(text) else { return text.to_owned() };
    let written = fields.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{}: {value}", name.replace('_', " "))
    });
    written.collect::<Vec<_>>().join(", ")
}

async fn show(
    State(shared): State<Shared>,
    Operator(session): Operator,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    let fault = |error| Fault::of(error, &shared.app);
    let account = match asked.account.trim() {
        "" => None,
        text => Some(AccountId::parse(text).ok_or_else(|| fault(Error::NotFound))?),
    };
    let before = Some(asked.before.clone()).filter(|before| !before.is_empty());
    let hand = session.operator_hand(&shared.app).map_err(fault)?;
    let lines = hand.audit_lines(account.as_ref(), before, PAGE_SIZE).await.map_err(fault)?;
    let full = lines.len() == usize::try_from(PAGE_SIZE).unwrap_or(usize::MAX);
    let next = lines.last().filter(|_| full).map(|line| line.id.clone());
    let frame = Frame::new(&shared.app, &session, PATH, "Log");
    let (lines, is_first) = (lines.iter().map(Line::of).collect(), asked.before.is_empty());
    let account = asked.account.trim().to_owned();
    page(&shared, &Page { frame, account, lines, next: next.unwrap_or_default(), is_first })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_read_like_words() {
        let text = r#"{"credits":5,"mode_name":"live","reason":null}"#;
        assert_eq!(detail(text), "credits: 5, mode name: live");
        assert_eq!(detail("{}"), "");
    }
}
