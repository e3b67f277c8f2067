//! What owners hear of their budgets while credits move.
//!
//! Invariant: each threshold is told once per window, with the numbers at the moment it was passed. Not here:
//! where a threshold lies (`notice`).

use super::desk::{Desk, NOON_MS, accept, accepted, account, agent, new_accept, release, settled};
use crate::{
    budget::{Period, Subject},
    credits::Credits,
    ledger::{Command, Guard, Outcome, Refusal},
    task::Status,
    time::DAY_MS,
};

fn told(desk: &Desk) -> Vec<(&'static str, u8, i64)> {
    let mut all: Vec<_> = desk.notices.values().map(|n| (n.subject.as_str(), n.percent, n.spent.0)).collect();
    all.sort_unstable();
    all
}

#[test]
fn each_threshold_is_told_once_per_window() {
    let mut desk = Desk::with_accounts(1, 1_000);
    desk.budget(0, (Subject::Account, account(0).as_str()), Period::Day, 100, NOON_MS);
    assert_eq!(desk.one(&accept(0, 1, 49, 1)), accepted(49));
    assert_eq!(told(&desk), []);
    assert_eq!(desk.one(&accept(0, 2, 1, 1)), accepted(1));
    assert_eq!(told(&desk), [("account", 50, 50)]);
    // What is given back and spent again is no news.
    let cancel = release(0, 1, Guard::NotSubmitted, Status::Canceled, None);
    assert_eq!(desk.one(&cancel), settled(0, 49));
    assert_eq!(desk.one(&accept(0, 3, 79, 1)), accepted(79));
    assert_eq!(told(&desk), [("account", 50, 50), ("account", 80, 80)]);
    let full = desk.one(&accept(0, 4, 21, 1));
    assert!(matches!(full, Outcome::Refused(Refusal::BudgetExceeded { .. })), "{full:?}");
    assert_eq!(told(&desk).len(), 2);
    assert_eq!(desk.at(NOON_MS + DAY_MS, &accept(0, 5, 100, 1)), accepted(100));
    let of_today = desk.notices.values().filter(|n| n.window_start_ms > NOON_MS).map(|n| n.percent);
    assert_eq!(of_today.collect::<Vec<_>>(), [100, 50, 80]);
}

/// Whoever raised a limit hears again when the greater part of the new one is gone.
#[test]
fn a_raised_limit_is_told_anew_in_the_same_window() {
    let mut desk = Desk::with_accounts(1, 1_000);
    desk.budget(0, (Subject::Account, account(0).as_str()), Period::Day, 100, NOON_MS);
    assert_eq!(desk.one(&accept(0, 1, 80, 1)), accepted(80));
    assert_eq!(told(&desk), [("account", 50, 80), ("account", 80, 80)]);
    desk.accounts.get_mut(&account(0)).unwrap().budgets[0].limit = Credits(200);
    assert_eq!(desk.one(&accept(0, 2, 80, 1)), accepted(80));
    let all = [("account", 50, 80), ("account", 50, 160), ("account", 80, 80), ("account", 80, 160)];
    assert_eq!(told(&desk), all);
    // Back and forth is no news.
    assert_eq!(desk.one(&release(0, 2, Guard::NotSubmitted, Status::Canceled, None)), settled(0, 80));
    assert_eq!(desk.one(&accept(0, 3, 80, 1)), accepted(80));
    assert_eq!(told(&desk).len(), 4);
}

#[test]
fn a_notice_says_whose_budget_it_is_and_when_it_starts_anew() {
    let mut desk = Desk::with_accounts(1, 1_000);
    desk.budget(0, (Subject::Agent, agent(0).as_str()), Period::Month, 10, NOON_MS);
    desk.budget(0, (Subject::Agent, agent(1).as_str()), Period::Total, 1, NOON_MS);
    assert_eq!(desk.one(&accept(0, 1, 5, 1)), accepted(5));
    let notice = desk.notices.values().next().unwrap();
    let expected = format!(
        "{{\"limit\":10,\"percent\":50,\"period\":\"month\",\"resets_at\":\"2024-03-01T00:00:00.000Z\",\
         \"spent\":5,\"subject\":\"agent\",\"subject_id\":\"{}\"}}",
        agent(0)
    );
    assert_eq!((desk.notices.len(), notice.detail()), (1, expected));
}

/// The books of the account break at the second command of the batch; nothing of it is left.
#[test]
fn a_refused_command_leaves_no_notice() {
    let mut desk = Desk::with_accounts(1, 60);
    desk.budget(0, (Subject::Account, account(0).as_str()), Period::Total, 100, NOON_MS);
    let mut dear = new_accept(0, 1, 61, 1);
    dear.run = None;
    let outcome = desk.one(&Command::Accept(Box::new(dear)));
    let short = Refusal::InsufficientCredits {
        required: Credits(61),
        available: Credits(60),
        spendable: Credits(60),
    };
    assert_eq!((outcome, told(&desk)), (Outcome::Refused(short), vec![]));
    assert_eq!(desk.one(&accept(0, 2, 50, 1)), accepted(50));
    assert_eq!(told(&desk), [("account", 50, 50)]);
}
