//! The composer: sections, chords, bass, arpeggios, a melody with a motif that returns, and drums.
//!
//! Invariant: every tuned note belongs to the style's scale. Not here: sound.

use crate::noise::Dice;
use crate::number::index;
use crate::style::{Beat, Genre, Style};
use crate::voices::{Drum, Hit, Note, RATE, Timbre};

/// Everything that is played, in order of time.
pub(crate) struct Score {
    pub(crate) notes: Vec<Note>,
    pub(crate) hits: Vec<Hit>,
    /// Samples per beat, for echoes in time.
    pub(crate) beat: f32,
}

/// Which parts play in a section.
#[derive(Debug, Clone, Copy)]
struct Section {
    bars: usize,
    second: bool,
    melody: bool,
    bass: bool,
    drums: f32,
    arpeggio: bool,
}

/// A note of a motif: when in beats, how long, and steps from the phrase's centre.
#[derive(Debug, Clone, Copy)]
struct Tone {
    at: f32,
    long: f32,
    step: i32,
}

struct Composer<'a> {
    style: &'a Style,
    dice: Dice,
    beat: f32,
    end: usize,
    score: Score,
    previous: i32,
}

/// Composes a song of a length in samples.
pub(crate) fn compose(style: &Style, samples: usize) -> Score {
    let beat = 60.0 / style.beats_per_minute * RATE;
    let mut composer = Composer {
        style,
        dice: style.dice.clone(),
        beat,
        end: samples,
        score: Score { notes: Vec::new(), hits: Vec::new(), beat },
        previous: 0,
    };
    composer.signature();
    let bars = index(samples as f32 / (beat * 4.0)) + 1;
    let motifs = [composer.motif(), composer.motif()];
    let mut bar = 0;
    for section in sections(bars) {
        for within in 0..section.bars {
            composer.bar(section, bar, within, &motifs);
            bar += 1;
        }
    }
    let mut score = composer.score;
    score.notes.sort_by_key(|note| note.start);
    score.hits.sort_by_key(|hit| hit.start);
    score
}

/// Intro, verses, choruses, a break and an outro, as many as fit.
fn sections(bars: usize) -> Vec<Section> {
    let verse = Section { bars: 8, second: false, melody: true, bass: true, drums: 0.75, arpeggio: false };
    let chorus = Section { second: true, drums: 1.0, arpeggio: true, ..verse };
    let intro = Section { bars: 4, melody: false, bass: false, drums: 0.0, arpeggio: true, ..verse };
    let rest = Section { bars: 4, melody: false, drums: 0.3, arpeggio: true, ..verse };
    let outro = Section { bars: 4, melody: false, drums: 0.0, arpeggio: true, ..verse };
    if bars <= 6 {
        return vec![Section { bars: 1, ..intro }, Section { bars: bars.saturating_sub(1), ..chorus }];
    }
    if bars <= 14 {
        let middle = bars - 4;
        return vec![
            Section { bars: 2, ..intro },
            Section { bars: middle / 2, ..verse },
            Section { bars: middle - middle / 2, ..chorus },
            Section { bars: 2, ..outro },
        ];
    }
    let mut list = vec![intro];
    let mut left = bars - 8;
    for part in [verse, chorus, rest].iter().cycle() {
        if left == 0 {
            break;
        }
        let bars = part.bars.min(left);
        list.push(Section { bars, ..*part });
        left -= bars;
    }
    list.push(outro);
    list
}

