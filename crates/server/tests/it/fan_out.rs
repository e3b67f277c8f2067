//! Jobs that are several calls upstream: each of them is somebody's, and none waits in vain for another.
//!
//! Invariant: what one call made goes to who asked for it, and is charged once. Not here: adapters alone
//! (`providers/tests/vendors`), submits in doubt by the hundred (`doubt`).

use crate::support::{
    until,
    vendor::{LIVE_CREDITS, Vendors},
};
use rynjer_emulator::{Fault, Vendor};
use serde_json::{Value, json};
use std::time::Duration;

const SETTINGS: &str = "[worker]\nlease_seconds = 3600";

/// Replicate makes one picture of this model with a call, and takes no seed for it.
fn foxes(request_id: &str, count: u32) -> Value {
    json!({"request_id": request_id, "model": "google/nano-banana", "prompt": "a red fox", "count": count})
}

/// Hands a job over, and waits until the vendor has it.
async fn handed_over(vendors: &Vendors, body: &Value) {
    vendors.emulator(Vendor::Replicate).world().set_now_ms(vendors.app.now_ms());
    vendors.live.generate(body).await;
    until("the vendor has it", async || (vendors.at_step("submitted").await == 1).then_some(())).await;
}

/// What two people asked for with the same words differs in nothing that the vendor's list shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_up_takes_no_part_of_anothers_job() {
    let vendors = Vendors::with(&[Vendor::Replicate], SETTINGS).await;
    let world = vendors.emulator(Vendor::Replicate).world();
    world.polls(2);
    handed_over(&vendors, &foxes("pair", 2)).await;
    world.fault(Fault::Dropped);
    vendors.live.generate(&foxes("one", 1)).await;
    vendors.run_out().await;
    let (pair, one) = (vendors.live.poll("pair").await, vendors.live.poll("one").await);
    assert_eq!((&pair["status"], pair["outputs"].as_array().map(Vec::len)), (&json!("success"), Some(2)));
    // Nobody made it, as far as anybody can tell, and nobody pays for it.
    assert_eq!(one["error"]["error"], "outcome_unknown", "{one}");
    assert_eq!(one["credits"]["charged"], 0);
    assert_eq!(world.jobs().len(), 2);
    let charged = pair["credits"]["charged"].as_i64().expect("credits");
    assert_eq!(vendors.books().await, (LIVE_CREDITS - charged, 0, charged / 2));
}

/// The first part of the other's job is made, and the second on its way: none of it is written down yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_up_takes_no_part_of_what_is_being_handed_over() {
    let vendors = Vendors::with(&[Vendor::Replicate], SETTINGS).await;
    let world = vendors.emulator(Vendor::Replicate).world();
    world.set_now_ms(vendors.app.now_ms());
    world.fault(Fault::Slow { ms: 0 });
    world.fault(Fault::Slow { ms: 3_000 });
    vendors.live.generate(&foxes("pair", 2)).await;
    until("the first part is made", async || (world.seen_count() == 2).then_some(())).await;
    world.fault(Fault::Dropped);
    vendors.live.generate(&foxes("one", 1)).await;
    until("it is in doubt", async || (vendors.at_step("unknown").await == 1).then_some(())).await;
    world.set_now_ms(vendors.app.now_ms() + 90_000);
    vendors.app.advance(Duration::from_secs(90));
    until("it was looked for", async || (world.seen_count() == 4).then_some(())).await;
    // And it goes on being in doubt, although the list has one job of these words and nobody it.
    assert_eq!(world.jobs().len(), 1);
    until("it is in doubt again", async || (vendors.at_step("unknown").await == 1).then_some(())).await;
    vendors.run_out().await;
    let (pair, one) = (vendors.live.poll("pair").await, vendors.live.poll("one").await);
    assert_eq!((&pair["status"], pair["outputs"].as_array().map(Vec::len)), (&json!("success"), Some(2)));
    assert_eq!(one["error"]["error"], "outcome_unknown", "{one}");
}

