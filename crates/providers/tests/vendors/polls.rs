//! Polls of every vendor: what says nothing of a job, and what is done and has no file.
//!
//! Invariant: a job ends by what the vendor says of it, and what it may have billed is never taken as free.
//! Not here: what each stand-in says by itself.

use crate::{
    canned::canned,
    support::{go_on, image_job, video_job},
};
use rynjer_core::catalog::Catalog;
use rynjer_providers::{
    Job, PollAnswer, Provider, ProviderError, Unit, ark::Ark, dashscope::DashScope, fal::Fal, google::Google,
    kie::Kie, openai::OpenAi, replicate::Replicate, upstream::VendorSettings, xai::Xai,
};
use serde_json::{Value, json};

const VENDORS: [(&str, &str); 8] = [
    ("ark", "seedance-1-0-pro-fast-251015"),
    ("dashscope", "text:wan2.6-t2v"),
    ("fal", "ltx-2:fal-ai/ltx-2/image-to-video"),
    ("google", "omni-seeded:gemini-omni-1.2-flash"),
    ("kie", "jobs-wan:wan/2-6-text-to-video"),
    ("openai", "videos:sora-2"),
    ("replicate", "google/veo-3.1"),
    ("xai", "grok-imagine-video-1.5"),
];

fn provider(vendor: &str, settings: VendorSettings) -> Box<dyn Provider> {
    match vendor {
        "ark" => Box::new(Ark::new(settings).unwrap()),
        "dashscope" => Box::new(DashScope::new(settings).unwrap()),
        "fal" => Box::new(Fal::new(settings, "http://127.0.0.1:9/".parse().unwrap()).unwrap()),
        "google" => Box::new(Google::new(settings, None).unwrap()),
        "kie" => Box::new(Kie::new(settings, None).unwrap()),
        "openai" => Box::new(OpenAi::new(settings, false).unwrap()),
        "replicate" => {
            let builtin = Catalog::builtin().unwrap();
            Box::new(Replicate::new(settings, None, builtin.vendor_routes()).unwrap())
        }
        _ => Box::new(Xai::new(settings).unwrap()),
    }
}

fn job(vendor: &str) -> Job {
    let (_, vendor_model) = VENDORS.iter().find(|(name, _)| *name == vendor).unwrap();
    video_job(vendor_model, 4)
}

async fn polled(vendor: &str, settings: VendorSettings, job: Job) -> Result<PollAnswer, ProviderError> {
    provider(vendor, settings).poll(job, "p1".to_owned(), go_on()).await
}

/// What becomes of the units of a job whose polls are all answered so.
async fn letters(vendor: &str, status: u16, body: &Value) -> String {
    let text = body.to_string();
    let answered = polled(vendor, canned(move |_, _| (status, text.clone())).await, job(vendor)).await;
    letters_of(answered)
}

