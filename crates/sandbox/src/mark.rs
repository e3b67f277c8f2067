//! The mark: the word SANDBOX, and a small rynjer, on a translucent pill in the lower right corner.
//!
//! Invariant: every picture and frame shows the mark, as large as its size allows. Not here: other text.

use crate::canvas::{Rgb, Row};
use crate::number::index;

type Point = (f32, f32);

/// A letter as strokes in a box of height 1.0 (capitals) or less, with its width.
struct Letter {
    width: f32,
    strokes: Vec<Vec<Point>>,
}

/// Points of an arc around a centre; angles in degrees, clockwise from the right.
fn arc(centre: Point, radius: Point, from: f32, to: f32) -> Vec<Point> {
    (0..=12_u8)
        .map(|step| {
            let angle = (from + (to - from) * f32::from(step) / 12.0).to_radians();
            (centre.0 + radius.0 * angle.cos(), centre.1 + radius.1 * angle.sin())
        })
        .collect()
}

fn joined(parts: &[Vec<Point>]) -> Vec<Point> {
    parts.iter().flatten().copied().collect()
}

/// Strokes of one letter; unknown letters are blank.
fn letter(name: char) -> Letter {
    let (width, strokes) = match name {
        'S' => {
            let upper = arc((0.29, 0.26), (0.27, 0.26), -30.0, -270.0);
            let lower = arc((0.29, 0.75), (0.29, 0.25), -90.0, 150.0);
            (0.58, vec![joined(&[upper, lower])])
        }
        'A' => (0.68, vec![vec![(0.0, 1.0), (0.34, 0.0), (0.68, 1.0)], vec![(0.12, 0.66), (0.56, 0.66)]]),
        'N' => (0.64, vec![vec![(0.0, 1.0), (0.0, 0.0), (0.64, 1.0), (0.64, 0.0)]]),
        'D' => {
            let bow = arc((0.20, 0.5), (0.44, 0.5), -90.0, 90.0);
            (0.64, vec![joined(&[vec![(0.0, 1.0), (0.0, 0.0)], bow, vec![(0.0, 1.0)]])])
        }
        'B' => {
            let upper = arc((0.30, 0.24), (0.24, 0.24), -90.0, 90.0);
            let lower = arc((0.30, 0.74), (0.28, 0.26), -90.0, 90.0);
            let stem = vec![(0.0, 1.0), (0.0, 0.0)];
            (0.58, vec![joined(&[stem, upper, vec![(0.0, 0.48)]]), joined(&[lower, vec![(0.0, 1.0)]])])
        }
        'O' => (
            0.74,
            vec![arc((0.37, 0.5), (0.37, 0.5), 0.0, 180.0), arc((0.37, 0.5), (0.37, 0.5), 180.0, 360.0)],
        ),
        'X' => (0.62, vec![vec![(0.0, 0.0), (0.62, 1.0)], vec![(0.62, 0.0), (0.0, 1.0)]]),
        'r' => {
            let bow = arc((0.20, 0.58), (0.20, 0.20), 180.0, 300.0);
            (0.32, vec![vec![(0.0, 1.0), (0.0, 0.38)], bow])
        }
        'y' => (0.44, vec![vec![(0.0, 0.38), (0.22, 1.0)], vec![(0.44, 0.38), (0.16, 1.16), (0.02, 1.28)]]),
        'n' => {
            let bow = arc((0.20, 0.58), (0.20, 0.20), 180.0, 360.0);
            (0.40, vec![vec![(0.0, 1.0), (0.0, 0.38)], joined(&[bow, vec![(0.40, 1.0)]])])
        }
        'j' => (
            0.12,
            vec![
                vec![(0.12, 0.38), (0.12, 1.12), (0.06, 1.26), (-0.06, 1.28)],
                vec![(0.12, 0.16), (0.12, 0.17)],
            ],
        ),
        'e' => {
            let bow = arc((0.24, 0.69), (0.24, 0.31), 0.0, -310.0);
            (0.48, vec![joined(&[vec![(0.0, 0.69), (0.48, 0.69)], bow])])
        }
        _ => (0.3, Vec::new()),
    };
    Letter { width, strokes }
}

/// Distance of a point from a stroke.
fn distance(point: Point, from: Point, to: Point) -> f32 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { ((point.0 - from.0) * dx + (point.1 - from.1) * dy) / length } else { 0.0 };
    let along = along.clamp(0.0, 1.0);
    let (ex, ey) = (point.0 - from.0 - dx * along, point.1 - from.1 - dy * along);
    (ex * ex + ey * ey).sqrt()
}

/// The mark, drawn once for a picture size.
pub(crate) struct Mark {
    left: usize,
    top: usize,
    width: usize,
    /// How much of each pixel the pill and the letters cover.
    pill: Vec<f32>,
    ink: Vec<f32>,
    /// A thin light edge, so that the pill shows on black too.
    rim: Vec<f32>,
}

struct Layout {
    cap: f32,
    pad: f32,
    small: bool,
    pill: Point,
}

const GAP: f32 = 0.26;

fn text_width(text: &str, size: f32) -> f32 {
    text.chars().map(|name| (letter(name).width + GAP) * size).sum::<f32>() - GAP * size
}

