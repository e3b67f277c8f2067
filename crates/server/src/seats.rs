//! Places that are taken for as long as something lasts: so many of one principal, so many of all.
//!
//! Invariant: nobody holds more places than its most, and who holds none takes no memory. Not here: giving a
//! place back when its holder goes (`app::watch`, `app::upload`).

use std::collections::HashMap;

/// How many places are taken.
#[derive(Default)]
pub(crate) struct Seats {
    of: HashMap<String, u32>,
    all: u32,
}

impl Seats {
    /// Takes a place, unless there are too many; then the limit that is reached.
    pub(crate) fn take(&mut self, principal: &str, most_of_one: u32, most: u32) -> Result<(), u32> {
        let of_one = self.of.get(principal).copied().unwrap_or(0);
        if of_one >= most_of_one || self.all >= most {
            return Err(if of_one >= most_of_one { most_of_one } else { most });
        }
        self.all += 1;
        self.of.insert(principal.to_owned(), of_one + 1);
        Ok(())
    }

    /// Gives a place back.
    pub(crate) fn leave(&mut self, principal: &str) {
        self.all = self.all.saturating_sub(1);
        match self.of.get_mut(principal) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.of.remove(principal)),
        }
    }
}
