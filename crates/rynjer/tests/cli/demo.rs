//! `rynjer demo`.
//!
//! Invariant: the receipt adds up and the file is the one that the receipt names. Not here: other products,
//! which take longer and walk the same way.

use crate::run::{command, finish, rynjer};

#[test]
fn a_picture_is_made_paid_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let arguments = ["demo", "a paper boat", "--json", "--model", "google/nano-banana", "--out"];
    let ran = finish(command().args(arguments).arg(folder.path()).env("TMPDIR", temporary.path()));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let receipt = ran.object();
    assert_eq!((&receipt["status"], &receipt["mode"]), (&"success".into(), &"test".into()));
    let credits = serde_json::json!({"estimated": 8, "held": 8, "charged": 8, "released": 0});
    assert_eq!(receipt["credits"], credits);
    assert_eq!(receipt["balance"], serde_json::json!({"before": 1000, "after": 992}));
    let path = folder.path().join("rynjer-demo-image.png");
    assert_eq!(receipt["outputs"][0]["path"], path.to_string_lossy().as_ref());
    let picture = image::open(&path).unwrap();
    assert_eq!((picture.width(), picture.height()), (1024, 1024));
    assert_eq!(
        std::fs::read_dir(temporary.path()).unwrap().count(),
        0,
        "the gateway's folder is still there"
    );
    for step in
        ["gateway", "register", "bind", "key", "token", "models", "estimate", "generate", "wait", "download"]
    {
        assert!(ran.stderr.contains(&format!("✓ {step}")), "{step}\n{}", ran.stderr);
    }
}

#[test]
fn a_task_that_fails_costs_nothing_and_fails_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let ran = finish(command().args(["demo", "[[fail]]", "--json", "--out"]).arg(folder.path()));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let receipt = ran.object();
    assert_eq!((&receipt["ok"], &receipt["status"]), (&false.into(), &"failed".into()));
    assert_eq!(receipt["balance"], serde_json::json!({"before": 1000, "after": 1000}));
    assert!(ran.stderr.contains("0 credits charged"), "{}", ran.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_model_that_starts_from_pictures_is_refused() {
    let ran = rynjer(&["demo", "--model", "qwen/image-to-image"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("starts from a picture"), "{}", ran.stderr);
}
