//! The one place that reads time.
//!
//! Invariant: every time in a decision comes from a `Clock` that was handed in, so tests move it by hand. Not
//! here: time-outs of sockets and timers, which the runtime keeps; asking a database for its time
//! (`app::node`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A measurement that took longer says too little.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(200);

/// Tells the time in milliseconds since 1970.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's.
    #[default]
    System,
    /// The machine's, moved by an offset that a test or the test-clock endpoint sets.
    Moved(Arc<AtomicI64>),
    /// Stands still until it is moved.
    Manual(Arc<AtomicI64>),
    /// The database's, which all nodes share.
    Shared(Arc<Shared>),
}

/// The database's time, measured now and then and carried on by the machine's monotonic clock, so that a
/// wrong or corrected time of day on this machine changes nothing.
#[derive(Debug)]
pub struct Shared {
    started: Instant,
    /// The database's time when `started` was taken.
    started_at_ms: AtomicI64,
}

impl Shared {
    /// A clock of a database that answered `database_ms` to a question asked at `sent` and answered at
    /// `received`.
    #[must_use]
    pub fn new(database_ms: i64, sent: Instant, received: Instant) -> Self {
        let started_at_ms = database_ms - milliseconds(received.saturating_duration_since(sent) / 2);
        Self { started: sent, started_at_ms: AtomicI64::new(started_at_ms) }
    }

    fn now_ms(&self, now: Instant) -> i64 {
        let passed_ms = milliseconds(now.saturating_duration_since(self.started));
        self.started_at_ms.load(Ordering::SeqCst).saturating_add(passed_ms)
    }

    /// Corrects the clock by another measurement. One that was slow is not believed, and what could be its
    /// own error corrects nothing, so that time doesn't jump to and fro.
    pub fn measure(&self, database_ms: i64, sent: Instant, received: Instant) {
        let round_trip = received.saturating_duration_since(sent);
        if round_trip > ROUND_TRIP_MAX {
            return;
        }
        let half_ms = milliseconds(round_trip / 2);
        let off_ms = database_ms.saturating_add(half_ms).saturating_sub(self.now_ms(received));
        // Both times are cut to whole milliseconds.
        if off_ms.saturating_abs() > half_ms + 1 {
            self.started_at_ms.fetch_add(off_ms, Ordering::SeqCst);
        }
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Clock {
    /// A clock that stands at `now_ms`.
    #[must_use]
    pub fn manual(now_ms: i64) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now_ms)))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => system_now_ms(),
            Self::Moved(offset) => system_now_ms().saturating_add(offset.load(Ordering::SeqCst)),
            Self::Manual(now) => now.load(Ordering::SeqCst),
            Self::Shared(shared) => shared.now_ms(stopwatch()),
        }
    }

    /// How far the clock is ahead of the machine's, if calls of the API may move it.
    #[must_use]
    pub fn moved_ms(&self) -> Option<i64> {
        match self {
            Self::Moved(offset) => Some(offset.load(Ordering::SeqCst)),
            Self::System | Self::Manual(_) | Self::Shared(_) => None,
        }
    }

    /// How far the machine's time of day is ahead of the clock that all nodes share, if they share one.
    #[must_use]
    pub(crate) fn machine_ahead_ms(&self) -> Option<i64> {
        match self {
            Self::Shared(_) => Some(system_now_ms().saturating_sub(self.now_ms())),
            Self::System | Self::Moved(_) | Self::Manual(_) => None,
        }
    }

    /// Moves a movable clock; the machine's own and the database's stay.
    pub fn advance(&self, by: Duration) {
        let ms = milliseconds(by);
        match self {
            Self::System | Self::Shared(_) => {}
            Self::Moved(at) | Self::Manual(at) => {
                at.fetch_add(ms, Ordering::SeqCst);
            }
        }
    }
}

/// Starts measuring how long something takes; such a figure decides nothing.
#[must_use]
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "this is the place")]
fn system_now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_databases_time_is_carried_on() {
        let sent = stopwatch();
        let shared = Shared::new(1_000_000, sent, sent + MS * 40);
        // The database looked at its clock half way.
        assert_eq!(shared.now_ms(sent + MS * 20), 1_000_000);
        assert_eq!(shared.now_ms(sent + MS * 40), 1_000_020);
        assert_eq!(shared.now_ms(sent + MS * 3_600_040), 4_600_020);
    }

    #[test]
    fn a_measurement_corrects_what_it_is_sure_of() {
        let sent = stopwatch();
        let shared = Shared::new(1_000_000, sent, sent);
        // (the database's answer, round trip, the clock's error after it), all at one second.
        let rows = [
            (1_000_995, 10, 0),
            (1_001_000, 20, 0),
            (1_001_040, 201, 0),
            (9_000_000, 201, 0),
            (1_001_040, 100, 90),
            (1_000_950, 100, 0),
            (1_000_900, 0, -100),
            (1_001_000, 0, 0),
        ];
        for (database_ms, round_trip_ms, error_ms) in rows {
            let received = sent + MS * 1000;
            shared.measure(database_ms, received - MS * round_trip_ms, received);
            assert_eq!(shared.now_ms(received) - 1_001_000, error_ms, "{database_ms} {round_trip_ms}");
        }
    }

    /// Jitter of the way to the database moves nothing; drift of this machine is followed.
    #[test]
    fn time_goes_on_evenly_and_follows_the_database() {
        let began = stopwatch();
        let shared = Shared::new(0, began, began);
        let mut last_ms = 0;
        for second in 1..=3600u32 {
            let sent = began + MS * 1000 * second;
            let jitter = MS * ((second * 37) % 50);
            let true_ms = i64::from(second) * 1000 + i64::from(second) / 10;
            // All of the way is before the answer, then all of it behind.
            let database_ms = if second % 2 == 0 { true_ms } else { true_ms + milliseconds(jitter) };
            shared.measure(database_ms, sent, sent + jitter);
            let now_ms = shared.now_ms(sent);
            assert!(now_ms > last_ms, "second {second}");
            assert!((now_ms - true_ms).abs() <= 50, "second {second}: {}", now_ms - true_ms);
            last_ms = now_ms;
        }
    }

    #[test]
    fn what_can_be_moved() {
        let sent = stopwatch();
        let shared = Clock::Shared(Arc::new(Shared::new(system_now_ms() - 60_000, sent, sent)));
        assert_eq!(shared.moved_ms(), None);
        shared.advance(Duration::from_secs(3600));
        let ahead_ms = shared.machine_ahead_ms().unwrap();
        assert!((59_000..61_000).contains(&ahead_ms), "{ahead_ms}");
        assert_eq!(Clock::manual(7).machine_ahead_ms(), None);
    }
}
