//! What vendors tell of their jobs, and what others say in their name: twice, late, out of order, forged.
//!
//! Invariant: the tasks end as they do without any callback. `RYNJER_CALLBACKS` is how many are sent in all.
//! Not here: doubts that nobody ends (`doubt`), signatures in detail (`rynjer-providers`).

use crate::support::{
    START_S, until,
    vendor::{LIVE_CREDITS, Vendors},
};
use bytes::Bytes;
use rynjer_emulator::{CallbackOut, Fault, Vendor};
use rynjer_server::clock::Clock;
use serde_json::{Value, json};

/// Callbacks in all, unless `RYNJER_CALLBACKS` says otherwise.
const CALLBACKS: usize = 300;
/// Callbacks of each task: three true ones, and the lies about it.
const EACH: usize = 9;
const VENDORS: usize = 4;
/// Tasks of one gateway: what its vendor signs is good for five minutes.
const ROUND: usize = 100;
/// The time at which the stand-in of kie signs all that it sends.
const KIE_SIGNS_AT_S: i64 = 1_770_000_000;
const SETTINGS: &str = "[worker]\nlease_seconds = 3600\n[routes]\ncallbacks = ";

/// A vendor, a request to it, and how a job of it fails.
struct Case {
    vendor: Vendor,
    key: &'static str,
    body: Value,
    failure: Value,
    /// The signature covers the body, or some of it.
    header: Option<&'static str>,
}

fn case(vendor: Vendor) -> Case {
    let end = vendor.errors().into_iter().find_map(|case| match case.fault {
        Fault::End(failure) => Some(failure),
        _ => None,
    });
    let failure = end.expect("a way to fail");
    let picture = crate::support::png::data_uri(&crate::support::png::png(512, 512, 90));
    let (key, body, header) = match vendor {
        Vendor::Fal => (
            "",
            json!({"model": "fal-ai/ltx-2/image-to-video", "scene": "image-to-video", "prompt": "a fox",
                "input_image_urls": [picture]}),
            Some("x-fal-webhook-signature"),
        ),
        Vendor::Replicate => (
            "webhook_secret = \"whsec_c3RhbmQtaW4tc2VjcmV0LW9mLXJlcGxpY2F0ZQ==\"",
            json!({"model": "z-image", "prompt": "a fox"}),
            Some("webhook-signature"),
        ),
        Vendor::Kie => (
            "webhook_key = \"test-webhook-key\"",
            json!({"model": "google/nano-banana", "prompt": "a fox"}),
            Some("x-webhook-signature"),
        ),
        _ => ("", json!({"model": "doubao-seedance-1.0-pro-fast", "prompt": "a fox"}), None),
    };
    Case { vendor, key, body, failure, header }
}

impl Case {
    async fn start(&self, callbacks: bool) -> Vendors {
        let now_ms = match self.vendor {
            Vendor::Fal | Vendor::Replicate => Clock::System.now_ms(),
            Vendor::Kie => KIE_SIGNS_AT_S * 1000,
            _ => START_S * 1000,
        };
        let settings = format!("{SETTINGS}{callbacks}");
        Vendors::at(&[self.vendor], &settings, &[(self.vendor, self.key)], now_ms).await
    }

    fn request(&self, id: &str) -> Value {
        let mut body = self.body.clone();
        body["request_id"] = json!(id);
        body
    }

    /// Hands tasks over, every third of which fails; what the vendor tells of each, by task.
    async fn submitted(&self, vendors: &Vendors, count: usize) -> Vec<CallbackOut> {
        let world = vendors.emulator(self.vendor).world();
        // Done when asked for the second time: a callback before is out of order.
        world.polls(1);
        let mut told = Vec::new();
        for number in 0..count {
            if number % 3 == 2 {
                world.fault(Fault::End(self.failure.clone()));
            }
            vendors.live.generate(&self.request(&format!("c-{number}"))).await;
            let submitted = i64::try_from(number + 1).expect("a small number");
            let over = async || (vendors.at_step("submitted").await == submitted).then_some(());
            until("it is handed over", over).await;
            told.extend(world.take_callbacks());
        }
        told
    }