fn letters_of(answered: Result<PollAnswer, ProviderError>) -> String {
    let letter = |unit: &Unit| match unit {
        Unit::Delivered(_) => "delivered".to_owned(),
        Unit::Refused { error, .. } => error.code().to_owned(),
        Unit::Lost { .. } => "lost".to_owned(),
    };
    match answered {
        Ok(PollAnswer::Finished { units, .. }) => units.iter().map(letter).collect::<Vec<_>>().join(" "),
        Ok(PollAnswer::Pending { .. }) => "pending".to_owned(),
        Err(ProviderError::NotNow { .. }) => "not now".to_owned(),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_that_is_not_known_is_asked_for_again() {
    let bodies = [json!({"error": {"message": "No.", "code": "x"}}), json!({"detail": "No."}), Value::Null];
    for (vendor, _) in VENDORS {
        for status in [400, 401, 403, 404, 410, 422] {
            for body in &bodies {
                let word = letters(vendor, status, body).await;
                assert_eq!(word, "not now", "{vendor} {status} {body}");
            }
        }
    }
    let unknown = json!({"request_id": "r", "output": {"task_id": "p1", "task_status": "UNKNOWN"}});
    assert_eq!(letters("dashscope", 200, &unknown).await, "not now");
    for code in [400, 404, 422] {
        assert_eq!(letters("kie", 200, &json!({"code": code, "msg": "No."})).await, "not now");
    }
}

#[tokio::test]
async fn moderation_ends_a_clip_of_xai() {
    let body = json!({"code": "imagine:content-moderated", "error": "No."});
    assert_eq!(letters("xai", 400, &body).await, "content_rejected");
}

#[tokio::test]
async fn what_is_done_and_has_no_file_is_lost() {
    let done = [
        ("ark", json!({"id": "p1", "status": "succeeded", "content": {}})),
        ("dashscope", json!({"output": {"task_id": "p1", "task_status": "SUCCEEDED"}})),
        ("google", json!({"id": "p1", "status": "completed", "steps": []})),
        ("kie", json!({"code": 200, "data": {"taskId": "p1", "state": "success", "resultJson": ""}})),
        ("replicate", json!({"id": "p1", "status": "succeeded", "output": null, "data_removed": true})),
        ("replicate", json!({"id": "p1", "status": "succeeded", "output": []})),
        ("xai", json!({"status": "done", "video": {"url": ""}})),
        ("xai", json!({"status": "expired"})),
    ];
    for (vendor, body) in done {
        assert_eq!(letters(vendor, 200, &body).await, "lost", "{vendor} {body}");
    }
    let made = canned(|_, line| {
        let is_status = line.contains("/status");
        (200, if is_status { json!({"status": "COMPLETED"}) } else { json!({}) }.to_string())
    });
    assert_eq!(letters_of(polled("fal", made.await, job("fal")).await), "lost");
}

#[tokio::test]
async fn of_several_outputs_of_one_task_those_without_a_file_are_lost() {
    let four = Job { count: 4, ..image_job("jobs-grok-image:grok-imagine/text-to-image", 4) };
    let result = json!({"resultUrls": ["https://f.example/1.png"]}).to_string();
    let body = json!({"code": 200, "data": {"taskId": "p1", "state": "success", "resultJson": result}});
    let settings = canned(move |_, _| (200, body.to_string())).await;
    assert_eq!(letters_of(polled("kie", settings, four).await), "delivered lost lost lost");
}

/// The file is there, and black: it is billed, and what people need to know is why.
#[tokio::test]
async fn a_blackened_file_is_refused() {
    let video = json!({"url": "https://f.example/1.mp4"});
    let made = canned(move |_, line| {
        let result = json!({"video": video, "has_nsfw_concepts": [true]});
        let is_status = line.contains("/status");
        (200, if is_status { json!({"status": "COMPLETED"}) } else { result }.to_string())
    });
    assert_eq!(letters_of(polled("fal", made.await, job("fal")).await), "content_rejected");
}

#[tokio::test]
async fn a_file_of_google_whose_record_cannot_be_had_is_not_ready() {
    for (status, record, expected) in [
        (500, "{}", "pending"),
        (404, "{}", "pending"),
        (200, r#"{"state": "PROCESSING"}"#, "pending"),
        (200, r#"{"state": "FAILED"}"#, "lost"),
        (200, r#"{"state": "ACTIVE"}"#, "delivered"),
        (200, "{}", "delivered"),
    ] {
        let settings = canned(move |origin, line| {
            if line.contains("/files/") {
                return (status, record.to_owned());
            }
            let uri = format!("{origin}/v1beta/files/f1:download?alt=media");
            let step = json!({"type": "model_output", "content": [{"type": "video", "uri": uri}]});
            (200, json!({"id": "p1", "status": "completed", "steps": [step]}).to_string())
        });
        let word = letters_of(polled("google", settings.await, job("google")).await);
        assert_eq!(word, expected, "{status} {record}");
    }
}
