//! Submits of every vendor that may have been taken although they look refused.
//!
//! Invariant: what may have been made is in doubt. Not here: each vendor's own errors.

use crate::support::{image_job, input, settings, trouble, video_job};
use rynjer_core::catalog::Catalog;
use rynjer_emulator::{Emulator, Expected, Fault, Vendor};
use rynjer_providers::{
    Job, Provider, ark::Ark, dashscope::DashScope, fal::Fal, google::Google, kie::Kie, openai::OpenAi,
    replicate::Replicate, xai::Xai,
};
use serde_json::{Value, json};

fn provider(vendor: Vendor, emulator: &Emulator) -> (Box<dyn Provider>, Job) {
    let settings = settings(emulator);
    match vendor {
        Vendor::Ark => (Box::new(Ark::new(settings).unwrap()), video_job("seedance-1-0-pro-fast-251015", 5)),
        Vendor::DashScope => {
            (Box::new(DashScope::new(settings).unwrap()), image_job("free:z-image-turbo", 1))
        }
        Vendor::Fal => {
            let clip = video_job("ltx-2:fal-ai/ltx-2/image-to-video", 6);
            let job = Job { input_images: vec![input(64, 64)], ..clip };
            (Box::new(Fal::new(settings, "http://127.0.0.1:9/".parse().unwrap()).unwrap()), job)
        }
        Vendor::Google => {
            (Box::new(Google::new(settings, None).unwrap()), image_job("gemini-3-pro-image", 1))
        }
        Vendor::Kie => {
            (Box::new(Kie::new(settings, None).unwrap()), image_job("jobs-nano:google/nano-banana", 1))
        }
        Vendor::OpenAi => (Box::new(OpenAi::new(settings, false).unwrap()), image_job("gpt-image-2", 1)),
        Vendor::Replicate => {
            let builtin = Catalog::builtin().unwrap();
            let provider = Replicate::new(settings, None, builtin.vendor_routes()).unwrap();
            (Box::new(provider), image_job("google/nano-banana-pro", 1))
        }
        Vendor::Xai => (Box::new(Xai::new(settings).unwrap()), image_job("grok-imagine-image-2.0", 1)),
    }
}

async fn answered(vendor: Vendor, status: u16, body: Value) -> Expected {
    let emulator = Emulator::start(vendor).await.unwrap();
    let (provider, job) = provider(vendor, &emulator);
    emulator.world().fault(Fault::Answer { status, headers: Vec::new(), body });
    trouble(provider.as_ref(), &job).await
}

#[tokio::test]
async fn a_wait_that_was_given_up_is_in_doubt() {
    for vendor in Vendor::ALL {
        let body = json!({"detail": "Timeout.", "message": "Timeout."});
        assert_eq!(answered(vendor, 408, body).await, Expected::Unknown, "{vendor:?}");
    }
}

#[tokio::test]
async fn a_success_of_openai_without_a_list_is_in_doubt() {
    let blocked = Expected::Refused("content_rejected");
    for (status, body, expected) in [
        (200, json!({}), Expected::Unknown),
        (202, json!({"id": "task_1", "status": "queued"}), Expected::Unknown),
        (200, json!({"created": 1, "data": null}), Expected::Unknown),
        (200, json!({"created": 1, "data": []}), blocked),
    ] {
        assert_eq!(answered(Vendor::OpenAi, status, body.clone()).await, expected, "{body}");
    }
}

/// It may bill what it worked: made once more elsewhere, a refusal would cost twice.
#[tokio::test]
async fn an_answer_of_google_without_a_picture_is_lost() {
    let blocked = Expected::Refused("content_rejected");
    let text = json!([{"content": {"parts": [{"text": "Which colour?"}]}, "finishReason": "STOP"}]);
    for (candidates, expected) in [
        (json!([{"finishReason": "IMAGE_OTHER"}]), Expected::Unknown),
        (json!([{"finishReason": "OTHER"}]), Expected::Unknown),
        (json!([{"finishReason": "MAX_TOKENS"}]), Expected::Unknown),
        (json!([{"finishReason": "NO_IMAGE"}]), Expected::Unknown),
        (text, Expected::Unknown),
        (json!([]), Expected::Unknown),
        (json!([{"finishReason": "IMAGE_SAFETY"}]), blocked),
    ] {
        let body = json!({"candidates": candidates});
        assert_eq!(answered(Vendor::Google, 200, body.clone()).await, expected, "{body}");
    }
}
