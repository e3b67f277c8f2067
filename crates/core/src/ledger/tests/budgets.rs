//! Budgets and runs over time: windows, what flows back, and clocks that step.
//!
//! Invariant: no order of times lets a window spend more than its limit. Not here: setting limits.

use super::desk::{
    Desk, NOON_MS, accept, accepted, account, agent, capture, in_run, key, new_accept, refused, release,
    settled, task,
};
use crate::{
    budget::{Period, Subject},
    credits::Credits,
    ledger::{Command, Guard, Outcome, Refusal},
    task::Status,
    time::DAY_MS,
};

/// Midnight after [`NOON_MS`], which is also the start of March 2024.
const MIDNIGHT_MS: i64 = 1_709_251_200_000;

fn desk_with(period: Period, limit: i64) -> Desk {
    let mut desk = Desk::with_accounts(1, 1_000);
    desk.budget(0, (Subject::Account, account(0).as_str()), period, limit, NOON_MS);
    desk
}

fn exceeded(period: Period, limit: i64, spent: i64, resets_at_ms: Option<i64>) -> Outcome {
    refused(Refusal::BudgetExceeded {
        subject: "account",
        period: period.as_str(),
        limit: Credits(limit),
        spent: Credits(spent),
        resets_at_ms,
    })
}

#[test]
fn windows_open_at_midnight_the_first_and_never() {
    let april_ms = MIDNIGHT_MS + 31 * DAY_MS;
    for (period, first_end, second_end) in [
        (Period::Day, Some(MIDNIGHT_MS), Some(MIDNIGHT_MS + DAY_MS)),
        (Period::Month, Some(MIDNIGHT_MS), Some(april_ms)),
        (Period::Total, None, None),
    ] {
        let mut desk = desk_with(period, 25);
        assert_eq!(desk.at(NOON_MS, &accept(0, 1, 20, 1)), accepted(20));
        assert_eq!(desk.at(MIDNIGHT_MS - 1, &accept(0, 2, 6, 1)), exceeded(period, 25, 20, first_end));
        assert_eq!(desk.at(MIDNIGHT_MS - 1, &accept(0, 2, 5, 1)), accepted(5));
        let next = desk.at(MIDNIGHT_MS, &accept(0, 3, 25, 1));
        if period == Period::Total {
            assert_eq!(next, exceeded(period, 25, 25, None));
        } else {
            assert_eq!(next, accepted(25));
            assert_eq!(desk.at(MIDNIGHT_MS, &accept(0, 4, 1, 1)), exceeded(period, 25, 25, second_end));
        }
    }
}

#[test]
fn what_is_released_flows_back_to_its_own_window() {
    for period in [Period::Day, Period::Month, Period::Total] {
        let mut desk = desk_with(period, 40);
        desk.at(NOON_MS, &accept(0, 1, 10, 4));
        desk.claim(&task(1));
        assert_eq!(desk.at(NOON_MS, &capture(0, 1, Guard::Fence(1), 1)), settled(10, 30));
        assert_eq!(desk.at(NOON_MS, &accept(0, 2, 30, 1)), accepted(30));
        // A new window is not lowered by what an old one gives back.
        let later_ms = MIDNIGHT_MS + 1;
        let spent = if period == Period::Total { 40 } else { 0 };
        assert_eq!(desk.accounts[&account(0)].budgets[0].spent_at(later_ms), Credits(spent));
        if period != Period::Total {
            assert_eq!(desk.at(later_ms, &accept(0, 3, 35, 1)), accepted(35));
        }
        let cancel = release(0, 2, Guard::NotSubmitted, Status::Canceled, None);
        assert_eq!(desk.at(later_ms, &cancel), settled(0, 30));
        let spent = if period == Period::Total { 10 } else { 35 };
        assert_eq!(desk.accounts[&account(0)].budgets[0].spent_at(later_ms), Credits(spent));
    }
}

/// Two nodes, or one clock that is set back, see midnight at different times; the day must not open twice.
#[test]
fn a_clock_that_steps_back_opens_no_window_again() {
    let mut desk = desk_with(Period::Day, 25);
    let before_ms = MIDNIGHT_MS - 1;
    assert_eq!(desk.at(MIDNIGHT_MS, &accept(0, 1, 25, 1)), accepted(25));
    let full = exceeded(Period::Day, 25, 25, Some(MIDNIGHT_MS + DAY_MS));
    assert_eq!(desk.at(before_ms, &accept(0, 2, 25, 1)), full);
    assert_eq!(desk.at(MIDNIGHT_MS, &accept(0, 2, 25, 1)), full);
    let in_one_batch = desk.batch(&[
        (MIDNIGHT_MS + DAY_MS, accept(0, 3, 25, 1)),
        (MIDNIGHT_MS + DAY_MS - 1, accept(0, 4, 25, 1)),
        (MIDNIGHT_MS + DAY_MS, accept(0, 5, 25, 1)),
    ]);
    let full = exceeded(Period::Day, 25, 25, Some(MIDNIGHT_MS + 2 * DAY_MS));
    assert_eq!(in_one_batch, [accepted(25), full.clone(), full]);
}

