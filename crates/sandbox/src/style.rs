//! What a prompt's words ask of music: tempo, key, scale, instruments, drums.
//!
//! Invariant: the same prompt and seed give the same style. Not here: notes.

use crate::noise::Dice;
use crate::theme::{mentions, words};
use crate::voices::Timbre;

/// How the drums play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    Silent,
    Brushed,
    Straight,
    Dusty,
    FourFloor,
    Grand,
}

/// Kinds of music.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Genre {
    Calm,
    Happy,
    Sad,
    Epic,
    LoFi,
    Dance,
    Folk,
}

/// Everything that the composer needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    pub(crate) genre: Genre,
    pub(crate) beats_per_minute: f32,
    /// The key's lowest root, as a MIDI number.
    pub(crate) root: i32,
    /// Semitones of the seven steps above the root.
    pub(crate) scale: [i32; 7],
    pub(crate) progressions: [[i32; 4]; 2],
    pub(crate) lead: Timbre,
    pub(crate) chords: Timbre,
    pub(crate) arpeggio: Timbre,
    pub(crate) beat: Beat,
    /// How late every second eighth comes, as a share of an eighth.
    pub(crate) swing: f32,
    pub(crate) sevenths: bool,
    pub(crate) space: f32,
    pub(crate) dice: Dice,
}

const MAJOR: [i32; 7] = [0, 2, 4, 5, 7, 9, 11];
const LYDIAN: [i32; 7] = [0, 2, 4, 6, 7, 9, 11];
const MINOR: [i32; 7] = [0, 2, 3, 5, 7, 8, 10];
const DORIAN: [i32; 7] = [0, 2, 3, 5, 7, 9, 10];

const BRIGHT: [[i32; 4]; 6] =
    [[0, 4, 5, 3], [0, 5, 3, 4], [3, 0, 4, 5], [0, 2, 3, 4], [5, 3, 0, 4], [0, 3, 5, 4]];
const DARK: [[i32; 4]; 6] =
    [[0, 5, 2, 6], [0, 3, 6, 2], [0, 5, 3, 4], [0, 2, 6, 3], [0, 6, 5, 6], [5, 6, 0, 0]];

const GENRES: [(Genre, &[&str]); 7] = [
    (Genre::LoFi, &["lofi", "lo", "chill", "jazz", "study", "hiphop", "cafe", "coffee", "soul", "rainy"]),
    (
        Genre::Dance,
        &[
            "techno",
            "edm",
            "dance",
            "house",
            "electronic",
            "club",
            "synthwave",
            "trance",
            "cyberpunk",
            "neon",
            "disco",
        ],
    ),
    (
        Genre::Epic,
        &[
            "epic",
            "cinematic",
            "battle",
            "orchestra",
            "trailer",
            "hero",
            "war",
            "adventure",
            "dramatic",
            "dragon",
        ],
    ),
    (
        Genre::Sad,
        &["sad", "melanchol", "lonely", "rain", "blue", "loss", "tears", "nostalg", "dark", "minor"],
    ),
    (
        Genre::Calm,
        &[
            "calm", "sleep", "ambient", "meditat", "relax", "soft", "peaceful", "quiet", "spa", "space",
            "dream", "lullaby",
        ],
    ),
    (
        Genre::Happy,
        &["happy", "upbeat", "pop", "summer", "fun", "joy", "bright", "party", "kids", "cheer", "funk"],
    ),
    (
        Genre::Folk,
        &["folk", "acoustic", "guitar", "country", "celtic", "medieval", "campfire", "indie", "rock"],
    ),
];

