//! Each vendor's adapter against its stand-in, over real HTTP.
//!
//! Invariant: what goes over the wire is asserted as it arrived. Not here: the gateway around them.

mod ark;
mod dashscope;
mod fal;
mod google;
mod kie;
#[cfg(test)]
mod openai;
#[cfg(test)]
mod openai_videos;
mod replicate;
mod support;
#[cfg(test)]
mod xai;
