//! A gateway that sells credits, with an owner's browser and a stand-in of Stripe.
//!
//! Invariant: what is told is signed at the gateway's time with one of its secrets, unless a test says
//! otherwise. Not here: what the stand-in answers (`rynjer-emulator`).

use super::{
    Answer, Client, START_S, TestApp,
    browser::{Browser, PASSWORD, Page},
};
use axum::body::Body;
use http::Method;
use rynjer_core::id::{AccountId, TopupId};
use rynjer_emulator::{StripeEmulator, stripe_event, stripe_sign};
use rynjer_server::{clock::Clock, gateway::Role};
use rynjer_store::{StoreError, topup, topup::TopupRow};
use serde_json::Value;

pub(crate) const TEST_KEY: &str = "sk_test_shop";
pub(crate) const LIVE_KEY: &str = "sk_live_shop";
pub(crate) const SECRET: &str = "whsec_test_1";
/// Where it is told what became of payments.
pub(crate) const HOOK: &str = "/callbacks/stripe";

pub(crate) struct Shop {
    pub(crate) app: TestApp,
    pub(crate) stripe: StripeEmulator,
    pub(crate) owner: Browser,
    /// The owner's live account.
    pub(crate) account: AccountId,
    pub(crate) is_live: bool,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with(TEST_KEY, "").await
    }

    /// The same with another key and more settings.
    pub(crate) async fn with(key: &str, more: &str) -> Self {
        let stripe = StripeEmulator::start(key).await.expect("a stand-in");
        let origin = stripe.origin();
        let settings = format!(
            "{more}\n[stripe]\nsecret_key = \"{key}\"\nwebhook_secret = \"whsec_old, {SECRET}\"\n\
             packs = [\"1000=999\", \"10=999\"]\nbase_url = \"{origin}\"\ncheckout_origin = \"{origin}\"\n\
             allow_test_payments = true\n"
        );
        let app = TestApp::at(&settings, Role::All, Clock::manual(START_S * 1000)).await;
        let account = app.admin().account_create("buyer@example.com", true, 0).await.expect("an account").id;
        let mut owner = app.invited("buyer@example.com", false).await;
        // New owners have a test account too.
        owner.get("/").await;
        assert_eq!(owner.submit("/account", &[("account", account.as_str())]).await.status, 303);
        Self { app, stripe, owner, account, is_live: key == LIVE_KEY }
    }

    /// Sends the form for a pack.
    pub(crate) async fn choose(&mut self, pack: &str) -> Page {
        self.owner.get("/topup").await;
        self.owner.submit("/topup", &[("pack", pack)]).await
    }

    /// Begins a purchase; the page where it is to be paid.
    pub(crate) async fn begin(&mut self, pack: &str) -> Value {
        let answer = self.choose(pack).await;
        let page = self.stripe.pages().pop().expect("a page");
        assert_eq!((answer.status, answer.location.as_str()), (303, page["url"].as_str().expect("a URL")));
        page
    }

    /// Begins a purchase and pays for it; the page then. Nobody has told the gateway yet.
    pub(crate) async fn paid(&mut self, pack: &str) -> Value {
        let page = self.begin(pack).await;
        self.stripe.pay(page["id"].as_str().expect("an id"))
    }

    /// Begins, pays and tells it; the payment's id.
    pub(crate) async fn bought(&mut self, pack: &str) -> String {
        let page = self.paid(pack).await;
        let id = format!("evt_paid_{}", page["id"].as_str().expect("an id"));
        self.tell(&id, "checkout.session.completed", &page).await.ok_empty();
        page["payment_intent"].as_str().expect("a payment").to_owned()
    }

    pub(crate) fn body(&self, id: &str, kind: &str, object: &Value) -> String {
        stripe_event(id, kind, self.is_live, object).to_string()
    }

    /// Tells the gateway what the stand-in would tell it.
    pub(crate) async fn tell(&self, id: &str, kind: &str, object: &Value) -> Answer {
        self.told_by(&self.app.anonymous(), &self.body(id, kind, object)).await
    }

    /// The same to a node of several.
    pub(crate) async fn told_by(&self, node: &Client, body: &str) -> Answer {
        let signature = stripe_sign(SECRET, self.app.now_s(), body);
        send(node, body, &[&signature]).await
    }

    /// Available and owed credits.
    pub(crate) async fn books(&self) -> (i64, i64) {
        let row = self.app.admin().account_show(&self.account).await.expect("the account");
        (row.books.available.0, row.books.owed.0)
    }

    /// The owner comes again after the session's end.
    pub(crate) async fn sign_in_again(&mut self) {
        self.owner.get("/login").await;
        let words = [("email", "buyer@example.com"), ("password", PASSWORD)];
        assert_eq!(self.owner.submit("/login", &words).await.status, 303);
        self.owner.get("/").await;
        assert_eq!(self.owner.submit("/account", &[("account", self.account.as_str())]).await.status, 303);
    }

    /// Something happens at Stripe that nobody tells the gateway.
    pub(crate) fn untold(&self, id: &str, kind: &str, object: &Value) {
        self.stripe.happened(&stripe_event(id, kind, self.is_live, object));
    }

    /// Why the account is frozen.
    pub(crate) async fn frozen(&self) -> Option<String> {
        self.app.admin().account_show(&self.account).await.expect("the account").frozen_reason
    }

    /// Operators' lines about payments, newest first: the problem of each.
    pub(crate) async fn alarms(&self) -> Vec<String> {
        let lines = self.app.admin().audit_lines(None, None, 100).await.expect("lines");
        let alarms = lines.iter().filter(|line| line.action == "topup.needs_an_operator");
        let detail = |text: &str| serde_json::from_str::<Value>(text).expect("an object");
        alarms.map(|line| detail(&line.detail)["problem"].as_str().expect("text").to_owned()).collect()
    }

    /// Looks for what nobody told.
    pub(crate) async fn sweep(&self) {
        assert!(self.app.gateway().sweep_payments().await.expect("a sweep"));
    }

    /// The purchase that a page is for.
    pub(crate) async fn row(&self, page: &Value) -> TopupRow {
        let id = TopupId::parse(page["client_reference_id"].as_str().expect("an id")).expect("an id");
        let account = self.account.clone();
        let read = self.app.admin().store.read(move |tx| topup::get(tx, &account, &id));
        let row: Result<_, StoreError> = read.await;
        row.expect("the store").expect("a purchase")
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok_empty(&self) {
        assert_eq!((self.status, self.body.len()), (200, 0), "{}", String::from_utf8_lossy(&self.body));
    }
}

/// Sends bytes with these signatures.
pub(crate) async fn send(node: &Client, body: &str, signatures: &[&str]) -> Answer {
    let signed = signatures.iter().fold(node.clone(), |node, text| node.with("stripe-signature", text));
    let caller = signed.with("content-type", "application/json");
    caller.send(Method::POST, HOOK, Body::from(body.to_owned())).await
}
