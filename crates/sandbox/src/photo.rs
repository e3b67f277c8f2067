//! Pictures made from pictures: the inputs decoded, cut to the asked shape, and tinted as the prompt's mood
//! asks.
//!
//! Invariant: what is seen is the input, never a scene of our own; a decoder gets at most [`DECODER_BYTES`]
//! beside the pixels, and an input of more than [`MOST_PIXELS`] is refused before its pixels are decoded. Not
//! here: encoders, the mark, where inputs come from.

use std::io::Cursor;

use image::imageops::{crop_imm, thumbnail};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::RenderError;
use crate::canvas::{Rgb, Row};
use crate::noise::Dice;
use crate::number::index;
use crate::theme::Theme;

const MOST_PIXELS: u64 = 64 * 1024 * 1024;
/// Of the decoded pixels, which may have up to eight bytes each.
const MOST_BYTES: u64 = 256 << 20;
const DECODER_BYTES: u64 = 64 << 20;
/// How much of the tint a pixel takes.
const TINT: f32 = 0.22;
/// How close the camera of a clip gets.
const CLOSEST: f32 = 1.12;

/// Input pictures, decoded and cut for one size of output. Several stand side by side.
pub struct Photo {
    panels: Vec<Panel>,
    size: (u32, u32),
}

/// One input in its place in the output.
struct Panel {
    place: Place,
    width: usize,
    height: usize,
    /// Red, green and blue, row by row.
    pixels: Vec<u8>,
}

/// A rectangle of the output, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

fn refused(problem: impl std::fmt::Display) -> RenderError {
    RenderError::Input(problem.to_string())
}

impl Photo {
    /// Decodes PNG, JPEG or WebP files for outputs of a size.
    pub fn of(files: &[&[u8]], width: u32, height: u32) -> Result<Self, RenderError> {
        let count = u32::try_from(files.len()).unwrap_or(u32::MAX);
        if width.min(height) < 16 || width.max(height) > 16_384 {
            return Err(RenderError::Unsupported(format!("a picture of {width}x{height} pixels")));
        }
        if count == 0 || count > 16 {
            return Err(refused(format_args!("{count} input pictures")));
        }
        // One after the other: the decoded pixels of only one input are held at a time.
        let panels = (0..count).zip(files).map(|(number, file)| {
            let place = place(number, count, width, height);
            Panel::of(file, place)
        });
        Ok(Self { panels: panels.collect::<Result<_, _>>()?, size: (width, height) })
    }

    /// The size of the outputs that it was made for.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.size
    }
}

/// The place of one of `count` inputs: strips of a wide output, bands of a tall one.
fn place(number: u32, count: u32, width: u32, height: u32) -> Place {
    let part = |whole: u32| {
        let start = whole * number / count;
        (start, whole * (number + 1) / count - start)
    };
    if width >= height {
        let (left, width) = part(width);
        Place { left, top: 0, width, height }
    } else {
        let (top, height) = part(height);
        Place { left: 0, top, width, height }
    }
}

impl Panel {
    fn of(file: &[u8], place: Place) -> Result<Self, RenderError> {
        let mut limits = Limits::default();
        limits.max_alloc = Some(DECODER_BYTES);
        let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(refused)?;
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(refused)?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MOST_PIXELS || decoder.total_bytes() > MOST_BYTES {
            return Err(refused(format_args!("{width}x{height} pixels are too many")));
        }
        let orientation = decoder.orientation().map_err(refused)?;
        let image = DynamicImage::from_decoder(decoder).map_err(refused)?;
        // Turned after it is small, so that no second copy of all pixels is made.
        let upright = keeps_sides(orientation);
        let wanted = if upright { (place.width, place.height) } else { (place.height, place.width) };
        let mut small = DynamicImage::ImageRgba8(covering(&image, wanted));
        drop(image);
        small.apply_orientation(orientation);
        let small = small.into_rgba8();
        let (width, height) = (index_of(small.width()), index_of(small.height()));
        Ok(Self { place, width, height, pixels: on_white(&small) })
    }
}

