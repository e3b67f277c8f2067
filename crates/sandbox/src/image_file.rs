//! Pictures as PNG, JPEG or WebP files.
//!
//! Invariant: the file decodes to exactly the asked width and height. Not here: what the picture shows.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::canvas::Row;
use crate::mark::Mark;
use crate::noise::{cell2, mix};
use crate::number::byte;
use crate::photo::{Photo, PhotoScene};
use crate::scene::Scene;
use crate::theme::Theme;
use crate::{Picture, PictureFormat, RenderError};

const SIDES: std::ops::RangeInclusive<u32> = 16..=16_384;
const MOST_PIXELS: u64 = 64 * 1024 * 1024;
const TILE: usize = 64;

/// Renders and encodes a picture.
pub(crate) fn render(spec: &Picture<'_>) -> Result<Vec<u8>, RenderError> {
    check(spec)?;
    let bytes = paint(spec)?;
    encode(spec, &bytes).map_err(|error| RenderError::Encoder(error.to_string()))
}

/// Renders input pictures and encodes them.
pub(crate) fn render_photo(spec: &Picture<'_>, photo: &Photo) -> Result<Vec<u8>, RenderError> {
    check(spec)?;
    if photo.size() != (spec.width, spec.height) {
        return Err(RenderError::Unsupported("a photo of another size".to_owned()));
    }
    let scene = PhotoScene::of(photo, spec.prompt, spec.seed);
    let bytes = paint_rows(spec, |y, row| scene.paint(y, row))?;
    encode(spec, &bytes).map_err(|error| RenderError::Encoder(error.to_string()))
}

fn check(spec: &Picture<'_>) -> Result<(), RenderError> {
    let pixels = u64::from(spec.width) * u64::from(spec.height);
    if !SIDES.contains(&spec.width) || !SIDES.contains(&spec.height) || pixels > MOST_PIXELS {
        return Err(RenderError::Unsupported(format!("a picture of {}x{} pixels", spec.width, spec.height)));
    }
    Ok(())
}

fn side(pixels: u32) -> Result<usize, RenderError> {
    usize::try_from(pixels).map_err(|_| RenderError::Unsupported(format!("{pixels} pixels")))
}

fn paint(spec: &Picture<'_>) -> Result<Vec<u8>, RenderError> {
    let (width, height) = (side(spec.width)?, side(spec.height)?);
    let theme = Theme::of(spec.prompt, spec.seed);
    let mut scene = Scene::of(&theme, width, height);
    scene.advance(0.0);
    paint_rows(spec, |y, row| scene.paint(y, row))
}

/// Paints every row, from the top, and the mark over it.
fn paint_rows(
    spec: &Picture<'_>,
    mut paint_row: impl FnMut(usize, &mut Row),
) -> Result<Vec<u8>, RenderError> {
    let (width, height) = (side(spec.width)?, side(spec.height)?);
    let mark = Mark::new(width, height);
    let grain = grain();
    let mut row = Row::new(width);
    let mut bytes = vec![0_u8; width * height * 3];
    for (y, line) in bytes.chunks_exact_mut(width * 3).enumerate() {
        paint_row(y, &mut row);
        mark.paint(y, &mut row);
        quantise(&row, y, &grain, line);
    }
    Ok(bytes)
}

/// Noise of about one step, so that gradients show no bands. One tile for all pictures keeps it cheap.
fn grain() -> Vec<f32> {
    let seed = mix(0x5eed);
    (0..TILE * TILE)
        .map(|position| {
            let (column, line) = (position % TILE, position / TILE);
            let at = |salt: u32| {
                let column = i32::try_from(column).unwrap_or(0);
                cell2(seed ^ salt, column, i32::try_from(line).unwrap_or(0))
            };
            (at(1) + at(2) - 1.0) * 0.8
        })
        .collect()
}

