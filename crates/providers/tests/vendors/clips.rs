//! Vendors that make one clip with a call, of which several are one job: lost ones, refused ones, canceled
//! ones.
//!
//! Invariant: what one call comes to changes nothing about the others. Not here: what each vendor sends and
//! answers.

use crate::support::{go_on, hangs_up, nobody, settings, video_job};
use rynjer_emulator::{Emulator, Fault, Vendor};
use rynjer_providers::{
    CancelAnswer, Job, PollAnswer, Provider, ProviderError, SubmitAnswer, TaskError, Unit,
    ark::Ark,
    dashscope::DashScope,
    guarded::GuardError,
    upstream::{ApiKey, VendorSettings},
};
use serde_json::{Value, json};

/// One of these vendors.
struct Clips {
    vendor: Vendor,
    model: &'static str,
    /// What its ids begin with.
    id: &'static str,
    /// What it says to words that it does not like.
    refusal: Value,
    make: fn(VendorSettings) -> Result<Box<dyn Provider>, GuardError>,
}

fn all() -> [Clips; 2] {
    [
        Clips {
            vendor: Vendor::Ark,
            model: "seedance-1-0-pro-fast-251015",
            id: "cgt-",
            refusal: json!({"error": {"code": "InputTextSensitiveContentDetected", "message": "No."}}),
            make: |settings| Ok(Box::new(Ark::new(settings)?)),
        },
        Clips {
            vendor: Vendor::DashScope,
            model: "text:wan2.6-t2v",
            id: "task-",
            refusal: json!({"code": "DataInspectionFailed", "message": "No."}),
            make: |settings| Ok(Box::new(DashScope::new(settings)?)),
        },
    ]
}

impl Clips {
    async fn start(&self) -> (Emulator, Box<dyn Provider>) {
        let emulator = Emulator::start(self.vendor).await.unwrap();
        let provider = (self.make)(settings(&emulator)).unwrap();
        (emulator, provider)
    }

    fn job(&self, count: u32) -> Job {
        Job { count, ..video_job(self.model, 5) }
    }
}

async fn accepted(provider: &dyn Provider, job: &Job) -> String {
    match provider.submit(job.clone(), go_on()).await.unwrap() {
        SubmitAnswer::Accepted { provider_task_id, .. } => provider_task_id,
        other @ SubmitAnswer::Finished { .. } => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn of_several_clips_one_may_be_lost_and_one_refused() {
    for clips in all() {
        one_lost_and_one_refused(&clips).await;
    }
}

async fn one_lost_and_one_refused(clips: &Clips) {
    let (emulator, provider) = clips.start().await;
    emulator.world().polls(9);
    let job = clips.job(4);
    let refusal = clips.refusal.clone();
    emulator.world().fault(Fault::Slow { ms: 0 });
    emulator.world().fault(Fault::Lost);
    emulator.world().fault(Fault::Answer { status: 400, headers: Vec::new(), body: refusal });
    let ids = accepted(&*provider, &job).await;
    let entries = |word: &str| ids.split(',').filter(|entry| entry.starts_with(word)).count();
    let found = [clips.id, "-outcome_unknown", "-content_rejected"].map(entries);
    assert_eq!(found, [2, 1, 1], "{ids}");
    assert_eq!(emulator.world().jobs().len(), 3);
    // One of those that wait is done before the other: nothing ends before both are.
    let first = ids.split(',').find(|entry| entry.starts_with(clips.id)).unwrap();
    emulator.world().change(first, |job| job.polls_left = 0).unwrap();
    for _ in 0..9 {
        let pending = provider.poll(job.clone(), ids.clone(), go_on()).await.unwrap();
        assert!(matches!(pending, PollAnswer::Pending { poll_after_ms: 5_000, .. }), "{pending:?}");
    }
    let done = provider.poll(job, ids, go_on()).await.unwrap();
    let PollAnswer::Finished { units, .. } = done else { panic!("{done:?}") };
    assert_eq!(units.iter().filter(|unit| matches!(unit, Unit::Delivered(_))).count(), 2);
    assert_eq!(units.iter().filter(|unit| matches!(unit, Unit::Lost { .. })).count(), 1);
    let refused = |unit: &&Unit| matches!(unit, Unit::Refused { error: TaskError::ContentRejected, .. });
    assert_eq!(units.iter().filter(refused).count(), 1);
}

#[tokio::test]
async fn a_cancel_with_a_lost_clip_is_not_free() {
    for clips in all() {
        cancel_with_a_lost_one(&clips).await;
    }
}

async fn cancel_with_a_lost_one(clips: &Clips) {
    let (emulator, provider) = clips.start().await;
    emulator.world().polls(9);
    let cancel = async |id: String| provider.cancel(clips.model.to_owned(), Some(id)).await.unwrap();
    let whole = accepted(&*provider, &clips.job(2)).await;
    assert_eq!(cancel(whole.clone()).await, CancelAnswer::Free);
    assert!(whole.split(',').all(|id| emulator.world().job(id).unwrap().canceled));
    let lost = format!("{},-outcome_unknown", accepted(&*provider, &clips.job(1)).await);
    assert_eq!(cancel(lost.clone()).await, CancelAnswer::NotFree);
    // What could be taken back was.
    assert!(emulator.world().job(lost.split(',').next().unwrap()).unwrap().canceled);
    assert_eq!(provider.cancel(clips.model.to_owned(), None).await.unwrap(), CancelAnswer::NotFree);
}

#[tokio::test]
async fn a_poll_that_fails_goes_on_and_so_does_an_unknown_task() {
    for clips in all() {
        polls_that_fail(&clips).await;
    }
}

async fn polls_that_fail(clips: &Clips) {
    let (emulator, provider) = clips.start().await;
    emulator.world().polls(1);
    let job = clips.job(2);
    let ids = accepted(&*provider, &job).await;
    let pending = provider.poll(job.clone(), ids.clone(), go_on()).await.unwrap();
    assert!(matches!(pending, PollAnswer::Pending { .. }), "{pending:?}");
    // Nobody listens, somebody hangs up, and the key is gone: three networks, one task.
    for base_url in [nobody().await, hangs_up().await] {
        let away = (clips.make)(VendorSettings { base_url, ..settings(&emulator) }).unwrap();
        let failed = away.poll(job.clone(), ids.clone(), go_on()).await;
        let goes_on = |error: &ProviderError| {
            matches!(error, ProviderError::NotNow { .. } | ProviderError::Ambiguous { .. })
        };
        assert!(failed.as_ref().is_err_and(goes_on), "{failed:?}");
    }
    let keyless = VendorSettings { api_key: ApiKey::new(""), ..settings(&emulator) };
    let failed = (clips.make)(keyless).unwrap().poll(job.clone(), ids.clone(), go_on()).await;
    assert!(matches!(failed, Err(ProviderError::NotNow { .. })), "{failed:?}");
    let done = provider.poll(job.clone(), ids, go_on()).await.unwrap();
    let PollAnswer::Finished { units, .. } = done else { panic!("{done:?}") };
    assert!(units.len() == 2 && units.iter().all(|unit| matches!(unit, Unit::Delivered(_))), "{units:?}");
    let unknown = provider.poll(job, format!("{}99", clips.id), go_on()).await;
    assert!(matches!(unknown, Err(ProviderError::NotNow { .. })), "{unknown:?}");
}
