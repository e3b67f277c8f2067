//! Spending limits: who is limited, over which period, and how a window of time begins and ends.
//!
//! Invariant: a hold is counted against the window it was made in, and what is released goes back to exactly
//! that window. Lowering a limit only refuses new holds. Not here: when holds happen (`ledger`).

use crate::{credits::Credits, id::BudgetId, time};

/// Whose spending a budget limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Account,
    Agent,
    Key,
}

impl Subject {
    /// The stored and shown word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Agent => "agent",
            Self::Key => "key",
        }
    }

    /// The subject of a stored word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Account, Self::Agent, Self::Key].into_iter().find(|s| s.as_str() == text)
    }
}

/// Over which time a budget counts, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    Day,
    Month,
    Total,
}

impl Period {
    /// The stored and shown word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// The period of a stored word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Day, Self::Month, Self::Total].into_iter().find(|p| p.as_str() == text)
    }

    /// The first millisecond of the window that `now_ms` falls in; 0 for `Total`.
    #[must_use]
    pub fn window_start_ms(self, now_ms: i64) -> i64 {
        match self {
            Self::Day => time::day_start_ms(now_ms),
            Self::Month => time::month_start_ms(now_ms),
            Self::Total => 0,
        }
    }

    /// When the window ends and spending starts at zero again; never for `Total`.
    #[must_use]
    pub fn resets_at_ms(self, now_ms: i64) -> Option<i64> {
        match self {
            Self::Day => Some(time::day_start_ms(now_ms) + time::DAY_MS),
            Self::Month => Some(time::next_month_start_ms(now_ms)),
            Self::Total => None,
        }
    }
}

/// A budget with the count of its current window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub id: BudgetId,
    pub subject: Subject,
    pub subject_id: String,
    pub period: Period,
    pub limit: Credits,
    pub window_start_ms: i64,
    pub spent: Credits,
}

impl Budget {
    /// The window that `now_ms` counts in. It never goes back: a clock that steps over midnight and back must
    /// not open a window a second time with nothing spent in it.
    fn window_at(&self, now_ms: i64) -> i64 {
        self.period.window_start_ms(now_ms).max(self.window_start_ms)
    }

    /// What counts as spent at `now_ms`: nothing, once the stored window is over.
    #[must_use]
    pub fn spent_at(&self, now_ms: i64) -> Credits {
        if self.window_start_ms == self.window_at(now_ms) { self.spent } else { Credits::ZERO }
    }

    /// When the window that `now_ms` counts in ends; never for a total.
    #[must_use]
    pub fn resets_at_ms(&self, now_ms: i64) -> Option<i64> {
        self.period.resets_at_ms(now_ms.max(self.window_start_ms))
    }

    /// Whether `amount` more still fits at `now_ms`.
    #[must_use]
    pub fn allows(&self, amount: Credits, now_ms: i64) -> bool {
        self.spent_at(now_ms).checked_add(amount).is_some_and(|sum| sum <= self.limit)
    }

    /// Counts `amount` at `now_ms` and tells the window it was counted in.
    pub fn charge(&mut self, amount: Credits, now_ms: i64) -> Charge {
        self.spent = Credits(self.spent_at(now_ms).0.saturating_add(amount.0));
        self.window_start_ms = self.window_at(now_ms);
        Charge { budget: self.id.clone(), window_start_ms: self.window_start_ms }
    }

    /// Gives `amount` back, if the window it was counted in is still the stored one.
    pub fn give_back(&mut self, amount: Credits, window_start_ms: i64) {
        if self.window_start_ms == window_start_ms {
            self.spent = Credits(self.spent.0.saturating_sub(amount.0).max(0));
        }
    }
}

/// A window of a budget that a hold was counted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub budget: BudgetId,
    pub window_start_ms: i64,
}

impl Charge {
    /// Many charges as one column of text: `bud_x:0,bud_y:1767225600000`.
    #[must_use]
    pub fn to_text(charges: &[Self]) -> String {
        let parts: Vec<_> = charges.iter().map(|c| format!("{}:{}", c.budget, c.window_start_ms)).collect();
        parts.join(",")
    }

    /// The charges of a stored column; what can't be read is skipped, as its budget is gone.
    #[must_use]
    pub fn from_text(text: &str) -> Vec<Self> {
        let parse = |part: &str| {
            let (id, window) = part.split_once(':')?;
            Some(Self { budget: BudgetId::parse(id)?, window_start_ms: window.parse().ok()? })
        };
        text.split(',').filter_map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_MS: i64 = 1_709_210_096_789;

    fn budget(period: Period) -> Budget {
        Budget {
            id: BudgetId::new(1, [0; 10]),
            subject: Subject::Agent,
            subject_id: "agt".into(),
            period,
            limit: Credits(100),
            window_start_ms: period.window_start_ms(NOON_MS),
            spent: Credits(95),
        }
    }

    #[test]
    fn a_new_window_starts_at_zero_and_old_charges_do_not_lower_it() {
        let mut day = budget(Period::Day);
        assert!(!day.allows(Credits(6), NOON_MS));
        let old = day.charge(Credits(5), NOON_MS);
        let tomorrow = NOON_MS + time::DAY_MS;
        assert!(day.allows(Credits(100), tomorrow));
        day.charge(Credits(40), tomorrow);
        day.give_back(Credits(5), old.window_start_ms);
        assert_eq!(day.spent_at(tomorrow), Credits(40));
        let mut total = budget(Period::Total);
        let charge = total.charge(Credits(5), NOON_MS);
        assert!(!total.allows(Credits(1), tomorrow));
        total.give_back(Credits(5), charge.window_start_ms);
        assert_eq!(total.spent_at(tomorrow), Credits(95));
    }

    #[test]
    fn charges_survive_their_column() {
        let charges = vec![
            Charge { budget: BudgetId::new(1, [1; 10]), window_start_ms: 0 },
            Charge { budget: BudgetId::new(2, [2; 10]), window_start_ms: 86_400_000 },
        ];
        assert_eq!(Charge::from_text(&Charge::to_text(&charges)), charges);
        assert_eq!(Charge::from_text(""), vec![]);
    }
}
