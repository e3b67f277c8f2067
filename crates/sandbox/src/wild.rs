//! Layouts of scenes without people: mountains, sea, forest, dunes.
//!
//! Invariant: places are in units and shares, never pixels, so a layout fits every size. Not here: painting.

use crate::canvas::Rgb;
use crate::land::{Outline, Ridge, Trees};
use crate::noise::Dice;
use crate::palette::{Mood, Palette};
use crate::scene::Parts;
use crate::sky::{Clouds, Disc, Light, Motes, Sky, Stars};
use crate::theme::Theme;
use crate::water::Water;

/// Whether the light is a moon.
fn moonlit(theme: &Theme) -> bool {
    matches!(theme.mood, Mood::Night | Mood::Aurora)
}

/// Sky, stars, sun or moon, and clouds; what most scenes begin with.
pub(crate) fn heavens(parts: &mut Parts, theme: &Theme, dice: &mut Dice, light: Light, horizon: f32) {
    let palette = theme.palette;
    let glow = palette.horizon.to(palette.light, 0.55);
    let mut sky = Sky::new([palette.zenith, palette.middle, palette.horizon], glow, horizon, light);
    sky.strength = if moonlit(theme) { 0.42 } else { 0.8 };
    sky.radius = dice.between(0.28, 0.42);
    parts.put(sky);
    if palette.stars > 0.0 {
        let until = if palette.stars < 0.5 { horizon * 0.7 } else { horizon };
        parts.put(Stars::new(dice.seed(), palette.stars, palette.light, until));
    }
    let moon = moonlit(theme);
    let radius = if moon { dice.between(0.055, 0.085) } else { dice.between(0.07, 0.15) };
    let lower = match theme.mood {
        Mood::Neon => palette.horizon,
        _ if moon => palette.light,
        _ => palette.light.to(palette.accent, 0.35),
    };
    let mut disc = Disc::new(light, radius, palette.light, lower);
    disc.stripes = theme.mood == Mood::Neon;
    if moon {
        disc.seed = dice.seed() | 1;
        disc.crescent = if dice.chance(0.45) { 0.8 } else { 0.0 };
    }
    parts.put(disc);
    let bright = palette.horizon.to(palette.light, 0.6);
    let dark = palette.middle.to(palette.zenith, 0.3);
    let mut clouds = Clouds::new(dice.seed(), bright, dark, (-0.05, horizon * 0.95));
    clouds.amount = dice.between(0.15, 0.6);
    clouds.alpha = if moon { 0.35 } else { 0.75 };
    clouds.stretch = dice.between(2.6, 4.4);
    parts.put(clouds);
}

fn sunlight(dice: &mut Dice, low: f32, high: f32) -> Light {
    let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
    Light { place: side * dice.between(0.05, 0.30), height: dice.between(low, high), rise: 0.006 }
}

/// The colour of a layer that lies `share` of the way to the viewer.
fn layer_colour(palette: &Palette, share: f32) -> Rgb {
    palette.far.to(palette.near, share * share * 0.35 + share * 0.65)
}

/// A band of mist that drifts between two layers.
fn mist(palette: &Palette, dice: &mut Dice, around: f32, half: f32, alpha: f32) -> Clouds {
    let mut mist = Clouds::new(dice.seed(), palette.mist, palette.mist, (around - half, around + half));
    mist.amount = 0.95;
    mist.alpha = alpha;
    mist.stretch = 2.4;
    mist.speed = dice.between(0.01, 0.03);
    mist
}

