//! Lies about payments, repetitions and crowds: nobody gets credits that nobody paid for, and nobody gets
//! them twice.
//!
//! Invariant: after each lie the ledger is as before. `RYNJER_PAYMENT_EVENTS` is how many events are
//! shuffled. Not here: payments that go as they should (`topup`).

use crate::support::{
    neighbour::SHARED,
    shop::{LIVE_KEY, SECRET, Shop, TEST_KEY, send},
};
use rynjer_emulator::{stripe_event, stripe_sign};
use rynjer_server::gateway::Role;
use rynjer_store::{StoreError, topup};
use serde_json::{Value, json};

const COMPLETED: &str = "checkout.session.completed";
/// Events in all, unless `RYNJER_PAYMENT_EVENTS` says otherwise.
const EVENTS: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_and_replayed_messages() {
    let mut shop = Shop::open().await;
    let paid = shop.paid("1000=999").await;
    let body = shop.body("evt_1", COMPLETED, &paid);
    let (now_s, node) = (shop.app.now_s(), shop.app.anonymous());
    let good = stripe_sign(SECRET, now_s, &body);
    let altered = body.replace("\"amount_total\":999", "\"amount_total\":998");
    assert_ne!(altered, body);
    let rows: Vec<(&str, Vec<String>, &str)> = vec![
        ("no signature", vec![], &body),
        ("an empty one", vec![String::new()], &body),
        ("two headers", vec![good.clone(), good.clone()], &body),
        ("another secret", vec![stripe_sign("whsec_guess", now_s, &body)], &body),
        ("the API's key as the secret", vec![stripe_sign(TEST_KEY, now_s, &body)], &body),
        ("an empty secret", vec![stripe_sign("", now_s, &body)], &body),
        ("a body that was changed", vec![good.clone()], &altered),
        ("a time that was changed", vec![good.replacen("t=", "t=1", 1)], &body),
        ("five minutes and a second old", vec![stripe_sign(SECRET, now_s - 301, &body)], &body),
        ("from the future", vec![stripe_sign(SECRET, now_s + 301, &body)], &body),
        ("another scheme", vec![good.replace("v1=", "v0=")], &body),
        ("no JSON", vec![stripe_sign(SECRET, now_s, "x")], "x"),
    ];
    for (name, signatures, body) in rows {
        let signatures: Vec<&str> = signatures.iter().map(String::as_str).collect();
        let answer = send(&node, body, &signatures).await;
        assert_eq!((answer.status, shop.books().await), (400, (0, 0)), "{name}");
    }
    let long = "x".repeat((256 << 10) + 1);
    assert_eq!(send(&node, &long, &[&stripe_sign(SECRET, now_s, &long)]).await.status, 413);
    // Within its time it is good, as often as it is sent, and counts once.
    for _ in 0..3 {
        send(&node, &body, &[&stripe_sign("whsec_old", now_s - 300, &body)]).await.ok_empty();
        send(&node, &body, &[&good]).await.ok_empty();
        assert_eq!(shop.books().await, (1000, 0));
    }
    // Later the same bytes are refused.
    shop.app.advance(std::time::Duration::from_secs(301));
    assert_eq!(send(&node, &body, &[&good]).await.status, 400);
    assert_eq!(shop.books().await, (1000, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn genuine_messages_that_contradict_the_purchase() {
    let mut shop = Shop::with(LIVE_KEY, "").await;
    let paid = shop.paid("1000=999").await;
    let other = shop.app.account.clone();
    let change = |path: &str, value: Value| {
        let mut object = paid.clone();
        *object.pointer_mut(path).expect("a field") = value;
        object
    };
    let rows = [
        ("a lower amount", change("/amount_total", json!(1))),
        ("a higher amount", change("/amount_total", json!(1000))),
        ("no amount", change("/amount_total", Value::Null)),
        ("another currency", change("/currency", json!("jpy"))),
        ("another account", change("/metadata/account_id", json!(other.as_str()))),
        ("no account", change("/metadata/account_id", Value::Null)),
        ("an account that is none", change("/metadata/account_id", json!("acct_1' OR 1=1"))),
        ("another purchase", change("/metadata/topup_id", json!("top_00000000000000000000000000"))),
        ("another page", change("/id", json!("cs_live_999"))),
        ("not paid", change("/payment_status", json!("unpaid"))),
        ("nothing to pay", change("/payment_status", json!("no_payment_required"))),
        ("a page of test mode", change("/livemode", json!(false))),
    ];
    let before = shop.app.ledger().await;
    for (number, (name, object)) in rows.iter().enumerate() {
        shop.tell(&format!("evt_{number}"), COMPLETED, object).await.ok_empty();
        assert_eq!(shop.app.ledger().await, before, "{name}");
    }
    let (node, now_s) = (shop.app.anonymous(), shop.app.now_s());
    let test_mode = stripe_event("evt_test", COMPLETED, false, &paid);
    let mut connected = stripe_event("evt_connected", COMPLETED, true, &paid);
    connected["account"] = json!("acct_somebody");
    for event in [test_mode, connected] {
        let body = event.to_string();
        send(&node, &body, &[&stripe_sign(SECRET, now_s, &body)]).await.ok_empty();
        assert_eq!(shop.app.ledger().await, before, "{body}");
    }
    shop.tell("evt_true", COMPLETED, &paid).await.ok_empty();
    assert_eq!(shop.books().await, (1000, 0));
    // A refund in another currency takes nothing; one of more than everything takes everything.
    let payment = paid["payment_intent"].as_str().expect("a payment");
    let mut refund = shop.stripe.refund(payment, 999, "succeeded");
    refund["currency"] = json!("jpy");
    shop.tell("evt_yen", "refund.created", &refund).await.ok_empty();
    assert_eq!(shop.books().await, (1000, 0));
    let refund = shop.stripe.refund(payment, i64::MAX, "succeeded");
    shop.tell("evt_all", "refund.created", &refund).await.ok_empty();
    assert_eq!(shop.books().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_the_mode_that_the_key_does_not_name_are_not_sold() {
    // The stand-in takes this for a key of test mode.
    let mut shop = Shop::with("rk_live_shop", "").await;
    assert_eq!(shop.choose("1000=999").await.status, 500);
    let page = shop.stripe.pages().pop().expect("a page");
    let paid = shop.stripe.pay(page["id"].as_str().expect("an id"));
    shop.tell("evt_1", COMPLETED, &paid).await.ok_empty();
    shop.sweep().await;
    assert_eq!(shop.books().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_hear_the_same_at_once() {
    let mut shop = Shop::with(TEST_KEY, SHARED).await;
    let neighbour = shop.app.neighbour(Role::Api).await;
    let paid = shop.paid("1000=999").await;
    let nodes = [shop.app.anonymous(), neighbour.anonymous()];
    let crowd = async |bodies: Vec<String>| {
        let all = bodies.iter().enumerate().map(|(at, body)| shop.told_by(&nodes[at % 2], body));
        for answer in futures::future::join_all(all).await {
            answer.ok_empty();
        }
    };
    crowd((0..40).map(|at| shop.body(&format!("evt_{}", at / 4), COMPLETED, &paid)).collect()).await;
    assert_eq!(shop.books().await, (1000, 0));
    // Four refunds of a quarter each, and the charge, all at once.
    let payment = paid["payment_intent"].as_str().expect("a payment");
    let refunds: Vec<Value> = [250, 250, 250, 249]
        .into_iter()
        .map(|amount| shop.stripe.refund(payment, amount, "succeeded"))
        .collect();
    let charge = shop.stripe.charge(payment);
    let body = |at: usize| match at % 5 {
        4 => shop.body(&format!("evt_c{at}"), "charge.refunded", &charge),
        one => shop.body(&format!("evt_r{at}"), "refund.created", &refunds[one]),
    };
    crowd((0..40).map(body).collect()).await;
    assert_eq!(shop.books().await, (0, 0));
    let failed: Vec<Value> = refunds
        .iter()
        .map(|refund| shop.stripe.set_status(refund["id"].as_str().expect("an id"), "failed"))
        .collect();
    crowd((0..40).map(|at| shop.body(&format!("evt_f{at}"), "refund.failed", &failed[at % 4])).collect())
        .await;
    assert_eq!(shop.books().await, (1000, 0));
    neighbour.stop().await;
}

/// A story of several payments, as it is told in order.
async fn story(shop: &mut Shop) -> Vec<String> {
    let mut told: Vec<(&str, Value)> = Vec::new();
    for number in 0..6 {
        let pack = if number % 2 == 0 { "1000=999" } else { "10=999" };
        let paid = shop.paid(pack).await;
        let payment = paid["payment_intent"].as_str().expect("a payment").to_owned();
        told.push((COMPLETED, paid.clone()));
        told.push(("checkout.session.async_payment_succeeded", paid));
        if number % 3 == 0 {
            for amount in [100, 333] {
                let refund = shop.stripe.refund(&payment, amount, "pending");
                told.push(("refund.created", refund.clone()));
                told.push(("charge.refunded", shop.stripe.charge(&payment)));
                told.push((
                    "refund.updated",
                    shop.stripe.set_status(refund["id"].as_str().expect("an id"), "succeeded"),
                ));
            }
        }
        if number % 3 == 1 {
            let dispute = shop.stripe.dispute(&payment, 999, "needs_response");
            told.push(("charge.dispute.created", dispute.clone()));
            let end = if number == 1 { "won" } else { "lost" };
            told.push((
                "charge.dispute.closed",
                shop.stripe.set_status(dispute["id"].as_str().expect("an id"), end),
            ));
        }
    }
    let unpaid = shop.begin("1000=999").await;
    told.push(("checkout.session.expired", shop.stripe.expire(unpaid["id"].as_str().expect("an id"))));
    told.iter()
        .enumerate()
        .map(|(number, (kind, object))| shop.body(&format!("evt_{number}"), kind, object))
        .collect()
}

/// What all purchases came to, without their times.
async fn ending(shop: &Shop) -> String {
    let account = shop.account.clone();
    let read = shop.app.admin().store.read(move |tx| topup::of_account(tx, &account, None, 100));
    let rows: Result<_, StoreError> = read.await;
    let rows = rows.expect("purchases");
    let row = |row: &topup::TopupRow| format!("{:?} {:?} {}\n", row.bought, row.state, row.taken_back);
    let mut lines: Vec<String> = rows.iter().map(row).collect();
    // Ids of one millisecond are in no order.
    lines.sort();
    format!("{}{:?}", lines.concat(), shop.books().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shuffled_duplicates_end_as_in_order() {
    let wanted = std::env::var("RYNJER_PAYMENT_EVENTS").ok();
    let count: usize = wanted.map_or(EVENTS, |text| text.parse().expect("a number"));
    let mut in_order = Shop::open().await;
    for body in story(&mut in_order).await {
        in_order.told_by(&in_order.app.anonymous(), &body).await.ok_empty();
    }
    let expected = ending(&in_order).await;
    // 3030 credits, of which 433 and 4 are refunded, and 1000 of a dispute are lost.
    assert!(expected.ends_with("(1593, 0)"), "{expected}");

    let mut shop = Shop::open().await;
    let told = story(&mut shop).await;
    // A small generator: the same order in each run.
    let mut state = 0x2545_f491_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    let mut deliveries: Vec<usize> = (0..count).map(|at| at % told.len()).collect();
    for at in (1..deliveries.len()).rev() {
        deliveries.swap(at, next(at + 1));
    }
    let node = shop.app.anonymous();
    for at in deliveries {
        shop.told_by(&node, &told[at]).await.ok_empty();
    }
    assert_eq!(ending(&shop).await, expected);
}
