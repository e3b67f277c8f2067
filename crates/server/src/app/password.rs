//! Owners' passwords.
//!
//! Invariant: a password is stored as Argon2id with a salt of its own, and takes as long to check for
//! somebody who does not exist. Not here: how often somebody may guess (`session`).

use crate::{app::Error, entropy};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use std::sync::LazyLock;
use tokio::sync::Semaphore;

/// Passwords that are hashed at once: each takes 19 MiB and a core for some 30 ms.
const AT_ONCE: usize = 2;
/// Those who may wait for it; more are told to come back.
const WAITING_MAX: usize = 64;
const LENGTH_MIN: usize = 12;
/// A length that no person types, and that costs nothing to hash.
const LENGTH_MAX: usize = 256;

/// What is checked in the place of the password of somebody who does not exist.
static NOBODY: LazyLock<Result<String, Error>> = LazyLock::new(|| hashed("nobody has this password"));

/// The places where passwords are hashed.
pub(crate) struct Passwords {
    places: Semaphore,
    waiting: Semaphore,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { places: Semaphore::new(AT_ONCE), waiting: Semaphore::new(AT_ONCE + WAITING_MAX) }
    }

    /// The text that is stored for a password.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, Error> {
        let password = password.to_owned();
        self.apart(move || hashed(&password)).await
    }

    /// Whether a password is the one that `stored` was made of; with none it is not, after as long.
    pub(crate) async fn verify(&self, password: &str, stored: Option<String>) -> Result<bool, Error> {
        let password = password.to_owned();
        self.apart(move || {
            let known = stored.is_some();
            let hash = match stored {
                Some(hash) => hash,
                None => NOBODY.clone()?,
            };
            let matches = argon2()?.verify_password(password.as_bytes(), hash.as_str()).is_ok();
            Ok(known && matches && password.len() <= LENGTH_MAX)
        })
        .await
    }

    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let _waiting = self.waiting.try_acquire().map_err(|_| Error::Overloaded)?;
        let _place = self.places.acquire().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }
}

/// Refuses passwords that can be guessed.
pub(crate) fn check(password: &str, email: &str) -> Result<(), Error> {
    if password.chars().count() < LENGTH_MIN {
        return Err(Error::field("password", format!("must have at least {LENGTH_MIN} characters")));
    }
    if password.len() > LENGTH_MAX {
        return Err(Error::field("password", format!("must have at most {LENGTH_MAX} bytes")));
    }
    let name = email.split('@').next().unwrap_or_default();
    let first = password.chars().next();
    let one_letter = password.chars().all(|letter| Some(letter) == first);
    let counted = "0123456789012345678901234567890".contains(password);
    if one_letter
        || counted
        || (name.len() > 3 && password.to_lowercase().trim_matches(char::is_numeric) == name)
    {
        return Err(Error::field("password", "is among the first that somebody would try"));
    }
    Ok(())
}

/// Argon2id with 19 MiB, two passes and one lane, as OWASP's cheat sheet on storing passwords has it.
fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(19 * 1024, 2, 1, None).map_err(Error::internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hashed(password: &str) -> Result<String, Error> {
    let salt: [u8; 16] = entropy::bytes();
    let hash = argon2()?.hash_password_with_salt(password.as_bytes(), &salt).map_err(Error::internal)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_its_own_only() {
        let passwords = Passwords::new();
        let stored = passwords.hash("correct horse battery").await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_ne!(stored, passwords.hash("correct horse battery").await.unwrap());
        assert!(passwords.verify("correct horse battery", Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("correct horse batterx", Some(stored)).await.unwrap());
        assert!(!passwords.verify("nobody has this password", None).await.unwrap());
    }

    #[test]
    fn passwords_that_can_be_guessed_are_refused() {
        let email = "catherine.smith@example.com";
        for bad in ["short", "aaaaaaaaaaaaaa", "012345678901", "catherine.smith", "Catherine.Smith99"] {
            assert!(check(bad, email).is_err(), "{bad}");
        }
        assert!(check("correct horse battery", email).is_ok());
        assert!(check(&"pass phrase ".repeat(22), email).is_err());
    }
}