/// Ranges behind ranges, sometimes above a lake.
pub(crate) fn mountains(theme: &Theme, dice: &mut Dice) -> Parts {
    let mut parts = Parts::default();
    let palette = theme.palette;
    let lake = dice.chance(0.45) || theme.lake;
    let horizon = if lake { dice.between(0.62, 0.70) } else { dice.between(0.58, 0.66) };
    let light = sunlight(dice, 0.22, 0.40);
    heavens(&mut parts, theme, dice, light, horizon);
    let layers: u8 = if lake { 4 } else { 6 };
    let sharp = dice.between(0.55, 1.0);
    for layer in 0..layers {
        let share = f32::from(layer) / f32::from(layers - 1);
        let base =
            if lake { horizon - 0.075 + share * 0.075 } else { horizon - 0.10 + share * (1.06 - horizon) };
        let outline = Outline {
            seed: dice.seed(),
            base,
            rise: (0.50 - 0.26 * share)
                * dice.between(0.85, 1.15)
                * if lake { 0.9 - 0.4 * share } else { 1.0 },
            pace: 1.5 + share * 1.4,
            sharp: sharp * (1.0 - share * 0.65),
            octaves: 6,
            drift: 0.006 + 0.045 * share * share,
            swell: 0.0,
            tilt: 0.0,
        };
        let edge = layer_colour(&palette, if lake { share * 0.75 } else { share });
        let below = edge.to(palette.mist, 0.72 - 0.5 * share);
        let mut ridge = Ridge::new(outline, edge, below);
        ridge.depth = 0.34 - 0.12 * share;
        ridge.relief = 0.30 * (1.0 - share * 0.6);
        ridge.snow = palette.snow * if layer < 3 { 1.0 - share * 0.5 } else { 0.0 };
        ridge.rim = (palette.light.to(palette.accent, 0.3), 0.12 * (1.0 - share), 0.006);
        parts.put(ridge);
        if share > 0.6 {
            let mut trees = Trees::new(outline, edge.times(0.72), below, 0.035 + 0.05 * (share - 0.5));
            trees.density = 0.75;
            parts.put(trees);
        }
        if layer + 1 < layers && dice.chance(0.6) {
            parts.put(mist(&palette, dice, base + 0.02, 0.10, 0.45));
        }
    }
    if lake {
        let tint = palette.near.to(palette.middle, 0.45);
        let mut water = Water::new(dice.seed(), horizon, tint, palette.light, light);
        water.waves = dice.between(0.10, 0.35);
        water.path = if moonlit(theme) { 0.7 } else { 0.55 };
        parts.water = Some(water);
        shore(&mut parts, &palette, dice);
    }
    falling(&mut parts, theme, dice);
    parts
}

/// A dark bank with trees at the bottom of the picture.
fn shore(parts: &mut Parts, palette: &Palette, dice: &mut Dice) {
    let outline = Outline {
        seed: dice.seed(),
        base: 1.0,
        rise: 0.22,
        pace: 1.1,
        sharp: 0.0,
        octaves: 4,
        drift: 0.06,
        swell: 0.0,
        tilt: 0.0,
    };
    let dark = palette.near;
    let mut trees = Trees::new(outline, dark, dark, dice.between(0.12, 0.20));
    trees.density = 0.55;
    parts.put_in_front(trees);
    parts.put_in_front(Ridge::new(outline, dark, dark.times(0.8)));
}

/// Snow in winter, fireflies on green nights.
fn falling(parts: &mut Parts, theme: &Theme, dice: &mut Dice) {
    if theme.mood == Mood::Winter {
        let mut snow = Motes::new(dice.seed(), 170, Rgb::hex(0xff_ff_ff), (-0.02, 1.02));
        snow.fall = 0.10;
        snow.size = 0.0055;
        parts.put_in_front(snow);
    }
}

/// Open water with the light above it, perhaps islands and a sail.
pub(crate) fn sea(theme: &Theme, dice: &mut Dice) -> Parts {
    let mut parts = Parts::default();
    let palette = theme.palette;
    let horizon = dice.between(0.52, 0.62);
    let light = Light { rise: 0.004, ..sunlight(dice, horizon - 0.30, horizon - 0.10) };
    heavens(&mut parts, theme, dice, light, horizon);
    let islands: u8 = if dice.chance(0.8) { 3 } else { 1 };
    for island in 0..islands {
        let share = (f32::from(island) + 0.5) / 3.0;
        let outline = Outline {
            seed: dice.seed(),
            base: horizon + 0.055 - 0.015 * share,
            rise: 0.30 - 0.06 * share,
            pace: 0.9 + share * 0.8,
            sharp: dice.between(0.0, 0.5),
            octaves: 6,
            drift: 0.008 + 0.014 * share,
            swell: 0.0,
            tilt: 0.0,
        };
        let edge = layer_colour(&palette, share * 0.7);
        let mut ridge = Ridge::new(outline, edge, edge.to(palette.mist, 0.6));
        ridge.depth = 0.16;
        ridge.relief = 0.22;
        parts.put(ridge);
    }
    let tint = palette.near.to(palette.middle, 0.35).to(palette.zenith, 0.3);
    let mut water = Water::new(dice.seed(), horizon, tint, palette.light, light);
    water.waves = dice.between(0.5, 0.9);
    water.path = if moonlit(theme) { 0.85 } else { 1.0 };
    parts.water = Some(water);
    let place = -light.place.signum() * dice.between(0.08, 0.30);
    if dice.chance(0.85) {
        parts.put_in_front(crate::boat::Boat::new(place, horizon, dice.between(0.10, 0.17), palette));
    }
    parts
}

