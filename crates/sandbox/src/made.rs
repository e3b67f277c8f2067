//! Layouts of scenes made by people: city, studio, silk waves, and the view into space.
//!
//! Invariant: places are in units and shares, never pixels, so a layout fits every size. Not here: painting.

use crate::canvas::Rgb;
use crate::city::Skyline;
use crate::land::{Outline, Ridge};
use crate::noise::Dice;
use crate::palette::Mood;
use crate::scene::Parts;
use crate::sky::{Light, Motes, Sky, Stars};
use crate::space::{Nebula, Planet};
use crate::studio::{Arch, Shadow, Shape, Turned};
use crate::theme::{Product, Theme};
use crate::water::Water;
use crate::wild::heavens;

/// A skyline at the water.
pub(crate) fn city(theme: &Theme, dice: &mut Dice) -> Parts {
    let mut parts = Parts::default();
    let palette = theme.palette;
    let horizon = dice.between(0.66, 0.74);
    let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
    let height = dice.between(0.20, 0.36) + if theme.mood == Mood::Neon { 0.14 } else { 0.0 };
    let light = Light { place: side * dice.between(0.05, 0.28), height, rise: 0.005 };
    heavens(&mut parts, theme, dice, light, horizon);
    let dark = matches!(theme.mood, Mood::Night | Mood::Neon | Mood::Dusk | Mood::Aurora | Mood::Rose);
    let layers: u8 = 4;
    for layer in 0..layers {
        let share = f32::from(layer) / f32::from(layers - 1);
        let colour = palette.far.to(palette.near, 0.15 + share * 0.8);
        let haze = palette.mist.to(colour, 0.25 + 0.45 * share);
        let window = Rgb::hex(0xff_d9_8f).to(palette.light, 0.3);
        let mut skyline = Skyline::new(dice.seed(), horizon, colour, haze, window, palette.accent);
        skyline.lot = 0.05 + 0.045 * share;
        skyline.rise = (0.52 - 0.22 * share) * dice.between(0.9, 1.1);
        skyline.lit = if dark { 0.18 + 0.32 * share } else { 0.06 };
        skyline.drift = 0.005 + 0.022 * share;
        parts.put(skyline);
    }
    let tint = palette.near.to(palette.zenith, 0.5);
    let mut water = Water::new(dice.seed(), horizon, tint, palette.light, light);
    water.waves = dice.between(0.22, 0.40);
    water.path = 0.5;
    parts.water = Some(water);
    parts
}

/// Layers of silk with light on their folds.
pub(crate) fn waves(theme: &Theme, dice: &mut Dice) -> Parts {
    let mut parts = Parts::default();
    let palette = theme.palette;
    let light = Light { place: dice.between(-0.35, 0.35), height: dice.between(0.05, 0.25), rise: 0.0 };
    let mut sky = Sky::new(
        [palette.zenith, palette.middle, palette.horizon],
        palette.light.to(palette.horizon, 0.4),
        dice.between(0.6, 0.9),
        light,
    );
    sky.strength = 0.55;
    sky.radius = 0.5;
    parts.put(sky);
    let stops = [palette.horizon, palette.accent, palette.middle, palette.far, palette.zenith, palette.near];
    let layers: u8 = 8;
    let pace = dice.between(0.7, 1.2);
    let tilt = dice.between(0.18, 0.55) * if dice.chance(0.5) { 1.0 } else { -1.0 };
    for layer in 0..layers {
        let share = f32::from(layer) / f32::from(layers - 1);
        let outline = Outline {
            seed: dice.seed(),
            base: 0.20 + 0.72 * share,
            rise: dice.between(0.50, 0.80) * (1.0 - 0.35 * share),
            pace: pace * dice.between(0.8, 1.3),
            sharp: 0.0,
            octaves: 2,
            drift: 0.015 + 0.03 * share,
            swell: 0.05,
            tilt: tilt * dice.between(0.5, 1.2),
        };
        let at = |position: f32| {
            let scaled = position.clamp(0.0, 0.999) * 5.0;
            let first = crate::number::index(scaled);
            let next = stops.get(first + 1).copied().unwrap_or(palette.near);
            stops.get(first).copied().unwrap_or(palette.near).to(next, scaled - first as f32)
        };
        let turn = dice.between(-0.16, 0.16);
        let mut ridge = Ridge::new(outline, at(share), at(share + 0.20).times(0.86));
        ridge.left = at(share + turn);
        ridge.right = at(share - turn);
        ridge.depth = 0.30;
        ridge.rim = (palette.light, 0.20 - 0.10 * share, 0.012);
        ridge.shadow = (0.36, 0.075);
        parts.put(ridge);
    }
    let mut motes = Motes::new(dice.seed(), 26, palette.light, (0.0, 1.0));
    motes.size = 0.006;
    motes.glow = 0.4;
    parts.put_in_front(motes);
    parts
}

