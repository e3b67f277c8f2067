//! News of a budget: its spending passed half, four fifths or all of its limit.
//!
//! Invariant: each threshold of a limit is news at most once per window of a budget, by the name in
//! [`BudgetNotice::once`]. Not here: who reads it, and what is sent to whom.

use crate::{
    budget::{Budget, Period, Subject},
    credits::Credits,
    id::{AccountId, BudgetId, NoticeId},
    time,
};
use serde_json::json;
use sha2::{Digest, Sha256};

/// The kind of these notices.
pub const BUDGET_THRESHOLD: &str = "budget.threshold";

/// The parts of a limit that are worth a word, in hundredths.
const PERCENTS: [u8; 3] = [50, 80, 100];

/// What somebody should hear about a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetNotice {
    pub account: AccountId,
    pub budget: BudgetId,
    pub subject: Subject,
    pub subject_id: String,
    pub period: Period,
    pub percent: u8,
    pub limit: Credits,
    pub spent: Credits,
    pub window_start_ms: i64,
    pub resets_at_ms: Option<i64>,
    pub at_ms: i64,
}

impl BudgetNotice {
    /// What the same news is called, however often it is made.
    #[must_use]
    pub fn once(&self) -> String {
        format!("{}:{}:{}:{}", self.budget, self.window_start_ms, self.percent, self.limit.0)
    }

    /// What it says, as a JSON object.
    #[must_use]
    pub fn detail(&self) -> String {
        json!({
            "subject": self.subject.as_str(),
            "subject_id": self.subject_id,
            "period": self.period.as_str(),
            "percent": self.percent,
            "limit": self.limit.0,
            "spent": self.spent.0,
            "resets_at": self.resets_at_ms.map(time::rfc3339),
        })
        .to_string()
    }

    /// An id that needs no randomness: the same news has the same one.
    #[must_use]
    pub fn id(&self) -> NoticeId {
        let mut hash = Sha256::new();
        hash.update(self.account.as_str());
        hash.update([0]);
        hash.update(self.once());
        let digest: [u8; 32] = hash.finalize().into();
        let mut entropy = [0; 10];
        entropy.copy_from_slice(&digest[..10]);
        NoticeId::new(self.at_ms, entropy)
    }
}

/// The thresholds that a budget passed when its spending rose from `before` to what it is now.
pub(super) fn crossed(
    account: &AccountId,
    budget: &Budget,
    before: Credits,
    now_ms: i64,
) -> impl Iterator<Item = BudgetNotice> {
    let passed = move |percent: &u8| {
        reached(budget.spent, budget.limit, *percent) && !reached(before, budget.limit, *percent)
    };
    PERCENTS.into_iter().filter(passed).map(move |percent| BudgetNotice {
        account: account.clone(),
        budget: budget.id.clone(),
        subject: budget.subject,
        subject_id: budget.subject_id.clone(),
        period: budget.period,
        percent,
        limit: budget.limit,
        spent: budget.spent,
        window_start_ms: budget.window_start_ms,
        resets_at_ms: budget.resets_at_ms(now_ms),
        at_ms: now_ms,
    })
}

/// Whether `spent` is at least `percent` hundredths of `limit`.
fn reached(spent: Credits, limit: Credits, percent: u8) -> bool {
    i128::from(spent.0) * 100 >= i128::from(limit.0) * i128::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percents(limit: i64, before: i64, spent: i64) -> Vec<u8> {
        let budget = Budget {
            id: BudgetId::new(1, [0; 10]),
            subject: Subject::Agent,
            subject_id: "agt".into(),
            period: Period::Total,
            limit: Credits(limit),
            window_start_ms: 0,
            spent: Credits(spent),
        };
        let account = AccountId::new(1, [0; 10]);
        crossed(&account, &budget, Credits(before), 5).map(|notice| notice.percent).collect()
    }

    #[test]
    fn thresholds_are_passed_at_their_very_credit() {
        assert_eq!(percents(100, 0, 49), [0; 0]);
        assert_eq!(percents(100, 49, 50), [50]);
        assert_eq!(percents(100, 50, 79), [0; 0]);
        assert_eq!(percents(100, 50, 80), [80]);
        assert_eq!(percents(100, 80, 100), [100]);
        assert_eq!(percents(100, 0, 100), [50, 80, 100]);
        assert_eq!(percents(100, 100, 100), [0; 0]);
        // A half credit is not reached by none.
        assert_eq!(percents(1, 0, 1), [50, 80, 100]);
        assert_eq!(percents(3, 0, 1), [0; 0]);
        assert_eq!(percents(3, 1, 2), [50]);
        assert_eq!(percents(i64::MAX, 0, i64::MAX), [50, 80, 100]);
        assert_eq!(percents(i64::MAX, 0, i64::MAX / 2), [0; 0]);
        assert_eq!(percents(i64::MAX, 0, i64::MAX / 2 + 1), [50]);
    }

    #[test]
    fn the_same_news_has_the_same_name_and_id() {
        let budget = Budget {
            id: BudgetId::new(1, [7; 10]),
            subject: Subject::Key,
            subject_id: "key".into(),
            period: Period::Total,
            limit: Credits(2),
            window_start_ms: 0,
            spent: Credits(1),
        };
        let account = AccountId::new(1, [0; 10]);
        let first = crossed(&account, &budget, Credits::ZERO, 5).next().unwrap();
        assert_eq!(first.once(), format!("{}:0:50:2", budget.id));
        assert_eq!(crossed(&account, &budget, Credits::ZERO, 5).next().unwrap().id(), first.id());
        let other = AccountId::new(2, [0; 10]);
        assert_ne!(crossed(&other, &budget, Credits::ZERO, 5).next().unwrap().id(), first.id());
    }
}
