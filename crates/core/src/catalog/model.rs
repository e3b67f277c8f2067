//! What a model is and can do: its product, modes, sizes and limits.
//!
//! Invariant: a `Model` that came out of `Catalog::parse` has passed every check of `check.rs`.
//! Not here: prices (they belong to a price version) and who serves the model.

use std::fmt;

/// What a model makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Product {
    /// Still pictures.
    Image,
    /// Clips.
    Video,
    /// Songs.
    Music,
}

impl Product {
    /// Every product, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Image, Self::Video, Self::Music];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Music => "music",
        }
    }

    /// Reads the name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|product| product.as_str() == text)
    }

    /// The word for one piece of it in prices.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Music => "song",
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What goes in and what comes out; the contract calls it `scene`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A prompt becomes pictures.
    TextToImage,
    /// Pictures become pictures.
    ImageToImage,
    /// A prompt becomes a clip.
    TextToVideo,
    /// A picture becomes a clip.
    ImageToVideo,
    /// A prompt becomes a song.
    TextToMusic,
}

impl Mode {
    /// Every mode, in the order in which they are listed.
    pub const ALL: [Self; 5] =
        [Self::TextToImage, Self::ImageToImage, Self::TextToVideo, Self::ImageToVideo, Self::TextToMusic];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TextToImage => "text-to-image",
            Self::ImageToImage => "image-to-image",
            Self::TextToVideo => "text-to-video",
            Self::ImageToVideo => "image-to-video",
            Self::TextToMusic => "text-to-music",
        }
    }

    /// Reads the name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }

    /// What this mode makes.
    #[must_use]
    pub const fn product(self) -> Product {
        match self {
            Self::TextToImage | Self::ImageToImage => Product::Image,
            Self::TextToVideo | Self::ImageToVideo => Product::Video,
            Self::TextToMusic => Product::Music,
        }
    }

    /// Whether it starts from pictures.
    #[must_use]
    pub const fn takes_images(self) -> bool {
        matches!(self, Self::ImageToImage | Self::ImageToVideo)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One model of the catalog and everything that a request may ask of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The name that requests use.
    pub name: String,
    /// What it makes.
    pub product: Product,
    /// What it can start from.
    pub modes: Vec<Mode>,
    /// One line for people who choose.
    pub notes: String,
    /// What one unit price buys: `image`, `video` or `song`.
    pub unit: String,
    /// Sizes by name, smallest first; empty for music.
    pub resolutions: Vec<String>,
    /// How many outputs one request may ask for, ascending; always has 1.
    pub counts: Vec<u32>,
    /// Shapes such as `16:9`; empty for music.
    pub aspect_ratios: Vec<String>,
    /// Lengths, ascending; empty for images.
    pub durations_seconds: Vec<u32>,
    /// The shape when a request names none; `None` for music.
    pub default_aspect_ratio: Option<String>,
    /// The length when a request names none; `None` for images.
    pub default_duration_seconds: Option<u32>,
    /// Most pictures that it starts from; 0 without such a mode.
    pub max_input_images: u32,
    /// Longest prompt, in Unicode scalar values.
    pub prompt_max_chars: u32,
    /// Sent upstream when a request with pictures has no prompt; `None` without such a mode.
    pub prompt_default: Option<String>,
    /// Whether it takes `negative_prompt`.
    pub negative_prompt: bool,
    /// Whether it takes `seed`.
    pub seed: bool,
    /// From 1, a draft, to 5, the finest; only the ranking looks at it.
    pub quality: u32,
    /// What it is good at, in the words of the routing table.
    pub use_cases: Vec<String>,
    /// The same in a few words, for who chooses.
    pub strength: String,
    /// How long a task usually takes.
    pub typical_seconds: u32,
    /// After this long a task has failed.
    pub max_seconds: u32,
}

impl Model {
    /// The mode that starts from a prompt alone.
    #[must_use]
    pub fn text_mode(&self) -> Option<Mode> {
        self.modes.iter().copied().find(|mode| !mode.takes_images())
    }

    /// The mode that starts from pictures.
    #[must_use]
    pub fn image_mode(&self) -> Option<Mode> {
        self.modes.iter().copied().find(|mode| mode.takes_images())
    }
}

/// One thing that can be bought: a row of the complete price table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Combination<'a> {
    /// The model.
    pub model: &'a Model,
    /// What it starts from.
    pub mode: Mode,
    /// The size by name; `None` for music.
    pub resolution: Option<&'a str>,
    /// How many outputs.
    pub count: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_nothing_else_does() {
        for product in Product::ALL {
            assert_eq!(Product::parse(product.as_str()), Some(product));
        }
        for mode in Mode::ALL {
            assert_eq!(Mode::parse(mode.as_str()), Some(mode));
            assert!(mode.as_str().ends_with(mode.product().as_str()));
            assert_eq!(mode.takes_images(), mode.as_str().starts_with("image-to-"));
        }
        for bad in
            ["", "Image", "images", " image", "audio", "text-to-audio", "text_to_image", "TEXT-TO-IMAGE"]
        {
            assert_eq!((Product::parse(bad), Mode::parse(bad)), (None, None), "{bad}");
        }
    }
}
