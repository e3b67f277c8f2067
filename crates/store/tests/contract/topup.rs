//! Purchases against a real database: what is paid and taken back stands with the ledger's entries or not at
//! all, and one account's news is decided one after the other.
//!
//! Invariant: after each test the audit finds nothing. Not here: what news means (`core::topup`).

use crate::stage::{NOON_MS, Stage, account_id, moved};
use rynjer_core::{
    credits::Credits,
    id::{OwnerId, TopupId},
    ledger::{Clawback, Command, Grant},
    topup::{Pack, Reversal, ReversalKind, Standing, State},
};
use rynjer_store::{
    Store, StoreError, Tx, admin, decide_within, installation::Moment, topup, topup::TopupRow,
};
use std::sync::Arc;
use tokio::task::JoinSet;

fn topup_id(n: i64) -> TopupId {
    TopupId::new(n, [0; 10])
}

fn bought(n: i64) -> TopupRow {
    TopupRow {
        id: topup_id(n),
        account_id: account_id(0),
        owner_id: OwnerId::new(1, [0; 10]),
        bought: Pack { credits: Credits(100), amount_minor: 90 },
        currency: "usd".to_owned(),
        state: State::Open,
        checkout_id: None,
        payment_id: None,
        taken_back: Credits::ZERO,
        created_at_ms: NOON_MS + n,
        paid_at_ms: None,
    }
}

fn pay(tx: &mut dyn Tx) -> Result<bool, StoreError> {
    let mut row = topup::lock(tx, &account_id(0), &topup_id(1))?.unwrap();
    if row.state != State::Open {
        return Ok(false);
    }
    let (account, reference) = (account_id(0), "stripe:cs_1".to_owned());
    let grant = Command::Grant(Grant { account, amount: Credits(100), reference });
    assert_eq!(decide_within(tx, NOON_MS, &grant)?, moved(false, 100));
    row.state = State::Paid;
    (row.checkout_id, row.payment_id) = (Some("cs_1".to_owned()), Some("pi_1".to_owned()));
    row.paid_at_ms = Some(NOON_MS);
    topup::update(tx, &row)?;
    topup::mark_heard(tx, "evt_1", "checkout.session.completed", NOON_MS)?;
    Ok(true)
}

#[tokio::test]
async fn a_purchase_is_as_it_was_written() {
    let stage = Stage::with_accounts(2, 0).await;
    for n in 1..=3 {
        stage.write(move |tx| topup::insert(tx, &bought(n))).await;
    }
    stage.write(|tx| topup::set_checkout(tx, &account_id(0), &topup_id(2), "cs_2")).await;
    stage.write(|tx| topup::set_checkout(tx, &account_id(0), &topup_id(2), "cs_other")).await;
    let two = TopupRow { checkout_id: Some("cs_2".to_owned()), ..bought(2) };
    assert_eq!(stage.read(|tx| topup::get(tx, &account_id(0), &topup_id(2))).await, Some(two.clone()));
    assert_eq!(stage.read(|tx| topup::get(tx, &account_id(1), &topup_id(2))).await, None);
    let all = stage.read(|tx| topup::of_account(tx, &account_id(0), None, 2)).await;
    assert_eq!(all, [bought(3), two]);
    let older = stage.read(|tx| topup::of_account(tx, &account_id(0), Some(&topup_id(2)), 9)).await;
    assert_eq!(older, [bought(1)]);
    assert_eq!(stage.read(|tx| topup::open_since(tx, &account_id(0), NOON_MS + 2, 9)).await, 2);
    stage.assert_clean().await;
}

