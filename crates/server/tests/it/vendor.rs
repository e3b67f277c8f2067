//! Live accounts served by vendors: every model of each vendor, its parameters, its errors, its money.
//!
//! Invariant: each vendor is in turn the only one. Not here: adapters alone (`providers/tests/vendors`).

use crate::support::vendor::{LIVE_CREDITS, Vendors, picture};
use futures::future::join_all;
use rynjer_emulator::{Expected, Fault, Vendor};
use serde_json::{Value, json};
use std::time::Duration;

/// Every way to have something made that a model offers, as requests.
fn requests(model: &Value) -> Vec<Value> {
    let texts = |key: &str| -> Vec<Value> { model[key].as_array().cloned().unwrap_or_default() };
    let resolutions: Vec<Value> = model["resolutions"]
        .as_object()
        .map_or(vec![], |by_name| by_name.keys().map(|name| json!(name)).collect());
    let resolutions = if resolutions.is_empty() { vec![Value::Null] } else { resolutions };
    let count = if model["product"] == "image" { 2 } else { 1 };
    let mut all = Vec::new();
    for scene in texts("modes") {
        for resolution in &resolutions {
            let name = model["model"].as_str().expect("a name");
            let id = format!("{}-{}-{}", name.replace('/', "."), scene.as_str().expect("a mode"), all.len());
            let mut body = json!({
                "request_id": id, "model": name, "scene": scene, "prompt": "a red fox", "count": count,
                "resolution": resolution,
            });
            if scene.as_str().is_some_and(|scene| scene.starts_with("image-to")) {
                body["input_image_urls"] =
                    json!([crate::support::png::data_uri(&crate::support::png::png(512, 512, 90))]);
            }
            all.push(body);
        }
    }
    all
}

async fn every_model(vendor: Vendor) {
    let vendors =
        Vendors::with(&[vendor], "[routes]\nsubstitutes = true\nrelays = [\"kie\", \"openai\"]").await;
    let list = vendors.live.get("/v1/models/list").await.ok();
    let models = list["models"].as_array().expect("models");
    let served: Vec<&Value> = models.iter().filter(|model| model["available"] == true).collect();
    assert!(!served.is_empty(), "{vendor:?} serves nothing");
    let mut charged = 0;
    for body in served.iter().flat_map(|model| requests(model)) {
        let answer = vendors.live.post("/v1/generate", &body).await;
        if answer.status != 200 {
            // What its route can't do is told before a hold.
            assert_eq!(answer.error()["error"], "model_unavailable", "{body}");
            continue;
        }
        let task = vendors.finish(body["request_id"].as_str().expect("an id")).await;
        assert_eq!(task["status"], "success", "{body}\n{task}");
        let by = task["served_by"].as_str().expect("who");
        assert!(by.starts_with(&format!("{}/", vendor.name())), "{by}");
        let (count, outputs) = (body["count"].as_u64().expect("a count"), &task["outputs"]);
        assert!(outputs.as_array().is_some_and(|all| all.len() as u64 >= count), "{task}");
        let estimate = json!({"model": body["model"], "units": {"count": count,
            "resolution": body["resolution"]}, "scene": body["scene"]});
        let price =
            vendors.live.post("/v1/credits/estimate", &estimate).await.ok()["estimated_credits"].clone();
        assert_eq!(task["credits"], json!({"held": 0, "charged": price, "released": 0, "refunded": 0}));
        charged += price.as_i64().expect("credits");
    }
    assert!(charged > 0, "{vendor:?} made nothing");
    assert_eq!(vendors.books().await, (LIVE_CREDITS - charged, 0, 0));
    assert_eq!(vendors.emulator(vendor).world().unmatched(), 0);
}

/// A request that the vendor serves: for a picture, or for a clip if it makes any.
async fn some_request(vendors: &Vendors, clip: bool) -> Value {
    let list = vendors.live.get("/v1/models/list").await.ok();
    let models = list["models"].as_array().expect("models");
    let served: Vec<&Value> = models.iter().filter(|model| model["available"] == true).collect();
    let wanted = if clip { "video" } else { "image" };
    let first = served.iter().find(|model| model["product"] == wanted).unwrap_or(&served[0]);
    let mut body = requests(first)[0].clone();
    body["count"] = json!(1);
    body
}

