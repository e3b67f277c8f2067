//! Renders off the async threads: how much each may weigh, how it is stopped, and which file it makes.
//!
//! Invariant: the permits of running renders never exceed the total, and a render keeps its permits until its
//! thread is done, also when nobody waits for it any more. Not here: triggers, answers to the task engine,
//! codecs.
//!
//! The bound: a permit stands for [`PERMIT_PIXELS`] pixels, which cost a picture about 30 MB while it is
//! encoded, and about 55 MB with the other finished files of an order of eight. Larger renders take more
//! permits, and all of them where the total is too small, so memory stays under the total times 55 MB or the
//! cost of the single largest order, whichever is more. Files that were handed over are the caller's to
//! bound.

use super::trigger::Format;
use crate::{InputImage, OnProgress, ProviderError, TaskError};
use bytes::Bytes;
use rynjer_core::catalog::Product;
use rynjer_sandbox::{Clip, MusicFormat, Photo, Picture, PictureFormat, RenderError, Song};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::Semaphore;

/// Pixels that one permit stands for.
const PERMIT_PIXELS: u64 = 4 << 20;

/// A video encoder keeps reference frames, scaled copies and the file beside the frame that it works on.
const CLIP_FRAMES: u64 = 4;

/// A second of stereo music as samples of 32 bits costs as much as so many pixels.
const SONG_SECOND_PIXELS: u64 = 40_000;

/// Everything that decides the bytes of the files.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) product: Product,
    pub(super) prompt: String,
    pub(super) seed: u64,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) duration_ms: u32,
    pub(super) format: Option<Format>,
    /// Files to make; each of its own seed.
    pub(super) count: u32,
    /// What pictures and clips are made from; a scene of the sandbox's own if there is none.
    pub(super) input_images: Vec<InputImage>,
}

/// The picture format of an order; PNG where it asks for none.
pub(super) fn picture_format(format: Option<Format>) -> PictureFormat {
    match format {
        Some(Format::Jpeg) => PictureFormat::Jpeg,
        Some(Format::Webp) => PictureFormat::Webp,
        Some(Format::Png | Format::Flac | Format::Wav) | None => PictureFormat::Png,
    }
}

fn music_format(format: Option<Format>) -> MusicFormat {
    if format == Some(Format::Wav) { MusicFormat::Wav } else { MusicFormat::Flac }
}

impl Order {
    /// Permits of the render, at most `total`.
    fn weight(&self, total: u32) -> u32 {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let cost = match self.product {
            Product::Image => pixels.max(self.largest_input_pixels()),
            Product::Video => pixels.saturating_mul(CLIP_FRAMES).max(self.largest_input_pixels()),
            Product::Music => u64::from(self.duration_ms).div_ceil(1_000) * SONG_SECOND_PIXELS,
        };
        u32::try_from(cost.div_ceil(PERMIT_PIXELS)).unwrap_or(u32::MAX).clamp(1, total)
    }

    /// Inputs are decoded one after the other, so the largest one counts.
    fn largest_input_pixels(&self) -> u64 {
        let pixels = self.input_images.iter().map(|image| u64::from(image.width) * u64::from(image.height));
        pixels.max().unwrap_or(0)
    }

    /// The inputs, decoded once for all files of the order.
    fn photo(&self) -> Result<Option<Photo>, RenderError> {
        if self.input_images.is_empty() || self.product == Product::Music {
            return Ok(None);
        }
        let files: Vec<&[u8]> = self.input_images.iter().map(|image| image.bytes.as_ref()).collect();
        Photo::of(&files, self.width, self.height).map(Some)
    }

    /// Makes the file of one index.
    fn file(
        &self,
        photo: Option<&Photo>,
        index: u32,
        on_progress: rynjer_sandbox::OnProgress<'_>,
    ) -> Result<Vec<u8>, RenderError> {
        let (prompt, seed) = (self.prompt.as_str(), self.seed.wrapping_add(u64::from(index)));
        let (width, height, milliseconds) = (self.width, self.height, self.duration_ms);
        match self.product {
            Product::Image => {
                let format = picture_format(self.format);
                let picture = Picture { prompt, seed, width, height, format };
                match photo {
                    Some(photo) => rynjer_sandbox::picture_from(&picture, photo),
                    None => rynjer_sandbox::picture(&picture),
                }
            }
            Product::Video => {
                let clip = Clip { prompt, seed, width, height, milliseconds };
                match photo {
                    Some(photo) => rynjer_sandbox::clip_from(&clip, photo, on_progress),
                    None => rynjer_sandbox::clip(&clip, on_progress),
                }
            }
            Product::Music => {
                let format = music_format(self.format);
                rynjer_sandbox::song(&Song { prompt, seed, milliseconds, format }, on_progress)
            }
        }
    }
}

