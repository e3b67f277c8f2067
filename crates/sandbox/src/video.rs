//! Clips as H.264 in MP4: one thread paints frames, the caller's thread encodes them.
//!
//! Invariant: the frames' durations add up to exactly the asked milliseconds, and at most four frames are
//! held. Not here: what the frames show, the container's boxes.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, Complexity, EncodedBitStream, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod,
    Profile, QpRange, RateControlMode, VuiConfig,
};
use openh264::formats::YUVSource;

use crate::canvas::Row;
use crate::mark::Mark;
use crate::mp4_file::Mp4File;
use crate::noise::{cell, mix};
use crate::number::byte;
use crate::photo::{Photo, PhotoScene};
use crate::scene::Scene;
use crate::theme::Theme;
use crate::{Clip, OnProgress, RenderError};

const FRAMES_PER_SECOND: u32 = 24;
const TICKS_PER_FRAME: u32 = 1_000;
const TICKS_PER_MILLISECOND: u32 = 24;
const LONGEST_MS: u32 = 120_000;
/// The encoder's limits for the longer and the shorter side.
const LONGEST_SIDE: u32 = 3_840;
const LONGEST_SHORT_SIDE: u32 = 2_160;

/// Renders and encodes a clip.
pub(crate) fn render(
    spec: &Clip<'_>,
    photo: Option<&Photo>,
    on_progress: OnProgress<'_>,
) -> Result<Vec<u8>, RenderError> {
    check(spec)?;
    if photo.is_some_and(|photo| photo.size() != (spec.width, spec.height)) {
        return Err(RenderError::Unsupported("a photo of another size".to_owned()));
    }
    let frames = (spec.milliseconds * FRAMES_PER_SECOND / 1_000).max(1);
    std::thread::scope(|scope| {
        let (painted, received) = sync_channel::<Frame>(2);
        let (returned, reused) = sync_channel::<Frame>(4);
        scope.spawn(move || paint_all(spec, photo, frames, &painted, &reused));
        encode_all(spec, frames, &received, &returned, on_progress)
    })
}

fn check(spec: &Clip<'_>) -> Result<(), RenderError> {
    let (long, short) = (spec.width.max(spec.height), spec.width.min(spec.height));
    let even = spec.width.is_multiple_of(2) && spec.height.is_multiple_of(2);
    if !even || short < 16 || long > LONGEST_SIDE || short > LONGEST_SHORT_SIDE {
        return Err(RenderError::Unsupported(format!("a clip of {}x{} pixels", spec.width, spec.height)));
    }
    if spec.milliseconds == 0 || spec.milliseconds > LONGEST_MS {
        return Err(RenderError::Unsupported(format!("a clip of {} ms", spec.milliseconds)));
    }
    Ok(())
}

/// A frame in planes: full brightness, and two colour planes of half the size.
struct Frame {
    width: usize,
    height: usize,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl Frame {
    fn new(width: usize, height: usize) -> Self {
        let quarter = width * height / 4;
        Self { width, height, y: vec![0; width * height], u: vec![0; quarter], v: vec![0; quarter] }
    }

    /// Takes two finished rows, as the BT.709 standard asks for.
    fn put(&mut self, y: usize, rows: &[Row; 2], grain: &[f32]) {
        let width = self.width;
        for (number, row) in rows.iter().enumerate() {
            let start = (y + number) * width;
            let noise = grain.get(number * width..(number + 1) * width).unwrap_or(&[]);
            let line = self.y.get_mut(start..start + width).unwrap_or(&mut []);
            for ((((value, r), g), b), noise) in
                line.iter_mut().zip(&row.r).zip(&row.g).zip(&row.b).zip(noise)
            {
                let clip = |channel: &f32| channel.clamp(0.0, 1.0);
                *value =
                    byte(16.0 + 219.0 * (0.2126 * clip(r) + 0.7152 * clip(g) + 0.0722 * clip(b)) + noise);
            }
        }
        let start = y / 2 * (width / 2);
        let pair = |line: &[f32]| {
            line.chunks_exact(2)
                .map(|two| two.iter().map(|v| v.clamp(0.0, 1.0)).sum::<f32>())
                .collect::<Vec<f32>>()
        };
        let [upper, lower] = rows;
        let sum = |a: &[f32], b: &[f32]| {
            pair(a).into_iter().zip(pair(b)).map(|(a, b)| (a + b) * 0.25).collect::<Vec<f32>>()
        };
        let (r, g, b) = (sum(&upper.r, &lower.r), sum(&upper.g, &lower.g), sum(&upper.b, &lower.b));
        let us = self.u.get_mut(start..start + width / 2).unwrap_or(&mut []);
        let vs = self.v.get_mut(start..start + width / 2).unwrap_or(&mut []);
        for ((((u, v), r), g), b) in us.iter_mut().zip(vs).zip(&r).zip(&g).zip(&b) {
            let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
            *u = byte(128.0 + 224.0 * (b - luma) / 1.8556);
            *v = byte(128.0 + 224.0 * (r - luma) / 1.5748);
        }
    }
}

impl YUVSource for Frame {
    fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.width, self.width / 2, self.width / 2)
    }

    fn y(&self) -> &[u8] {
        &self.y
    }

    fn u(&self) -> &[u8] {
        &self.u
    }

    fn v(&self) -> &[u8] {
        &self.v
    }
}