#[test]
fn a_budget_limits_its_subject_alone() {
    let mut desk = Desk::with_accounts(1, 1_000);
    desk.budget(0, (Subject::Agent, agent(0).as_str()), Period::Total, 10, NOON_MS);
    desk.budget(0, (Subject::Key, key(1).as_str()), Period::Total, 20, NOON_MS);
    let mut by = |id: i64, agent_n: Option<u8>, key_n: u8, price: i64| {
        let mut accept = new_accept(0, id, price, 1);
        accept.task.agent = agent_n.map(agent);
        accept.task.key = key(key_n);
        desk.one(&Command::Accept(Box::new(accept)))
    };
    let over = |outcome: &Outcome| match outcome {
        Outcome::Refused(Refusal::BudgetExceeded { subject, .. }) => *subject,
        _ => "no budget",
    };
    assert_eq!(over(&by(1, Some(0), 0, 11)), "agent");
    assert_eq!(by(2, Some(0), 0, 10), accepted(10));
    assert_eq!(by(3, Some(1), 0, 500), accepted(500));
    assert_eq!(over(&by(4, Some(1), 1, 21)), "key");
    assert_eq!(by(5, None, 1, 20), accepted(20));
    assert_eq!(by(6, None, 0, 400), accepted(400));
    let spent: Vec<_> = desk.accounts[&account(0)].budgets.iter().map(|b| b.spent.0).collect();
    assert_eq!(spent, [10, 20]);
}

/// Of several budgets that are exceeded the answer names the same one, however the rows came.
#[test]
fn the_named_budget_does_not_depend_on_the_order_of_rows() {
    let subjects = [
        (Subject::Key, key(0).to_string(), Period::Day),
        (Subject::Agent, agent(0).to_string(), Period::Day),
        (Subject::Account, account(0).to_string(), Period::Total),
        (Subject::Account, account(0).to_string(), Period::Month),
    ];
    for first in 0..subjects.len() {
        let mut desk = Desk::with_accounts(1, 1_000);
        for step in 0..subjects.len() {
            let (subject, id, period) = &subjects[(first + step) % subjects.len()];
            desk.budget(0, (*subject, id), *period, 5, NOON_MS);
        }
        let month = exceeded(Period::Month, 5, 0, Some(MIDNIGHT_MS));
        assert_eq!(desk.one(&accept(0, 1, 6, 1)), month);
    }
}

#[test]
fn spendable_is_the_narrowest_of_balance_and_budgets() {
    let mut desk = Desk::with_accounts(1, 50);
    desk.budget(0, (Subject::Account, account(0).as_str()), Period::Day, 70, NOON_MS);
    let short = |required, available, spendable| {
        let [required, available, spendable] = [required, available, spendable].map(Credits);
        refused(Refusal::InsufficientCredits { required, available, spendable })
    };
    assert_eq!(desk.one(&accept(0, 1, 60, 1)), short(60, 50, 50));
    assert_eq!(desk.one(&accept(0, 1, 40, 1)), accepted(40));
    assert_eq!(desk.one(&accept(0, 2, 20, 1)), short(20, 10, 10));
}

#[test]
fn a_run_keeps_its_first_limit() {
    let mut desk = Desk::with_accounts(1, 1_000);
    let run = |id: i64, price: i64, run_id: &str, max: Option<i64>| {
        in_run(new_accept(0, id, price, 2), run_id, max)
    };
    let over = |spent: i64| {
        refused(Refusal::BudgetExceeded {
            subject: "run",
            period: "total",
            limit: Credits(50),
            spent: Credits(spent),
            resets_at_ms: None,
        })
    };
    assert_eq!(desk.one(&run(1, 26, "a", Some(50))), over(0));
    // A refused first use fixes nothing.
    assert!(desk.runs.is_empty());
    assert_eq!(desk.one(&run(1, 20, "a", Some(50))), accepted(40));
    let fixed = refused(Refusal::RunLimitFixed { limit: Some(Credits(50)) });
    assert_eq!(desk.one(&run(2, 1, "a", Some(49))), fixed);
    assert_eq!(desk.one(&run(2, 6, "a", None)), over(40));
    assert_eq!(desk.one(&run(2, 5, "a", None)), accepted(10));
    desk.claim(&task(1));
    assert_eq!(desk.one(&capture(0, 1, Guard::Fence(1), 1)), settled(20, 20));
    assert_eq!(desk.one(&run(3, 11, "a", Some(50))), over(30));
    assert_eq!(desk.one(&run(3, 10, "a", Some(50))), accepted(20));
    // Another agent's run of that name is another run, and a run without a limit stays without.
    let mut other = new_accept(0, 4, 100, 1);
    other.task.agent = Some(agent(1));
    assert_eq!(desk.one(&in_run(other, "a", None)), accepted(100));
    assert_eq!(desk.one(&run(5, 100, "b", None)), accepted(200));
    assert_eq!(desk.one(&run(6, 1, "b", Some(500))), refused(Refusal::RunLimitFixed { limit: None }));
    desk.check();
}
