//! Jobs to hand over, and a provider driven from submit to files.
//!
//! Invariant: a job that is not done after many polls fails the test. Not here: vendors.

use bytes::{Bytes, BytesMut};
use rynjer_core::catalog::{Mode, Product};
use rynjer_emulator::{Emulator, ErrorCase, Expected, Vendor};
use rynjer_providers::{
    InputImage, Job, OnProgress, OutputSource, PollAnswer, Provider, ProviderError, SubmitAnswer, Unit,
    guarded::{FetchError, FetchLimits},
    media::{Limits, Media, inspect},
    upstream::{ApiKey, VendorSettings},
};
use std::sync::Arc;
use tokio::{io::AsyncReadExt, net::TcpListener};
use tokio_util::task::TaskTracker;
use url::Url;

/// The key that tests give every vendor.
pub(crate) const KEY: &str = "test-key-1";

const LIMITS: Limits = Limits { max_bytes: 1 << 26, max_pixels: 1 << 26 };

/// Settings for a stand-in.
pub(crate) fn settings(emulator: &Emulator) -> VendorSettings {
    settings_at(&emulator.base_url())
}

/// Settings for whoever is there.
pub(crate) fn settings_at(base_url: &str) -> VendorSettings {
    VendorSettings {
        base_url: base_url.parse().unwrap(),
        api_key: ApiKey::new(KEY),
        submit_timeout_ms: 20_000,
        submits_per_second: 0,
        concurrency: 64,
        allow_hosts: Vec::new(),
        fetch_timeout_ms: 20_000,
    }
}

/// A picture of 1024 × 1024 from a prompt.
pub(crate) fn image_job(vendor_model: &str, count: u32) -> Job {
    Job {
        nonce: "att_1".to_owned(),
        now_ms: 1_770_000_000_000,
        product: Product::Image,
        mode: Mode::TextToImage,
        vendor_model: vendor_model.to_owned(),
        prompt: "a red fox".to_owned(),
        negative_prompt: None,
        count,
        width: 1024,
        height: 1024,
        duration_ms: 0,
        aspect_ratio: Some("1:1".to_owned()),
        resolution: Some("1K".to_owned()),
        seed: 5,
        input_images: Vec::new(),
        end_user: "0123456789abcdef0123456789abcdef".to_owned(),
        is_over: false,
        callback_url: None,
    }
}

#[allow(dead_code, reason = "for the vendors of video")]
/// A clip of 720p and `seconds` from a prompt.
pub(crate) fn video_job(vendor_model: &str, seconds: u32) -> Job {
    Job {
        product: Product::Video,
        mode: Mode::TextToVideo,
        width: 1280,
        height: 720,
        duration_ms: seconds * 1000,
        aspect_ratio: Some("16:9".to_owned()),
        resolution: Some("720p".to_owned()),
        ..image_job(vendor_model, 1)
    }
}

/// A picture to start from: a real PNG.
pub(crate) fn input(width: u32, height: u32) -> InputImage {
    let bytes = rynjer_emulator::picture(width, height);
    InputImage { bytes, mime: "image/png", width, height, url: None }
}

pub(crate) fn go_on() -> OnProgress {
    Arc::new(|_| true)
}

/// The units of a job once it is done, however often it has to be asked for.
pub(crate) async fn units(provider: &dyn Provider, job: &Job) -> Result<Vec<Unit>, ProviderError> {
    let id = match provider.submit(job.clone(), go_on()).await? {
        SubmitAnswer::Finished { units, .. } => return Ok(units),
        SubmitAnswer::Accepted { provider_task_id, .. } => provider_task_id,
    };
    for _ in 0..50 {
        match provider.poll(job.clone(), id.clone(), go_on()).await? {
            PollAnswer::Finished { units, .. } => return Ok(units),
            PollAnswer::Pending { .. } => {}
        }
    }
    panic!("{id} is never done")
}

/// Fetches a file into memory.
pub(crate) async fn fetch(
    provider: &dyn Provider,
    url: String,
    limits: FetchLimits,
) -> Result<Bytes, FetchError> {
    let mut file = BytesMut::new();
    provider.fetch(url, limits, &mut file).await?;
    Ok(file.freeze())
}

/// The file of a delivered unit.
pub(crate) async fn file(provider: &dyn Provider, unit: &Unit) -> Bytes {
    let limits = FetchLimits { max_bytes: 1 << 26, max_pixels: 1 << 26 };
    match unit {
        Unit::Delivered(OutputSource::Bytes(bytes)) => bytes.clone(),
        Unit::Delivered(OutputSource::Url(url)) => fetch(provider, url.clone(), limits).await.unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What the delivered files of a job are.
pub(crate) async fn media(provider: &dyn Provider, job: &Job) -> Vec<Media> {
    let mut found = Vec::new();
    for unit in &units(provider, job).await.unwrap() {
        found.push(inspect(&file(provider, unit).await, &LIMITS).unwrap());
    }
    found
}

/// What became of a job that went wrong, in the words of [`Expected`].
pub(crate) async fn trouble(provider: &dyn Provider, job: &Job) -> Expected {
    match units(provider, job).await {
        Err(ProviderError::Refused { error, .. }) => Expected::Refused(error.code()),
        Err(ProviderError::NotNow { .. } | ProviderError::Busy { .. }) => Expected::NotNow,
        Err(ProviderError::Unusable { .. }) => Expected::Unusable,
        Err(ProviderError::Ambiguous { .. }) => Expected::Unknown,
        Ok(units) => match units.first() {
            Some(Unit::Refused { error, .. }) => Expected::Refused(error.code()),
            Some(Unit::Lost { .. }) => Expected::Unknown,
            other => panic!("no trouble: {other:?}"),
        },
    }
}

/// Every documented error of a vendor is understood.
pub(crate) async fn errors(vendor: Vendor, emulator: &Emulator, provider: &dyn Provider, job: &Job) {
    for ErrorCase { name, fault, expected } in vendor.errors() {
        emulator.world().fault(fault);
        assert_eq!(trouble(provider, job).await, expected, "{name}");
    }
}

/// A base URL at a port of loopback where nobody listens.
pub(crate) async fn nobody() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

/// A base URL at a server that hears each request and hangs up.
pub(crate) async fn hangs_up() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    TaskTracker::new().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.read(&mut [0; 1024]).await);
        }
    });
    url
}
