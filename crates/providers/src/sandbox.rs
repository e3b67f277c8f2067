//! The provider that needs no vendor: real files made offline, and outcomes forced by triggers in prompts.
//!
//! Invariant: the same job gives the same bytes, however often it is submitted or polled; it keeps nothing
//! about jobs in memory, so a restart forgets none. Not here: which accounts may use it (test ones, always
//! and only), codecs.

mod pace;
mod prepared;
mod render;
mod trigger;

pub use trigger::{Trigger, triggers};

use crate::{
    Ambiguity, CancelAnswer, Job, OnProgress, OutputSource, PollAnswer, Provider, ProviderError,
    SubmitAnswer, TaskError, Unit,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use pace::{MAX_POLL_AFTER_MS, Ready, pause_ms, progress};
use prepared::{Prepared, Shape};
use render::{Kitchen, Order, failed};
use std::{borrow::Cow, sync::Arc};
use trigger::Triggers;

/// What the operator decides about the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxSettings {
    /// Renders at once; large ones count for several. At least one.
    pub max_parallel_renders: usize,
    /// Whether prompts are searched for triggers.
    pub triggers: bool,
    /// Whether `[[crash]]` ends this process; only for tests of a worker's death.
    pub allow_crash: bool,
}

/// Jobs in hand for each render that may run: enough that quick ones never wait for a claim.
const JOBS_PER_RENDER: usize = 4;

/// The sandbox as a provider.
pub struct Sandbox {
    settings: SandboxSettings,
    kitchen: Kitchen,
    prepared: Arc<Prepared>,
}

impl Sandbox {
    /// A sandbox with nothing prepared.
    #[must_use]
    pub fn new(settings: SandboxSettings) -> Self {
        let kitchen = Kitchen::new(settings.max_parallel_renders);
        Self { settings, kitchen, prepared: Arc::default() }
    }

    fn triggers<'a>(&self, job: &'a Job) -> (Triggers, Cow<'a, str>) {
        if self.settings.triggers {
            trigger::parse(&job.prompt)
        } else {
            (Triggers::default(), Cow::Borrowed(&job.prompt))
        }
    }

    async fn submit_job(&self, job: Job, on_progress: OnProgress) -> Result<SubmitAnswer, ProviderError> {
        let (triggers, prompt) = self.triggers(&job);
        if triggers.ambiguous {
            let message = "the answer to the submission was lost, as the prompt asked".to_owned();
            return Err(ProviderError::Ambiguous { message });
        }
        if triggers.timeout {
            let provider_task_id = Ready::Never.job_id(&job.nonce);
            return Ok(SubmitAnswer::Accepted { provider_task_id, poll_after_ms: MAX_POLL_AFTER_MS });
        }
        let total_ms = i64::from(triggers.slow_seconds.unwrap_or(0)) * 1_000;
        let provider_task_id = Ready::At(job.now_ms.saturating_add(total_ms)).job_id(&job.nonce);
        if triggers.slow_seconds.is_some() {
            let poll_after_ms = pause_ms(total_ms, total_ms);
            return Ok(SubmitAnswer::Accepted { provider_task_id, poll_after_ms });
        }
        let units = self.finish(&job, triggers, prompt.into_owned(), on_progress).await?;
        Ok(SubmitAnswer::Finished { provider_task_id: Some(provider_task_id), units, cost: None })
    }

    async fn poll_job(
        &self,
        job: Job,
        id: &str,
        on_progress: OnProgress,
    ) -> Result<PollAnswer, ProviderError> {
        let ready_ms = match Ready::of_job(id) {
            Some(Ready::At(ready_ms)) => ready_ms,
            Some(Ready::Never) => {
                return Ok(PollAnswer::Pending { poll_after_ms: MAX_POLL_AFTER_MS, progress: None });
            }
            None => return Err(failed("the sandbox gave no such job id".to_owned())),
        };
        let (triggers, prompt) = self.triggers(&job);
        let remaining_ms = ready_ms.saturating_sub(job.now_ms);
        if remaining_ms > 0 {
            let total_ms = i64::from(triggers.slow_seconds.unwrap_or(0)) * 1_000;
            let poll_after_ms = pause_ms(remaining_ms, total_ms);
            return Ok(PollAnswer::Pending { poll_after_ms, progress: progress(remaining_ms, total_ms) });
        }
        let units = self.finish(&job, triggers, prompt.into_owned(), on_progress).await?;
        Ok(PollAnswer::Finished { units, cost: None })
    }

    /// The outcome of a job whose time has come.
    async fn finish(
        &self,
        job: &Job,
        triggers: Triggers,
        prompt: String,
        on_progress: OnProgress,
    ) -> Result<Vec<Unit>, ProviderError> {
        if triggers.crash && self.settings.allow_crash {
            std::process::abort();
        }
        if triggers.reject {
            let message = "the sandbox rejected the content, as the prompt asked".to_owned();
            return Err(ProviderError::Refused { error: TaskError::ContentRejected, message, cost: None });
        }
        if triggers.fail || triggers.crash {
            return Err(failed("the sandbox failed, as the prompt asked".to_owned()));
        }
        let count = triggers.partial.unwrap_or(job.count).min(job.count);
        let order = Order {
            product: job.product,
            prompt,
            seed: job.seed,
            width: job.width,
            height: job.height,
            duration_ms: job.duration_ms,
            format: triggers.format,
            count,
            input_images: job.input_images.clone(),
        };
        let files = if count == 0 {
            Vec::new()
        } else if triggers.instant {
            self.prepared_files(order, on_progress).await?
        } else {
            self.kitchen.cook(order, on_progress, render::files).await?
        };
        Ok(units(files, job.count))
    }

    /// The prepared file once for each unit; made at the first call of its shape.
    async fn prepared_files(
        &self,
        order: Order,
        on_progress: OnProgress,
    ) -> Result<Vec<Bytes>, ProviderError> {
        let count = usize::try_from(order.count).unwrap_or(usize::MAX);
        let file = if let Some(file) = self.prepared.get(&Shape::of(&order)) {
            file
        } else {
            let prepared = Arc::clone(&self.prepared);
            self.kitchen
                .cook(order, on_progress, move |order, pulse| prepared.get_or_make(order, pulse))
                .await?
        };
        Ok(vec![file; count])
    }
}

