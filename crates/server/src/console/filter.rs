//! What a list is narrowed to, as it stands in a page's address.
//!
//! Invariant: a filter that means nothing is refused, never ignored; links of a page keep all of it. Not
//! here: the rows (`app::history`, `app::spend`).

use super::{form::Form, names::Names};
use crate::{
    app::{Error, Field},
    state::App,
};
use rynjer_core::{
    id::{AgentId, TaskId},
    task::Status,
    time::{DAY_MS, parse_ms},
};
use rynjer_store::list::Filter;

/// What stands for tasks without an agent.
const NO_AGENT: &str = "none";
const PRODUCTS: [(&str, &str); 3] = [("image", "Images"), ("video", "Videos"), ("music", "Music")];
const STATUSES: [(&str, &str); 5] = [
    ("pending", "Waiting"),
    ("processing", "Running"),
    ("success", "Done"),
    ("failed", "Failed"),
    ("canceled", "Canceled"),
];

/// Filters as they were asked for; what was not is empty.
#[derive(Default, Clone)]
pub(super) struct Filters {
    pub(super) status: String,
    pub(super) product: String,
    pub(super) model: String,
    pub(super) agent: String,
    /// Days such as `2026-11-24`; the last one is within.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) cursor: String,
}

/// A value to choose.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) name: String,
    pub(super) chosen: bool,
}

impl Filters {
    pub(super) fn of(query: Option<&str>) -> Result<Self, Error> {
        let fields = Form::of_query(query)?;
        let text = |name: &str| fields.text(name).to_owned();
        Ok(Self {
            status: text("status"),
            product: text("product"),
            model: text("model"),
            agent: text("agent"),
            from: text("from"),
            to: text("to"),
            cursor: text("cursor"),
        })
    }

    /// What the store is asked for.
    pub(super) fn read(&self) -> Result<Filter, Error> {
        let mut problems = Vec::new();
        let from_ms = day("from", &self.from, &mut problems);
        let to_ms = day("to", &self.to, &mut problems).map(|day_ms| day_ms + DAY_MS);
        if from_ms.zip(to_ms).is_some_and(|(from, to)| from >= to) {
            problems.push(Field::new("from", "must not be after the last day"));
        }
        let filter = Filter {
            before: known("cursor", &self.cursor, TaskId::parse, &mut problems),
            from_ms,
            to_ms,
            agent_id: agent(&self.agent, &mut problems),
            status: known("status", &self.status, Status::parse, &mut problems),
            model: Some(self.model.clone()).filter(|model| !model.is_empty()),
            product: known("product", &self.product, product, &mut problems),
            run_id: None,
        };
        if problems.is_empty() { Ok(filter) } else { Err(Error::Invalid(problems)) }
    }

    /// The query of a page's address, without the place in its list.
    pub(super) fn query(&self) -> String {
        let pairs = [
            ("status", &self.status),
            ("product", &self.product),
            ("model", &self.model),
            ("agent", &self.agent),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }

    /// The query with its place in the list.
    pub(super) fn place(&self) -> String {
        match TaskId::parse(&self.cursor) {
            Some(before) => self.older(&before),
            None => self.query(),
        }
    }

    /// The query of the page after.
    pub(super) fn older(&self, before: &TaskId) -> String {
        let query = self.query();
        let joint = if query.is_empty() { "" } else { "&" };
        format!("{query}{joint}cursor={before}")
    }

    /// Whether anything is asked for but a place.
    pub(super) fn is_narrow(&self) -> bool {
        !self.query().is_empty()
    }

    /// Whether this is the newest page.
    pub(super) fn is_newest(&self) -> bool {
        self.cursor.is_empty()
    }

    pub(super) fn statuses(&self) -> Vec<Choice> {
        choices(&STATUSES, &self.status)
    }

    pub(super) fn products(&self) -> Vec<Choice> {
        choices(&PRODUCTS, &self.product)
    }

    pub(super) fn models(&self, app: &App) -> Vec<Choice> {
        let names: Vec<_> = app.catalog.model_names().map(|name| (name, name)).collect();
        choices(&names, &self.model)
    }

    pub(super) fn agents(&self, names: &Names) -> Vec<Choice> {
        let keys = (NO_AGENT, "API keys of the account");
        let mut all = vec![keys];
        all.extend(names.all());
        choices(&all, &self.agent)
    }
}

fn choices(all: &[(&str, &str)], chosen: &str) -> Vec<Choice> {
    let choice = |value: &str, name: &str| Choice {
        value: value.to_owned(),
        name: name.to_owned(),
        chosen: value == chosen,
    };
    let mut list: Vec<Choice> = all.iter().map(|(value, name)| choice(value, name)).collect();
    // An address may name what is no longer to choose, such as a model of the past.
    if !chosen.is_empty() && !all.iter().any(|(value, _)| *value == chosen) {
        list.push(choice(chosen, chosen));
    }
    list
}

fn product(text: &str) -> Option<String> {
    PRODUCTS.iter().find(|(value, _)| *value == text).map(|(value, _)| (*value).to_owned())
}

fn known<T>(
    name: &str,
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
    problems: &mut Vec<Field>,
) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    let parsed = parse(text);
    if parsed.is_none() {
        problems.push(Field::new(name, "is not one that can be chosen"));
    }
    parsed
}

fn agent(text: &str, problems: &mut Vec<Field>) -> Option<String> {
    if text == NO_AGENT {
        return Some(String::new());
    }
    known("agent", text, AgentId::parse, problems).map(|id| id.to_string())
}

fn day(name: &str, text: &str, problems: &mut Vec<Field>) -> Option<i64> {
    let parsed = if text.len() == 10 { parse_ms(text) } else { None };
    // Beyond these years nothing was ever made.
    let parsed = parsed.filter(|_| text.as_bytes().get(4) == Some(&b'-') && text > "1970-01-01");
    if parsed.is_none() && !text.is_empty() {
        problems.push(Field::new(name, "must be a day such as 2026-11-24"));
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_what_was_asked() {
        let filters = Filters::of(Some("model=a%2Fb&from=2026-11-01&to=2026-11-24&agent=none")).unwrap();
        assert_eq!(filters.query(), "model=a%2Fb&agent=none&from=2026-11-01&to=2026-11-24");
        let filter = filters.read().unwrap();
        assert_eq!(filter.agent_id.as_deref(), Some(""));
        assert_eq!(filter.to_ms.unwrap() - filter.from_ms.unwrap(), 24 * DAY_MS);
        let id = TaskId::new(1, [0; 10]);
        assert!(filters.older(&id).ends_with(&format!("&cursor={id}")));
        assert!(!Filters::of(None).unwrap().is_narrow());
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for query in [
            "status=done",
            "product=text",
            "agent=agt_1",
            "cursor=1",
            "from=yesterday",
            "from=1700000000",
            "to=2026-02-30",
            "from=2026-11-24&to=2026-11-23",
        ] {
            assert!(Filters::of(Some(query)).unwrap().read().is_err(), "{query}");
        }
        assert!(Filters::of(Some("from=2026-11-24&to=2026-11-24")).unwrap().read().is_ok());
    }
}
