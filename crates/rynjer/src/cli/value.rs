//! Values of arguments: who an account is, which scopes, how large a budget.
//!
//! Invariant: a refusal says what would have been right. Not here: whether what is named exists.

use rynjer_core::{
    budget::Period,
    credits::Credits,
    id::{AccountId, AgentId, KeyId, TaskId},
    scope::Scopes,
};

/// An account as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccountName {
    Id(AccountId),
    Email(String),
}

/// Reads an account's id or e-mail.
pub(crate) fn account(text: &str) -> Result<AccountName, String> {
    match AccountId::parse(text) {
        Some(id) => Ok(AccountName::Id(id)),
        None if text.contains('@') => Ok(AccountName::Email(text.to_owned())),
        None => Err("must be an account's id (acct_…) or e-mail".to_owned()),
    }
}

/// Reads an agent's id.
pub(crate) fn agent(text: &str) -> Result<AgentId, String> {
    AgentId::parse(text).ok_or_else(|| "must be an agent's id (agt_…)".to_owned())
}

/// Reads a key's id. The key itself is a secret and doesn't belong on a command line.
pub(crate) fn key(text: &str) -> Result<KeyId, String> {
    KeyId::parse(text).ok_or_else(|| "must be a key's id (key_…), not the key itself".to_owned())
}

/// Reads a task's id.
pub(crate) fn task(text: &str) -> Result<TaskId, String> {
    TaskId::parse(text).ok_or_else(|| "must be a task's id (task_…)".to_owned())
}

/// Reads scopes with commas or spaces between; `all` are all.
pub(crate) fn scopes(text: &str) -> Result<Scopes, String> {
    if text == "all" {
        return Ok(Scopes::ALL);
    }
    let names = text.split([',', ' ']).filter(|name| !name.is_empty());
    let known = || format!("the scopes are {}, or all", Scopes::ALL.to_text().replace(' ', ", "));
    let scopes = Scopes::parse(names).map_err(|error| format!("{error}; {}", known()))?;
    if scopes.is_empty() { Err(known()) } else { Ok(scopes) }
}

/// Reads what people call the gateway; the slash at its end is taken off.
pub(crate) fn base_url(text: &str) -> Result<String, String> {
    let form = || "must be an address such as https://gateway.example".to_owned();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or_else(form)?;
    let host = rest.trim_end_matches('/');
    let plain =
        !host.is_empty() && !host.contains(|letter: char| letter.is_whitespace() || "?#@".contains(letter));
    if plain { Ok(text.trim_end_matches('/').to_owned()) } else { Err(form()) }
}

/// A limit over a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) credits: Credits,
    pub(crate) period: Period,
}

/// Reads `500`, `500/day` or `500/month`.
pub(crate) fn limit(text: &str) -> Result<Limit, String> {
    let form = || "must be credits such as 500, 500/day or 500/month".to_owned();
    let (number, period) = text.split_once('/').unwrap_or((text, "total"));
    let period = Period::parse(period).ok_or_else(form)?;
    let number: i64 = number.parse().ok().filter(|number| *number >= 0).ok_or_else(form)?;
    Ok(Limit { credits: Credits(number), period })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let of = |credits, period| Ok(Limit { credits: Credits(credits), period });
        assert_eq!(limit("500"), of(500, Period::Total));
        assert_eq!(limit("0/day"), of(0, Period::Day));
        assert_eq!(limit("7/month"), of(7, Period::Month));
        assert!(["", "-1", "5/week", "5/", "/day", "1.5"].iter().all(|text| limit(text).is_err()));
    }

    #[test]
    fn scopes_are_named_or_all() {
        assert_eq!(scopes("all"), Ok(Scopes::ALL));
        assert_eq!(scopes("music,image").map(Scopes::to_text), Ok("image music".to_owned()));
        let refusal = scopes("imge").unwrap_err();
        assert!(refusal.contains("did you mean \"image\"?") && refusal.contains("credits:read"), "{refusal}");
        assert!(scopes(",").is_err());
    }

    #[test]
    fn accounts_are_ids_or_addresses() {
        assert_eq!(account("a@b"), Ok(AccountName::Email("a@b".to_owned())));
        assert!(account("acct_short").is_err());
    }
}
