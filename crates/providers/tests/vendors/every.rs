//! A provider and a job of each vendor, for what holds of all of them.
//!
//! Invariant: each job is one that the vendor takes and answers with an id. Not here: what holds.

use crate::support::{input, settings, video_job};
use rynjer_core::catalog::{Catalog, Mode};
use rynjer_emulator::{Emulator, Vendor, google_service_account};
use rynjer_providers::{
    Job, Provider,
    ark::Ark,
    dashscope::DashScope,
    fal::Fal,
    google::{CloudSettings, Google},
    kie::Kie,
    openai::OpenAi,
    replicate::Replicate,
    upstream::{ApiKey, VendorSettings},
    xai::Xai,
};
use std::sync::Arc;

/// A stand-in and the provider that asks it.
pub(crate) async fn start(vendor: Vendor) -> (Emulator, Arc<dyn Provider>) {
    let emulator = Emulator::start(vendor).await.unwrap();
    let provider = provider(vendor, settings(&emulator), &emulator);
    (emulator, provider)
}

/// A provider with settings of the caller's.
pub(crate) fn provider(vendor: Vendor, settings: VendorSettings, emulator: &Emulator) -> Arc<dyn Provider> {
    let origin = emulator.world().origin();
    match vendor {
        Vendor::OpenAi => Arc::new(OpenAi::new(settings, false).unwrap()),
        Vendor::Google => {
            let cloud = CloudSettings {
                credentials_json: ApiKey::new(&google_service_account(origin)),
                project: None,
                location: "us-central1".to_owned(),
                base_url: Some(origin.parse().unwrap()),
                token_url: None,
            };
            Arc::new(Google::new(settings, Some(cloud)).unwrap())
        }
        Vendor::Xai => Arc::new(Xai::new(settings).unwrap()),
        Vendor::DashScope => Arc::new(DashScope::new(settings).unwrap()),
        Vendor::Ark => Arc::new(Ark::new(settings).unwrap()),
        Vendor::Fal => {
            let keys = format!("{origin}/.well-known/jwks.json");
            Arc::new(Fal::new(settings, keys.parse().unwrap()).unwrap())
        }
        Vendor::Kie => Arc::new(Kie::new(settings, None).unwrap()),
        Vendor::Replicate => {
            let builtin = Catalog::builtin().unwrap();
            Arc::new(Replicate::new(settings, None, builtin.vendor_routes()).unwrap())
        }
    }
}

/// A clip that takes a job of its own at the vendor.
pub(crate) fn job(vendor: Vendor) -> Job {
    match vendor {
        Vendor::OpenAi => video_job("videos:sora-2", 4),
        Vendor::Google => video_job("omni-seeded:gemini-omni-1.2-flash", 4),
        Vendor::Xai => video_job("grok-imagine-video-1.5", 6),
        Vendor::DashScope => video_job("text:wan2.6-t2v", 5),
        Vendor::Ark => video_job("seedance-1-0-pro-fast-251015", 5),
        Vendor::Fal => Job {
            mode: Mode::ImageToVideo,
            resolution: Some("1080p".to_owned()),
            input_images: vec![input(64, 36)],
            ..video_job("ltx-2:fal-ai/ltx-2/image-to-video", 6)
        },
        Vendor::Kie => video_job("veo:veo3_fast", 8),
        Vendor::Replicate => video_job("google/veo-3.1", 8),
    }
}