/// What a clip shows.
enum View<'a> {
    Scene(Scene),
    Photo(PhotoScene<'a>),
}

impl View<'_> {
    fn advance(&mut self, number: u32, frames: u32) {
        match self {
            Self::Scene(scene) => scene.advance(number as f32 / FRAMES_PER_SECOND as f32),
            Self::Photo(photo) => photo.advance(number as f32 / frames as f32),
        }
    }

    fn paint(&mut self, y: usize, row: &mut Row) {
        match self {
            Self::Scene(scene) => scene.paint(y, row),
            Self::Photo(photo) => photo.paint(y, row),
        }
    }
}

/// Paints every frame in order; ends early when nobody receives any more.
fn paint_all(
    spec: &Clip<'_>,
    photo: Option<&Photo>,
    frames: u32,
    painted: &SyncSender<Frame>,
    reused: &Receiver<Frame>,
) {
    let (Ok(width), Ok(height)) = (usize::try_from(spec.width), usize::try_from(spec.height)) else { return };
    let mut view = match photo {
        Some(photo) => View::Photo(PhotoScene::of(photo, spec.prompt, spec.seed)),
        None => View::Scene(Scene::of(&Theme::of(spec.prompt, spec.seed), width, height)),
    };
    let mark = Mark::new(width, height);
    let mut rows = [Row::new(width), Row::new(width)];
    let seed = mix(0x9ea1);
    let grain: Vec<f32> = (0..2_i32)
        .flat_map(|line| (0..spec.width).map(move |x| (line, i32::try_from(x).unwrap_or(0))))
        .map(|(line, x)| (cell(seed, x * 2 + line) - 0.5) * 0.9)
        .collect();
    for number in 0..frames {
        let mut frame = reused.try_recv().unwrap_or_else(|_| Frame::new(width, height));
        view.advance(number, frames);
        for y in (0..height).step_by(2) {
            for (offset, row) in rows.iter_mut().enumerate() {
                view.paint(y + offset, row);
                mark.paint(y + offset, row);
            }
            frame.put(y, &rows, &grain);
        }
        if painted.send(frame).is_err() {
            return;
        }
    }
}

fn config(spec: &Clip<'_>) -> EncoderConfig {
    // About a quarter of a bit per pixel keeps gradients smooth; one thread keeps the bytes the same
    // everywhere.
    let bits_per_second = (spec.width * spec.height).saturating_mul(FRAMES_PER_SECOND) / 4;
    EncoderConfig::new()
        .bitrate(BitRate::from_bps(bits_per_second.clamp(300_000, 20_000_000)))
        .max_frame_rate(FrameRate::from_hz(FRAMES_PER_SECOND as f32))
        .rate_control_mode(RateControlMode::Bufferbased)
        .skip_frames(false)
        .scene_change_detect(false)
        .background_detection(false)
        .adaptive_quantization(false)
        .intra_frame_period(IntraFramePeriod::from_num_frames(FRAMES_PER_SECOND * 2))
        .qp(QpRange::new(21, 21))
        .complexity(Complexity::Low)
        .profile(Profile::High)
        .num_threads(1)
        .vui(VuiConfig::bt709())
}

fn encode_all(
    spec: &Clip<'_>,
    frames: u32,
    received: &Receiver<Frame>,
    returned: &SyncSender<Frame>,
    on_progress: OnProgress<'_>,
) -> Result<Vec<u8>, RenderError> {
    let side =
        |pixels: u32| u16::try_from(pixels).map_err(|error| RenderError::Unsupported(error.to_string()));
    let count = usize::try_from(frames).unwrap_or(usize::MAX);
    let mut file = Mp4File::new(side(spec.width)?, side(spec.height)?, count)?;
    let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config(spec)).map_err(failed)?;
    let mut ticks_left = spec.milliseconds * TICKS_PER_MILLISECOND;
    for number in 0..frames {
        let frame = received.recv().map_err(failed)?;
        let stream = encoder.encode(&frame).map_err(failed)?;
        // The last frame lasts until the asked end, so that the length is exact.
        let ticks = if number + 1 == frames { ticks_left } else { TICKS_PER_FRAME };
        ticks_left = ticks_left.saturating_sub(ticks);
        let keyframe = matches!(stream.frame_type(), FrameType::IDR);
        write_units(&stream, &mut file)?;
        file.end_frame(keyframe, ticks)?;
        // A full return lane only means that the frame is freed instead of reused.
        let _ = returned.try_send(frame);
        if !on_progress((number + 1) as f32 / frames as f32) {
            return Err(RenderError::Unsupported("stopped".to_owned()));
        }
    }
    file.finish()
}

fn failed(error: impl std::fmt::Display) -> RenderError {
    RenderError::Encoder(error.to_string())
}