impl Provider for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    fn capacity(&self) -> usize {
        self.settings.max_parallel_renders.max(1) * JOBS_PER_RENDER
    }

    /// Renders are deterministic, so sending a job again is harmless.
    fn ambiguity(&self, _vendor_model: &str) -> Ambiguity {
        Ambiguity::Key
    }

    fn submit(
        &self,
        job: Job,
        on_progress: OnProgress,
    ) -> BoxFuture<'_, Result<SubmitAnswer, ProviderError>> {
        Box::pin(self.submit_job(job, on_progress))
    }

    /// It renders when the job's time has come.
    fn poll_needs_inputs(&self, provider_task_id: &str, now_ms: i64) -> bool {
        matches!(Ready::of_job(provider_task_id), Some(Ready::At(ready_ms)) if ready_ms <= now_ms)
    }

    fn poll(
        &self,
        job: Job,
        provider_task_id: String,
        on_progress: OnProgress,
    ) -> BoxFuture<'_, Result<PollAnswer, ProviderError>> {
        Box::pin(async move { self.poll_job(job, &provider_task_id, on_progress).await })
    }

    /// Nobody is billed for a render, finished or not; one that runs stops when its progress is refused.
    fn cancel(
        &self,
        _vendor_model: String,
        _provider_task_id: Option<String>,
    ) -> BoxFuture<'_, Result<CancelAnswer, ProviderError>> {
        Box::pin(std::future::ready(Ok(CancelAnswer::Free)))
    }
}

