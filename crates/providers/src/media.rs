//! What a file of untrusted origin is: its type, size in pixels and length, read from its bytes alone.
//!
//! Invariant: no input makes this panic, hold more than a page of a file or take more than time linear in its
//! length; declared names and content types are never believed. Not here: decoding of pixels or samples,
//! fetching, storage.

mod audio;
mod field;
mod mp4;
mod outline;
mod picture;

pub use field::ReadSeek;
pub use outline::Outline;

use field::{Paged, View};

/// What sort of thing an output is, as answers name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Image,
    Video,
    Audio,
}

impl Kind {
    /// The name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}

/// A file that was found to be whole and of a type that we deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    pub kind: Kind,
    pub mime: &'static str,
    /// Without the dot.
    pub extension: &'static str,
    /// Pixels; absent for audio.
    pub width: Option<u32>,
    /// Pixels; absent for audio.
    pub height: Option<u32>,
    /// Milliseconds, rounded to the nearest; absent for pictures, and where the file doesn't tell.
    pub duration_ms: Option<u64>,
}

/// The largest file that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub max_bytes: u64,
    /// Width times height, of a picture or of a frame.
    pub max_pixels: u64,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// More bytes than allowed.
    #[error("the file has {bytes} bytes, more than the {max_bytes} allowed")]
    TooManyBytes { bytes: u64, max_bytes: u64 },
    /// More pixels than allowed.
    #[error("{width}×{height} pixels are more than the {max_pixels} allowed")]
    TooManyPixels { width: u32, height: u32, max_pixels: u64 },
    /// A known type that isn't delivered.
    #[error("{found} files are not supported")]
    Unsupported { found: &'static str },
    /// No type of media that we know.
    #[error("the bytes are no known picture, video or audio format")]
    Unknown,
    /// Nothing is known of the file, since the disk did not give it.
    #[error("the file could not be read")]
    Unread,
    /// The right beginning, but not a whole and consistent file.
    #[error("broken {format} file: {problem}")]
    Broken { format: &'static str, problem: &'static str },
}

/// Finds out what a file is and that it is whole, as far as headers and structure tell.
///
/// # Errors
///
/// Says what is wrong when the file is of no delivered type, cut off, inconsistent or over a limit.
pub fn inspect(bytes: &[u8], limits: &Limits) -> Result<Media, MediaError> {
    look(View::of(&bytes), limits)
}

/// As [`inspect`], of a file that need not fit into memory: what tells nothing is passed over.
///
/// # Errors
///
/// As `inspect`, and `Unread`.
pub fn inspect_file(file: &mut dyn ReadSeek, limits: &Limits) -> Result<Media, MediaError> {
    let paged = Paged::new(file).ok_or(MediaError::Unread)?;
    let media = look(View::of(&paged), limits);
    if paged.failed() { Err(MediaError::Unread) } else { media }
}

/// What a file says that it is, by its first [`HEAD_BYTES`] or all of it.
///
/// # Errors
///
/// It is of no delivered type, whatever follows.
pub fn begins(head: &[u8]) -> Result<Kind, MediaError> {
    format(View::of(&head)).map(Format::kind)
}

fn look(file: View<'_>, limits: &Limits) -> Result<Media, MediaError> {
    check_length(file, limits)?;
    let media = sniff(file)?;
    check_pixels(&media, limits)?;
    Ok(media)
}

