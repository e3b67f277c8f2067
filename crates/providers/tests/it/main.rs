//! Tests of the crate through its public surface, over real sockets on loopback.
//!
//! Invariant: nothing here reaches beyond this machine. Not here: unit tests, which stand with their code.
//! The lints know tests by `cfg(test)`.

#[cfg(test)]
mod bombs;
#[cfg(test)]
mod caps;
#[cfg(test)]
mod input_image;
#[cfg(test)]
mod loopback;
#[cfg(test)]
mod measured;
#[cfg(test)]
mod pinning;
#[cfg(test)]
mod refused_urls;
#[cfg(test)]
mod spellings;
