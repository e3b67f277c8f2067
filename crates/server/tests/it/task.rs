//! Tasks to their end, good or bad, and what that does to credits.
//!
//! Invariant: what was not delivered is given back in full, exactly once. Not here: acceptance
//! (`idempotency`).

use crate::support::{
    CREDITS, DAY, HOUR, TestApp, agent::text, client::picture, files_below, redacted, until,
};
use http::Method;
use rynjer_core::{
    id::{AttemptId, TaskId},
    ledger::{Command, Guard, NewOutput, Outcome, Release},
    task::Status,
};
use rynjer_server::gateway::Role;
use rynjer_store::lease::{self, Claim, Claimed};
use serde_json::{Value, json};
use std::time::Duration;

fn released(credits: i64) -> Value {
    json!({"held": 0, "charged": 0, "released": credits, "refunded": 0})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_give_everything_back() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let new_id = "POST /v1/generate with a new `request_id`";
    let again = format!("Call {new_id}, or with another model from GET /v1/models/list.");
    let change = format!("Change the prompt or the inputs and call {new_id}.");
    let rows = [
        (
            "[[fail]]",
            json!({"error": "provider_failed", "message": "the sandbox failed, as the prompt asked",
                "suggestion": again, "retryable": true}),
        ),
        (
            "[[reject]]",
            json!({"error": "content_rejected",
                "message": "the sandbox rejected the content, as the prompt asked",
                "suggestion": change, "retryable": false}),
        ),
        (
            "[[instant]] [[partial=0]]",
            json!({"error": "content_rejected",
                "message": "the sandbox rejected this unit, as the prompt asked",
                "suggestion": change, "retryable": false}),
        ),
    ];
    for (index, (prompt, error)) in rows.into_iter().enumerate() {
        let request_id = format!("f-{index}");
        agent.picture(&request_id, prompt).await;
        let task = agent.finish(&request_id).await;
        assert_eq!((&task["status"], &task["credits"]), (&json!("failed"), &released(8)), "{prompt}");
        assert_eq!(task["error"], error);
        assert_eq!((&task["outputs"], &task["poll_after_ms"]), (&json!([]), &Value::Null));
        assert_eq!(app.books().await, (CREDITS, 0));
        app.advance(HOUR);
        assert_eq!(agent.poll(&request_id).await, task);
        assert_eq!(app.books().await, (CREDITS, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_out_and_lost_answer_are_our_loss() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let rows = [
        ("[[timeout]]", "timed_out", "the provider did not finish in time"),
        (
            "[[ambiguous]]",
            "outcome_unknown",
            "the provider never said whether it made this, so nothing is charged",
        ),
    ];
    for (index, (prompt, code, message)) in rows.into_iter().enumerate() {
        let request_id = format!("t-{index}");
        agent.picture(&request_id, prompt).await;
        let waits = async || {
            let task = agent.poll(&request_id).await;
            let begun = task["status"] == "processing";
            (begun && (code == "outcome_unknown" || task["provider_task_id"].is_string())).then_some(())
        };
        until("the provider has it", waits).await;
        assert_eq!(app.books().await, (CREDITS - 8, 8));
        // The model's maximum is 180 s.
        app.advance(Duration::from_secs(179));
        assert_eq!(agent.poll(&request_id).await["status"], "processing");
        app.advance(Duration::from_secs(1));
        let task = agent.finish(&request_id).await;
        assert_eq!((&task["status"], &task["credits"]), (&json!("failed"), &released(8)));
        assert_eq!((&task["error"]["error"], &task["error"]["message"]), (&json!(code), &json!(message)));
        assert_eq!(app.books().await, (CREDITS, 0));
        let books = app.admin().account_show(&app.account).await.expect("the account").books;
        let lost = 8 * (i64::try_from(index).expect("small") + 1);
        assert_eq!((books.revenue.0, books.provider_loss.0), (-lost, lost));
        app.advance(HOUR);
        assert_eq!(agent.poll(&request_id).await, task);
        assert_eq!(app.books().await, (CREDITS, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_delivered_of_eight_is_charged() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let body = json!({"request_id": "eight", "model": "google/nano-banana", "count": 8,
        "prompt": "[[instant]] [[partial=5]]"});
    assert_eq!(agent.generate(&body).await["credits"]["held"], 64);
    let task = agent.finish("eight").await;
    assert_eq!(task["status"], "success");
    assert_eq!(task["credits"], json!({"held": 0, "charged": 40, "released": 24, "refunded": 0}));
    assert_eq!(task["outputs"].as_array().map(Vec::len), Some(5));
    let refused = |index: u32| {
        json!({"index": index, "error": "content_rejected",
            "message": "the sandbox rejected this unit, as the prompt asked"})
    };
    assert_eq!(task["missing"], json!([refused(5), refused(6), refused(7)]));
    assert_eq!(task.get("error"), None);
    assert_eq!(app.books().await, (CREDITS - 40, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_of_a_slow_task() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    agent.picture("slow", "[[instant]] [[slow=10]]").await;
    let task = until("the provider has it", async || {
        let task = agent.poll("slow").await;
        task["provider_task_id"].is_string().then_some(task)
    })
    .await;
    assert_eq!((&task["status"], task.get("progress")), (&json!("processing"), None));
    for (seconds, share) in [(3, 0.3), (4, 0.7)] {
        app.advance(Duration::from_secs(seconds));
        until("it shows progress", async || (agent.poll("slow").await["progress"] == share).then_some(()))
            .await;
    }
    app.advance(Duration::from_secs(3));
    let task = agent.finish("slow").await;
    assert_eq!((&task["status"], task.get("progress")), (&json!("success"), None));
    assert_eq!(task["finished_at"], "2025-03-18T09:50:10.000Z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_ends_with_the_current_state() {
    let mut app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let waiting = agent
        .with("prefer", "respond-async, wait=1")
        .post("/v1/generate", &picture("w", "[[slow=600]]"))
        .await;
    assert_eq!(waiting.header("preference-applied"), Some("wait=1"));
    let status = text(&waiting.ok(), "status");
    assert!(matches!(status.as_str(), "pending" | "processing"), "{status}");
    assert!(waiting.header("retry-after").is_some());
    let clamped = agent.with("prefer", "wait=999").post("/v1/generate", &picture("i", "[[instant]]")).await;
    assert_eq!(
        (clamped.header("preference-applied"), clamped.ok()["status"].clone()),
        (Some("wait=60"), json!("success"))
    );
    for query in ["wait=x", "wait=-1", "wait=1.5", "wait="] {
        let answer = agent.get(&format!("/v1/generate/w?{query}")).await;
        assert_eq!(answer.problems(), ["wait: must be whole seconds, 1 to 60"], "{query}");
    }

    // A gateway that stops lets nobody wait: each gets the state as it is.
    let waiters = [1, 2, 3].map(|_| agent.get("/v1/generate/w?wait=60"));
    let began = tokio::time::Instant::now();
    // Each is polled once, and so has reached the old gateway, before the restart begins.
    let (answers, ()) = tokio::join!(biased; futures::future::join_all(waiters), app.restart());
    for answer in answers {
        assert_eq!(answer.ok()["status"], "processing");
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// Claims what is due as a worker of another process would, which then says nothing more.
async fn claim(app: &TestApp, owner: &str) -> Claimed {
    let now_ms = app.now_ms();
    let claim = Claim {
        held: std::collections::BTreeSet::new(),
        provider: "sandbox".to_owned(),
        owner: owner.to_owned(),
        now_ms,
        lease_ms: 30_000,
        limit: 4,
        after_account: String::new(),
        idle: true,
        in_hand: std::collections::BTreeMap::new(),
        per_account_max: 0,
        without: Vec::new(),
        task_ms: std::sync::Arc::default(),
        fresh_attempts: (0..4).map(|number| AttemptId::new(now_ms, [number; 10])).collect(),
    };
    app.admin().store.write(move |tx| lease::claim(tx, &claim)).await.expect("a claim")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_lost_its_lease_changes_nothing() {
    let mut app = TestApp::start("[database]\nurl = \"sqlite:{folder}/shared.db\"", Role::Api).await;
    let agent = app.agent_key();
    let task_id = text(&agent.picture("l-1", "[[instant]]").await, "task_id");
    let stale = claim(&app, "dead").await.tasks.pop().expect("the task");
    assert_eq!(agent.poll("l-1").await["status"], "processing");
    assert!(claim(&app, "other").await.tasks.is_empty());

    app.advance(Duration::from_secs(29));
    assert!(claim(&app, "other").await.tasks.is_empty());
    app.restart_as(Role::All).await;
    assert_eq!(agent.poll("l-1").await["status"], "processing");
    app.advance(Duration::from_secs(1));
    let task = agent.finish("l-1").await;
    assert_eq!((&task["status"], &task["credits"]["charged"]), (&json!("success"), &json!(8)));

    let id = TaskId::parse(&task_id).expect("a task id");
    let release = Release {
        account: app.account.clone(),
        task: id.clone(),
        guard: Guard::Fence(stale.fence),
        status: Status::Failed,
        error: "provider_failed",
        message: "late".to_owned(),
        missing: None,
        loss: None,
        vendor_cost_micro_usd: None,
        trail: None,
    };
    let output = NewOutput {
        index: 0,
        object_key: "x/y/z.png".to_owned(),
        kind: "image",
        mime: "image/png".to_owned(),
        width: None,
        height: None,
        duration_ms: None,
        bytes: 1,
        sha256: "00".repeat(32),
    };
    let capture = rynjer_core::ledger::Capture {
        account: app.account.clone(),
        task: id,
        guard: Guard::Fence(stale.fence),
        delivered: 1,
        outputs: vec![output],
        missing: None,
        provider_task_id: None,
        loss: None,
        vendor_cost_micro_usd: None,
    };
    let before = app.ledger().await;
    for command in [Command::Release(Box::new(release)), Command::Capture(Box::new(capture))] {
        let outcome = app.admin().store.submit(app.now_ms(), command).await.expect("an outcome");
        assert!(matches!(outcome, Outcome::Stale { status: Status::Success }), "{outcome:?}");
    }
    assert_eq!(app.ledger().await, before);
    assert_eq!(redacted(agent.poll("l-1").await), redacted(task));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_kills_its_workers_is_given_up() {
    let mut app = TestApp::start("[database]\nurl = \"sqlite:{folder}/shared.db\"", Role::Api).await;
    let agent = app.agent_key();
    let body = json!({"request_id": "deadly", "model": "nano-banana-pro", "prompt": "[[instant]]"});
    agent.generate(&body).await;
    for alone in [false, false, true] {
        let leased = claim(&app, "dead").await.tasks.pop().expect("the task");
        assert_eq!((leased.alone, leased.poisoned), (alone, false));
        app.advance(Duration::from_secs(31));
    }
    app.restart_as(Role::All).await;
    let task = agent.finish("deadly").await;
    assert_eq!((&task["status"], &task["error"]["error"]), (&json!("failed"), &json!("poisoned")));
    assert_eq!((&task["credits"], app.books().await), (&released(20), (CREDITS, 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_runs_out_in_the_workers_own_hand() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let body =
        json!({"request_id": "own", "model": "nano-banana-pro", "count": 4, "prompt": "a real harbour"});
    agent.generate(&body).await;
    let begun = async || (agent.poll("own").await["status"] != "pending").then_some(());
    until("the worker has it", begun).await;
    app.advance(Duration::from_secs(31));
    let task = agent.finish("own").await;
    assert_eq!((&task["status"], &task["credits"]["charged"]), (&json!("success"), &json!(80)));
    assert_eq!(app.books().await, (CREDITS - 80, 0));
    // The worker's hand is empty again: it takes the next one.
    agent.picture("next", "[[instant]]").await;
    assert_eq!(agent.finish("next").await["status"], "success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_no_task() {
    let mut app = TestApp::sqlite().await;
    let agent = app.agent_key();
    for number in 0..30 {
        let prompt = ["[[instant]]", "[[instant]] [[slow=5]]", "a real pear"][number % 3];
        agent.picture(&format!("k-{number}"), prompt).await;
        if number % 10 == 9 {
            app.restart().await;
        }
    }
    let begun = async || {
        let mut waiting = 0;
        for number in (1..30).step_by(3) {
            let task = agent.poll(&format!("k-{number}")).await;
            waiting += usize::from(task["provider_task_id"].is_null());
        }
        (waiting == 0).then_some(())
    };
    until("the slow ones are begun", begun).await;
    app.advance(Duration::from_secs(5));
    for number in 0..30 {
        let task = agent.finish(&format!("k-{number}")).await;
        assert_eq!(
            (&task["status"], &task["credits"]["charged"]),
            (&json!("success"), &json!(8)),
            "{task:#}"
        );
    }
    assert_eq!(app.books().await, (CREDITS - 240, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_the_folder_takes_dead_leases_at_once() {
    let mut app = TestApp::start("", Role::Api).await;
    app.agent_key().picture("l-2", "[[instant]]").await;
    assert_eq!(claim(&app, "dead").await.tasks.len(), 1);
    app.restart_as(Role::All).await;
    assert_eq!(app.agent_key().finish("l-2").await["status"], "success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention() {
    let app = TestApp::sqlite().await;
    // An account's key does not expire.
    let owner = app.account_key();
    let body = json!({"request_id": "old", "model": "google/nano-banana", "prompt": "[[instant]] a secret",
        "metadata": {"campaign": "spring"}});
    owner.generate(&body).await;
    let fresh = owner.finish("old").await;
    let url = text(&fresh["outputs"][0], "url");
    let id = TaskId::parse(&text(&fresh, "task_id")).expect("a task id");
    let stored = app.admin().task_show(&id).await.expect("the task");
    assert!(stored.body.expect("a body").contains("a secret"));

    app.advance(DAY * 30);
    app.gateway().sweep().await.expect("a sweep");
    assert!(text(&owner.poll("old").await["outputs"][0], "url").contains("/outputs/"));
    app.advance(Duration::from_secs(1));
    app.gateway().sweep().await.expect("a sweep");
    let output = owner.poll("old").await["outputs"][0].take();
    assert_eq!(
        (&output["url"], &output["expires_at"], &output["deleted_at"], &output["sha256"]),
        (&Value::Null, &Value::Null, &json!("2025-04-17T09:50:01.000Z"), &fresh["outputs"][0]["sha256"])
    );
    assert_eq!(app.anonymous().request(Method::HEAD, &url, None).await.status, 404);
    let outputs = app.data_dir().join("outputs");
    assert_eq!(files_below(&outputs), Vec::<String>::new());

    app.advance(DAY * 60);
    app.gateway().sweep().await.expect("a sweep");
    let stored = app.admin().task_show(&id).await.expect("the task");
    assert_eq!((stored.body, stored.metadata), (None, None));
    let replayed = owner.post("/v1/generate", &body).await;
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    let data = replayed.ok();
    assert_eq!(data["task_id"], fresh["task_id"]);
    assert_eq!((data.get("units"), data.get("metadata")), (None, None));
    let other = json!({"request_id": "old", "model": "google/nano-banana", "prompt": "[[instant]] another"});
    assert_eq!(
        owner.post("/v1/generate", &other).await.problems(),
        ["prompt: differs from the first request with this request_id"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_a_provider_that_is_gone_are_ended() {
    let app = TestApp::sqlite().await;
    let agent = app.account_key();
    agent.picture("g-1", "[[timeout]]").await;
    agent.picture("g-2", "[[timeout]]").await;
    let begun = async || (agent.poll("g-2").await["provider_task_id"].is_string()).then_some(());
    until("it is at the provider", begun).await;
    let begun = async || (agent.poll("g-1").await["provider_task_id"].is_string()).then_some(());
    until("the other one too", begun).await;
    let sql = "UPDATE tasks SET provider = 'gone', step = CASE request_id WHEN 'g-1' THEN 'queued' \
               ELSE step END";
    let moved = app.admin().store.write(move |tx| tx.exec(sql, &[])).await;
    assert_eq!(moved.expect("an update"), 2);
    app.advance(HOUR);
    app.gateway().sweep().await.expect("a sweep");
    for id in ["g-1", "g-2"] {
        let task = agent.poll(id).await;
        assert_eq!(
            (&task["status"], &task["error"]["error"]),
            (&json!("failed"), &json!("timed_out")),
            "{id}"
        );
    }
    let books = app.admin().account_show(&app.account).await.expect("the account").books;
    // Only what was at the provider may have cost something.
    assert_eq!((books.available.0, books.held.0, books.provider_loss.0), (CREDITS, 0, 8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_finished_while_nobody_asked_is_delivered() {
    let app = TestApp::sqlite().await;
    let agent = app.account_key();
    agent.picture("late", "[[slow=5]] [[instant]]").await;
    until("the provider has it", async || agent.poll("late").await["provider_task_id"].as_str().map(drop))
        .await;
    // As after a long night: the task's time is over, but a last question finds it done.
    app.advance(Duration::from_secs(86_400));
    let task = agent.finish("late").await;
    assert_eq!((&task["status"], &task["credits"]["charged"]), (&json!("success"), &json!(8)));
}