/// Whether width and height keep their places.
fn keeps_sides(orientation: image::metadata::Orientation) -> bool {
    use image::metadata::Orientation::{FlipHorizontal, FlipVertical, NoTransforms, Rotate180};
    matches!(orientation, NoTransforms | Rotate180 | FlipHorizontal | FlipVertical)
}

fn index_of(pixels: u32) -> usize {
    usize::try_from(pixels).unwrap_or(usize::MAX)
}

/// The middle of a picture in the wanted shape, made smaller where it has more pixels than wanted.
fn covering(image: &DynamicImage, (width, height): (u32, u32)) -> image::RgbaImage {
    let (has_width, has_height) = (u64::from(image.width()), u64::from(image.height()));
    let (wide, tall) = (u64::from(width), u64::from(height));
    let pixels = |value: u64| u32::try_from(value.max(1)).unwrap_or(u32::MAX);
    let (cut_width, cut_height) = if has_width * tall > has_height * wide {
        (pixels(has_height * wide / tall), image.height())
    } else {
        (image.width(), pixels(has_width * tall / wide))
    };
    let (left, top) = ((image.width() - cut_width) / 2, (image.height() - cut_height) / 2);
    let cut = crop_imm(image, left, top, cut_width, cut_height);
    thumbnail(&*cut, cut_width.min(width), cut_height.min(height))
}

/// Transparent pixels show white behind.
fn on_white(image: &image::RgbaImage) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(image.as_raw().len() / 4 * 3);
    for image::Rgba([r, g, b, a]) in image.pixels() {
        let over = |channel: &u8| {
            let mixed = (u32::from(*channel) * u32::from(*a) + 255 * (255 - u32::from(*a))) / 255;
            u8::try_from(mixed).unwrap_or(255)
        };
        pixels.extend([over(r), over(g), over(b)]);
    }
    pixels
}

/// Paints the rows of a photo in the colours of a prompt.
pub(crate) struct PhotoScene<'a> {
    photo: &'a Photo,
    /// The tint for each brightness.
    ramp: Vec<Rgb>,
    /// Where the camera looks from the middle, -1.0 to 1.0, and which way it goes.
    drift: (f32, f32),
    /// The closeness at the start, so that each seed's picture is cut its own way.
    nearness: f32,
    zoom: f32,
    pan: (f32, f32),
}

impl<'a> PhotoScene<'a> {
    pub(crate) fn of(photo: &'a Photo, prompt: &str, seed: u64) -> Self {
        let palette = Theme::of(prompt, seed).palette;
        let ramp = (0..=255_u8).map(|step| {
            let share = f32::from(step) / 255.0;
            if share < 0.5 {
                palette.near.to(palette.middle, share * 2.0)
            } else {
                palette.middle.to(palette.light, share * 2.0 - 1.0)
            }
        });
        let mut dice = Dice::of(prompt, seed, "camera");
        let drift = (dice.between(-1.0, 1.0), dice.between(-1.0, 1.0));
        let nearness = dice.between(1.0, 1.04);
        Self { photo, ramp: ramp.collect(), drift, nearness, zoom: nearness, pan: (0.0, 0.0) }
    }

    /// Moves the camera: `share` of the way, 0.0 to 1.0.
    pub(crate) fn advance(&mut self, share: f32) {
        self.zoom = self.nearness * (1.0 + (CLOSEST - 1.0) * share);
        self.pan = (self.drift.0 * share, self.drift.1 * share);
    }