/// DashScope makes pictures at once, so only its clips are jobs that can fail.
fn as_clip(vendor: Vendor, fault: &Fault) -> bool {
    vendor == Vendor::DashScope && matches!(fault, Fault::End(_))
}

/// Each documented error ends with its code and a full refund, or with success once it has passed.
async fn every_error(vendor: Vendor) {
    let vendors = Vendors::with(
        &[vendor],
        "[worker]\nsubmit_retries = 1\n[routes]\nsubstitutes = true\nrelays = [\"kie\", \"openai\"]",
    )
    .await;
    let mut expected_loss = 0;
    for (number, case) in vendor.errors().into_iter().enumerate() {
        let mut body = some_request(&vendors, as_clip(vendor, &case.fault)).await;
        body["request_id"] = json!(format!("e-{number}"));
        vendors.emulator(vendor).world().fault(case.fault.clone());
        let held = vendors.live.generate(&body).await["credits"]["held"].clone();
        let task = vendors.finish_in_time(body["request_id"].as_str().expect("an id")).await;
        let nothing = json!({"held": 0, "charged": 0, "released": held, "refunded": 0});
        match case.expected {
            Expected::Refused(code) => {
                assert_eq!(
                    (&task["status"], &task["error"]["error"]),
                    (&json!("failed"), &json!(code)),
                    "{case:?}"
                );
                assert_eq!(task["credits"], nothing, "{case:?}");
            }
            // The trouble passes, and the task is made.
            Expected::NotNow | Expected::Unusable => {
                assert_eq!(task["status"], "success", "{case:?}\n{task}");
            }
            Expected::Unknown => {
                let code = &task["error"]["error"];
                assert!(task["status"] == "success" || *code == "outcome_unknown", "{case:?}\n{task}");
                if task["status"] == "failed" {
                    expected_loss += held.as_i64().expect("credits");
                    assert_eq!(task["credits"], nothing, "{case:?}");
                }
            }
        }
    }
    let (_, held, loss) = vendors.books().await;
    assert_eq!(held, 0);
    assert!(loss >= expected_loss, "{loss} {expected_loss}");
}

