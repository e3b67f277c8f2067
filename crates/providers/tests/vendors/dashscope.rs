//! A place for the tests of this vendor.
//!
//! Invariant: none yet. Not here: other vendors.
