//! Freezes by debts of payments, and what operators are told.
//!
//! Invariant: a freeze ends with its debt, and nobody else's freeze is overwritten or ended. Not here: the
//! ledger's own rule (`core::ledger`).

use crate::support::{
    TestApp,
    database::is_postgres,
    shop::{LIVE_KEY, Shop, TEST_KEY},
    vendor::picture,
};
use rynjer_core::{ledger::OWING, scope::Scopes, topup::State};
use rynjer_emulator::{Emulator, Vendor};
use rynjer_store::{StoreError, Tx, account};
use serde_json::{Value, json};

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// A shop whose account can spend, and what it spends at.
async fn spender() -> (Shop, Emulator) {
    let vendor = Emulator::start(Vendor::OpenAi).await.expect("a stand-in");
    let section = format!(
        "[openai]\napi_key = \"test-key-1\"\nbase_url = \"{}\"\nsubmits_per_second = 0\n",
        vendor.base_url()
    );
    (Shop::with(TEST_KEY, &section).await, vendor)
}

async fn spend(shop: &Shop, request_id: &str, count: u32) {
    let key = shop.app.admin().key_create(&shop.account, Scopes::ALL, "test").await.expect("a key").1;
    let agent = shop.app.bearer(key.expose());
    agent.generate(&picture(request_id, count)).await;
    assert_eq!(agent.finish(request_id).await["credits"]["charged"], i64::from(count) * 10);
}

