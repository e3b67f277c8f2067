//! Cancels of what a vendor has: how often it is asked, whoever asks how often.
//!
//! Invariant: callers can't make this gateway a nuisance to a vendor. Not here: who wins between a cancel and
//! the end of a task (`cancel`).

use crate::support::{
    Answer, until,
    vendor::{LIVE_CREDITS, Vendors, picture},
};
use futures::future::join_all;
use rynjer_emulator::Vendor;
use rynjer_server::gateway::Role;
use serde_json::json;
use std::time::Duration;

/// Cancels a task many times at once, and counts the refusals.
async fn cancel(vendors: &Vendors, id: &str, times: usize) -> usize {
    let path = format!("/v1/generate/{id}/cancel");
    let all = join_all((0..times).map(|_| async { vendors.live.post(&path, &json!({})).await })).await;
    for answer in all.iter().filter(|answer| answer.status == 200) {
        assert_eq!(answer.json()["data"]["status"], "canceled");
    }
    all.iter().filter(|answer| answer.status != 200).map(Answer::refusal).fold(0, |count, refusal| {
        assert_eq!(refusal, "409 not_cancelable");
        count + 1
    })
}

/// Requests that the vendor got since the last look.
fn came(vendors: &Vendors) -> Vec<String> {
    let world = vendors.emulator(Vendor::Replicate).world();
    let seen = world.seen();
    world.forget_seen();
    let word =
        |path: &str| path.rsplit('/').next().filter(|last| *last == "cancel").unwrap_or("look").to_owned();
    seen.iter().map(|seen| format!("{} {}", seen.method, word(&seen.path))).collect()
}

async fn handed_over(vendors: &Vendors, id: &str, polls: u32) {
    let world = vendors.emulator(Vendor::Replicate).world();
    world.set_now_ms(vendors.app.now_ms());
    world.polls(polls);
    let mut body = picture(id, 1);
    body["model"] = json!("google/nano-banana");
    let before = vendors.at_step("submitted").await;
    vendors.live.generate(&body).await;
    until("it has it", async || (vendors.at_step("submitted").await == before + 1).then_some(())).await;
    assert_eq!(came(vendors), ["POST look"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_is_asked_once_however_often_a_task_is_canceled() {
    let vendors = Vendors::with(&[Vendor::Replicate], "[worker]\nlease_seconds = 3600").await;
    // It runs, so it is not taken back: the vendor is asked what it is, and once more five seconds later.
    handed_over(&vendors, "runs", 1).await;
    assert_eq!(cancel(&vendors, "runs", 20).await, 20);
    assert_eq!(came(&vendors), ["GET look"]);
    assert_eq!(cancel(&vendors, "runs", 20).await, 20);
    assert_eq!(came(&vendors), Vec::<String>::new());
    // It waits, so it is taken back, by one call for all.
    handed_over(&vendors, "waits", 1_000).await;
    assert_eq!(cancel(&vendors, "waits", 20).await, 0);
    assert_eq!(came(&vendors), ["GET look", "POST cancel"]);
    assert_eq!(cancel(&vendors, "waits", 20).await, 0);
    assert_eq!(came(&vendors), Vec::<String>::new());
    let done = vendors.finish("runs").await;
    assert_eq!(done["status"], "success", "{done}");
    let charged = done["credits"]["charged"].as_i64().expect("credits");
    assert_eq!(vendors.books().await, (LIVE_CREDITS - charged, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_free_is_asked_again_after_a_while() {
    let mut vendors = Vendors::with(&[Vendor::Replicate], "[worker]\nlease_seconds = 3600").await;
    handed_over(&vendors, "runs", 1).await;
    // Without a worker, which would ask about the task too.
    vendors.app.restart_as(Role::Api).await;
    assert_eq!(cancel(&vendors, "runs", 1).await, 1);
    let world = vendors.emulator(Vendor::Replicate).world().clone();
    let id = world.jobs()[0].id.clone();
    // Its vendor stopped it before it really began.
    world.change(&id, |job| (job.canceled, job.input["ran"]) = (true, json!(false))).expect("a job");
    vendors.app.advance(Duration::from_millis(4_999));
    assert_eq!((cancel(&vendors, "runs", 1).await, came(&vendors)), (1, vec!["GET look".to_owned()]));
    vendors.app.advance(Duration::from_millis(1));
    assert_eq!((cancel(&vendors, "runs", 1).await, came(&vendors)), (0, vec!["GET look".to_owned()]));
    assert_eq!(vendors.books().await, (LIVE_CREDITS, 0, 0));
}
