//! PNG, JPEG and WebP: dimensions from the header, wholeness from the structure.
//!
//! Invariant: a picture is accepted only if its structure reaches its own end mark. Bytes after that mark are
//! allowed, because cameras and vendors append gain maps and provenance there. Not here: pixels, colour,
//! orientation.

use super::{Kind, Media, MediaError, field::View};

pub(super) const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
const PNG_SIGNATURE_BYTES: u64 = 8;

/// Positions of a sequential read; what is missing is a cut file.
struct Walk<'a> {
    bytes: View<'a>,
    format: &'static str,
}

impl Walk<'_> {
    fn broken(&self, problem: &'static str) -> MediaError {
        MediaError::Broken { format: self.format, problem }
    }

    fn need<T>(&self, value: Option<T>, problem: &'static str) -> Result<T, MediaError> {
        value.ok_or_else(|| self.broken(problem))
    }
}

/// A picture, and what a reader that goes on to decode it wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) media: Media,
    /// Where the end mark ends; what follows belongs to no picture.
    pub(super) end: u64,
    pub(super) is_animated: bool,
    /// Bytes of chunks that are inflated when they are read: profiles and texts of a PNG.
    pub(super) compressed_metadata_bytes: u64,
    /// Passes over all pixels, each of which costs a decoder as much as the picture has pixels.
    pub(super) scans: u32,
}

fn found(mime: &'static str, extension: &'static str, width: u32, height: u32, end: u64) -> Whole {
    let (width, height) = (Some(width), Some(height));
    let media = Media { kind: Kind::Image, mime, extension, width, height, duration_ms: None };
    Whole { media, end, is_animated: false, compressed_metadata_bytes: 0, scans: 1 }
}

/// A PNG: every chunk's checksum, the header first, picture data, and the end mark.
pub(super) fn png(bytes: View<'_>) -> Result<Whole, MediaError> {
    let walk = Walk { bytes, format: "PNG" };
    let header = png_header(&walk)?;
    let mut whole = found("image/png", "png", header.width, header.height, 0);
    let mut at = PNG_SIGNATURE_BYTES;
    let mut data_bytes = 0_u64;
    loop {
        let size = walk.need(bytes.be_u32(at).map(u64::from), "cut off before the end mark (IEND)")?;
        // The checksum covers the chunk's name and content.
        let body = at.checked_add(4).zip(size.checked_add(4));
        let body = walk.need(body.and_then(|(start, size)| bytes.part(start, size)), "a chunk is cut off")?;
        let sum_at = at.saturating_add(8).saturating_add(size);
        let sum = walk.need(bytes.be_u32(sum_at), "a chunk is cut off")?;
        let mut crc = crc32fast::Hasher::new();
        body.each(|piece| {
            crc.update(piece);
            true
        });
        if crc.finalize() != sum {
            return Err(walk.broken("the checksum of a chunk is wrong"));
        }
        at = sum_at.saturating_add(4);
        match body.array::<4>(0).as_ref() {
            Some(b"IEND") if data_bytes == 0 => return Err(walk.broken("no picture data (IDAT)")),
            Some(b"IEND") if header.least_data_bytes() > data_bytes => {
                return Err(walk.broken("too little picture data (IDAT)"));
            }
            Some(b"IEND") => return Ok(Whole { end: at, ..whole }),
            Some(b"IDAT") => data_bytes = data_bytes.saturating_add(size),
            Some(b"acTL") => whole.is_animated = true,
            Some(b"iCCP" | b"zTXt") => whole.compressed_metadata_bytes += size,
            Some(b"iTXt") if is_compressed_text(body) => whole.compressed_metadata_bytes += size,
            _ => {}
        }
    }
}

/// Whether the flag behind the keyword of an international text is set.
fn is_compressed_text(body: View<'_>) -> bool {
    let end_of_keyword = body.position(|byte| byte == 0);
    end_of_keyword.is_some_and(|at| body.byte(at + 1) != Some(0))
}

struct PngHeader {
    width: u32,
    height: u32,
    bits_per_pixel: u8,
}

/// The most that deflate can gain.
const MAX_DEFLATE_RATIO: u128 = 1_032;

impl PngHeader {
    /// Fewer bytes of picture data can't hold all pixels, however well they are compressed.
    fn least_data_bytes(&self) -> u64 {
        let bits = u128::from(self.width) * u128::from(self.height) * u128::from(self.bits_per_pixel);
        u64::try_from(bits / 8 / MAX_DEFLATE_RATIO).unwrap_or(u64::MAX)
    }
}

