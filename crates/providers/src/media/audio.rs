//! FLAC, WAV and MP3: the length from the headers or, for MP3, from a walk over the frames.
//!
//! Invariant: a WAV is accepted only whole; FLAC and MP3 streams may end after any frame, as players allow,
//! so only their headers and first frames are proven. Not here: samples, tags, cover pictures.

use super::{Kind, Media, MediaError, field::View, milliseconds};

fn found(mime: &'static str, extension: &'static str, duration_ms: Option<u64>) -> Media {
    Media { kind: Kind::Audio, mime, extension, width: None, height: None, duration_ms }
}

/// A FLAC: stream information first, whole metadata blocks, then a frame.
pub(super) fn flac(bytes: View<'_>) -> Result<Media, MediaError> {
    let broken = |problem| MediaError::Broken { format: "FLAC", problem };
    let first = bytes.be_u32(4).ok_or(broken("cut off in the header"))?;
    if first & 0x7fff_ffff != 34 {
        return Err(broken("the stream information is not first"));
    }
    // Twenty bits of sample rate, three of channels, five of sample size, thirty-six of total samples.
    let facts = bytes.be_u64(18).ok_or(broken("cut off in the header"))?;
    let samples_per_second = facts >> 44;
    let samples = facts & 0xf_ffff_ffff;
    if samples_per_second == 0 {
        return Err(broken("impossible sample rate"));
    }
    let mut at = 4_u64;
    loop {
        let header = bytes.be_u32(at).ok_or(broken("a metadata block is cut off"))?;
        let size = u64::from(header & 0x00ff_ffff);
        at = at.saturating_add(4).saturating_add(size);
        if header >> 31 == 1 {
            break;
        }
    }
    match bytes.array(at) {
        Some([0xff, 0xf8 | 0xf9]) => {}
        Some(_) => return Err(broken("no audio frame after the metadata")),
        None => return Err(broken("cut off before the first audio frame")),
    }
    // Zero samples means that the encoder didn't know.
    let duration_ms = if samples == 0 { None } else { milliseconds(samples, samples_per_second) };
    Ok(found("audio/flac", "flac", duration_ms))
}

/// A WAV: the declared size is there, with a format and samples.
pub(super) fn wav(bytes: View<'_>) -> Result<Media, MediaError> {
    let broken = |problem| MediaError::Broken { format: "WAV", problem };
    let declared = bytes.le_u32(4).map(u64::from).ok_or(broken("cut off in the header"))?;
    let inside = bytes.part(8, declared).ok_or(broken("shorter than its header says"))?;
    let mut bytes_per_second = None;
    let mut at = 4_u64;
    while at < inside.bytes() {
        let name: [u8; 4] = inside.array(at).ok_or(broken("a chunk is cut off"))?;
        let size = inside.le_u32(at + 4).map(u64::from).ok_or(broken("a chunk is cut off"))?;
        let body = inside.part(at + 8, size).ok_or(broken("a chunk is cut off"))?;
        match &name {
            b"fmt " => bytes_per_second = Some(wav_rate(body).ok_or(broken("impossible sample format"))?),
            b"data" => {
                let rate = bytes_per_second.ok_or(broken("samples before their format"))?;
                if size == 0 {
                    return Err(broken("no samples"));
                }
                return Ok(found("audio/wav", "wav", milliseconds(size, u64::from(rate))));
            }
            _ => {}
        }
        // Chunks are padded to even sizes.
        at = at.saturating_add(8).saturating_add(size).saturating_add(size % 2);
    }
    Err(broken("no samples"))
}

/// Bytes per second, if the numbers of the format agree with each other.
fn wav_rate(body: View<'_>) -> Option<u32> {
    let channels = body.le_u16(2)?;
    let samples_per_second = body.le_u32(4)?;
    let bytes_per_second = body.le_u32(8)?;
    let bytes_per_sample = body.le_u16(12)?;
    let bits = body.le_u16(14)?;
    let is_plain = matches!(body.le_u16(0)?, 1 | 3 | 0xfffe);
    let agrees = u64::from(samples_per_second) * u64::from(bytes_per_sample) == u64::from(bytes_per_second);
    let fits = u32::from(channels) * u32::from(bits).div_ceil(8) == u32::from(bytes_per_sample);
    (is_plain && agrees && fits && bytes_per_second > 0).then_some(bytes_per_second)
}

/// One frame of MPEG layer III, as its header says.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Frame {
    bytes: u64,
    samples: u32,
    samples_per_second: u32,
    /// Where a seek table would be, counted from the frame's start.
    table_at: u64,
}

/// Kilobits per second by the header's index; zero and fifteen are not allowed.
const FIRST_RATES: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const LATER_RATES: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