    /// What nobody may say about a task: each with the status that it gets.
    fn lies(&self, told: &CallbackOut) -> Vec<(CallbackOut, u16)> {
        let url = |url: String| CallbackOut { url, ..told.clone() };
        let (path, nonce) = told.url.rsplit_once('/').expect("a path");
        let mut flipped = nonce.to_owned();
        let last = if flipped.ends_with('A') { 'B' } else { 'A' };
        flipped.pop();
        // The last letter of a tag has bits that count for nothing, so the one before it goes too.
        let before = if flipped.ends_with('Q') { 'R' } else { 'Q' };
        flipped.pop();
        flipped.extend([before, last]);
        let elsewhere = if self.vendor == Vendor::Kie { "fal" } else { "kie" };
        let unknown = CallbackOut { body: self.other_job(&told.body), ..told.clone() };
        let mut all = vec![
            (url(format!("{path}/{flipped}")), 404),
            (url(format!("{path}/{}", nonce.replacen("acct_", "acct_0", 1))), 404),
            (url(told.url.replacen(self.vendor.name(), elsewhere, 1)), 404),
            (url(told.url.replacen(self.vendor.name(), "nobody", 1)), 404),
            // A URL is the credential where the vendor signs nothing: it is asked, and knows better.
            (unknown, if self.header.is_some() { 401 } else { 200 }),
        ];
        if let Some(header) = self.header {
            let mut unsigned = told.clone();
            unsigned.headers.retain(|(name, _)| name != header);
            let mut wrong = unsigned.clone();
            wrong.headers.push((header.to_owned(), "v1,AAAAAAAA".to_owned()));
            all.extend([(unsigned, 401), (wrong, 401)]);
        }
        all
    }

    /// The body with the id of a job that nobody made.
    fn other_job(&self, body: &Bytes) -> Bytes {
        let mut body: Value = serde_json::from_slice(body).expect("JSON");
        match self.vendor {
            Vendor::Fal => body["request_id"] = json!("ffffffff-0000-4000-8000-ffffffffffff"),
            Vendor::Kie => body["data"]["taskId"] = json!("task_market_none"),
            _ => body["id"] = json!("p-none"),
        }
        Bytes::from(body.to_string())
    }
}

/// Sends a callback, and tells the status of the answer.
async fn send(vendors: &Vendors, callback: &CallbackOut) -> u16 {
    let mut caller = vendors.app.anonymous();
    for (name, value) in &callback.headers {
        caller = caller.with(name, value);
    }
    caller.send(http::Method::POST, &callback.url, callback.body.clone().into()).await.status
}

/// How every task ended, and the account with it.
async fn ends(vendors: &Vendors, count: usize) -> (Vec<Value>, (i64, i64, i64), i64) {
    let mut all = Vec::new();
    for number in 0..count {
        let task = vendors.live.poll(&format!("c-{number}")).await;
        let error = task["error"]["error"].clone();
        let outputs = task["outputs"].as_array().map_or(0, Vec::len);
        all.push(json!([task["status"], error, task["credits"], task["served_by"], outputs]));
    }
    (all, vendors.books().await, vendors.attempts().await)
}

/// Of each vendor as many tasks as the callbacks need; how many callbacks were sent.
async fn storm(vendor: Vendor) -> usize {
    let named = std::env::var("RYNJER_CALLBACKS").ok();
    let wanted = named.map_or(CALLBACKS, |text| text.parse().expect("a number")).div_ceil(VENDORS);
    let mut sent = 0;
    while sent < wanted {
        let count = (wanted - sent).div_ceil(EACH).clamp(3, ROUND);
        sent += one_storm(&case(vendor), count).await;
    }
    println!("{}: {sent} callbacks", vendor.name());
    sent
}

