//! Land in silhouettes: ridges of mountains, hills, dunes and silk, and the conifers that stand on them.
//!
//! Invariant: a ridge hides everything behind it below its edge. Not here: which ridges a scene has.

use crate::canvas::{Element, Rgb, Row, View, columns, step};
use crate::noise::{cell, layered, smooth};
use crate::number::{floor, index};

/// The outline of a ridge along the picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outline {
    pub(crate) seed: u32,
    /// Share of the height where the ridge lies.
    pub(crate) base: f32,
    /// Height of its peaks, in units.
    pub(crate) rise: f32,
    /// Peaks per unit.
    pub(crate) pace: f32,
    /// 0.0 rolling hills, 1.0 sharp peaks.
    pub(crate) sharp: f32,
    pub(crate) octaves: u32,
    /// Units per second of camera drift.
    pub(crate) drift: f32,
    /// Units per second at which the shape itself changes.
    pub(crate) swell: f32,
    /// Rise to the right, per unit.
    pub(crate) tilt: f32,
}

impl Outline {
    /// Height above the base, in units, at a place.
    fn height(&self, place: f32, seconds: f32) -> f32 {
        let along = (place + self.drift * seconds) * self.pace;
        let rolling = layered(self.seed, along + 100.0, self.octaves, 0.45);
        let mut height = rolling;
        if self.sharp > 0.0 {
            let peaks =
                1.0 - (2.0 * layered(self.seed ^ 31, along * 0.8 + 300.0, self.octaves, 0.5) - 1.0).abs();
            height += (peaks * peaks * 1.15 - rolling) * self.sharp;
        }
        if self.swell > 0.0 {
            height += 0.3 * (smooth(self.seed ^ 5, along * 1.3 + self.swell * seconds * 4.0) - 0.5);
        }
        (height - 0.5) * self.rise + place * self.tilt
    }

    /// Row in pixels of the edge at a column.
    pub(crate) fn edge(&self, view: &View, column: f32) -> f32 {
        view.row(self.base) - self.height(view.place(column), view.seconds) * view.unit
    }
}

/// One silhouette with its light.
pub(crate) struct Ridge {
    pub(crate) outline: Outline,
    /// Colours at the edge, left and right, and below.
    pub(crate) left: Rgb,
    pub(crate) right: Rgb,
    pub(crate) below: Rgb,
    /// Units below the edge where the lower colour is reached.
    pub(crate) depth: f32,
    /// Light along the edge: colour, strength, width in units.
    pub(crate) rim: (Rgb, f32, f32),
    /// Slanted light and shade on the slopes, 0.0 to 1.0.
    pub(crate) relief: f32,
    pub(crate) snow: f32,
    /// Shadow cast upwards on what lies behind: strength and width in units.
    pub(crate) shadow: (f32, f32),
    edge: Vec<f32>,
    edge_colour: [Vec<f32>; 3],
    lit: Vec<f32>,
    snow_px: Vec<f32>,
    highest: f32,
    lowest: f32,
    unit: f32,
}

impl Ridge {
    pub(crate) fn new(outline: Outline, edge: Rgb, below: Rgb) -> Self {
        Self {
            outline,
            left: edge,
            right: edge,
            below,
            depth: 0.3,
            rim: (edge, 0.0, 0.01),
            relief: 0.0,
            snow: 0.0,
            shadow: (0.0, 0.0),
            edge: Vec::new(),
            edge_colour: [Vec::new(), Vec::new(), Vec::new()],
            lit: Vec::new(),
            snow_px: Vec::new(),
            highest: 0.0,
            lowest: 0.0,
            unit: 1.0,
        }
    }

    fn advance_relief(&mut self, view: &View) {
        self.lit.clear();
        if self.relief <= 0.0 {
            return;
        }
        let length = view.width + view.height;
        let drift = self.outline.drift * view.seconds;
        let seed = self.outline.seed ^ 99;
        let scale = self.outline.pace * 4.0;
        let strength = self.relief * 1.6;
        self.lit.extend((0..length).map(|column| {
            let along = (view.place(column as f32) + drift) * scale;
            1.0 + strength * (layered(seed, along, 3, 0.6) - 0.5)
        }));
    }

