//! What `inspect_image` takes and what it refuses: bombs, lies, cut files, files of two kinds.
//!
//! Invariant: the sentence of each refusal is exact, so a bomb is refused for what it is. Not here: fetching.

use crate::{
    bombs::{black_png, canvas, jpeg_of, jpeg_of_scans, lossless, lossy, png, small, text, webp, zeros},
    loopback::rejected,
};
use bytes::Bytes;
use image::ImageFormat::{Jpeg, Png, WebP};
use rynjer_providers::{
    InputImage,
    guarded::{FetchError, FetchLimits, inspect_image},
};

const LIMITS: FetchLimits = FetchLimits { max_bytes: 30 << 20, max_pixels: 50_000_000 };

fn inspected(file: &[u8]) -> Result<InputImage, FetchError> {
    inspect_image(&Bytes::copy_from_slice(file), &LIMITS)
}

fn problem(file: &[u8]) -> String {
    let sentence = inspected(file).unwrap_err().to_string();
    let problem = sentence.strip_prefix("The input picture is refused: ").unwrap();
    problem.strip_suffix('.').unwrap().to_owned()
}

#[test]
fn pictures_are_taken_as_they_are() {
    for (format, mime) in [(Png, "image/png"), (Jpeg, "image/jpeg"), (WebP, "image/webp")] {
        let file = small(format);
        let image = inspected(&file).unwrap();
        assert_eq!((image.mime, image.width, image.height), (mime, 40, 24));
        assert_eq!(image.bytes, file);
    }
    let large = black_png(7_000, 7_000);
    let image = inspected(&large).unwrap();
    assert_eq!((image.width, image.height, image.bytes.len()), (7_000, 7_000, large.len()));
}

#[test]
fn too_many_pixels_are_refused_by_the_header() {
    let too_many =
        |width: u32, height: u32| format!("{width}×{height} pixels are more than the 50000000 allowed");
    let both = |chunk: &[u8]| webp(&[(b"VP8X", &canvas(0, 1, 1)), (b"VP8L", chunk)]);
    let table = [
        (black_png(30_000, 30_000), too_many(30_000, 30_000)),
        (jpeg_of(65_500, 65_500), too_many(65_500, 65_500)),
        (jpeg_of(7_072, 7_072), too_many(7_072, 7_072)),
        (webp(&[(b"VP8L", &lossless(16_384, 16_384))]), too_many(16_384, 16_384)),
        (webp(&[(b"VP8 ", &lossy(16_383, 16_383))]), too_many(16_383, 16_383)),
        (
            webp(&[(b"VP8X", &canvas(0, 1 << 24, 1 << 24)), (b"VP8L", &lossless(1, 1))]),
            too_many(1 << 24, 1 << 24),
        ),
        (both(&lossless(16_384, 16_384)), "broken WebP file: a frame is larger than the canvas".to_owned()),
        (png(7_000, 7_000, &[], &zeros(1_000)), "broken PNG file: too little picture data (IDAT)".to_owned()),
        (
            png(0x7fff_ffff, 0x7fff_ffff, &[], &zeros(1_000)),
            "broken PNG file: too little picture data (IDAT)".to_owned(),
        ),
    ];
    for (file, expected) in table {
        assert_eq!(problem(&file), expected);
    }
}

#[test]
fn what_costs_more_than_its_pixels_is_refused() {
    let profile = |length| [b"icc\0\0".to_vec(), zeros(length)].concat();
    let international = |flag: u8| [b"XML\0".to_vec(), vec![flag, 0, 0, 0], vec![b'x'; 2 << 20]].concat();
    let with = |name: &'static [u8; 4], body: Vec<u8>| png(1, 1, &[(name, body)], &zeros(2));
    let metadata = "broken PNG file: too much compressed metadata";
    assert_eq!(problem(&with(b"zTXt", text(2 << 30))), metadata);
    assert_eq!(problem(&with(b"iCCP", profile(1 << 30))), metadata);
    assert_eq!(problem(&with(b"iTXt", international(1))), metadata);
    let many: Vec<(&[u8; 4], Vec<u8>)> = (0..2_000).map(|_| (b"zTXt", text(100_000))).collect();
    assert_eq!(problem(&png(1, 1, &many, &zeros(2))), metadata);
    assert!(inspected(&with(b"iTXt", international(0))).is_ok());
    assert!(inspected(&with(b"iCCP", profile(3 << 20))).is_ok());
    assert_eq!(problem(&jpeg_of_scans(101)), "broken JPEG file: too many scans");
    assert!(inspected(&jpeg_of_scans(100)).is_ok());
    let frame =
        [vec![0; 6], vec![9, 0, 0, 9, 0, 0, 0, 0, 0, 0], b"VP8L\x05\0\0\0".to_vec(), lossless(10, 10)];
    let animated = webp(&[(b"VP8X", &canvas(2, 10, 10)), (b"ANIM", &[0; 6]), (b"ANMF", &frame.concat())]);
    assert_eq!(problem(&animated), "animated picture files are not supported");
    let animated = png(1, 1, &[(b"acTL", vec![0, 0, 0, 2, 0, 0, 0, 0])], &zeros(2));
    assert_eq!(problem(&animated), "animated picture files are not supported");
}

#[test]
fn cut_files_are_refused() {
    for format in [Png, Jpeg, WebP] {
        let file = small(format);
        for length in 0..file.len() {
            assert!(inspected(&file[..length]).is_err(), "{format:?} of {length} bytes");
        }
    }
}

#[test]
fn what_follows_a_picture_is_cut_off() {
    let tails: [&[u8]; 5] =
        [b"PK\x03\x04archive", b"%PDF-1.7", b"<html><script>alert(1)</script>", b"\xff\xd8\xff\xe0", b"\0"];
    for format in [Png, Jpeg, WebP] {
        let file = small(format);
        for tail in tails {
            let image = inspected(&[file.as_slice(), tail].concat()).unwrap();
            assert_eq!(image.bytes, file, "{format:?}");
        }
    }
}

#[test]
fn other_files_are_refused_by_name() {
    let unknown = "the bytes are no known picture, video or audio format";
    let table: [(&[u8], &str); 12] = [
        (b"", "the file is empty"),
        (b"GIF89a/*\x01\0*/=1;alert(1)", "GIF files are not supported"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF or HEIC files are not supported"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "AVIF or HEIC files are not supported"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", unknown),
        (b"<html>\x89PNG\r\n\x1a\n", unknown),
        (b"%PDF-1.7\n\xff\xd8\xff", unknown),
        (b"BM\x9a\0\0\0\0\0\0\0", unknown),
        (b"II*\0\x08\0\0\0", unknown),
        (b"8BPS\0\x01", unknown),
        (b"\n\x89PNG\r\n\x1a\n", unknown),
        (b"\x1a\x45\xdf\xa3\x01webm", "WebM or Matroska files are not supported"),
    ];
    for (file, expected) in table {
        assert_eq!(problem(file), expected, "{}", String::from_utf8_lossy(file));
    }
    let long = Bytes::from(vec![0; 101]);
    let sentence = "The input picture is refused: the file has 101 bytes, more than the 100 allowed.";
    assert_eq!(inspect_image(&long, &FetchLimits { max_bytes: 100, ..LIMITS }), Err(rejected(sentence)));
}