async fn one_storm(case: &Case, count: usize) -> usize {
    let quiet = case.start(false).await;
    assert!(case.submitted(&quiet, count).await.is_empty());
    quiet.run_out().await;
    let expected = ends(&quiet, count).await;
    assert!(expected.0.iter().any(|end| end[0] == "failed"), "{:?}", expected.0);
    assert!(expected.0.iter().any(|end| end[0] == "success"), "{:?}", expected.0);

    let vendors = case.start(true).await;
    let told = case.submitted(&vendors, count).await;
    assert_eq!(told.len(), count);
    let mut sent = 0;
    // The newest first, the lies between: nothing of a lie changes anything.
    for (at, callback) in told.iter().enumerate().rev() {
        let before = vendors.app.ledger().await;
        let due = "SELECT CAST(SUM(due_at) AS BIGINT) FROM tasks";
        let due_before = vendors.number(due).await;
        let lies = case.lies(callback);
        for (lie, status) in lies.iter().filter(|(_, status)| *status != 200) {
            assert_eq!(send(&vendors, lie).await, *status, "{lie:?}");
        }
        if at + 1 == count {
            assert_eq!((vendors.app.ledger().await, vendors.number(due).await), (before, due_before));
        }
        for (lie, status) in lies.iter().filter(|(_, status)| *status == 200) {
            assert_eq!(send(&vendors, lie).await, *status, "{lie:?}");
        }
        // The news of another job, at the URL of this one.
        let crossed = CallbackOut { url: callback.url.clone(), ..told[(at + 1) % count].clone() };
        for callback in [callback, &crossed, callback] {
            assert_eq!(send(&vendors, callback).await, 200);
        }
        sent += lies.len() + 3;
    }
    vendors.run_out().await;
    assert_eq!(ends(&vendors, count).await, expected);
    for callback in &told {
        assert_eq!(send(&vendors, callback).await, 200, "late");
        sent += 1;
    }
    assert_eq!(ends(&vendors, count).await, expected);
    assert_eq!(vendors.emulator(case.vendor).world().jobs().len(), count);
    let charged = expected.0.iter().map(|end| end[2]["charged"].as_i64().expect("credits")).sum::<i64>();
    assert_eq!(expected.1, (LIVE_CREDITS - charged, 0, 0));
    let captures = vendors.number("SELECT COUNT(*) FROM entries WHERE kind = 'capture'").await;
    let made = expected.0.iter().filter(|end| end[0] == "success").count();
    assert_eq!(usize::try_from(captures), Ok(made));
    sent
}

macro_rules! of_each_vendor {
    ($($module:ident: $vendor:expr;)*) => {$(
        mod $module {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn what_it_says_and_others_say_for_it_changes_no_end() {
                assert!(storm($vendor).await > 0);
            }
        }
    )*};
}

of_each_vendor! {
    fal: Vendor::Fal;
    replicate: Vendor::Replicate;
    kie: Vendor::Kie;
    ark: Vendor::Ark;
}

/// The answer to a submit is lost, and the vendor's callback brings the id.
async fn recovered(vendor: Vendor) {
    let case = case(vendor);
    let vendors = case.start(true).await;
    let world = vendors.emulator(vendor).world();
    world.fault(Fault::Lost);
    let held = vendors.live.generate(&case.request("c-0")).await["credits"]["held"].clone();
    until("it is in doubt", async || (vendors.at_step("unknown").await == 1).then_some(())).await;
    assert_eq!(world.unmatched(), 1);
    let told = world.take_callbacks();
    let ids = "SELECT COUNT(*) FROM tasks WHERE provider_task_id IS NOT NULL";
    for (lie, status) in case.lies(&told[0]).iter().filter(|(_, status)| *status != 200) {
        assert_eq!(send(&vendors, lie).await, *status, "{lie:?}");
    }
    assert_eq!((vendors.at_step("unknown").await, vendors.number(ids).await), (1, 0));
    assert_eq!(send(&vendors, &told[0]).await, 200);
    // What was answered is durable: nobody has to wait for it.
    assert_eq!((vendors.at_step("unknown").await, vendors.number(ids).await), (0, 1));
    let task = vendors.finish("c-0").await;
    assert_eq!(task["status"], "success", "{task}");
    assert_eq!(task["credits"], json!({"held": 0, "charged": held, "released": 0, "refunded": 0}));
    for callback in &told {
        assert_eq!(send(&vendors, callback).await, 200);
    }
    let charged = held.as_i64().expect("credits");
    assert_eq!(vendors.books().await, (LIVE_CREDITS - charged, 0, 0));
    assert_eq!((world.jobs().len(), world.unmatched(), vendors.attempts().await), (1, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_ends_a_doubt() {
    recovered(Vendor::Kie).await;
    recovered(Vendor::Fal).await;
}

/// After its time is over, a doubtful task stays what it is, whatever its vendor says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_after_the_end_of_a_doubt_changes_nothing() {
    let mut case = case(Vendor::Kie);
    // Unsigned, or it would be too old by then.
    case.key = "";
    let vendors = case.start(true).await;
    let world = vendors.emulator(case.vendor).world();
    world.fault(Fault::Lost);
    vendors.live.generate(&case.request("c-0")).await;
    assert_eq!(vendors.finish_in_time("c-0").await["error"]["error"], "outcome_unknown");
    let before = ends(&vendors, 1).await;
    for callback in world.take_callbacks() {
        assert_eq!(send(&vendors, &callback).await, 200);
    }
    assert_eq!(ends(&vendors, 1).await, before);
    assert_eq!(world.unmatched(), 1);
}