macro_rules! of_each_vendor {
    ($($module:ident: $vendor:expr;)*) => {$(
        mod $module {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn serves_every_model_of_its_routes() {
                every_model($vendor).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn errors_end_with_their_code_and_a_refund() {
                every_error($vendor).await;
            }
        }
    )*};
}

of_each_vendor! {
    openai: Vendor::OpenAi;
    google: Vendor::Google;
    xai: Vendor::Xai;
    dashscope: Vendor::DashScope;
    ark: Vendor::Ark;
    fal: Vendor::Fal;
    kie: Vendor::Kie;
    replicate: Vendor::Replicate;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_a_vendor_left_out_is_given_back() {
    let vendors = Vendors::with(&[Vendor::OpenAi], "").await;
    let one = vendors.made(&picture("one", 1)).await;
    let unit = one["credits"]["charged"].as_i64().expect("credits");
    let first = one["outputs"][0]["url"].as_str().expect("a URL");
    assert!(first.starts_with("https://gateway.test/outputs/"), "{first}");
    let pixel = rynjer_emulator::picture(64, 64);
    let data = json!([{"b64_json": data_encoding::BASE64.encode(&pixel)}]);
    let body = json!({"created": 1, "data": data});
    let world = vendors.emulator(Vendor::OpenAi).world();
    world.fault(Fault::Answer { status: 200, headers: Vec::new(), body });
    let two = vendors.made(&picture("two", 2)).await;
    assert_eq!(two["credits"], json!({"held": 0, "charged": unit, "released": unit, "refunded": 0}));
    assert_eq!(two["missing"][0]["index"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_never_sent_again_and_is_our_loss() {
    let vendors = Vendors::with(&[Vendor::OpenAi], "").await;
    let world = vendors.emulator(Vendor::OpenAi).world();
    for (number, fault) in [Fault::Lost, Fault::Cut].into_iter().enumerate() {
        world.fault(fault);
        let id = format!("lost-{number}");
        let held = vendors.live.generate(&picture(&id, 1)).await["credits"]["held"].clone();
        let task = vendors.finish_in_time(&id).await;
        assert_eq!(task["error"]["error"], "outcome_unknown");
        assert_eq!(task["credits"], json!({"held": 0, "charged": 0, "released": held, "refunded": 0}));
    }
    assert_eq!((world.jobs().len(), world.unmatched()), (2, 2));
    let unit = vendors.made(&picture("price", 1)).await["credits"]["charged"].as_i64().expect("credits");
    assert_eq!(vendors.books().await, (LIVE_CREDITS - unit, 0, 2 * unit));
}

/// Ten minutes of the test clock without the vendor, and then with it again. `scripts/test-heavy` asks for a
/// hundred requests a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_costs_few_calls_and_leaves_nothing_behind() {
    let named = std::env::var("RYNJER_OUTAGE_PER_SECOND");
    let per_second: Option<u32> = named.ok().map(|text| text.parse().expect("a number"));
    // A lease that runs out because a test moved the clock would make a doubt of a call under way.
    let settings = "[worker]\nlease_seconds = 3600\n[limits]\nopen_tasks_per_account = 1000000";
    let mut vendors = Vendors::with(&[Vendor::OpenAi], settings).await;
    let address = vendors.emulator(Vendor::OpenAi).address();
    vendors.stop(Vendor::OpenAi);
    let mut tasks = 0;
    for second in 0..600 {
        // By itself the test asks every third second.
        let now = per_second.unwrap_or(u32::from(second % 3 == 0));
        join_all((0..now).map(|number| {
            let (live, body) = (&vendors.live, picture(&format!("o-{second}-{number}"), 1));
            async move { live.generate(&body).await }
        }))
        .await;
        tasks += now;
        vendors.app.advance(Duration::from_secs(1));
        if second == 10 {
            // It is left alone by now: of ten seconds' tasks only the first ones were tried.
            let began = vendors.attempts().await;
            assert!(began <= 70, "{began}");
        }
    }
    let during = vendors.attempts().await;
    vendors.revive(Vendor::OpenAi, address).await;
    // It is about calls; the bytes of so many whole pictures would take most of the time.
    vendors.emulator(Vendor::OpenAi).world().set_pixels_max(1);
    vendors.emulator(Vendor::OpenAi).world().remember(false);
    drained(&vendors).await;
    let calls = vendors.attempts().await;
    println!("{calls} calls for {tasks} tasks, {during} of them during the outage");
    assert!(
        calls * 10 <= i64::from(tasks) * 12,
        "{calls} calls for {tasks} tasks, {during} during the outage"
    );
    // Each was made by one call, and the vendor knows of no other.
    let made = vendors.number("SELECT COUNT(*) FROM tasks WHERE status = 'success'").await;
    assert_eq!(made, i64::from(tasks));
    assert_eq!(vendors.emulator(Vendor::OpenAi).world().jobs().len(), usize::try_from(tasks).expect("few"));
    let (_, held, loss) = vendors.books().await;
    assert_eq!((held, loss), (0, 0));
}

/// Lets everything end that is queued. The clock goes on where nothing ends by itself: what was tried last
/// waits for its time.
async fn drained(vendors: &Vendors) {
    vendors.app.advance(Duration::from_secs(61));
    let mut before = -1;
    loop {
        tokio::time::timeout(Duration::from_secs(1), vendors.app.settle()).await.ok();
        let open = vendors.number("SELECT COUNT(*) FROM tasks WHERE finished_at IS NULL").await;
        if open == 0 {
            return;
        }
        if open == before {
            vendors.app.advance(Duration::from_secs(20));
        }
        before = open;
    }
}
