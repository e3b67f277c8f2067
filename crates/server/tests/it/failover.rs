//! Two vendors of one model: which of them makes a task, and that it is made and charged once.
//!
//! Invariant: a task goes to the next route only if the one before it took nothing. Not here: each vendor
//! alone (`vendor`), doubts at scale (`doubt`).

use crate::support::{
    until,
    vendor::{LIVE_CREDITS, Vendors},
};
use rynjer_emulator::{Expected, Fault, Vendor};
use serde_json::{Value, json};
use std::time::Duration;

/// A model that two vendors serve, and what `served_by` says of the second one.
struct Pair {
    first: Vendor,
    model: &'static str,
    second: &'static str,
}

const PAIRS: [Pair; 2] = [
    Pair { first: Vendor::OpenAi, model: "gpt4o_image", second: "kie/gpt-4o-image" },
    Pair { first: Vendor::Google, model: "google/nano-banana", second: "kie/google/nano-banana" },
];

/// A rest of a minute of the clock is none of a call under way.
const LONG_LEASE: &str = "[worker]\nlease_seconds = 3600";

impl Pair {
    async fn start(&self) -> Vendors {
        Vendors::with(&[self.first, Vendor::Kie], LONG_LEASE).await
    }

    fn picture(&self, id: &str) -> Value {
        json!({"request_id": id, "model": self.model, "prompt": "a red fox"})
    }

    /// The first answer to a submit that means this.
    fn fault(&self, expected: Expected) -> Fault {
        let mut cases = self.first.errors().into_iter();
        let case = cases.find(|case| case.expected == expected && matches!(case.fault, Fault::Answer { .. }));
        case.expect("a documented error").fault
    }
}

/// Submits that arrived at a vendor.
fn submits(vendors: &Vendors, vendor: Vendor) -> usize {
    vendors.emulator(vendor).world().seen().iter().filter(|seen| seen.method == "POST").count()
}