    fn advance_snow(&mut self, view: &View) {
        self.snow_px.clear();
        if self.snow <= 0.0 {
            return;
        }
        let seed = self.outline.seed ^ 55;
        let drift = self.outline.drift * view.seconds;
        let line = view.row(self.outline.base) - self.outline.rise * 0.02 * view.unit;
        let reach = self.snow * self.outline.rise * view.unit;
        self.snow_px.extend(self.edge.iter().enumerate().map(|(column, edge)| {
            let along = (view.place(column as f32) + drift) * 42.0;
            let ragged = 0.45 + 1.1 * layered(seed, along, 3, 0.7);
            ((line - edge) * 0.85).min(reach).max(0.0) * ragged
        }));
    }

    fn cast_shadow(&self, middle: f32, row: &mut Row) {
        let (strength, width) = (self.shadow.0, self.shadow.1 * self.unit);
        if strength <= 0.0 || middle + width < self.highest || middle > self.lowest {
            return;
        }
        let scale = 1.0 / width;
        let lines = row.r.iter_mut().zip(row.g.iter_mut()).zip(row.b.iter_mut()).zip(&self.edge);
        for (((r, g), b), edge) in lines {
            let near = (1.0 - (edge - middle) * scale).clamp(0.0, 1.0);
            let keep = 1.0 - strength * near * near;
            *r *= keep;
            *g *= keep;
            *b *= keep;
        }
    }

    fn paint_snow(&self, middle: f32, shift: usize, row: &mut Row) {
        let white = Rgb::hex(0xfb_fd_ff);
        let shade = self.left.to(white, 0.45);
        for (x, (edge, reach)) in self.edge.iter().zip(&self.snow_px).enumerate() {
            let below = middle - edge;
            if below < -0.5 || below > *reach {
                continue;
            }
            let cover = (below + 0.5).clamp(0.0, 1.0) * ((reach - below) * 0.5).clamp(0.0, 1.0);
            let lit = self.lit.get(x + shift).copied().unwrap_or(1.0);
            row.blend(x, shade.to(white, step(0.9, 1.1, lit)), cover * self.snow.min(0.92));
        }
    }
}

impl Element for Ridge {
    fn advance(&mut self, view: &View) {
        self.unit = view.unit;
        let outline = self.outline;
        self.edge.clear();
        self.edge.extend((0..view.width).map(|column| outline.edge(view, column as f32 + 0.5)));
        self.highest = self.edge.iter().copied().fold(f32::MAX, f32::min);
        self.lowest = self.edge.iter().copied().fold(0.0, f32::max);
        let scale = 1.0 / view.width as f32;
        let (left, right) = (self.left, self.right);
        for (channel, pick) in
            self.edge_colour.iter_mut().zip([|c: Rgb| c.r, |c: Rgb| c.g, |c: Rgb| c.b] as [fn(Rgb) -> f32; 3])
        {
            channel.clear();
            channel.extend((0..view.width).map(|column| pick(left.to(right, column as f32 * scale))));
        }
        self.advance_relief(view);
        self.advance_snow(view);
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let middle = y as f32 + 0.5;
        self.cast_shadow(middle, row);
        if middle + 1.0 < self.highest {
            return;
        }
        let scale = 1.0 / (self.depth * self.unit);
        let (rim, rim_strength) = (self.rim.0, self.rim.1);
        let rim_scale = 1.0 / (self.rim.2 * self.unit);
        let rim_scale = rim_scale * rim_scale;
        let below = self.below;
        let shift = index((middle - self.highest) * 0.55);
        let plain = vec![1.0_f32; if self.lit.is_empty() { row.r.len() } else { 0 }];
        let lit = if self.lit.is_empty() { &plain[..] } else { self.lit.get(shift..).unwrap_or(&[]) };
        let [edge_r, edge_g, edge_b] = &self.edge_colour;
        let targets = row.r.iter_mut().zip(row.g.iter_mut()).zip(row.b.iter_mut());
        let sources = self.edge.iter().zip(edge_r).zip(edge_g).zip(edge_b).zip(lit);
        for (((r, g), b), ((((edge, er), eg), eb), lit)) in targets.zip(sources) {
            let down = middle - edge;
            let cover = (down + 0.5).clamp(0.0, 1.0);
            let share = (down * scale).clamp(0.0, 1.0);
            let share = share * (2.0 - share);
            let light = lit + (1.0 - lit) * share;
            let shine = rim_strength / (1.0 + down * down * rim_scale);
            *r += cover * ((er + (below.r - er) * share) * light + rim.r * shine - *r);
            *g += cover * ((eg + (below.g - eg) * share) * light + rim.g * shine - *g);
            *b += cover * ((eb + (below.b - eb) * share) * light + rim.b * shine - *b);
        }
        if !self.snow_px.is_empty() {
            self.paint_snow(middle, shift, row);
        }
    }

