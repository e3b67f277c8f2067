//! The files that stand-ins deliver: real ones, made once for each size.
//!
//! Invariant: the same size gives the same bytes. Not here: how they are made (`rynjer-sandbox`).

use bytes::Bytes;
use rynjer_sandbox::{Clip, MusicFormat, Picture, PictureFormat, Song};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

static MADE: Mutex<BTreeMap<(u32, u32, u32), Bytes>> = Mutex::new(BTreeMap::new());

fn kept(shape: (u32, u32, u32), make: impl FnOnce() -> Option<Vec<u8>>) -> Bytes {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    // What can't be made is an empty file, which every client refuses.
    made.entry(shape).or_insert_with(|| Bytes::from(make().unwrap_or_default())).clone()
}

/// A PNG of that size.
#[must_use]
pub fn picture(width: u32, height: u32) -> Bytes {
    let picture = Picture { prompt: "a stand-in", seed: 1, width, height, format: PictureFormat::Png };
    kept((width, height, 0), || rynjer_sandbox::picture(&picture).ok())
}

/// An MP4 of that size and length. Long ones take seconds to make: half a second is enough for a test.
#[must_use]
pub fn clip(width: u32, height: u32, milliseconds: u32) -> Bytes {
    let clip = Clip { prompt: "a stand-in", seed: 1, width, height, milliseconds };
    kept((width, height, milliseconds), || rynjer_sandbox::clip(&clip, &|_| true).ok())
}

/// A piece of music of that length.
#[must_use]
pub fn song(milliseconds: u32) -> Bytes {
    let song = Song { prompt: "a stand-in", seed: 1, milliseconds, format: MusicFormat::Flac };
    kept((0, 0, milliseconds), || rynjer_sandbox::song(&song, &|_| true).ok())
}
