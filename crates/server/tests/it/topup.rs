//! Buying credits: the form, the payment, its news, refunds and disputes.
//!
//! Invariant: credits come once for each payment, and go with the money. Not here: lies (`topup_attack`).

use crate::support::{
    TestApp,
    shop::{HOOK, Shop, TEST_KEY},
    vendor::picture,
};
use rynjer_core::{credits::Credits, id::TaskId, scope::Scopes, topup::State};
use rynjer_emulator::{Emulator, Vendor};
use serde_json::json;

const COMPLETED: &str = "checkout.session.completed";

fn text(value: &serde_json::Value) -> &str {
    value.as_str().expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pack_is_bought() {
    let mut shop = Shop::open().await;
    let page = shop.owner.get("/topup").await;
    page.shows("1 000 credits for 9.99 USD").shows("Nothing was bought yet").shows("no money moves");
    let policy = page.headers["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains(&format!("form-action 'self' {};", shop.stripe.origin())), "{policy}");
    let dashboard = shop.owner.get("/").await;
    let policy = dashboard.headers["content-security-policy"].to_str().expect("text");
    assert!(policy.contains("form-action 'self';"), "{policy}");

    let paid = shop.paid("1000=999").await;
    let row = shop.row(&paid).await;
    assert_eq!((row.state, row.paid_at_ms, row.taken_back), (State::Open, None, Credits::ZERO));
    assert_eq!(row.checkout_id.as_deref(), paid["id"].as_str());
    let seen = shop.stripe.seen();
    let [call] = seen.as_slice() else { panic!("{} calls", seen.len()) };
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/v1/checkout/sessions"));
    assert_eq!(call.header("stripe-version"), Some("2026-10-28.endive"));
    assert_eq!(call.header("idempotency-key"), Some(row.id.as_str()));
    assert_eq!(call.header("authorization"), Some(format!("Bearer {TEST_KEY}").as_str()));
    let success = format!("https://gateway.test/topup?paid={}", row.id);
    assert_eq!(
        (text(&paid["success_url"]), text(&paid["cancel_url"])),
        (&*success, "https://gateway.test/topup")
    );
    assert_eq!(
        paid["metadata"],
        json!({"topup_id": row.id.as_str(),
        "account_id": shop.account.as_str(), "owner_id": row.owner_id.as_str(), "credits": "1000",
        "gateway": "https://gateway.test"})
    );

    for _ in 0..3 {
        shop.tell("evt_1", COMPLETED, &paid).await.ok_empty();
        assert_eq!(shop.books().await, (1000, 0));
    }
    // The same news as another event.
    shop.tell("evt_2", "checkout.session.async_payment_succeeded", &paid).await.ok_empty();
    assert_eq!(shop.books().await, (1000, 0));
    let row = shop.row(&paid).await;
    assert_eq!((row.state, row.paid_at_ms), (State::Paid, Some(shop.app.now_ms())));
    assert_eq!(row.payment_id.as_deref(), paid["payment_intent"].as_str());
    shop.owner.get(&success).await.shows("1 000 credits were added");
    let lines = shop.app.admin().audit_lines(Some(&shop.account), None, 10).await.expect("lines");
    // Lines of one millisecond are in no order.
    let of = |action: &str| {
        lines.iter().filter(|line| line.action == action).map(|line| &*line.actor_kind).collect()
    };
    let kinds: [Vec<&str>; 3] = ["topup.started", "topup.paid", "topup.refused"].map(of);
    assert_eq!(kinds, [vec!["owner"], vec!["payment"], vec![]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_back_first_need_not_wait_for_the_news() {
    let mut shop = Shop::open().await;
    let page = shop.begin("1000=999").await;
    let back = text(&page["success_url"]).to_owned();
    shop.owner.get(&back).await.shows("waits for the payment").shows("Available 0 credits");
    let paid = shop.stripe.pay(text(&page["id"]));
    shop.owner.get(&back).await.shows("credits were added").shows("Available 1 000 credits");
    shop.tell("evt_1", COMPLETED, &paid).await.ok_empty();
    assert_eq!(shop.books().await, (1000, 0));
    // Somebody else's purchase is not there.
    let mut other = shop.app.owner().await;
    let seen = other.get(&back).await;
    assert!(!seen.text().contains("were added"), "{}", seen.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_payment_and_one_that_never_comes() {
    let mut shop = Shop::open().await;
    let page = shop.begin("1000=999").await;
    let complete = shop.stripe.change(text(&page["id"]), |page| page["status"] = json!("complete"));
    shop.tell("evt_1", COMPLETED, &complete).await.ok_empty();
    assert_eq!((shop.books().await, shop.row(&page).await.state), ((0, 0), State::Open));
    shop.tell("evt_2", "checkout.session.async_payment_failed", &complete).await.ok_empty();
    assert_eq!((shop.books().await, shop.row(&page).await.state), ((0, 0), State::Open));

    let over = shop.begin("1000=999").await;
    let expired = shop.stripe.expire(text(&over["id"]));
    shop.tell("evt_3", "checkout.session.expired", &expired).await.ok_empty();
    assert_eq!(shop.row(&over).await.state, State::Expired);
    shop.owner.get("/topup").await.shows("not paid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_makes_no_second_page_and_loses_no_payment() {
    let mut shop = Shop::open().await;
    shop.stripe.lose_answers(1);
    shop.begin("1000=999").await;
    let keys: Vec<_> =
        shop.stripe.seen().iter().map(|call| call.header("idempotency-key").map(str::to_owned)).collect();
    assert_eq!((keys.len(), &keys[0], shop.stripe.pages().len()), (2, &keys[1], 1));

    // The gateway never hears of this page, but somebody pays it.
    shop.stripe.lose_answers(2);
    assert_eq!(shop.choose("1000=999").await.status, 503);
    let page = shop.stripe.pages().pop().expect("a page");
    assert_eq!(shop.row(&page).await.checkout_id, None);
    let paid = shop.stripe.pay(text(&page["id"]));
    shop.tell("evt_1", COMPLETED, &paid).await.ok_empty();
    assert_eq!(shop.books().await, (1000, 0));
    assert_eq!(shop.row(&page).await.checkout_id.as_deref(), page["id"].as_str());

    shop.stripe.fail(Some(402));
    assert_eq!(shop.choose("1000=999").await.status, 500);
    shop.stripe.fail(Some(500));
    assert_eq!(shop.choose("1000=999").await.status, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_take_back_in_proportion() {
    let mut shop = Shop::open().await;
    let payment = shop.bought("10=999").await;
    let page = shop.stripe.pages().pop().expect("a page");
    for (number, available) in [(1, 7), (2, 4)] {
        let refund = shop.stripe.refund(&payment, 333, "succeeded");
        for kind in ["refund.created", "refund.updated", "charge.refund.updated"] {
            shop.tell(&format!("evt_{number}_{}", kind.replace('.', "_")), kind, &refund).await.ok_empty();
            assert_eq!(shop.books().await, (available, 0));
        }
        shop.tell(&format!("evt_charge_{number}"), "charge.refunded", &shop.stripe.charge(&payment))
            .await
            .ok_empty();
        assert_eq!(shop.books().await, (available, 0));
    }
    shop.owner.get("/topup").await.shows("paid, partly refunded");
    // Told by the charge alone.
    let last = shop.stripe.refund(&payment, 333, "pending");
    shop.tell("evt_charge_3", "charge.refunded", &shop.stripe.charge(&payment)).await.ok_empty();
    assert_eq!((shop.books().await, shop.row(&page).await.state), ((0, 0), State::Refunded));
    // The bank sends one back.
    let failed = shop.stripe.set_status(text(&last["id"]), "failed");
    for event in ["evt_f1", "evt_f2"] {
        shop.tell(event, "refund.failed", &failed).await.ok_empty();
        assert_eq!((shop.books().await, shop.row(&page).await.state), ((4, 0), State::Paid));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_told_before_its_payment() {
    let mut shop = Shop::open().await;
    let page = shop.paid("1000=999").await;
    let payment = text(&page["payment_intent"]).to_owned();
    let refund = shop.stripe.refund(&payment, 999, "succeeded");
    // Nobody can say what it is for: it is told again.
    shop.stripe.fail(Some(500));
    assert_eq!(shop.tell("evt_1", "refund.created", &refund).await.status, 503);
    shop.stripe.fail(None);
    shop.tell("evt_1", "refund.created", &refund).await.ok_empty();
    assert_eq!((shop.books().await, shop.row(&page).await.state), ((0, 0), State::Refunded));
    shop.tell("evt_2", COMPLETED, &page).await.ok_empty();
    assert_eq!((shop.books().await, shop.row(&page).await.state), ((0, 0), State::Refunded));
    // A payment of another shop on the same account.
    let foreign = shop.stripe.refund("pi_test_foreign", 5, "succeeded");
    shop.tell("evt_3", "refund.created", &foreign).await.ok_empty();
    assert_eq!(shop.books().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispute_takes_all_and_a_won_one_gives_it_back() {
    let vendor = Emulator::start(Vendor::OpenAi).await.expect("a stand-in");
    let section = format!(
        "[openai]\napi_key = \"test-key-1\"\nbase_url = \"{}\"\nsubmits_per_second = 0\n",
        vendor.base_url()
    );
    let mut shop = Shop::with(TEST_KEY, &section).await;
    let payment = shop.bought("1000=999").await;
    let page = shop.stripe.pages().pop().expect("a page");
    let dispute = shop.stripe.dispute(&payment, 999, "warning_needs_response");
    shop.tell("evt_1", "charge.dispute.created", &dispute).await.ok_empty();
    assert_eq!((shop.books().await, shop.row(&page).await.state), ((1000, 0), State::Paid));
    // Some of it is spent by now.
    let key = shop.app.admin().key_create(&shop.account, Scopes::ALL, "test").await.expect("a key").1;
    let agent = shop.app.bearer(key.expose());
    agent.generate(&picture("spent", 8)).await;
    assert_eq!(agent.finish("spent").await["credits"]["charged"], 80);
    let id = text(&dispute["id"]).to_owned();
    for (event, kind, status) in [
        ("evt_2", "charge.dispute.funds_withdrawn", "needs_response"),
        ("evt_3", "charge.dispute.updated", "under_review"),
        ("evt_4", "charge.dispute.closed", "lost"),
    ] {
        let dispute = shop.stripe.set_status(&id, status);
        shop.tell(event, kind, &dispute).await.ok_empty();
        assert_eq!((shop.books().await, shop.row(&page).await.state), ((0, -80), State::Disputed));
    }
    let frozen = shop.app.admin().account_show(&shop.account).await.expect("the account").frozen_reason;
    assert!(frozen.is_some_and(|reason| reason.starts_with("clawback")));
    assert_eq!(shop.choose("1000=999").await.status, 403);
    let won = shop.stripe.set_status(&id, "won");
    for (event, kind) in [("evt_5", "charge.dispute.closed"), ("evt_6", "charge.dispute.funds_reinstated")] {
        shop.tell(event, kind, &won).await.ok_empty();
        assert_eq!((shop.books().await, shop.row(&page).await.state), ((920, 0), State::Paid));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_took_by_hand_is_not_taken_twice() {
    let mut shop = Shop::open().await;
    let payment = shop.bought("1000=999").await;
    let taken = shop.app.admin().account_clawback(&shop.account, 600, "by hand").await;
    assert_eq!((taken, shop.books().await), (Ok(false), (400, 0)));
    let refund = shop.stripe.refund(&payment, 999, "succeeded");
    shop.tell("evt_1", "refund.created", &refund).await.ok_empty();
    assert_eq!(shop.books().await, (0, 0));
    let failed = shop.stripe.set_status(text(&refund["id"]), "failed");
    shop.tell("evt_2", "refund.failed", &failed).await.ok_empty();
    assert_eq!(shop.books().await, (400, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_gives_back_what_a_task_was_charged() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    agent.picture("r", "[[instant]]").await;
    let task = agent.finish("r").await;
    let id = TaskId::parse(text(&task["task_id"])).expect("an id");
    let before = app.books().await.0;
    for (amount, reference, given, replayed) in
        [(Some(3), "a", 3, false), (Some(3), "a", 3, true), (None, "b", 5, false), (None, "b", 5, true)]
    {
        let refunded = app.admin().task_refund(&id, amount, reference).await.expect("a refund");
        assert_eq!((refunded.amount, refunded.replayed), (Credits(given), replayed), "{reference}");
    }
    assert_eq!(app.books().await.0, before + 8);
    assert_eq!(agent.poll("r").await["credits"]["refunded"], 8);
    for (amount, reference) in [(Some(1), "c"), (None, "c"), (Some(4), "a"), (Some(-1), "d"), (Some(1), "")] {
        assert!(app.admin().task_refund(&id, amount, reference).await.is_err(), "{amount:?} {reference}");
    }
    assert_eq!(app.books().await.0, before + 8);
    let lines = app.admin().audit_lines(Some(&app.account), None, 50).await.expect("lines");
    assert_eq!(lines.iter().filter(|line| line.action == "task.refunded").count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn test_accounts_and_gateways_without_a_key_sell_nothing() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    owner.get("/topup").await.shows("Credits can't be bought at this gateway");
    let csrf = owner.csrf().await;
    let form = [("csrf".to_owned(), csrf), ("pack".to_owned(), "1000=999".to_owned())];
    assert_eq!(owner.post("/topup", &form).await.status, 400);
    assert_eq!(app.anonymous().post(HOOK, &json!({})).await.status, 404);

    let shop = Shop::open().await;
    let mut tester = shop.app.owner().await;
    tester.get("/topup").await.shows("This is a test account");
    let csrf = tester.csrf().await;
    let form = [("csrf".to_owned(), csrf), ("pack".to_owned(), "1000=999".to_owned())];
    tester.post("/topup", &form).await.shows("is a test account");
    assert!(shop.stripe.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_offered_and_not_without_end() {
    let mut shop = Shop::open().await;
    for pack in ["", "1000=1", "100000=999", "1000=999=1", "-1=1"] {
        shop.choose(pack).await.shows("is not offered any more");
    }
    assert!(shop.stripe.seen().is_empty());
    for _ in 0..20 {
        shop.begin("1000=999").await;
    }
    assert_eq!(shop.choose("1000=999").await.status, 429);
    assert_eq!(shop.stripe.seen().len(), 20);
}
