//! Pages of tasks: the list, one task in full, and what an owner may do to it.
//!
//! Invariant: an owner sees and changes tasks of their own account alone, and what others wrote is text. Not
//! here: files (`gallery`), sums (`spend`).

use crate::support::{CREDITS, TestApp, agent::text, client::picture};
use rynjer_server::gateway::Role;
use serde_json::json;
use std::time::Duration;

const HOSTILE: &str = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>\u{202e}gnp.exe\u{200b}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_told_from_its_acceptance_to_its_ledger() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    owner.get("/tasks").await.shows("No tasks yet.").shows("Bind an agent");
    let agent = app.agent_key();
    let mut asked = picture("req-1", "a red boat [[instant]] [[partial=3]]");
    (asked["count"], asked["run_id"], asked["metadata"]) = (json!(4), json!("run-9"), json!({"for": "Ann"}));
    let task = text(&agent.generate(&asked).await, "task_id");
    agent.finish("req-1").await;

    let page = owner.get("/tasks").await;
    page.shows("a red boat").shows("google/nano-banana").shows("Demo Agent").shows("Done").shows("just now");
    assert!(page.html.contains(&format!("href=\"/tasks/{task}\"")));
    assert!(page.html.contains("hx-trigger=\"every 10s\""));
    let page = owner.get(&format!("/tasks/{task}")).await;
    page.shows(&format!("Task Done {task}"));
    page.shows("a red boat [[instant]] [[partial=3]]");
    page.shows("Request id req-1").shows("Run run-9").shows("Served by sandbox").shows("for Ann");
    page.shows("2025-03-18 09:50:00 Accepted, and its price held");
    page.shows("2025-03-18 09:50:00 Handed over: sandbox + 0.0 s");
    page.shows("Ended: done + 0.0 s");
    page.shows("1 sandbox Finished");
    page.shows("Charged 24 Released 8");
    page.shows("Held 32 available held").shows("Charged 24 held revenue").shows("Released 8 held available");
    page.shows("One part is missing:");
    assert_eq!(page.html.matches("<img src=\"/outputs/").count(), 3);
    assert!(!page.html.contains("hx-get"), "what is over does not refresh itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_says_why_and_what_to_do() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let agent = app.agent_key();
    let task = text(&agent.picture("bad", "[[reject]]").await, "task_id");
    agent.finish("bad").await;
    let page = owner.get(&format!("/tasks/{task}")).await;
    page.shows("Task Failed").shows("content_rejected").shows("Change the prompt").shows("Released 8");
    owner.get("/tasks?status=failed").await.shows("[[reject]]");
    owner.get("/tasks?status=success").await.shows("Nothing fits. Show all");
    let page = owner.get("/tasks?status=done").await;
    assert_eq!(page.status, 400);
    page.shows("Status is not one that can be chosen.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_cancels_and_deletes_with_a_line_in_the_log() {
    let app = TestApp::start("", Role::Api).await;
    let mut owner = app.owner().await;
    let agent = app.agent_key();
    let task = text(&agent.picture("c-1", "secret plan").await, "task_id");
    let path = format!("/tasks/{task}");
    let page = owner.get(&path).await;
    page.shows("Task Waiting").shows("It was not handed to a provider yet.").shows("Held 8");
    assert!(page.html.contains("hx-trigger=\"every 3s\""));
    assert!(!page.html.contains(&format!("{path}/delete")));
    let open = owner.post(&format!("{path}/delete"), &csrf(&page.html)).await;
    assert_eq!(open.status, 409);
    owner.get(&path).await;
    let page = owner.submit(&format!("{path}/cancel"), &[]).await;
    assert_eq!((page.status, page.location.as_str()), (303, path.as_str()));
    assert_eq!(app.books().await, (CREDITS, 0));
    owner.get(&path).await.shows("Task Canceled").shows("secret plan").shows("Released 8");
    assert_eq!(owner.submit(&format!("{path}/delete"), &[]).await.status, 303);
    let page = owner.get(&path).await;
    page.shows("The contents were deleted. Ids and charges stay.").shows("Request id c-1");
    assert!(!page.html.contains("secret plan"));
    owner.get("/tasks").await.shows("(contents deleted)");
    let log = owner.get("/audit").await;
    log.shows("You deleted the contents of task").shows("You canceled task").shows("credits: 8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_can_not_be_canceled() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let agent = app.agent_key();
    let task = text(&agent.picture("done", "[[instant]]").await, "task_id");
    agent.finish("done").await;
    let page = owner.get(&format!("/tasks/{task}")).await;
    let page = owner.post(&format!("/tasks/{task}/cancel"), &csrf(&page.html)).await;
    assert_eq!(page.status, 409);
    page.shows("Task Done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_task_is_not_there() {
    let app = TestApp::sqlite().await;
    let mut other = app.invited("other@example.com", false).await;
    let agent = app.agent_key();
    let task = text(&agent.picture("mine", "[[instant]]").await, "task_id");
    agent.finish("mine").await;
    let own = other.get("/tasks").await;
    own.shows("No tasks yet.");
    for path in [format!("/tasks/{task}"), "/tasks/task_1".to_owned(), "/tasks/x".to_owned()] {
        assert_eq!(other.get(&path).await.status, 404, "{path}");
        for deed in ["cancel", "delete"] {
            let page = other.post(&format!("{path}/{deed}"), &csrf(&own.html)).await;
            assert_eq!(page.status, 404, "{path} {deed}");
        }
    }
    assert!(other.get("/gallery").await.html.contains("Nothing was made yet."));
    assert_eq!(agent.poll("mine").await["status"], "success");
    let mut stranger = app.browser();
    for path in
        ["/tasks", "/gallery", "/usage", "/usage.csv", "/audit", "/running", &format!("/tasks/{task}")]
    {
        assert_eq!(stranger.get(path).await.status, 303, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_wrote_is_text_everywhere() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let signer = &app.agent.signer;
    let named = json!({"public_key": signer.public_hex(), "agent_name": "<b>Bob</b>", "agent_version": "1"});
    app.anonymous().post("/api/v1/agents/register", &signer.sign(&named)).await.ok();
    let agent = app.agent_key();
    let mut asked = picture("evil", &format!("{HOSTILE} [[instant]]"));
    asked["metadata"] = json!({"<u>k": HOSTILE});
    let task = text(&agent.generate(&asked).await, "task_id");
    agent.finish("evil").await;
    for path in ["/", "/tasks", "/gallery", "/usage", "/running", "/audit", &format!("/tasks/{task}")] {
        let page = owner.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        for bad in ["<script>alert", "<img src=x", "<b>", "<u>k", "\u{202e}", "\u{200b}"] {
            assert!(!page.html.contains(bad), "{path} {bad}");
        }
    }
    let page = owner.get(&format!("/tasks/{task}")).await;
    page.shows("<script>alert(1)</script>\"><img src=x onerror=alert(2)>[U+202E]gnp.exe[U+200B]");
    page.shows("<u>k").shows("<b>Bob</b>");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self';"), "{policy}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_each_other_and_keep_their_filters() {
    let app = TestApp::start("", Role::Api).await;
    let mut owner = app.owner().await;
    let agent = app.agent_key();
    for number in 0..27 {
        agent.picture(&format!("r-{number}"), &format!("picture {number}")).await;
        app.advance(Duration::from_secs(1));
    }
    let page = owner.get("/tasks?status=pending").await;
    page.shows("picture 26").shows("picture 2 ");
    assert!(!page.html.contains("picture 1<"));
    let next = page.html.split("href=\"/tasks?status=pending&#38;cursor=").nth(1).expect("an older page");
    let next = next.split('"').next().unwrap_or_default();
    let page = owner.get(&format!("/tasks?status=pending&cursor={next}")).await;
    page.shows("picture 1").shows("picture 0").shows("Newest");
    assert!(!page.html.contains("Older"));
    owner.get("/tasks?status=success").await.shows("Nothing fits.");
    owner.get(&format!("/tasks?agent={}", app.agent.id)).await.shows("picture 26");
    owner.get("/tasks?agent=none").await.shows("Nothing fits.");
    owner.get("/tasks?from=2025-03-18&to=2025-03-18").await.shows("picture 26");
    owner.get("/tasks?to=2025-03-17").await.shows("Nothing fits.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_refreshes_itself_keeps_no_session_alive() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    owner.get("/").await.shows("Nothing runs at the moment.");
    owner.headers.push(("hx-request".to_owned(), "true".to_owned()));
    for _ in 0..11 {
        app.advance(Duration::from_secs(3600));
        owner.get("/running").await.shows("Available 100 000 credits");
    }
    app.advance(Duration::from_secs(3600));
    let page = owner.get("/running").await;
    assert_eq!((page.status, page.headers["hx-refresh"].to_str().unwrap()), (401, "true"));
}

/// The hidden field of any form of a page.
fn csrf(html: &str) -> Vec<(String, String)> {
    let value = html.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    vec![("csrf".to_owned(), value.expect("a form").to_owned())]
}