fn quantise(row: &Row, y: usize, grain: &[f32], line: &mut [u8]) {
    let start = (y % TILE) * TILE;
    let tile = grain.get(start..start + TILE).unwrap_or(&[]);
    let blocks = line.chunks_mut(TILE * 3);
    let sources = row.r.chunks(TILE).zip(row.g.chunks(TILE)).zip(row.b.chunks(TILE));
    for (block, ((r, g), b)) in blocks.zip(sources) {
        for ((((pixel, r), g), b), noise) in block.chunks_exact_mut(3).zip(r).zip(g).zip(b).zip(tile) {
            if let [red, green, blue] = pixel {
                *red = byte(r * 255.0 + noise);
                *green = byte(g * 255.0 + noise);
                *blue = byte(b * 255.0 + noise);
            }
        }
    }
}

fn encode(spec: &Picture<'_>, bytes: &[u8]) -> image::ImageResult<Vec<u8>> {
    let mut file = Cursor::new(Vec::with_capacity(bytes.len() / 2));
    let (width, height, colour) = (spec.width, spec.height, ExtendedColorType::Rgb8);
    match spec.format {
        PictureFormat::Png => PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::Up)
            .write_image(bytes, width, height, colour)?,
        PictureFormat::Jpeg => {
            JpegEncoder::new_with_quality(&mut file, 88).write_image(bytes, width, height, colour)?;
        }
        PictureFormat::Webp => {
            WebPEncoder::new_lossless(&mut file).write_image(bytes, width, height, colour)?;
        }
    }
    Ok(file.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(prompt: &str, seed: u64, format: PictureFormat) -> Picture<'_> {
        Picture { prompt, seed, width: 210, height: 118, format }
    }

    #[test]
    fn every_format_decodes_to_the_asked_size() {
        for format in [PictureFormat::Png, PictureFormat::Jpeg, PictureFormat::Webp] {
            let file = render(&spec("a calm lake", 3, format)).unwrap();
            let picture = image::load_from_memory(&file).unwrap();
            assert_eq!((picture.width(), picture.height()), (210, 118), "{format:?}");
        }
    }

    #[test]
    fn same_specification_same_bytes() {
        let first = render(&spec("city at night", 3, PictureFormat::Png)).unwrap();
        assert_eq!(first, render(&spec("city at night", 3, PictureFormat::Png)).unwrap());
    }

    /// Mean distance of two pictures, 0 to 255.
    fn apart(left: &Picture<'_>, right: &Picture<'_>) -> u64 {
        let (left, right) = (paint(left).unwrap(), paint(right).unwrap());
        let sum: u64 = left.iter().zip(&right).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum / u64::try_from(left.len()).unwrap()
    }

    #[test]
    fn prompt_and_seed_change_the_picture() {
        for prompt in
            ["mountains", "sea", "forest", "desert", "city", "product", "abstract", "space", "hello"]
        {
            let base = spec(prompt, 1, PictureFormat::Png);
            assert!(apart(&base, &spec(prompt, 2, PictureFormat::Png)) >= 3, "{prompt}");
            let longer = format!("{prompt} two");
            assert!(apart(&base, &spec(&longer, 1, PictureFormat::Png)) >= 3, "{prompt}");
        }
    }

    #[test]
    fn the_mark_is_in_the_corner() {
        let picture = Picture { width: 512, height: 512, ..spec("snow", 1, PictureFormat::Png) };
        let bytes = paint(&picture).unwrap();
        let bright =
            |x: usize, y: usize| bytes[(y * 512 + x) * 3] > 225 && bytes[(y * 512 + x) * 3 + 2] > 225;
        let letters =
            (478..500).flat_map(|y| (360..500).map(move |x| (x, y))).filter(|(x, y)| bright(*x, *y));
        assert!(letters.count() > 60);
    }

    #[test]
    fn odd_shapes_work_and_impossible_ones_are_refused() {
        for (width, height) in [(16, 16), (17, 301), (640, 16), (233, 99)] {
            let picture = Picture { width, height, ..spec("x", 1, PictureFormat::Png) };
            let file = image::load_from_memory(&render(&picture).unwrap()).unwrap();
            assert_eq!((file.width(), file.height()), (width, height));
        }
        for (width, height) in [(0, 16), (15, 99), (16_385, 16), (16_384, 16_384)] {
            let picture = Picture { width, height, ..spec("x", 1, PictureFormat::Png) };
            assert!(matches!(render(&picture), Err(RenderError::Unsupported(_))));
        }
    }
}