/// A task that the second vendor made, for one price.
async fn made_by_second(vendors: &Vendors, pair: &Pair, id: &str) {
    let task = vendors.made(&pair.picture(id)).await;
    let by = (&task["status"], &task["served_by"]);
    assert_eq!(by, (&json!("success"), &json!(pair.second)), "{task}");
    let price = task["credits"]["charged"].as_i64().expect("credits");
    assert!(price > 0);
    assert_eq!(vendors.books().await, (LIVE_CREDITS - price, 0, 0));
    let world = vendors.emulator(Vendor::Kie).world();
    assert_eq!((world.jobs().len(), world.unmatched(), vendors.attempts().await), (1, 0, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_first_vendor_does_not_take_the_second_makes_once() {
    for pair in PAIRS {
        for expected in [Expected::NotNow, Expected::Unusable] {
            let vendors = pair.start().await;
            vendors.emulator(pair.first).world().fault(pair.fault(expected));
            made_by_second(&vendors, &pair, "one").await;
            assert_eq!(vendors.emulator(pair.first).world().jobs().len(), 0);
            assert_eq!(submits(&vendors, pair.first), 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_can_not_be_reached_is_passed_over() {
    for pair in PAIRS {
        let mut vendors = pair.start().await;
        vendors.stop(pair.first);
        made_by_second(&vendors, &pair, "one").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_content_is_asked_for_nowhere_else() {
    for pair in PAIRS {
        let vendors = pair.start().await;
        let fault = pair.fault(Expected::Refused("content_rejected"));
        vendors.emulator(pair.first).world().fault(fault);
        let task = vendors.made(&pair.picture("one")).await;
        assert_eq!(task["error"]["error"], "content_rejected", "{task}");
        assert_eq!(vendors.books().await, (LIVE_CREDITS, 0, 0));
        assert_eq!((submits(&vendors, Vendor::Kie), vendors.attempts().await), (0, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_in_doubt_is_sent_nowhere_else() {
    for pair in PAIRS {
        let faults = [Fault::Lost, Fault::Cut, Fault::Dropped, pair.fault(Expected::Unknown)];
        for fault in faults {
            let vendors = pair.start().await;
            vendors.emulator(pair.first).world().fault(fault.clone());
            let held = vendors.live.generate(&pair.picture("one")).await["credits"]["held"].clone();
            let task = vendors.finish_in_time("one").await;
            assert_eq!(task["error"]["error"], "outcome_unknown", "{fault:?} {task}");
            let loss = held.as_i64().expect("credits");
            assert_eq!(vendors.books().await, (LIVE_CREDITS, 0, loss), "{fault:?}");
            assert_eq!((submits(&vendors, Vendor::Kie), submits(&vendors, pair.first)), (0, 1), "{fault:?}");
        }
    }
}

/// A picture of a shape that only the first vendor makes.
fn link_card(id: &str) -> Value {
    let mut body = PAIRS[0].picture(id);
    body["aspect_ratio"] = json!("1.91:1");
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_that_can_not_make_it_is_left_out_before_the_hold() {
    let vendors = Vendors::with(&[Vendor::Kie], "").await;
    let refused = vendors.live.post("/v1/generate", &link_card("alone")).await;
    assert_eq!(refused.refusal(), "400 model_unavailable");
    let text = refused.error().to_string();
    assert!(text.contains("kie can't") && text.contains("1.91:1"), "{text}");
    assert_eq!(vendors.books().await, (LIVE_CREDITS, 0, 0));
    assert_eq!((vendors.attempts().await, submits(&vendors, Vendor::Kie)), (0, 0));

    let vendors = PAIRS[0].start().await;
    vendors.emulator(Vendor::OpenAi).world().fault(PAIRS[0].fault(Expected::NotNow));
    let task = vendors.made(&link_card("both")).await;
    assert_eq!(task["served_by"], "openai/gpt-image-2.6-flare", "{task}");
    assert_eq!((submits(&vendors, Vendor::OpenAi), submits(&vendors, Vendor::Kie)), (2, 0));
}

/// A task that went straight to that vendor, with one attempt.
async fn goes_straight(vendors: &Vendors, id: &str, by: &str) {
    let before = vendors.attempts().await;
    let task = vendors.made(&PAIRS[0].picture(id)).await;
    let (status, attempts) = (&task["status"], vendors.attempts().await - before);
    assert_eq!((status, &task["served_by"], attempts), (&json!("success"), &json!(by), 1), "{task}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_that_failed_five_times_is_left_alone_and_probed_by_one() {
    let (pair, vendors) = (&PAIRS[0], PAIRS[0].start().await);
    let first = vendors.emulator(pair.first).world();
    first.always(Some(pair.fault(Expected::NotNow)));
    // Whatever waits for the second vendor's poll moves the clock, so all five are asked for first.
    for number in 0..5 {
        vendors.live.generate(&pair.picture(&format!("five-{number}"))).await;
        until("it has gone on", async || (submits(&vendors, Vendor::Kie) > number).then_some(())).await;
    }
    assert_eq!(submits(&vendors, pair.first), 5);
    let straight = vendors.live.generate(&pair.picture("straight")).await;
    until("it has been asked for", async || (submits(&vendors, Vendor::Kie) == 6).then_some(())).await;
    assert_eq!((submits(&vendors, pair.first), vendors.attempts().await), (5, 11), "{straight}");

    // The pause is over: one task finds out, and the others don't wait for it.
    vendors.app.advance(Duration::from_secs(5));
    first.fault(Fault::Slow { ms: 3_000 });
    first.always(None);
    vendors.live.generate(&pair.picture("probe")).await;
    until("the probe is under way", async || (submits(&vendors, pair.first) == 6).then_some(())).await;
    vendors.live.generate(&pair.picture("beside")).await;
    until("it has gone elsewhere", async || (submits(&vendors, Vendor::Kie) == 7).then_some(())).await;
    let probe = vendors.live.finish("probe").await;
    assert_eq!(probe["served_by"], "openai/gpt-image-2.6-flare", "{probe}");
    assert_eq!(vendors.finish("beside").await["served_by"], pair.second);
    goes_straight(&vendors, "mended", "openai/gpt-image-2.6-flare").await;
    let jobs = |vendor| vendors.emulator(vendor).world().jobs().len();
    assert_eq!((jobs(pair.first), jobs(Vendor::Kie)), (2, 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_without_a_right_key_is_left_alone_at_once() {
    let (pair, vendors) = (&PAIRS[0], PAIRS[0].start().await);
    vendors.emulator(pair.first).world().always(Some(pair.fault(Expected::Unusable)));
    made_by_second(&vendors, pair, "one").await;
    goes_straight(&vendors, "two", pair.second).await;
    assert_eq!(submits(&vendors, pair.first), 1);
    vendors.app.advance(Duration::from_secs(60));
    let probe = vendors.made(&pair.picture("probe")).await;
    assert_eq!((&probe["served_by"], submits(&vendors, pair.first)), (&json!(pair.second), 2), "{probe}");
}
