//! The mixing desk: plays a score block by block, adds echo and hall, and keeps the result as 16-bit stereo.
//!
//! Invariant: memory is one 16-bit buffer of the song plus a few blocks, whatever the length. Not here:
//! files.

use crate::noise::Dice;
use crate::number::{index, sample};
use crate::score::Score;
use crate::style::{Beat, Style};
use crate::voices::{Block, Hit, Kit, Playing, RATE, Tables};

const BLOCK: usize = 2_048;
/// About -3 dB below full scale.
const PEAK: f32 = 0.707;

/// A line that feeds back, for echoes and reverberation.
struct Loop {
    line: Vec<f32>,
    at: usize,
    feedback: f32,
    damp: f32,
    kept: f32,
}

impl Loop {
    fn new(length: usize, feedback: f32, damp: f32) -> Self {
        Self { line: vec![0.0; length.max(1)], at: 0, feedback, damp, kept: 0.0 }
    }

    /// Puts a sample in and takes the oldest out.
    #[inline(always)]
    fn turn(&mut self, input: f32) -> f32 {
        let out = self.line[self.at];
        self.kept = out + (self.kept - out) * self.damp;
        self.line[self.at] = input + self.kept * self.feedback;
        self.at += 1;
        if self.at == self.line.len() {
            self.at = 0;
        }
        out
    }

    /// As `turn`, but letting all frequencies through equally.
    #[inline(always)]
    fn spread(&mut self, input: f32) -> f32 {
        let out = self.line[self.at];
        self.line[self.at] = input + out * 0.5;
        self.at += 1;
        if self.at == self.line.len() {
            self.at = 0;
        }
        out - input
    }
}

/// Echo and hall of one side.
struct Hall {
    combs: [Loop; 4],
    spreads: [Loop; 2],
}

impl Hall {
    fn new(offset: usize) -> Self {
        let comb = |length: usize| Loop::new(length + offset, 0.83, 0.32);
        Self {
            combs: [comb(1_557), comb(1_617), comb(1_491), comb(1_422)],
            spreads: [Loop::new(225 + offset, 0.5, 0.0), Loop::new(556 + offset, 0.5, 0.0)],
        }
    }

    #[inline(always)]
    fn turn(&mut self, input: f32) -> f32 {
        let mut sum = 0.0;
        for comb in &mut self.combs {
            sum += comb.turn(input);
        }
        for spread in &mut self.spreads {
            sum = spread.spread(sum);
        }
        sum * 0.16
    }
}

struct Desk {
    halls: [Hall; 2],
    echoes: [Loop; 2],
    /// Removes what is too low to hear.
    rumble: [f32; 2],
    crackle: Option<Dice>,
}

impl Desk {
    fn master(&mut self, block: &Block, from: usize, total: usize, out: &mut Vec<i16>) -> f32 {
        let mut peak: f32 = 0.0;
        let lines = block.left.iter().zip(&block.right).zip(&block.send_left).zip(&block.send_right);
        for (number, (((left, right), send_left), send_right)) in lines.enumerate() {
            let position = from + number;
            if position >= total {
                break;
            }
            let [echo_left, echo_right] = &mut self.echoes;
            // Each echo crosses to the other side.
            let (late_left, late_right) = (echo_left.line[echo_left.at], echo_right.line[echo_right.at]);
            echo_left.turn(send_left * 0.5 + late_right * 0.34);
            echo_right.turn(send_right * 0.5 + late_left * 0.34);
            let [hall_left, hall_right] = &mut self.halls;
            let wet_left = hall_left.turn(send_left + late_left * 0.4);
            let wet_right = hall_right.turn(send_right + late_right * 0.4);
            let mut dust = 0.0;
            if let Some(dice) = &mut self.crackle {
                let chance = dice.between(0.0, 1.0);
                dust = if chance > 0.9997 { (chance - 0.999_85) * 90.0 } else { (chance - 0.5) * 0.003 };
            }
            let fade = fade(position, total);
            for (side, value) in
                [left + late_left * 0.5 + wet_left + dust, right + late_right * 0.5 + wet_right + dust]
                    .into_iter()
                    .enumerate()
            {
                let low = &mut self.rumble[side];
                *low += (value - *low) * 0.0035;
                let soft = saturated((value - *low) * 1.5) * fade;
                peak = peak.max(soft.abs());
                out.push(sample(soft));
            }
        }
        peak
    }
}

