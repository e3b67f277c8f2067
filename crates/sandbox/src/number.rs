//! The few narrowing conversions that rendering needs, each with its range stated.
//!
//! Invariant: no conversion here can panic, whatever the input, NaN included. Not here: any maths.

/// Nearest byte of a value already inside 0.0 to 255.0. Uses the float's own mantissa, which vectorises.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "only the lowest eight bits are wanted")]
pub(crate) fn byte(value: f32) -> u8 {
    (value.clamp(0.0, 255.0) + 8_388_608.0).to_bits() as u8
}

/// Index below or at a value; negative values give 0.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates at 0 and at the largest index"
)]
pub(crate) fn index(value: f32) -> usize {
    value as usize
}

/// The whole number below or at a value. The library's floor is a call on older processors.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and coordinates stay far below")]
pub(crate) fn floor(value: f32) -> i32 {
    let whole = value as i32;
    if (whole as f32) > value { whole - 1 } else { whole }
}

/// The same bits as an unsigned number, for hashing.
#[inline(always)]
pub(crate) fn bits(value: i32) -> u32 {
    value.cast_unsigned()
}

/// The upper half of a 64-bit hash.
#[inline(always)]
pub(crate) fn upper_half(value: u64) -> u32 {
    (value >> 32) as u32
}

/// A sample from -1.0 to 1.0 as a 16-bit number.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the value is clamped to 16 bits first")]
pub(crate) fn sample(value: f32) -> i16 {
    (value * 32_767.0).round().clamp(-32_767.0, 32_767.0) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_round_and_saturate() {
        assert_eq!((byte(-3.0), byte(0.4), byte(127.6), byte(300.0)), (0, 0, 128, 255));
        assert_eq!((index(-1.0), index(2.9), index(f32::NAN)), (0, 2, 0));
        assert_eq!((floor(-0.5), floor(1.5), floor(-2.0)), (-1, 1, -2));
        assert_eq!((sample(2.0), sample(-1.0), sample(0.0)), (32_767, -32_767, 0));
    }
}
