//! What time it is at a vendor.
//!
//! Invariant: it is real time, as at a vendor, unless a test says otherwise (`World::set_now_ms`). Not here:
//! waiting.

/// Milliseconds since 1970, of a whole second.
pub(crate) fn now_ms() -> i64 {
    let seconds = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap_or(i64::MAX);
    seconds.saturating_mul(1000)
}