fn png_header(walk: &Walk<'_>) -> Result<PngHeader, MediaError> {
    let name: Option<[u8; 8]> = walk.bytes.array(8);
    if walk.need(name, "cut off in the header")? != *b"\0\0\0\x0dIHDR" {
        return Err(walk.broken("the header (IHDR) is not first"));
    }
    let width = walk.need(walk.bytes.be_u32(16), "cut off in the header")?;
    let height = walk.need(walk.bytes.be_u32(20), "cut off in the header")?;
    if width == 0 || height == 0 || width > 0x7fff_ffff || height > 0x7fff_ffff {
        return Err(walk.broken("impossible width or height"));
    }
    let depth_and_colour: [u8; 2] = walk.need(walk.bytes.array(24), "cut off in the header")?;
    let (depth, channels) = match depth_and_colour {
        [depth @ (1 | 2 | 4 | 8 | 16), 0] | [depth @ (1 | 2 | 4 | 8), 3] => (depth, 1),
        [depth @ (8 | 16), 4] => (depth, 2),
        [depth @ (8 | 16), 2] => (depth, 3),
        [depth @ (8 | 16), 6] => (depth, 4),
        _ => return Err(walk.broken("impossible bit depth or colour type")),
    };
    Ok(PngHeader { width, height, bits_per_pixel: depth * channels })
}

/// A JPEG: segments up to the end mark (EOI), scans skipped byte by byte.
pub(super) fn jpeg(bytes: View<'_>) -> Result<Whole, MediaError> {
    let walk = Walk { bytes, format: "JPEG" };
    let mut at = 2;
    let mut size = None;
    let mut scans = 0_u32;
    loop {
        let marker = jpeg_marker(&walk, &mut at)?;
        match marker {
            0xd9 => break,
            // Marks without a segment: restarts and the obsolete TEM.
            0x01 | 0xd0..=0xd7 => continue,
            0xd8 => return Err(walk.broken("a second start mark")),
            _ => {}
        }
        let segment = walk.need(bytes.be_u16(at).map(u64::from), "a segment is cut off")?;
        if segment < 2 || bytes.part(at, segment).is_none() {
            return Err(walk.broken("the length of a segment is wrong"));
        }
        match marker {
            0xc4 | 0xc8 | 0xcc => {}
            0xc0..=0xcf => {
                let height = walk.need(bytes.be_u16(at + 3), "the frame header is cut off")?;
                let width = walk.need(bytes.be_u16(at + 5), "the frame header is cut off")?;
                if segment < 11 || width == 0 || height == 0 || size.is_some() {
                    return Err(walk.broken("impossible frame header"));
                }
                size = Some((u32::from(width), u32::from(height)));
            }
            _ => {}
        }
        at += segment;
        if marker == 0xda {
            if size.is_none() {
                return Err(walk.broken("picture data before the frame header"));
            }
            scans += 1;
            at = scan_end(bytes, at);
        }
    }
    match size {
        Some((width, height)) if scans > 0 => {
            Ok(Whole { scans, ..found("image/jpeg", "jpg", width, height, at) })
        }
        _ => Err(walk.broken("no picture data")),
    }
}

/// Reads one marker, with its fill bytes, and moves behind it.
fn jpeg_marker(walk: &Walk<'_>, at: &mut u64) -> Result<u8, MediaError> {
    let cut_off = "cut off before the end mark (EOI)";
    if walk.need(walk.bytes.byte(*at), cut_off)? != 0xff {
        return Err(walk.broken("a marker is missing"));
    }
    loop {
        *at += 1;
        match walk.need(walk.bytes.byte(*at), cut_off)? {
            0xff => {}
            0 => return Err(walk.broken("a marker is missing")),
            marker => {
                *at += 1;
                return Ok(marker);
            }
        }
    }
}

/// The position of the marker that ends a scan: not a stuffed zero, not a restart.
fn scan_end(bytes: View<'_>, from: u64) -> u64 {
    let mut last = 0;
    let end = bytes.rest(from).and_then(|rest| {
        rest.position(|byte| {
            let ends = last == 0xff && matches!(byte, 0x01..=0xcf | 0xd8..=0xfe);
            last = byte;
            ends
        })
    });
    end.map_or(bytes.bytes(), |offset| from + offset - 1)
}

