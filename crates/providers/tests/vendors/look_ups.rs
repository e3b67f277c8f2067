//! Look-ups in vendors' lists: which rows are a job by their time, which are in doubt, and what is no list.
//!
//! Invariant: a job is absent only where the whole list says so, whatever the clocks. Not here: what else
//! rows have in common with a job (each vendor).

use crate::{
    canned::{canned, dated},
    support::{image_job, video_job},
};
use rynjer_core::catalog::Catalog;
use rynjer_providers::{
    Job, LookUpAnswer, Provider, ProviderError, dashscope::DashScope, openai::OpenAi, replicate::Replicate,
};
use serde_json::{Value, json};

/// 2026-02-02T02:40:00Z
const BEGIN_MS: i64 = 1_770_000_000_000;
const BEGIN_S: i64 = BEGIN_MS / 1000;

/// What a look-up says, in a word.
fn word(answer: Result<LookUpAnswer, ProviderError>) -> String {
    match answer {
        Ok(LookUpAnswer::Found { provider_task_ids, .. }) => provider_task_ids.join(" "),
        Ok(LookUpAnswer::Absent) => "absent".to_owned(),
        Err(ProviderError::Ambiguous { .. }) => "doubt".to_owned(),
        Err(ProviderError::NotNow { .. }) => "not now".to_owned(),
        Err(other) => panic!("{other:?}"),
    }
}

async fn of_replicate(list: Value) -> String {
    let settings = canned(move |_, _| (200, list.to_string())).await;
    let builtin = Catalog::builtin().unwrap();
    let provider = Replicate::new(settings, None, builtin.vendor_routes()).unwrap();
    let job = Job { now_ms: BEGIN_MS + 300_000, ..image_job("google/nano-banana", 1) };
    word(provider.look_up(job, BEGIN_MS).await)
}

fn prediction(id: &str, created_at: &str) -> Value {
    let input = json!({"prompt": "a red fox", "aspect_ratio": "1:1"});
    json!({"id": id, "model": "google/nano-banana", "version": "hidden", "input": input,
        "created_at": created_at})
}

fn changed(mut row: Value, name: &str, value: Value) -> Value {
    row[name] = value;
    row
}

#[tokio::test]
async fn predictions() {
    let row = |created_at: &str| prediction("a", created_at);
    let good = row("2026-02-02T02:40:02Z");
    let input = json!({"prompt": "a blue cat", "aspect_ratio": "1:1"});
    for (row, expected) in [
        (good.clone(), "a"),
        (row("2026-02-02T02:39:55Z"), "a"),
        (row("2026-02-02T02:42:00Z"), "a"),
        (row("2026-02-02T02:42:01Z"), "doubt"),
        (row("2026-02-02T02:45:00Z"), "doubt"),
        (row("2026-02-02T02:45:01Z"), "absent"),
        (row("2026-02-02T02:39:54Z"), "doubt"),
        (row("2026-02-02T02:39:00Z"), "doubt"),
        (row("2026-02-02T02:38:59Z"), "absent"),
        (row("yesterday"), "doubt"),
        (changed(good.clone(), "created_at", Value::Null), "doubt"),
        (changed(good.clone(), "model", Value::Null), "doubt"),
        (changed(good.clone(), "model", json!("google/nano-banana:1234")), "doubt"),
        (changed(good.clone(), "model", json!("google/veo-3")), "absent"),
        (changed(good.clone(), "input", input), "absent"),
        (changed(changed(good.clone(), "input", json!({})), "data_removed", json!(true)), "doubt"),
        (changed(row("2026-02-02T02:39:30Z"), "model", json!("google/veo-3")), "absent"),
    ] {
        let list = json!({"next": null, "results": [row]});
        assert_eq!(of_replicate(list).await, expected, "{row}");
    }
    let near = [("c", "2026-02-02T02:41:30Z"), ("b", "2026-02-02T02:40:01Z"), ("a", "2026-02-02T02:39:56Z")];
    let rows = near.map(|(id, created_at)| prediction(id, created_at));
    assert_eq!(of_replicate(json!({"next": null, "results": rows})).await, "b a c");
    for broken in [json!({"next": null}), json!({"next": null, "results": [{}]}), json!([])] {
        assert_eq!(of_replicate(broken.clone()).await, "doubt", "{broken}");
    }
}