/// Hands the units of a frame over without their start codes.
fn write_units(stream: &EncodedBitStream<'_>, file: &mut Mp4File) -> Result<(), RenderError> {
    for number in 0..stream.num_layers() {
        let Some(layer) = stream.layer(number) else { continue };
        for position in 0..layer.nal_count() {
            let Some(unit) = layer.nal_unit(position) else { continue };
            let zeros = unit.iter().take_while(|byte| **byte == 0).count();
            file.unit(unit.get(zeros + 1..).unwrap_or(&[]))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use shiguredo_mp4::demux::{Input, Mp4FileDemuxer};

    use super::*;

    fn spec(prompt: &str, seed: u64, milliseconds: u32) -> Clip<'_> {
        Clip { prompt, seed, width: 130, height: 74, milliseconds }
    }

    fn demuxed(file: &[u8]) -> Mp4FileDemuxer {
        let mut demuxer = Mp4FileDemuxer::new();
        demuxer.handle_input(Input { position: 0, data: file });
        demuxer
    }

    #[test]
    fn the_length_is_exact() {
        for milliseconds in [1, 41, 500, 1_017] {
            let file = render(&spec("sea", 1, milliseconds), None, &|_| true).unwrap();
            let mut demuxer = demuxed(&file);
            let track = demuxer.tracks().unwrap().first().unwrap().clone();
            assert_eq!(track.timescale.get(), 24_000);
            assert_eq!(track.duration, u64::from(milliseconds) * 24);
            let mut ticks = 0;
            while let Some(sample) = demuxer.next_sample().unwrap() {
                ticks += u64::from(sample.duration);
            }
            assert_eq!(ticks, u64::from(milliseconds) * 24);
        }
    }

    #[test]
    fn the_index_comes_before_the_frames() {
        let file = render(&spec("sea", 1, 200), None, &|_| true).unwrap();
        let place = |name: &[u8]| file.windows(4).position(|window| window == name).unwrap();
        assert!(place(b"moov") < place(b"mdat"));
    }

    #[test]
    fn frames_decode_to_the_asked_size_and_move() {
        let file = render(&spec("sea at sunset", 1, 500), None, &|_| true).unwrap();
        let mut demuxer = demuxed(&file);
        let mut decoder = openh264::decoder::Decoder::new().unwrap();
        let mut pictures: Vec<Vec<u8>> = Vec::new();
        while let Some(sample) = demuxer.next_sample().unwrap() {
            let start = usize::try_from(sample.data_offset).unwrap();
            let mut stream = Vec::new();
            if let Some(entry) = sample.sample_entry
                && let shiguredo_mp4::boxes::SampleEntry::Avc1(avc1) = entry
            {
                for unit in avc1.avcc_box.sps_list.iter().chain(&avc1.avcc_box.pps_list) {
                    stream.extend_from_slice(&[0, 0, 0, 1]);
                    stream.extend_from_slice(unit);
                }
            }
            let mut rest = &file[start..start + sample.data_size];
            while let Some((length, after)) = rest.split_first_chunk::<4>() {
                let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
                stream.extend_from_slice(&[0, 0, 0, 1]);
                stream.extend_from_slice(&after[..length]);
                rest = &after[length..];
            }
            if let Some(picture) = decoder.decode(&stream).unwrap() {
                assert_eq!(picture.dimensions(), (130, 74));
                pictures.push(picture.y().to_vec());
            }
        }
        assert!(pictures.len() >= 10);
        assert_ne!(pictures.first(), pictures.last());
    }

    #[test]
    fn same_specification_same_bytes_and_other_seed_other_bytes() {
        let first = render(&spec("forest", 5, 200), None, &|_| true).unwrap();
        assert_eq!(first, render(&spec("forest", 5, 200), None, &|_| true).unwrap());
        assert_ne!(first, render(&spec("forest", 6, 200), None, &|_| true).unwrap());
        assert_ne!(first, render(&spec("forests", 5, 200), None, &|_| true).unwrap());
    }

    #[test]
    fn progress_rises_to_one_and_can_stop() {
        let seen = Mutex::new(Vec::new());
        render(&spec("city", 1, 500), None, &|share| {
            seen.lock().unwrap().push(share);
            true
        })
        .unwrap();
        let seen = seen.into_inner().unwrap();
        assert!(seen.is_sorted() && seen.len() == 12 && seen.last() == Some(&1.0));
        let stopped = render(&spec("city", 1, 5_000), None, &|share| share < 0.05);
        assert!(matches!(stopped, Err(RenderError::Unsupported(_))));
    }

    #[test]
    fn impossible_clips_are_refused() {
        for (width, height, milliseconds) in
            [(131, 74, 100), (130, 14, 100), (4_096, 2_160, 100), (130, 74, 0), (130, 74, 120_001)]
        {
            let clip = Clip { prompt: "x", seed: 1, width, height, milliseconds };
            assert!(matches!(render(&clip, None, &|_| true), Err(RenderError::Unsupported(_))));
        }
    }
}
