//! What time it is at a vendor.
//!
//! Invariant: it is real time, as at a vendor, unless a test says otherwise (`World::set_now_ms`). Not here:
//! waiting.

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [(&str, i64); 12] = [
    ("Jan", 31),
    ("Feb", 28),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];

/// Milliseconds since 1970, of a whole second.
pub(crate) fn now_ms() -> i64 {
    let seconds = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap_or(i64::MAX);
    seconds.saturating_mul(1000)
}

/// The same as servers write it, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn http_date(now_ms: i64) -> String {
    let in_s = now_ms.div_euclid(1000);
    let (days, of_day_s) = (in_s.div_euclid(86_400), in_s.rem_euclid(86_400));
    let (mut year, mut day) = (1970, days);
    let length = |year: i64| if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 };
    while day >= length(year) {
        day -= length(year);
        year += 1;
    }
    let february = length(year) - 337;
    let mut month = "Dec";
    for (name, days) in MONTHS {
        let days = if name == "Feb" { february } else { days };
        if day < days {
            month = name;
            break;
        }
        day -= days;
    }
    let weekday = usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0);
    let (hour, minute, second) = (of_day_s / 3600, of_day_s / 60 % 60, of_day_s % 60);
    format!("{}, {:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT", WEEKDAYS[weekday], day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (now_ms, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (1_709_210_096_000, "Thu, 29 Feb 2024 12:34:56 GMT"),
            (1_735_689_599_000, "Tue, 31 Dec 2024 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(now_ms), text);
        }
    }
}