/// The vendor's clock is ten minutes ahead, or behind, or so far off that it means nothing: a job that was
/// made is never taken for absent, or it would be made and paid a second time.
#[tokio::test]
async fn predictions_of_a_vendor_with_another_clock() {
    let at = async |date: &'static str, created_at: &str| {
        let list = json!({"next": null, "results": [prediction("a", created_at)]});
        let settings = dated(date, move |_, _| (200, list.to_string())).await;
        let builtin = Catalog::builtin().unwrap();
        let provider = Replicate::new(settings, None, builtin.vendor_routes()).unwrap();
        let job = Job { now_ms: BEGIN_MS + 300_000, ..image_job("google/nano-banana", 1) };
        word(provider.look_up(job, BEGIN_MS).await)
    };
    // It is asked at 02:45:00 by our clock.
    let (same, ahead) =
        ("date: Mon, 02 Feb 2026 02:45:03 GMT\r\n", "date: Mon, 02 Feb 2026 02:55:00 GMT\r\n");
    // An answer that took half a minute, and one that no time-out explains.
    let (slow, later) =
        ("date: Mon, 02 Feb 2026 02:45:35 GMT\r\n", "date: Mon, 02 Feb 2026 02:45:36 GMT\r\n");
    let (behind, wild) =
        ("date: Mon, 02 Feb 2026 02:35:00 GMT\r\n", "date: Mon, 02 Feb 2026 03:45:01 GMT\r\n");
    for (date, created_at, expected) in [
        (same, "2026-02-02T02:40:02Z", "a"),
        (same, "2026-02-02T02:50:02Z", "absent"),
        (slow, "2026-02-02T02:40:02Z", "a"),
        (slow, "2026-02-02T02:40:37Z", "a"),
        (later, "2026-02-02T02:40:02Z", "doubt"),
        (later, "2026-02-02T02:40:38Z", "a"),
        (ahead, "2026-02-02T02:50:02Z", "a"),
        (ahead, "2026-02-02T02:40:02Z", "doubt"),
        (ahead, "2026-02-02T02:38:59Z", "absent"),
        (ahead, "2026-02-02T02:55:01Z", "absent"),
        (behind, "2026-02-02T02:30:02Z", "a"),
        (behind, "2026-02-02T02:40:02Z", "doubt"),
        (behind, "2026-02-02T02:28:59Z", "absent"),
        (wild, "2026-02-02T02:40:02Z", "doubt"),
        (wild, "2026-02-02T03:40:02Z", "doubt"),
        ("date: yesterday\r\n", "2026-02-02T02:40:02Z", "a"),
    ] {
        assert_eq!(at(date, created_at).await, expected, "{date} {created_at}");
    }
}

/// `task` is what every task tells when it is asked for.
async fn of_dashscope(list: Value, task: Value) -> String {
    let settings = canned(move |_, line| {
        (200, if line.starts_with("GET /tasks/?") { list.to_string() } else { task.to_string() })
    });
    let provider = DashScope::new(settings.await).unwrap();
    word(provider.look_up(video_job("text:wan2.6-t2v", 5), BEGIN_MS).await)
}

fn done(prompt: &str) -> Value {
    json!({"output": {"task_id": "a", "task_status": "SUCCEEDED", "orig_prompt": prompt}})
}

