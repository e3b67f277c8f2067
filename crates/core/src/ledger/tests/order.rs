//! The order of the checks of an acceptance, and what a repeated request id is told.
//!
//! Invariant: of two reasons to refuse, the one earlier in the contract is answered. Not here: sums of money.

use super::desk::{
    Desk, NOON_MS, accept, accepted, account, agent, capture, grant, in_run, new_accept, prompt, refused,
    settled, task,
};
use crate::{
    budget::{Period, Subject},
    credits::Credits,
    ledger::{Accept, Command, Guard, Outcome, Refusal},
};

/// Breaks one check after the other, from the last of the contract to the first; each must hide the ones
/// before.
#[test]
fn an_earlier_check_hides_every_later_one() {
    let mut desk = Desk::with_accounts(1, 50);
    assert_eq!(desk.one(&in_run(new_accept(0, 1, 10, 1), "run", Some(20))), accepted(10));
    let asked = |run_max: i64, open_max: i64| {
        let mut accept = new_accept(0, 2, 100, 1);
        accept.open_tasks_max = open_max;
        in_run(accept, "run", Some(run_max))
    };
    let plain = accept(0, 2, 100, 1);
    let short = |spendable| Refusal::InsufficientCredits {
        required: Credits(100),
        available: Credits(40),
        spendable: Credits(spendable),
    };
    assert_eq!(desk.one(&plain), refused(short(40)));

    let account_id = account(0).to_string();
    desk.budget(0, (Subject::Key, super::desk::key(0).as_str()), Period::Total, 30, NOON_MS);
    assert_eq!(desk.one(&plain), refused(exceeded("key", "total", 30, 0)));
    desk.budget(0, (Subject::Agent, agent(0).as_str()), Period::Total, 31, NOON_MS);
    assert_eq!(desk.one(&plain), refused(exceeded("agent", "total", 31, 0)));
    desk.budget(0, (Subject::Account, &account_id), Period::Total, 32, NOON_MS);
    assert_eq!(desk.one(&plain), refused(exceeded("account", "total", 32, 0)));
    assert_eq!(desk.one(&asked(20, 100)), refused(exceeded("run", "total", 20, 10)));
    assert_eq!(desk.one(&asked(21, 100)), refused(Refusal::RunLimitFixed { limit: Some(Credits(20)) }));
    assert_eq!(desk.one(&asked(21, 1)), refused(Refusal::TooManyOpenTasks { open: 1, max: 1 }));

    desk.accounts.get_mut(&account(0)).unwrap().paused = true;
    assert_eq!(desk.one(&asked(21, 1)), refused(Refusal::AccountPaused));
    desk.accounts.get_mut(&account(0)).unwrap().frozen_reason = Some("the operator".into());
    assert_eq!(desk.one(&asked(21, 1)), refused(Refusal::AccountFrozen));
    // A repeated id is answered although the account is frozen since.
    assert_eq!(desk.one(&accept(0, 1, 10, 1)), Outcome::Replayed { task: task(1) });
    let mut other = new_accept(0, 1, 10, 1);
    other.task.fingerprint = prompt("a dog");
    let reused = refused(Refusal::RequestIdReused { fields: vec!["prompt".into()] });
    assert_eq!(desk.one(&Command::Accept(Box::new(other.clone()))), reused);
    desk.accounts.get_mut(&account(0)).unwrap().books.available = Credits(41);
    let fault = refused(Refusal::LedgerFault { detail: "books sum to 1 instead of zero".into() });
    assert_eq!(desk.one(&Command::Accept(Box::new(other))), fault);
    assert_eq!(desk.one(&accept(9, 1, 10, 1)), refused(Refusal::AccountUnknown));
    assert_eq!(desk.tasks.len(), 1);
}

fn exceeded(subject: &'static str, period: &'static str, limit: i64, spent: i64) -> Refusal {
    Refusal::BudgetExceeded {
        subject,
        period,
        limit: Credits(limit),
        spent: Credits(spent),
        resets_at_ms: None,
    }
}

#[test]
fn a_repeated_id_is_one_task_for_ever() {
    let mut desk = Desk::with_accounts(2, 100);
    assert_eq!(desk.one(&accept(0, 1, 10, 1)), accepted(10));
    let again = |id: i64| {
        let mut accept = new_accept(0, id, 99, 7);
        accept.task.request_id = "r1".into();
        accept
    };
    let repeated = |desk: &mut Desk, accept: Accept| desk.one(&Command::Accept(Box::new(accept)));
    // Also with another price: the price is the task's, not the request's.
    assert_eq!(repeated(&mut desk, again(2)), Outcome::Replayed { task: task(1) });
    desk.claim(&task(1));
    assert_eq!(desk.one(&capture(0, 1, Guard::Fence(1), 1)), settled(10, 0));
    assert_eq!(repeated(&mut desk, again(3)), Outcome::Replayed { task: task(1) });
    // Another principal or account has ids of its own.
    let mut of_owner = again(4);
    of_owner.task.agent = None;
    of_owner.task.unit_price = Credits(1);
    assert_eq!(repeated(&mut desk, of_owner), accepted(7));
    let mut of_other = again(5);
    of_other.task.agent = Some(agent(1));
    of_other.task.unit_price = Credits(1);
    assert_eq!(repeated(&mut desk, of_other), accepted(7));
    assert_eq!(desk.one(&accept(1, 1_000, 10, 1)), accepted(10));
    desk.check();
}

#[test]
fn twins_of_one_batch_are_one_task() {
    let mut desk = Desk::with_accounts(1, 100);
    let twin = |id: i64, text: &str| {
        let mut accept = new_accept(0, id, 10, 1);
        accept.task.request_id = "same".into();
        accept.task.fingerprint = prompt(text);
        (NOON_MS, Command::Accept(Box::new(accept)))
    };
    let outcomes = desk.batch(&[twin(1, "a cat"), twin(2, "a cat"), twin(3, "a dog")]);
    let reused = refused(Refusal::RequestIdReused { fields: vec!["prompt".into()] });
    assert_eq!(outcomes, [accepted(10), Outcome::Replayed { task: task(1) }, reused]);
    assert_eq!((desk.tasks.len(), desk.books(0).held), (1, Credits(10)));
}

/// A refusal is not remembered: the same id may come again and be accepted.
#[test]
fn a_refused_request_does_not_use_up_its_id() {
    let mut desk = Desk::with_accounts(1, 5);
    assert!(matches!(desk.one(&accept(0, 1, 10, 1)), Outcome::Refused(Refusal::InsufficientCredits { .. })));
    assert_eq!(desk.one(&grant(0, 5, "more")), super::desk::moved(false, 10));
    assert_eq!(desk.one(&accept(0, 1, 10, 1)), accepted(10));
}

/// A command that can't be right is refused; the account, which has done nothing wrong, is not frozen.
#[test]
fn a_price_that_is_no_price_freezes_nobody() {
    let mut desk = Desk::with_accounts(1, 5);
    for (unit_price, count) in [(0, 1), (1, 0), (-1, 1), (i64::MAX, 2), (i64::MIN, 2)] {
        let wrong = Refusal::AmountInvalid { most: Credits(i64::MAX) };
        assert_eq!(desk.one(&accept(0, 1, unit_price, count)), refused(wrong), "{unit_price} × {count}");
    }
    assert_eq!(desk.accounts[&account(0)].frozen_reason, None);
    assert_eq!(desk.one(&accept(0, 1, 5, 1)), accepted(5));
}
