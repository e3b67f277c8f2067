//! Plain files made once for each size and length, so that load tests cost microseconds.
//!
//! Invariant: at most [`MAX_FILES`] files and [`MAX_BYTES`] bytes are kept; the oldest go first. Not here:
//! when a prepared file is asked for, and how many renders run at once.

use super::{
    render::{Order, Pulse, files, picture_format},
    trigger::Format,
};
use bytes::Bytes;
use image::{ExtendedColorType, ImageEncoder as _, ImageResult};
use rynjer_core::catalog::Product;
use rynjer_sandbox::{PictureFormat, RenderError};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

const MAX_FILES: usize = 64;
const MAX_BYTES: usize = 64 << 20;

/// A plain picture is made of rows of one grey, so it may be as large as a rendered one.
const MAX_PIXELS: u64 = 64_000_000;
const GREY: u8 = 0xb4;

/// What makes two prepared files the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    product: Product,
    width: u32,
    height: u32,
    duration_ms: u32,
    format: Option<Format>,
}

impl Shape {
    pub(super) fn of(order: &Order) -> Self {
        let Order { product, width, height, duration_ms, format, .. } = *order;
        Self { product, width, height, duration_ms, format }
    }
}

/// The files made so far, oldest first.
#[derive(Default)]
pub(super) struct Prepared {
    files: Mutex<VecDeque<(Shape, Bytes)>>,
}

impl Prepared {
    /// The file of that shape, if it was made and is still kept.
    pub(super) fn get(&self, shape: &Shape) -> Option<Bytes> {
        // A holder of the lock can't leave the list half changed, so a poisoned one is as good.
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().find(|(kept, _)| kept == shape).map(|(_, file)| file.clone())
    }

    /// The file of the order's shape, made now unless somebody else did while this one waited.
    pub(super) fn get_or_make(&self, order: &Order, pulse: &Pulse) -> Result<Bytes, RenderError> {
        let shape = Shape::of(order);
        if let Some(file) = self.get(&shape) {
            return Ok(file);
        }
        let file = make(order, pulse)?;
        self.keep(shape, file.clone());
        Ok(file)
    }

    fn keep(&self, shape: Shape, file: Bytes) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.push_back((shape, file));
        while files.len() > MAX_FILES || files.iter().map(|(_, file)| file.len()).sum::<usize>() > MAX_BYTES {
            files.pop_front();
        }
    }
}

fn make(order: &Order, pulse: &Pulse) -> Result<Bytes, RenderError> {
    if order.product == Product::Image {
        let file = plain_picture(order.width, order.height, picture_format(order.format))?;
        return Ok(Bytes::from(file));
    }
    let (prompt, input_images) = ("prepared".to_owned(), Vec::new());
    let order = Order { prompt, input_images, seed: 0, count: 1, ..order.clone() };
    let made = files(&order, pulse)?.pop();
    made.ok_or_else(|| RenderError::Encoder("no file was made".to_owned()))
}

fn plain_picture(width: u32, height: u32, format: PictureFormat) -> Result<Vec<u8>, RenderError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_PIXELS {
        return Err(RenderError::Unsupported(format!("{width}×{height} pixels")));
    }
    let pixels = usize::try_from(pixels).unwrap_or(0);
    let mut file = Vec::new();
    encode(&mut file, pixels, (width, height), format)
        .map_err(|error| RenderError::Encoder(error.to_string()))?;
    Ok(file)
}

fn encode(
    file: &mut Vec<u8>,
    pixels: usize,
    (width, height): (u32, u32),
    format: PictureFormat,
) -> ImageResult<()> {
    let grey = vec![GREY; pixels];
    match format {
        PictureFormat::Png => {
            image::codecs::png::PngEncoder::new(file).write_image(&grey, width, height, ExtendedColorType::L8)
        }
        PictureFormat::Jpeg => image::codecs::jpeg::JpegEncoder::new(file).write_image(
            &grey,
            width,
            height,
            ExtendedColorType::L8,
        ),
        PictureFormat::Webp => image::codecs::webp::WebPEncoder::new_lossless(file).write_image(
            &grey,
            width,
            height,
            ExtendedColorType::L8,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Limits, inspect};

    fn shape(width: u32) -> Shape {
        Shape { product: Product::Image, width, height: 1, duration_ms: 0, format: None }
    }

    #[test]
    fn the_oldest_go_first() {
        let prepared = Prepared::default();
        for width in 0..70 {
            prepared.keep(shape(width), Bytes::from_static(b"file"));
        }
        assert_eq!(prepared.get(&shape(5)), None);
        assert_eq!(prepared.get(&shape(6)), Some(Bytes::from_static(b"file")));
        prepared.keep(shape(100), Bytes::from(vec![0; MAX_BYTES]));
        assert_eq!(prepared.files.lock().unwrap().len(), 1);
        prepared.keep(shape(101), Bytes::from(vec![0; MAX_BYTES + 1]));
        assert_eq!(prepared.files.lock().unwrap().len(), 0);
    }

    #[test]
    fn plain_pictures_are_whole_and_small() {
        let limits = Limits { max_bytes: 20_000, max_pixels: 1_024 * 1_024 };
        let table = [
            (PictureFormat::Png, "image/png"),
            (PictureFormat::Jpeg, "image/jpeg"),
            (PictureFormat::Webp, "image/webp"),
        ];
        for (format, mime) in table {
            let media = inspect(&plain_picture(1_024, 1_024, format).unwrap(), &limits).unwrap();
            assert_eq!((media.mime, media.width, media.height), (mime, Some(1_024), Some(1_024)));
        }
        assert!(plain_picture(0, 5, PictureFormat::Png).is_err());
        assert!(plain_picture(65_536, 65_536, PictureFormat::Png).is_err());
    }
}
