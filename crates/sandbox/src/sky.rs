//! Things in the sky: the gradient with its glow, sun or moon, stars, clouds and mist, floating motes.
//!
//! Invariant: what is painted depends on the view and the element's own seed only. Not here: land and water.

use crate::canvas::{Element, Rgb, Row, View, columns, step};
use crate::noise::{cell2, layered2};
use crate::number::{floor, index};

/// Where the light stands and how it moves: units from the middle, share of the height, per second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Light {
    pub(crate) place: f32,
    pub(crate) height: f32,
    pub(crate) rise: f32,
}

impl Light {
    pub(crate) fn centre(&self, view: &View) -> (f32, f32) {
        (view.column(self.place), view.row(self.height - self.rise * view.seconds))
    }
}

/// A vertical gradient of three colours with a glow around the light.
pub(crate) struct Sky {
    pub(crate) colours: [Rgb; 3],
    pub(crate) glow: Rgb,
    /// Strength and radius, in units, of the glow.
    pub(crate) strength: f32,
    pub(crate) radius: f32,
    /// Share of the height where the last colour is reached.
    pub(crate) horizon: f32,
    pub(crate) light: Light,
    centre: (f32, f32),
    horizon_row: f32,
    inverse_radius: f32,
    across: Vec<f32>,
}

impl Sky {
    pub(crate) fn new(colours: [Rgb; 3], glow: Rgb, horizon: f32, light: Light) -> Self {
        Self {
            colours,
            glow,
            strength: 0.75,
            radius: 0.34,
            horizon,
            light,
            centre: (0.0, 0.0),
            horizon_row: 1.0,
            inverse_radius: 1.0,
            across: Vec::new(),
        }
    }
}

impl Element for Sky {
    fn advance(&mut self, view: &View) {
        self.centre = self.light.centre(view);
        self.horizon_row = view.row(self.horizon);
        self.inverse_radius = 1.0 / (self.radius * view.unit);
        let (middle, scale) = (self.centre.0, self.inverse_radius);
        self.across.clear();
        self.across.extend((0..view.width).map(|x| {
            let distance = (x as f32 + 0.5 - middle) * scale;
            distance * distance
        }));
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let share = ((y as f32 + 0.5) / self.horizon_row).clamp(0.0, 1.0);
        let [zenith, middle, horizon] = self.colours;
        let base = if share < 0.55 {
            zenith.to(middle, step(-0.15, 0.6, share) * 0.97)
        } else {
            zenith.to(middle, step(-0.15, 0.6, share) * 0.97).to(horizon, step(0.5, 1.02, share))
        };
        let down = (y as f32 + 0.5 - self.centre.1) * self.inverse_radius;
        let down = 1.0 + down * down * 1.15;
        let (glow, strength) = (self.glow, self.strength);
        let lines = row.r.iter_mut().zip(row.g.iter_mut()).zip(row.b.iter_mut()).zip(&self.across);
        for (((r, g), b), across) in lines {
            let near = 1.0 / (down + across);
            let alpha = strength * near * (0.35 + 0.65 * near);
            *r = base.r + (glow.r - base.r) * alpha;
            *g = base.g + (glow.g - base.g) * alpha;
            *b = base.b + (glow.b - base.b) * alpha;
        }
    }

    fn opaque_from(&self) -> usize {
        0
    }
}

/// The sun or the moon.
pub(crate) struct Disc {
    pub(crate) light: Light,
    /// In units.
    pub(crate) radius: f32,
    pub(crate) colour: Rgb,
    pub(crate) lower: Rgb,
    /// How much of the disc lies in the dark, 0.0 (sun, full moon) to 1.0.
    pub(crate) crescent: f32,
    /// Gaps across the lower half, as on old posters.
    pub(crate) stripes: bool,
    pub(crate) seed: u32,
    centre: (f32, f32),
    radius_px: f32,
}