/// A nebula, stars and a planet.
pub(crate) fn space(theme: &Theme, dice: &mut Dice) -> Parts {
    let mut parts = Parts::default();
    let palette = theme.palette;
    let ground = palette.near.times(0.5);
    let core = palette.light.to(palette.horizon, 0.4);
    let colours = [palette.zenith.to(palette.middle, 0.6), palette.horizon.times(0.85), core];
    parts.put(Nebula::new(dice.seed(), ground, colours, dice.between(-0.8, 0.8)));
    parts.put(Stars::new(dice.seed(), 1.0, Rgb::hex(0xff_ff_ff), 2.6));
    parts.put(Stars::new(dice.seed(), 0.9, palette.light, 2.6));
    let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
    let big = dice.chance(0.4);
    let radius = if big { dice.between(0.36, 0.46) } else { dice.between(0.17, 0.25) };
    let (place, height) = if big {
        (side * dice.between(0.10, 0.26), dice.between(0.72, 0.92))
    } else {
        (side * dice.between(0.04, 0.20), dice.between(0.40, 0.60))
    };
    let bands = [palette.far.to(palette.near, 0.3), palette.accent.to(palette.mist, 0.35), palette.mist];
    let mut planet =
        Planet::new(dice.seed(), place, height, radius, bands, palette.horizon.to(palette.accent, 0.4));
    planet.ring = !big && dice.chance(0.75);
    parts.put(planet);
    if dice.chance(0.7) {
        let colours = [palette.middle, palette.mist, palette.light];
        let (place, height) = (-side * dice.between(0.16, 0.3), dice.between(0.16, 0.32));
        parts.put(Planet::new(
            dice.seed(),
            place,
            height,
            dice.between(0.03, 0.055),
            colours,
            palette.middle,
        ));
    }
    parts
}

/// A product on a plinth before a coloured wall.
pub(crate) fn studio(theme: &Theme, dice: &mut Dice) -> Parts {
    let mut parts = Parts::default();
    let palette = theme.palette;
    let night = matches!(theme.mood, Mood::Night | Mood::Neon | Mood::Aurora);
    let (wall, floor_colour) = if night {
        (palette.zenith.to(palette.middle, 0.55), palette.near.to(palette.middle, 0.35))
    } else {
        (palette.mist.to(palette.middle, 0.45), palette.mist.to(palette.middle, 0.22))
    };
    let light = Light { place: dice.between(-0.4, -0.15), height: dice.between(0.12, 0.3), rise: 0.0 };
    let glow = if night { palette.middle.to(palette.horizon, 0.5) } else { palette.light };
    let mut backdrop = Sky::new([wall.times(0.86), wall, wall.to(floor_colour, 0.5)], glow, 0.7, light);
    backdrop.strength = 0.42;
    backdrop.radius = 0.6;
    parts.put(backdrop);
    let floor_line = dice.between(0.66, 0.70);
    let foot = floor_line + 0.15;
    let shade = floor_colour.to(palette.near, 0.75);
    arch(&mut parts, theme, dice, floor_line, wall);
    let flat = Outline {
        seed: 1,
        base: floor_line,
        rise: 0.0,
        pace: 1.0,
        sharp: 0.0,
        octaves: 1,
        drift: 0.0,
        swell: 0.0,
        tilt: 0.0,
    };
    let mut ground = Ridge::new(flat, floor_colour.times(0.92), floor_colour.times(1.06));
    ground.depth = 0.25;
    ground.shadow = (0.10, 0.10);
    parts.put(ground);
    plinths(&mut parts, theme, dice, foot, shade);
    let mut dust = Motes::new(dice.seed(), 26, palette.light, (0.1, 0.9));
    dust.size = 0.005;
    dust.glow = 0.35;
    parts.put_in_front(dust);
    parts
}

