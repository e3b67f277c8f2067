//! Instruments: tuned voices from tables of one wave each, and drums as short recordings made once.
//!
//! Invariant: a note's loudness never jumps, so nothing clicks. Not here: which notes are played.

use crate::noise::Dice;
use crate::number::index;

/// Samples per second of everything audible.
pub(crate) const RATE: f32 = 44_100.0;
const TABLE: usize = 2_048;

/// Tuned instruments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timbre {
    Pad,
    Strings,
    Keys,
    Piano,
    Pluck,
    Guitar,
    Bell,
    Flute,
    Lead,
    Bass,
}

/// How a timbre's loudness and brightness move.
#[derive(Debug, Clone, Copy)]
struct Shape {
    attack_s: f32,
    /// Time in which the loudness falls to about a third; long for held tones.
    decay_s: f32,
    release_s: f32,
    /// Time in which the bright part falls to about a third.
    dull_s: f32,
    /// Difference in pitch of the second string, as a factor.
    spread: f32,
    vibrato: f32,
    gain: f32,
}

impl Timbre {
    const ALL: [Self; 10] = [
        Self::Pad,
        Self::Strings,
        Self::Keys,
        Self::Piano,
        Self::Pluck,
        Self::Guitar,
        Self::Bell,
        Self::Flute,
        Self::Lead,
        Self::Bass,
    ];

    fn number(self) -> usize {
        Self::ALL.iter().position(|timbre| *timbre == self).unwrap_or(0)
    }

    fn shape(self) -> Shape {
        let of = |attack_s, decay_s, release_s, dull_s, spread, vibrato, gain| Shape {
            attack_s,
            decay_s,
            release_s,
            dull_s,
            spread,
            vibrato,
            gain,
        };
        match self {
            Self::Pad => of(0.55, 60.0, 0.9, 4.0, 1.0045, 0.0, 0.50),
            Self::Strings => of(0.16, 60.0, 0.40, 6.0, 1.0035, 0.0030, 0.62),
            Self::Keys => of(0.006, 1.5, 0.25, 0.5, 1.0015, 0.0, 0.80),
            Self::Piano => of(0.003, 1.2, 0.22, 0.35, 1.0010, 0.0, 0.95),
            Self::Pluck => of(0.002, 0.35, 0.12, 0.10, 1.0030, 0.0, 0.85),
            Self::Guitar => of(0.003, 0.8, 0.18, 0.22, 1.0012, 0.0, 0.90),
            Self::Bell => of(0.002, 1.1, 0.6, 0.45, 1.0008, 0.0, 0.62),
            Self::Flute => of(0.06, 60.0, 0.14, 5.0, 1.0006, 0.0040, 0.72),
            Self::Lead => of(0.008, 2.5, 0.10, 0.45, 1.0060, 0.0025, 0.55),
            Self::Bass => of(0.006, 1.6, 0.07, 0.22, 1.0, 0.0, 1.0),
        }
    }

    /// Strength of a partial in the dull and the bright wave.
    fn partial(self, number: u8) -> (f32, f32) {
        let n = f32::from(number);
        let odd = number % 2 == 1;
        match self {
            Self::Pad => (n.powf(-2.2), n.powf(-1.4)),
            Self::Strings => (n.powf(-1.7), n.powf(-1.15)),
            Self::Keys => match number {
                1 => (1.0, 1.0),
                2 => (0.12, 0.35),
                3 => (0.05, 0.22),
                4..=7 => (0.0, 0.14),
                _ => (0.0, 0.0),
            },
            Self::Piano => (n.powf(-2.1), n.powf(-1.25) * if number.is_multiple_of(7) { 0.2 } else { 1.0 }),
            Self::Pluck => (n.powf(-2.4), n.powf(-1.05)),
            Self::Guitar => (n.powf(-1.9), n.powf(-1.1) * if number.is_multiple_of(5) { 0.25 } else { 1.0 }),
            Self::Bell => match number {
                1 => (1.0, 1.0),
                3 => (0.05, 0.30),
                4 => (0.12, 0.42),
                7 | 10 => (0.0, 0.20),
                _ => (0.0, 0.0),
            },
            Self::Flute => match number {
                1 => (1.0, 1.0),
                2 => (0.30, 0.42),
                3 => (0.08, 0.16),
                4 => (0.03, 0.06),
                _ => (0.0, 0.0),
            },
            Self::Lead => (n.powf(-1.8), if odd { n.powf(-0.95) } else { n.powf(-1.3) }),
            Self::Bass => (if number <= 3 { n.powf(-1.9) } else { 0.0 }, n.powf(-1.3)),
        }
    }
}

/// The waves of all timbres, dull and bright, each for low and for high notes.
pub(crate) struct Tables(Vec<Vec<f32>>);

/// Notes above this use waves with few partials, so that none lies beyond what can be recorded.
const HIGH_HERTZ: f32 = 620.0;

