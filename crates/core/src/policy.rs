//! What an owner lets an account, an agent or a key ask for: which models, and at what price at most.
//!
//! Invariant: a request passes only if every policy that applies to it lets it pass; a policy that is not
//! there allows everything. Not here: what is spent over time (`budget`), scopes.

use crate::{budget::Subject, credits::Credits};

/// What one subject may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub subject: Subject,
    /// The allowed models; `None` is all.
    pub models: Option<Vec<String>>,
    /// The most that one generation may cost; `None` is anything.
    pub max_price: Option<Credits>,
}

impl Policy {
    /// A policy that limits nothing.
    #[must_use]
    pub fn none(subject: Subject) -> Self {
        Self { subject, models: None, max_price: None }
    }

    fn allows(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|allowed| allowed == model))
    }

    /// Whether it lets anything pass that an earlier one did not.
    #[must_use]
    pub fn allows_more_than(&self, before: &Self) -> bool {
        let models = match (&self.models, &before.models) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(now), Some(_)) => now.iter().any(|model| !before.allows(model)),
        };
        let dearer = match (self.max_price, before.max_price) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(now), Some(before)) => now > before,
        };
        models || dearer
    }
}

/// All policies that apply to one caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies(pub Vec<Policy>);

impl Policies {
    /// Whether all of them allow a model.
    #[must_use]
    pub fn allow(&self, model: &str) -> bool {
        self.0.iter().all(|policy| policy.allows(model))
    }

    /// Whose policy forbids a model: the widest subject's.
    #[must_use]
    pub fn forbids(&self, model: &str) -> Option<Subject> {
        self.0.iter().filter(|policy| !policy.allows(model)).map(|policy| policy.subject).min()
    }

    /// The most that one generation may cost, and whose policy says so.
    #[must_use]
    pub fn max_price(&self) -> Option<(Credits, Subject)> {
        self.0.iter().filter_map(|policy| Some((policy.max_price?, policy.subject))).min()
    }

    /// The maximum that a price is above, and whose it is.
    #[must_use]
    pub fn too_dear(&self, price: Credits) -> Option<(Credits, Subject)> {
        self.max_price().filter(|(most, _)| price > *most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(subject: Subject, models: Option<&[&str]>, max_price: Option<i64>) -> Policy {
        let models = models.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        Policy { subject, models, max_price: max_price.map(Credits) }
    }

    #[test]
    fn no_policy_allows_everything() {
        let none = Policies::default();
        assert!(none.allow("any") && none.forbids("any").is_none());
        assert_eq!((none.max_price(), none.too_dear(Credits(i64::MAX))), (None, None));
    }

    #[test]
    fn all_that_apply_must_allow() {
        let all = Policies(vec![
            policy(Subject::Key, Some(&["b", "c"]), Some(30)),
            policy(Subject::Account, Some(&["a", "b"]), None),
            policy(Subject::Agent, None, Some(20)),
        ]);
        assert_eq!(["a", "b", "c", "d"].map(|model| all.allow(model)), [false, true, false, false]);
        assert_eq!(all.forbids("a"), Some(Subject::Key));
        assert_eq!(all.forbids("c"), Some(Subject::Account));
        assert_eq!(all.forbids("d"), Some(Subject::Account));
        assert_eq!(all.max_price(), Some((Credits(20), Subject::Agent)));
        assert_eq!(all.too_dear(Credits(20)), None);
        assert_eq!(all.too_dear(Credits(21)), Some((Credits(20), Subject::Agent)));
        assert!(!Policies(vec![policy(Subject::Key, Some(&[]), None)]).allow("a"));
    }

    #[test]
    fn more_is_another_model_or_a_higher_price() {
        let of = |models, price| policy(Subject::Agent, models, price);
        let before = of(Some(&["a", "b"]), Some(20));
        for (now, more) in [
            (of(Some(&["a", "b"]), Some(20)), false),
            (of(Some(&["b"]), Some(19)), false),
            (of(Some(&[]), Some(0)), false),
            (of(Some(&["a", "c"]), Some(1)), true),
            (of(Some(&["a"]), Some(21)), true),
            (of(Some(&["a"]), None), true),
            (Policy { models: None, ..before.clone() }, true),
            (Policy::none(Subject::Agent), true),
        ] {
            assert_eq!(now.allows_more_than(&before), more, "{now:?}");
        }
        assert!(!before.allows_more_than(&Policy::none(Subject::Agent)));
    }
}
