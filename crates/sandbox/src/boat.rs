//! A small sailing boat with its reflection.
//!
//! Invariant: the boat floats on the row it was given. Not here: water.

use crate::canvas::{Element, Rgb, Row, View};
use crate::palette::Palette;

/// A boat with two sails.
pub(crate) struct Boat {
    place: f32,
    horizon: f32,
    size: f32,
    hull: Rgb,
    sail: Rgb,
    shade: Rgb,
    x: f32,
    line: f32,
    size_px: f32,
    lean: f32,
}

impl Boat {
    /// A boat of a height in units, a little nearer than the horizon.
    pub(crate) fn new(place: f32, horizon: f32, size: f32, palette: Palette) -> Self {
        let sail = palette.light.to(palette.horizon, 0.25);
        Self {
            place,
            horizon,
            size,
            hull: palette.near.to(palette.accent, 0.2),
            sail,
            shade: sail.to(palette.middle, 0.45),
            x: 0.0,
            line: 0.0,
            size_px: 1.0,
            lean: 0.0,
        }
    }

    fn slice(&self, up: f32, alpha: f32, row: &mut Row) {
        let size = self.size_px;
        let x = self.x + self.lean * up * size;
        if up < 0.11 {
            let half = size * (0.24 + 0.9 * (up - 0.02)) * if up < 0.02 { 0.9 } else { 1.0 };
            row.span(x - half, x + half * 1.12, self.hull, alpha);
        } else if up < 1.0 {
            row.span(x - size * 0.006, x + size * 0.006, self.hull, alpha);
            let share = (1.0 - up) / 0.84;
            if up > 0.16 {
                // A curved main sail behind the mast, a smaller one before it.
                row.span(x + size * 0.02, x + size * (0.02 + 0.36 * share.powf(0.75)), self.sail, alpha);
            }
            if (0.18..0.86).contains(&up) {
                let share = (0.86 - up) / 0.68;
                row.span(x - size * 0.24 * share.powf(0.9), x - size * 0.015, self.shade, alpha);
            }
        }
    }
}

impl Element for Boat {
    fn advance(&mut self, view: &View) {
        self.size_px = self.size * view.unit;
        self.x = view.column(self.place + 0.012 * view.seconds);
        let rock = (view.seconds * 1.3).sin();
        self.line = view.row(self.horizon) + view.unit * (0.035 + 0.0025 * rock);
        self.lean = 0.04 + 0.035 * (view.seconds * 1.1 + 0.6).sin();
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let up = (self.line - y as f32 - 0.5) / self.size_px;
        if (0.0..1.0).contains(&up) {
            self.slice(up, 1.0, row);
        } else if (-0.62..0.0).contains(&up) {
            // Ripples break the reflection into strokes that fade with distance.
            let stroke = 0.5 + 0.5 * (up * 95.0 + self.line).sin();
            self.slice(-up * 1.35, 0.42 * (1.0 + up / 0.62) * (0.35 + 0.65 * stroke), row);
        }
    }
}