fn layout(width: f32, height: f32) -> Layout {
    let mut cap = (width.min(height) * 0.0205).max(7.0);
    let mut small = true;
    let of = |cap: f32, small: bool| {
        let pad = cap * 0.95;
        let name = if small { cap * 0.75 + text_width("rynjer", cap * 0.74) } else { 0.0 };
        (pad, text_width("SANDBOX", cap) + name + pad * 2.0)
    };
    let room = width * 0.94;
    if of(cap, true).1 > room {
        small = false;
    }
    let (_, wide) = of(cap, small);
    if wide > room {
        cap *= room / wide;
    }
    let (pad, wide) = of(cap, small);
    Layout { cap, pad, small, pill: (wide, cap * 2.35) }
}

impl Mark {
    /// Draws the mark for a picture of a size.
    pub(crate) fn new(picture_width: usize, picture_height: usize) -> Self {
        let plan = layout(picture_width as f32, picture_height as f32);
        let margin = (plan.cap * 1.1).min(picture_width as f32 * 0.02);
        let width = (index(plan.pill.0) + 2).min(picture_width);
        let height = (index(plan.pill.1) + 2).min(picture_height);
        let left = picture_width.saturating_sub(width + index(margin));
        let top = picture_height.saturating_sub(height + index(margin));
        let mut mark = Self {
            left,
            top,
            width,
            pill: vec![0.0; width * height],
            ink: vec![0.0; width * height],
            rim: vec![0.0; width * height],
        };
        let radius = plan.pill.1 * 0.5;
        for y in 0..height {
            for x in 0..width {
                let (px, py) = (x as f32 - 0.5, y as f32 - 0.5);
                let axis = ((radius, radius), (plan.pill.0 - radius, radius));
                let inside = radius - distance((px, py), axis.0, axis.1) + 0.5;
                mark.pill[y * width + x] = inside.clamp(0.0, 1.0);
                let edge = (1.0 - (inside - 1.0).abs()).max(0.0);
                mark.rim[y * width + x] = edge * 0.16;
            }
        }
        let (mut x, y) = (plan.pad + 1.0, (plan.pill.1 - plan.cap) * 0.5 + 1.0);
        x = mark.write("SANDBOX", (x, y), plan.cap, 1.0);
        if plan.small {
            let size = plan.cap * 0.74;
            mark.write("rynjer", (x + plan.cap * 0.75, y + plan.cap - size), size, 0.72);
        }
        mark
    }

    /// Writes a word and returns where it ends.
    fn write(&mut self, text: &str, at: Point, size: f32, strength: f32) -> f32 {
        let height = self.ink.len() / self.width.max(1);
        let half = (size * 0.075).max(0.55);
        let mut x = at.0;
        for name in text.chars() {
            let shape = letter(name);
            let bounds = (
                index(x - half - size * 0.15),
                (index(x + shape.width * size + half) + 2).min(self.width),
                index(at.1 - half - 1.0),
                (index(at.1 + size * 1.35 + half) + 2).min(height),
            );
            for py in bounds.2..bounds.3 {
                for px in bounds.0..bounds.1 {
                    let point = ((px as f32 + 0.5 - x) / size, (py as f32 + 0.5 - at.1) / size);
                    let near = shape
                        .strokes
                        .iter()
                        .flat_map(|stroke| stroke.windows(2))
                        .filter_map(|pair| Some(distance(point, *pair.first()?, *pair.get(1)?)))
                        .fold(f32::MAX, f32::min);
                    let cover = (half - near * size + 0.5).clamp(0.0, 1.0) * strength;
                    let ink = &mut self.ink[py * self.width + px];
                    *ink = ink.max(cover);
                }
            }
            x += (shape.width + GAP) * size;
        }
        x - GAP * size
    }

    /// Puts the mark's part of a row over it.
    pub(crate) fn paint(&self, y: usize, row: &mut Row) {
        let Some(line) = y.checked_sub(self.top) else { return };
        let start = line * self.width;
        let part = |line: &'_ Vec<f32>| line.get(start..start + self.width).map(<[f32]>::to_vec);
        let (Some(pill), Some(ink), Some(rim)) = (part(&self.pill), part(&self.ink), part(&self.rim)) else {
            return;
        };
        for (x, ((pill, ink), rim)) in pill.iter().zip(&ink).zip(&rim).enumerate() {
            row.blend(self.left + x, Rgb::hex(0x0c_0f_17), pill * 0.58);
            row.blend(self.left + x, Rgb::hex(0xff_ff_ff), (ink * 0.94).max(*rim));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_fits_and_has_ink_at_every_size() {
        for (width, height) in [(16, 16), (64, 64), (320, 180), (1024, 1024), (360, 2000), (4096, 512)] {
            let mark = Mark::new(width, height);
            assert!(mark.left + mark.width <= width && mark.top < height, "{width}x{height}");
            let ink: f32 = mark.ink.iter().sum();
            assert!(ink > 4.0, "{width}x{height}: {ink}");
        }
    }

    #[test]
    fn letters_stand_out_from_the_pill() {
        let mark = Mark::new(1024, 1024);
        let mut brightest: f32 = 0.0;
        for y in 0..1024 {
            let mut row = Row::new(1024);
            row.r.fill(0.5);
            mark.paint(y, &mut row);
            brightest = row.r.iter().copied().fold(brightest, f32::max);
        }
        assert!(brightest > 0.9);
    }
}