/// A WebP: the declared size is there, and some picture chunk tells the dimensions.
pub(super) fn webp(bytes: View<'_>) -> Result<Whole, MediaError> {
    let walk = Walk { bytes, format: "WebP" };
    let declared = walk.need(bytes.le_u32(4).map(u64::from), "cut off in the header")?;
    let inside = walk.need(bytes.part(8, declared), "shorter than its header says")?;
    let mut canvas: Option<(u32, u32)> = None;
    let mut is_animated = false;
    let mut has_pixels = false;
    let mut at = 4;
    while at < inside.bytes() {
        let name: [u8; 4] = walk.need(inside.array(at), "a chunk is cut off")?;
        let size = walk.need(inside.le_u32(at + 4).map(u64::from), "a chunk is cut off")?;
        let body = walk.need(inside.part(at + 8, size), "a chunk is cut off")?;
        let size_of_picture = match &name {
            b"VP8 " => Some(lossy_size(body)),
            b"VP8L" => Some(lossless_size(body)),
            b"VP8X" => Some(canvas_size(body)),
            b"ANMF" => Some(frame_size(body)),
            _ => None,
        };
        if let Some(read) = size_of_picture {
            let read = walk.need(read, "impossible picture header")?;
            // The canvas comes first where there is one, and is what a viewer shows.
            let (width, height) = *canvas.get_or_insert(read);
            if read.0 > width || read.1 > height {
                return Err(walk.broken("a frame is larger than the canvas"));
            }
        }
        is_animated |= &name == b"ANMF";
        has_pixels |= matches!(&name, b"VP8 " | b"VP8L" | b"ANMF");
        // Chunks are padded to even sizes.
        at = at.saturating_add(8).saturating_add(size).saturating_add(size % 2);
    }
    match canvas {
        Some((width, height)) if has_pixels => {
            let end = declared.saturating_add(8);
            Ok(Whole { is_animated, ..found("image/webp", "webp", width, height, end) })
        }
        _ => Err(walk.broken("no picture data")),
    }
}

fn lossy_size(body: View<'_>) -> Option<(u32, u32)> {
    let is_key_frame = body.byte(0)? & 1 == 0;
    let start: [u8; 3] = body.array(3)?;
    let width = u32::from(body.le_u16(6)? & 0x3fff);
    let height = u32::from(body.le_u16(8)? & 0x3fff);
    (is_key_frame && start == [0x9d, 0x01, 0x2a] && width > 0 && height > 0).then_some((width, height))
}

fn lossless_size(body: View<'_>) -> Option<(u32, u32)> {
    let bits = body.le_u32(1)?;
    (body.byte(0)? == 0x2f).then_some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
}

fn canvas_size(body: View<'_>) -> Option<(u32, u32)> {
    let width = body.le_u32(4)? & 0x00ff_ffff;
    let height = body.le_u32(6)? >> 8;
    Some((width + 1, height + 1))
}

