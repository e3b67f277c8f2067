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
    /// Passwords of one person from one place, and one-time codes of one person: slow enough for guessing.
    pub const PERSON: Self = Self { failures_max: 10, window_ms: 15 * MINUTE_MS };
    /// Passwords of one person from all places together: many places are needed to keep somebody out.
    pub const PERSON_FROM_ANYWHERE: Self = Self { failures_max: 100, window_ms: 15 * MINUTE_MS };
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
    use crate::key;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};

    const LIMIT: Throttle = Throttle::USER_CODE;

    /// One more wrong guess, as the store counts it.
    fn counted(failures: Failures, now_ms: i64) -> Failures {
        if failures.count > 0 && failures.since_ms >= LIMIT.since_ms(now_ms) {
            Failures { count: failures.count + 1, ..failures }
        } else {
            Failures { count: 1, since_ms: now_ms }
        }
    }

    /// Numbers that are the same in each run (SplitMix64).
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }
    }

    /// A million guesses in a day, by a thousand owners who signed in from a thousand addresses, while a
    /// thousand agents wait to be bound at any moment.
    #[test]
    fn a_million_guesses_hit_nothing() {
        const OWNERS: u64 = 1000;
        const LIVE: usize = 1000;
        const GUESSES: i64 = 1_000_000;
        const DAY_MS: i64 = 86_400_000;
        let mut dice = Dice(20_261_124);
        let mut owners: HashMap<u64, Failures> = HashMap::new();
        let mut live: HashSet<String> = HashSet::new();
        let (mut window, mut tried, mut hits) = (-1, 0_u64, 0_u64);
        for guess in 0..GUESSES {
            let now_ms = guess * DAY_MS / GUESSES;
            if now_ms / LIMIT.window_ms != window {
                window = now_ms / LIMIT.window_ms;
                live = (0..LIVE).map(|_| key::user_code(dice.roll().to_be_bytes())).collect();
            }
            let owner = owners.entry(dice.roll() % OWNERS).or_default();
            if LIMIT.wait_ms(*owner, now_ms).is_some() {
                continue;
            }
            tried += 1;
            if live.contains(&key::user_code(dice.roll().to_be_bytes())) {
                hits += 1;
            } else {
                *owner = counted(*owner, now_ms);
            }
        }
        assert_eq!(hits, 0);
        // What the limit lets through, and what it would be worth: less than three hits in 100 such days.
        assert!(tried <= OWNERS * 5 * 145, "{tried}");
        let in_a_hundred_days = u128::from(tried) * 1000 * 100 / 20_u128.pow(8);
        assert!(in_a_hundred_days < 3, "{in_a_hundred_days}");
    }

    proptest! {
        /// However guesses are spread, no window that began with a wrong one lets more than five through, and
        /// whoever waits as long as told gets a try.
        #[test]
        fn no_window_lets_more_through(pauses_ms in proptest::collection::vec(0..400_000_i64, 1..200)) {
            let (mut failures, mut now_ms) = (Failures::default(), 1_000_000_i64);
            let mut admitted: Vec<i64> = Vec::new();
            for pause_ms in pauses_ms {
                now_ms += pause_ms;
                if let Some(wait_ms) = LIMIT.wait_ms(failures, now_ms) {
                    prop_assert!((1..=LIMIT.window_ms).contains(&wait_ms));
                    prop_assert_eq!(LIMIT.wait_ms(failures, now_ms + wait_ms - 1), Some(1));
                    prop_assert_eq!(LIMIT.wait_ms(failures, now_ms + wait_ms), None);
                } else {
                    failures = counted(failures, now_ms);
                    admitted.push(now_ms);
                }
            }
            let first = admitted.first().copied().unwrap_or_default();
            let windows = (now_ms - first) / LIMIT.window_ms + 1;
            let most = i64::from(LIMIT.failures_max) * windows;
            prop_assert!(i64::try_from(admitted.len()).unwrap() <= most, "{admitted:?} in {windows} windows");
        }
    }

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
