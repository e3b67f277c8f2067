//! Which traces are kept: a keyed hash of their id decides.
//!
//! Invariant: whoever chooses a trace's id can't choose whether it is kept, and processes with the same
//! master key agree. Not here: spans (`trace`), sending them (the binary).

use crate::{entropy, keyring};
use std::fmt;

/// The share of traces that is kept.
#[derive(Clone)]
pub struct Sampling {
    key: [u8; 32],
    permille: u32,
}

impl fmt::Debug for Sampling {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sampling").field("permille", &self.permille).finish_non_exhaustive()
    }
}

impl Sampling {
    /// Without a master key no other process agrees.
    #[must_use]
    pub fn new(permille: u32, master_key: Option<&[u8; 32]>) -> Self {
        let derived = |key| keyring::mac(key, b"rynjer trace sampling");
        Self { key: master_key.map_or_else(entropy::bytes, derived), permille }
    }

    /// Whether the spans of a trace are kept.
    #[must_use]
    pub fn keeps(&self, trace_id: [u8; 16]) -> bool {
        let [a, b, c, d, ..] = keyring::mac(&self.key, &trace_id);
        u32::from_be_bytes([a, b, c, d]) % 1000 < self.permille
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(sampling: &Sampling) -> Vec<u128> {
        // The plain ratio takes ids such as these always.
        (0..1000u128).filter(|id| sampling.keeps(id.to_be_bytes())).collect()
    }

    #[test]
    fn an_id_says_nothing_about_whether_it_is_kept() {
        let (one, other) = (Sampling::new(100, Some(&[7; 32])), Sampling::new(100, Some(&[8; 32])));
        assert!((50..150).contains(&kept(&one).len()), "{}", kept(&one).len());
        assert_ne!(kept(&one), kept(&other));
        assert_ne!(kept(&Sampling::new(100, None)), kept(&Sampling::new(100, None)));
        assert_eq!(kept(&one), kept(&Sampling::new(100, Some(&[7; 32]))));
        assert_eq!(kept(&Sampling::new(1000, None)).len(), 1000);
        assert_eq!(format!("{one:?}"), "Sampling { permille: 100, .. }");
    }
}