/// Says whether a render should go on; gets its finished share, 0.0 to 1.0.
pub(super) struct Pulse {
    on_progress: OnProgress,
    is_abandoned: Arc<AtomicBool>,
    is_stopped: AtomicBool,
}

impl Pulse {
    /// Reports progress; false from the moment when the caller asked to stop or went away.
    pub(super) fn beat(&self, share: f32) -> bool {
        if self.is_abandoned.load(Ordering::Relaxed) || !(self.on_progress)(share) {
            self.is_stopped.store(true, Ordering::Relaxed);
        }
        !self.is_stopped.load(Ordering::Relaxed)
    }
}

/// Makes all files of an order, one after the other.
pub(super) fn files(order: &Order, pulse: &Pulse) -> Result<Vec<Bytes>, RenderError> {
    let mut made = Vec::new();
    let photo = order.photo()?;
    for index in 0..order.count {
        // Pictures report nothing while they are made, so the pulse is felt before each.
        let share_of_all = |share: f32| (small(index) + share) / small(order.count);
        if !pulse.beat(share_of_all(0.0)) {
            return Err(RenderError::Unsupported("stopped".to_owned()));
        }
        made.push(Bytes::from(order.file(photo.as_ref(), index, &|share| pulse.beat(share_of_all(share)))?));
    }
    Ok(made)
}

/// A number of units as a fraction's part; counts beyond 65,535 only blur the progress.
fn small(count: u32) -> f32 {
    u16::try_from(count).map_or(f32::from(u16::MAX), f32::from)
}

/// The threads' share that renders may use.
pub(super) struct Kitchen {
    permits: Arc<Semaphore>,
    total: u32,
}

