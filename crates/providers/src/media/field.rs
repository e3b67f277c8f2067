//! Reading numbers and parts out of bytes that may end anywhere.
//!
//! Invariant: every read is checked; a position outside the bytes gives `None`. Not here: what the numbers
//! mean.

/// The byte at a position.
pub(super) fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// `N` bytes at a position.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// `length` bytes at a position.
pub(super) fn part(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

/// Two bytes, most significant first.
pub(super) fn be_u16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// Four bytes, most significant first.
pub(super) fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// Eight bytes, most significant first.
pub(super) fn be_u64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}

/// Two bytes, least significant first.
pub(super) fn le_u16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// Four bytes, least significant first.
pub(super) fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// A 32-bit length as a position in memory.
pub(super) fn length(value: u32) -> Option<usize> {
    usize::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stay_inside() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(be_u16(&bytes, 6), Some(0x0708));
        assert_eq!(be_u16(&bytes, 7), None);
        assert_eq!(be_u32(&bytes, 0), Some(0x0102_0304));
        assert_eq!(be_u64(&bytes, 0), Some(0x0102_0304_0506_0708));
        assert_eq!(be_u64(&bytes, 1), None);
        assert_eq!(le_u16(&bytes, 0), Some(0x0201));
        assert_eq!(le_u32(&bytes, 4), Some(0x0807_0605));
        assert_eq!(byte(&bytes, 8), None);
        assert_eq!(part(&bytes, 6, 2), Some(&[7, 8][..]));
        assert_eq!(part(&bytes, usize::MAX, 2), None);
    }
}
