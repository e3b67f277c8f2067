//! How many wrong guesses are allowed, at a password or at a code that people type.
//!
//! Invariant: the count of a window never lets more guesses through than its limit. Not here: where guesses
//! are counted.

const MINUTE_MS: i64 = 60_000;

/// Wrong guesses so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    pub count: u32,
    /// When the first of them was made.
    pub since_ms: i64,
}

/// So many wrong guesses within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    pub failures_max: u32,
    pub window_ms: i64,
}

impl Throttle {
    /// Passwords and one-time codes of one person: slow enough for guessing, and an attacker locks nobody out
    /// for longer than a quarter of an hour.
    pub const PERSON: Self = Self { failures_max: 10, window_ms: 15 * MINUTE_MS };
    /// Sign-ins from one address, whoever is tried.
    pub const ADDRESS: Self = Self { failures_max: 30, window_ms: 15 * MINUTE_MS };
    /// Letters to one person, whoever asks for them.
    pub const LETTERS_TO: Self = Self { failures_max: 3, window_ms: 60 * MINUTE_MS };
    /// Letters that one address asks for.
    pub const LETTERS_FROM: Self = Self { failures_max: 10, window_ms: 60 * MINUTE_MS };
    /// Codes of agents that a signed-in owner types: five tries in the ten minutes that a code lives
    /// (RFC 8628, section 5.1).
    pub const USER_CODE: Self = Self { failures_max: 5, window_ms: 10 * MINUTE_MS };

    /// Guesses older than this do not count.
    #[must_use]
    pub fn since_ms(self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.window_ms).saturating_add(1)
    }

    /// How long to wait before another guess; none is at once.
    #[must_use]
    pub fn wait_ms(self, failures: Failures, now_ms: i64) -> Option<i64> {
        let over = failures.count >= self.failures_max && failures.since_ms >= self.since_ms(now_ms);
        over.then(|| failures.since_ms + self.window_ms - now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_opens_again() {
        let full = Failures { count: 5, since_ms: 1000 };
        let rows = [(1000, Some(600_000)), (600_999, Some(1)), (601_000, None)];
        for (now_ms, wait_ms) in rows {
            assert_eq!(Throttle::USER_CODE.wait_ms(full, now_ms), wait_ms, "{now_ms}");
        }
        assert_eq!(Throttle::USER_CODE.wait_ms(Failures { count: 4, since_ms: 1000 }, 1000), None);
        assert_eq!(Throttle::USER_CODE.wait_ms(Failures::default(), 0), None);
    }
}