impl Composer<'_> {
    fn at(&self, bar: usize, beats: f32) -> usize {
        // Swing delays every second eighth.
        let eighths = beats * 2.0;
        let odd = (eighths % 2.0 - 1.0).abs() < 0.01;
        let late = if odd { self.style.swing * 0.5 } else { 0.0 };
        index((bar as f32 * 4.0 + beats + late) * self.beat)
    }

    fn note(&mut self, start: usize, beats: f32, hertz: f32, timbre: Timbre, gain: f32, pan: f32) {
        if start >= self.end || !(20.0..5_000.0).contains(&hertz) {
            return;
        }
        // Hands are never exactly on time nor equally strong.
        let human = index(self.dice.between(0.0, 0.007) * RATE);
        let gain = gain * self.dice.between(0.9, 1.05);
        let send = self.style.space * if timbre == Timbre::Bass { 0.04 } else { 0.42 };
        let length = index(beats * self.beat * 0.94);
        self.score.notes.push(Note { start: start + human, length, hertz, timbre, gain, pan, send });
    }

    fn hit(&mut self, start: usize, drum: Drum, gain: f32, pan: f32) {
        if start < self.end && gain > 0.01 {
            let gain = gain * self.dice.between(0.88, 1.0);
            self.score.hits.push(Hit { start, drum, gain, pan });
        }
    }

    /// Three soft bells at the very start: the sandbox's own sign.
    fn signature(&mut self) {
        for (number, step) in [4, 7, 9].into_iter().enumerate() {
            let start = index(number as f32 * 0.11 * RATE);
            let hertz = self.style.hertz(step, 3);
            self.note(start, 0.5, hertz, Timbre::Bell, 0.13, 0.3 - 0.3 * number as f32);
        }
    }

    /// Two bars of melody as rhythm and contour.
    fn motif(&mut self) -> Vec<Tone> {
        const RHYTHMS: [&[f32]; 7] = [
            &[1.0, 1.0, 1.0, 1.0],
            &[1.5, 0.5, 1.0, 1.0],
            &[0.5, 0.5, 1.0, 2.0],
            &[1.5, 1.5, 1.0],
            &[2.0, 1.0, 1.0],
            &[1.0, 0.5, 0.5, 2.0],
            &[0.5, 1.0, 0.5, 1.0, 1.0],
        ];
        const CALM: [&[f32]; 4] = [&[2.0, 2.0], &[3.0, 1.0], &[2.0, 1.0, 1.0], &[4.0]];
        let slow = matches!(self.style.genre, Genre::Calm | Genre::Sad);
        let mut tones = Vec::new();
        let mut step = self.dice.pick(&[0, 2, 4]).unwrap_or(0);
        for bar in 0..2_u8 {
            let choices: &[&[f32]] = if slow { &CALM } else { &RHYTHMS };
            let rhythm = self.dice.pick(choices).unwrap_or(&[4.0]);
            let mut at = f32::from(bar) * 4.0;
            for long in rhythm {
                tones.push(Tone { at, long: *long, step });
                let leap = self.dice.pick(&[-2, -1, -1, 1, 1, 2, 3, -3, 0]).unwrap_or(1);
                step = (step + leap).clamp(-3, 8);
                at += long;
            }
        }
        tones
    }

    fn bar(&mut self, section: Section, bar: usize, within: usize, motifs: &[Vec<Tone>; 2]) {
        let progression = self.style.progressions[usize::from(section.second)];
        let chord = progression.get(within % 4).copied().unwrap_or(0);
        self.chord(bar, chord, section);
        if section.bass {
            self.bass(bar, chord, section);
        }
        if section.arpeggio {
            self.arpeggio(bar, chord);
        }
        if section.melody {
            self.melody(bar, within, chord, &motifs[usize::from(section.second)], section.second);
        }
        self.drums(bar, within, section.drums);
    }

    fn chord(&mut self, bar: usize, chord: i32, section: Section) {
        let timbre = self.style.chords;
        let mut steps = vec![0, 2, 4];
        if self.style.sevenths {
            steps.push(6);
        }
        let struck = matches!(timbre, Timbre::Keys | Timbre::Guitar);
        let times: &[(f32, f32)] = match (struck, self.style.genre) {
            (true, Genre::LoFi) => &[(0.0, 1.4), (1.5, 2.2)],
            (true, Genre::Folk) => &[(0.0, 1.0), (1.0, 0.5), (1.5, 0.5), (2.0, 1.0), (3.0, 0.5), (3.5, 0.5)],
            (true, _) => &[(0.0, 1.0), (1.5, 0.5), (2.5, 1.0)],
            (false, _) => &[(0.0, 4.0)],
        };
        let weight = if struck { 0.24 } else { 0.26 } * if section.drums > 0.9 { 1.0 } else { 0.85 };
        for (at, long) in times {
            for (number, step) in steps.iter().enumerate() {
                // Keep the hand in one place: high chords are turned down an octave.
                let place = if chord + step > 7 { chord + step - 7 } else { chord + step };
                let strum = if timbre == Timbre::Guitar { number as f32 * 0.012 * RATE } else { 0.0 };
                let start = self.at(bar, *at) + index(strum);
                let pan = (number as f32 - 1.2) * 0.34;
                let hertz = self.style.hertz(place, 2);
                self.note(start, *long, hertz, timbre, weight, pan);
            }
        }
    }

    fn bass(&mut self, bar: usize, chord: i32, section: Section) {
        let low = if chord > 3 { chord - 7 } else { chord };
        let full = section.drums > 0.9;
        let pattern: &[(f32, f32, i32)] = match self.style.genre {
            Genre::Calm => &[(0.0, 4.0, 0)],
            Genre::Sad => &[(0.0, 2.5, 0), (3.0, 1.0, 4)],
            Genre::Dance => &[(0.5, 0.4, 0), (1.5, 0.4, 0), (2.5, 0.4, 0), (3.0, 0.3, 7), (3.5, 0.4, 0)],
            Genre::Happy if full => &[
                (0.0, 0.5, 0),
                (0.5, 0.5, 0),
                (1.0, 0.5, 7),
                (1.5, 0.5, 0),
                (2.5, 0.5, 0),
                (3.0, 0.5, 4),
                (3.5, 0.5, 7),
            ],
            Genre::LoFi => &[(0.0, 1.2, 0), (1.5, 0.5, 0), (2.5, 1.0, 4)],
            Genre::Epic => &[(0.0, 0.9, 0), (1.0, 0.9, 0), (2.0, 0.9, 0), (3.0, 0.45, 0), (3.5, 0.45, 4)],
            Genre::Happy | Genre::Folk => &[(0.0, 1.5, 0), (1.5, 0.5, 0), (2.0, 1.0, 4), (3.0, 1.0, 0)],
        };
        for (at, long, step) in pattern {
            let start = self.at(bar, *at);
            self.note(start, *long, self.style.hertz(low + step, 1), Timbre::Bass, 0.42, 0.0);
        }
    }

    fn arpeggio(&mut self, bar: usize, chord: i32) {
        let orders: [&[i32]; 3] =
            [&[0, 2, 4, 7, 4, 2, 4, 7], &[0, 4, 2, 7, 4, 9, 7, 4], &[7, 4, 2, 0, 2, 4, 7, 9]];
        let slow = matches!(self.style.genre, Genre::Calm | Genre::Sad | Genre::LoFi);
        let order = orders.get(bar / 8 % 3).copied().unwrap_or(&[0]);
        for (number, step) in order.iter().enumerate() {
            if slow && number % 2 == 1 {
                continue;
            }
            let start = self.at(bar, number as f32 * 0.5);
            let pan = if number % 2 == 0 { -0.55 } else { 0.55 };
            let place = if chord > 4 { chord - 7 } else { chord };
            let hertz = self.style.hertz(place + step, 3);
            let long = if slow { 1.0 } else { 0.5 };
            self.note(start, long, hertz, self.style.arpeggio, 0.15, pan);
        }
    }

    fn melody(&mut self, bar: usize, within: usize, chord: i32, motif: &[Tone], high: bool) {
        let half = (within % 2) as f32 * 4.0;
        // The last bar of a phrase rests on a chord tone instead of running on.
        let closing = within % 4 == 3;
        let octave = if high && self.style.genre != Genre::Epic { 4 } else { 3 };
        for tone in motif.iter().filter(|tone| tone.at >= half && tone.at < half + 4.0) {
            let at = tone.at - half;
            if closing && at > 2.0 {
                continue;
            }
            let strong = at.rem_euclid(2.0) < 0.01;
            let vary = if within >= 4 && !strong { self.dice.pick(&[0, 0, 1, -1]).unwrap_or(0) } else { 0 };
            let wanted = tone.step + vary;
            let step = if strong || closing { nearest_chord_tone(wanted, chord) } else { wanted };
            let step = if (step - self.previous).abs() > 5 {
                step - (step - self.previous).signum() * 7
            } else {
                step
            };
            let step = step.clamp(-4, 10);
            self.previous = step;
            let long = if closing { 2.0 } else { tone.long };
            let start = self.at(bar, at);
            let gain = if strong { 0.40 } else { 0.34 };
            self.note(start, long, self.style.hertz(step, octave), self.style.lead, gain, 0.08);
        }
    }

    fn drums(&mut self, bar: usize, within: usize, amount: f32) {
        if amount <= 0.0 || self.style.beat == Beat::Silent {
            return;
        }
        let pattern: [(Drum, &str, f32, f32); 4] = match self.style.beat {
            Beat::Silent => return,
            Beat::Brushed => [
                (Drum::Kick, "x.......x.......", 0.45, 0.0),
                (Drum::Shaker, "x.x.x.x.x.x.x.x.", 0.16, 0.35),
                (Drum::Snare, "............x...", 0.14, -0.1),
                (Drum::Hat, "....x.......x...", 0.12, -0.3),
            ],
            Beat::Straight => [
                (Drum::Kick, "x.....x.x.......", 0.72, 0.0),
                (Drum::Snare, "....x.......x...", 0.46, 0.05),
                (Drum::Hat, "x.x.x.x.x.x.x.x.", 0.20, -0.3),
                (Drum::Shaker, "..x...x...x...xx", 0.14, 0.4),
            ],
            Beat::Dusty => [
                (Drum::Kick, "x......x..x.....", 0.70, 0.0),
                (Drum::Snare, "....x.......x...", 0.50, 0.0),
                (Drum::Hat, "x.x.x.x.x.x.x.x.", 0.22, -0.25),
                (Drum::OpenHat, "..............x.", 0.10, 0.3),
            ],
            Beat::FourFloor => [
                (Drum::Kick, "x...x...x...x...", 0.82, 0.0),
                (Drum::Snare, "....x.......x...", 0.40, 0.0),
                (Drum::OpenHat, "..x...x...x...x.", 0.20, 0.2),
                (Drum::Hat, "xxxxxxxxxxxxxxxx", 0.12, -0.3),
            ],
            Beat::Grand => [
                (Drum::Tom, "x.....x.x...x.x.", 0.75, -0.15),
                (Drum::Kick, "x.......x.......", 0.60, 0.0),
                (Drum::Snare, "............x...", 0.30, 0.15),
                (Drum::Shaker, "x.xxx.xxx.xxx.xx", 0.12, 0.4),
            ],
        };
        for (drum, line, gain, pan) in pattern {
            for (sixteenth, mark) in line.bytes().enumerate() {
                let quiet = amount < 0.5 && matches!(drum, Drum::Snare | Drum::OpenHat);
                if mark == b'x' && !quiet {
                    let accent = if sixteenth % 4 == 0 { 1.0 } else { 0.78 };
                    self.hit(self.at(bar, sixteenth as f32 * 0.25), drum, gain * amount * accent, pan);
                }
            }
        }
        // A small fill leads into the next part.
        if within % 8 == 7 && amount > 0.6 {
            for sixteenth in [12_u8, 13, 14, 15] {
                let gain = 0.16 + 0.06 * f32::from(sixteenth - 12);
                self.hit(self.at(bar, f32::from(sixteenth) * 0.25), Drum::Snare, gain * amount, 0.1);
            }
        }
    }
}

