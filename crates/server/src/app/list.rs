//! Lists of tasks: what a caller may ask a list for, and the list itself.
//!
//! Invariant: an agent's list holds its own tasks, an account key's those of its account; a cursor is only a
//! place in one's own list, whoever made it. Not here: single tasks (`task`), credits (`usage`).

use crate::{
    app::{Error, Field, caller::Caller, request::Fields, task},
    state::App,
};
use data_encoding::BASE64URL_NOPAD;
use rynjer_api::TaskListAnswer;
use rynjer_core::{
    id::{AgentId, TaskId},
    task::Status,
};
use rynjer_store::list::{self, Filter};

/// What the list of tasks may be asked for.
const FIELDS: &[&str] = &["limit", "cursor", "status", "model", "run_id", "agent_id"];
const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 100;
/// Longest text to filter by.
const WORD_MAX: usize = 255;

/// A page that was asked for.
pub(crate) struct Asked {
    pub(crate) limit: usize,
    pub(crate) filter: Filter,
    pub(crate) warnings: Vec<String>,
}

impl Asked {
    /// Reads and checks a query; `known` is what this list may be asked for. A misspelt filter would show
    /// more than was meant, so it is refused.
    pub(crate) fn read(caller: &Caller, fields: &Fields, known: &[&str]) -> Result<Self, Error> {
        let mut problems = Vec::new();
        fields.refuse_misspelt(known, "", &mut problems);
        let word = |name: &str, problems: &mut Vec<Field>| {
            let asked = if known.contains(&name) { fields.opt_word(name, WORD_MAX, problems) } else { None };
            asked.map(str::to_owned)
        };
        let limit = limit(word("limit", &mut problems), &mut problems);
        let filter = Filter {
            before: cursor_of(word("cursor", &mut problems), &mut problems),
            from_ms: time("from", word("from", &mut problems), &mut problems),
            to_ms: time("to", word("to", &mut problems), &mut problems),
            agent_id: agent(caller, word("agent_id", &mut problems), &mut problems),
            status: status(word("status", &mut problems), &mut problems),
            model: word("model", &mut problems),
            product: None,
            run_id: word("run_id", &mut problems),
        };
        if let (Some(from), Some(to)) = (filter.from_ms, filter.to_ms)
            && from >= to
        {
            problems.push(Field::new("from", "must be before `to`"));
        }
        if !problems.is_empty() {
            return Err(Error::Invalid(problems));
        }
        Ok(Self { limit, filter, warnings: fields.unknown(known) })
    }
}

fn limit(asked: Option<String>, problems: &mut Vec<Field>) -> usize {
    let Some(text) = asked else { return LIMIT_DEFAULT };
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.unwrap_or_else(|| {
        problems.push(Field::new("limit", format!("must be a whole number from 1 to {LIMIT_MAX}")));
        LIMIT_DEFAULT
    })
}

fn time(name: &str, asked: Option<String>, problems: &mut Vec<Field>) -> Option<i64> {
    let parsed = rynjer_core::time::parse_ms(&asked?);
    if parsed.is_none() {
        let problem = "must be a date, an RFC 3339 time or unix seconds, such as 2026-03-20T09:46:40Z";
        problems.push(Field::new(name, problem));
    }
    parsed
}

fn status(asked: Option<String>, problems: &mut Vec<Field>) -> Option<Status> {
    let parsed = Status::parse(&asked?);
    if parsed.is_none() {
        let allowed = ["pending", "processing", "success", "failed", "canceled"].map(str::to_owned).to_vec();
        let problem = format!("must be one of {}", allowed.join(", "));
        problems.push(Field { field: "status".to_owned(), problem, allowed });
    }
    parsed
}

/// An agent's own id whatever it asks for; an account key may choose.
fn agent(caller: &Caller, asked: Option<String>, problems: &mut Vec<Field>) -> Option<String> {
    let own = caller.agent.as_ref().map(ToString::to_string);
    match (own, asked) {
        (own, None) => own,
        (Some(own), Some(asked)) if own != asked => {
            problems.push(Field::new("agent_id", "must be your own: an agent sees its own tasks only"));
            None
        }
        (_, Some(asked)) if AgentId::parse(&asked).is_none() => {
            problems.push(Field::new(
                "agent_id",
                "must be an agent's id, such as agt_06egn8yc05s33azjcvmtwvh70m",
            ));
            None
        }
        (_, asked) => asked,
    }
}

/// The text that stands for a place in a list.
pub(crate) fn cursor(before: &TaskId) -> String {
    BASE64URL_NOPAD.encode(before.as_str().as_bytes())
}

fn cursor_of(asked: Option<String>, problems: &mut Vec<Field>) -> Option<TaskId> {
    let bytes = BASE64URL_NOPAD.decode(asked?.as_bytes()).ok();
    let id = bytes.and_then(|bytes| TaskId::parse(std::str::from_utf8(&bytes).ok()?));
    if id.is_none() {
        problems.push(Field::new("cursor", "must be `next_cursor` of an earlier page, unchanged"));
    }
    id
}

/// The caller's tasks, newest first.
pub(crate) async fn list(app: &App, caller: &Caller, fields: &Fields) -> Result<TaskListAnswer, Error> {
    let Asked { limit, filter, warnings } = Asked::read(caller, fields, FIELDS)?;
    let account = caller.account.clone();
    let read = app.store.read(move |tx| list::tasks(tx, &account, &filter, limit));
    let page = read.await.map_err(Error::from)?;
    let tasks = page.rows.iter().map(|row| task::answer(app, caller.live, row, Vec::new()));
    Ok(TaskListAnswer {
        tasks: tasks.collect::<Result<_, _>>()?,
        next_cursor: page.next_before.as_ref().map(cursor),
        warnings,
    })
}
