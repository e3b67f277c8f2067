//! The gallery: files of an account, newest first, and what becomes of them.
//!
//! Invariant: a file that is gone says so and has no address. Not here: whose tasks they are (`history`).

use crate::support::{DAY, TestApp, agent::text, client::picture};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_shown_with_the_words_that_asked_for_them() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    owner.get("/gallery").await.shows("Nothing was made yet.");
    let agent = app.agent_key();
    let mut two = picture("two", "two green boats [[instant]]");
    two["count"] = json!(2);
    let task = text(&agent.generate(&two).await, "task_id");
    agent.finish("two").await;
    let song = json!({"request_id": "song", "model": "V4", "prompt": "a slow song [[instant]]"});
    agent.generate(&song).await;
    agent.finish("song").await;
    let film = json!({"request_id": "film", "model": "sora-2", "prompt": "a wave [[instant]]"});
    agent.generate(&film).await;
    agent.finish("film").await;

    let page = owner.get("/gallery").await;
    page.shows("two green boats").shows("google/nano-banana · 2025-03-18 09:50 Demo Agent");
    owner.get(&format!("/tasks/{task}")).await.shows("1024 × 1024 · PNG").shows("sandbox · Open the file");
    assert_eq!(page.html.matches("<img src=\"/outputs/").count(), 2);
    assert!(
        page.html
            .contains("alt=\"two green boats [[instant]]\" width=\"1024\" height=\"1024\" loading=\"lazy\"")
    );
    // Many pictures are as large as they were made: one that is out of sight is not loaded.
    assert_eq!(page.html.matches("loading=\"lazy\" decoding=\"async\"").count(), 2);
    assert!(page.html.contains("controls preload=\"none\""));
    assert!(page.html.contains(&format!("href=\"/tasks/{task}\"")));
    assert!(page.html.contains("<video src=\"/outputs/") && page.html.contains("<audio src=\"/outputs/"));
    let address = page.html.split("<img src=\"/outputs/").nth(1).and_then(|rest| rest.split('"').next());
    let address = format!("/outputs/{}", address.expect("a picture").replace("&#38;", "&"));
    let file = owner.get(&address).await;
    assert_eq!((file.status, file.headers["content-type"].to_str().unwrap()), (200, "image/png"));

    for (query, shown, hidden) in [
        ("product=music", "<audio", "<img src"),
        ("product=video", "<video", "<audio"),
        ("model=sora-2", "<video", "<img src"),
        ("product=image&from=2025-03-18", "<img src", "<video"),
    ] {
        let page = owner.get(&format!("/gallery?{query}")).await;
        let list = page.html.split("class=\"pieces\"").nth(1).expect(query);
        assert!(list.contains(shown) && !list.contains(hidden), "{query}");
    }
    owner.get("/gallery?agent=none").await.shows("Nothing fits.");
    owner.get("/").await.shows("two green boats");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_says_since_when() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let agent = app.agent_key();
    for id in ["kept", "deleted"] {
        agent.picture(id, "[[instant]]").await;
        agent.finish(id).await;
    }
    agent.request(http::Method::DELETE, "/v1/generate/deleted", None).await.ok();
    let page = owner.get("/gallery").await;
    page.shows("Deleted on 2025-03-18");
    assert_eq!(page.html.matches("<img src=\"/outputs/").count(), 1);
    app.advance(31 * DAY);
    let mut owner = app.browser();
    owner.get("/login").await;
    let fields = [("email", "owner@example.com"), ("password", crate::support::browser::PASSWORD)];
    assert_eq!(owner.submit("/login", &fields).await.status, 303);
    app.gateway().sweep().await.expect("a sweep");
    owner.get("/gallery").await.shows("Expired on 2025-04-18");
}