/// The step nearest to a wanted one that belongs to the chord.
fn nearest_chord_tone(wanted: i32, chord: i32) -> i32 {
    (-2..=2)
        .map(|away: i32| wanted + away)
        .filter(|step| matches!((step - chord).rem_euclid(7), 0 | 2 | 4))
        .min_by_key(|step| ((step - wanted).abs(), *step))
        .unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_fill_the_song() {
        for bars in 1..200 {
            assert_eq!(sections(bars).iter().map(|section| section.bars).sum::<usize>(), bars.max(1));
        }
    }

    #[test]
    fn strong_notes_belong_to_the_chord() {
        assert_eq!(nearest_chord_tone(1, 0), 0);
        assert_eq!(nearest_chord_tone(6, 0), 7);
        assert_eq!(nearest_chord_tone(4, 0), 4);
    }

    #[test]
    fn every_genre_has_melody_bass_and_chords() {
        for prompt in ["calm", "happy", "sad", "epic", "lofi", "techno", "folk"] {
            let style = Style::of(prompt, 2);
            let score = compose(&style, 44_100 * 40);
            for timbre in [style.lead, style.chords, Timbre::Bass] {
                assert!(
                    score.notes.iter().filter(|note| note.timbre == timbre).count() > 8,
                    "{prompt} {timbre:?}"
                );
            }
            assert!(score.notes.is_sorted_by_key(|note| note.start));
        }
    }
}
