//! Payments that nobody told of: broken webhooks, restored backups, several gateways on one account.
//!
//! Invariant: each payment is credited exactly once in the end, and nobody else's ever. Not here: what is
//! told (`topup`).

use crate::support::{
    DAY, HOUR, TestApp,
    database::is_postgres,
    neighbour::SHARED,
    shop::{LIVE_KEY, Shop, TEST_KEY},
};
use rynjer_core::{credits::Credits, topup::State};
use rynjer_server::gateway::{Gateway, Role};
use serde_json::{Value, json};
use std::time::Duration;

const COMPLETED: &str = "checkout.session.completed";
const MINUTE: Duration = Duration::from_secs(60);

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// How often Stripe was asked about a page.
fn looks(shop: &Shop, page: &Value) -> usize {
    let path = format!("/v1/checkout/sessions/{}", text(&page["id"]));
    shop.stripe.seen().iter().filter(|call| call.path == path).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_nobody_tells_is_found_once() {
    let mut shop = Shop::open().await;
    let paid = shop.paid("1000=999").await;
    let (open, over) = (shop.begin("1000=999").await, shop.begin("10=999").await);
    shop.sweep().await;
    assert_eq!((shop.books().await, looks(&shop, &paid)), ((0, 0), 0));
    // Away, nothing is taken for looked at.
    shop.app.advance(5 * MINUTE);
    shop.stripe.fail(Some(500));
    assert!(shop.app.gateway().sweep_payments().await.is_err());
    shop.stripe.fail(None);
    let in_vain = looks(&shop, &open);
    for _ in 0..3 {
        shop.sweep().await;
        assert_eq!((shop.books().await, shop.row(&paid).await.state), ((1000, 0), State::Paid));
    }
    assert_eq!((looks(&shop, &open) - in_vain, shop.row(&open).await.state), (1, State::Open));
    // The news comes after all, by its own way and by the list.
    shop.untold("evt_1", COMPLETED, &paid);
    shop.tell("evt_1", COMPLETED, &paid).await.ok_empty();
    shop.untold("evt_2", "checkout.session.async_payment_succeeded", &paid);
    let _ = shop.stripe.expire(text(&over["id"]));
    for _ in 0..100 {
        shop.app.advance(Duration::from_secs(900));
        shop.sweep().await;
    }
    assert_eq!(shop.books().await, (1000, 0));
    assert_eq!(shop.row(&over).await.state, State::Expired);
    // 25 hours: after 5, 15, 35, 75, 155, 315, 635 and 1275 minutes.
    assert_eq!(looks(&shop, &open) - in_vain, 8);
    shop.sign_in_again().await;
    // Nobody knows more than that it is not known to be paid.
    shop.owner.get("/topup").await.shows("not known to be paid").shows("not paid");
    shop.app.advance(31 * DAY);
    shop.sweep().await;
    assert_eq!((looks(&shop, &open) - in_vain, shop.row(&open).await.state), (8, State::Open));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_and_disputes_that_nobody_tells() {
    let mut shop = Shop::open().await;
    let payment = shop.bought("1000=999").await;
    let page = shop.stripe.pages().pop().expect("a page");
    shop.sweep().await;
    let refund = shop.stripe.refund(&payment, 333, "succeeded");
    let dispute = shop.stripe.dispute(&payment, 666, "needs_response");
    shop.untold("evt_1", "refund.created", &refund);
    shop.untold("evt_2", "charge.dispute.created", &dispute);
    // Somebody else's, on the same account at Stripe: looked up once.
    let foreign = shop.stripe.refund("pi_test_foreign", 5, "succeeded");
    shop.untold("evt_3", "refund.created", &foreign);
    for number in 0..130 {
        shop.untold(&format!("evt_x{number}"), "charge.dispute.updated", &dispute);
    }
    shop.sweep().await;
    assert_eq!(shop.books().await, (1000, 0), "read every ten minutes");
    for _ in 0..3 {
        shop.app.advance(10 * MINUTE);
        shop.sweep().await;
        assert_eq!((shop.books().await, shop.row(&page).await.state), ((0, 0), State::Disputed));
    }
    let seen = shop.stripe.seen();
    let foreign = seen.iter().filter(|call| call.query.contains("pi_test_foreign")).count();
    assert_eq!(foreign, 1);
    let pages = seen.iter().filter(|call| call.query.contains("starting_after=evt_x")).count();
    assert_eq!(pages, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_lost_payments_gets_them_back() {
    if is_postgres() {
        return;
    }
    let mut shop = Shop::with(LIVE_KEY, "").await;
    // Begun before the backup, paid and heard after it.
    let known = shop.begin("1000=999").await;
    shop.sweep().await;
    let copy = shop.app.data_dir().join("copy.db");
    shop.app.admin().store.backup(copy.clone(), shop.app.now_ms()).await.expect("a copy");
    let heard = shop.stripe.pay(text(&known["id"]));
    shop.untold("evt_1", COMPLETED, &heard);
    shop.tell("evt_1", COMPLETED, &heard).await.ok_empty();
    // Begun and heard after it, and partly refunded.
    let lost = shop.paid("10=999").await;
    shop.untold("evt_2", COMPLETED, &lost);
    shop.tell("evt_2", COMPLETED, &lost).await.ok_empty();
    let refund = shop.stripe.refund(text(&lost["payment_intent"]), 500, "succeeded");
    shop.untold("evt_3", "refund.created", &refund);
    shop.tell("evt_3", "refund.created", &refund).await.ok_empty();
    let unpaid = shop.begin("10=999").await;
    shop.untold("evt_4", "checkout.session.expired", &shop.stripe.expire(text(&unpaid["id"])));
    assert_eq!(shop.books().await, (1005, 0));

    shop.app.restart_from(&copy).await;
    assert_eq!(shop.books().await, (0, 0));
    for _ in 0..3 {
        shop.app.advance(HOUR);
        shop.sweep().await;
        assert_eq!(shop.books().await, (1005, 0));
    }
    let row = shop.row(&lost).await;
    assert_eq!((row.bought.credits, row.taken_back, row.state), (Credits(10), Credits(5), State::Paid));
    assert_eq!(row.checkout_id.as_deref(), lost["id"].as_str());
    assert_eq!(shop.row(&known).await.state, State::Paid);
    assert_eq!(shop.alarms().await, Vec::<String>::new());
    // Stripe tells it once more.
    shop.tell("evt_2", COMPLETED, &lost).await.ok_empty();
    shop.tell("evt_9", COMPLETED, &lost).await.ok_empty();
    assert_eq!(shop.books().await, (1005, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_purchase_comes_back_only_from_its_own_page() {
    let shop = Shop::with(LIVE_KEY, "").await;
    let owner = shop.app.admin().owner_list().await.expect("owners").remove(0).id;
    let page = |number: i64| {
        json!({"id": format!("cs_live_{number}"), "object": "checkout.session", "livemode": true,
            "status": "complete", "payment_status": "paid", "payment_intent": format!("pi_{number}"),
            "amount_total": 999, "currency": "usd", "created": shop.app.now_s(),
            "metadata": {"topup_id": format!("top_{number:026}"), "account_id": shop.account.as_str(),
                "owner_id": owner.as_str(), "gateway": "https://gateway.test", "credits": "1000"}})
    };
    let nobody = shop.account.as_str().replace(|letter: char| letter.is_ascii_digit(), "0");
    let by_hand = "a payment names a purchase that is not here: give its credits by hand";
    let no_account = "a payment of this gateway names no live account that is here: give it back at Stripe";
    let rows: [(&str, &str, Value, &[&str]); 9] = [
        ("another gateway", "/metadata/gateway", json!("https://other.test"), &[by_hand]),
        ("no gateway", "/metadata/gateway", Value::Null, &[by_hand]),
        ("no credits", "/metadata/credits", Value::Null, &[by_hand]),
        ("credits below one", "/metadata/credits", json!("-5"), &[by_hand]),
        ("credits beyond a pack", "/metadata/credits", json!("100000000"), &[by_hand]),
        ("no amount", "/amount_total", json!(0), &[by_hand]),
        ("an account that is not here", "/metadata/account_id", json!(nobody), &[no_account]),
        ("a test account", "/metadata/account_id", json!(shop.app.account.as_str()), &[no_account]),
        ("not paid", "/payment_status", json!("unpaid"), &[]),
    ];
    let before = shop.app.ledger().await;
    let mut told = 0;
    for (number, (name, path, value, alarms)) in rows.into_iter().enumerate() {
        let mut object = page(i64::try_from(number).expect("small"));
        *object.pointer_mut(path).expect("a field") = value;
        for again in 0..2 {
            shop.tell(&format!("evt_{number}_{again}"), COMPLETED, &object).await.ok_empty();
        }
        told += alarms.len();
        let heard = shop.alarms().await;
        assert_eq!((shop.app.ledger().await, heard.len()), (before.clone(), told), "{name}");
        assert!(alarms.iter().all(|alarm| heard.iter().any(|problem| problem == alarm)), "{name}");
    }
    // What is ours comes once, also under another purchase's name.
    shop.tell("evt_true", COMPLETED, &page(77)).await.ok_empty();
    assert_eq!(shop.books().await, (1000, 0));
    let mut renamed = page(77);
    renamed["metadata"]["topup_id"] = json!("top_00000000000000000000000078");
    shop.tell("evt_renamed", COMPLETED, &renamed).await.ok_empty();
    assert_eq!(shop.books().await, (1000, 0));
    // A second page for a purchase that was paid: somebody paid twice.
    let mut twice = page(77);
    twice["id"] = json!("cs_live_78");
    shop.tell("evt_twice", COMPLETED, &twice).await.ok_empty();
    assert_eq!(shop.books().await, (1000, 0));
    assert_eq!(shop.alarms().await.len(), told + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_nodes_one_asks() {
    let mut shop = Shop::with(TEST_KEY, SHARED).await;
    let neighbour = shop.app.neighbour(Role::Api).await;
    let worker = shop.app.neighbour(Role::Worker).await;
    let paid = shop.paid("1000=999").await;
    shop.app.advance(5 * MINUTE);
    let gateways = [shop.app.gateway(), &neighbour.gateway];
    let swept = futures::future::join_all(gateways.map(Gateway::sweep_payments)).await;
    let ran = swept.into_iter().filter(|swept| *swept.as_ref().expect("a sweep")).count();
    assert_eq!((ran, looks(&shop, &paid), shop.books().await), (1, 1, (1000, 0)));
    neighbour.stop().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_without_a_key_ask_nobody() {
    let app = TestApp::sqlite().await;
    assert_eq!(app.gateway().sweep_payments().await, Ok(false));
}