impl Disc {
    pub(crate) fn new(light: Light, radius: f32, colour: Rgb, lower: Rgb) -> Self {
        Self {
            light,
            radius,
            colour,
            lower,
            crescent: 0.0,
            stripes: false,
            seed: 0,
            centre: (0.0, 0.0),
            radius_px: 0.0,
        }
    }

    fn stripe(&self, down: f32) -> f32 {
        if !self.stripes || down < -0.05 {
            return 1.0;
        }
        let phase = down * 6.5;
        let within = phase - floor(phase) as f32;
        let gap = 0.12 + 0.42 * down;
        let soft = 6.5 / self.radius_px;
        step(gap - soft, gap + soft, within)
    }
}

impl Element for Disc {
    fn advance(&mut self, view: &View) {
        self.centre = self.light.centre(view);
        self.radius_px = self.radius * view.unit;
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let dy = y as f32 + 0.5 - self.centre.1;
        let radius = self.radius_px;
        if dy.abs() > radius + 1.0 {
            return;
        }
        let down = dy / radius;
        let colour = self.colour.to(self.lower, step(-0.7, 1.0, down));
        let stripe = self.stripe(down);
        let width = row.r.len();
        let reach = (radius * radius - dy * dy).max(0.0).sqrt() + 1.5;
        for x in columns(self.centre.0 - reach, self.centre.0 + reach, width) {
            let dx = x as f32 + 0.5 - self.centre.0;
            let cover = (radius - (dx * dx + dy * dy).sqrt() + 0.5).clamp(0.0, 1.0);
            if cover <= 0.0 {
                continue;
            }
            let mut painted = colour;
            let mut alpha = cover * stripe;
            if self.seed != 0 {
                let spots = layered2(self.seed, dx / radius * 2.2, down * 2.2, 3);
                painted = colour.times(1.0 - 0.22 * step(0.46, 0.66, spots));
            }
            if self.crescent > 0.0 {
                let ex = dx + radius * (1.5 - self.crescent) * 0.75;
                let ey = dy + radius * 0.3;
                let outside = ((ex * ex + ey * ey).sqrt() - radius * 0.96) / (radius * 0.12);
                alpha *= 0.035 + 0.965 * (outside + 0.5).clamp(0.0, 1.0);
            }
            row.blend(x, painted, alpha);
        }
    }
}

struct Star {
    x: f32,
    y: f32,
    glow: f32,
    radius: f32,
}

/// Twinkling stars, most of them above the horizon's haze.
pub(crate) struct Stars {
    pub(crate) seed: u32,
    pub(crate) amount: f32,
    pub(crate) colour: Rgb,
    /// Share of the height below which stars fade.
    pub(crate) until: f32,
    stars: Vec<Star>,
    reach: f32,
}

impl Stars {
    pub(crate) fn new(seed: u32, amount: f32, colour: Rgb, until: f32) -> Self {
        Self { seed, amount, colour, until, stars: Vec::new(), reach: 0.0 }
    }
}

impl Element for Stars {
    fn advance(&mut self, view: &View) {
        self.stars.clear();
        let size = view.unit / 34.0;
        self.reach = (view.unit * 0.006).max(1.5);
        let (half_columns, rows) =
            (floor(view.width as f32 * 0.5 / size) + 1, floor(view.row(self.until) / size) + 1);
        for line in 0..rows {
            for column in -half_columns..half_columns {
                if cell2(self.seed, column, line) > self.amount * 0.5 {
                    continue;
                }
                let bright = cell2(self.seed ^ 1, column, line);
                let speed = 1.5 + 3.0 * cell2(self.seed ^ 2, column, line);
                let twinkle = 0.8 + 0.2 * (view.seconds * speed + bright * 40.0).sin();
                let y = (line as f32 + cell2(self.seed ^ 3, column, line)) * size;
                let fade = 1.0 - step(0.45, 1.0, y / view.row(self.until));
                self.stars.push(Star {
                    x: view.width as f32 * 0.5 + (column as f32 + cell2(self.seed ^ 4, column, line)) * size,
                    y,
                    glow: (0.18 + 0.8 * bright.powi(4)) * twinkle * fade,
                    radius: (view.unit * (0.0006 + 0.0013 * bright.powi(6))).max(0.62),
                });
            }
        }
        self.stars.sort_by(|left, right| left.y.total_cmp(&right.y));
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let middle = y as f32 + 0.5;
        let width = row.r.len();
        let first = self.stars.partition_point(|star| star.y < middle - self.reach);
        for star in self.stars.iter().skip(first).take_while(|star| star.y < middle + self.reach) {
            let (dy, soft) = (middle - star.y, 1.0 / (star.radius * star.radius));
            let reach = (star.radius * 3.0).min(self.reach);
            for x in columns(star.x - reach, star.x + reach, width) {
                let dx = x as f32 + 0.5 - star.x;
                let near = (1.0 - (dx * dx + dy * dy) * soft / 9.0).max(0.0);
                row.add(x, self.colour, star.glow * near.powi(6));
            }
        }
    }
}

