//! A job as a provider sees it, and what becomes of each unit of it.
//!
//! Invariant: a unit is delivered, refused, or lost; there is no fourth. Not here: what a provider answers to
//! a call (`lib`).

use data_encoding::BASE64;
use rynjer_core::catalog::{Mode, Product};

/// One attempt at one task, as a provider sees it.
#[derive(Debug, Clone)]
pub struct Job {
    /// Our id of the attempt; the idempotency key or the look-up nonce upstream.
    pub nonce: String,
    /// Milliseconds since 1970, for providers that plan with time.
    pub now_ms: i64,
    /// The task's time is over, and it is asked for the last time: what is not done now is lost.
    pub is_over: bool,
    pub product: Product,
    pub mode: Mode,
    /// The vendor's id of the model, from the catalog's route; `PROTOCOL:ID` where a vendor has several
    /// shapes of requests.
    pub vendor_model: String,
    pub prompt: String,
    pub negative_prompt: Option<String>,
    pub count: u32,
    /// Pixels; zero for music.
    pub width: u32,
    pub height: u32,
    /// Length in milliseconds; zero for pictures.
    pub duration_ms: u32,
    pub aspect_ratio: Option<String>,
    pub resolution: Option<String>,
    pub seed: u64,
    /// The pictures to start from, in the order of the request.
    pub input_images: Vec<InputImage>,
    /// Who asks, hashed: what a vendor gets as `user` or `safety_identifier`. 32 hex digits.
    pub end_user: String,
    /// Where the vendor may tell that something happened to this attempt; `None` where it can't reach us.
    pub callback_url: Option<String>,
}

impl Job {
    /// Whether it starts from pictures, which need not be at hand.
    #[must_use]
    pub fn has_pictures(&self) -> bool {
        self.mode.takes_images() || !self.input_images.is_empty()
    }
}

/// A picture that a job starts from: fetched, and looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputImage {
    pub bytes: bytes::Bytes,
    /// From its bytes, never from what a server said.
    pub mime: &'static str,
    pub width: u32,
    pub height: u32,
    /// A signed URL of ours, for a vendor that takes URLs; see [`crate::InputForm`].
    pub url: Option<String>,
}

impl InputImage {
    /// How long [`Self::data_url`] is, without making it.
    #[must_use]
    pub fn data_url_bytes(&self) -> usize {
        "data:;base64,".len() + self.mime.len() + BASE64.encode_len(self.bytes.len())
    }

    /// The whole picture as a `data:` URL.
    #[must_use]
    pub fn data_url(&self) -> String {
        format!("data:{};base64,{}", self.mime, BASE64.encode(&self.bytes))
    }
}

/// Where the bytes of an output are.
#[derive(Debug, Clone)]
pub enum OutputSource {
    /// In memory already.
    Bytes(bytes::Bytes),
    /// To be fetched by the guarded client.
    Url(String),
}

/// One asked unit: delivered, or refused with a task error code and a human sentence.
#[derive(Debug, Clone)]
pub enum Unit {
    Delivered(OutputSource),
    Refused {
        error: TaskError,
        message: String,
    },
    /// Nobody knows whether the vendor made it and bills it: never charged, booked as our loss.
    Lost {
        message: String,
    },
}

/// Error codes of a failed task or a missing unit (contract §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskError {
    ContentRejected,
    ProviderFailed,
    TimedOut,
    InputUnreachable,
    InputRejected,
    OutcomeUnknown,
}

impl TaskError {
    /// Every code.
    pub const ALL: [Self; 6] = [
        Self::ContentRejected,
        Self::ProviderFailed,
        Self::TimedOut,
        Self::InputUnreachable,
        Self::InputRejected,
        Self::OutcomeUnknown,
    ];

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::ContentRejected => "content_rejected",
            Self::ProviderFailed => "provider_failed",
            Self::TimedOut => "timed_out",
            Self::InputUnreachable => "input_unreachable",
            Self::InputRejected => "input_rejected",
            Self::OutcomeUnknown => "outcome_unknown",
        }
    }
}
