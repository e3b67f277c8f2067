//! The one place that draws randomness.
//!
//! Invariant: if the operating system gives none, the process stops rather than make guessable secrets. Not
//! here: what the bytes become.

use rynjer_core::id::IdEntropy;
use std::cell::RefCell;

/// Random bytes from the operating system.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0u8; N];
    if getrandom::fill(&mut out).is_err() {
        // No caller could do anything but give up, and a panic would be caught and retried.
        std::process::abort();
    }
    out
}

/// Ids whose entropy one system call draws ahead.
const IDS_AHEAD: usize = 64;

thread_local! {
    /// Drawn and not yet used, per thread. Ids are no secrets; those draw their own bytes.
    static AHEAD: RefCell<Vec<IdEntropy>> = const { RefCell::new(Vec::new()) };
}

/// What an id takes beside its time.
#[must_use]
pub(crate) fn id() -> IdEntropy {
    AHEAD.with_borrow_mut(|ahead| {
        if ahead.is_empty() {
            *ahead = ids(IDS_AHEAD);
        }
        ahead.pop().unwrap_or_else(bytes)
    })
}

/// Entropy for many ids at the cost of one system call.
#[must_use]
pub(crate) fn ids(count: usize) -> Vec<IdEntropy> {
    let mut raw = vec![0u8; count * 10];
    if getrandom::fill(&mut raw).is_err() {
        std::process::abort();
    }
    raw.chunks_exact(10).map(|chunk| chunk.try_into().unwrap_or_default()).collect()
}