/// Clouds or mist: noise on a coarse grid, spread smoothly over the pixels.
pub(crate) struct Clouds {
    pub(crate) seed: u32,
    pub(crate) bright: Rgb,
    pub(crate) dark: Rgb,
    /// Shares of the height between which they are seen.
    pub(crate) top: f32,
    pub(crate) bottom: f32,
    /// 0.0 none to 1.0 overcast.
    pub(crate) amount: f32,
    pub(crate) alpha: f32,
    /// Width against height of the puffs.
    pub(crate) stretch: f32,
    /// Units per second.
    pub(crate) speed: f32,
    cells: Vec<(f32, f32)>,
    cell_columns: usize,
    cell_px: f32,
    top_px: f32,
    bottom_px: f32,
}

impl Clouds {
    pub(crate) fn new(seed: u32, bright: Rgb, dark: Rgb, between: (f32, f32)) -> Self {
        Self {
            seed,
            bright,
            dark,
            top: between.0,
            bottom: between.1,
            amount: 0.45,
            alpha: 0.8,
            stretch: 3.0,
            speed: 0.012,
            cells: Vec::new(),
            cell_columns: 0,
            cell_px: 1.0,
            top_px: 0.0,
            bottom_px: 0.0,
        }
    }

    fn density(&self, u: f32, v: f32, seconds: f32) -> f32 {
        let bend = layered2(self.seed ^ 77, u * 0.8, v * 2.0 + seconds * 0.01, 2) - 0.5;
        let noise = layered2(self.seed, u + bend * 0.5, v * self.stretch + bend, 5);
        let low = 0.72 - self.amount * 0.4;
        step(low, low + 0.28, noise)
    }
}