impl Style {
    /// Reads a prompt.
    pub(crate) fn of(prompt: &str, seed: u64) -> Self {
        let words = words(prompt);
        let mut dice = Dice::of(prompt, seed, "music");
        let all = GENRES.map(|(genre, _)| genre);
        let guessed = dice.pick(&all).unwrap_or(Genre::Calm);
        let genre =
            GENRES.iter().find(|(_, names)| mentions(&words, names)).map_or(guessed, |(genre, _)| *genre);
        let (slowest, fastest) = match genre {
            Genre::Calm => (62.0, 76.0),
            Genre::Happy => (108.0, 124.0),
            Genre::Sad => (64.0, 80.0),
            Genre::Epic => (84.0, 100.0),
            Genre::LoFi => (72.0, 86.0),
            Genre::Dance => (120.0, 130.0),
            Genre::Folk => (88.0, 112.0),
        };
        let mut tempo = dice.between(slowest, fastest).round();
        if mentions(&words, &["fast", "energetic", "quick", "driving"]) {
            tempo *= 1.2;
        }
        if mentions(&words, &["slow", "gentle", "slowly"]) {
            tempo *= 0.82;
        }
        if let Some(asked) = asked_tempo(&words) {
            tempo = asked;
        }
        let scale = match genre {
            Genre::Calm => dice.pick(&[MAJOR, LYDIAN]),
            Genre::Happy | Genre::Folk => Some(MAJOR),
            Genre::Sad => Some(MINOR),
            Genre::Epic | Genre::Dance => dice.pick(&[MINOR, MINOR, DORIAN]),
            Genre::LoFi => dice.pick(&[MAJOR, DORIAN]),
        };
        let scale = scale.unwrap_or(MAJOR);
        let choices: &[[i32; 4]] = if scale.get(2) == Some(&4) { &BRIGHT } else { &DARK };
        let first = dice.pick(choices).unwrap_or([0, 4, 5, 3]);
        let second = dice.pick(choices).unwrap_or([3, 0, 4, 5]);
        let root = dice.pick(&[36, 38, 40, 41, 43, 45, 33]).unwrap_or(36);
        let (lead, chords, arpeggio, beat) = band(genre, &words, &mut dice);
        Self {
            genre,
            beats_per_minute: tempo,
            root,
            scale,
            progressions: [first, second],
            lead,
            chords,
            arpeggio,
            beat,
            swing: if genre == Genre::LoFi { 0.28 } else { 0.0 },
            sevenths: matches!(genre, Genre::LoFi | Genre::Calm),
            space: match genre {
                Genre::Calm | Genre::Epic | Genre::Sad => 1.0,
                Genre::LoFi | Genre::Folk => 0.6,
                Genre::Happy | Genre::Dance => 0.7,
            },
            dice,
        }
    }

    /// Frequency of a step of the scale, counted from the root `octaves` up.
    pub(crate) fn hertz(&self, step: i32, octaves: i32) -> f32 {
        let within = usize::try_from(step.rem_euclid(7)).unwrap_or(0);
        let semitones = self.scale.get(within).copied().unwrap_or(0) + 12 * (step.div_euclid(7) + octaves);
        440.0 * ((self.root + semitones - 69) as f32 / 12.0).exp2()
    }
}

/// A tempo written as "90 bpm" or "90bpm".
fn asked_tempo(words: &[String]) -> Option<f32> {
    let joined =
        words.iter().find_map(|word| word.strip_suffix("bpm").and_then(|number| number.parse().ok()));
    let apart = words.windows(2).find_map(|pair| match pair {
        [number, unit] if unit == "bpm" => number.parse().ok(),
        _ => None,
    });
    let tempo: f32 = joined.or(apart)?;
    (40.0..=220.0).contains(&tempo).then_some(tempo)
}

fn band(genre: Genre, words: &[String], dice: &mut Dice) -> (Timbre, Timbre, Timbre, Beat) {
    let (mut lead, chords, arpeggio, beat) = match genre {
        Genre::Calm => (Timbre::Bell, Timbre::Pad, Timbre::Keys, Beat::Silent),
        Genre::Happy => (Timbre::Pluck, Timbre::Keys, Timbre::Pluck, Beat::Straight),
        Genre::Sad => (Timbre::Piano, Timbre::Pad, Timbre::Piano, Beat::Brushed),
        Genre::Epic => (Timbre::Strings, Timbre::Strings, Timbre::Pluck, Beat::Grand),
        Genre::LoFi => (Timbre::Bell, Timbre::Keys, Timbre::Keys, Beat::Dusty),
        Genre::Dance => (Timbre::Lead, Timbre::Pad, Timbre::Pluck, Beat::FourFloor),
        Genre::Folk => (Timbre::Flute, Timbre::Guitar, Timbre::Guitar, Beat::Brushed),
    };
    if dice.chance(0.3) {
        lead = dice.pick(&[Timbre::Flute, Timbre::Bell, Timbre::Piano]).unwrap_or(lead);
    }
    let asked = [
        (Timbre::Piano, "piano"),
        (Timbre::Guitar, "guitar"),
        (Timbre::Flute, "flute"),
        (Timbre::Strings, "violin"),
        (Timbre::Bell, "bell"),
        (Timbre::Lead, "synth"),
        (Timbre::Strings, "strings"),
    ];
    if let Some((timbre, _)) = asked.iter().find(|(_, name)| mentions(words, &[name])) {
        lead = *timbre;
    }
    (lead, chords, arpeggio, beat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_genre_and_tempo() {
        let style = Style::of("a calm piano piece, 90 bpm", 1);
        assert_eq!((style.genre, style.lead, style.beats_per_minute), (Genre::Calm, Timbre::Piano, 90.0));
        assert_eq!(Style::of("lo-fi beats", 1).genre, Genre::LoFi);
        assert_eq!(Style::of("Epic battle", 1).beat, Beat::Grand);
    }

    #[test]
    fn the_scale_continues_over_octaves() {
        let style = Style::of("happy", 4);
        assert!((style.hertz(7, 1) - 2.0 * style.hertz(0, 1)).abs() < 0.01);
        assert!((style.hertz(-7, 1) - style.hertz(0, 0)).abs() < 0.01);
    }
}