impl Tables {
    pub(crate) fn new() -> Self {
        let sine: Vec<f32> =
            (0..TABLE).map(|at| (at as f32 * std::f32::consts::TAU / TABLE as f32).sin()).collect();
        let mut tables = Vec::new();
        for timbre in Timbre::ALL {
            for partials in [28_u8, 9] {
                let (mut dull, mut bright) = (vec![0.0; TABLE], vec![0.0; TABLE]);
                for number in 1..=partials {
                    let (soft, sharp) = timbre.partial(number);
                    let spot = usize::from(number);
                    // Starting partials apart from each other keeps the peaks of the sum low.
                    let shift = spot * spot * 37;
                    for (at, (dull, bright)) in dull.iter_mut().zip(&mut bright).enumerate() {
                        let value = sine.get((at * spot + shift) % TABLE).copied().unwrap_or(0.0);
                        *dull += soft * value;
                        *bright += sharp * value;
                    }
                }
                level(&mut dull, 0.30);
                level(&mut bright, 0.30);
                tables.push(dull);
                tables.push(bright);
            }
        }
        Self(tables)
    }

    fn pair(&self, timbre: Timbre, hertz: f32) -> (&[f32], &[f32]) {
        let at = timbre.number() * 4 + if hertz > HIGH_HERTZ { 2 } else { 0 };
        (self.0.get(at).map_or(&[], Vec::as_slice), self.0.get(at + 1).map_or(&[], Vec::as_slice))
    }
}

/// Scales a wave to a loudness.
fn level(wave: &mut [f32], target: f32) {
    let power = wave.iter().map(|value| value * value).sum::<f32>() / wave.len() as f32;
    let factor = target / power.sqrt().max(1e-6);
    for value in wave {
        *value *= factor;
    }
}

/// A note to play.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Note {
    /// In samples from the beginning.
    pub(crate) start: usize,
    pub(crate) length: usize,
    pub(crate) hertz: f32,
    pub(crate) timbre: Timbre,
    pub(crate) gain: f32,
    /// -1.0 left to 1.0 right.
    pub(crate) pan: f32,
    /// Share that goes to echo and hall.
    pub(crate) send: f32,
}

/// Three pairs of lines that voices add to.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) left: Vec<f32>,
    pub(crate) right: Vec<f32>,
    pub(crate) send_left: Vec<f32>,
    pub(crate) send_right: Vec<f32>,
}

impl Block {
    pub(crate) fn new(length: usize) -> Self {
        let line = || vec![0.0; length];
        Self { left: line(), right: line(), send_left: line(), send_right: line() }
    }

    pub(crate) fn clear(&mut self) {
        for line in [&mut self.left, &mut self.right, &mut self.send_left, &mut self.send_right] {
            line.fill(0.0);
        }
    }
}

/// A note being played.
pub(crate) struct Playing {
    note: Note,
    phases: [f32; 2],
    age: usize,
    loud: f32,
    bright: f32,
    shape: Shape,
}

impl Playing {
    pub(crate) fn new(note: Note) -> Self {
        Self { note, phases: [0.0, 0.37], age: 0, loud: 1.0, bright: 1.0, shape: note.timbre.shape() }
    }

    /// Adds the note's next samples, from `from` to the block's end; false when it has died away.
    pub(crate) fn play(&mut self, tables: &Tables, block: &mut Block, from: usize) -> bool {
        let (dull, bright) = tables.pair(self.note.timbre, self.note.hertz);
        let (Ok(dull), Ok(bright)) = (<&[f32; TABLE]>::try_from(dull), <&[f32; TABLE]>::try_from(bright))
        else {
            return false;
        };
        let shape = self.shape;
        let attack = 1.0 / (shape.attack_s * RATE);
        let release = (shape.release_s * RATE).max(1.0);
        let fall = (-1.0 / (shape.decay_s * RATE)).exp();
        let dulling = (-1.0 / (shape.dull_s * RATE)).exp();
        let step = self.note.hertz / RATE;
        let pan = (self.note.pan + 1.0) * 0.25 * std::f32::consts::PI;
        let gain = self.note.gain * shape.gain;
        let (gain_left, gain_right) = (gain * pan.cos(), gain * pan.sin());
        let end = block.left.len();
        let lines = block.left[from..end]
            .iter_mut()
            .zip(&mut block.right[from..end])
            .zip(&mut block.send_left[from..end])
            .zip(&mut block.send_right[from..end]);
        let mut vibrato = 1.0;
        for (((left, right), send_left), send_right) in lines {
            if self.age.is_multiple_of(64) && shape.vibrato > 0.0 {
                let seconds = self.age as f32 / RATE;
                let depth = shape.vibrato * (seconds * 2.0 - 0.4).clamp(0.0, 1.0);
                vibrato = 1.0 + depth * (seconds * 33.0).sin();
            }
            let mut loud = (self.age as f32 * attack).min(1.0) * self.loud;
            if self.age > self.note.length {
                let left = 1.0 - (self.age - self.note.length) as f32 / release;
                if left <= 0.0 {
                    return false;
                }
                loud *= left * left;
            }
            let first = read(dull, bright, self.bright, self.phases[0]);
            let second = read(dull, bright, self.bright, self.phases[1]);
            self.phases[0] = wrapped(self.phases[0] + step * vibrato);
            self.phases[1] = wrapped(self.phases[1] + step * shape.spread * vibrato);
            // The two strings lean to different sides, which gives width.
            let (near, away) = (first * 0.62 + second * 0.38, first * 0.38 + second * 0.62);
            let (l, r) = (near * loud * gain_left, away * loud * gain_right);
            *left += l;
            *right += r;
            *send_left += l * self.note.send;
            *send_right += r * self.note.send;
            self.loud *= fall;
            self.bright *= dulling;
            self.age += 1;
        }
        true
    }
}

