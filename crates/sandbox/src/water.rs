//! Still water that mirrors what was painted above it, with waves and the light's path.
//!
//! Invariant: the mirror only remembers rows above the horizon. Not here: what is mirrored.

use crate::canvas::{Rgb, Row, View, step};
use crate::noise::cell2;
use crate::number::index;
use crate::sky::Light;

const TILE: usize = 256;
const CELL: usize = 8;
/// The mirror keeps one of this many columns and rows.
const COARSE: (usize, usize) = (2, 4);

/// A lake or the sea, from its horizon down.
pub(crate) struct Water {
    /// Share of the height of its far edge.
    pub(crate) horizon: f32,
    pub(crate) tint: Rgb,
    pub(crate) glint: Rgb,
    /// How rough: 0.0 mirror to 1.0 sea.
    pub(crate) waves: f32,
    /// Strength of the light's path.
    pub(crate) path: f32,
    pub(crate) light: Light,
    noise: Vec<f32>,
    mirror: Vec<Rgb>,
    mirror_columns: usize,
    view: View,
    horizon_row: usize,
    light_column: f32,
}

impl Water {
    pub(crate) fn new(seed: u32, horizon: f32, tint: Rgb, glint: Rgb, light: Light) -> Self {
        let noise = tile(seed);
        Self {
            horizon,
            tint,
            glint,
            waves: 0.5,
            path: 1.0,
            light,
            noise,
            mirror: Vec::new(),
            mirror_columns: 0,
            view: View::new(1, 1, 0.0),
            horizon_row: 0,
            light_column: 0.0,
        }
    }

    pub(crate) fn advance(&mut self, view: &View) {
        self.view = *view;
        self.horizon_row = index(view.row(self.horizon)).clamp(1, view.height);
        self.light_column = view.column(self.light.place);
        self.mirror.clear();
        self.mirror_columns = view.width.div_ceil(COARSE.0);
    }

    /// The first row of water.
    pub(crate) fn first_row(&self) -> usize {
        self.horizon_row
    }

    /// Takes a finished row above the horizon into the mirror.
    pub(crate) fn remember(&mut self, y: usize, row: &Row) {
        if y % COARSE.1 != COARSE.1 - 1 {
            return;
        }
        for ((r, g), b) in row.r.chunks(COARSE.0).zip(row.g.chunks(COARSE.0)).zip(row.b.chunks(COARSE.0)) {
            let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
            self.mirror.push(Rgb { r: mean(r), g: mean(g), b: mean(b) });
        }
    }

    /// Smooth noise at a place of the endless tile.
    #[inline(always)]
    fn wave(noise: &[f32; TILE * TILE], across: f32, along: f32) -> f32 {
        let (column, line) = (index(across), index(along));
        let (right, below) = (across - column as f32, along - line as f32);
        let (here, next) = (column & (TILE - 1), (column + 1) & (TILE - 1));
        let (upper, lower) = ((line & (TILE - 1)) * TILE, ((line + 1) & (TILE - 1)) * TILE);
        let top = noise[upper + here] + (noise[upper + next] - noise[upper + here]) * right;
        let bottom = noise[lower + here] + (noise[lower + next] - noise[lower + here]) * right;
        top + (bottom - top) * below
    }

    fn mirrored(&self, line: f32, rows: usize, column: usize) -> Rgb {
        let upper = index(line).min(rows);
        let lower = (upper + 1).min(rows);
        let at =
            |line: usize| self.mirror.get(line * self.mirror_columns + column).copied().unwrap_or(self.tint);
        at(upper).to(at(lower), (line - upper as f32).min(1.0))
    }

    /// Heights of the slow and the quick waves along a row.
    fn bumps(&self, length: usize, scale: f32, lines: (f32, f32)) -> Vec<(f32, f32)> {
        let Ok(noise) = <&[f32; TILE * TILE]>::try_from(self.noise.as_slice()) else { return Vec::new() };
        // Far waves are as fine as pixels; near ones are wide, so every fourth column is enough.
        let stride = if scale * 2.7 < 0.12 { 4 } else { 1 };
        let at = |column: usize| {
            let position = 4096.0 + (column as f32 - self.light_column) * scale + self.view.seconds * 0.6;
            let slow = Self::wave(noise, position, lines.0) - 0.5;
            (slow, Self::wave(noise, position * 2.7, lines.1) - 0.5)
        };
        if stride == 1 {
            return (0..length).map(at).collect();
        }
        let mut bumps = Vec::with_capacity(length + stride);
        let mut left = at(0);
        for column in (0..length).step_by(stride) {
            let right = at(column + stride);
            for step in [0.0, 0.25, 0.5, 0.75] {
                bumps.push((left.0 + (right.0 - left.0) * step, left.1 + (right.1 - left.1) * step));
            }
            left = right;
        }
        bumps
    }

