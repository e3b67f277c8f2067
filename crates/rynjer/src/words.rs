//! Numbers as people write them.
//!
//! Invariant: credits are never rounded; sizes and times may be. Not here: numbers in JSON, which stay
//! numbers.

use std::time::Duration;

/// A whole number with commas.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// An amount of credits with its unit.
pub(crate) fn credits(number: i64) -> String {
    if number == 1 { "1 credit".to_owned() } else { format!("{} credits", grouped(number)) }
}

/// A count with its noun.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A size of a file, with one digit after the point.
pub(crate) fn size(bytes: u64) -> String {
    for (unit, factor) in [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)] {
        if bytes >= factor {
            return format!("{}.{} {unit}", bytes / factor, bytes % factor * 10 / factor);
        }
    }
    format!("{bytes} B")
}

/// A time that something took.
pub(crate) fn took(time: Duration) -> String {
    let ms = time.as_millis();
    if ms < 10_000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1000, ms % 1000 / 100) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1000, -1_234_567].map(grouped), ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!([1, 20].map(credits), ["1 credit", "20 credits"]);
        assert_eq!([999, 1000, 1_250_000, 2_990_000_000].map(size), ["999 B", "1.0 kB", "1.2 MB", "2.9 GB"]);
        assert_eq!(
            [7, 9_999, 12_345].map(|ms| took(Duration::from_millis(ms))),
            ["7 ms", "9999 ms", "12.3 s"]
        );
        assert_eq!(count(1, "key", "keys"), "1 key");
    }
}