fn arch(parts: &mut Parts, theme: &Theme, dice: &mut Dice, floor_line: f32, wall: Rgb) {
    let palette = theme.palette;
    let colours = (palette.accent.to(wall, 0.30), palette.accent.to(wall, 0.62));
    let radius = dice.between(0.24, 0.29);
    let place = dice.between(-0.06, 0.06);
    if dice.chance(0.5) {
        parts.put(Arch::new(place, floor_line, radius, radius + dice.between(0.22, 0.34), colours));
    } else {
        parts.put(Arch::new(place, floor_line + 0.2, radius * 1.15, radius * 2.1 + 0.2, colours));
    }
}

fn plinths(parts: &mut Parts, theme: &Theme, dice: &mut Dice, foot: f32, shade: Rgb) {
    let palette = theme.palette;
    let stone = palette.mist.to(palette.light, 0.35).to(palette.middle, 0.12);
    let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
    let second = side * dice.between(0.24, 0.29);
    let mut block = |place: f32, foot: f32, height: f32, radius: f32, colour: Rgb| {
        parts.put(Shadow::new(place + 0.07, foot + 0.015, (radius * 1.9, radius * 0.42), 0.55, shade));
        let mut plinth = Turned::new(place, foot, height, Shape::Plinth { radius }, colour);
        plinth.gloss = 0.0;
        plinth.bounce = palette.mist;
        parts.put(plinth);
    };
    let low = palette.accent.to(stone, 0.45);
    block(second, foot - 0.035, dice.between(0.20, 0.27), 0.12, low);
    block(0.0, foot, 0.10, 0.22, stone);
    let usual = palette.accent.to(palette.near, dice.between(0.05, 0.35));
    let colour = theme.paint.unwrap_or(usual);
    // Standing things share the plinth's foot, and begin their height at its top.
    let stand = 0.10;
    let (shape, height) = match theme.product {
        Product::Bottle => (Shape::Bottle { radius: 0.115 }, 0.44),
        Product::Drum => (Shape::Plinth { radius: 0.115 }, 0.27),
        Product::Ball => (Shape::Ball, 0.27),
    };
    let mut thing = Turned::new(0.0, foot, height, shape, colour);
    thing.stand = stand;
    thing.cap = palette.light.to(palette.accent, 0.15).to(palette.near, 0.12);
    thing.bounce = palette.mist;
    thing.gloss = 0.75;
    thing.label = Some(palette.light.to(palette.mist, 0.3));
    let mut contact = Shadow::new(0.035, foot, (0.17, 0.035), 0.6, shade.to(palette.near, 0.5));
    contact.stand = stand - 0.004;
    parts.put(contact);
    parts.put(thing);
    for number in 0..3_u8 {
        let radius = dice.between(0.018, 0.05);
        let place = -side * dice.between(0.17, 0.34) * if number == 1 { -0.75 } else { 1.0 };
        let mut ball = Turned::new(place, foot, radius * 2.0, Shape::Ball, palette.accent.to(stone, 0.5));
        ball.stand = dice.between(0.26, 0.56);
        ball.bob = 0.012;
        ball.phase = f32::from(number) * 2.1;
        ball.gloss = 0.5;
        ball.bounce = palette.mist;
        parts.put_in_front(ball);
    }
}
