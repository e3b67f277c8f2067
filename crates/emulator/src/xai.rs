//! A place for Xai's stand-in.
//!
//! Invariant: none yet. Not here: faults.

use crate::{ErrorCase, World};
use axum::Router;

/// Behind the host.
pub(crate) const BASE_PATH: &str = "";

/// Calls that may make something that is billed.
pub(crate) fn submits(_method: &str, _path: &str) -> bool {
    false
}

pub(crate) fn router(world: World) -> Router {
    Router::new().with_state(world)
}

/// What it documents as errors.
pub(crate) fn errors() -> Vec<ErrorCase> {
    Vec::new()
}
