//! What bombs cost, measured: run by hand with
//! `cargo test -p rynjer-providers --test it -- --ignored --nocapture --test-threads 1`.
//!
//! Invariant: figures are printed, never asserted, because a busy machine is no failure. Not here: what is
//! refused.

use crate::bombs::{black_png, jpeg_of, jpeg_of_scans, lossless, png, small, text, webp, zeros};
use bytes::Bytes;
use rynjer_core::catalog::{Mode, Product};
use rynjer_providers::{
    Job, Provider as _,
    guarded::{FetchLimits, inspect_image},
    sandbox::{Sandbox, SandboxSettings},
};
use std::{fs, sync::Arc, time::Instant};

const LIMITS: FetchLimits = FetchLimits { max_bytes: 30 << 20, max_pixels: 50_000_000 };

/// Forgets the highest memory so far, and gives the memory of now.
fn start_kib() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    status_kib("VmRSS:")
}

fn status_kib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let icc = |length| [b"icc\0\0".to_vec(), zeros(length)].concat();
    vec![
        ("black PNG 30000x30000", black_png(30_000, 30_000)),
        ("black PNG 7000x7000", black_png(7_000, 7_000)),
        ("PNG 7000x7000 without data", png(7_000, 7_000, &[], &zeros(100_000))),
        ("PNG with 2 GiB zTXt", png(64, 64, &[(b"zTXt", text(2 << 30))], &zeros(64 * 65))),
        ("PNG with 1 GiB iCCP", png(64, 64, &[(b"iCCP", icc(1 << 30))], &zeros(64 * 65))),
        ("PNG with 150 MiB iCCP", png(64, 64, &[(b"iCCP", icc(150 << 20))], &zeros(64 * 65))),
        ("JPEG 65500x65500", jpeg_of(65_500, 65_500)),
        ("JPEG 7000x7000 without data", jpeg_of(7_000, 7_000)),
        ("JPEG of 50000 scans", jpeg_of_scans(50_000)),
        ("WebP 16384x16384", webp(&[(b"VP8L", &lossless(16_384, 16_384))])),
        ("WebP 7000x7000 without data", webp(&[(b"VP8L", &lossless(7_000, 7_000))])),
        ("JPEG with 29 MB behind", [small(image::ImageFormat::Jpeg), vec![0; 29_000_000]].concat()),
    ]
}

fn job(input: rynjer_providers::InputImage) -> Job {
    Job {
        nonce: "n1".to_owned(),
        now_ms: 0,
        product: Product::Image,
        mode: Mode::ImageToImage,
        vendor_model: "sandbox".to_owned(),
        prompt: "a fox".to_owned(),
        negative_prompt: None,
        count: 1,
        width: 256,
        height: 256,
        duration_ms: 0,
        aspect_ratio: None,
        resolution: None,
        seed: 1,
        input_images: vec![input],
        end_user: String::new(),
        is_over: false,
        callback_url: None,
    }
}

#[tokio::test]
#[ignore = "prints time and peak memory"]
async fn bombs_cost() {
    let sandbox =
        Sandbox::new(SandboxSettings { max_parallel_renders: 2, triggers: false, allow_crash: false });
    for (name, file) in bombs() {
        let file = Bytes::from(file);
        let (before_kib, start) = (start_kib(), Instant::now());
        let found = inspect_image(&file, &LIMITS);
        let (took, grew_kib) = (start.elapsed(), status_kib("VmHWM:").saturating_sub(before_kib));
        println!("{name} ({} bytes): {took:?}, +{grew_kib} KiB", file.len());
        let Ok(input) = found else {
            println!("    {}", found.unwrap_err());
            continue;
        };
        let (before_kib, start) = (start_kib(), Instant::now());
        let made = sandbox.submit(job(input), Arc::new(|_| true)).await;
        let (took, grew_kib) = (start.elapsed(), status_kib("VmHWM:").saturating_sub(before_kib));
        let outcome = made.map_or_else(|error| error.to_string(), |_| "rendered".to_owned());
        println!("    taken; the sandbox: {outcome}, {took:?}, +{grew_kib} KiB");
    }
}
