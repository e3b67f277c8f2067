//! How tasks end: each hold is resolved once, by whoever still owns the task.
//!
//! Invariant: the second resolution of a hold moves nothing. Not here: budgets.

use super::desk::{
    Desk, NOON_MS, accept, accepted, account, capture, capture_with_loss, loss, moved, refused, release,
    settled, task,
};
use crate::{
    credits::Credits,
    ledger::{Command, EntryKind, Guard, Outcome, Refusal},
    task::Status,
};

#[test]
fn all_nine_pairs_of_resolutions() {
    type Resolution = (Status, i64, fn(Guard) -> Command);
    let resolutions: [Resolution; 3] = [
        (Status::Success, 20, |guard| capture(0, 1, guard, 2)),
        (Status::Failed, 0, |guard| release(0, 1, guard, Status::Failed, None)),
        (Status::Canceled, 0, |guard| release(0, 1, guard, Status::Canceled, None)),
    ];
    for (status, charged, first) in resolutions {
        for (_, _, second) in resolutions {
            for in_one_batch in [false, true] {
                let mut desk = Desk::with_accounts(1, 100);
                assert_eq!(desk.one(&accept(0, 1, 10, 2)), accepted(20));
                desk.claim(&task(1));
                let (first, second) = (first(Guard::Fence(1)), second(Guard::Fence(1)));
                let outcomes = if in_one_batch {
                    desk.batch(&[(NOON_MS, first), (NOON_MS, second)])
                } else {
                    vec![desk.one(&first), desk.one(&second)]
                };
                assert_eq!(outcomes, [settled(charged, 20 - charged), Outcome::Stale { status }]);
                assert_eq!(desk.books(0).available, Credits(100 - charged));
                assert_eq!(desk.books(0).revenue, Credits(charged));
                assert_eq!(desk.tasks[&task(1)].status, status);
                desk.check();
            }
        }
    }
}

#[test]
fn what_a_vendor_may_bill_of_a_part_is_our_loss_and_not_the_callers() {
    let mut desk = Desk::with_accounts(1, 100);
    desk.one(&accept(0, 1, 10, 4));
    desk.claim(&task(1));
    assert_eq!(desk.one(&capture_with_loss(0, 1, Guard::Fence(1), 2, (7, 1))), settled(20, 20));
    let books = desk.books(0);
    assert_eq!(
        (books.available, books.revenue, books.provider_loss),
        (Credits(80), Credits(10), Credits(10))
    );
    // The same attempt's loss is booked once, whoever books it and however much.
    assert_eq!(desk.one(&loss(0, 1, 7)), moved(true, 80));
    desk.check();
}

#[test]
fn only_the_owner_of_a_task_ends_it() {
    let mut desk = Desk::with_accounts(2, 100);
    desk.one(&accept(0, 1, 10, 1));
    let cancel = release(0, 1, Guard::NotSubmitted, Status::Canceled, None);
    desk.claim(&task(1));
    desk.claim(&task(1));
    let stale = Outcome::Stale { status: Status::Processing };
    for guard in [Guard::Fence(0), Guard::Fence(1), Guard::Fence(3), Guard::NotSubmitted] {
        assert_eq!(desk.one(&capture(0, 1, guard.clone(), 1)), stale, "{guard:?}");
        assert_eq!(desk.one(&release(0, 1, guard, Status::Failed, Some(1))), stale);
    }
    assert_eq!(desk.one(&cancel), stale);
    let unknown = refused(Refusal::TaskUnknown);
    assert_eq!(desk.one(&capture(1, 1, Guard::Fence(2), 1)), unknown);
    assert_eq!(desk.one(&release(1, 1, Guard::Fence(2), Status::Failed, None)), unknown);
    assert_eq!(desk.one(&capture(0, 2, Guard::Fence(0), 1)), unknown);
    assert_eq!(desk.entries.len(), 3);
    assert_eq!(desk.one(&capture(0, 1, Guard::Fence(2), 1)), settled(10, 0));
    desk.one(&accept(0, 2, 10, 1));
    assert_eq!(desk.one(&release(0, 2, Guard::NotSubmitted, Status::Canceled, None)), settled(0, 10));
}

#[test]
fn three_of_eight_rejected_charges_five() {
    let mut desk = Desk::with_accounts(1, 100);
    desk.one(&accept(0, 1, 7, 8));
    desk.claim(&task(1));
    let later_ms = NOON_MS + 5_000;
    assert_eq!(desk.at(later_ms, &capture(0, 1, Guard::Fence(1), 5)), settled(35, 21));
    let books = desk.books(0);
    assert_eq!((books.available, books.held, books.revenue), (Credits(65), Credits(0), Credits(35)));
    let last: Vec<_> = desk.entries.iter().rev().take(2).map(|e| (e.kind(), e.amount(), e.at_ms())).collect();
    assert_eq!(
        last,
        [(EntryKind::Release, Credits(21), later_ms), (EntryKind::Capture, Credits(35), later_ms)]
    );
    assert_eq!(desk.outputs.len(), 1);
    assert_eq!(desk.outputs[0].2, later_ms);
    let ended = &desk.tasks[&task(1)];
    assert_eq!((ended.released, ended.finished_at_ms), (Credits(21), Some(later_ms)));
    desk.check();
}

