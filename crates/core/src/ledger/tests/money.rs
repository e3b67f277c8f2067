//! Grants, refunds and clawbacks: amounts, references, and debts.
//!
//! Invariant: a move under a used reference is either the very same move, and done once, or refused. Not
//! here: holds.

use super::desk::{
    Desk, NOON_MS, accept, accepted, account, capture, clawback, grant, moved, refund, refused, release,
    settled, task,
};
use crate::{
    credits::Credits,
    ledger::{Guard, OWING, Refusal},
    task::Status,
};

/// An account with `credits`, of which task 1 has spent 60.
fn spent_sixty(credits: i64) -> Desk {
    let mut desk = Desk::with_accounts(2, credits);
    desk.one(&accept(0, 1, 30, 2));
    desk.claim(&task(1));
    assert_eq!(desk.one(&capture(0, 1, Guard::Fence(1), 2)), settled(60, 0));
    desk
}

#[test]
fn a_grant_is_done_once_per_reference() {
    let mut desk = Desk::with_accounts(2, 0);
    assert_eq!(desk.one(&grant(0, 100, "a")), moved(false, 100));
    assert_eq!(desk.one(&grant(0, 100, "a")), moved(true, 100));
    assert_eq!(desk.one(&grant(0, 101, "a")), refused(Refusal::ReferenceReused));
    assert_eq!(desk.one(&grant(1, 5, "a")), moved(false, 5));
    let twins = [(NOON_MS, grant(0, 7, "b")), (NOON_MS, grant(0, 7, "b")), (NOON_MS, grant(0, 8, "b"))];
    assert_eq!(desk.batch(&twins), [moved(false, 107), moved(true, 107), refused(Refusal::ReferenceReused)]);
    let most = (1 << 53) - 107;
    for amount in [0, -1, i64::MIN, most + 1, i64::MAX] {
        let invalid = Refusal::AmountInvalid { most: Credits(most) };
        assert_eq!(desk.one(&grant(0, amount, "c")), refused(invalid));
    }
    assert_eq!(desk.one(&grant(0, most, "c")), moved(false, 1 << 53));
    desk.check();
}

/// A ticket number may name a grant and a refund of the same amount; the second must not be taken for done.
#[test]
fn a_reference_belongs_to_one_kind_of_move_and_one_task() {
    let mut desk = spent_sixty(100);
    desk.one(&accept(0, 2, 30, 1));
    desk.claim(&task(2));
    assert_eq!(desk.one(&capture(0, 2, Guard::Fence(1), 1)), settled(30, 0));
    assert_eq!(desk.one(&grant(0, 20, "ticket 7")), moved(false, 30));
    let reused = refused(Refusal::ReferenceReused);
    assert_eq!(desk.one(&refund(0, 1, 20, "ticket 7")), reused);
    assert_eq!(desk.one(&clawback(0, 20, "ticket 7")), reused);
    assert_eq!(desk.one(&refund(0, 1, 20, "ticket 8")), moved(false, 50));
    assert_eq!(desk.one(&refund(0, 1, 20, "ticket 8")), moved(true, 50));
    assert_eq!(desk.one(&refund(0, 2, 20, "ticket 8")), reused);
    assert_eq!(desk.one(&grant(0, 20, "ticket 8")), reused);
    assert_eq!(desk.books(0).revenue, Credits(70));
    desk.check();
}

#[test]
fn refunds_never_exceed_the_charge() {
    let mut desk = spent_sixty(100);
    assert_eq!(desk.one(&refund(0, 1, 45, "a")), moved(false, 85));
    for amount in [16, 0, -1] {
        let invalid = Refusal::AmountInvalid { most: Credits(15) };
        assert_eq!(desk.one(&refund(0, 1, amount, "b")), refused(invalid));
    }
    assert_eq!(desk.one(&refund(0, 1, 15, "b")), moved(false, 100));
    assert_eq!(desk.one(&refund(0, 1, 1, "c")), refused(Refusal::AmountInvalid { most: Credits(0) }));
    assert_eq!(desk.one(&refund(1, 1, 1, "c")), refused(Refusal::TaskUnknown));
    assert_eq!(desk.one(&refund(0, 9, 1, "c")), refused(Refusal::TaskUnknown));
    assert_eq!(desk.tasks[&task(1)].status, Status::Success);
    desk.check();
}