    fn opaque_from(&self) -> usize {
        index(self.lowest + 1.0)
    }
}

struct Tree {
    x: f32,
    top: f32,
    base: f32,
    half_width: f32,
    tiers: f32,
    shade: f32,
}

/// A row of conifers along an outline.
pub(crate) struct Trees {
    pub(crate) outline: Outline,
    pub(crate) colour: Rgb,
    /// Colour at the foot, where mist gathers.
    pub(crate) below: Rgb,
    /// Height of a tree, in units.
    pub(crate) size: f32,
    /// Distance between trees against their size.
    pub(crate) spacing: f32,
    /// Share of the places that have a tree.
    pub(crate) density: f32,
    trees: Vec<Tree>,
    highest: f32,
    lowest: f32,
}

impl Trees {
    pub(crate) fn new(outline: Outline, colour: Rgb, below: Rgb, size: f32) -> Self {
        Self {
            outline,
            colour,
            below,
            size,
            spacing: 0.2,
            density: 0.9,
            trees: Vec::new(),
            highest: 0.0,
            lowest: 0.0,
        }
    }
}

impl Element for Trees {
    fn advance(&mut self, view: &View) {
        self.trees.clear();
        let seed = self.outline.seed ^ 0x7ee5;
        let gap = self.size * self.spacing;
        let drift = self.outline.drift * view.seconds;
        let first = floor((view.place(0.0) + drift) / gap) - 3;
        let last = floor((view.place(view.width as f32) + drift) / gap) + 3;
        for number in first..=last {
            let dice = |salt: u32| cell(seed ^ (salt << 8), number);
            // Woods stand in groups: a slow noise opens clearings.
            let grove = 0.45 + 0.75 * smooth(seed ^ 3, number as f32 * 0.13);
            if dice(1) > self.density * grove.min(1.0) {
                continue;
            }
            let place = (number as f32 + dice(2) * 0.9) * gap - drift;
            let x = view.column(place);
            let height = self.size * (0.45 + 0.6 * dice(3) * grove) * view.unit;
            let base = self.outline.edge(view, x) + height * 0.06;
            let sway = (view.seconds * (0.7 + dice(4)) + dice(5) * 6.0).sin() * height * 0.004;
            self.trees.push(Tree {
                x: x + sway,
                top: base - height,
                base,
                half_width: height * (0.13 + 0.07 * dice(6)),
                tiers: 6.0 + floor(dice(7) * 5.0) as f32,
                shade: 0.88 + 0.24 * dice(8),
            });
        }
        self.highest = self.trees.iter().map(|tree| tree.top).fold(f32::MAX, f32::min);
        self.lowest = self.trees.iter().map(|tree| tree.base).fold(0.0, f32::max);
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let middle = y as f32 + 0.5;
        if middle < self.highest || middle > self.lowest {
            return;
        }
        let width = row.r.len();
        for tree in &self.trees {
            if middle < tree.top || middle > tree.base {
                continue;
            }
            let share = (middle - tree.top) / (tree.base - tree.top);
            let phase = share * tree.tiers;
            let within = phase - floor(phase) as f32;
            // Each tier hangs: wide at its lower end, cut back where the next one starts.
            let tier = 0.5 + 0.5 * within;
            let ragged = 0.9 + 0.2 * cell(0x51ab, floor(middle * 0.7 + tree.x));
            let half = if share > 0.95 {
                tree.half_width * 0.09
            } else {
                tree.half_width * (0.04 + share.powf(0.9)) * tier * ragged
            };
            let colour = self.colour.times(tree.shade).to(self.below, share * share * 0.55);
            if columns(tree.x - half, tree.x + half, width).is_empty() {
                continue;
            }
            row.span(tree.x - half, tree.x + half * 0.96, colour, 1.0);
        }
    }
}