impl Element for Clouds {
    fn advance(&mut self, view: &View) {
        self.top_px = view.row(self.top);
        self.bottom_px = view.row(self.bottom);
        self.cell_px = (view.unit / 170.0).max(2.0);
        self.cell_columns = index(view.width as f32 / self.cell_px) + 3;
        let lines = index((self.bottom_px - self.top_px) / self.cell_px) + 3;
        self.cells.clear();
        let drift = view.seconds * self.speed;
        for line in 0..lines {
            let share = line as f32 * self.cell_px / (self.bottom_px - self.top_px);
            let edge = step(0.0, 0.35, share) * (1.0 - step(0.6, 1.0, share));
            let v = (self.top_px + line as f32 * self.cell_px) / view.unit * 2.2;
            for column in 0..self.cell_columns {
                let u = view.place(column as f32 * self.cell_px) * 2.2 + drift * 2.2;
                if edge <= 0.0 {
                    self.cells.push((0.0, 0.0));
                    continue;
                }
                let here = self.density(u, v, view.seconds);
                // Thinner above means that the light reaches this part.
                let above = layered2(self.seed, u + 0.05, (v - 0.07) * self.stretch, 3);
                self.cells.push((here * edge * self.alpha, step(0.35, 0.7, 1.0 - above)));
            }
        }
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let middle = y as f32 + 0.5;
        if middle < self.top_px || middle >= self.bottom_px {
            return;
        }
        let line = (middle - self.top_px) / self.cell_px;
        let (first, down) = (index(line), line - index(line) as f32);
        let start = first * self.cell_columns;
        let upper = self.cells.get(start..start + self.cell_columns).unwrap_or(&[]);
        let lower = self.cells.get(start + self.cell_columns..start + 2 * self.cell_columns).unwrap_or(&[]);
        let mixed: Vec<(f32, f32)> = upper
            .iter()
            .zip(lower)
            .map(|(top, bottom)| (top.0 + (bottom.0 - top.0) * down, top.1 + (bottom.1 - top.1) * down))
            .collect();
        let width = row.r.len();
        for (column, pair) in mixed.windows(2).enumerate() {
            let [left, right] = pair else { continue };
            if left.0 + right.0 < 0.004 {
                continue;
            }
            let from = column as f32 * self.cell_px;
            let begin = index(from + 0.5).min(width);
            let end = index(from + self.cell_px + 0.5).min(width);
            let scale = 1.0 / self.cell_px;
            for x in begin..end {
                let across = (x as f32 + 0.5 - from) * scale;
                let alpha = left.0 + (right.0 - left.0) * across;
                let lit = left.1 + (right.1 - left.1) * across;
                row.blend(x, self.dark.to(self.bright, lit), alpha);
            }
        }
    }
}

struct Mote {
    x: f32,
    y: f32,
    radius: f32,
    glow: f32,
}

/// Soft points of light that float: dust in a studio, fireflies, snow, spray.
pub(crate) struct Motes {
    pub(crate) seed: u32,
    pub(crate) count: u32,
    pub(crate) colour: Rgb,
    /// Shares of the height between which they float.
    pub(crate) between: (f32, f32),
    /// Units per second; downwards is positive.
    pub(crate) fall: f32,
    pub(crate) size: f32,
    pub(crate) glow: f32,
    motes: Vec<Mote>,
}

impl Motes {
    pub(crate) fn new(seed: u32, count: u32, colour: Rgb, between: (f32, f32)) -> Self {
        Self { seed, count, colour, between, fall: -0.01, size: 0.004, glow: 0.8, motes: Vec::new() }
    }
}

impl Element for Motes {
    fn advance(&mut self, view: &View) {
        self.motes.clear();
        let span = view.width as f32 / view.unit;
        for number in 0..self.count {
            let dice = |salt: i32| crate::noise::cell(self.seed ^ number, salt);
            let depth = 0.35 + dice(1);
            let sway = (view.seconds * (0.4 + dice(2)) + dice(3) * 6.0).sin() * 0.012;
            let fallen = dice(4) + view.seconds * self.fall * depth;
            let share = fallen - floor(fallen) as f32;
            let pulse = 0.7 + 0.3 * (view.seconds * (0.8 + dice(5)) + dice(6) * 6.0).sin();
            self.motes.push(Mote {
                x: view.column((dice(7) - 0.5) * span + sway),
                y: view.row(self.between.0 + (self.between.1 - self.between.0) * share),
                radius: (self.size * depth * view.unit).max(0.9),
                glow: self.glow * pulse * (0.25 + 0.75 * dice(8)) * step(0.0, 0.1, share.min(1.0 - share)),
            });
        }
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let (middle, width) = (y as f32 + 0.5, row.r.len());
        for mote in &self.motes {
            let dy = (middle - mote.y) / mote.radius;
            if dy.abs() >= 1.0 {
                continue;
            }
            for x in columns(mote.x - mote.radius, mote.x + mote.radius, width) {
                let dx = (x as f32 + 0.5 - mote.x) / mote.radius;
                let near = (1.0 - dx * dx - dy * dy).max(0.0);
                row.blend(x, self.colour, mote.glow * near * near);
            }
        }
    }
}