#[test]
fn a_clawback_of_unspent_credits_owes_nothing() {
    let mut desk = Desk::with_accounts(1, 100);
    assert_eq!(desk.one(&clawback(0, 40, "a")), moved(false, 60));
    assert_eq!(desk.one(&clawback(0, 40, "a")), moved(true, 60));
    assert_eq!(desk.one(&clawback(0, 61, "b")), refused(Refusal::AmountInvalid { most: Credits(60) }));
    assert_eq!(desk.one(&clawback(0, 60, "b")), moved(false, 0));
    assert_eq!(desk.accounts[&account(0)].frozen_reason, None);
    assert_eq!(desk.books(0).issued, Credits(0));
}

#[test]
fn spent_credits_are_owed_and_paid_by_later_grants_first() {
    let mut desk = spent_sixty(100);
    assert_eq!(desk.one(&accept(0, 2, 10, 1)), accepted(10));
    // 30 are available, 10 held, 60 spent.
    assert_eq!(desk.one(&clawback(0, 100, "chargeback")), moved(false, 0));
    assert_eq!((desk.books(0).owed, desk.books(0).issued), (Credits(-70), Credits(0)));
    assert_eq!(desk.one(&clawback(0, 100, "chargeback")), moved(true, 0));
    assert_eq!(desk.one(&accept(0, 3, 1, 1)), refused(Refusal::AccountFrozen));
    // What runs may still end, and what it releases is the owner's.
    assert_eq!(desk.one(&release(0, 2, Guard::NotSubmitted, Status::Canceled, None)), settled(0, 10));
    assert_eq!(desk.one(&grant(0, 50, "paid")), moved(false, 10));
    assert_eq!(desk.books(0).owed, Credits(-20));
    assert_eq!(desk.one(&grant(0, 50, "paid")), moved(true, 10));
    assert_eq!(desk.one(&grant(0, 49, "paid")), refused(Refusal::ReferenceReused));
    assert_eq!(desk.one(&grant(0, 50, "paid again")), moved(false, 40));
    assert_eq!(desk.books(0).owed, Credits(0));
    assert_eq!(desk.one(&grant(0, 5, "more")), moved(false, 45));
    // The debt was all that froze it.
    assert_eq!(desk.accounts[&account(0)].frozen_reason, None);
    assert_eq!(desk.one(&accept(0, 3, 1, 1)), accepted(1));
    desk.check();
}

/// Two debts at once end together; another's freeze is neither overwritten by a debt nor ended with it.
#[test]
fn only_a_freeze_by_debt_ends_with_the_debt() {
    let reason = |desk: &Desk| desk.accounts[&account(0)].frozen_reason.clone();
    let mut desk = spent_sixty(100);
    assert_eq!(desk.one(&clawback(0, 50, "dispute 1")), moved(false, 0));
    assert_eq!(desk.one(&clawback(0, 30, "dispute 2")), moved(false, 0));
    assert_eq!((desk.books(0).owed, reason(&desk).as_deref()), (Credits(-40), Some(OWING)));
    assert_eq!(desk.one(&grant(0, 30, "second is back")), moved(false, 0));
    assert_eq!((desk.books(0).owed, reason(&desk).as_deref()), (Credits(-10), Some(OWING)));
    assert_eq!(desk.one(&grant(0, 50, "first is back")), moved(false, 40));
    assert_eq!((desk.books(0).owed, reason(&desk)), (Credits(0), None));

    let mut desk = spent_sixty(100);
    desk.accounts.get_mut(&account(0)).unwrap().frozen_reason = Some("fraud".to_owned());
    assert_eq!(desk.one(&clawback(0, 50, "taken")), moved(false, 0));
    assert_eq!(reason(&desk).as_deref(), Some("fraud"));
    assert_eq!(desk.one(&grant(0, 50, "back")), moved(false, 40));
    assert_eq!((desk.books(0).owed, reason(&desk).as_deref()), (Credits(0), Some("fraud")));
    desk.check();
}

/// What was granted before is still answered as such.
#[test]
fn a_closed_account_is_granted_nothing() {
    let mut desk = Desk::with_accounts(1, 10);
    desk.accounts.get_mut(&account(0)).unwrap().closed = true;
    assert_eq!(desk.one(&grant(0, 10, "first")), moved(true, 10));
    assert_eq!(desk.one(&grant(0, 10, "second")), refused(Refusal::AccountClosed));
    assert_eq!(desk.books(0).available, Credits(10));
    desk.check();
}
