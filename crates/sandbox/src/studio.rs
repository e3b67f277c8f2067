//! Things in a studio: solids of revolution with soft light, their shadows, and a round backdrop.
//!
//! Invariant: light comes from the upper left, everywhere. Not here: which things stand where.

use crate::canvas::{Element, Rgb, Row, View, columns, step};

/// A body made by turning a profile around an upright axis.
pub(crate) struct Turned {
    /// Units from the middle; share of the height of its foot.
    pub(crate) place: f32,
    pub(crate) foot: f32,
    /// Units between `foot` and the underside, for things that stand on others.
    pub(crate) stand: f32,
    /// Height in units.
    pub(crate) height: f32,
    pub(crate) shape: Shape,
    pub(crate) colour: Rgb,
    /// Colour of the part above `cap_share`, from the top.
    pub(crate) cap: Rgb,
    pub(crate) bounce: Rgb,
    pub(crate) gloss: f32,
    /// Units of slow up and down movement.
    pub(crate) bob: f32,
    pub(crate) phase: f32,
    pub(crate) label: Option<Rgb>,
    centre: f32,
    top_px: f32,
    foot_px: f32,
    unit: f32,
    light_x: f32,
}

/// Profiles, with widths in units.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A flat cylinder; the top shows as an ellipse.
    Plinth {
        radius: f32,
    },
    Ball,
    /// A bottle: body with shoulders, neck and cap.
    Bottle {
        radius: f32,
    },
}

impl Turned {
    pub(crate) fn new(place: f32, foot: f32, height: f32, shape: Shape, colour: Rgb) -> Self {
        Self {
            place,
            foot,
            stand: 0.0,
            height,
            shape,
            colour,
            cap: colour,
            bounce: colour,
            gloss: 0.3,
            bob: 0.0,
            phase: 0.0,
            label: None,
            centre: 0.0,
            top_px: 0.0,
            foot_px: 0.0,
            unit: 1.0,
            light_x: -0.5,
        }
    }

    /// Light on a cylinder's side at -1.0 (left) to 1.0 (right).
    fn side(&self, across: f32, colour: Rgb) -> Rgb {
        let facing = (1.0 - across * across).max(0.0).sqrt();
        let light = (across * self.light_x + facing * 0.72).max(0.0);
        let edge = step(0.72, 1.0, across) * 0.30;
        let shine = step(0.10, 0.0, (across - self.light_x * 0.85).abs()) * self.gloss;
        let lit = colour.times(0.46 + 0.66 * light).to(self.bounce, edge);
        lit.to(Rgb::hex(0xff_ff_ff), shine * 0.75)
    }

    fn ellipse(radius: f32) -> f32 {
        radius * 0.2
    }

    fn plinth(&self, radius: f32, middle: f32, row: &mut Row) {
        let radius_px = radius * self.unit;
        let flat = Self::ellipse(radius_px);
        let width = row.r.len();
        for x in columns(self.centre - radius_px - 1.0, self.centre + radius_px + 1.0, width) {
            let across = (x as f32 + 0.5 - self.centre) / radius_px;
            let inside = ((1.0 - across.abs()) * radius_px + 0.5).clamp(0.0, 1.0);
            let arc = (1.0 - across * across).max(0.0).sqrt() * flat;
            let (front, back, bottom) = (self.top_px + arc, self.top_px - arc, self.foot_px + arc);
            let body =
                (middle - back + 0.5).clamp(0.0, 1.0) * (bottom - middle + 0.5).clamp(0.0, 1.0) * inside;
            if body <= 0.0 {
                continue;
            }
            let top = (front - middle + 0.5).clamp(0.0, 1.0);
            let fall = 1.0 - 0.22 * ((middle - self.top_px) / (self.foot_px - self.top_px)).clamp(0.0, 1.0);
            let wall = self.side(across, self.colour).times(fall);
            let lid = self.colour.times(1.10 - 0.10 * across).to(Rgb::hex(0xff_ff_ff), 0.16 - 0.08 * across);
            row.blend(x, wall.to(lid, top), body);
        }
    }

