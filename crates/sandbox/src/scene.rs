//! A theme made into elements, and the order in which they are painted.
//!
//! Invariant: a row's pixels depend on the theme, the size and the moment only, and rows are painted from the
//! top. Not here: how elements look, encoders.

use crate::canvas::{Element, Row, View};
use crate::noise::Dice;
use crate::theme::{Kind, Theme};
use crate::water::Water;

/// Everything in a picture, back to front.
pub(crate) struct Scene {
    pub(crate) above: Vec<Box<dyn Element>>,
    pub(crate) water: Option<Water>,
    pub(crate) front: Vec<Box<dyn Element>>,
    view: View,
    vignette: Vec<f32>,
}

impl Scene {
    /// Lays out the scene of a theme.
    pub(crate) fn of(theme: &Theme, width: usize, height: usize) -> Self {
        let view = View::new(width, height, 0.0);
        let mut dice: Dice = theme.dice.clone();
        let parts = match theme.kind {
            Kind::Mountains => crate::wild::mountains(theme, &mut dice),
            Kind::Sea => crate::wild::sea(theme, &mut dice),
            Kind::Forest => crate::wild::forest(theme, &mut dice),
            Kind::Dunes => crate::wild::dunes(theme, &mut dice),
            Kind::City => crate::made::city(theme, &mut dice),
            Kind::Studio => crate::made::studio(theme, &mut dice),
            Kind::Waves => crate::made::waves(theme, &mut dice),
            Kind::Space => crate::made::space(theme, &mut dice),
        };
        Self { above: parts.above, water: parts.water, front: parts.front, view, vignette: Vec::new() }
    }

    /// Moves the scene to a moment.
    pub(crate) fn advance(&mut self, seconds: f32) {
        self.view.seconds = seconds;
        let view = self.view;
        for element in self.above.iter_mut().chain(&mut self.front) {
            element.advance(&view);
        }
        if let Some(water) = &mut self.water {
            water.advance(&view);
        }
        self.vignette.clear();
        let half = view.width as f32 * 0.5;
        self.vignette.extend((0..view.width).map(|x| {
            let aside = (x as f32 + 0.5 - half) / half;
            1.0 - 0.10 * aside * aside * aside * aside
        }));
    }

    /// Paints one row; rows of a frame must come in order, because water mirrors what was painted above it.
    pub(crate) fn paint(&mut self, y: usize, row: &mut Row) {
        match &mut self.water {
            Some(water) if y >= water.first_row() => water.paint(y, row),
            water => {
                let first = self.above.iter().rposition(|element| element.opaque_from() <= y).unwrap_or(0);
                for element in self.above.iter().skip(first) {
                    element.paint(y, row);
                }
                if let Some(water) = water {
                    water.remember(y, row);
                }
            }
        }
        for element in &self.front {
            element.paint(y, row);
        }
        let half = self.view.height as f32 * 0.5;
        let aside = (y as f32 + 0.5 - half) / half;
        let shade = 1.0 - 0.10 * aside * aside * aside * aside;
        let channels = row.r.iter_mut().zip(row.g.iter_mut()).zip(row.b.iter_mut());
        for (((r, g), b), edge) in channels.zip(&self.vignette) {
            let keep = shade * edge;
            *r *= keep;
            *g *= keep;
            *b *= keep;
        }
    }
}

/// What a layout function gives.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) above: Vec<Box<dyn Element>>,
    pub(crate) water: Option<Water>,
    pub(crate) front: Vec<Box<dyn Element>>,
}

impl Parts {
    pub(crate) fn put(&mut self, element: impl Element + 'static) {
        self.above.push(Box::new(element));
    }

    pub(crate) fn put_in_front(&mut self, element: impl Element + 'static) {
        self.front.push(Box::new(element));
    }
}
