//! One row of a picture as three lines of floats, and what can be painted on it.
//!
//! Invariant: colours are 0.0 to 1.0 per channel in the display's own curve; painting outside the row is
//! ignored. Not here: what is painted, and how rows become bytes.

use crate::number::index;

/// A colour, 0.0 to 1.0 per channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rgb {
    pub(crate) r: f32,
    pub(crate) g: f32,
    pub(crate) b: f32,
}

impl Rgb {
    /// From 0xRRGGBB.
    pub(crate) const fn hex(code: u32) -> Self {
        Self {
            r: ((code >> 16) & 255) as f32 / 255.0,
            g: ((code >> 8) & 255) as f32 / 255.0,
            b: (code & 255) as f32 / 255.0,
        }
    }

    /// `share` of the way towards another colour.
    #[inline(always)]
    pub(crate) fn to(self, other: Self, share: f32) -> Self {
        Self {
            r: self.r + (other.r - self.r) * share,
            g: self.g + (other.g - self.g) * share,
            b: self.b + (other.b - self.b) * share,
        }
    }

    /// Brighter or darker by a factor.
    #[inline(always)]
    pub(crate) fn times(self, factor: f32) -> Self {
        Self { r: self.r * factor, g: self.g * factor, b: self.b * factor }
    }

    /// Turned around the grey axis, keeping its brightness roughly.
    pub(crate) fn turned(self, degrees: f32) -> Self {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let third = (1.0 - cosine) / 3.0;
        let root = sine * 0.577_350_3;
        let (same, next, last) = (cosine + third, third - root, third + root);
        Self {
            r: (self.r * same + self.g * next + self.b * last).clamp(0.0, 1.0),
            g: (self.r * last + self.g * same + self.b * next).clamp(0.0, 1.0),
            b: (self.r * next + self.g * last + self.b * same).clamp(0.0, 1.0),
        }
    }
}

/// Frame size and moment. `unit` is the length in pixels that compositions measure with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) unit: f32,
    pub(crate) seconds: f32,
}

impl View {
    pub(crate) fn new(width: usize, height: usize, seconds: f32) -> Self {
        let short = width.min(height) as f32;
        let long = width.max(height) as f32;
        Self { width, height, unit: short.powf(0.8) * long.powf(0.2), seconds }
    }

    /// Column in pixels of a place given in units from the middle.
    pub(crate) fn column(&self, place: f32) -> f32 {
        self.width as f32 * 0.5 + place * self.unit
    }

    /// Place in units from the middle of a column in pixels.
    pub(crate) fn place(&self, column: f32) -> f32 {
        (column - self.width as f32 * 0.5) / self.unit
    }

    /// Row in pixels of a share of the height.
    pub(crate) fn row(&self, share: f32) -> f32 {
        self.height as f32 * share
    }
}

/// One row of pixels.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) r: Vec<f32>,
    pub(crate) g: Vec<f32>,
    pub(crate) b: Vec<f32>,
}

impl Row {
    pub(crate) fn new(width: usize) -> Self {
        Self { r: vec![0.0; width], g: vec![0.0; width], b: vec![0.0; width] }
    }

    /// Covers one pixel with a colour, as much as `alpha` says.
    #[inline(always)]
    pub(crate) fn blend(&mut self, x: usize, colour: Rgb, alpha: f32) {
        if let (Some(r), Some(g), Some(b)) = (self.r.get_mut(x), self.g.get_mut(x), self.b.get_mut(x)) {
            *r += (colour.r - *r) * alpha;
            *g += (colour.g - *g) * alpha;
            *b += (colour.b - *b) * alpha;
        }
    }

    /// Adds light to one pixel.
    #[inline(always)]
    pub(crate) fn add(&mut self, x: usize, colour: Rgb, amount: f32) {
        if let (Some(r), Some(g), Some(b)) = (self.r.get_mut(x), self.g.get_mut(x), self.b.get_mut(x)) {
            *r += colour.r * amount;
            *g += colour.g * amount;
            *b += colour.b * amount;
        }
    }

    /// Covers the pixels between two columns; ends that fall inside a pixel cover it partly.
    pub(crate) fn span(&mut self, from: f32, to: f32, colour: Rgb, alpha: f32) {
        let (from, to) = (from.max(0.0), to.min(self.r.len() as f32));
        if to <= from {
            return;
        }
        let (first, last) = (index(from), index(to));
        if first == last {
            self.blend(first, colour, alpha * (to - from));
            return;
        }
        self.blend(first, colour, alpha * ((first + 1) as f32 - from));
        for x in first + 1..last {
            self.blend(x, colour, alpha);
        }
        self.blend(last, colour, alpha * (to - last as f32));
    }
}

/// The pixels from one column to another, clipped to the row.
pub(crate) fn columns(from: f32, to: f32, width: usize) -> std::ops::Range<usize> {
    let last = index(to.max(0.0)).saturating_add(1).min(width);
    index(from.max(0.0)).min(last)..last
}

/// Something that can be painted row by row.
pub(crate) trait Element: Send {
    /// Prepares for a frame; called before any row of it.
    fn advance(&mut self, view: &View);

    /// Paints its part of one row.
    fn paint(&self, y: usize, row: &mut Row);

    /// The row from which on nothing behind it can be seen.
    fn opaque_from(&self) -> usize {
        usize::MAX
    }
}

/// 0.0 below `low`, 1.0 above `high`, and a smooth step between.
#[inline(always)]
pub(crate) fn step(low: f32, high: f32, value: f32) -> f32 {
    let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_partly_at_their_ends_and_ignore_the_outside() {
        let mut row = Row::new(4);
        row.span(-3.0, 1.5, Rgb::hex(0xff_ff_ff), 1.0);
        assert_eq!(row.r, vec![1.0, 0.5, 0.0, 0.0]);
        row.span(3.25, 99.0, Rgb::hex(0xff_ff_ff), 1.0);
        assert_eq!(row.g, vec![1.0, 0.5, 0.0, 0.75]);
        row.span(9.0, 12.0, Rgb::hex(0xff_00_00), 1.0);
        assert_eq!(row.b, vec![1.0, 0.5, 0.0, 0.75]);
    }

    #[test]
    fn a_full_turn_keeps_the_colour() {
        let colour = Rgb::hex(0x33_66_99).turned(360.0);
        assert!((colour.r - 0.2).abs() < 1e-4 && (colour.b - 0.6).abs() < 1e-4);
    }
}