/// The other's only job is in the list before the answer to its submit is here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_up_takes_no_job_whose_submit_is_not_answered_yet() {
    let vendors = Vendors::with(&[Vendor::Replicate], SETTINGS).await;
    let world = vendors.emulator(Vendor::Replicate).world();
    world.set_now_ms(vendors.app.now_ms());
    world.fault(Fault::Dropped);
    vendors.live.generate(&foxes("lost", 1)).await;
    until("it is in doubt", async || (vendors.at_step("unknown").await == 1).then_some(())).await;
    world.fault(Fault::Late { ms: 3_000 });
    vendors.live.generate(&foxes("made", 1)).await;
    until("the other is made", async || (world.jobs().len() == 1).then_some(())).await;
    world.set_now_ms(vendors.app.now_ms() + 90_000);
    vendors.app.advance(Duration::from_secs(90));
    until("it was looked for", async || (world.seen_count() == 3).then_some(())).await;
    vendors.run_out().await;
    let (lost, made) = (vendors.live.poll("lost").await, vendors.live.poll("made").await);
    assert_eq!((&made["status"], &lost["error"]["error"]), (&json!("success"), &json!("outcome_unknown")));
    let charged = made["credits"]["charged"].as_i64().expect("credits");
    assert_eq!(vendors.books().await, (LIVE_CREDITS - charged, 0, charged));
}

/// One of four files is gone, and one picture never ends: who asked gets the other two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_gone_at_the_end_costs_none_of_the_others() {
    let vendors = Vendors::with(&[Vendor::Replicate], SETTINGS).await;
    let world = vendors.emulator(Vendor::Replicate).world();
    handed_over(&vendors, &foxes("four", 4)).await;
    let jobs = world.jobs();
    let gone = format!("{}/files/gone", world.origin());
    world.change(&jobs[1].id, |job| job.input["output"] = json!(gone)).expect("a job");
    world.change(&jobs[3].id, |job| job.polls_left = u32::MAX).expect("a job");
    vendors.run_out().await;
    let task = vendors.live.poll("four").await;
    assert_eq!((&task["status"], task["outputs"].as_array().map(Vec::len)), (&json!("success"), Some(2)));
    let unit = task["credits"]["charged"].as_i64().expect("credits") / 2;
    let mut why = [0, 1].map(|index: usize| task["missing"][index]["error"].as_str());
    // The four were made at once, in any order.
    why.sort_unstable();
    assert_eq!(why, [Some("outcome_unknown"), Some("provider_failed")], "{task}");
    assert_eq!(vendors.books().await, (LIVE_CREDITS - 2 * unit, 0, 2 * unit));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_is_charged_when_the_rest_never_ends() {
    let vendors = Vendors::with(&[Vendor::Replicate], SETTINGS).await;
    let world = vendors.emulator(Vendor::Replicate).world();
    handed_over(&vendors, &foxes("three", 4)).await;
    let stuck = world.jobs()[1].id.clone();
    world.change(&stuck, |job| job.polls_left = u32::MAX).expect("a job");
    vendors.run_out().await;
    let task = vendors.live.poll("three").await;
    assert_eq!((&task["status"], task["outputs"].as_array().map(Vec::len)), (&json!("success"), Some(3)));
    let unit = task["credits"]["released"].as_i64().expect("credits");
    let credits = json!({"held": 0, "charged": 3 * unit, "released": unit, "refunded": 0});
    assert_eq!(task["credits"], credits);
    let missing = task["missing"].as_array().expect("what is missing");
    let message = "the provider did not finish this one in time";
    assert_eq!((missing.len(), &missing[0]["error"]), (1, &json!("outcome_unknown")), "{task}");
    assert_eq!(missing[0]["message"], message);
    // The vendor may make it all the same.
    assert_eq!(vendors.books().await, (LIVE_CREDITS - 3 * unit, 0, unit));
}