    /// Paints one row at or below the horizon.
    pub(crate) fn paint(&self, y: usize, row: &mut Row) {
        let unit = self.view.unit;
        let down = (y - self.horizon_row) as f32 + 0.5;
        let share = down / (self.view.height - self.horizon_row).max(1) as f32;
        // Waves look flatter and closer together towards the horizon.
        let depth = 0.02 + down / unit;
        let along = 4096.0 + 34.0 / (depth + 0.05) + self.view.seconds * 5.0;
        let fine = 4096.0 + 150.0 / (depth + 0.05) - self.view.seconds * 9.0;
        let across_scale = 7.0 / (depth * unit);
        let rough = self.waves * step(0.0, 0.05, depth - 0.02);
        let lift = down * (0.92 - 0.25 * self.waves);
        let swing = (0.06 * unit + down * 0.22) * rough;
        let path_width = 1.0 / ((0.035 + 0.20 * depth) * unit);
        let tint = self.tint;
        let tinting = 0.16 + 0.5 * share;
        let rows = (self.horizon_row / COARSE.1).saturating_sub(1);
        let top_line = rows as f32;
        let scale = 1.0 / COARSE.1 as f32;
        let bumps = self.bumps(row.r.len(), across_scale, (along, fine));
        for (x, (slow, quick)) in bumps.into_iter().enumerate().take(row.r.len()) {
            let bump = slow + quick * 0.7;
            let line = (top_line - (lift + bump * swing) * scale).max(0.0).min(top_line);
            let image = self.mirrored(line, rows, x / COARSE.0);
            let mut colour = image.to(tint, (tinting - bump * 0.35 * self.waves).clamp(0.0, 1.0));
            let aside = (x as f32 + 0.5 - self.light_column + slow * 0.1 * unit * rough) * path_width;
            let near = 1.0 / (1.0 + aside * aside * (1.0 + aside * aside));
            let sparkle = step(0.02, 0.34, bump + 0.2 * near) * near * self.path;
            let glow = near * self.path * 0.16;
            colour = colour.to(self.glint, (sparkle * 0.85 + glow).min(1.0));
            row.r[x] = colour.r;
            row.g[x] = colour.g;
            row.b[x] = colour.b;
        }
    }
}

/// Noise that repeats in both directions, so that it can be laid out without seams.
fn tile(seed: u32) -> Vec<f32> {
    let cells = i32::try_from(TILE / CELL).unwrap_or(1);
    let lattice = |column: i32, line: i32| cell2(seed, column.rem_euclid(cells), line.rem_euclid(cells));
    let eased: Vec<f32> = (0..CELL)
        .map(|step| step as f32 / CELL as f32)
        .map(|share| share * share * (3.0 - 2.0 * share))
        .collect();
    let mut noise = Vec::with_capacity(TILE * TILE);
    for line in 0..cells {
        for down in &eased {
            for column in 0..cells {
                let left = lattice(column, line) + (lattice(column, line + 1) - lattice(column, line)) * down;
                let right = lattice(column + 1, line)
                    + (lattice(column + 1, line + 1) - lattice(column + 1, line)) * down;
                noise.extend(eased.iter().map(|across| left + (right - left) * across));
            }
        }
    }
    noise
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_tile_has_no_seam() {
        let noise = tile(3);
        assert_eq!(noise.len(), TILE * TILE);
        for line in 0..TILE {
            let (first, last) = (noise[line * TILE], noise[line * TILE + TILE - 1]);
            assert!((first - last).abs() < 0.05, "{line}");
            let (first, last) = (noise[line], noise[(TILE - 1) * TILE + line]);
            assert!((first - last).abs() < 0.05, "{line}");
        }
    }
}
