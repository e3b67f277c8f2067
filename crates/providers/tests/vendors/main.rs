//! Each vendor's adapter against its stand-in, over real HTTP.
//!
//! Invariant: what goes over the wire is asserted as it arrived. Not here: the gateway around them.

#![cfg(test)]

mod ark;
mod dashscope;
mod fal;
mod google;
mod kie;
mod openai;
mod replicate;
mod support;
mod xai;
