//! A place for this vendor.
//!
//! Invariant: none yet. Not here: other vendors.
