//! What a prompt's words ask for: a scene and a mood; the prompt's hash decides where the words don't.
//!
//! Invariant: the same prompt and seed always give the same theme. Not here: how a scene looks.

use crate::canvas::Rgb;
use crate::noise::Dice;
use crate::palette::{Mood, Palette};

/// The kinds of picture there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Mountains,
    Sea,
    Forest,
    Dunes,
    City,
    Studio,
    Waves,
    Space,
}

/// Shapes that a product can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    Bottle,
    Drum,
    Ball,
}

const PRODUCTS: [(Product, &[&str]); 2] = [
    (
        Product::Bottle,
        &["bottle", "perfume", "skincare", "serum", "wine", "whisky", "lotion", "shampoo", "drink", "oil"],
    ),
    (
        Product::Drum,
        &["speaker", "jar", "cup", "mug", "candle", "cream", "coffee", "tin", "packag", "lamp", "vase"],
    ),
];

const PAINTS: [(u32, &[&str]); 11] = [
    (0x2a_2b_31, &["black", "graphite", "onyx"]),
    (0xf1_ef_ea, &["white", "ivory", "porcelain"]),
    (0xc7_3a_34, &["red", "crimson"]),
    (0x31_64_c4, &["blue", "navy", "cobalt"]),
    (0x3a_8f_62, &["green", "emerald", "olive"]),
    (0xd3_a4_4a, &["gold", "golden", "brass"]),
    (0xb7_bd_c6, &["silver", "chrome", "steel"]),
    (0xef_93_aa, &["pink", "rose"]),
    (0x7d_52_c2, &["purple", "violet"]),
    (0xee_84_3a, &["orange", "copper"]),
    (0xf0_c5_46, &["yellow"]),
];

/// A scene to paint.
#[derive(Debug, Clone)]
pub(crate) struct Theme {
    pub(crate) kind: Kind,
    pub(crate) mood: Mood,
    pub(crate) palette: Palette,
    /// What stands in a studio scene, and its colour if the prompt names one.
    pub(crate) product: Product,
    pub(crate) paint: Option<Rgb>,
    /// A mountain scene should have a lake.
    pub(crate) lake: bool,
    pub(crate) dice: Dice,
}

const KINDS: [(Kind, &[&str]); 8] = [
    (
        Kind::Studio,
        &[
            "product",
            "bottle",
            "studio",
            "skincare",
            "perfume",
            "ecommerce",
            "advert",
            "ad",
            "speaker",
            "watch",
            "shoe",
            "sneaker",
            "cosmetic",
            "packag",
            "mockup",
            "cup",
            "mug",
            "phone",
            "lipstick",
            "jar",
            "chair",
            "lamp",
            "headphone",
            "serum",
            "cream",
            "brand",
            "commercial",
        ],
    ),
    (
        Kind::City,
        &[
            "city",
            "cities",
            "street",
            "skyline",
            "building",
            "tokyo",
            "york",
            "urban",
            "cyberpunk",
            "downtown",
            "skyscraper",
            "town",
            "architect",
            "london",
            "paris",
            "shanghai",
            "cyber",
        ],
    ),
    (
        Kind::Space,
        &[
            "space",
            "galax",
            "planet",
            "nebula",
            "cosmos",
            "cosmic",
            "astronaut",
            "universe",
            "orbit",
            "rocket",
            "saturn",
            "mars",
            "spaceship",
            "alien",
            "scifi",
        ],
    ),
    (
        Kind::Mountains,
        &[
            "mountain",
            "peak",
            "alps",
            "hill",
            "valley",
            "landscape",
            "fuji",
            "himalaya",
            "castle",
            "dragon",
            "glacier",
            "volcano",
            "scenery",
            "horizon",
            "cliff",
        ],
    ),
    (
        Kind::Sea,
        &[
            "sea",
            "ocean",
            "beach",
            "lake",
            "island",
            "water",
            "boat",
            "sail",
            "ship",
            "coast",
            "harbor",
            "harbour",
            "river",
            "surf",
            "whale",
            "fish",
            "lighthouse",
        ],
    ),
    (
        Kind::Forest,
        &[
            "forest", "tree", "wood", "jungle", "pine", "fox", "deer", "bear", "bird", "owl", "garden",
            "leaf", "leaves", "cabin", "wolf", "rabbit", "camp", "nature",
        ],
    ),
    (Kind::Dunes, &["desert", "dune", "sand", "camel", "sahara", "canyon", "egypt", "pyramid", "savanna"]),
    (
        Kind::Waves,
        &[
            "abstract",
            "pattern",
            "texture",
            "flow",
            "wallpaper",
            "wave",
            "silk",
            "gradient",
            "background",
            "minimal",
            "fluid",
            "music",
            "logo",
            "banner",
            "art",
            "poster",
            "paint",
        ],
    ),
];