/// Bends loud peaks instead of cutting them.
#[inline(always)]
fn saturated(value: f32) -> f32 {
    let value = value.clamp(-3.0, 3.0);
    let squared = value * value;
    value * (27.0 + squared) / (27.0 + 9.0 * squared)
}

/// Loudness at the beginning and the end of the song.
fn fade(position: usize, total: usize) -> f32 {
    let length = total as f32 / RATE;
    let out_s = (length * 0.16).min(5.0);
    let into = (position as f32 / (0.02 * RATE)).min(1.0);
    let left = (total - position - 1) as f32 / (out_s * RATE).max(1.0);
    let out = left.min(1.0);
    into * out * out * (3.0 - 2.0 * out)
}

/// A stroke being heard: where its recording goes on.
struct Ringing {
    hit: Hit,
    at: usize,
}

/// Plays a score. `keep_going` hears the finished share and can stop the work, which gives `None`.
pub(crate) fn play(
    score: &Score,
    style: &Style,
    total: usize,
    keep_going: &dyn Fn(f32) -> bool,
) -> Option<Vec<i16>> {
    let (tables, kit) = (Tables::new(), Kit::new(style.beat == Beat::Dusty));
    let delay = index(score.beat * 0.75);
    let mut desk = Desk {
        halls: [Hall::new(0), Hall::new(23)],
        echoes: [Loop::new(delay, 0.0, 0.0), Loop::new(delay + 311, 0.0, 0.0)],
        rumble: [0.0; 2],
        crackle: (style.beat == Beat::Dusty).then(|| Dice::new(0xc4ac)),
    };
    let (mut notes, mut hits) = (score.notes.iter().peekable(), score.hits.iter().peekable());
    let mut playing: Vec<(Playing, usize)> = Vec::new();
    let mut ringing: Vec<Ringing> = Vec::new();
    let mut block = Block::new(BLOCK);
    let mut out = Vec::with_capacity(total * 2);
    let mut peak: f32 = 0.0;
    for from in (0..total).step_by(BLOCK) {
        block.clear();
        while let Some(note) = notes.next_if(|note| note.start < from + BLOCK) {
            playing.push((Playing::new(*note), note.start - from.min(note.start)));
        }
        while let Some(hit) = hits.next_if(|hit| hit.start < from + BLOCK) {
            ringing.push(Ringing { hit: *hit, at: 0 });
        }
        playing.retain_mut(|(voice, start)| {
            let first = std::mem::take(start);
            voice.play(&tables, &mut block, first)
        });
        ringing.retain_mut(|ring| strike(ring, &kit, &mut block, from));
        peak = peak.max(desk.master(&block, from, total, &mut out));
        if !keep_going(from as f32 / total as f32) {
            return None;
        }
    }
    level(&mut out, peak);
    Some(out)
}

/// Adds a stroke's next part; false when its recording is over.
fn strike(ring: &mut Ringing, kit: &Kit, block: &mut Block, from: usize) -> bool {
    let wave = kit.recording(ring.hit.drum).get(ring.at..).unwrap_or(&[]);
    let first = ring.hit.start.saturating_sub(from);
    let (left, right) = (ring.hit.gain * (1.0 - ring.hit.pan), ring.hit.gain * (1.0 + ring.hit.pan));
    let room = BLOCK.saturating_sub(first);
    for (number, value) in wave.iter().take(room).enumerate() {
        let at = first + number;
        block.left[at] += value * left;
        block.right[at] += value * right;
        block.send_left[at] += value * left * 0.05;
        block.send_right[at] += value * right * 0.05;
    }
    ring.at += room;
    wave.len() > room
}

/// Brings the loudest sample to the wanted peak.
fn level(samples: &mut [i16], peak: f32) {
    let factor = if peak > 1e-4 { PEAK / peak } else { 1.0 };
    for value in samples {
        *value = sample(f32::from(*value) / 32_767.0 * factor);
    }
}
