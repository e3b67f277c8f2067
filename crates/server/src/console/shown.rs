//! How times, credits and names are written on pages.
//!
//! Invariant: one form for each kind of thing, on all pages. Not here: HTML.

use rynjer_core::time::{DAY_MS, rfc3339};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Credits with thin groups of three digits: `12 500`.
pub(super) fn credits(amount: i64) -> String {
    let digits = amount.unsigned_abs().to_string();
    let mut text = if amount < 0 { "−".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 task`, `1 200 tasks`.
pub(super) fn count(number: i64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", credits(number))
}

/// A time as people compare it: `2026-11-24 01:15`, in UTC.
pub(super) fn minute(at_ms: i64) -> String {
    let text = rfc3339(at_ms);
    text.get(..16).unwrap_or(&text).replacen('T', " ", 1)
}

/// A day: `2026-11-24`.
pub(super) fn day(at_ms: i64) -> String {
    let text = rfc3339(at_ms);
    text.get(..10).unwrap_or(&text).to_owned()
}

/// A time to the second, for what happens within a minute: `2026-11-24 01:15:07`.
pub(super) fn second(at_ms: i64) -> String {
    let text = rfc3339(at_ms);
    text.get(..19).unwrap_or(&text).replacen('T', " ", 1)
}

/// How long something took: `0.3 s`, `12 s`, `4 min 5 s`, `2 h 10 min`.
pub(super) fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    match ms {
        ..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        10_000..MINUTE_MS => format!("{} s", ms / 1000),
        MINUTE_MS..HOUR_MS => format!("{} min {} s", ms / MINUTE_MS, ms % MINUTE_MS / 1000),
        HOUR_MS.. => format!("{} h {} min", ms / HOUR_MS, ms % HOUR_MS / MINUTE_MS),
    }
}

/// Text of others with the characters named that could hide or turn what is around them. Joiners stay: many
/// scripts and emoji need them.
pub(super) fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => seen.push(letter),
            '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' => seen.push_str(&format!("[U+{:04X}]", u32::from(letter))),
            control if control.is_control() => seen.push_str(&format!("[U+{:04X}]", u32::from(control))),
            letter => seen.push(letter),
        }
    }
    seen
}

/// The beginning of a long text, on one line.
pub(super) fn beginning(text: &str, letters_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut beginning: String = line.chars().take(letters_max).collect();
    if beginning.len() < line.len() {
        beginning.push('…');
    }
    visible(&beginning)
}

/// How long ago, or from now: `3 minutes ago`, `in 2 days`.
pub(super) fn ago(at_ms: i64, now_ms: i64) -> String {
    let distance_ms = (now_ms - at_ms).abs();
    let (number, unit) = match distance_ms {
        ..MINUTE_MS => return if at_ms <= now_ms { "just now".to_owned() } else { "in a moment".to_owned() },
        MINUTE_MS..HOUR_MS => (distance_ms / MINUTE_MS, "minute"),
        HOUR_MS..DAY_MS => (distance_ms / HOUR_MS, "hour"),
        DAY_MS.. => (distance_ms / DAY_MS, "day"),
    };
    let plural = if number == 1 { "" } else { "s" };
    if at_ms <= now_ms {
        format!("{number} {unit}{plural} ago")
    } else {
        format!("in {number} {unit}{plural}")
    }
}

/// The first and last characters of a long name.
pub(super) fn short(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= 16 {
        return text.to_owned();
    }
    let head: String = letters[..8].iter().collect();
    let tail: String = letters[letters.len() - 4..].iter().collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let group = |amount| credits(amount).replace('\u{202f}', " ");
        assert_eq!(
            [0, 7, 999, 1000, 1_234_567, -12_500].map(group),
            ["0", "7", "999", "1 000", "1 234 567", "−12 500"]
        );
        let now_ms = 1_742_291_400_000;
        assert_eq!(minute(now_ms), "2025-03-18 09:50");
        assert_eq!(day(now_ms), "2025-03-18");
        let rows = [
            (0, "just now"),
            (59_999, "just now"),
            (60_000, "1 minute ago"),
            (3_600_000, "1 hour ago"),
            (2 * DAY_MS, "2 days ago"),
            (-1, "in a moment"),
            (-7_200_000, "in 2 hours"),
        ];
        for (back_ms, text) in rows {
            assert_eq!(ago(now_ms - back_ms, now_ms), text);
        }
        assert_eq!(short("agt_06egn8yc0hs5fc4pkp2kezx3y4"), "agt_06eg…x3y4");
        assert_eq!(short("nano-banana"), "nano-banana");
        assert_eq!(second(now_ms), "2025-03-18 09:50:00");
        let durations = [0, 340, 9_999, 12_000, 245_000, 7_800_000].map(duration);
        assert_eq!(durations, ["0.0 s", "0.3 s", "9.9 s", "12 s", "4 min 5 s", "2 h 10 min"]);
        assert_eq!(visible("a\u{202e}b\u{200b}c\n\u{200d}"), "a[U+202E]b[U+200B]c\n\u{200d}");
        assert_eq!(beginning("a  b\ncd", 3), "a b…");
    }
}