    /// Paints one row.
    pub(crate) fn paint(&self, y: usize, row: &mut Row) {
        for panel in &self.photo.panels {
            let (top, height) = (index_of(panel.place.top), index_of(panel.place.height));
            if y < top || y >= top + height {
                continue;
            }
            let down = self.source((y - top) as f32 + 0.5, height as f32, self.pan.1, panel.height);
            let (left, width) = (index_of(panel.place.left), index_of(panel.place.width));
            for x in 0..width {
                let across = self.source(x as f32 + 0.5, width as f32, self.pan.0, panel.width);
                let colour = panel.between(across, down);
                let luma = 0.2126 * colour.r + 0.7152 * colour.g + 0.0722 * colour.b;
                let tint = self.ramp.get(index(luma * 255.0)).copied().unwrap_or(colour);
                row.blend(left + x, colour.to(tint, TINT), 1.0);
            }
        }
    }

    /// The place in an input, in its pixels, that a place in the output shows.
    fn source(&self, place: f32, length: f32, pan: f32, pixels: usize) -> f32 {
        let room = 1.0 - 1.0 / self.zoom;
        let share = 0.5 + (place / length - 0.5) / self.zoom + pan * room * 0.5;
        (share * pixels as f32 - 0.5).clamp(0.0, pixels as f32 - 1.0)
    }
}

impl Panel {
    /// The colour between four pixels.
    fn between(&self, x: f32, y: f32) -> Rgb {
        let (column, line) = (index(x), index(y));
        let (right, below) = ((column + 1).min(self.width - 1), (line + 1).min(self.height - 1));
        let (across, down) = (x - column as f32, y - line as f32);
        let top = self.pixel(column, line).to(self.pixel(right, line), across);
        let bottom = self.pixel(column, below).to(self.pixel(right, below), across);
        top.to(bottom, down)
    }

