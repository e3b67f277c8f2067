//! Names of sizes and shapes turned into pixels.
//!
//! Invariant: the shorter side is exactly what the resolution says, the longer one a multiple of 16 unless
//! the picture is square. Not here: which sizes a model offers.

/// Longest shorter side that a resolution may name.
const SHORT_SIDE_MAX: u32 = 8192;
/// The most that one side may be of the other.
const STRETCH_MAX: u32 = 8;

/// The shorter side that a resolution names: `2K` is 2 × 1024, `720p` is 720.
#[must_use]
pub fn short_side(resolution: &str) -> Option<u32> {
    let (number, factor) = match resolution.strip_suffix('K') {
        Some(number) => (number, 1024),
        None => (resolution.strip_suffix('p')?, 1),
    };
    let plain = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
    let side = number.parse::<u32>().ok().filter(|_| plain)?.checked_mul(factor)?;
    (side >= 16 && side.is_multiple_of(2) && side <= SHORT_SIDE_MAX).then_some(side)
}

/// A shape such as `16:9` or `1.91:1`: two sides in the same unit, hundredths where it was read from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AspectRatio {
    width: u32,
    height: u32,
}

impl AspectRatio {
    /// Reads `W:H`; each side has up to three digits and two places, neither is more than 8 times the other.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (width, height) = text.split_once(':')?;
        let (width, height) = (hundredths(width)?, hundredths(height)?);
        let fits = width <= height * STRETCH_MAX && height <= width * STRETCH_MAX;
        fits.then_some(Self { width, height })
    }

    /// The shape of a size in pixels, if neither side is more than 8 times the other.
    #[must_use]
    pub fn of_pixels(width: u32, height: u32) -> Option<Self> {
        let fits = |one: u32, other: u32| one > 0 && one <= other.saturating_mul(STRETCH_MAX);
        (fits(width, height) && fits(height, width)).then_some(Self { width, height })
    }

    /// How far this shape is from another, in hundredths of a percent of the other.
    #[must_use]
    pub fn apart(self, other: Self) -> u64 {
        let ours = u64::from(self.width) * u64::from(other.height);
        let theirs = u64::from(other.width) * u64::from(self.height);
        ours.abs_diff(theirs) * 10_000 / theirs.max(1)
    }

    /// Width and height in pixels when the shorter side has `short_side`.
    #[must_use]
    pub fn pixels(self, short_side: u32) -> (u32, u32) {
        let (less, more) = (self.width.min(self.height), self.width.max(self.height));
        if less == more {
            return (short_side, short_side);
        }
        // Nearest multiple of 16, halves up; in 64 bits nothing overflows.
        let sixteenths = u64::from(short_side) * u64::from(more);
        let step = 16 * u64::from(less);
        let long_side = u32::try_from((2 * sixteenths + step) / (2 * step) * 16).unwrap_or(u32::MAX);
        if self.width > self.height { (long_side, short_side) } else { (short_side, long_side) }
    }
}

fn hundredths(text: &str) -> Option<u32> {
    let (whole, places) = text.split_once('.').map_or((text, None), |(whole, places)| (whole, Some(places)));
    let digits =
        |part: &str, most| !part.is_empty() && part.len() <= most && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, 3) || whole.starts_with('0') || !places.is_none_or(|places| digits(places, 2)) {
        return None;
    }
    format!("{whole}{:0<2}", places.unwrap_or("")).parse().ok()
}