    fn ball(&self, middle: f32, row: &mut Row) {
        let radius = (self.foot_px - self.top_px) * 0.5;
        let dy = (middle - self.top_px - radius) / radius;
        let half = (1.0 - dy * dy).max(0.0).sqrt() * radius + 1.0;
        let width = row.r.len();
        for x in columns(self.centre - half, self.centre + half, width) {
            let dx = (x as f32 + 0.5 - self.centre) / radius;
            let squared = dx * dx + dy * dy;
            let cover = ((1.0 - squared.sqrt()) * radius + 0.5).clamp(0.0, 1.0);
            let dz = (1.0 - squared).max(0.0).sqrt();
            let light = (dx * self.light_x - dy * 0.62 + dz * 0.58).max(0.0);
            let half_way = (dx * self.light_x * 0.62 - dy * 0.40 + dz * 0.86).max(0.0);
            let shine = half_way.powi(40) * (0.35 + self.gloss);
            let rim = step(0.75, 1.0, 1.0 - dz) * step(-0.1, 0.9, dy * 0.6 + dx * 0.3);
            let colour = self.colour.times(0.34 + 0.82 * light).to(self.bounce, rim * 0.5);
            row.blend(x, colour.to(Rgb::hex(0xff_ff_ff), shine.min(1.0)), cover);
        }
    }

    /// Half width in units and whether it belongs to the cap, at a share of the height from the top.
    fn bottle_profile(radius: f32, share: f32) -> (f32, bool) {
        let neck = radius * 0.34;
        let cap = radius * 0.42;
        if share < 0.2 {
            let round = (1.0 - (1.0 - share / 0.025).max(0.0).powi(2)).max(0.0).sqrt();
            return (cap * (0.86 + 0.14 * round), true);
        }
        if share < 0.26 {
            return (neck, false);
        }
        let shoulder = step(0.26, 0.40, share);
        let foot = ((1.0 - share) / 0.03).min(1.0);
        ((neck + (radius - neck) * shoulder.sqrt()) * (0.93 + 0.07 * foot.sqrt()), false)
    }

    fn bottle(&self, radius: f32, middle: f32, row: &mut Row) {
        let share = ((middle - self.top_px) / (self.foot_px - self.top_px)).clamp(0.0, 1.0);
        let (half, capped) = Self::bottle_profile(radius, share);
        let half = half * self.unit;
        let base = if capped { self.cap } else { self.colour };
        let width = row.r.len();
        for x in columns(self.centre - half - 1.0, self.centre + half + 1.0, width) {
            let across = (x as f32 + 0.5 - self.centre) / half;
            let cover = ((1.0 - across.abs()) * half + 0.5).clamp(0.0, 1.0);
            let bend =
                if across.abs() < 0.62 && !capped { (0.62 * 0.62 - across * across) * 0.012 } else { 0.0 };
            let mut colour = self.side(across, base);
            if let Some(label) = self.label
                && across.abs() < 0.62
                && (0.56..0.80).contains(&(share - bend))
            {
                colour = self.side(across, label);
                let line = share - bend;
                let printed = (0.605..0.625).contains(&line) && across.abs() < 0.30
                    || (0.650..0.660).contains(&line) && across.abs() < 0.40
                    || (0.675..0.685).contains(&line) && across.abs() < 0.34;
                if printed {
                    colour = colour.to(self.colour.times(0.5), 0.8);
                }
            }
            row.blend(x, colour, cover);
        }
    }
}

impl Element for Turned {
    fn advance(&mut self, view: &View) {
        self.unit = view.unit;
        self.centre = view.column(self.place);
        let lift = self.bob * (view.seconds * 1.1 + self.phase).sin() * view.unit;
        self.foot_px = view.row(self.foot) - self.stand * view.unit + lift;
        self.top_px = self.foot_px - self.height * view.unit;
        // The lamp moves slowly from side to side.
        self.light_x = -0.5 + 0.22 * (view.seconds * 0.7).sin();
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let middle = y as f32 + 0.5;
        let reach = match self.shape {
            Shape::Plinth { radius } => Self::ellipse(radius * self.unit) + 1.0,
            Shape::Ball | Shape::Bottle { .. } => 0.5,
        };
        if middle < self.top_px - reach || middle > self.foot_px + reach {
            return;
        }
        match self.shape {
            Shape::Plinth { radius } => self.plinth(radius, middle, row),
            Shape::Ball => self.ball(middle, row),
            Shape::Bottle { radius } => self.bottle(radius, middle, row),
        }
    }
}