/// Rows of conifers that fade into mist.
pub(crate) fn forest(theme: &Theme, dice: &mut Dice) -> Parts {
    let mut parts = Parts::default();
    let palette = theme.palette;
    let light = sunlight(dice, 0.20, 0.36);
    heavens(&mut parts, theme, dice, light, 0.72);
    let far = Outline {
        seed: dice.seed(),
        base: 0.50,
        rise: 0.34,
        pace: 1.4,
        sharp: 0.8,
        octaves: 6,
        drift: 0.006,
        swell: 0.0,
        tilt: 0.0,
    };
    let mut range = Ridge::new(far, palette.far.to(palette.mist, 0.35), palette.mist);
    range.relief = 0.2;
    range.snow = palette.snow;
    parts.put(range);
    let layers: u8 = 5;
    for layer in 0..layers {
        let share = f32::from(layer) / f32::from(layers - 1);
        let outline = Outline {
            seed: dice.seed(),
            base: 0.60 + 0.40 * share,
            rise: 0.24 - 0.04 * share,
            pace: 1.0 + 0.4 * share,
            sharp: 0.0,
            octaves: 4,
            drift: 0.010 + 0.06 * share * share,
            swell: 0.0,
            tilt: 0.0,
        };
        let edge = layer_colour(&palette, 0.15 + 0.85 * share);
        let below = edge.to(palette.mist, 0.80 - 0.55 * share);
        let mut trees = Trees::new(outline, edge, below, 0.075 + 0.24 * share * share);
        trees.spacing = 0.17 + 0.12 * share;
        trees.density = 1.0 - 0.35 * share;
        parts.put(trees);
        let mut ridge = Ridge::new(outline, edge, below);
        ridge.depth = 0.16;
        parts.put(ridge);
        if layer + 1 < layers {
            parts.put(mist(&palette, dice, 0.66 + 0.36 * share, 0.11, 0.55 - 0.25 * share));
        }
    }
    if theme.mood == Mood::Winter {
        falling(&mut parts, theme, dice);
    } else {
        let mut motes = Motes::new(dice.seed(), 46, palette.light.to(palette.accent, 0.35), (0.55, 1.0));
        motes.glow = if moonlit(theme) { 0.95 } else { 0.5 };
        parts.put_in_front(motes);
    }
    parts
}

/// Dunes with sharp crests under a big sun.
pub(crate) fn dunes(theme: &Theme, dice: &mut Dice) -> Parts {
    let mut parts = Parts::default();
    let palette = theme.palette;
    let horizon = dice.between(0.54, 0.62);
    let light = sunlight(dice, 0.24, 0.42);
    heavens(&mut parts, theme, dice, light, horizon + 0.05);
    let mesa = Outline {
        seed: dice.seed(),
        base: horizon + 0.01,
        rise: 0.16,
        pace: 1.9,
        sharp: 0.4,
        octaves: 5,
        drift: 0.006,
        swell: 0.0,
        tilt: 0.0,
    };
    let far = palette.far.to(palette.mist, 0.45);
    parts.put(Ridge::new(mesa, far, palette.mist));
    let layers: u8 = 5;
    for layer in 0..layers {
        let share = f32::from(layer) / f32::from(layers - 1);
        let outline = Outline {
            seed: dice.seed(),
            base: horizon + 0.04 + share * (0.92 - horizon),
            rise: 0.16 + 0.16 * share,
            pace: 1.5 - 0.6 * share,
            sharp: 0.0,
            octaves: 2,
            drift: 0.008 + 0.045 * share * share,
            swell: 0.0,
            tilt: 0.0,
        };
        let edge = layer_colour(&palette, share * 0.8).to(palette.accent, 0.18);
        let (sunny, shady) = (edge.to(palette.light, 0.22 - 0.1 * share), edge.times(0.72));
        let mut ridge = Ridge::new(outline, edge, edge.to(palette.near, 0.42));
        (ridge.left, ridge.right) = if light.place < 0.0 { (sunny, shady) } else { (shady, sunny) };
        ridge.depth = 0.20 + 0.10 * share;
        ridge.rim = (palette.light, 0.34 - 0.2 * share, 0.005);
        ridge.relief = 0.10;
        ridge.shadow = (0.22, 0.05);
        parts.put(ridge);
    }
    let mut dust = Motes::new(dice.seed(), 40, palette.light, (0.5, 1.0));
    dust.glow = 0.35;
    parts.put_in_front(dust);
    parts
}