const MOODS: [(Mood, &[&str]); 15] = [
    (Mood::Neon, &["neon", "cyber", "cyberpunk", "synthwave", "retro", "vaporwave", "purple", "magenta"]),
    (Mood::Aurora, &["aurora", "northern", "emerald", "alien"]),
    (Mood::Night, &["night", "midnight", "moon", "moonlit", "dark", "star", "starry"]),
    (Mood::Dusk, &["sunset", "dusk", "evening", "twilight", "dramatic", "fire", "lava", "red"]),
    (Mood::Dawn, &["sunrise", "dawn", "morning", "orange", "peach", "cinematic"]),
    (Mood::Autumn, &["autumn", "fall", "october", "harvest", "rust", "brown"]),
    (Mood::Winter, &["winter", "snow", "snowy", "ice", "icy", "frozen", "christmas", "glacier", "white"]),
    (Mood::Desert, &["desert", "dune", "sand", "camel", "sahara", "canyon", "egypt", "mars", "terracotta"]),
    (Mood::Green, &["forest", "jungle", "green", "spring", "garden", "tea", "organic", "meadow"]),
    (Mood::Neutral, &["neutral", "grey", "gray", "beige", "concrete", "monochrome"]),
    (Mood::Pastel, &["pastel", "soft", "skincare", "cute", "baby", "lavender", "dream", "dreamy", "gentle"]),
    (Mood::Tropical, &["tropical", "beach", "summer", "turquoise", "island", "palm", "ocean"]),
    (Mood::Rose, &["pink", "rose", "love", "romantic", "perfume", "cherry", "sakura", "blossom"]),
    (Mood::Gold, &["gold", "golden", "luxury", "honey", "whisky", "yellow", "premium", "vintage"]),
    (Mood::Day, &["day", "sunny", "blue", "sky", "bright", "clear", "noon", "alps"]),
];

/// Whether a word of the prompt is one of the names. Long names also match as beginnings (galax, packag,
/// tree).
fn names(words: &[String], choices: &[&str]) -> bool {
    words
        .iter()
        .any(|word| choices.iter().any(|name| word == name || (name.len() >= 4 && word.starts_with(name))))
}

/// The prompt's words in lower case.
pub(crate) fn words(prompt: &str) -> Vec<String> {
    prompt
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Whether the prompt has one of these words.
pub(crate) fn mentions(words: &[String], choices: &[&str]) -> bool {
    names(words, choices)
}

impl Theme {
    /// Reads a prompt.
    pub(crate) fn of(prompt: &str, seed: u64) -> Self {
        let words = words(prompt);
        // The kind and mood of a wordless prompt follow the seed too, so that a new seed is a new picture.
        let mut dice = Dice::of(prompt, seed, "theme");
        let chosen = KINDS.iter().find(|(_, choices)| names(&words, choices)).map(|(kind, _)| *kind);
        let any = KINDS.map(|(kind, _)| kind);
        let guessed = dice.pick(&any[2..]).unwrap_or(Kind::Mountains);
        let kind = chosen.unwrap_or(guessed);
        let asked = MOODS.iter().find(|(_, choices)| names(&words, choices)).map(|(mood, _)| *mood);
        let usual = dice.pick(usual_moods(kind)).unwrap_or(Mood::Dawn);
        let mood = asked.unwrap_or(usual);
        let turn_degrees = dice.between(-9.0, 9.0);
        let product = PRODUCTS.iter().find(|(_, choices)| names(&words, choices));
        let product = product.map_or(Product::Ball, |(product, _)| *product);
        let paint =
            PAINTS.iter().find(|(_, choices)| names(&words, choices)).map(|(code, _)| Rgb::hex(*code));
        let lake = names(&words, &["lake", "river", "reflection", "water"]);
        Self { kind, mood, palette: mood.palette(turn_degrees), product, paint, lake, dice }
    }
}

fn usual_moods(kind: Kind) -> &'static [Mood] {
    match kind {
        Kind::Mountains => &[Mood::Dawn, Mood::Dusk, Mood::Day, Mood::Night, Mood::Winter, Mood::Aurora],
        Kind::Sea => &[Mood::Dawn, Mood::Dusk, Mood::Tropical, Mood::Night, Mood::Rose],
        Kind::Forest => &[Mood::Green, Mood::Autumn, Mood::Dawn, Mood::Aurora, Mood::Winter],
        Kind::Dunes => &[Mood::Desert, Mood::Dusk, Mood::Gold],
        Kind::City => &[Mood::Night, Mood::Neon, Mood::Dusk, Mood::Rose],
        Kind::Studio => &[Mood::Pastel, Mood::Gold, Mood::Green, Mood::Desert, Mood::Rose, Mood::Neutral],
        Kind::Waves => &Mood::ALL,
        Kind::Space => &[Mood::Neon, Mood::Night, Mood::Aurora, Mood::Dusk],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_scene_and_mood() {
        let theme = Theme::of("A quiet SEA at night", 1);
        assert_eq!((theme.kind, theme.mood), (Kind::Sea, Mood::Night));
        let theme = Theme::of("Minimal ecommerce hero image for a skincare bottle", 1);
        assert_eq!((theme.kind, theme.mood, theme.product), (Kind::Studio, Mood::Pastel, Product::Bottle));
        assert_eq!(Theme::of("galaxies", 9).kind, Kind::Space);
    }

    #[test]
    fn short_names_match_whole_words_only() {
        assert_ne!(Theme::of("sadness", 1).kind, Kind::Studio);
        assert_eq!(Theme::of("x", 5).kind, Theme::of("x", 5).kind);
    }
}