/// Finds out what a still picture is, and where it ends.
///
/// Beyond what `inspect` tells, this refuses what costs a decoder more than its pixels do: animations, PNG
/// files with more than [`MAX_COMPRESSED_METADATA_BYTES`] of compressed profiles and texts, JPEG files with
/// more than [`MAX_SCANS`] scans.
///
/// # Errors
///
/// Says what is wrong, as `inspect`.
pub(crate) fn inspect_still(bytes: &[u8], limits: &Limits) -> Result<(Media, u64), MediaError> {
    let file = View::of(&bytes);
    check_length(file, limits)?;
    let whole = match format(file)? {
        Format::Png => picture::png(file)?,
        Format::Jpeg => picture::jpeg(file)?,
        Format::WebP => picture::webp(file)?,
        _ => {
            let other = |media: Media| MediaError::Unsupported { found: media.kind.name() };
            return Err(sniff(file).map_or_else(|error| error, other));
        }
    };
    check_pixels(&whole.media, limits)?;
    if whole.is_animated {
        return Err(MediaError::Unsupported { found: "animated picture" });
    }
    if whole.compressed_metadata_bytes > MAX_COMPRESSED_METADATA_BYTES {
        return Err(MediaError::Broken { format: "PNG", problem: "too much compressed metadata" });
    }
    if whole.scans > MAX_SCANS {
        return Err(MediaError::Broken { format: "JPEG", problem: "too many scans" });
    }
    Ok((whole.media, whole.end))
}

/// Real profiles and texts have a few KiB, the largest some hundred.
const MAX_COMPRESSED_METADATA_BYTES: u64 = 1 << 20;
/// Encoders write about ten.
const MAX_SCANS: u32 = 100;

fn check_length(file: View<'_>, limits: &Limits) -> Result<(), MediaError> {
    if file.is_empty() {
        return Err(MediaError::Empty);
    }
    let bytes = file.bytes();
    if bytes > limits.max_bytes {
        return Err(MediaError::TooManyBytes { bytes, max_bytes: limits.max_bytes });
    }
    Ok(())
}

fn check_pixels(media: &Media, limits: &Limits) -> Result<(), MediaError> {
    if let (Some(width), Some(height)) = (media.width, media.height)
        && u64::from(width) * u64::from(height) > limits.max_pixels
    {
        return Err(MediaError::TooManyPixels { width, height, max_pixels: limits.max_pixels });
    }
    Ok(())
}

