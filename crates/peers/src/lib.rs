//! Services that the gateway itself calls and that make no pictures: payment, identity, letters.
//!
//! Invariant: what a peer answers is bounded in bytes and time, and nothing of its wire form leaves this
//! crate. Not here: vendors of models (`providers`), and what an answer means for an account (`server::app`).

pub mod moltbook;
pub mod stripe;
