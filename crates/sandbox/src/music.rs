//! Songs as FLAC or WAV files.
//!
//! Invariant: a song has exactly 44.1 samples per asked millisecond, no sample is clipped, and the file's
//! tags say SANDBOX. Not here: composing and sound.

use std::io::Cursor;

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, MetadataBlockData, Stream};
use flacenc::error::Verify;
use flacenc::source::{Context, Fill, FrameBuf};

use crate::style::Style;
use crate::{MusicFormat, OnProgress, RenderError, Song};

const CHANNELS: usize = 2;
const BITS: usize = 16;
const RATE: u32 = 44_100;
const BLOCK: usize = 4_096;
const LONGEST_MS: u32 = 600_000;
/// Share of the progress that composing and playing take; encoding takes the rest.
const PLAYING: f32 = 0.6;
const VORBIS_COMMENT: u8 = 4;

/// Renders and encodes a song.
pub(crate) fn render(spec: &Song<'_>, on_progress: OnProgress<'_>) -> Result<Vec<u8>, RenderError> {
    if spec.milliseconds == 0 || spec.milliseconds > LONGEST_MS {
        return Err(RenderError::Unsupported(format!("a song of {} ms", spec.milliseconds)));
    }
    let total = usize::try_from((u64::from(spec.milliseconds) * 441 + 5) / 10).map_err(failed)?;
    let style = Style::of(spec.prompt, spec.seed);
    let score = crate::score::compose(&style, total);
    let samples = crate::mixing::play(&score, &style, total, &|share| on_progress(share * PLAYING))
        .ok_or_else(stopped)?;
    let file = match spec.format {
        MusicFormat::Flac => flac(&samples, on_progress)?,
        MusicFormat::Wav => wav(&samples)?,
    };
    if on_progress(1.0) { Ok(file) } else { Err(stopped()) }
}

fn stopped() -> RenderError {
    RenderError::Unsupported("stopped".to_owned())
}

fn failed(error: impl std::fmt::Display) -> RenderError {
    RenderError::Encoder(error.to_string())
}

/// Encodes block by block and keeps only finished bytes, because encoded blocks in memory are larger than
/// samples.
fn flac(samples: &[i16], on_progress: OnProgress<'_>) -> Result<Vec<u8>, RenderError> {
    let config = flacenc::config::Encoder::default().into_verified().map_err(|(_, error)| failed(error))?;
    let rate = usize::try_from(RATE).map_err(failed)?;
    let mut stream = Stream::new(rate, CHANNELS, BITS).map_err(failed)?;
    stream.stream_info_mut().set_block_sizes(BLOCK, BLOCK).map_err(failed)?;
    let comment = MetadataBlockData::new_unknown(VORBIS_COMMENT, &comments()).map_err(failed)?;
    stream.add_metadata_block(comment);
    let mut buffer = FrameBuf::with_size(CHANNELS, BLOCK).map_err(failed)?;
    let mut context = Context::new(BITS, CHANNELS);
    let (mut smallest, mut largest) = (usize::MAX, 0);
    let mut frames: Vec<u8> = Vec::with_capacity(samples.len());
    let count = samples.len().div_ceil(BLOCK * CHANNELS);
    for (number, block) in samples.chunks(BLOCK * CHANNELS).enumerate() {
        let wide: Vec<i32> = block.iter().map(|value| i32::from(*value)).collect();
        if block.len() < BLOCK * CHANNELS {
            buffer.resize(block.len() / CHANNELS);
        }
        buffer.fill_interleaved(&wide).map_err(failed)?;
        context.fill_interleaved(&wide).map_err(failed)?;
        let frame = flacenc::encode_fixed_size_frame(&config, &buffer, number, stream.stream_info())
            .map_err(failed)?;
        let mut sink = ByteSink::new();
        frame.write(&mut sink).map_err(failed)?;
        smallest = smallest.min(sink.as_slice().len());
        largest = largest.max(sink.as_slice().len());
        frames.extend_from_slice(sink.as_slice());
        if number % 16 == 0 && !on_progress(PLAYING + (1.0 - PLAYING) * number as f32 / count as f32) {
            return Err(stopped());
        }
    }
    let info = stream.stream_info_mut();
    info.set_total_samples(samples.len() / CHANNELS);
    info.set_frame_sizes(smallest.min(largest), largest).map_err(failed)?;
    info.set_md5_digest(&context.md5_digest());
    let mut head = ByteSink::new();
    stream.write(&mut head).map_err(failed)?;
    let mut file = head.as_slice().to_vec();
    file.append(&mut frames);
    Ok(file)
}

/// The tags of a FLAC file.
fn comments() -> Vec<u8> {
    let tags = ["TITLE=SANDBOX", "ARTIST=rynjer", "COMMENT=SANDBOX: made offline by rynjer"];
    let mut block = Vec::new();
    put_text(&mut block, "rynjer sandbox");
    block.extend_from_slice(&3_u32.to_le_bytes());
    for tag in tags {
        put_text(&mut block, tag);
    }
    block
}

fn put_text(block: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(0);
    block.extend_from_slice(&length.to_le_bytes());
    block.extend_from_slice(text.as_bytes());
}