    #[inline(always)]
    fn pixel(&self, x: usize, y: usize) -> Rgb {
        let start = (y * self.width + x) * 3;
        match self.pixels.get(start..start + 3) {
            Some([r, g, b]) => {
                Rgb { r: f32::from(*r), g: f32::from(*g), b: f32::from(*b) }.times(1.0 / 255.0)
            }
            _ => Rgb { r: 0.0, g: 0.0, b: 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clip, Picture, PictureFormat, clip_from, picture_from};
    use image::{ImageFormat, Rgb as Pixel, Rgba, RgbaImage};

    fn file(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        image.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    fn plain(colour: [u8; 3]) -> Vec<u8> {
        let image = image::RgbImage::from_pixel(90, 60, Pixel(colour));
        file(&DynamicImage::ImageRgb8(image), ImageFormat::Png)
    }

    /// Left half red, right half blue.
    fn halves(format: ImageFormat) -> Vec<u8> {
        let image = image::RgbImage::from_fn(120, 80, |x, _| {
            if x < 60 { Pixel([220, 30, 30]) } else { Pixel([30, 30, 220]) }
        });
        file(&DynamicImage::ImageRgb8(image), format)
    }

    fn rendered(files: &[&[u8]], width: u32, height: u32, seed: u64) -> image::RgbImage {
        let photo = Photo::of(files, width, height).unwrap();
        let spec = Picture { prompt: "a fox", seed, width, height, format: PictureFormat::Png };
        image::load_from_memory(&picture_from(&spec, &photo).unwrap()).unwrap().into_rgb8()
    }

    /// The channel that is strongest at a place.
    fn strongest(image: &image::RgbImage, x: u32, y: u32) -> char {
        let Pixel([r, g, b]) = *image.get_pixel(x, y);
        if r > g && r > b {
            'r'
        } else if g > b {
            'g'
        } else {
            'b'
        }
    }

    #[test]
    fn the_output_shows_the_input() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            for (width, height) in [(96, 64), (300, 64), (64, 300), (512, 512)] {
                let image = rendered(&[&halves(format)], width, height, 1);
                assert_eq!(image.dimensions(), (width, height));
                let found = [width / 4, width * 3 / 4].map(|x| strongest(&image, x, height / 3));
                assert_eq!(found, ['r', 'b'], "{format:?} {width}x{height}");
            }
        }
    }

    #[test]
    fn several_inputs_stand_side_by_side() {
        let inputs = [plain([220, 30, 30]), plain([30, 220, 30]), plain([30, 30, 220])];
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let wide = rendered(&inputs, 300, 100, 1);
        assert_eq!([50, 150, 250].map(|x| strongest(&wide, x, 40)), ['r', 'g', 'b']);
        let tall = rendered(&inputs, 100, 300, 1);
        assert_eq!([50, 150, 250].map(|y| strongest(&tall, 40, y)), ['r', 'g', 'b']);
        let sixteen = vec![inputs[0]; 16];
        assert_eq!(rendered(&sixteen, 17, 16, 1).dimensions(), (17, 16));
        assert!(Photo::of(&vec![inputs[0]; 17], 64, 64).is_err());
        assert!(Photo::of(&[], 64, 64).is_err());
    }

    #[test]
    fn a_turned_photo_stands_upright() {
        // A JPEG whose EXIF block says that its right side is the top: red is above then.
        let jpeg = halves(ImageFormat::Jpeg);
        let exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let turned = [&jpeg[..2], exif, &jpeg[2..]].concat();
        let image = rendered(&[&turned], 80, 120, 1);
        assert_eq!([30, 100].map(|y| strongest(&image, 40, y)), ['r', 'b']);
    }

    #[test]
    fn transparent_pixels_are_white() {
        let clear = RgbaImage::from_pixel(40, 40, Rgba([255, 0, 0, 0]));
        let photo = Photo::of(&[&file(&DynamicImage::ImageRgba8(clear), ImageFormat::Png)], 64, 64).unwrap();
        assert!(photo.panels[0].pixels.iter().all(|value| *value == 255));
    }

    #[test]
    fn what_does_not_decode_is_an_input_error() {
        let png = halves(ImageFormat::Png);
        let mut broken = png.clone();
        broken.truncate(png.len() / 2);
        for input in [b"".as_slice(), b"GIF89a", b"<html>", &broken] {
            assert!(matches!(Photo::of(&[input], 64, 64), Err(RenderError::Input(_))));
        }
        assert!(matches!(Photo::of(&[&png], 15, 64), Err(RenderError::Unsupported(_))));
    }

    #[test]
    fn the_same_order_gives_the_same_bytes_and_another_seed_others() {
        let input = halves(ImageFormat::Png);
        let photo = Photo::of(&[&input], 128, 96).unwrap();
        let spec =
            |prompt, seed| Picture { prompt, seed, width: 128, height: 96, format: PictureFormat::Png };
        let first = picture_from(&spec("a fox", 1), &photo).unwrap();
        let again = Photo::of(&[&input], 128, 96).unwrap();
        assert_eq!(picture_from(&spec("a fox", 1), &again).unwrap(), first);
        assert_ne!(picture_from(&spec("a fox", 2), &photo).unwrap(), first);
        assert_ne!(picture_from(&spec("neon city", 1), &photo).unwrap(), first);
        let other = Picture { width: 64, ..spec("a fox", 1) };
        assert!(matches!(picture_from(&other, &photo), Err(RenderError::Unsupported(_))));
    }

    #[test]
    fn a_clip_moves_over_the_input() {
        let input = halves(ImageFormat::Jpeg);
        let photo = Photo::of(&[&input], 128, 96).unwrap();
        let clip = Clip { prompt: "a fox", seed: 1, width: 128, height: 96, milliseconds: 500 };
        let file = clip_from(&clip, &photo, &|_| true).unwrap();
        assert_eq!(file, clip_from(&clip, &photo, &|_| true).unwrap());
        assert_ne!(file, crate::clip(&clip, &|_| true).unwrap());
        let mut scene = PhotoScene::of(&photo, "a fox", 1);
        let mut row = Row::new(128);
        let mut seen = |share| {
            scene.advance(share);
            scene.paint(48, &mut row);
            row.r.clone()
        };
        assert_ne!(seen(0.0), seen(1.0));
        let other = Clip { width: 64, ..clip };
        assert!(matches!(clip_from(&other, &photo, &|_| true), Err(RenderError::Unsupported(_))));
    }
}
