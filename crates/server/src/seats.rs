//! Places that are taken for as long as something lasts: so many of one principal, half of all of one
//! account.
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
    /// Takes a place for a principal of an account, unless there are too many of the one, of the other (half
    /// of all) or altogether; then the limit that is reached.
    pub(crate) fn take(
        &mut self,
        (account, principal): (&str, &str),
        most_of_one: u32,
        most: u32,
    ) -> Result<(), u32> {
        let of = |name: &str| self.of.get(name).copied().unwrap_or(0);
        let (of_account, of_one) = (of(account), of(principal));
        let reached = [(of_one, most_of_one), (of_account, most.div_ceil(2)), (self.all, most)];
        if let Some((_, limit)) = reached.into_iter().find(|(taken, limit)| taken >= limit) {
            return Err(limit);
        }
        self.all += 1;
        self.of.insert(principal.to_owned(), of_one + 1);
        self.of.insert(account.to_owned(), of_account + 1);
        Ok(())
    }

    /// Gives a place back.
    pub(crate) fn leave(&mut self, (account, principal): (&str, &str)) {
        self.all = self.all.saturating_sub(1);
        for name in [account, principal] {
            match self.of.get_mut(name) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.of.remove(name)),
            }
        }
    }
}
