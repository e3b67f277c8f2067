//! A film while it arrives: whether its boxes can still end within what is allowed.
//!
//! Invariant: what is told is only what the whole file would be refused for too. Not here: what the boxes
//! hold (`mp4`).

use super::{
    MediaError,
    field::{Source, View},
};
use crate::Length;

/// The outermost boxes of a film, as far as they came.
#[derive(Debug)]
pub struct Outline {
    /// Where the next box begins; none once they can't be followed any more.
    next_at: Option<u64>,
    length: Length,
}

impl Outline {
    /// Of a film that has, or may have, so many bytes.
    #[must_use]
    pub fn new(length: Length) -> Self {
        Self { next_at: Some(0), length }
    }

    /// What is wrong with a film one of whose boxes ends there, if anything is.
    fn check(&self, end: u64) -> Result<(), MediaError> {
        let Length { max_bytes, is_declared } = self.length;
        match (end > max_bytes, is_declared) {
            (false, _) => Ok(()),
            (true, true) => Err(MediaError::Broken { format: "MP4", problem: "a box is cut off" }),
            (true, false) => Err(MediaError::TooManyBytes { bytes: end, max_bytes }),
        }
    }

    /// Looks at the bytes from `start` on. What was looked at may be shown again.
    ///
    /// # Errors
    ///
    /// The film is not whole, or has more bytes than it may, whatever follows.
    pub fn see(&mut self, start: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let source: &dyn Source = &bytes;
        let view = View::of(source);
        while let Some(next_at) = self.next_at {
            // The beginning of a box that went by unseen is no fault of the film's.
            let Some(at) = next_at.checked_sub(start) else {
                self.next_at = None;
                break;
            };
            let Some(size) = view.be_u32(at) else { break };
            let bytes = match size {
                // Up to the end of the file, wherever that is.
                0 => {
                    self.next_at = None;
                    break;
                }
                1 => match view.be_u64(at + 8) {
                    Some(bytes) => bytes,
                    None => break,
                },
                size => u64::from(size),
            };
            if bytes < 8 {
                return Err(MediaError::Broken { format: "MP4", problem: "a box is cut off" });
            }
            let end = next_at.saturating_add(bytes);
            self.check(end)?;
            self.next_at = Some(end);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::mp4::tests::{fragmented_mp4, small_mp4};

    /// Shows a film in pieces, of which each is shown with what came before it.
    fn see(film: &[u8], piece: usize, max_bytes: u64) -> Result<(), MediaError> {
        let mut outline = Outline::new(Length { max_bytes, is_declared: false });
        (0..=film.len()).step_by(piece).try_for_each(|end| outline.see(0, &film[..end]))
    }

    #[test]
    fn a_whole_film_passes_in_any_pieces() {
        for film in [small_mp4(), fragmented_mp4()] {
            let bytes = u64::try_from(film.len()).unwrap();
            for piece in 1..40 {
                assert_eq!(see(&film, piece, bytes), Ok(()), "{piece}");
            }
            let refused = MediaError::TooManyBytes { bytes, max_bytes: bytes - 1 };
            assert_eq!(see(&film, 7, bytes - 1), Err(refused));
        }
    }

    #[test]
    fn what_never_ends_is_known_by_its_beginning() {
        let begin = &small_mp4()[..28];
        let at = |tail: &[u8]| see(&[begin, tail].concat(), 1, 1 << 29);
        let too_many = |bytes| Err(MediaError::TooManyBytes { bytes, max_bytes: 1 << 29 });
        assert_eq!(at(b"AAAA"), too_many(28 + 0x4141_4141));
        assert_eq!(at(b"\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff"), too_many(u64::MAX));
        assert!(at(b"\0\0\0\x05mdat").is_err());
        assert_eq!(at(b"\0\0\0\0mdatAAAAAAAAAAAA"), Ok(()));
    }

    #[test]
    fn a_box_beyond_the_declared_end_is_cut_off() {
        let film = small_mp4();
        let bytes = u64::try_from(film.len()).unwrap();
        let declared = |max_bytes| Outline::new(Length { max_bytes, is_declared: true }).see(0, &film);
        assert_eq!(declared(bytes), Ok(()));
        let cut_off = MediaError::Broken { format: "MP4", problem: "a box is cut off" };
        assert_eq!(declared(bytes - 1), Err(cut_off));
    }

    #[test]
    fn a_box_that_begins_unseen_is_passed_over() {
        let mut outline = Outline::new(Length { max_bytes: 1_000, is_declared: false });
        assert_eq!(outline.see(0, &small_mp4()[..30]), Ok(()));
        assert_eq!(outline.see(1_000, b"AAAAAAAA"), Ok(()));
    }
}