fn mp3_frame(bytes: View<'_>, at: u64) -> Option<Frame> {
    let header = bytes.be_u32(at)?;
    let field = |shift: u32, bits: u32| (header >> shift) & ((1 << bits) - 1);
    let is_layer_three = field(21, 11) == 0x7ff && field(17, 2) == 1;
    // Later versions halve and quarter the sample rate.
    let (is_first_version, divisor) = match field(19, 2) {
        3 => (true, 1),
        2 => (false, 2),
        0 => (false, 4),
        _ => return None,
    };
    let rates = if is_first_version { FIRST_RATES } else { LATER_RATES };
    let kilobits = *rates.get(usize::try_from(field(12, 4)).ok()?)?;
    let samples_per_second = [44_100, 48_000, 32_000].get(usize::try_from(field(10, 2)).ok()?)? / divisor;
    if !is_layer_three || kilobits == 0 {
        return None;
    }
    let samples = if is_first_version { 1_152 } else { 576 };
    let bytes = u64::from(samples / 8 * kilobits * 1_000 / samples_per_second + field(9, 1));
    let is_mono = field(6, 2) == 3;
    let table_at = match (is_first_version, is_mono) {
        (true, false) => 36,
        (true, true) | (false, false) => 21,
        (false, true) => 13,
    };
    Some(Frame { bytes, samples, samples_per_second, table_at })
}

/// Whether the bytes begin like an MP3 without a tag.
pub(super) fn is_mp3_frame(bytes: View<'_>) -> bool {
    mp3_frame(bytes, 0).is_some()
}

/// The length of an ID3 tag at the beginning; zero without one.
fn id3_bytes(bytes: View<'_>) -> Option<u64> {
    if !bytes.has(0, b"ID3") {
        return Some(0);
    }
    let size: [u8; 4] = bytes.array(6)?;
    // Sizes use seven bits of each byte.
    let body = size
        .iter()
        .try_fold(0_u32, |sum, digit| (*digit < 0x80).then_some((sum << 7) | u32::from(*digit)))?;
    let footer = if bytes.byte(5)? & 0x10 == 0 { 0 } else { 10 };
    u64::from(body).checked_add(10 + footer)
}

