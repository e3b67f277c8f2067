//! Which bytes of a stored file answer a request: all, some, none because the client has them, or none
//! because they don't exist.
//!
//! Invariant: a part lies inside the file and isn't empty; what can't be understood is answered with the
//! whole file. Not here: the file. Files carry no modification time, so `If-Modified-Since` is ignored, as
//! RFC 9110 asks; the ETag never changes under one name.

use axum::http::{
    HeaderMap, HeaderValue, Method,
    header::{IF_NONE_MATCH, IF_RANGE, RANGE},
};

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 200.
    Whole,
    /// 206 with the bytes from `start` to `end`, both included.
    Part { start: u64, end: u64 },
    /// 304.
    NotModified,
    /// 416.
    Unsatisfiable,
}

impl Answer {
    /// The `Content-Range` that goes with a 206 or 416 for a file of `length` bytes.
    pub(crate) fn content_range(self, length: u64) -> Option<HeaderValue> {
        let text = match self {
            Self::Part { start, end } => format!("bytes {start}-{end}/{length}"),
            Self::Unsatisfiable => format!("bytes */{length}"),
            Self::Whole | Self::NotModified => return None,
        };
        HeaderValue::try_from(text).ok()
    }
}

/// Decides for a file of `length` bytes whose strong entity tag is `etag`, quotes included.
pub(crate) fn decide(method: &Method, headers: &HeaderMap, length: u64, etag: &str) -> Answer {
    let reads = method == Method::GET || method == Method::HEAD;
    if reads && has_current(headers, etag) {
        return Answer::NotModified;
    }
    // RFC 9110 defines ranges for GET alone.
    if method != Method::GET || !range_holds(headers, etag) {
        return Answer::Whole;
    }
    only(headers, RANGE).and_then(|text| part(text, length)).unwrap_or(Answer::Whole)
}

/// `If-None-Match` names this tag, by the weak comparison, or any.
fn has_current(headers: &HeaderMap, etag: &str) -> bool {
    let lines = headers.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// `If-Range` is absent or names this tag, by the strong comparison. A date never matches.
fn range_holds(headers: &HeaderMap, etag: &str) -> bool {
    !headers.contains_key(IF_RANGE) || only(headers, IF_RANGE) == Some(etag)
}

fn only(headers: &HeaderMap, name: axum::http::HeaderName) -> Option<&str> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?.to_str().ok()?;
    lines.next().is_none().then_some(line.trim())
}

/// None where the range is malformed, of another unit, or one of several.
fn part(text: &str, length: u64) -> Option<Answer> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let end_of_file = length.checked_sub(1);
    let (start, end) = match (first, last) {
        ("", suffix) => (end_of_file.zip(number(suffix)?.checked_sub(1)))
            .map_or((length, 0), |(end, back)| (end.saturating_sub(back), end)),
        (first, "") => (number(first)?, end_of_file.unwrap_or(0)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, last.min(end_of_file.unwrap_or(0)))
        }
    };
    Some(if start < length { Answer::Part { start, end } } else { Answer::Unsatisfiable })
}

/// Decimal digits alone; more than 64 bits count as the largest number, which lies behind every file's end.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case<'a> = (&'a Method, &'a [(&'static str, &'a str)], Answer);

    const ETAG: &str = "\"9f86d081884c7d65\"";

    fn answer(method: &Method, length: u64, lines: &[(&'static str, &str)]) -> Answer {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        decide(method, &headers, length, ETAG)
    }

    #[test]
    fn ranges() {
        let part = |start, end| Answer::Part { start, end };
        let cases = [
            ("bytes=0-0", part(0, 0)),
            ("bytes=0-99", part(0, 99)),
            ("bytes=10-19", part(10, 19)),
            ("bytes=10-", part(10, 99)),
            ("bytes=99-", part(99, 99)),
            ("bytes=90-1000", part(90, 99)),
            ("bytes=90-99999999999999999999999", part(90, 99)),
            ("bytes=-1", part(99, 99)),
            ("bytes=-100", part(0, 99)),
            ("bytes=-101", part(0, 99)),
            ("bytes=-99999999999999999999999", part(0, 99)),
            ("Bytes= 1-2 ", part(1, 2)),
            ("bytes=100-", Answer::Unsatisfiable),
            ("bytes=100-200", Answer::Unsatisfiable),
            ("bytes=99999999999999999999999-", Answer::Unsatisfiable),
            ("bytes=-0", Answer::Unsatisfiable),
            ("bytes=0-1,3-4", Answer::Whole),
            ("bytes=0-1,", Answer::Whole),
            ("bytes=20-10", Answer::Whole),
            ("bytes=-", Answer::Whole),
            ("bytes=", Answer::Whole),
            ("bytes", Answer::Whole),
            ("bytes=a-b", Answer::Whole),
            ("bytes=+1-2", Answer::Whole),
            ("bytes=1--2", Answer::Whole),
            ("bytes=0x1-2", Answer::Whole),
            ("items=0-1", Answer::Whole),
            ("", Answer::Whole),
        ];
        for (range, expected) in cases {
            assert_eq!(answer(&Method::GET, 100, &[("range", range)]), expected, "{range:?}");
        }
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(answer(&Method::GET, 0, &[("range", range)]), Answer::Unsatisfiable, "{range:?}");
        }
    }

    #[test]
    fn conditions() {
        let part = Answer::Part { start: 1, end: 2 };
        let range = ("range", "bytes=1-2");
        let weak = format!("W/{ETAG}");
        let list = format!("\"a\", {weak}");
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        let cases: &[Case<'_>] = &[
            (&Method::GET, &[], Answer::Whole),
            (&Method::HEAD, &[range], Answer::Whole),
            (&Method::POST, &[range, ("if-none-match", ETAG)], Answer::Whole),
            (&Method::GET, &[range, range], Answer::Whole),
            (&Method::GET, &[range, ("if-range", ETAG)], part),
            (&Method::GET, &[range, ("if-range", &weak)], Answer::Whole),
            (&Method::GET, &[range, ("if-range", "\"other\"")], Answer::Whole),
            (&Method::GET, &[range, ("if-range", date)], Answer::Whole),
            (&Method::GET, &[("if-none-match", ETAG)], Answer::NotModified),
            (&Method::HEAD, &[("if-none-match", ETAG)], Answer::NotModified),
            (&Method::GET, &[("if-none-match", &weak)], Answer::NotModified),
            (&Method::GET, &[("if-none-match", &list)], Answer::NotModified),
            (&Method::GET, &[("if-none-match", "\"a\""), ("if-none-match", ETAG)], Answer::NotModified),
            (&Method::GET, &[("if-none-match", "*")], Answer::NotModified),
            (&Method::GET, &[range, ("if-none-match", ETAG)], Answer::NotModified),
            (&Method::GET, &[range, ("if-none-match", "\"other\"")], part),
            (&Method::GET, &[("if-none-match", "9f86d081884c7d65")], Answer::Whole),
            (&Method::GET, &[("if-modified-since", date)], Answer::Whole),
        ];
        for (method, lines, expected) in cases {
            assert_eq!(answer(method, 100, lines), *expected, "{method} {lines:?}");
        }
    }

    #[test]
    fn content_range_says_what_was_sent() {
        let text = |answer: Answer| answer.content_range(100).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(text(Answer::Part { start: 0, end: 9 }).as_deref(), Some("bytes 0-9/100"));
        assert_eq!(text(Answer::Unsatisfiable).as_deref(), Some("bytes */100"));
        assert_eq!((text(Answer::Whole), text(Answer::NotModified)), (None, None));
    }
}
