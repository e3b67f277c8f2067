//! Deep space: a nebula, and a planet that may have a ring.
//!
//! Invariant: the planet is lit from one side only. Not here: stars, which live with the sky.

use crate::canvas::{Element, Rgb, Row, View, columns, step};
use crate::noise::{layered, layered2};
use crate::number::index;

/// Coloured gas on a dark ground.
pub(crate) struct Nebula {
    pub(crate) seed: u32,
    pub(crate) ground: Rgb,
    pub(crate) colours: [Rgb; 3],
    /// Direction of the band, as rise over run.
    pub(crate) tilt: f32,
    cells: Vec<Rgb>,
    cell_columns: usize,
    cell_px: f32,
}

impl Nebula {
    pub(crate) fn new(seed: u32, ground: Rgb, colours: [Rgb; 3], tilt: f32) -> Self {
        Self { seed, ground, colours, tilt, cells: Vec::new(), cell_columns: 0, cell_px: 1.0 }
    }

    fn gas(&self, u: f32, v: f32, seconds: f32) -> Rgb {
        let drift = seconds * 0.02;
        let bend = layered2(self.seed ^ 3, u * 1.6 + drift, v * 1.6, 3) - 0.5;
        let other = layered2(self.seed ^ 4, u * 1.6, v * 1.6 - drift, 3) - 0.5;
        let noise = layered2(self.seed, u * 2.1 + bend * 1.8 + drift, v * 2.1 + other * 1.8, 5);
        let tone = layered2(self.seed ^ 9, u * 1.2 - other, v * 1.2 + bend, 3);
        let band = 1.0 - ((v - u * self.tilt) * 1.35 + bend * 0.5).abs();
        let dense = step(0.30, 0.78, noise) * step(-0.2, 0.9, band);
        let dust = step(0.46, 0.62, layered2(self.seed ^ 12, u * 3.2 + other, v * 3.2 - bend, 4));
        let [outer, inner, core] = self.colours;
        let colour = outer.to(inner, step(0.35, 0.65, tone)).to(core, step(0.55, 0.95, dense));
        self.ground.to(colour, dense * (1.0 - 0.55 * dust * step(0.2, 0.8, dense)))
    }
}

impl Element for Nebula {
    fn advance(&mut self, view: &View) {
        self.cell_px = (view.unit / 120.0).max(2.0);
        self.cell_columns = index(view.width as f32 / self.cell_px) + 3;
        let lines = index(view.height as f32 / self.cell_px) + 3;
        self.cells.clear();
        for line in 0..lines {
            let v = (line as f32 * self.cell_px - view.height as f32 * 0.5) / view.unit;
            for column in 0..self.cell_columns {
                self.cells.push(self.gas(view.place(column as f32 * self.cell_px), v, view.seconds));
            }
        }
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let line = (y as f32 + 0.5) / self.cell_px;
        let (first, down) = (index(line), line - index(line) as f32);
        let start = first * self.cell_columns;
        let upper = self.cells.get(start..start + self.cell_columns).unwrap_or(&[]);
        let lower = self.cells.get(start + self.cell_columns..start + 2 * self.cell_columns).unwrap_or(&[]);
        let mixed: Vec<Rgb> = upper.iter().zip(lower).map(|(top, bottom)| top.to(*bottom, down)).collect();
        let scale = 1.0 / self.cell_px;
        let width = row.r.len();
        for (column, pair) in mixed.windows(2).enumerate() {
            let [left, right] = pair else { continue };
            let from = column as f32 * self.cell_px;
            let begin = index(from + 0.5).min(width);
            let end = index(from + self.cell_px + 0.5).min(width);
            for x in begin..end {
                let colour = left.to(*right, (x as f32 + 0.5 - from) * scale);
                row.r[x] = colour.r;
                row.g[x] = colour.g;
                row.b[x] = colour.b;
            }
        }
    }

    fn opaque_from(&self) -> usize {
        0
    }
}

/// A planet with bands of cloud.
pub(crate) struct Planet {
    pub(crate) seed: u32,
    pub(crate) place: f32,
    /// Share of the height of its middle.
    pub(crate) height: f32,
    pub(crate) radius: f32,
    pub(crate) colours: [Rgb; 3],
    pub(crate) air: Rgb,
    pub(crate) ring: bool,
    centre: (f32, f32),
    radius_px: f32,
    seconds: f32,
    /// The surface on a coarse grid over the disc, `GRID` cells wide and high.
    surface: Vec<Rgb>,
}

const GRID: usize = 200;
const LIGHT: (f32, f32, f32) = (-0.72, -0.52, 0.46);

impl Planet {
    pub(crate) fn new(seed: u32, place: f32, height: f32, radius: f32, colours: [Rgb; 3], air: Rgb) -> Self {
        Self {
            seed,
            place,
            height,
            radius,
            colours,
            air,
            ring: false,
            centre: (0.0, 0.0),
            radius_px: 1.0,
            seconds: 0.0,
            surface: Vec::new(),
        }
    }

