//! Prompts that the operator does not take.
//!
//! Invariant: a refused prompt leaves no trace but a count, and no word of the list gets out. Not here: what
//! counts as a word (`app::moderation`).

use crate::support::{TestApp, client::picture};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listed_phrase_is_refused_before_anything_is_held() {
    let mut app = TestApp::sqlite().await;
    let file = app.data_dir().join("blocklist.txt");
    std::fs::write(&file, "# words\nburning castle\n").expect("a list");
    app.agent_token().picture("p-0", "[[instant]] a burning castle").await;
    app.set("moderation", "blocklist_file", file.display().to_string().into());
    app.restart().await;
    let agent = app.agent_token();
    let before = app.ledger().await;
    let refused = agent.post("/v1/generate", &picture("p-1", "[[instant]] A BURNING  castle, at dawn")).await;
    assert_eq!(refused.refusal(), "400 invalid_request");
    assert_eq!(
        refused.error()["fields"],
        json!([{"field": "prompt",
            "problem": "holds what the operator of this gateway does not allow; change the prompt"}])
    );
    assert!(!refused.json().to_string().to_lowercase().contains("castle"), "{}", refused.json());
    assert_eq!(app.ledger().await, before);
    // A repetition is its task, and the refused id is free.
    agent.picture("p-0", "[[instant]] a burning castle").await;
    agent.picture("p-1", "[[instant]] a castle, burning").await;
}

/// What goes to a vendor beside the prompt is looked at as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_negative_prompt_is_looked_at_too() {
    let mut app = TestApp::sqlite().await;
    let file = app.data_dir().join("blocklist.txt");
    std::fs::write(&file, "burning castle\n").expect("a list");
    app.set("moderation", "blocklist_file", file.display().to_string().into());
    app.restart().await;
    let agent = app.agent_token();
    let mut asked = picture("p-1", "[[instant]] a garden");
    asked["model"] = json!("qwen/text-to-image");
    // Wide letters and a joiner between two of them.
    asked["negative_prompt"] = json!("\u{ff22}urn\u{200d}ing castle");
    let refused = agent.post("/v1/generate", &asked).await;
    assert_eq!(refused.refusal(), "400 invalid_request");
    assert_eq!(
        refused.error()["fields"],
        json!([{"field": "negative_prompt",
            "problem": "holds what the operator of this gateway does not allow; change the negative prompt"}])
    );
    asked["negative_prompt"] = json!("burnt castles");
    assert_eq!(agent.post("/v1/generate", &asked).await.status, 200);
    agent.finish("p-1").await;
}
