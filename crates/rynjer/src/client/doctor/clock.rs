//! How far this machine's clock is from the gateway's.
//!
//! Invariant: a header that is no date says nothing. Not here: what the window is (`core::signature`).

use rynjer_core::{
    signature::{MAX_TIMESTAMP_AGE_S, MAX_TIMESTAMP_LEAD_S},
    time::DAY_MS,
};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Unix seconds of a header `Date`, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn unix_seconds(date: &str) -> Option<i64> {
    let mut words = date.strip_suffix(" GMT")?.split(' ').skip(1);
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = i64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()? + 1;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    let mut parts = time.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    // Days by counting months from March, so that a leap day is the last of its year.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * (DAY_MS / 1000) + hour * 3600 + minute * 60 + second)
}

/// The sentence about a clock that signed requests would be refused for; none if it is near enough.
pub(super) fn fault(ours_s: i64, theirs_s: i64) -> Option<String> {
    let ahead_s = ours_s - theirs_s;
    if (-MAX_TIMESTAMP_AGE_S..=MAX_TIMESTAMP_LEAD_S).contains(&ahead_s) {
        return None;
    }
    let side = if ahead_s > 0 { "ahead of" } else { "behind" };
    Some(format!("this machine's clock is {} s {side} the gateway's", ahead_s.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_headers() {
        assert_eq!(unix_seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(unix_seconds("Thu, 29 Feb 2024 12:34:56 GMT"), Some(1_709_210_096));
        assert_eq!(unix_seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert!(["", "yesterday", "Sun, 06 Foo 1994 08:49:37 GMT"].iter().all(|t| unix_seconds(t).is_none()));
    }

    #[test]
    fn the_window_is_that_of_signatures() {
        assert_eq!([fault(60, 0), fault(-300, 0)], [None, None]);
        assert_eq!(fault(61, 0).unwrap(), "this machine's clock is 61 s ahead of the gateway's");
        assert_eq!(fault(-301, 0).unwrap(), "this machine's clock is 301 s behind the gateway's");
    }
}
