//! Real media made offline from a prompt, a seed and input pictures: PNG, JPEG and WebP pictures, H.264 in
//! MP4, FLAC and WAV music.
//!
//! Invariant: the same specification gives the same bytes, of exactly the asked size and length, with a
//! visible (or, for music, tagged) mark that says sandbox. Not here: async, I/O, limits on how many renders
//! run at once (the sandbox provider bounds them), triggers inside prompts (likewise).

mod boat;
mod canvas;
mod city;
mod image_file;
mod land;
mod made;
mod mark;
mod mixing;
mod mp4_file;
mod music;
mod noise;
mod number;
mod palette;
mod photo;
mod scene;
mod score;
mod sky;
mod space;
mod studio;
mod style;
mod theme;
mod video;
mod voices;
mod water;
mod wild;

pub use photo::Photo;

/// What a render can fail with. Messages never contain the prompt.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The specification asks for something that can't be made (zero or oversized dimensions, zero seconds).
    #[error("cannot render: {0}")]
    Unsupported(String),
    /// An input picture can't be used.
    #[error("the input picture can't be used: {0}")]
    Input(String),
    /// The encoder failed.
    #[error("encoder failed: {0}")]
    Encoder(String),
}

/// File format of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PictureFormat {
    /// image/png
    Png,
    /// image/jpeg
    Jpeg,
    /// image/webp (lossless)
    Webp,
}

/// File format of a piece of music.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MusicFormat {
    /// audio/flac, 44.1 kHz stereo 16 bit
    Flac,
    /// audio/wav, 44.1 kHz stereo 16 bit
    Wav,
}

/// A picture to make. Width and height in pixels, 16 to 16384 each, at most 64 megapixels.
#[derive(Debug, Clone)]
pub struct Picture<'a> {
    pub prompt: &'a str,
    pub seed: u64,
    pub width: u32,
    pub height: u32,
    pub format: PictureFormat,
}

/// A silent clip to make. Width and height even, in pixels; `milliseconds` of length.
#[derive(Debug, Clone)]
pub struct Clip<'a> {
    pub prompt: &'a str,
    pub seed: u64,
    pub width: u32,
    pub height: u32,
    pub milliseconds: u32,
}

/// A song to make, `milliseconds` long.
#[derive(Debug, Clone)]
pub struct Song<'a> {
    pub prompt: &'a str,
    pub seed: u64,
    pub milliseconds: u32,
    pub format: MusicFormat,
}

/// Called with the finished share, 0.0 to 1.0; returning `false` stops the render with
/// `RenderError::Unsupported`.
pub type OnProgress<'a> = &'a (dyn Fn(f32) -> bool + Sync);

/// Renders a picture file.
pub fn picture(spec: &Picture<'_>) -> Result<Vec<u8>, RenderError> {
    image_file::render(spec)
}

/// Renders a picture file that shows input pictures; their `Photo` must be of the same size.
pub fn picture_from(spec: &Picture<'_>, photo: &Photo) -> Result<Vec<u8>, RenderError> {
    image_file::render_photo(spec, photo)
}

/// Renders an MP4 file with H.264 video.
pub fn clip(spec: &Clip<'_>, on_progress: OnProgress<'_>) -> Result<Vec<u8>, RenderError> {
    video::render(spec, None, on_progress)
}

/// Renders an MP4 file that moves slowly over input pictures; their `Photo` must be of the same size.
pub fn clip_from(
    spec: &Clip<'_>,
    photo: &Photo,
    on_progress: OnProgress<'_>,
) -> Result<Vec<u8>, RenderError> {
    video::render(spec, Some(photo), on_progress)
}

/// Renders a music file.
pub fn song(spec: &Song<'_>, on_progress: OnProgress<'_>) -> Result<Vec<u8>, RenderError> {
    music::render(spec, on_progress)
}