async fn lines_of(shop: &Shop) -> Vec<(String, String)> {
    let lines = shop.app.admin().audit_lines(Some(&shop.account), None, 50).await.expect("lines");
    let frozen =
        lines.into_iter().filter(|line| ["account.frozen", "account.thawed"].contains(&&*line.action));
    let mut lines: Vec<_> = frozen.map(|line| (line.actor_kind, line.action)).collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_disputes_at_once() {
    let (mut shop, _vendor) = spender().await;
    let payments = [shop.bought("1000=999").await, shop.bought("10=999").await];
    spend(&shop, "spent", 8).await;
    assert_eq!(shop.books().await, (930, 0));
    let first = shop.stripe.dispute(&payments[0], 999, "needs_response");
    let second = shop.stripe.dispute(&payments[1], 999, "needs_response");
    shop.tell("evt_1", "charge.dispute.created", &first).await.ok_empty();
    shop.tell("evt_2", "charge.dispute.created", &second).await.ok_empty();
    assert_eq!((shop.books().await, shop.frozen().await.as_deref()), ((0, -80), Some(OWING)));
    shop.owner.get("/audit").await.shows("the account is frozen until they are paid");
    // The smaller is won: the debt is not paid yet.
    let won = shop.stripe.set_status(text(&second["id"]), "won");
    shop.tell("evt_3", "charge.dispute.closed", &won).await.ok_empty();
    assert_eq!((shop.books().await, shop.frozen().await.as_deref()), ((0, -70), Some(OWING)));
    let won = shop.stripe.set_status(text(&first["id"]), "won");
    for event in ["evt_4", "evt_5"] {
        shop.tell(event, "charge.dispute.closed", &won).await.ok_empty();
        assert_eq!((shop.books().await, shop.frozen().await), ((930, 0), None));
    }
    let line = |action: &str| ("payment".to_owned(), action.to_owned());
    assert_eq!(lines_of(&shop).await, [line("account.frozen"), line("account.thawed")]);
    spend(&shop, "again", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_freeze_is_theirs() {
    let (mut shop, _vendor) = spender().await;
    let payment = shop.bought("1000=999").await;
    spend(&shop, "spent", 8).await;
    let admin = shop.app.admin().clone();
    let account = shop.account.clone();
    admin.account_freeze(&account, Some("fraud".to_owned())).await.expect("frozen");
    let dispute = shop.stripe.dispute(&payment, 999, "needs_response");
    shop.tell("evt_1", "charge.dispute.created", &dispute).await.ok_empty();
    assert_eq!((shop.books().await, shop.frozen().await.as_deref()), ((0, -80), Some("fraud")));
    let won = shop.stripe.set_status(text(&dispute["id"]), "won");
    shop.tell("evt_2", "charge.dispute.closed", &won).await.ok_empty();
    assert_eq!((shop.books().await, shop.frozen().await.as_deref()), ((920, 0), Some("fraud")));
    admin.account_freeze(&account, None).await.expect("thawed");
    // By hand, and after a debt's freeze.
    admin.account_clawback(&account, 1000, "chargeback").await.expect("taken");
    assert_eq!((shop.books().await, shop.frozen().await.as_deref()), ((0, -80), Some(OWING)));
    admin.account_freeze(&account, Some("fraud again".to_owned())).await.expect("frozen");
    admin.account_grant(&account, 100, "paid").await.expect("granted");
    assert_eq!((shop.books().await, shop.frozen().await.as_deref()), ((20, 0), Some("fraud again")));
    admin.account_freeze(&account, None).await.expect("thawed");
    admin.account_clawback(&account, 50, "another").await.expect("taken");
    assert_eq!(shop.frozen().await.as_deref(), Some(OWING));
    admin.account_grant(&account, 30, "paid again").await.expect("granted");
    assert_eq!((shop.books().await, shop.frozen().await), ((0, 0), None));
    assert!(admin.account_freeze(&account, Some(OWING.to_owned())).await.is_err());
}

/// Changes a book alone, without the table's own check.
async fn damage(shop: &Shop, by: i64) {
    let account = shop.account.clone();
    let unit = move |tx: &mut dyn Tx| {
        tx.exec("PRAGMA ignore_check_constraints = ON", &[])?;
        let sql = "UPDATE accounts SET available = available + $1 WHERE id = $2";
        let changed = tx.exec(sql, &[by.into(), account.as_str().into()]);
        tx.exec("PRAGMA ignore_check_constraints = OFF", &[])?;
        changed
    };
    let changed: Result<u64, StoreError> = shop.app.admin().store.write(unit).await;
    assert_eq!(changed, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_books_stay_frozen_although_the_news_fails() {
    if is_postgres() {
        return;
    }
    let mut shop = Shop::open().await;
    let payment = shop.bought("1000=999").await;
    damage(&shop, 1).await;
    let refund = shop.stripe.refund(&payment, 999, "succeeded");
    assert_eq!(shop.tell("evt_1", "refund.created", &refund).await.status, 403);
    let broken = "ledger_fault: books sum to 1 instead of zero";
    assert_eq!(shop.frozen().await.as_deref(), Some(broken));
    let thaw = shop.app.admin().account_freeze(&shop.account, None).await.expect("thawed").frozen_reason;
    assert_eq!(thaw, None);
    assert!(shop.app.admin().account_grant(&shop.account, 5, "gift").await.is_err());
    assert_eq!(shop.frozen().await.as_deref(), Some(broken));
    damage(&shop, -1).await;
    shop.tell("evt_1", "refund.created", &refund).await.ok_empty();
    assert_eq!((shop.books().await, shop.frozen().await.as_deref()), ((0, 0), Some(broken)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_are_told_of_what_nobody_can_reckon() {
    let mut shop = Shop::with(LIVE_KEY, "").await;
    let payment = shop.bought("1000=999").await;
    let mut yen = shop.stripe.refund(&payment, 999, "succeeded");
    yen["currency"] = json!("jpy");
    for event in ["evt_1", "evt_2"] {
        shop.tell(event, "refund.created", &yen).await.ok_empty();
    }
    let problem = "money went back in another currency than the purchase's: take credits by hand";
    assert_eq!((shop.books().await, shop.alarms().await), ((1000, 0), vec![problem.to_owned()]));
    let mut operator = shop.app.invited("operator@example.com", true).await;
    operator.get("/operator/audit").await.shows("topup needs an operator").shows("currency: jpy");
    // A refund of nothing is acknowledged, and so is a charge with one among its refunds.
    let nothing = shop.stripe.refund(&payment, 0, "succeeded");
    shop.tell("evt_3", "refund.created", &nothing).await.ok_empty();
    let _ = shop.stripe.refund(&payment, 333, "succeeded");
    shop.tell("evt_4", "charge.refunded", &shop.stripe.charge(&payment)).await.ok_empty();
    // The yen's refund is in dollars in the stand-in's list: it is the whole.
    assert_eq!(shop.books().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_closed_account_never_got_is_not_taken() {
    let mut shop = Shop::with(LIVE_KEY, "").await;
    shop.bought("1000=999").await;
    let late = shop.paid("1000=999").await;
    shop.app.admin().account_close(&shop.account).await.expect("closed");
    shop.tell("evt_1", "checkout.session.completed", &late).await.ok_empty();
    assert_eq!(shop.books().await, (1000, 0));
    let refund = shop.stripe.refund(text(&late["payment_intent"]), 999, "succeeded");
    shop.tell("evt_2", "refund.created", &refund).await.ok_empty();
    assert_eq!((shop.books().await, shop.row(&late).await.state), ((1000, 0), State::Refunded));
    assert_eq!(shop.alarms().await, ["money for an account that is closed: give it back at Stripe"]);
    assert_eq!(shop.frozen().await.as_deref(), Some("closed"));
    let id = shop.account.clone();
    let read = shop.app.admin().store.read(move |tx| account::get(tx, &id));
    let row: Result<_, StoreError> = read.await;
    assert!(row.expect("the store").expect("the account").closed_at_ms.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_key_gives_nothing_unless_it_may() {
    let settings = "[stripe]\nsecret_key = \"sk_test_1\"\nwebhook_secret = \"whsec_1\"\npacks = [\"1=1\"]\n";
    for (more, starts) in [("", false), ("allow_test_payments = true\n", true)] {
        let mut app = TestApp::sqlite().await;
        let refused = app.try_restart_with(&format!("{settings}{more}")).await;
        assert_eq!(refused.is_none(), starts, "{refused:?}");
        if let Some(sentence) = refused {
            assert!(sentence.contains("stripe.allow_test_payments = true"), "{sentence}");
            app.restart_with("").await;
        }
    }
}