/// The size of one frame of an animation, behind its place.
fn frame_size(body: View<'_>) -> Option<(u32, u32)> {
    let width = body.le_u32(6)? & 0x00ff_ffff;
    let height = body.le_u32(8)? >> 8;
    Some((width + 1, height + 1))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn png(bytes: &[u8]) -> Result<Whole, MediaError> {
        super::png(View::of(&bytes))
    }

    fn jpeg(bytes: &[u8]) -> Result<Whole, MediaError> {
        super::jpeg(View::of(&bytes))
    }

    fn webp(bytes: &[u8]) -> Result<Whole, MediaError> {
        super::webp(View::of(&bytes))
    }

    fn bytes_of(file: &[u8]) -> u64 {
        u64::try_from(file.len()).unwrap()
    }

    /// A picture of 40 by 24 pixels.
    pub(in crate::media) fn encoded(format: image::ImageFormat) -> Vec<u8> {
        let picture = image::RgbImage::from_fn(40, 24, |x, y| {
            let [x, y] = [x, y].map(|value| u8::try_from(value).unwrap());
            image::Rgb([x.wrapping_mul(6), y.wrapping_mul(10), x ^ y])
        });
        let mut file = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut inside = b"WEBP".to_vec();
        for (name, body) in chunks {
            inside.extend_from_slice(*name);
            inside.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
            inside.extend_from_slice(body);
            inside.resize(inside.len().next_multiple_of(2), 0);
        }
        let mut file = b"RIFF".to_vec();
        file.extend_from_slice(&u32::try_from(inside.len()).unwrap().to_le_bytes());
        file.extend_from_slice(&inside);
        file
    }

    const CANVAS: [u8; 10] = [0, 0, 0, 0, 99, 0, 0, 49, 0, 0];
    const LOSSY: [u8; 11] = [0, 0, 0, 0x9d, 0x01, 0x2a, 40, 0, 24, 0, 7];

    pub(in crate::media) fn extended_webp() -> Vec<u8> {
        riff(&[(b"VP8X", &CANVAS), (b"EXIF", b"abc"), (b"VP8L", &[0x2f, 99, 0x40, 12, 0])])
    }

    pub(in crate::media) fn lossy_webp() -> Vec<u8> {
        riff(&[(b"VP8 ", &LOSSY)])
    }

    fn problem(result: Result<Whole, MediaError>) -> &'static str {
        match result {
            Err(MediaError::Broken { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn dimensions_are_read() {
        use image::ImageFormat::{Jpeg, Png, WebP};
        let expected = [("image/png", "png"), ("image/jpeg", "jpg"), ("image/webp", "webp")];
        let read = [png(&encoded(Png)), jpeg(&encoded(Jpeg)), webp(&encoded(WebP))];
        let ends = [Png, Jpeg, WebP].map(|format| bytes_of(&encoded(format)));
        for ((read, (mime, extension)), end) in read.into_iter().zip(expected).zip(ends) {
            assert_eq!(read, Ok(found(mime, extension, 40, 24, end)));
        }
        let (extended, lossy) = (extended_webp(), lossy_webp());
        assert_eq!(webp(&extended), Ok(found("image/webp", "webp", 100, 50, bytes_of(&extended))));
        assert_eq!(webp(&lossy), Ok(found("image/webp", "webp", 40, 24, bytes_of(&lossy))));
    }

    #[test]
    fn bytes_after_the_end_are_allowed() {
        for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg, image::ImageFormat::WebP] {
            let mut file = encoded(format);
            file.extend_from_slice(b"gain map");
            assert!(super::super::sniff(View::of(&&file[..])).is_ok(), "{format:?}");
        }
    }

    #[test]
    fn broken_png_says_why() {
        let whole = encoded(image::ImageFormat::Png);
        assert_eq!(problem(png(&whole[..whole.len() - 12])), "cut off before the end mark (IEND)");
        assert_eq!(problem(png(&whole[..60])), "a chunk is cut off");
        let changed = |at: usize, value: u8| {
            let mut file = whole.clone();
            file[at] = value;
            problem(png(&file))
        };
        assert_eq!(changed(19, 0), "impossible width or height");
        assert_eq!(changed(19, 41), "the checksum of a chunk is wrong");
        assert_eq!(changed(25, 5), "impossible bit depth or colour type");
        assert_eq!(changed(12, b'J'), "the header (IHDR) is not first");
        let mut empty = whole[..33].to_vec();
        empty.extend_from_slice(&whole[whole.len() - 12..]);
        assert_eq!(problem(png(&empty)), "no picture data (IDAT)");
    }

    #[test]
    fn broken_jpeg_says_why() {
        let whole = encoded(image::ImageFormat::Jpeg);
        assert_eq!(problem(jpeg(&whole[..whole.len() - 2])), "cut off before the end mark (EOI)");
        assert_eq!(problem(jpeg(b"\xff\xd8\xff\xd9")), "no picture data");
        assert_eq!(problem(jpeg(b"\xff\xd8\xff\xe0\0\x01")), "the length of a segment is wrong");
        assert_eq!(problem(jpeg(b"\xff\xd8\xff\xda\0\x02")), "picture data before the frame header");
        assert_eq!(problem(jpeg(b"\xff\xd8\xff\xe0\0\x02X")), "a marker is missing");
        let no_height = b"\xff\xd8\xff\xc0\0\x0b\x08\0\0\0\x10\x01\x01\x11\0";
        assert_eq!(problem(jpeg(no_height)), "impossible frame header");
    }

    #[test]
    fn a_thumbnail_inside_a_segment_is_not_the_picture() {
        let whole = encoded(image::ImageFormat::Jpeg);
        let mut file = b"\xff\xd8\xff\xe1\0\x0f\xff\xd8\xff\xc0\0\x0b\x08\0\x01\0\x01\xff\xd9".to_vec();
        file.extend_from_slice(&whole[2..]);
        assert_eq!(jpeg(&file), Ok(found("image/jpeg", "jpg", 40, 24, bytes_of(&file))));
    }

    #[test]
    fn broken_webp_says_why() {
        assert_eq!(problem(webp(&riff(&[(b"VP8X", &CANVAS)]))), "no picture data");
        assert_eq!(problem(webp(&riff(&[(b"VP8L", &[0x2e, 0, 0, 0, 0])]))), "impossible picture header");
        let whole = extended_webp();
        assert_eq!(problem(webp(&whole[..whole.len() - 1])), "shorter than its header says");
        let mut lying = whole;
        lying[16] = 200;
        assert_eq!(problem(webp(&lying)), "a chunk is cut off");
    }
}
