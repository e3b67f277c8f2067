//! A plain HTTP client for other programs on the way that the operator names.
//!
//! Invariant: it takes no proxy from the environment. Not here: what is sent by it.

use std::time::Duration;

/// A client that goes straight to its hosts, and gives up after `timeout`.
///
/// # Errors
/// TLS can't be set up.
pub fn direct(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder().no_proxy().timeout(timeout).build()
}