#[inline(always)]
fn wrapped(phase: f32) -> f32 {
    if phase >= 1.0 { phase - 1.0 } else { phase }
}

#[inline(always)]
fn read(dull: &[f32; TABLE], bright: &[f32; TABLE], share: f32, phase: f32) -> f32 {
    let place = phase * TABLE as f32;
    let at = index(place);
    let between = place - at as f32;
    let (here, next) = (at & (TABLE - 1), (at + 1) & (TABLE - 1));
    let soft = dull[here] + (dull[next] - dull[here]) * between;
    let sharp = bright[here] + (bright[next] - bright[here]) * between;
    soft + (sharp - soft) * share
}

/// Drums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drum {
    Kick,
    Snare,
    Hat,
    OpenHat,
    Shaker,
    Tom,
}

/// A stroke on a drum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    pub(crate) start: usize,
    pub(crate) drum: Drum,
    pub(crate) gain: f32,
    pub(crate) pan: f32,
}

/// The recordings of all drums.
pub(crate) struct Kit(Vec<(Drum, Vec<f32>)>);

impl Kit {
    /// Makes the recordings; dusty kits are softer and darker.
    pub(crate) fn new(dusty: bool) -> Self {
        let drums = [Drum::Kick, Drum::Snare, Drum::Hat, Drum::OpenHat, Drum::Shaker, Drum::Tom];
        Self(drums.iter().map(|drum| (*drum, recording(*drum, dusty))).collect())
    }

    pub(crate) fn recording(&self, drum: Drum) -> &[f32] {
        self.0.iter().find(|(name, _)| *name == drum).map_or(&[], |(_, wave)| wave.as_slice())
    }
}

fn recording(drum: Drum, dusty: bool) -> Vec<f32> {
    let length_s = match drum {
        Drum::Kick => 0.42,
        Drum::Snare => 0.28,
        Drum::Hat => 0.07,
        Drum::OpenHat => 0.30,
        Drum::Shaker => 0.10,
        Drum::Tom => 0.9,
    };
    let mut dice = Dice::new(0xd7a5);
    let (mut phase, mut low, mut lower) = (0.0_f32, 0.0_f32, 0.0_f32);
    let count = index(length_s * RATE);
    let cut = if dusty { 0.25 } else { 0.55 };
    (0..count)
        .map(|at| {
            let time = at as f32 / RATE;
            let noise = dice.between(-1.0, 1.0);
            low += (noise - low) * cut;
            lower += (low - lower) * 0.35;
            let hiss = low - lower;
            let fade = (1.0 - time / length_s).min(1.0) * (time * 2_000.0).min(1.0);
            let tone = |start: f32, end: f32, speed: f32| end + (start - end) * (-time * speed).exp();
            let value = match drum {
                Drum::Kick => {
                    phase += tone(170.0, if dusty { 48.0 } else { 44.0 }, 34.0) / RATE;
                    let click = hiss * (-time * 240.0).exp() * 0.35;
                    ((phase * std::f32::consts::TAU).sin() * (-time * 8.5).exp() + click) * 0.95
                }
                Drum::Snare => {
                    phase += tone(240.0, 178.0, 40.0) / RATE;
                    let body = (phase * std::f32::consts::TAU).sin() * (-time * 24.0).exp() * 0.5;
                    body + hiss * (-time * 15.0).exp() * 1.05
                }
                Drum::Hat => hiss * (-time * 65.0).exp() * 0.8,
                Drum::OpenHat => hiss * (-time * 13.0).exp() * 0.7,
                Drum::Shaker => hiss * (time * 60.0).min(1.0) * (-time * 38.0).exp() * 0.8,
                Drum::Tom => {
                    phase += tone(120.0, 62.0, 12.0) / RATE;
                    (phase * std::f32::consts::TAU).sin() * (-time * 4.8).exp() * 0.95
                        + hiss * (-time * 60.0).exp() * 0.2
                }
            };
            value * fade
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_begin_softly_and_end() {
        let tables = Tables::new();
        for timbre in Timbre::ALL {
            let note = Note { start: 0, length: 400, hertz: 220.0, timbre, gain: 1.0, pan: 0.0, send: 0.0 };
            let mut playing = Playing::new(note);
            let mut block = Block::new(60_000);
            assert!(!playing.play(&tables, &mut block, 0), "{timbre:?}");
            assert_eq!(block.left.first(), Some(&0.0));
            assert!(block.left.iter().any(|value| value.abs() > 1e-4));
        }
    }
}
