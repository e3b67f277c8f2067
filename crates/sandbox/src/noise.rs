//! Seeded numbers: a hash, a small generator, and smooth value noise in one and two dimensions.
//!
//! Invariant: everything is a pure function of its arguments. Not here: any source of real randomness.

use crate::number::{bits, floor, upper_half};

/// Mixes 32 bits so that neighbouring inputs give unrelated outputs.
#[inline(always)]
pub(crate) fn mix(value: u32) -> u32 {
    let mut hash = value;
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x7feb_352d);
    hash ^= hash >> 15;
    hash = hash.wrapping_mul(0x846c_a68b);
    hash ^ (hash >> 16)
}

/// A number from 0.0 to below 1.0 from a hash.
#[inline(always)]
pub(crate) fn share(hash: u32) -> f32 {
    (hash >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// A share that belongs to one cell of a numbered line.
#[inline(always)]
pub(crate) fn cell(seed: u32, position: i32) -> f32 {
    share(mix(seed ^ bits(position).wrapping_mul(0x9e37_79b9)))
}

/// A share that belongs to one cell of a grid.
#[inline(always)]
pub(crate) fn cell2(seed: u32, column: i32, row: i32) -> f32 {
    let mixed = bits(column).wrapping_mul(0x9e37_79b9) ^ bits(row).wrapping_mul(0x85eb_ca6b).rotate_left(13);
    share(mix(seed ^ mixed))
}

#[inline(always)]
fn ease(share: f32) -> f32 {
    share * share * share * (share * (share * 6.0 - 15.0) + 10.0)
}

/// Smooth noise from 0.0 to 1.0 along a line.
#[inline]
pub(crate) fn smooth(seed: u32, position: f32) -> f32 {
    let whole = floor(position);
    let blend = ease(position - whole as f32);
    let left = cell(seed, whole);
    left + (cell(seed, whole.wrapping_add(1)) - left) * blend
}

/// Smooth noise from 0.0 to 1.0 on a plane.
#[inline]
pub(crate) fn smooth2(seed: u32, x: f32, y: f32) -> f32 {
    let (column, row) = (floor(x), floor(y));
    let (across, down) = (ease(x - column as f32), ease(y - row as f32));
    let (right, below) = (column.wrapping_add(1), row.wrapping_add(1));
    let top_left = cell2(seed, column, row);
    let bottom_left = cell2(seed, column, below);
    let top = top_left + (cell2(seed, right, row) - top_left) * across;
    let bottom = bottom_left + (cell2(seed, right, below) - bottom_left) * across;
    top + (bottom - top) * down
}

/// Layered noise along a line, 0.0 to 1.0; each octave doubles the detail and has `gain` times the weight.
pub(crate) fn layered(seed: u32, position: f32, octaves: u32, gain: f32) -> f32 {
    let (mut sum, mut weight, mut total, mut scale) = (0.0, 1.0, 0.0, 1.0);
    for octave in 0..octaves {
        sum += weight * smooth(seed.wrapping_add(octave * 101), position * scale);
        total += weight;
        weight *= gain;
        scale *= 2.03;
    }
    sum / total
}

/// Layered noise on a plane, 0.0 to 1.0. Each octave is turned, so that the grid beneath can't be seen.
pub(crate) fn layered2(seed: u32, x: f32, y: f32, octaves: u32) -> f32 {
    let (mut sum, mut weight, mut total, mut x, mut y) = (0.0, 1.0, 0.0, x, y);
    for octave in 0..octaves {
        sum += weight * smooth2(seed.wrapping_add(octave * 101), x, y);
        total += weight;
        weight *= 0.5;
        (x, y) = (1.624 * x - 1.218 * y, 1.218 * x + 1.624 * y);
    }
    sum / total
}

/// A generator whose whole sequence follows from its seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The generator of a prompt and a seed, for one use named by `purpose`.
    pub(crate) fn of(prompt: &str, seed: u64, purpose: &str) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in purpose.bytes().chain([0]).chain(prompt.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut dice = Self(hash ^ seed.wrapping_mul(0xd134_2543_de82_ef95));
        Self(dice.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }

    /// 32 fresh bits, good as the seed of a noise.
    pub(crate) fn seed(&mut self) -> u32 {
        upper_half(self.next())
    }

    /// Evenly between two bounds.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * share(self.seed())
    }

    /// True with the given likelihood.
    pub(crate) fn chance(&mut self, likelihood: f32) -> bool {
        share(self.seed()) < likelihood
    }

    /// One of the choices; the list must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let position = crate::number::index(share(self.seed()) * choices.len() as f32);
        choices.get(position.min(choices.len().saturating_sub(1))).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_stays_in_range_and_repeats() {
        for step in 0..500 {
            let position = step as f32 * 0.37 - 60.0;
            let value = layered(7, position, 5, 0.5);
            assert!((0.0..=1.0).contains(&value));
            assert_eq!(value.to_bits(), layered(7, position, 5, 0.5).to_bits());
            assert!((0.0..=1.0).contains(&layered2(7, position, -position, 4)));
        }
    }

    #[test]
    fn dice_differ_by_prompt_seed_and_purpose() {
        let first = Dice::of("a", 1, "x").next();
        assert_eq!(first, Dice::of("a", 1, "x").next());
        assert_ne!(first, Dice::of("b", 1, "x").next());
        assert_ne!(first, Dice::of("a", 2, "x").next());
        assert_ne!(first, Dice::of("a", 1, "y").next());
    }
}