/// Pictures in the container of videos, as telephones make them.
const PICTURE_BRANDS: [&[u8]; 6] = [b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"];

/// How many bytes tell the type of every file.
pub const HEAD_BYTES: usize = 16;

/// What we deliver.
#[derive(Clone, Copy)]
enum Format {
    Png,
    Jpeg,
    WebP,
    Mp4,
    Wav,
    Flac,
    Mp3,
}

impl Format {
    fn kind(self) -> Kind {
        match self {
            Self::Png | Self::Jpeg | Self::WebP => Kind::Image,
            Self::Mp4 => Kind::Video,
            Self::Wav | Self::Flac | Self::Mp3 => Kind::Audio,
        }
    }
}

fn format(file: View<'_>) -> Result<Format, MediaError> {
    let at = |offset: u64, tag: &[u8]| file.has(offset, tag);
    let unsupported = |found| Err(MediaError::Unsupported { found });
    if at(0, picture::PNG_SIGNATURE) {
        Ok(Format::Png)
    } else if at(0, b"\xff\xd8\xff") {
        Ok(Format::Jpeg)
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        Ok(Format::WebP)
    } else if at(0, b"RIFF") && at(8, b"WAVE") {
        Ok(Format::Wav)
    } else if at(4, b"ftyp") && PICTURE_BRANDS.iter().any(|brand| at(8, brand)) {
        unsupported("AVIF or HEIC")
    } else if at(4, b"ftyp") {
        Ok(Format::Mp4)
    } else if at(0, b"fLaC") {
        Ok(Format::Flac)
    } else if at(0, b"\x1a\x45\xdf\xa3") {
        unsupported("WebM or Matroska")
    } else if at(0, b"GIF8") {
        unsupported("GIF")
    } else if at(0, b"OggS") {
        unsupported("Ogg")
    } else if at(0, b"ID3") || audio::is_mp3_frame(file) {
        Ok(Format::Mp3)
    } else {
        Err(MediaError::Unknown)
    }
}

fn sniff(file: View<'_>) -> Result<Media, MediaError> {
    match format(file)? {
        Format::Png => picture::png(file).map(|whole| whole.media),
        Format::Jpeg => picture::jpeg(file).map(|whole| whole.media),
        Format::WebP => picture::webp(file).map(|whole| whole.media),
        Format::Mp4 => mp4::mp4(file),
        Format::Wav => audio::wav(file),
        Format::Flac => audio::flac(file),
        Format::Mp3 => audio::mp3(file),
    }
}

/// Units to milliseconds, rounded to the nearest; nothing for a rate of zero or a length beyond 64 bits.
fn milliseconds(units: u64, per_second: u64) -> Option<u64> {
    let rate = u128::from(per_second);
    let rounded = (u128::from(units) * 1_000 + rate / 2).checked_div(rate)?;
    u64::try_from(rounded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_pixels: 1 << 20 };

    /// In memory and from a file, which must agree; and no type comes out that the head did not tell.
    fn inspect(bytes: &[u8], limits: &Limits) -> Result<Media, MediaError> {
        let found = super::inspect(bytes, limits);
        assert_eq!(inspect_file(&mut std::io::Cursor::new(bytes), limits), found);
        if let Ok(media) = &found {
            assert_eq!(begins(&bytes[..bytes.len().min(HEAD_BYTES)]), Ok(media.kind));
        }
        found
    }

    fn samples() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("png", picture::tests::encoded(image::ImageFormat::Png)),
            ("jpeg", picture::tests::encoded(image::ImageFormat::Jpeg)),
            ("webp", picture::tests::encoded(image::ImageFormat::WebP)),
            ("extended webp", picture::tests::extended_webp()),
            ("lossy webp", picture::tests::lossy_webp()),
            ("mp4", mp4::tests::small_mp4()),
            ("fragmented mp4", mp4::tests::fragmented_mp4()),
            ("wav", audio::tests::small_wav()),
            ("flac", audio::tests::small_flac()),
            ("mp3", audio::tests::small_mp3()),
        ]
    }

    #[test]
    fn every_sample_is_recognised() {
        let mut found = Vec::new();
        for (name, bytes) in samples() {
            let media = inspect(&bytes, &LIMITS).unwrap();
            found.push((name, media.kind.name(), media.mime, media.extension));
        }
        let expected = vec![
            ("png", "image", "image/png", "png"),
            ("jpeg", "image", "image/jpeg", "jpg"),
            ("webp", "image", "image/webp", "webp"),
            ("extended webp", "image", "image/webp", "webp"),
            ("lossy webp", "image", "image/webp", "webp"),
            ("mp4", "video", "video/mp4", "mp4"),
            ("fragmented mp4", "video", "video/mp4", "mp4"),
            ("wav", "audio", "audio/wav", "wav"),
            ("flac", "audio", "audio/flac", "flac"),
            ("mp3", "audio", "audio/mpeg", "mp3"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn limits_are_exact() {
        let png = picture::tests::encoded(image::ImageFormat::Png);
        let length = u64::try_from(png.len()).unwrap();
        let exact = Limits { max_bytes: length, max_pixels: 40 * 24 };
        assert!(inspect(&png, &exact).is_ok());
        assert_eq!(
            inspect(&png, &Limits { max_bytes: length - 1, ..exact }),
            Err(MediaError::TooManyBytes { bytes: length, max_bytes: length - 1 })
        );
        assert_eq!(
            inspect(&png, &Limits { max_pixels: 959, ..exact }),
            Err(MediaError::TooManyPixels { width: 40, height: 24, max_pixels: 959 })
        );
    }

    /// A film of zeros, and how much of it was read.
    struct Read(std::io::Cursor<Vec<u8>>, usize);

    impl std::io::Read for Read {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            let read = self.0.read(to)?;
            self.1 += read;
            Ok(read)
        }
    }

    impl std::io::Seek for Read {
        fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn what_tells_nothing_of_a_film_is_not_read() {
        let small = mp4::tests::small_mp4();
        // The data comes between the type and the index.
        let at = small.windows(4).position(|name| name == b"moov").unwrap() - 4;
        let data = [&0x0100_0008_u32.to_be_bytes()[..], b"mdat", &vec![0; 1 << 24]].concat();
        let film = [&small[..at], &data, &small[at..]].concat();
        let limits = Limits { max_bytes: 1 << 30, ..LIMITS };
        let mut read = Read(std::io::Cursor::new(film.clone()), 0);
        assert_eq!(inspect_file(&mut read, &limits), super::inspect(&film, &limits));
        assert!(read.1 <= 4 << 16, "{}", read.1);
    }

    #[test]
    fn a_file_that_can_not_be_read_is_not_called_broken() {
        struct Gone(u64);
        impl std::io::Read for Gone {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("gone"))
            }
        }
        impl std::io::Seek for Gone {
            fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
                Ok(self.0)
            }
        }
        assert_eq!(inspect_file(&mut Gone(1_000), &LIMITS), Err(MediaError::Unread));
        assert_eq!(inspect_file(&mut Gone(0), &LIMITS), Err(MediaError::Empty));
    }

    #[test]
    fn other_types_are_refused_by_name() {
        let unsupported = |found| Err(MediaError::Unsupported { found });
        let table: [(&[u8], Result<Media, MediaError>); 8] = [
            (b"", Err(MediaError::Empty)),
            (b"<html><script>", Err(MediaError::Unknown)),
            (b"{\"error\":\"no\"}", Err(MediaError::Unknown)),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Err(MediaError::Unknown)),
            (b"\x1a\x45\xdf\xa3\x01webm", unsupported("WebM or Matroska")),
            (b"GIF89a", unsupported("GIF")),
            (b"OggS\0", unsupported("Ogg")),
            (b"RIFF\0\0\0\0AVI ", Err(MediaError::Unknown)),
        ];
        for (bytes, expected) in table {
            assert_eq!(inspect(bytes, &LIMITS), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn whole_files_only() {
        for (name, bytes) in samples() {
            for length in 0..bytes.len() {
                let cut = inspect(&bytes[..length], &LIMITS);
                // A FLAC or MP3 stream may end after any frame, so only its headers are provably cut.
                if !matches!(name, "flac" | "mp3") {
                    assert!(cut.is_err(), "{name} of {length} bytes");
                }
            }
        }
    }

    #[test]
    fn mutated_files_never_panic() {
        let mut state = 1_u64;
        let mut draw = move |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % bound
        };
        let mut inspected = 0;
        for (_, bytes) in samples() {
            for round in 0..2_000 {
                let mut mutated = bytes.clone();
                for _ in 0..=round % 3 {
                    // Headers are what is parsed, so half of the changes fall there.
                    let bound = if draw(2) == 0 { mutated.len() } else { mutated.len().min(160) };
                    let value = [0, 0xff, 0x7f, u8::try_from(draw(256)).unwrap()][draw(4)];
                    mutated[draw(bound)] = value;
                }
                if round % 5 == 0 {
                    mutated.truncate(draw(mutated.len()));
                }
                let _ = inspect(&mutated, &LIMITS);
                inspected += 1;
            }
        }
        assert_eq!(inspected, 20_000);
    }

    #[test]
    fn every_single_flipped_bit_of_the_headers_is_survived() {
        for (_, bytes) in samples() {
            for at in 0..bytes.len().min(400) {
                for bit in 0..8 {
                    let mut mutated = bytes.clone();
                    mutated[at] ^= 1 << bit;
                    let _ = inspect(&mutated, &LIMITS);
                }
            }
        }
    }

    #[test]
    fn lengths_round_to_the_nearest_millisecond() {
        let found =
            [milliseconds(44_100, 44_100), milliseconds(1, 3), milliseconds(2, 3), milliseconds(1, 0)];
        assert_eq!(found, [Some(1_000), Some(333), Some(667), None]);
        assert_eq!(milliseconds(u64::MAX, 1), None);
    }
}
