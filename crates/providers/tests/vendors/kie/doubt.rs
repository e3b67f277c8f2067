//! kie: lost answers, jobs that are partly made, callbacks, and what can't be taken back.
//!
//! Invariant: as `main`. Not here: the fields of each model (`kie`).

use super::{NANO, start};
use crate::support::{go_on, image_job, settings, trouble, units, video_job};
use rynjer_emulator::{CallbackOut, Emulator, Expected, Fault};
use rynjer_providers::{
    Ambiguity, Callback, CallbackError, CancelAnswer, Heard, Job, PollAnswer, Provider, ProviderError,
    SubmitAnswer, Unit, kie::Kie, upstream::ApiKey,
};
use serde_json::json;

/// When the stand-in signs its callbacks.
const SIGNED_AT_S: i64 = 1_770_000_000;

fn letters(units: &[Unit]) -> String {
    let letter = |unit: &Unit| match unit {
        Unit::Delivered(_) => 'd',
        Unit::Refused { .. } => 'r',
        Unit::Lost { .. } => 'l',
    };
    units.iter().map(letter).collect()
}

#[tokio::test]
async fn a_lost_answer_is_in_doubt_and_one_that_never_left_is_not() {
    let (emulator, provider) = start().await;
    let job = image_job(NANO, 1);
    for fault in [Fault::Lost, Fault::Cut] {
        emulator.world().fault(fault);
        assert_eq!(trouble(&provider, &job).await, Expected::Unknown);
    }
    assert_eq!((emulator.world().unmatched(), provider.ambiguity(NANO)), (2, Ambiguity::Neither));
    let gone = settings(&emulator);
    drop(emulator);
    let provider = Kie::new(gone, None).unwrap();
    assert_eq!(trouble(&provider, &job).await, Expected::NotNow);
}

#[tokio::test]
async fn one_task_for_each_picture_and_one_of_them_lost_and_one_refused() {
    let (emulator, provider) = start().await;
    let refusal = json!({"code": 422, "msg": "no", "data": null});
    emulator.world().fault(Fault::Slow { ms: 0 });
    emulator.world().fault(Fault::Lost);
    emulator.world().fault(Fault::Answer { status: 200, headers: Vec::new(), body: refusal });
    let made = units(&provider, &image_job(NANO, 4)).await.unwrap();
    let mut sorted: Vec<char> = letters(&made).chars().collect();
    sorted.sort_unstable();
    // The first goes alone, and the others at once: which of them was hit is a matter of chance.
    assert_eq!((letters(&made).starts_with('d'), sorted), (true, vec!['d', 'd', 'l', 'r']));
    assert_eq!((emulator.world().jobs().len(), emulator.world().unmatched()), (3, 1));
}

/// Four pictures of a task share what becomes of it.
#[tokio::test]
async fn several_pictures_of_a_lost_task_are_lost() {
    let (emulator, provider) = start().await;
    emulator.world().fault(Fault::Lost);
    let job = image_job("jobs-grok-image:grok-imagine/text-to-image", 8);
    assert_eq!(letters(&units(&provider, &job).await.unwrap()), "lllldddd");
    emulator.world().always(Some(Fault::Lost));
    assert_eq!(letters(&units(&provider, &job).await.unwrap()), "llllllll");
}

/// A refusal that names a task made one.
#[tokio::test]
async fn a_refusal_with_a_task_is_asked_for() {
    let (emulator, provider) = start().await;
    let job = image_job(NANO, 1);
    let made = units(&provider, &job).await;
    assert!(made.is_ok());
    let id = emulator.world().jobs()[0].id.clone();
    let body = json!({"code": 500, "msg": "late", "data": {"taskId": id}});
    emulator.world().fault(Fault::Answer { status: 200, headers: Vec::new(), body });
    assert_eq!(letters(&units(&provider, &job).await.unwrap()), "d");
    let body = json!({"code": 200, "msg": "success", "data": {"taskId": "a,b"}});
    emulator.world().fault(Fault::Answer { status: 200, headers: Vec::new(), body });
    assert_eq!(trouble(&provider, &job).await, Expected::Unknown);
}

/// Answers a poll with something else than the vendor's record.
async fn poll_of(provider: &Kie, id: &str) -> Result<PollAnswer, ProviderError> {
    provider.poll(image_job(NANO, 1), id.to_owned(), go_on()).await
}