#[tokio::test]
async fn what_is_open_in_all_accounts_is_found_a_page_at_a_time() {
    let stage = Stage::with_accounts(2, 0).await;
    for n in 1..=4 {
        let state = if n == 2 { State::Expired } else { State::Open };
        let row = TopupRow { account_id: account_id(u8::from(n == 3)), state, ..bought(n) };
        stage.write(move |tx| topup::insert(tx, &row)).await;
    }
    stage.write(|tx| topup::set_checkout(tx, &account_id(0), &topup_id(4), "cs_4")).await;
    let open = async |since_ms: i64, after: &str, limit: u32| {
        let after = after.to_owned();
        let rows = stage.read(move |tx| admin::open_topups(tx, since_ms, &after, limit)).await;
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(open(0, "", 9).await, [1, 3, 4].map(topup_id));
    assert_eq!(open(0, "", 2).await, [1, 3].map(topup_id));
    assert_eq!(open(0, topup_id(3).as_str(), 2).await, [topup_id(4)]);
    assert_eq!(open(NOON_MS + 2, "", 9).await, [3, 4].map(topup_id));
    for (id, checkout, is_known) in [(1, "cs_9", true), (9, "cs_4", true), (9, "cs_9", false)] {
        let known = stage.read(move |tx| admin::topup_is_known(tx, &topup_id(id), checkout)).await;
        assert_eq!(known, is_known, "{id} {checkout}");
    }
}

#[tokio::test]
async fn moments_are_kept_apart() {
    let stage = Stage::with_accounts(1, 0).await;
    let of = async |moment: Moment| stage.read(move |tx| moment.get(tx)).await;
    assert_eq!((of(Moment::PaymentsAsked).await, of(Moment::PaymentsRead).await), (None, None));
    for at_ms in [NOON_MS, NOON_MS + 1] {
        stage.write(move |tx| Moment::PaymentsRead.set(tx, at_ms)).await;
        assert_eq!((of(Moment::PaymentsAsked).await, of(Moment::PaymentsRead).await), (None, Some(at_ms)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_pay_once() {
    let stage = Stage::with_accounts(1, 0).await;
    stage.write(|tx| topup::insert(tx, &bought(1))).await;
    let stores: [Arc<Store>; 2] = [Arc::new(stage.store.clone()), Arc::new(stage.second_store())];
    let mut set = JoinSet::new();
    for n in 0..40 {
        let store = Arc::clone(&stores[n % 2]);
        set.spawn(async move { store.write(|tx| pay(tx)).await.unwrap() });
    }
    let paid = set.join_all().await;
    assert_eq!(paid.iter().filter(|paid| **paid).count(), 1);
    assert_eq!(stage.account(0).await.books.available, Credits(100));
    let found = stage.read(|tx| admin::topup_of_payment(tx, "pi_1")).await;
    assert_eq!(found, Some((account_id(0), topup_id(1))));
    assert!(stage.read(|tx| topup::is_heard(tx, "evt_1")).await);
    assert!(!stage.read(|tx| topup::is_heard(tx, "evt_2")).await);
    stage.assert_clean().await;
}

#[tokio::test]
async fn what_fails_leaves_neither_credits_nor_news() {
    let stage = Stage::with_accounts(1, 50).await;
    stage.write(|tx| topup::insert(tx, &bought(1))).await;
    let failed = stage.store.write(|tx| {
        let (account, reference) = (account_id(0), "stripe:dp_1".to_owned());
        let taken = Command::Clawback(Clawback { account, amount: Credits(50), reference });
        assert_eq!(decide_within(tx, NOON_MS, &taken)?, moved(false, 0));
        topup::mark_heard(tx, "evt_1", "charge.dispute.created", NOON_MS)?;
        Err::<(), _>(StoreError::Other("on purpose".to_owned()))
    });
    assert!(failed.await.is_err());
    assert_eq!(stage.account(0).await.books.available, Credits(50));
    assert!(!stage.read(|tx| topup::is_heard(tx, "evt_1")).await);
    stage.assert_clean().await;
}

#[tokio::test]
async fn a_reversal_is_kept_as_far_as_it_came() {
    let stage = Stage::with_accounts(1, 0).await;
    let reversal = |standing, amount_minor| Reversal {
        id: "dp_1".to_owned(),
        kind: ReversalKind::Dispute,
        amount_minor,
        standing,
    };
    for (standing, amount) in [(Standing::Inquiry, 5), (Standing::Gone, 7), (Standing::Returned, 7)] {
        let row = reversal(standing, amount);
        let written = row.clone();
        stage.write(move |tx| topup::put_reversal(tx, &account_id(0), &topup_id(1), &written, NOON_MS)).await;
        assert_eq!(stage.read(|tx| topup::reversals(tx, &account_id(0), &topup_id(1))).await, [row]);
    }
    assert_eq!(stage.read(|tx| topup::reversals(tx, &account_id(0), &topup_id(2))).await, []);
}
