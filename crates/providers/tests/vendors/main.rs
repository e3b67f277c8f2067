//! Each vendor's adapter against its stand-in, over real HTTP.
//!
//! Invariant: what goes over the wire is asserted as it arrived. Not here: the gateway around them.

#[cfg(test)]
mod ark;
mod base_url;
#[cfg(test)]
mod canned;
#[cfg(test)]
mod clips;
#[cfg(test)]
mod dashscope;
#[cfg(test)]
mod every;
#[cfg(test)]
mod fal;
#[cfg(test)]
mod google;
#[cfg(test)]
mod in_clear;
#[cfg(test)]
mod kie;
#[cfg(test)]
mod look_ups;
#[cfg(test)]
mod openai;
#[cfg(test)]
mod openai_videos;
#[cfg(test)]
mod polls;
#[cfg(test)]
mod replicate;
#[cfg(test)]
mod submits;
#[cfg(test)]
mod support;
#[cfg(test)]
mod words;
#[cfg(test)]
mod xai;
