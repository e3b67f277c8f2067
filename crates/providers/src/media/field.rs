//! Reading numbers and parts out of bytes that may end anywhere, in memory or in a file.
//!
//! Invariant: every read is checked, a position outside the bytes gives `None`, and of a file no more than
//! one page is in memory. Not here: what the numbers mean.

use std::{
    cell::RefCell,
    io::{Read, Seek, SeekFrom},
};

/// How much of a file is in memory at once.
const PAGE_BYTES: u64 = 64 << 10;

/// A file that can be read anywhere.
pub trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// Bytes that can be looked at anywhere.
pub(super) trait Source {
    fn bytes(&self) -> u64;
    /// Shows what is at hand from a position on: at least one byte, unless there is none.
    fn show(&self, at: u64, to: &mut dyn FnMut(&[u8]));
}

impl Source for &[u8] {
    fn bytes(&self) -> u64 {
        u64::try_from(self.len()).unwrap_or(u64::MAX)
    }

    fn show(&self, at: u64, to: &mut dyn FnMut(&[u8])) {
        to(usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default());
    }
}

/// A file, of which the page that was asked for last is in memory.
pub(super) struct Paged<'a> {
    bytes: u64,
    page: RefCell<Page<'a>>,
}

struct Page<'a> {
    file: &'a mut dyn ReadSeek,
    start: u64,
    held: Vec<u8>,
    failed: bool,
}

impl<'a> Paged<'a> {
    /// `None` if the file can't be read.
    pub(super) fn new(file: &'a mut dyn ReadSeek) -> Option<Self> {
        let bytes = file.seek(SeekFrom::End(0)).ok()?;
        let page = RefCell::new(Page { file, start: 0, held: Vec::new(), failed: false });
        Some(Self { bytes, page })
    }

    /// Whether some of it could not be read, so that what was found says nothing.
    pub(super) fn failed(&self) -> bool {
        self.page.borrow().failed
    }
}

impl Source for Paged<'_> {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn show(&self, at: u64, to: &mut dyn FnMut(&[u8])) {
        let mut page = self.page.borrow_mut();
        if page.rest(at).is_empty() && at < self.bytes && page.load(at).is_none() {
            page.failed = true;
            page.held.clear();
        }
        to(page.rest(at));
    }
}

impl Page<'_> {
    fn rest(&self, at: u64) -> &[u8] {
        let offset = at.checked_sub(self.start).and_then(|offset| usize::try_from(offset).ok());
        offset.and_then(|offset| self.held.get(offset..)).unwrap_or_default()
    }

    fn load(&mut self, at: u64) -> Option<()> {
        self.held.clear();
        self.start = at;
        self.file.seek(SeekFrom::Start(at)).ok()?;
        let read = (&mut *self.file).take(PAGE_BYTES).read_to_end(&mut self.held).ok()?;
        (read > 0).then_some(())
    }
}

/// A part of a source.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    source: &'a dyn Source,
    start: u64,
    bytes: u64,
}

impl<'a> View<'a> {
    /// All of it.
    pub(super) fn of(source: &'a dyn Source) -> Self {
        Self { source, start: 0, bytes: source.bytes() }
    }

    /// How many bytes there are.
    pub(super) fn bytes(self) -> u64 {
        self.bytes
    }

    pub(super) fn is_empty(self) -> bool {
        self.bytes == 0
    }

    /// What is behind a position; `None` beyond the end.
    pub(super) fn rest(self, at: u64) -> Option<Self> {
        let bytes = self.bytes.checked_sub(at)?;
        Some(Self { start: self.start + at, bytes, ..self })
    }

    /// `bytes` bytes at a position.
    pub(super) fn part(self, at: u64, bytes: u64) -> Option<Self> {
        let rest = self.rest(at)?;
        (bytes <= rest.bytes).then_some(Self { bytes, ..rest })
    }

    /// Shows everything, piece by piece, until `to` has had enough.
    pub(super) fn each(self, mut to: impl FnMut(&[u8]) -> bool) {
        let mut left = self.bytes;
        let mut goes_on = true;
        while goes_on && left > 0 {
            let mut seen = 0;
            self.source.show(self.start + (self.bytes - left), &mut |piece| {
                let most = usize::try_from(left).unwrap_or(usize::MAX);
                let piece = piece.get(..most).unwrap_or(piece);
                seen = u64::try_from(piece.len()).unwrap_or(left);
                goes_on = seen > 0 && to(piece);
            });
            left = left.saturating_sub(seen);
        }
    }