#[tokio::test]
async fn a_poll_that_fails_is_asked_again_and_so_is_an_unknown_id() {
    let (emulator, provider) = start().await;
    let job = image_job(NANO, 1);
    let Ok(SubmitAnswer::Accepted { provider_task_id, .. }) = provider.submit(job, go_on()).await else {
        panic!()
    };
    let unknown = poll_of(&provider, "task_market_999").await;
    assert!(matches!(unknown, Err(ProviderError::NotNow { .. })), "{unknown:?}");
    let mut lies = settings(&emulator);
    lies.api_key = ApiKey::new("");
    let no_key = Kie::new(lies, None).unwrap();
    let answer = poll_of(&no_key, &provider_task_id).await;
    assert!(matches!(answer, Err(ProviderError::NotNow { .. })), "{answer:?}");
    assert!(matches!(poll_of(&provider, &provider_task_id).await, Ok(PollAnswer::Finished { .. })));
    drop(emulator);
    let answer = poll_of(&provider, &provider_task_id).await;
    assert!(
        matches!(answer, Err(ProviderError::NotNow { .. } | ProviderError::Ambiguous { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn nothing_can_be_taken_back() {
    let (emulator, provider) = start().await;
    let answer = provider.cancel(NANO.to_owned(), Some("task_market_1".to_owned())).await;
    assert_eq!((answer.unwrap(), emulator.world().seen().len()), (CancelAnswer::NotFree, 0));
}

fn arrived(out: &CallbackOut, now_s: i64) -> Callback {
    Callback { headers: out.headers.clone(), body: out.body.clone(), now_s }
}

/// Callbacks of one job of each API.
async fn callbacks() -> (Emulator, Vec<CallbackOut>) {
    let (emulator, provider) = start().await;
    let url = Some("https://gateway.example/hear/n".to_owned());
    for job in [
        image_job(NANO, 1),
        video_job("veo:veo3", 8),
        image_job("4o:gpt-4o-image", 1),
        Job { aspect_ratio: None, resolution: None, ..image_job("suno:V5", 1) },
    ] {
        provider.submit(Job { callback_url: url.clone(), ..job }, go_on()).await.unwrap();
    }
    let out = emulator.world().take_callbacks();
    assert!(out.iter().all(|out| out.url == "https://gateway.example/hear/n"));
    (emulator, out)
}

#[tokio::test]
async fn signed_callbacks_are_heard() {
    let (emulator, out) = callbacks().await;
    let provider = Kie::new(settings(&emulator), Some(ApiKey::new("test-webhook-key"))).unwrap();
    let ids: Vec<String> = emulator.world().jobs().iter().map(|job| job.id.clone()).collect();
    let mut heard = Vec::new();
    for out in &out {
        let Heard { provider_task_id } = provider.hear(arrived(out, SIGNED_AT_S + 299)).await.unwrap();
        heard.push(provider_task_id.unwrap());
    }
    // Suno tells three times of a song.
    assert_eq!(heard, [&ids[0], &ids[1], &ids[2], &ids[3], &ids[3], &ids[3]].map(Clone::clone));
}

#[tokio::test]
async fn forged_and_stale_callbacks_are_not() {
    let (emulator, out) = callbacks().await;
    let first = arrived(&out[0], SIGNED_AT_S);
    let key = |text: &str| Kie::new(settings(&emulator), Some(ApiKey::new(text))).unwrap();
    let provider = key("test-webhook-key");
    let forged = |callback: Callback| async {
        assert_eq!(provider.hear(callback).await, Err(CallbackError::Forged));
    };
    for now_s in [SIGNED_AT_S + 301, SIGNED_AT_S - 301, i64::MIN, 0] {
        forged(Callback { now_s, ..first.clone() }).await;
    }
    forged(Callback { headers: Vec::new(), ..first.clone() }).await;
    let other = br#"{"code":200,"data":{"taskId":"task_market_77"}}"#;
    for body in [&other[..], b"", b"not json", b"[]", br#"{"data":{"taskId":7}}"#] {
        forged(Callback { body: bytes_of(body), ..first.clone() }).await;
    }
    let mut later = first.clone();
    later.headers[1].1 = (SIGNED_AT_S + 1).to_string();
    forged(later).await;
    assert_eq!(key("another").hear(first).await, Err(CallbackError::Forged));
}

fn bytes_of(text: &[u8]) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(text)
}

/// Without a key kie signs nothing, and the URL's secret was checked before.
#[tokio::test]
async fn without_a_key_a_callback_is_a_hint() {
    let (emulator, out) = callbacks().await;
    let provider = Kie::new(settings(&emulator), None).unwrap();
    let id = Some(emulator.world().jobs()[0].id.clone());
    let bare = Callback { headers: Vec::new(), ..arrived(&out[0], 0) };
    assert_eq!(provider.hear(bare.clone()).await, Ok(Heard { provider_task_id: id }));
    let empty = Callback { body: bytes_of(b"hello"), ..bare };
    assert_eq!(provider.hear(empty).await, Ok(Heard { provider_task_id: None }));
}