/// The files in order, and a refusal for each unit without one.
fn units(files: Vec<Bytes>, count: u32) -> Vec<Unit> {
    let mut units: Vec<Unit> =
        files.into_iter().map(|file| Unit::Delivered(OutputSource::Bytes(file))).collect();
    let refused = Unit::Refused {
        error: TaskError::ContentRejected,
        message: "the sandbox rejected this unit, as the prompt asked".to_owned(),
    };
    units.resize(usize::try_from(count).unwrap_or(0), refused);
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Limits, Media, inspect};
    use rynjer_core::catalog::{Mode, Product};
    use std::sync::Mutex;

    const NOW_MS: i64 = 1_770_000_000_000;
    const LIMITS: Limits = Limits { max_bytes: 1 << 24, max_pixels: 1 << 20 };

    fn sandbox() -> Sandbox {
        Sandbox::new(SandboxSettings { max_parallel_renders: 2, triggers: true, allow_crash: false })
    }

    fn job(prompt: &str, count: u32) -> Job {
        Job {
            nonce: "n1".to_owned(),
            now_ms: NOW_MS,
            product: Product::Image,
            mode: Mode::TextToImage,
            vendor_model: "sandbox".to_owned(),
            prompt: prompt.to_owned(),
            negative_prompt: None,
            count,
            width: 128,
            height: 96,
            duration_ms: 0,
            aspect_ratio: None,
            resolution: None,
            seed: 5,
            input_images: Vec::new(),
            end_user: String::new(),
            is_over: false,
            callback_url: None,
        }
    }

    fn go_on() -> OnProgress {
        Arc::new(|_| true)
    }

    async fn finished(sandbox: &Sandbox, job: Job) -> Vec<Unit> {
        match sandbox.submit(job, go_on()).await.unwrap() {
            SubmitAnswer::Finished { provider_task_id, units, .. } => {
                assert_eq!(provider_task_id.as_deref(), Some("sbx_1770000000000_n1"));
                units
            }
            SubmitAnswer::Accepted { .. } => panic!("not finished at once"),
        }
    }

    fn file(unit: &Unit) -> &Bytes {
        match unit {
            Unit::Delivered(OutputSource::Bytes(file)) => file,
            other => panic!("{other:?}"),
        }
    }

    fn media(unit: &Unit) -> Media {
        inspect(file(unit), &LIMITS).unwrap()
    }

    /// One letter for each unit: delivered or refused.
    fn letters(units: &[Unit]) -> String {
        let letter = |unit: &Unit| match unit {
            Unit::Delivered(_) => 'd',
            Unit::Refused { error: TaskError::ContentRejected, .. } => 'r',
            Unit::Refused { .. } | Unit::Lost { .. } => '?',
        };
        units.iter().map(letter).collect()
    }

    #[tokio::test]
    async fn pictures_differ_by_index_and_repeat_by_seed() {
        let units = finished(&sandbox(), job("a red fox", 4)).await;
        assert_eq!(units.len(), 4);
        for (index, unit) in units.iter().enumerate() {
            let media = media(unit);
            assert_eq!((media.mime, media.width, media.height), ("image/png", Some(128), Some(96)));
            assert!(units.iter().skip(index + 1).all(|other| file(other) != file(unit)));
        }
        let again = finished(&sandbox(), job("a red fox", 1)).await;
        assert_eq!(file(&again[0]), file(&units[0]));
        let with_trigger = finished(&sandbox(), job("a red fox [[format=png]]", 1)).await;
        assert_eq!(file(&with_trigger[0]), file(&units[0]));
        let second = finished(&sandbox(), Job { seed: 6, ..job("a red fox", 1) }).await;
        assert_eq!(file(&second[0]), file(&units[1]));
    }

    #[tokio::test]
    async fn formats_are_as_asked() {
        let video = Job { product: Product::Video, duration_ms: 500, ..job("a fox", 1) };
        let music =
            |prompt| Job { product: Product::Music, width: 0, height: 0, duration_ms: 700, ..job(prompt, 1) };
        let table = [
            (job("[[format=jpeg]]", 1), "image/jpeg", None),
            (job("[[format=webp]]", 1), "image/webp", None),
            (job("[[format=wav]]", 1), "image/png", None),
            (video, "video/mp4", Some(500)),
            (music("a song"), "audio/flac", Some(700)),
            (music("[[format=wav]]"), "audio/wav", Some(700)),
        ];
        for (job, mime, duration_ms) in table {
            let (width, height) = (job.width, job.height);
            let media = media(&finished(&sandbox(), job).await[0]);
            assert_eq!((media.mime, media.duration_ms), (mime, duration_ms));
            assert_eq!((media.width.unwrap_or(0), media.height.unwrap_or(0)), (width, height));
        }
    }

    /// An input picture of one colour, that may not decode.
    fn input(colour: [u8; 3], keep_bytes: usize) -> crate::InputImage {
        let mut file = std::io::Cursor::new(Vec::new());
        let picture = image::RgbImage::from_pixel(64, 48, image::Rgb(colour));
        picture.write_to(&mut file, image::ImageFormat::Png).unwrap();
        let mut bytes = file.into_inner();
        bytes.truncate(keep_bytes);
        crate::InputImage { bytes: bytes.into(), mime: "image/png", width: 64, height: 48, url: None }
    }

    #[tokio::test]
    async fn outputs_come_from_input_pictures() {
        let with = |colour| Job { input_images: vec![input(colour, usize::MAX)], ..job("a fox", 2) };
        let red = finished(&sandbox(), with([230, 20, 20])).await;
        let shown = image::load_from_memory(file(&red[0])).unwrap().into_rgb8();
        assert_eq!(shown.dimensions(), (128, 96));
        let image::Rgb([r, g, b]) = *shown.get_pixel(30, 30);
        assert!(r > 150 && g < 120 && b < 120, "{r} {g} {b}");
        assert_ne!(file(&red[0]), file(&red[1]));
        assert_eq!(file(&finished(&sandbox(), with([230, 20, 20])).await[0]), file(&red[0]));
        assert_ne!(file(&finished(&sandbox(), with([20, 20, 230])).await[0]), file(&red[0]));
        assert_ne!(file(&finished(&sandbox(), job("a fox", 2)).await[0]), file(&red[0]));
        let clip = Job { product: Product::Video, duration_ms: 200, count: 1, ..with([230, 20, 20]) };
        let media = media(&finished(&sandbox(), clip).await[0]);
        assert_eq!((media.mime, media.width, media.duration_ms), ("video/mp4", Some(128), Some(200)));
    }

    #[tokio::test]
    async fn an_input_that_does_not_decode_is_rejected() {
        for product in [Product::Image, Product::Video] {
            let input_images = vec![input([9, 9, 9], usize::MAX), input([9, 9, 9], 60)];
            let job = Job { product, duration_ms: 200, input_images, ..job("secret", 1) };
            let error = sandbox().submit(job, go_on()).await.unwrap_err();
            assert!(
                matches!(&error, ProviderError::Refused { error: TaskError::InputRejected, .. }),
                "{error}"
            );
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[tokio::test]
    async fn forced_errors_never_show_the_prompt() {
        let table = [
            (
                "[[reject]]",
                "refused: the sandbox rejected the content, as the prompt asked",
                Some("content_rejected"),
            ),
            ("[[fail]]", "refused: the sandbox failed, as the prompt asked", Some("provider_failed")),
            ("[[crash]]", "refused: the sandbox failed, as the prompt asked", Some("provider_failed")),
            (
                "[[ambiguous]]",
                "unknown outcome: the answer to the submission was lost, as the prompt asked",
                None,
            ),
        ];
        for (trigger, text, code) in table {
            let error = sandbox().submit(job(&format!("secret {trigger}"), 1), go_on()).await.unwrap_err();
            let found = match &error {
                ProviderError::Refused { error, .. } => Some(error.code()),
                _ => None,
            };
            assert_eq!((error.to_string().as_str(), found), (text, code));
        }
        let too_small = Job { width: 0, ..job("secret", 1) };
        let error = sandbox().submit(too_small, go_on()).await.unwrap_err();
        assert!(matches!(&error, ProviderError::Refused { error: TaskError::ProviderFailed, .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn triggers_can_be_off() {
        let off =
            Sandbox::new(SandboxSettings { max_parallel_renders: 1, triggers: false, allow_crash: true });
        for prompt in ["[[reject]]", "[[slow=5]]", "[[crash]]"] {
            assert_eq!(letters(&finished(&off, job(prompt, 1)).await), "d", "{prompt}");
        }
    }

    #[tokio::test]
    async fn parts_of_a_task() {
        for (partial, expected) in [(0, "rrrr"), (1, "drrr"), (3, "dddr"), (4, "dddd"), (9, "dddd")] {
            let prompt = format!("a fox [[partial={partial}]]");
            assert_eq!(letters(&finished(&sandbox(), job(&prompt, 4)).await), expected);
        }
        let instant = finished(&sandbox(), job("[[partial=1]] [[instant]]", 2)).await;
        assert_eq!(letters(&instant), "dr");
    }

    async fn accepted(sandbox: &Sandbox, job: Job) -> (String, u32) {
        match sandbox.submit(job, go_on()).await.unwrap() {
            SubmitAnswer::Accepted { provider_task_id, poll_after_ms } => (provider_task_id, poll_after_ms),
            SubmitAnswer::Finished { .. } => panic!("finished at once"),
        }
    }

    async fn pending(sandbox: &Sandbox, job: Job, id: &str) -> (u32, Option<f32>) {
        match sandbox.poll(job, id.to_owned(), go_on()).await.unwrap() {
            PollAnswer::Pending { poll_after_ms, progress } => (poll_after_ms, progress),
            PollAnswer::Finished { .. } => panic!("finished"),
        }
    }

    #[tokio::test]
    async fn a_slow_job_ends_when_its_time_has_come() {
        let sandbox = sandbox();
        let job = job("a fox [[slow=10]]", 2);
        let (id, poll_after_ms) = accepted(&sandbox, job.clone()).await;
        assert_eq!((id.as_str(), poll_after_ms), ("sbx_1770000010000_n1", 1_000));
        let at = |after_ms: i64| Job { now_ms: NOW_MS + after_ms, ..job.clone() };
        assert_eq!(pending(&sandbox, at(0), &id).await, (1_000, Some(0.0)));
        assert_eq!(pending(&sandbox, at(2_500), &id).await, (1_000, Some(0.25)));
        assert_eq!(pending(&sandbox, at(9_999), &id).await, (1, Some(0.99)));
        let answer = sandbox.poll(at(10_000), id.clone(), go_on()).await.unwrap();
        let PollAnswer::Finished { units, .. } = answer else { panic!("still pending") };
        assert_eq!(letters(&units), "dd");
        let at_once = finished(&sandbox, Job { prompt: "a fox".to_owned(), ..job.clone() }).await;
        assert_eq!(file(&units[0]), file(&at_once[0]));
        let zero = Job { prompt: "[[slow=0]]".to_owned(), ..job };
        assert_eq!(accepted(&sandbox, zero).await, ("sbx_1770000000000_n1".to_owned(), 0));
    }

    #[tokio::test]
    async fn a_slow_job_can_fail_late() {
        let job = Job { now_ms: NOW_MS + 1_000, ..job("[[slow=1]] [[reject]]", 1) };
        let error = sandbox().poll(job, "sbx_1770000001000".to_owned(), go_on()).await.unwrap_err();
        assert!(matches!(error, ProviderError::Refused { error: TaskError::ContentRejected, .. }));
    }

    #[tokio::test]
    async fn a_timed_out_job_never_ends() {
        let sandbox = sandbox();
        let job = job("[[timeout]]", 1);
        let (id, poll_after_ms) = accepted(&sandbox, job.clone()).await;
        assert_eq!((id.as_str(), poll_after_ms), ("sbx_never_n1", 5_000));
        let years_later = Job { now_ms: i64::MAX, ..job };
        assert_eq!(pending(&sandbox, years_later, &id).await, (5_000, None));
    }

    #[tokio::test]
    async fn foreign_job_ids_are_refused() {
        for id in ["", "abc", "sbx_", "sbx_x_n1", "sbx_99999999999999999999"] {
            let error = sandbox().poll(job("a fox", 1), id.to_owned(), go_on()).await.unwrap_err();
            assert_eq!(error.to_string(), "refused: the sandbox gave no such job id", "{id}");
        }
    }

    #[tokio::test]
    async fn prepared_files_are_made_once() {
        let sandbox = sandbox();
        let first = finished(&sandbox, job("a fox [[instant]]", 2)).await;
        let media = media(&first[0]);
        assert_eq!((media.mime, media.width, media.height), ("image/png", Some(128), Some(96)));
        let second = finished(&sandbox, Job { seed: 9, ..job("a cat [[instant]]", 1) }).await;
        let addresses = [&first[0], &first[1], &second[0]].map(|unit| file(unit).as_ptr());
        assert_eq!(addresses, [addresses[0]; 3]);
        let clip = Job { product: Product::Video, duration_ms: 500, ..job("[[instant]]", 1) };
        let clips = [finished(&sandbox, clip.clone()).await, finished(&sandbox, clip).await];
        assert_eq!(file(&clips[0][0]).as_ptr(), file(&clips[1][0]).as_ptr());
    }

    #[tokio::test]
    async fn progress_rises_and_a_refusal_to_go_on_stops() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let on_progress: OnProgress = Arc::new(move |share| {
            let mut seen = noted.lock().unwrap();
            seen.push(share);
            seen.len() < 3
        });
        let error = sandbox().submit(job("a fox", 8), on_progress).await.unwrap_err();
        assert_eq!(error.to_string(), "not now: the render was asked to stop");
        assert_eq!(*seen.lock().unwrap(), vec![0.0, 0.125, 0.25]);
    }
}
