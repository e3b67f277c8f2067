//! Spending of a period, summed up by whatever is asked: day, agent, model, product.
//!
//! Invariant: every table of a report adds up to the same total. Not here: single events (`usage`).

use crate::{
    app::{
        Error,
        history::{self, AgentNames},
    },
    state::App,
};
use rynjer_core::id::AccountId;
use rynjer_store::{
    StoreError,
    list::Filter,
    spend::{self, SPEND_SCAN_MAX, Spend, SpendRow},
};
use std::collections::BTreeMap;

/// What tasks did with credits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) tasks: i64,
    pub(crate) failed: i64,
    pub(crate) spent: i64,
    pub(crate) held: i64,
}

impl Sum {
    fn add(&mut self, row: &SpendRow) {
        self.tasks = self.tasks.saturating_add(row.tasks);
        self.failed = self.failed.saturating_add(row.failed);
        self.spent = self.spent.saturating_add(row.spent.0);
        self.held = self.held.saturating_add(row.held.0);
    }
}

/// The spending of a period, and the names of the account's agents.
pub(crate) async fn of_account(
    app: &App,
    account: AccountId,
    filter: Filter,
) -> Result<(Spend, AgentNames), Error> {
    let read = app.store.read(move |tx| {
        let spend = spend::by_kind(tx, &account, &filter, SPEND_SCAN_MAX)?;
        Ok::<_, StoreError>((spend, history::names(tx, &account)?))
    });
    Ok(read.await?)
}

/// All of it.
pub(crate) fn total(rows: &[SpendRow]) -> Sum {
    let mut sum = Sum::default();
    rows.iter().for_each(|row| sum.add(row));
    sum
}

/// Sums by a part of each row, in the order of that part.
pub(crate) fn by<K: Ord>(rows: &[SpendRow], part: impl Fn(&SpendRow) -> K) -> BTreeMap<K, Sum> {
    let mut sums = BTreeMap::<K, Sum>::new();
    for row in rows {
        sums.entry(part(row)).or_default().add(row);
    }
    sums
}

/// The same, the most expensive first.
pub(crate) fn ranked(rows: &[SpendRow], part: impl Fn(&SpendRow) -> String) -> Vec<(String, Sum)> {
    let mut sums: Vec<_> = by(rows, part).into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.spent));
    sums
}