/// Raises its flag when the waiting future ends or is dropped.
struct AbandonOnDrop(Arc<AtomicBool>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Kitchen {
    /// A kitchen of so many permits, at least one.
    pub(super) fn new(max_parallel_renders: usize) -> Self {
        let total = u32::try_from(max_parallel_renders.clamp(1, 1 << 16)).unwrap_or(1);
        let permits = usize::try_from(total).unwrap_or(1);
        Self { permits: Arc::new(Semaphore::new(permits)), total }
    }

    /// Waits for permits, runs `make` on a thread for blocking work, and stops it soon when this future is
    /// dropped.
    pub(super) async fn cook<T, F>(
        &self,
        order: Order,
        on_progress: OnProgress,
        make: F,
    ) -> Result<T, ProviderError>
    where
        T: Send + 'static,
        F: FnOnce(&Order, &Pulse) -> Result<T, RenderError> + Send + 'static,
    {
        let weight = order.weight(self.total);
        let Ok(permits) = Arc::clone(&self.permits).acquire_many_owned(weight).await else {
            return Err(not_now("the sandbox is closed"));
        };
        let is_abandoned = Arc::new(AtomicBool::new(false));
        let _abandon = AbandonOnDrop(Arc::clone(&is_abandoned));
        let render = tokio::task::spawn_blocking(move || {
            let pulse = Pulse { on_progress, is_abandoned, is_stopped: AtomicBool::new(false) };
            let made = make(&order, &pulse);
            let is_stopped = pulse.is_stopped.load(Ordering::Relaxed);
            // The thread itself gives the permits back: a dropped future doesn't end it at once.
            drop(permits);
            (made, is_stopped)
        });
        match render.await {
            Ok((Ok(made), _)) => Ok(made),
            Ok((Err(_), true)) => Err(not_now("the render was asked to stop")),
            Ok((Err(error @ RenderError::Input(_)), false)) => Err(ProviderError::Refused {
                error: TaskError::InputRejected,
                message: error.to_string(),
                cost: None,
            }),
            Ok((Err(error), false)) => Err(failed(error.to_string())),
            Err(join) if join.is_panic() => Err(failed("the renderer broke".to_owned())),
            Err(_) => Err(not_now("the process is stopping")),
        }
    }
}

fn not_now(message: &str) -> ProviderError {
    ProviderError::NotNow { retry_after_ms: None, message: message.to_owned() }
}

pub(super) fn failed(message: String) -> ProviderError {
    ProviderError::Refused { error: TaskError::ProviderFailed, message, cost: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::sync::mpsc;

    fn order(product: Product, width: u32, height: u32, duration_ms: u32) -> Order {
        let prompt = "a fox".to_owned();
        Order {
            product,
            prompt,
            seed: 7,
            width,
            height,
            duration_ms,
            format: None,
            count: 1,
            input_images: vec![],
        }
    }

    fn go_on() -> OnProgress {
        Arc::new(|_| true)
    }

    #[test]
    fn weights_follow_size() {
        let table = [
            (order(Product::Image, 16, 16, 0), 1),
            (order(Product::Image, 2_048, 2_048, 0), 1),
            (order(Product::Image, 2_048, 2_064, 0), 2),
            (order(Product::Image, 4_096, 4_096, 0), 4),
            (order(Product::Image, 8_192, 8_192, 0), 8),
            (order(Product::Image, u32::MAX, u32::MAX, 0), 8),
            (order(Product::Image, 0, 0, 0), 1),
            (order(Product::Video, 1_280, 720, 5_000), 1),
            (order(Product::Video, 1_920, 1_080, 5_000), 2),
            (order(Product::Video, 3_840, 2_160, 5_000), 8),
            (order(Product::Music, 0, 0, 60_000), 1),
            (order(Product::Music, 0, 0, 240_000), 3),
        ];
        let input =
            InputImage { bytes: Bytes::new(), mime: "image/png", width: 5_000, height: 5_000, url: None };
        let from_input = Order { input_images: vec![input], ..order(Product::Image, 16, 16, 0) };
        assert_eq!(from_input.weight(8), 6);
        for (order, weight) in table {
            assert_eq!(order.weight(8), weight, "{order:?}");
            assert_eq!(order.weight(1), 1, "{order:?}");
        }
    }

    #[tokio::test]
    async fn permits_bound_what_runs() {
        let kitchen = Kitchen::new(2);
        let (release, held) = mpsc::channel::<()>();
        let big = kitchen.cook(order(Product::Image, 4_096, 4_096, 0), go_on(), move |_, _| {
            let _ = held.recv();
            Ok(1)
        });
        let mut big = Box::pin(big);
        assert!(big.as_mut().now_or_never().is_none());
        assert_eq!(kitchen.permits.available_permits(), 0);
        let mut small = Box::pin(kitchen.cook(order(Product::Image, 16, 16, 0), go_on(), |_, _| Ok(2)));
        assert!(small.as_mut().now_or_never().is_none());
        release.send(()).unwrap();
        assert_eq!((big.await.unwrap(), small.await.unwrap()), (1, 2));
        assert_eq!(kitchen.permits.available_permits(), 2);
    }

    #[tokio::test]
    async fn a_dropped_future_stops_the_render_and_frees_its_permit() {
        let kitchen = Kitchen::new(1);
        let (started, has_started) = mpsc::channel();
        let (stopped, has_stopped) = mpsc::channel();
        let endless = kitchen.cook(order(Product::Image, 16, 16, 0), go_on(), move |_, pulse| {
            started.send(()).unwrap();
            while pulse.beat(0.0) {
                std::thread::yield_now();
            }
            stopped.send(()).unwrap();
            Ok(0)
        });
        let mut endless = Box::pin(endless);
        assert!(endless.as_mut().now_or_never().is_none());
        has_started.recv().unwrap();
        assert_eq!(kitchen.permits.available_permits(), 0);
        drop(endless);
        has_stopped.recv().unwrap();
        let next = kitchen.cook(order(Product::Image, 16, 16, 0), go_on(), |_, _| Ok(3)).await;
        assert_eq!(next.unwrap(), 3);
    }

    #[tokio::test]
    async fn trouble_becomes_an_answer() {
        let kitchen = Kitchen::new(0);
        let tiny = || order(Product::Image, 16, 16, 0);
        let broken = kitchen
            .cook::<(), _>(tiny(), go_on(), |_, _| Err(RenderError::Encoder("no memory".to_owned())))
            .await
            .unwrap_err();
        assert_eq!(broken.to_string(), "refused: encoder failed: no memory");
        let panicked = kitchen.cook::<(), _>(tiny(), go_on(), |_, _| panic!("on purpose")).await.unwrap_err();
        assert_eq!(panicked.to_string(), "refused: the renderer broke");
        let stopped = kitchen.cook(tiny(), Arc::new(|_| false), files).await.unwrap_err();
        assert_eq!(stopped.to_string(), "not now: the render was asked to stop");
        assert_eq!(kitchen.permits.available_permits(), 1);
    }
}
