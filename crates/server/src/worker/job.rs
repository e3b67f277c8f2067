//! A leased task as its provider sees it.
//!
//! Invariant: a vendor gets no id of ours but the attempt's, and who asks only as a hash. Not here: calls.

use super::inputs::Loaded;
use crate::{
    app::{callback, model::SANDBOX},
    state::App,
};
use rynjer_core::catalog::{Mode, Product};
use rynjer_providers::{Job, OnProgress};
use rynjer_store::lease::Leased;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Letters of the hash that stands for who asks.
const END_USER_LETTERS: usize = 32;

/// The pictures go into the job; their memory counts until `loaded` is dropped.
pub(super) fn job(app: &App, task: &Leased, loaded: &mut Loaded) -> Job {
    let body = std::mem::take(&mut loaded.body);
    let vendor = task.provider != SANDBOX;
    Job {
        nonce: task.attempt_id.to_string(),
        // The time that told whether the pictures are needed.
        now_ms: loaded.now_ms,
        is_over: loaded.now_ms >= task.deadline_at_ms,
        product: Product::parse(&task.product).unwrap_or(Product::Image),
        mode: Mode::parse(&task.mode).unwrap_or(Mode::TextToImage),
        vendor_model: task.vendor_model.clone(),
        prompt: body.prompt,
        negative_prompt: body.negative_prompt,
        count: task.count,
        width: body.width,
        height: body.height,
        duration_ms: body.duration_seconds.unwrap_or(0).saturating_mul(1000),
        aspect_ratio: body.aspect_ratio,
        resolution: body.resolution,
        seed: body.seed,
        input_images: std::mem::take(&mut loaded.images),
        end_user: if vendor { end_user(task) } else { String::new() },
        callback_url: if vendor { callback::url(app, task) } else { None },
    }
}

/// The agent, or the account where a key of its own asks. Ids are random, so their hash tells nothing.
fn end_user(task: &Leased) -> String {
    let digest = Sha256::digest(format!("rynjer end user {}/{}", task.account, task.agent_id));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.chars().take(END_USER_LETTERS).collect()
}

/// Reports of a provider go to whoever waits for the task.
pub(super) fn on_progress(app: &App, task: &Leased, stop: &CancellationToken) -> OnProgress {
    let (app, id, stop) = (app.clone(), task.id.clone(), stop.clone());
    Arc::new(move |share| {
        app.hub.set_progress(&id, Some(permille(share)));
        !stop.is_cancelled()
    })
}

pub(super) fn permille(share: f32) -> u16 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=999")]
    let permille = (share * 1000.0).clamp(0.0, 999.0) as u16;
    permille
}