/// A length as text: `5` or `5s`, whole seconds from 1.
#[must_use]
pub fn parse_duration_text(text: &str) -> Option<u32> {
    let number = text.strip_suffix('s').unwrap_or(text);
    let plain = !number.is_empty() && number.len() <= 6 && number.bytes().all(|b| b.is_ascii_digit());
    number.parse().ok().filter(|seconds| plain && *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(resolution: &str, ratio: &str) -> (u32, u32) {
        AspectRatio::parse(ratio).unwrap().pixels(short_side(resolution).unwrap())
    }

    #[test]
    fn every_ratio_at_every_resolution() {
        // Longer side over shorter side; the mirrored ratio must give the mirrored size.
        let table = [
            ("1:1", [1024, 2048, 4096, 720, 1080]),
            ("5:4", [1280, 2560, 5120, 896, 1344]),
            ("4:3", [1360, 2736, 5456, 960, 1440]),
            ("3:2", [1536, 3072, 6144, 1088, 1616]),
            ("16:9", [1824, 3648, 7280, 1280, 1920]),
            ("1.91:1", [1952, 3904, 7824, 1376, 2064]),
            ("21:9", [2384, 4784, 9552, 1680, 2528]),
        ];
        let resolutions = [("1K", 1024), ("2K", 2048), ("4K", 4096), ("720p", 720), ("1080p", 1080)];
        for (ratio, long_sides) in table {
            let (wide, high) = ratio.split_once(':').unwrap();
            for ((resolution, short), long) in resolutions.into_iter().zip(long_sides) {
                assert_eq!(size(resolution, ratio), (long, short), "{resolution} {ratio}");
                assert_eq!(
                    size(resolution, &format!("{high}:{wide}")),
                    (short, long),
                    "{resolution} {high}:{wide}"
                );
                assert!(long.is_multiple_of(2) && (long.is_multiple_of(16) || long == short));
                let exact = f64::from(short) * wide.parse::<f64>().unwrap() / high.parse::<f64>().unwrap();
                assert!(
                    (exact - f64::from(long)).abs() <= 8.0,
                    "{resolution} {ratio}: {exact} became {long}"
                );
            }
        }
    }

    #[test]
    fn names_of_sizes_and_shapes_are_strict() {
        assert_eq!(short_side("8K"), Some(8192));
        assert_eq!(short_side("480p"), Some(480));
        for bad in [
            "",
            "K",
            "p",
            "1k",
            "720P",
            "720",
            "0K",
            "01K",
            "+1K",
            "9K",
            "4294967296p",
            "721p",
            "8p",
            "4194304K",
        ] {
            assert_eq!(short_side(bad), None, "{bad}");
        }
        assert_eq!(AspectRatio::parse("1.9:1"), AspectRatio::parse("1.90:1"));
        for bad in [
            "", ":", "16", "16x9", "16:", ":9", "0:1", "1:0", "-1:1", "16:9:1", " 16:9", "9:1", "1:9",
            "1.:1", "1.234:1", "1000:999", "0.5:1", "16/9", "auto",
        ] {
            assert_eq!(AspectRatio::parse(bad), None, "{bad}");
        }
        assert_eq!(AspectRatio::parse("8:1").map(|ratio| ratio.pixels(1024)), Some((8192, 1024)));
    }

    #[test]
    fn shapes_are_near_or_far() {
        let apart = |one, other| AspectRatio::parse(one).unwrap().apart(AspectRatio::parse(other).unwrap());
        for (one, other, expected) in [
            ("1:1", "1:1", 0),
            ("4:2", "2:1", 0),
            ("16:9", "1.91:1", 692),
            ("1.91:1", "16:9", 743),
            ("1.9:1", "1.91:1", 52),
            ("9:16", "16:9", 6835),
        ] {
            assert_eq!(apart(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn lengths_as_text() {
        let good = [("5", 5), ("5s", 5), ("10", 10), ("015", 15), ("120s", 120)];
        for (text, seconds) in good {
            assert_eq!(parse_duration_text(text), Some(seconds), "{text}");
        }
        for bad in ["", "s", "0", "0s", "5 s", "5sec", "5.0", "-5", "+5", "5ss", "1e1", "1000000", "5S", "٥"]
        {
            assert_eq!(parse_duration_text(bad), None, "{bad}");
        }
    }
}
