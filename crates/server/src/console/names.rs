//! Names of agents on pages, which agents chose themselves.
//!
//! Invariant: a name is plain visible text, and is never taken for another account's. Not here: how agents
//! are made.

use super::shown;
use crate::app::history::AgentNames;
use std::collections::HashMap;

/// Whose tasks they are where no agent asked for them.
pub(super) const NO_AGENT: &str = "API key of the account";

/// Agents of an account by their ids.
pub(super) struct Names {
    order: Vec<(String, String)>,
    by_id: HashMap<String, String>,
}

impl Names {
    pub(super) fn new(names: AgentNames) -> Self {
        let order: Vec<_> = names.into_iter().map(|(id, name)| (id, shown::visible(&name))).collect();
        let by_id = order.iter().cloned().collect();
        Self { order, by_id }
    }

    /// The name of an agent; empty is an API key of the account.
    pub(super) fn of(&self, agent_id: &str) -> String {
        if agent_id.is_empty() {
            return NO_AGENT.to_owned();
        }
        self.by_id.get(agent_id).cloned().unwrap_or_else(|| shown::short(agent_id))
    }

    /// The name of an agent of the account, if it is one.
    pub(super) fn get(&self, id: &str) -> Option<&str> {
        self.by_id.get(id).map(String::as_str)
    }

    /// Ids and names, newest first.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.order.iter().map(|(id, name)| (id.as_str(), name.as_str()))
    }
}