fn wav(samples: &[i16]) -> Result<Vec<u8>, RenderError> {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::with_capacity(samples.len() * 2 + 256));
    let mut writer = hound::WavWriter::new(&mut file, spec).map_err(failed)?;
    for value in samples {
        writer.write_sample(*value).map_err(failed)?;
    }
    writer.finalize().map_err(failed)?;
    let mut bytes = file.into_inner();
    bytes.extend_from_slice(&information());
    // The outer length counts everything after its own eight bytes.
    let length = u32::try_from(bytes.len() - 8).map_err(failed)?;
    if let Some(place) = bytes.get_mut(4..8) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(bytes)
}

/// The tags of a WAV file: a list of title, artist and comment. Every part has an even length.
fn information() -> Vec<u8> {
    let parts: [(&[u8; 4], &[u8]); 3] =
        [(b"INAM", b"SANDBOX\0"), (b"IART", b"rynjer\0\0"), (b"ICMT", b"SANDBOX: made offline by rynjer\0")];
    let mut list = b"INFO".to_vec();
    for (name, text) in parts {
        list.extend_from_slice(name);
        list.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
        list.extend_from_slice(text);
    }
    let mut chunk = b"LIST".to_vec();
    chunk.extend_from_slice(&u32::try_from(list.len()).unwrap_or(0).to_le_bytes());
    chunk.append(&mut list);
    chunk
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn spec(prompt: &str, seed: u64, milliseconds: u32, format: MusicFormat) -> Song<'_> {
        Song { prompt, seed, milliseconds, format }
    }

    fn samples(file: &[u8]) -> Vec<i16> {
        hound::WavReader::new(Cursor::new(file)).unwrap().into_samples().map(Result::unwrap).collect()
    }

    #[test]
    fn wav_has_the_exact_length_and_no_clipped_sample() {
        for prompt in ["calm", "happy", "sad", "epic", "lofi", "techno", "folk"] {
            let file = render(&spec(prompt, 1, 6_010, MusicFormat::Wav), &|_| true).unwrap();
            let samples = samples(&file);
            assert_eq!(samples.len(), 265_041 * 2, "{prompt}");
            let peak = samples.iter().map(|value| value.unsigned_abs()).max().unwrap();
            assert!((23_100..23_250).contains(&peak), "{prompt}: {peak}");
        }
    }

    #[test]
    fn flac_has_the_exact_length_and_says_sandbox() {
        let file = render(&spec("calm", 1, 1_234, MusicFormat::Flac), &|_| true).unwrap();
        assert_eq!(file.get(..4), Some(&b"fLaC"[..]));
        // The last 36 bits before the checksum in the first block are the number of samples.
        let count = u64::from_be_bytes(file[18..26].try_into().unwrap()) & 0xf_ffff_ffff;
        assert_eq!(count, 54_419);
        assert!(file.windows(13).any(|window| window == b"TITLE=SANDBOX"));
    }

    #[test]
    fn wav_says_sandbox_and_its_lengths_agree() {
        let file = render(&spec("calm", 1, 100, MusicFormat::Wav), &|_| true).unwrap();
        let length = u32::from_le_bytes(file[4..8].try_into().unwrap());
        assert_eq!(usize::try_from(length).unwrap() + 8, file.len());
        assert!(file.windows(7).any(|window| window == b"SANDBOX"));
    }

    #[test]
    fn same_specification_same_bytes_and_other_seed_or_prompt_other_bytes() {
        let of = |prompt, seed| render(&spec(prompt, seed, 3_000, MusicFormat::Flac), &|_| true).unwrap();
        assert_eq!(of("calm piano", 4), of("calm piano", 4));
        assert_ne!(of("calm piano", 4), of("calm piano", 5));
        assert_ne!(of("calm piano", 4), of("calm pianos", 4));
    }

    #[test]
    fn left_and_right_differ_and_the_end_is_silent() {
        let file = render(&spec("happy", 2, 8_000, MusicFormat::Wav), &|_| true).unwrap();
        let samples = samples(&file);
        assert!(samples.chunks_exact(2).any(|pair| pair[0].abs_diff(pair[1]) > 500));
        assert!(samples.iter().rev().take(100).all(|value| value.unsigned_abs() < 60));
    }

    #[test]
    fn progress_rises_to_one_and_can_stop() {
        let seen = Mutex::new(Vec::new());
        render(&spec("calm", 1, 2_000, MusicFormat::Flac), &|share| {
            seen.lock().unwrap().push(share);
            true
        })
        .unwrap();
        let seen = seen.into_inner().unwrap();
        assert!(seen.is_sorted() && seen.last() == Some(&1.0));
        for limit in [0.2, 0.7] {
            let stopped = render(&spec("calm", 1, 20_000, MusicFormat::Flac), &|share| share < limit);
            assert!(matches!(stopped, Err(RenderError::Unsupported(_))));
        }
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for milliseconds in [0, 600_001] {
            let song = spec("x", 1, milliseconds, MusicFormat::Wav);
            assert!(matches!(render(&song, &|_| true), Err(RenderError::Unsupported(_))));
        }
    }
}
