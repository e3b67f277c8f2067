//! The UTC calendar over integer milliseconds: RFC 3339 text, and the edges of days and months.
//!
//! Invariant: pure arithmetic on the proleptic Gregorian calendar (algorithm after Howard Hinnant's
//! "chrono-compatible low-level date algorithms"). Not here: the clock.

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// Year, month 1–12 and day 1–31 of a number of days since 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01 of the first of a month.
fn days_of_month_start(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The first millisecond of the UTC day.
#[must_use]
pub fn day_start_ms(now_ms: i64) -> i64 {
    now_ms.div_euclid(DAY_MS) * DAY_MS
}

/// The first millisecond of the UTC month.
#[must_use]
pub fn month_start_ms(now_ms: i64) -> i64 {
    let (year, month, _) = civil_from_days(now_ms.div_euclid(DAY_MS));
    days_of_month_start(year, month) * DAY_MS
}

/// The first millisecond of the UTC month after.
#[must_use]
pub fn next_month_start_ms(now_ms: i64) -> i64 {
    let (year, month, _) = civil_from_days(now_ms.div_euclid(DAY_MS));
    let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_of_month_start(year, month) * DAY_MS
}

/// RFC 3339 text in UTC with milliseconds, such as `2026-11-23T12:00:00.000Z`.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    let (year, month, day) = civil_from_days(ms.div_euclid(DAY_MS));
    let of_day = ms.rem_euclid(DAY_MS);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
    if !(0..=9999).contains(&year) {
        return format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z");
    }
    let mut text = String::with_capacity(24);
    for (number, digits, after) in [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (hour, 2, ':'),
        (minute, 2, ':'),
        (second, 2, '.'),
        (milli, 3, 'Z'),
    ] {
        push_digits(&mut text, number, digits);
        text.push(after);
    }
    text
}

/// Writes a number with leading zeros; many times as fast as the formatter, and each answer has such times.
fn push_digits(text: &mut String, number: i64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = number / 10_i64.pow(place) % 10;
        text.push(u32::try_from(digit).ok().and_then(|digit| char::from_digit(digit, 10)).unwrap_or('0'));
    }
}

/// Milliseconds since 1970 of a time as people and programs write it: unix seconds, a date (its first moment
/// in UTC) or RFC 3339. A space stands for the `+` of an offset, which a query string turns into one.
#[must_use]
pub fn parse_ms(text: &str) -> Option<i64> {
    if (1..=11).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<i64>().ok()?.checked_mul(1000);
    }
    let day_ms = parse_date(text.get(..10)?)?;
    let Some(time) = text.get(10..).filter(|rest| !rest.is_empty()) else { return Some(day_ms) };
    let time = time.strip_prefix(['T', 't', ' '])?;
    let (hour, minute) = (digits(time.get(..2)?)?, digits(after_colon(time.get(2..5)?)?)?);
    let second = digits(after_colon(time.get(5..8)?)?)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction_ms, zone) = parse_fraction(time.get(8..)?)?;
    let of_day_ms = (hour * 3600 + minute * 60 + second) * 1000 + fraction_ms;
    Some(day_ms + of_day_ms - parse_offset(zone)? * 60_000)
}

/// Milliseconds since 1970 of a time as servers write it, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
#[must_use]
pub fn parse_http_ms(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.trim().split(' ').skip(1);
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if words.next() != Some("GMT") || words.next().is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    parse_ms(&format!("{year}-{month:02}-{day}T{time}Z"))
}

fn after_colon(text: &str) -> Option<&str> {
    text.strip_prefix(':')
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    let (year, month, day) = (digits(year)?, digits(month)?, digits(day)?);
    if !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    let days = days_of_month_start(year, month) + day - 1;
    (civil_from_days(days) == (year, month, day)).then_some(days * DAY_MS)
}

/// Milliseconds of `.123456`, and what comes after it.
fn parse_fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let first = rest.get(..length.min(3)).filter(|first| !first.is_empty())?;
    Some((format!("{first:0<3}").parse().ok()?, rest.get(length..)?))
}

/// Minutes of `Z`, `+02:00`.
fn parse_offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix(['+', ' '])?),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) =
        ((hours.len() == 2).then(|| digits(hours))??, (minutes.len() == 2).then(|| digits(minutes))??);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let rows = [
            ("0", Some(0)),
            ("1709210096", Some(1_709_210_096_000)),
            ("2024-02-29", Some(1_709_164_800_000)),
            ("2024-02-29T12:34:56Z", Some(1_709_210_096_000)),
            ("2024-02-29t12:34:56.789z", Some(1_709_210_096_789)),
            ("2024-02-29 12:34:56.7Z", Some(1_709_210_096_700)),
            ("2024-02-29T12:34:56.789999Z", Some(1_709_210_096_789)),
            ("2024-02-29T14:34:56+02:00", Some(1_709_210_096_000)),
            ("2024-02-29T14:34:56 02:00", Some(1_709_210_096_000)),
            ("2024-02-29T07:04:56-05:30", Some(1_709_210_096_000)),
            ("", None),
            ("-1", None),
            ("170921009600000", None),
            ("2023-02-29", None),
            ("2024-13-01", None),
            ("2024-2-29", None),
            ("+024-02-29", None),
            ("2024-02-29T12:34", None),
            ("2024-02-29T12:34:56", None),
            ("2024-02-29T24:00:00Z", None),
            ("2024-02-29T12:34:56.Z", None),
            ("2024-02-29T12:34:56+2:00", None),
            ("2024-02-29T12:34:56+02:00x", None),
            ("2024-02-2é", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn times_are_read_as_servers_write_them() {
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777_000)),
            ("Thu, 29 Feb 2024 12:34:56 GMT", Some(1_709_210_096_000)),
            ("Thu, 29 Feb 2024 12:34:56 CET", None),
            ("Thu, 30 Feb 2024 12:34:56 GMT", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("", None),
        ] {
            assert_eq!(parse_http_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn known_dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        assert_eq!(rfc3339(month_start_ms(1_709_210_096_789)), "2024-02-01T00:00:00.000Z");
        assert_eq!(rfc3339(next_month_start_ms(1_709_210_096_789)), "2024-03-01T00:00:00.000Z");
        assert_eq!(rfc3339(next_month_start_ms(1_735_000_000_000)), "2025-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(day_start_ms(1_709_210_096_789)), "2024-02-29T00:00:00.000Z");
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut last = civil_from_days(-1);
        for days in 0..146_097 {
            let (year, month, day) = civil_from_days(days);
            let next_day = (year, month) == (last.0, last.1) && day == last.2 + 1;
            let next_month = day == 1 && (month == last.1 + 1 || (month == 1 && year == last.0 + 1));
            assert!(next_day || next_month, "{last:?} then {:?}", (year, month, day));
            if day == 1 {
                assert_eq!(days_of_month_start(year, month), days);
            }
            last = (year, month, day);
        }
    }
}