#[test]
fn a_capture_without_output_or_beyond_the_count_is_refused() {
    let mut desk = Desk::with_accounts(1, 100);
    desk.one(&accept(0, 1, 7, 2));
    desk.claim(&task(1));
    let invalid = refused(Refusal::AmountInvalid { most: Credits(2) });
    for delivered in [0, 3, u32::MAX] {
        assert_eq!(desk.one(&capture(0, 1, Guard::Fence(1), delivered)), invalid);
    }
    let Command::Capture(mut empty) = capture(0, 1, Guard::Fence(1), 1) else { panic!("a capture") };
    empty.outputs.clear();
    assert_eq!(desk.one(&Command::Capture(empty)), invalid);
    // Open statuses end nothing.
    let open = release(0, 1, Guard::Fence(1), Status::Processing, None);
    assert_eq!(desk.one(&open), Outcome::Stale { status: Status::Processing });
    let success = release(0, 1, Guard::Fence(1), Status::Success, None);
    assert_eq!(desk.one(&success), Outcome::Stale { status: Status::Processing });
    assert_eq!(desk.books(0).held, Credits(14));
    assert!(desk.outputs.is_empty());
}

#[test]
fn a_loss_is_booked_once_per_attempt_whoever_books_it() {
    let mut desk = Desk::with_accounts(1, 100);
    desk.one(&accept(0, 1, 7, 2));
    desk.claim(&task(1));
    assert_eq!(desk.one(&loss(0, 1, 5)), moved(false, 86));
    assert_eq!(desk.one(&loss(0, 1, 5)), moved(true, 86));
    assert_eq!(desk.one(&release(0, 1, Guard::Fence(1), Status::Failed, Some(5))), settled(0, 14));
    assert_eq!((desk.books(0).revenue, desk.books(0).provider_loss), (Credits(-14), Credits(14)));
    assert_eq!(desk.one(&loss(0, 1, 6)), moved(false, 100));
    assert_eq!(desk.books(0).provider_loss, Credits(28));
    assert_eq!(desk.one(&loss(0, 2, 7)), refused(Refusal::TaskUnknown));
    desk.check();
}

/// One account is damaged; the same batch serves the other as if nothing was.
#[test]
fn a_fault_stops_its_account_alone() {
    let mut desk = Desk::with_accounts(2, 100);
    desk.one(&accept(0, 1, 10, 1));
    desk.accounts.get_mut(&account(0)).unwrap().books.revenue = Credits(-3);
    let fault = refused(Refusal::LedgerFault { detail: "books sum to -3 instead of zero".into() });
    let outcomes = desk.batch(&[
        (NOON_MS, accept(1, 2, 10, 1)),
        (NOON_MS, accept(0, 3, 10, 1)),
        (NOON_MS, release(0, 1, Guard::NotSubmitted, Status::Canceled, None)),
        (NOON_MS, accept(1, 4, 10, 1)),
    ]);
    assert_eq!(outcomes, [accepted(10), fault.clone(), fault.clone(), accepted(10)]);
    let reason = desk.accounts[&account(0)].frozen_reason.clone();
    assert_eq!(reason.as_deref(), Some("ledger_fault: books sum to -3 instead of zero"));
    assert_eq!(desk.tasks[&task(1)].status, Status::Pending);
    assert_eq!(desk.one(&accept(0, 5, 10, 1)), fault);
}

/// The fault shows only in the middle of a command: everything that the command did is taken back.
#[test]
fn a_fault_halfway_takes_the_command_back() {
    let mut desk = Desk::with_accounts(1, 100);
    desk.one(&accept(0, 1, 10, 2));
    desk.one(&accept(0, 2, 10, 2));
    desk.claim(&task(1));
    desk.tasks.get_mut(&task(1)).unwrap().held = Credits(45);
    let (books, entries) = (desk.books(0), desk.entries.len());
    let outcomes = desk.batch(&[
        (NOON_MS, release(0, 2, Guard::NotSubmitted, Status::Canceled, None)),
        (NOON_MS, release(0, 1, Guard::Fence(1), Status::Failed, Some(3))),
    ]);
    let fault = refused(Refusal::LedgerFault { detail: "the move leaves held negative".into() });
    assert_eq!(outcomes, [settled(0, 20), fault]);
    assert_eq!(desk.entries.len(), entries + 1);
    assert_eq!(desk.books(0).provider_loss, Credits(0));
    assert_eq!(desk.books(0).held.0, books.held.0 - 20);
    let reason = desk.accounts[&account(0)].frozen_reason.clone();
    assert_eq!(reason.as_deref(), Some("ledger_fault: the move leaves held negative"));
    assert_eq!(desk.tasks[&task(1)].status, Status::Processing);
    assert_eq!(desk.accounts[&account(0)].open_tasks, 1);
}
