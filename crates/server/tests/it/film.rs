//! Outputs that are larger than what may be in memory: on the local disk before they are objects.
//!
//! Invariant: what is stored is the vendor's file to the byte, and nothing that is no object stays on the
//! disk. Not here: how much memory it takes (`scripts/films`, `worker::spool`), files that mean ill
//! (`hostile_vendor`).

use crate::support::{
    START_S,
    agent::text,
    files_below,
    hostile::{AT, Hostile},
    png::png,
    s3::S3,
    until,
    vendor::{LIVE_CREDITS, Vendors, picture},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

fn large(request_id: &str, hostile: &Hostile, name: &str) -> Value {
    let mut body = picture(request_id, 1);
    body["prompt"] = json!(format!("{AT}{}", hostile.url(&format!("/files/{name}.png"))));
    body
}

fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// What the vendor sends as `large.png`.
fn sent() -> Vec<u8> {
    png(4_000, 2_000, 7)
}

/// Asks for the large picture, and looks at what came.
async fn is_delivered(vendors: &Vendors, hostile: &Hostile) {
    let task = vendors.made(&large("large", hostile, "large")).await;
    assert_eq!(task["status"], "success", "{task:#}");
    let output = &task["outputs"][0];
    let facts = (&output["width"], &output["height"], &output["bytes"], text(output, "sha256"));
    assert_eq!(facts, (&json!(4_000), &json!(2_000), &json!(sent().len()), sha256(&sent())));
    let got = vendors.app.anonymous().get(&text(output, "url")).await;
    assert_eq!(sha256(&got.body), sha256(&sent()));
}

/// Files below a folder that are no objects.
fn staged(folder: &Path) -> Vec<String> {
    let names = if folder.exists() { files_below(folder) } else { Vec::new() };
    names.into_iter().filter(|name| name.contains('#')).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_output_becomes_an_object_of_a_folder() {
    let hostile = Hostile::start(Vec::new()).await;
    let vendors = Vendors::with(&[], &hostile.settings()).await;
    is_delivered(&vendors, &hostile).await;
    assert_eq!(files_below(&vendors.app.data_dir().join("outputs")).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_output_goes_to_a_bucket_in_parts() {
    let (hostile, s3) = (Hostile::start(Vec::new()).await, S3::start().await);
    let vendors = Vendors::with(&[], &format!("{}{}", s3.settings(), hostile.settings())).await;
    s3.requests();
    is_delivered(&vendors, &hostile).await;
    let parts = s3.requests().into_iter().filter(|(_, url, _)| url.contains("partNumber="));
    let parts: Vec<u64> = parts.map(|(_, _, bytes)| bytes).collect();
    assert_eq!((parts.len(), parts.iter().sum::<u64>()), (2, sent().len() as u64));
    assert!(parts.iter().all(|bytes| *bytes <= 5 << 20), "{parts:?}");
    assert_eq!(s3.objects().len(), 1);
    let staging = vendors.app.data_dir().join("staging");
    assert!(staging.exists() && files_below(&staging).is_empty());
}

/// The bucket is gone when the file is here: it is fetched again when the bucket is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_away_keeps_nothing_of_a_large_output() {
    let (hostile, s3) = (Hostile::start(Vec::new()).await, S3::start().await);
    let vendors = Vendors::with(&[], &format!("{}{}", s3.settings(), hostile.settings())).await;
    s3.cut_after(6 << 20);
    vendors.live.generate(&large("p", &hostile, "large")).await;
    until("the wire is cut", async || s3.is_cut().then_some(())).await;
    assert_eq!(vendors.live.poll("p").await["credits"]["charged"], 0);
    s3.mend();
    let task = vendors.finish("p").await;
    assert_eq!(
        (&task["status"], &task["outputs"][0]["sha256"]),
        (&json!("success"), &json!(sha256(&sent())))
    );
    assert_eq!(s3.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_off_leaves_nothing() {
    let hostile = Hostile::start(Vec::new()).await;
    let vendors = Vendors::with(&[], &hostile.settings()).await;
    let task = vendors.made(&large("broken", &hostile, "large-short")).await;
    assert_eq!(task["error"]["error"], "provider_failed", "{task:#}");
    assert_eq!(task["credits"]["charged"], 0);
    let (available, held, loss) = vendors.books().await;
    assert_eq!((available, held), (LIVE_CREDITS, 0));
    assert!(loss > 0);
    assert!(files_below(&vendors.app.data_dir().join("outputs")).is_empty());
}

/// As a kill leaves them: no object, and gone after a day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staged_files_of_the_dead_are_swept() {
    let vendors = Vendors::with(&[], "").await;
    let outputs = vendors.app.data_dir().join("outputs");
    let now = UNIX_EPOCH + Duration::from_secs(u64::try_from(START_S).expect("a time"));
    for (name, age_s) in [("00aa#1", 90_000), ("00bb#1", 3_600)] {
        fs::write(outputs.join(name), b"half a film").expect("a file");
        let file = File::options().write(true).open(outputs.join(name)).expect("the file");
        file.set_modified(now - Duration::from_secs(age_s)).expect("its time");
    }
    assert!(vendors.app.gateway().sweep_orphans().await.expect("a sweep"));
    let left = staged(&outputs);
    assert!(left.len() == 1 && left[0].ends_with("00bb#1"), "{left:?}");
}