    fn cloud_tops(&self, x: f32, y: f32, z: f32) -> Rgb {
        // The axis leans, as most do.
        let (along, up) = (x * 0.94 - y * 0.34, x * 0.34 + y * 0.94);
        let spin = self.seconds * 0.06;
        let swirl = layered2(self.seed ^ 1, along * 2.4 + spin * 2.0 + z, up * 5.0, 3) - 0.5;
        let band = layered(self.seed, up * 4.2 + swirl * 0.9 + 20.0, 4, 0.55);
        let fine = layered2(self.seed ^ 2, along * 3.0 + spin * 3.0, up * 18.0 + swirl * 6.0, 2) - 0.5;
        let [low, middle, high] = self.colours;
        let base = low.to(middle, step(0.30, 0.52, band)).to(high, step(0.52, 0.72, band));
        base.times(1.0 + 0.35 * fine)
    }

    fn surface(&self, x: f32, y: f32) -> Rgb {
        let most = (GRID - 2) as f32;
        let (across, down) =
            (((x + 1.0) * 0.5 * most).clamp(0.0, most), ((y + 1.0) * 0.5 * most).clamp(0.0, most));
        let (column, line) = (index(across), index(down));
        let at =
            |column: usize, line: usize| self.surface.get(line * GRID + column).copied().unwrap_or(self.air);
        let (right, below) = (across - column as f32, down - line as f32);
        let top = at(column, line).to(at(column + 1, line), right);
        let bottom = at(column, line + 1).to(at(column + 1, line + 1), right);
        top.to(bottom, below)
    }

    fn ring_row(&self, dy: f32, front: bool, row: &mut Row) {
        if !self.ring || dy.abs() > 1.2 {
            return;
        }
        let reach = 2.3 * self.radius_px;
        let width = row.r.len();
        for x in columns(self.centre.0 - reach, self.centre.0 + reach, width) {
            let dx = (x as f32 + 0.5 - self.centre.0) / self.radius_px;
            let (along, up) = (dx * 0.94 - dy * 0.34, dx * 0.34 + dy * 0.94);
            if (up > 0.0) != front {
                continue;
            }
            let distance = (along * along + up * up * 20.0).sqrt();
            if !(1.35..2.2).contains(&distance) {
                continue;
            }
            let grain = 0.25 + 0.75 * layered(self.seed ^ 8, distance * 22.0, 3, 0.6);
            let edge = step(1.35, 1.42, distance) * (1.0 - step(2.1, 2.2, distance));
            // The planet's own shadow falls across the far part of the ring.
            let behind = dx * LIGHT.0 + dy * LIGHT.1 < 0.0;
            let aside = (dx * LIGHT.1 - dy * LIGHT.0).abs() / 0.89;
            let dark = if behind && !front { 0.85 * (1.0 - step(0.9, 1.02, aside)) } else { 0.0 };
            row.blend(x, self.colours[2].to(self.air, 0.3), edge * grain * 0.85 * (1.0 - dark));
        }
    }
}

impl Element for Planet {
    fn advance(&mut self, view: &View) {
        self.seconds = view.seconds;
        self.centre = (view.column(self.place - 0.006 * view.seconds), view.row(self.height));
        self.radius_px = self.radius * view.unit;
        self.surface.clear();
        for line in 0..GRID {
            let y = line as f32 * 2.0 / (GRID - 2) as f32 - 1.0;
            for column in 0..GRID {
                let x = column as f32 * 2.0 / (GRID - 2) as f32 - 1.0;
                let squared = x * x + y * y;
                let hidden = squared > 1.06 || self.centre.1 + y * self.radius_px > view.height as f32 + 99.0;
                let z = (1.0 - squared).max(0.0).sqrt();
                self.surface.push(if hidden { self.air } else { self.cloud_tops(x, y, z) });
            }
        }
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let dy = (y as f32 + 0.5 - self.centre.1) / self.radius_px;
        self.ring_row(dy, false, row);
        if dy.abs() < 1.35 {
            let width = row.r.len();
            let half = (1.35_f32 * 1.35 - dy * dy).sqrt() * self.radius_px;
            for x in columns(self.centre.0 - half, self.centre.0 + half, width) {
                let dx = (x as f32 + 0.5 - self.centre.0) / self.radius_px;
                let squared = dx * dx + dy * dy;
                let distance = squared.sqrt();
                let toward = (dx * LIGHT.0 + dy * LIGHT.1) / distance.max(0.01);
                if distance > 1.0 {
                    let halo = (1.0 - (distance - 1.0) / 0.35).max(0.0);
                    row.add(x, self.air, halo.powi(4) * 0.34 * step(-0.3, 1.0, toward));
                }
                let cover = ((1.0 - distance) * self.radius_px + 0.5).clamp(0.0, 1.0);
                if cover <= 0.0 {
                    continue;
                }
                let dz = (1.0 - squared).max(0.0).sqrt();
                let light = step(-0.12, 0.95, dx * LIGHT.0 + dy * LIGHT.1 + dz * LIGHT.2);
                let edge = (1.0 - dz).powi(3) * step(0.0, 0.9, toward);
                let colour = self.surface(dx, dy).times(0.03 + 1.02 * light).to(self.air, edge * 0.75);
                row.blend(x, colour, cover);
            }
        }
        self.ring_row(dy, true, row);
    }
}