#[tokio::test]
async fn tasks_of_dashscope() {
    let row = |after_ms: i64| {
        let made_ms = BEGIN_MS + after_ms;
        json!({"task_id": "a", "model_name": "wan2.6-t2v", "gmt_create": made_ms})
    };
    let fox = done("a red fox");
    let unknown = json!({"output": {"task_id": "a", "task_status": "UNKNOWN"}});
    for (row, task, expected) in [
        (row(0), &fox, "a"),
        (row(-5_000), &fox, "a"),
        (row(120_000), &fox, "a"),
        (row(120_001), &fox, "doubt"),
        (row(300_001), &fox, "absent"),
        (row(-5_001), &fox, "doubt"),
        (row(-60_000), &fox, "doubt"),
        (row(-60_001), &fox, "absent"),
        (row(-30_000), &done("a blue cat"), "absent"),
        (changed(row(0), "gmt_create", Value::Null), &fox, "doubt"),
        (changed(row(0), "model_name", json!("wan2.6-t2v-2026-01-01")), &fox, "doubt"),
        (changed(row(0), "model_name", json!("")), &fox, "doubt"),
        (changed(row(0), "model_name", json!("wan2.6-t2v-2026-01-01")), &done("a blue cat"), "absent"),
        (changed(row(0), "model_name", json!("qwen-image")), &fox, "absent"),
        (changed(row(0), "task_id", json!("../a")), &fox, "doubt"),
        (row(0), &unknown, "not now"),
    ] {
        let list = json!({"data": [row], "total": 1, "total_page": 1});
        assert_eq!(of_dashscope(list, task.clone()).await, expected, "{row} {task}");
    }
    let near = [("c", 90_000), ("b", 1_000), ("a", -2_000)];
    let named = |(id, after_ms): (&str, i64)| changed(row(after_ms), "task_id", json!(id));
    let list = json!({"tasks": near.map(named), "total": 3});
    assert_eq!(of_dashscope(list, fox.clone()).await, "b a c");
    assert_eq!(of_dashscope(json!({"data": [], "total": 0}), fox.clone()).await, "absent");
    for broken in [
        json!({"total": 0}),
        json!({"data": null}),
        json!({"data": [{"gmt_create": 1}]}),
        json!({"data": [], "total": 3}),
        json!({"data": [], "total": 3, "total_page": 1}),
        json!([]),
    ] {
        assert_eq!(of_dashscope(broken.clone(), fox.clone()).await, "doubt", "{broken}");
    }
}

/// What was found may belong to another attempt, and what does not tell yet be ours.
#[tokio::test]
async fn tasks_of_dashscope_that_do_not_tell_yet_are_waited_for() {
    let rows =
        ["a", "b"].map(|id| json!({"task_id": id, "model_name": "wan2.6-t2v", "gmt_create": BEGIN_MS}));
    let list = json!({"data": rows, "total": 2}).to_string();
    let settings = canned(move |_, line| {
        let running = json!({"output": {"task_id": "b", "task_status": "RUNNING"}});
        let task = if line.starts_with("GET /tasks/a ") { done("a red fox") } else { running };
        (200, if line.starts_with("GET /tasks/?") { list.clone() } else { task.to_string() })
    });
    let provider = DashScope::new(settings.await).unwrap();
    assert_eq!(word(provider.look_up(video_job("text:wan2.6-t2v", 5), BEGIN_MS).await), "not now");
}

async fn of_openai(list: Value) -> String {
    let settings = canned(move |_, _| (200, list.to_string())).await;
    let job = video_job("videos:sora-2", 4);
    word(OpenAi::new(settings, false).unwrap().look_up(job, BEGIN_MS).await)
}

#[tokio::test]
async fn clips_of_the_videos_protocol() {
    let row = |id: &str, after_s: i64| {
        json!({"id": id, "model": "sora-2", "seconds": "4", "size": "1280x720", "prompt": "a red fox",
            "created_at": BEGIN_S + after_s, "remixed_from_video_id": null})
    };
    for (after_s, expected) in
        [(0, "a"), (-5, "a"), (120, "a"), (121, "doubt"), (-6, "doubt"), (-61, "doubt")]
    {
        let list = json!({"data": [row("a", after_s)], "has_more": false});
        assert_eq!(of_openai(list).await, expected, "{after_s}");
    }
    let list = json!({"data": [row("c", 90), row("b", 1), row("a", -2)], "has_more": false});
    assert_eq!(of_openai(list).await, "b a c");
    assert_eq!(of_openai(json!({"has_more": false})).await, "doubt");
}