/// An MP3: two frames in a row (or one that ends the file), the length from a walk over all of them.
pub(super) fn mp3(bytes: View<'_>) -> Result<Media, MediaError> {
    let broken = |problem| MediaError::Broken { format: "MP3", problem };
    let tag = id3_bytes(bytes).ok_or(broken("impossible ID3 tag"))?;
    let after_tag = bytes.rest(tag).ok_or(broken("the ID3 tag is cut off"))?;
    let padding = after_tag.position(|byte| byte != 0).unwrap_or(after_tag.bytes());
    let first_at = tag.saturating_add(padding);
    let first = mp3_frame(bytes, first_at).ok_or(broken("no audio frame"))?;
    let rate = first.samples_per_second;
    let table: Option<[u8; 4]> = bytes.array(first_at.saturating_add(first.table_at));
    // A first frame that holds a seek table has no sound.
    let silent = u64::from(matches!(table.as_ref(), Some(b"Xing" | b"Info")));
    let mut at = first_at;
    let mut frames = 0_u64;
    while let Some(frame) = mp3_frame(bytes, at).filter(|frame| frame.samples_per_second == rate) {
        let end = at.saturating_add(frame.bytes);
        if end > bytes.bytes() {
            break;
        }
        at = end;
        frames += 1;
    }
    let rest = bytes.rest(at).ok_or(broken("no audio frame"))?;
    if frames == 0 || (frames == 1 && !rest.is_empty()) {
        return Err(broken("no second audio frame"));
    }
    // Where something else follows, the number of frames is only known so far.
    let is_end = rest.is_empty()
        || mp3_frame(bytes, at).is_some()
        || [&b"TAG"[..], b"APETAGEX", b"LYRICS"].iter().any(|tag| rest.has(0, tag))
        || rest.is_zero();
    let samples = frames.saturating_sub(silent) * u64::from(first.samples);
    let duration_ms = if is_end { milliseconds(samples, u64::from(rate)) } else { None };
    Ok(found("audio/mpeg", "mp3", duration_ms.filter(|length_ms| *length_ms > 0)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn flac(bytes: &[u8]) -> Result<Media, MediaError> {
        super::flac(View::of(&bytes))
    }

    fn wav(bytes: &[u8]) -> Result<Media, MediaError> {
        super::wav(View::of(&bytes))
    }

    fn mp3(bytes: &[u8]) -> Result<Media, MediaError> {
        super::mp3(View::of(&bytes))
    }

    /// A second and a half of silence, 8 kHz, one channel of 16 bits, behind a chunk of odd size.
    pub(in crate::media) fn small_wav() -> Vec<u8> {
        let mut inside = b"WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0\x01\0".to_vec();
        inside.extend_from_slice(&8_000_u32.to_le_bytes());
        inside.extend_from_slice(&16_000_u32.to_le_bytes());
        inside.extend_from_slice(b"\x02\0\x10\0data");
        inside.extend_from_slice(&24_000_u32.to_le_bytes());
        inside.resize(inside.len() + 24_000, 0);
        let mut file = b"RIFF".to_vec();
        file.extend_from_slice(&u32::try_from(inside.len()).unwrap().to_le_bytes());
        file.extend_from_slice(&inside);
        file
    }

    fn flac_of(samples_per_second: u64, samples: u64) -> Vec<u8> {
        let facts = (samples_per_second << 44) | (1 << 41) | (15 << 36) | samples;
        let mut file = b"fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0\0\0".to_vec();
        file.extend_from_slice(&facts.to_be_bytes());
        file.extend_from_slice(&[0; 16]);
        file.extend_from_slice(b"\x84\0\0\x03tag\xff\xf8\xc9\x18\0\0");
        file
    }

    pub(in crate::media) fn small_flac() -> Vec<u8> {
        flac_of(44_100, 88_200)
    }

    /// One frame of 128 kbit/s at 44.1 kHz: 417 bytes, 1,152 samples.
    fn frame(mark: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 417];
        frame[..4].copy_from_slice(b"\xff\xfb\x90\x00");
        frame[36..36 + mark.len()].copy_from_slice(mark);
        frame
    }

    pub(in crate::media) fn small_mp3() -> Vec<u8> {
        let sound = frame(b"");
        [&b"ID3\x04\0\0\0\0\0\x05title"[..], &frame(b"Info"), &sound, &sound, &sound, b"TAGold"].concat()
    }

    #[test]
    fn lengths_are_read() {
        assert_eq!(wav(&small_wav()), Ok(found("audio/wav", "wav", Some(1_500))));
        assert_eq!(flac(&small_flac()), Ok(found("audio/flac", "flac", Some(2_000))));
        assert_eq!(flac(&flac_of(96_000, 0)), Ok(found("audio/flac", "flac", None)));
        assert_eq!(mp3(&small_mp3()), Ok(found("audio/mpeg", "mp3", Some(78))));
        assert_eq!(mp3(&frame(b"")), Ok(found("audio/mpeg", "mp3", Some(26))));
        let followed = [frame(b""), frame(b""), b"something else".to_vec()].concat();
        assert_eq!(mp3(&followed), Ok(found("audio/mpeg", "mp3", None)));
    }

    #[test]
    fn broken_flac_says_why() {
        let broken = |problem| Err(MediaError::Broken { format: "FLAC", problem });
        let whole = small_flac();
        assert_eq!(flac(&whole[..20]), broken("cut off in the header"));
        assert_eq!(flac(&whole[..44]), broken("a metadata block is cut off"));
        assert_eq!(flac(&whole[..49]), broken("cut off before the first audio frame"));
        assert_eq!(flac(&flac_of(0, 5)), broken("impossible sample rate"));
        assert_eq!(flac(b"fLaC\x04\0\0\x22"), broken("the stream information is not first"));
        let mut text = whole;
        text[49] = b'<';
        assert_eq!(flac(&text), broken("no audio frame after the metadata"));
    }

    #[test]
    fn broken_wav_says_why() {
        let broken = |problem| Err(MediaError::Broken { format: "WAV", problem });
        let whole = small_wav();
        let changed = |at: usize, value: u8| {
            let mut file = whole.clone();
            file[at] = value;
            wav(&file)
        };
        assert_eq!(wav(&whole[..whole.len() - 1]), broken("shorter than its header says"));
        assert_eq!(changed(32, 2), broken("impossible sample format"));
        assert_eq!(changed(44, 4), broken("impossible sample format"));
        assert_eq!(changed(24, b'g'), broken("samples before their format"));
        assert_eq!(changed(48, b'e'), broken("no samples"));
        assert_eq!(changed(54, 1), broken("a chunk is cut off"));
    }

    #[test]
    fn broken_mp3_says_why() {
        let broken = |problem| Err(MediaError::Broken { format: "MP3", problem });
        let frames = [frame(b""), frame(b"")].concat();
        assert_eq!(mp3(&frames[..400]), broken("no second audio frame"));
        assert_eq!(mp3(&frames[..420]), broken("no second audio frame"));
        assert_eq!(mp3(b"ID3\x04\0\0\0\0\0\x7fshort"), broken("the ID3 tag is cut off"));
        assert_eq!(mp3(b"ID3\x04\0\0\0\0\0\x80short"), broken("impossible ID3 tag"));
        assert_eq!(mp3(b"ID3\x04\0\0\0\0\0\x05title<html>"), broken("no audio frame"));
        // Layer II, a free rate and a reserved sample rate are no layer III.
        for header in [b"\xff\xfd\x90\0", b"\xff\xfb\x00\0", b"\xff\xfb\x9c\0", b"\xff\xf9\x50\0"] {
            assert!(!is_mp3_frame(View::of(&&header[..])), "{header:?}");
        }
    }
}