    /// The first byte that passes a test.
    pub(super) fn position(self, mut test: impl FnMut(u8) -> bool) -> Option<u64> {
        let (mut passed, mut found) = (0, None);
        self.each(|piece| {
            let at = piece.iter().position(|byte| test(*byte)).and_then(|at| u64::try_from(at).ok());
            found = at.map(|at| passed + at);
            passed += u64::try_from(piece.len()).unwrap_or(0);
            found.is_none()
        });
        found
    }

    /// Whether all of it is zeros.
    pub(super) fn is_zero(self) -> bool {
        self.position(|byte| byte != 0).is_none()
    }

    /// Whether a tag stands at a position.
    pub(super) fn has(self, at: u64, tag: &[u8]) -> bool {
        let Some(part) = u64::try_from(tag.len()).ok().and_then(|bytes| self.part(at, bytes)) else {
            return false;
        };
        let mut rest = tag;
        part.each(|piece| rest.strip_prefix(piece).map(|left| rest = left).is_some());
        rest.is_empty()
    }

    /// The byte at a position.
    pub(super) fn byte(self, at: u64) -> Option<u8> {
        self.array::<1>(at).map(|[byte]| byte)
    }

    /// `N` bytes at a position.
    pub(super) fn array<const N: usize>(self, at: u64) -> Option<[u8; N]> {
        let part = self.part(at, u64::try_from(N).ok()?)?;
        let mut array = [0; N];
        let mut filled = 0;
        part.each(|piece| {
            let room = array.get_mut(filled..filled + piece.len());
            filled += piece.len();
            room.map(|room| room.copy_from_slice(piece)).is_some()
        });
        (filled == N).then_some(array)
    }

    /// Two bytes, most significant first.
    pub(super) fn be_u16(self, at: u64) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    /// Four bytes, most significant first.
    pub(super) fn be_u32(self, at: u64) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    /// Eight bytes, most significant first.
    pub(super) fn be_u64(self, at: u64) -> Option<u64> {
        self.array(at).map(u64::from_be_bytes)
    }

    /// Two bytes, least significant first.
    pub(super) fn le_u16(self, at: u64) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    /// Four bytes, least significant first.
    pub(super) fn le_u32(self, at: u64) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn check(view: View<'_>) {
        assert_eq!(view.be_u16(6), Some(0x0708));
        assert_eq!(view.be_u16(7), None);
        assert_eq!(view.be_u32(0), Some(0x0102_0304));
        assert_eq!(view.be_u64(0), Some(0x0102_0304_0506_0708));
        assert_eq!(view.be_u64(1), None);
        assert_eq!(view.le_u16(0), Some(0x0201));
        assert_eq!(view.le_u32(4), Some(0x0807_0605));
        assert_eq!(view.byte(8), None);
        assert_eq!(view.byte(u64::MAX), None);
        assert_eq!(view.part(6, 2).and_then(|part| part.array(0)), Some([7, 8]));
        assert_eq!(view.part(6, 2).and_then(|part| part.byte(2)), None);
        assert!(view.part(u64::MAX, 2).is_none() && view.part(2, u64::MAX).is_none());
        assert_eq!(view.position(|byte| byte > 4), Some(4));
        assert_eq!(view.position(|byte| byte > 8), None);
        assert!(view.has(2, &[3, 4]) && !view.has(2, &[3, 5]) && !view.has(7, &[8, 9]));
        assert!(!view.is_zero() && view.rest(8).is_some_and(View::is_zero));
    }

    #[test]
    fn reads_stay_inside() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        check(View::of(&&bytes[..]));
        let mut file = Cursor::new(bytes);
        check(View::of(&Paged::new(&mut file).unwrap()));
    }

    #[test]
    fn a_file_is_read_across_its_pages() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
        let mut file = Cursor::new(&bytes);
        let paged = Paged::new(&mut file).unwrap();
        let view = View::of(&paged);
        for number in [0, 16_383, 16_384, 199_999, 5] {
            assert_eq!(view.be_u32(u64::from(number) * 4), Some(number));
            assert!(view.has(u64::from(number) * 4, &number.to_be_bytes()));
        }
        // Over the edge of the page that the last read left.
        assert_eq!(view.byte(0), Some(0));
        assert_eq!(view.be_u32(PAGE_BYTES - 2), Some(0x3fff_0000));
        let (mut seen, mut largest) = (Vec::new(), 0);
        view.each(|piece| {
            seen.extend_from_slice(piece);
            largest = largest.max(piece.len());
            true
        });
        assert!(seen == bytes && largest <= usize::try_from(PAGE_BYTES).unwrap());
        assert!(!paged.failed());
    }
}
