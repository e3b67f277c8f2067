//! The one place that reads time.
//!
//! Invariant: every time in a decision comes from a `Clock` that was handed in, so tests move it by hand. Not
//! here: time-outs of sockets and timers, which the runtime keeps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

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
        }
    }

    /// How far the clock is ahead of the machine's, if calls of the API may move it.
    #[must_use]
    pub fn moved_ms(&self) -> Option<i64> {
        match self {
            Self::Moved(offset) => Some(offset.load(Ordering::SeqCst)),
            Self::System | Self::Manual(_) => None,
        }
    }

    /// Moves a movable clock; the machine's own stays.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        match self {
            Self::System => {}
            Self::Moved(at) | Self::Manual(at) => {
                at.fetch_add(ms, Ordering::SeqCst);
            }
        }
    }
}

/// Starts measuring how long something takes; such a figure decides nothing.
#[must_use]
pub(crate) fn stopwatch() -> std::time::Instant {
    std::time::Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "this is the place")]
fn system_now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
