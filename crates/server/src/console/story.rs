//! Lines of the audit log as people read them.
//!
//! Invariant: a line says who did what, in words, and nothing that is not in the log. Not here: the log
//! (`app::audit_log`), its own page.

use super::{audit, shown};
use crate::app::session::Session;
use rynjer_store::audit_log::AuditLine;
use serde_json::Value;

/// A line of the log.
pub(super) struct Line {
    pub(super) at: String,
    pub(super) who: String,
    pub(super) what: String,
}

impl Line {
    pub(super) fn of(line: &AuditLine, session: &Session) -> Self {
        let who = match &*line.actor_kind {
            "owner" | "operator" if line.actor_id == session.owner.id.as_str() => "You".to_owned(),
            "command_line" => "The operator's command".to_owned(),
            kind => {
                let mut letters = kind.chars();
                letters
                    .next()
                    .map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
            }
        };
        Self { at: shown::minute(line.at_ms), who, what: what(&line.action, &line.detail) }
    }
}

/// What was done, with what it was done to.
fn what(action: &str, detail: &str) -> String {
    let detail: Value = serde_json::from_str(detail).unwrap_or_default();
    let text = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| detail.get(name).and_then(Value::as_i64).map(shown::credits);
    let period = match text("period") {
        "day" => "per day",
        "month" => "per month",
        _ => "in total",
    };
    let scopes = |name| text(name).replace(' ', ", ");
    match action {
        "agent.bound" => format!("bound it, allowing {}", scopes("scopes")),
        "agent.scopes_changed" => format!("allowed {} instead of {}", scopes("scopes"), scopes("before")),
        "budget.set" => {
            let before = number("before").map(|before| format!(" instead of {before}")).unwrap_or_default();
            format!("set a limit of {} credits {period}{before}", number("limit").unwrap_or_default())
        }
        "policy.set" => {
            let told = audit::policy(detail.as_object().unwrap_or(&serde_json::Map::new()));
            told.trim_end_matches(',').to_owned()
        }
        "budget.removed" => format!("took away the limit {period}"),
        other => other.split_once('.').map_or(other, |(_, verb)| verb).replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_in_words() {
        let rows = [
            ("agent.paused", "{}", "paused"),
            ("agent.bound", r#"{"scopes":"image credits:read"}"#, "bound it, allowing image, credits:read"),
            (
                "agent.scopes_changed",
                r#"{"scopes":"image","before":"image video"}"#,
                "allowed image instead of image, video",
            ),
            ("budget.set", r#"{"period":"day","limit":100}"#, "set a limit of 100 credits per day"),
            (
                "budget.set",
                r#"{"period":"total","limit":5,"before":7}"#,
                "set a limit of 5 credits in total instead of 7",
            ),
            ("budget.removed", r#"{"period":"month"}"#, "took away the limit per month"),
            ("policy.set", r#"{"models":null,"max_price":null}"#, "allowed every model at any price"),
            ("policy.set", r#"{"models":["a","b"],"max_price":null}"#, "allowed only a, b"),
            (
                "policy.set",
                r#"{"models":["a"],"max_price":1600}"#,
                "allowed only a, at most 1\u{202f}600 credits for one generation",
            ),
            ("odd", "not JSON", "odd"),
        ];
        for (action, detail, told) in rows {
            assert_eq!(what(action, detail), told);
        }
    }
}
