//! How long to try again while a gateway can't be reached or is busy.
//!
//! Invariant: the wait is never shorter than the gateway asked for, and its sum is bounded. Not here: what is
//! sent again, which must be safe to send twice.

use rynjer_api::ClientError;
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);

/// What is left of the patience.
pub(super) struct Patience {
    limit: Duration,
    until: Instant,
    next: Duration,
}

impl Patience {
    /// Begins now.
    pub(super) fn new(seconds: u64) -> Self {
        let limit = Duration::from_secs(seconds);
        Self { limit, until: Instant::now() + limit, next: FIRST }
    }

    /// How long to wait before the next try; none if it is time to give up.
    pub(super) fn next(&mut self, error: &ClientError) -> Option<Duration> {
        if !error.is_passing() {
            return None;
        }
        let asked = error.retry_after_seconds().map(Duration::from_secs);
        let wait = asked.map_or(self.next, |asked| asked.max(self.next));
        self.next = (self.next * 2).min(LONGEST);
        (Instant::now() + wait <= self.until).then_some(wait)
    }

    /// All patience again, after something worked.
    pub(super) fn renew(&mut self) {
        *self = Self::new(self.limit.as_secs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rynjer_api::{ErrorCode, ErrorData};

    fn refused(code: ErrorCode, retry_after_seconds: Option<i64>) -> ClientError {
        let data = ErrorData { retry_after_seconds, ..ErrorData::new(code, "t", "http://h") };
        ClientError::Api { status: code.status(), data: Box::new(data) }
    }

    #[test]
    fn only_what_may_pass_is_waited_for() {
        let mut patience = Patience::new(60);
        assert_eq!(patience.next(&refused(ErrorCode::InsufficientCredits, None)), None);
        let busy = refused(ErrorCode::Overloaded, Some(2));
        assert_eq!(patience.next(&busy), Some(Duration::from_secs(2)));
        let closed = refused(ErrorCode::Internal, None);
        assert_eq!(patience.next(&closed), Some(FIRST * 2));
        assert_eq!(patience.next(&refused(ErrorCode::RateLimited, Some(3600))), None);
        assert_eq!(Patience::new(0).next(&closed), None);
    }
}