/// A soft dark ellipse where a thing touches what it stands on.
pub(crate) struct Shadow {
    pub(crate) place: f32,
    pub(crate) height: f32,
    /// Half width and half height in units.
    pub(crate) size: (f32, f32),
    pub(crate) strength: f32,
    pub(crate) colour: Rgb,
    /// Units above `height`.
    pub(crate) stand: f32,
    centre: (f32, f32),
    size_px: (f32, f32),
}

impl Shadow {
    pub(crate) fn new(place: f32, height: f32, size: (f32, f32), strength: f32, colour: Rgb) -> Self {
        Self { place, height, size, strength, colour, stand: 0.0, centre: (0.0, 0.0), size_px: (1.0, 1.0) }
    }
}

impl Element for Shadow {
    fn advance(&mut self, view: &View) {
        let sway = 0.02 * (view.seconds * 0.7).sin();
        self.centre = (view.column(self.place - sway), view.row(self.height) - self.stand * view.unit);
        self.size_px = (self.size.0 * view.unit, self.size.1 * view.unit);
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let dy = (y as f32 + 0.5 - self.centre.1) / self.size_px.1;
        if dy.abs() >= 1.0 {
            return;
        }
        let width = row.r.len();
        for x in columns(self.centre.0 - self.size_px.0, self.centre.0 + self.size_px.0, width) {
            let dx = (x as f32 + 0.5 - self.centre.0) / self.size_px.0;
            let near = (1.0 - dx * dx - dy * dy).max(0.0);
            row.blend(x, self.colour, self.strength * near * near);
        }
    }
}

/// A round-headed opening or a plain circle behind the things.
pub(crate) struct Arch {
    pub(crate) place: f32,
    /// Share of the height of its foot.
    pub(crate) foot: f32,
    /// Height in units of the foot above `foot`.
    pub(crate) radius: f32,
    pub(crate) height: f32,
    pub(crate) top: Rgb,
    pub(crate) bottom: Rgb,
    centre: f32,
    foot_px: f32,
    unit: f32,
}

impl Arch {
    pub(crate) fn new(place: f32, foot: f32, radius: f32, height: f32, colours: (Rgb, Rgb)) -> Self {
        Self {
            place,
            foot,
            radius,
            height,
            top: colours.0,
            bottom: colours.1,
            centre: 0.0,
            foot_px: 0.0,
            unit: 1.0,
        }
    }
}

impl Element for Arch {
    fn advance(&mut self, view: &View) {
        self.unit = view.unit;
        self.centre = view.column(self.place);
        self.foot_px = view.row(self.foot);
    }

    fn paint(&self, y: usize, row: &mut Row) {
        let middle = y as f32 + 0.5;
        let radius = self.radius * self.unit;
        let top = self.foot_px - self.height * self.unit;
        if middle < top - 1.0 || middle > self.foot_px {
            return;
        }
        let dy = (top + radius - middle).max(0.0);
        let share = ((middle - top) / (self.foot_px - top)).clamp(0.0, 1.0);
        let colour = self.top.to(self.bottom, share);
        let half = (radius * radius - dy * dy).max(0.0).sqrt();
        let inner = (radius * 0.07).max(1.0);
        let width = row.r.len();
        for x in columns(self.centre - half - 1.0, self.centre + half + 1.0, width) {
            let dx = x as f32 + 0.5 - self.centre;
            let distance = radius - (dx * dx + dy * dy).sqrt();
            let cover = (distance + 0.5).clamp(0.0, 1.0);
            // The opening's thickness shows as a shade along its upper left edge.
            let thick = (1.0 - distance / inner).clamp(0.0, 1.0) * step(0.6, -0.6, dx / radius);
            row.blend(x, colour.times(1.0 - 0.16 * thick), cover);
        }
    }
}
