//! A skyline: rows of buildings with lit windows.
//!
//! Invariant: a building and its windows belong to a numbered lot, so they move together. Not here: the
//! street.

use crate::canvas::{Element, Rgb, Row, View};
use crate::noise::{cell, cell2, smooth};
use crate::number::floor;

struct Building {
    left: f32,
    right: f32,
    top: f32,
    /// Width of the crown on top of the building, 0.0 for a flat roof.
    crown: f32,
    spire: f32,
    number: i32,
    colour: Rgb,
    window_px: f32,
    sign: bool,
}

/// One row of buildings.
pub(crate) struct Skyline {
    pub(crate) seed: u32,
    /// Share of the height of the street.
    pub(crate) base: f32,
    /// Width and greatest height of a building, in units.
    pub(crate) lot: f32,
    pub(crate) rise: f32,
    pub(crate) colour: Rgb,
    /// Colour at street level, where haze gathers.
    pub(crate) haze: Rgb,
    pub(crate) window: Rgb,
    pub(crate) accent: Rgb,
    /// Share of the windows that are lit.
    pub(crate) lit: f32,
    pub(crate) drift: f32,
    buildings: Vec<Building>,
    base_px: f32,
    highest: f32,
    seconds: f32,
}

impl Skyline {
    pub(crate) fn new(seed: u32, base: f32, colour: Rgb, haze: Rgb, window: Rgb, accent: Rgb) -> Self {
        Self {
            seed,
            base,
            lot: 0.08,
            rise: 0.3,
            colour,
            haze,
            window,
            accent,
            lit: 0.4,
            drift: 0.0,
            buildings: Vec::new(),
            base_px: 0.0,
            highest: 0.0,
            seconds: 0.0,
        }
    }

    fn windows(&self, building: &Building, middle: f32, colour: Rgb, row: &mut Row) {
        let size = building.window_px;
        if size < 1.6 {
            return;
        }
        let line = (middle - building.top) / (size * 1.5);
        let (number, within) = (floor(line), line - floor(line) as f32);
        let vertical = (within * 1.5 * size).min((0.8 - within) * 1.5 * size).clamp(0.0, 1.0);
        if number < 1 || vertical <= 0.0 {
            return;
        }
        let count = floor((building.right - building.left - size * 0.9) / size).max(1);
        let margin = (building.right - building.left - count as f32 * size) * 0.5;
        let seed = self.seed ^ crate::number::bits(building.number);
        // Whole floors are busy or dark, as in offices.
        let busy = self.lit * (0.4 + 1.2 * cell(seed ^ 11, number));
        for column in 0..count {
            let dice = cell2(seed, column, number);
            if dice > busy {
                continue;
            }
            let flicker = (self.seconds * (0.15 + dice) + dice * 90.0).sin();
            let bright =
                (0.35 + 0.65 * cell2(seed ^ 5, column, number)) * if flicker > 0.96 { 0.3 } else { 1.0 };
            let light = if cell2(seed ^ 7, column, number) > 0.93 { self.accent } else { self.window };
            let from = building.left + margin + column as f32 * size + size * 0.2;
            row.span(from, from + size * 0.6, colour.to(light, bright), vertical);
        }
    }
}

impl Element for Skyline {
    fn advance(&mut self, view: &View) {
        self.buildings.clear();
        self.seconds = view.seconds;
        self.base_px = view.row(self.base);
        let drift = self.drift * view.seconds;
        let first = floor((view.place(0.0) + drift) / self.lot) - 2;
        let last = floor((view.place(view.width as f32) + drift) / self.lot) + 2;
        for number in first..=last {
            let dice = |salt: u32| cell(self.seed ^ (salt << 9), number);
            let centre = (number as f32 + 0.5) * self.lot - drift;
            let cluster = smooth(self.seed ^ 21, number as f32 * self.lot * 2.6);
            let tall = 0.16 + 0.84 * cluster * cluster * (0.55 + 0.45 * dice(1)) + 0.16 * dice(2);
            let height = tall * self.rise;
            let half = self.lot * (0.34 + 0.24 * dice(3));
            let crowned = height > self.rise * 0.45;
            self.buildings.push(Building {
                left: view.column(centre - half),
                right: view.column(centre + half),
                top: self.base_px - height * view.unit,
                crown: if crowned && dice(4) > 0.4 { 0.3 + 0.5 * dice(5) } else { 0.0 },
                spire: if crowned && dice(6) > 0.55 { height * 0.22 * view.unit } else { 0.0 },
                number,
                colour: self.colour.times(0.8 + 0.4 * dice(7)),
                window_px: self.lot * view.unit * (0.085 + 0.05 * dice(8)),
                sign: dice(9) > 0.8,
            });
        }
        // Taller buildings first, so that lower ones stand in front of them.
        self.buildings.sort_by(|a, b| a.top.total_cmp(&b.top).then(a.number.cmp(&b.number)));
        self.highest =
            self.buildings.iter().map(|b| b.top - b.spire).fold(f32::MAX, f32::min) - view.unit * 0.05;
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let middle = y as f32 + 0.5;
        if middle < self.highest || middle > self.base_px + 1.0 {
            return;
        }
        for building in &self.buildings {
            let width = building.right - building.left;
            let share = ((middle - building.top) / (self.base_px - building.top)).clamp(0.0, 1.0);
            let colour = building.colour.to(self.haze, share * share * 0.75);
            let centre = (building.left + building.right) * 0.5;
            let crown_px = building.crown * width;
            if middle < building.top {
                let above = building.top - middle;
                if above < crown_px * 0.6 && building.crown > 0.0 {
                    let half = width * 0.5 * building.crown;
                    row.span(centre - half, centre + half, colour, 1.0);
                } else if above < building.spire + crown_px * 0.6 && building.spire > 0.0 {
                    let half = (width * 0.018).max(0.5);
                    row.span(centre - half, centre + half, colour, 1.0);
                }
                continue;
            }
            row.span(building.left, building.right, colour, 1.0);
            // The side away from the light is a little darker.
            row.span(building.left + width * 0.68, building.right, colour.times(0.8), 0.7);
            self.windows(building, middle, colour, row);
            if building.sign && (0.08..0.55).contains(&share) {
                let from = building.left + width * 0.04;
                row.span(from, from + (width * 0.05).max(1.0), self.accent, 0.85);
            }
        }
    }
}
