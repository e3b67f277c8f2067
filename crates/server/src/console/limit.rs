//! Limits on pages: how far they are used, as bars, and the fields that set them.
//!
//! Invariant: a bar is as long as the ledger would count now; its text says all that its colour says. Not
//! here: what a limit refuses (`core::ledger`), who may change one (`app::admin`).

use super::{confirm, form::Form, shown};
use crate::{
    app::{Error, session::Session},
    state::App,
};
use rynjer_core::{
    budget::{Budget, Period, Subject},
    credits::Credits,
};

/// Every period, in the order of all lists.
pub(super) const PERIODS: [Period; 3] = [Period::Day, Period::Month, Period::Total];

/// How a period is read in a sentence.
pub(super) fn words(period: Period) -> &'static str {
    match period {
        Period::Day => "per day",
        Period::Month => "per month",
        Period::Total => "in total",
    }
}

/// How far one limit is used.
pub(super) struct Bar {
    pub(super) period: &'static str,
    /// The period as forms send it.
    pub(super) name: &'static str,
    pub(super) spent: String,
    pub(super) limit: String,
    /// The limit as a form shows it.
    pub(super) value: i64,
    /// Of a hundred.
    pub(super) width: i64,
    pub(super) fill: &'static str,
    /// `nearly used up`, `used up`, or nothing.
    pub(super) state: &'static str,
    /// When the count starts again; empty for a total.
    pub(super) resets: String,
}

impl Bar {
    pub(super) fn of(budget: &Budget, now_ms: i64) -> Self {
        let (spent, limit) = (budget.spent_at(now_ms).0, budget.limit.0);
        let percent = (i128::from(spent) * 100).checked_div(i128::from(limit)).unwrap_or(100);
        let width = i64::try_from(percent.clamp(0, 100)).unwrap_or(100);
        let (fill, state) = match width {
            100 => ("fill-bad", "used up"),
            80.. => ("fill-2", "nearly used up"),
            _ => ("fill-1", ""),
        };
        let resets = budget.resets_at_ms(now_ms);
        Self {
            period: words(budget.period),
            name: budget.period.as_str(),
            spent: shown::credits(spent),
            limit: shown::credits(limit),
            value: limit,
            width: if spent > 0 { width.max(1) } else { width },
            fill,
            state,
            resets: resets.map(|at_ms| shown::ago(at_ms, now_ms)).unwrap_or_default(),
        }
    }
}

/// The limits of one subject, shortest period first.
pub(super) fn bars(budgets: &[Budget], subject: Subject, subject_id: &str, now_ms: i64) -> Vec<Bar> {
    let mut own: Vec<&Budget> = budgets
        .iter()
        .filter(|budget| budget.subject == subject && budget.subject_id == subject_id)
        .collect();
    own.sort_by_key(|budget| budget.period);
    own.into_iter().map(|budget| Bar::of(budget, now_ms)).collect()
}

/// A field of a form that sets all limits of one subject.
pub(super) struct LimitField {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// Empty where there is no limit.
    pub(super) value: String,
}

/// The fields for the limits of one subject.
pub(super) fn fields(bars: &[Bar]) -> Vec<LimitField> {
    let labels = ["Per day", "Per month", "In total"];
    let field = |(period, label): (Period, &'static str)| {
        let bar = bars.iter().find(|bar| bar.name == period.as_str());
        let value = bar.map(|bar| bar.value.to_string()).unwrap_or_default();
        LimitField { name: period.as_str(), label, value }
    };
    PERIODS.into_iter().zip(labels).map(field).collect()
}

/// What such a form asks for: an empty field is no limit.
pub(super) fn wanted(form: &Form) -> Result<Vec<(Period, Option<Credits>)>, Error> {
    let limit = |period: Period| Ok((period, form.number(period.as_str())?.map(Credits)));
    PERIODS.into_iter().map(limit).collect()
}

/// The one limit of a form with an amount and a period; none where the amount is empty.
pub(super) fn single(form: &Form) -> Result<Option<(Credits, Period)>, Error> {
    let period = Period::parse(form.text("period"))
        .ok_or_else(|| Error::field("period", "must be a day, a month or the total"))?;
    let limit = form.number("limit")?.map(|limit| (Credits(limit), period));
    if limit.is_some_and(|(limit, _)| limit < Credits::ZERO) {
        return Err(Error::field("limit", "must be 0 or more"));
    }
    Ok(limit)
}

/// Whether whoever sent a form may allow more than was allowed: the password was typed lately, or is in the
/// form. A wrong one is refused all the same.
pub(super) async fn may_allow_more(app: &App, session: &Session, form: &Form) -> Result<bool, Error> {
    match confirm::check(app, session, form).await {
        Ok(()) => Ok(true),
        Err(Error::NotConfirmed) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rynjer_core::id::BudgetId;

    fn budget(limit: i64, spent: i64) -> Budget {
        Budget {
            id: BudgetId::new(1, [0; 10]),
            subject: Subject::Agent,
            subject_id: "agt".into(),
            period: Period::Total,
            limit: Credits(limit),
            window_start_ms: 0,
            spent: Credits(spent),
        }
    }

    #[test]
    fn bars_are_never_longer_than_their_frame() {
        let rows = [
            (100, 0, 0, ""),
            (1000, 1, 1, ""),
            (100, 79, 79, ""),
            (100, 80, 80, "nearly used up"),
            (100, 99, 99, "nearly used up"),
            (100, 100, 100, "used up"),
            (100, 150, 100, "used up"),
            (0, 0, 100, "used up"),
            (i64::MAX, i64::MAX, 100, "used up"),
        ];
        for (limit, spent, width, state) in rows {
            let bar = Bar::of(&budget(limit, spent), 1);
            assert_eq!((bar.width, bar.state), (width, state), "{spent} of {limit}");
        }
    }
}
