//! How large a stand-in makes a file: the shape that was asked for, in pixels that are quick to make.
//!
//! Invariant: the same words give the same size. Not here: the files (`media`).

/// The longer side of a clip.
const CLIP_SIDE: u32 = 160;

/// Pixels of a shape such as `16:9`, its longer side given; both sides are even.
pub(crate) fn pixels(aspect_ratio: &str, longer_side: u32) -> Option<(u32, u32)> {
    let (wide, high) = aspect_ratio.split_once(':')?;
    let (wide, high): (u32, u32) = (wide.parse().ok()?, high.parse().ok()?);
    let most = wide.max(high);
    let side = |part: u32| (longer_side * part).checked_div(most).map(|side| side / 2 * 2);
    Some((side(wide)?, side(high)?)).filter(|(width, height)| *width > 0 && *height > 0)
}

/// Pixels of a clip of that shape.
pub(crate) fn clip(aspect_ratio: &str) -> Option<(u32, u32)> {
    pixels(aspect_ratio, CLIP_SIDE)
}
