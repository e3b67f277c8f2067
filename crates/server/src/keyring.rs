//! The installation's own keys: token signing, signed URLs, refresh derivation, quotes; sealed in the
//! database.
//!
//! Invariant: each purpose has keys of its own, and a database without the master key mints nothing. Not
//! here: where the master key comes from (`data_dir`).

use crate::{app::Error, entropy};
use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use hmac::{Hmac, KeyInit, Mac};
use rynjer_store::{Store, secret};
use sha2::Sha256;
use std::collections::HashMap;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Seed of the Ed25519 key that signs access tokens.
    Token,
    /// Signatures of output URLs.
    Url,
    /// Refresh tokens are derived from the one before.
    Refresh,
    /// Quotes of prices.
    Quote,
    /// Seed of the Ed25519 key that signs receipts.
    Receipt,
}

impl Purpose {
    const ALL: [Self; 5] = [Self::Token, Self::Url, Self::Refresh, Self::Quote, Self::Receipt];

    fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Url => "url",
            Self::Refresh => "refresh",
            Self::Quote => "quote",
            Self::Receipt => "receipt",
        }
    }
}

/// The unsealed keys. The newest of a purpose signs; older ones still verify.
pub(crate) struct Keyring {
    keys: HashMap<Purpose, Vec<(String, [u8; 32])>>,
}

impl Keyring {
    /// Unseals the stored keys, making those that are missing.
    pub(crate) async fn open(store: &Store, master_key: &[u8; 32], now_ms: i64) -> Result<Self, Error> {
        let sealing = sealing_key(master_key)?;
        let mut fresh = Vec::new();
        for purpose in Purpose::ALL {
            let secret: [u8; 32] = entropy::bytes();
            let id: String = entropy::bytes::<6>().iter().map(|byte| format!("{byte:02x}")).collect();
            fresh.push((purpose, id.clone(), seal(&sealing, purpose, &id, &secret)?));
        }
        let stored = store
            .write(move |tx| {
                let known = secret::all(tx)?;
                for (purpose, id, sealed) in &fresh {
                    if !known.iter().any(|row| row.purpose == purpose.as_str()) {
                        secret::insert(tx, purpose.as_str(), id, sealed, now_ms)?;
                    }
                }
                Ok::<_, Error>(secret::all(tx)?)
            })
            .await?;
        let mut keys: HashMap<Purpose, Vec<(String, [u8; 32])>> = HashMap::new();
        for row in stored {
            if let Some(purpose) = Purpose::ALL.into_iter().find(|p| p.as_str() == row.purpose) {
                let secret = unseal(&sealing, purpose, &row.id, row.sealed)?;
                keys.entry(purpose).or_default().push((row.id, secret));
            }
        }
        Ok(Self { keys })
    }

    /// The key that signs now, with its id.
    pub(crate) fn current(&self, purpose: Purpose) -> Result<(&str, &[u8; 32]), Error> {
        let newest = self.keys.get(&purpose).and_then(|keys| keys.last());
        newest.map(|(id, key)| (id.as_str(), key)).ok_or_else(|| Error::internal("a signing key is missing"))
    }

    /// A key by its id, for verifying.
    pub(crate) fn by_id(&self, purpose: Purpose, id: &str) -> Option<&[u8; 32]> {
        self.keys.get(&purpose)?.iter().find(|(known, _)| known == id).map(|(_, key)| key)
    }

    /// All keys of a purpose with their ids, oldest first.
    pub(crate) fn all(&self, purpose: Purpose) -> impl Iterator<Item = (&str, &[u8; 32])> {
        self.keys.get(&purpose).into_iter().flatten().map(|(id, key)| (id.as_str(), key))
    }

    /// HMAC-SHA256 under the current key of a purpose, with the key's id.
    pub(crate) fn sign(&self, purpose: Purpose, message: &[u8]) -> Result<(String, [u8; 32]), Error> {
        let (id, key) = self.current(purpose)?;
        Ok((id.to_owned(), mac(key, message)))
    }

    /// Whether a tag was made by [`Keyring::sign`] with that key.
    pub(crate) fn verify(&self, purpose: Purpose, id: &str, message: &[u8], tag: &[u8]) -> bool {
        self.by_id(purpose, id).is_some_and(|key| rynjer_core::key::constant_time_eq(&mac(key, message), tag))
    }
}

/// Whether a master key opens all of these; purposes of newer versions aside.
pub(crate) fn opens(rows: &[secret::SecretRow], master_key: &[u8; 32]) -> bool {
    let Ok(sealing) = sealing_key(master_key) else { return false };
    rows.iter().all(|row| {
        let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == row.purpose);
        purpose.is_none_or(|purpose| unseal(&sealing, purpose, &row.id, row.sealed.clone()).is_ok())
    })
}

fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32]; // HMAC takes keys of any length; this is never reached.
    };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn sealing_key(master_key: &[u8; 32]) -> Result<RandomizedNonceKey, Error> {
    RandomizedNonceKey::new(&AES_256_GCM, master_key)
        .map_err(|_| Error::internal("the master key is unusable"))
}

/// Twelve bytes of nonce, then ciphertext and tag; bound to its purpose and id, so that rows can't be
/// swapped.
fn seal(key: &RandomizedNonceKey, purpose: Purpose, id: &str, secret: &[u8; 32]) -> Result<Vec<u8>, Error> {
    let mut data = secret.to_vec();
    let nonce = key
        .seal_in_place_append_tag(Aad::from(context(purpose, id)), &mut data)
        .map_err(|_| Error::internal("sealing failed"))?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.extend(data);
    Ok(sealed)
}

fn unseal(key: &RandomizedNonceKey, purpose: Purpose, id: &str, sealed: Vec<u8>) -> Result<[u8; 32], Error> {
    let wrong = || {
        Error::internal(
            "the stored keys can't be opened with this master key: start with the master key that this \
             installation was made with (RYNJER_MASTER_KEY, or master.key in the data folder)",
        )
    };
    let mut sealed = sealed;
    let nonce: [u8; 12] = sealed.get(..12).and_then(|n| n.try_into().ok()).ok_or_else(wrong)?;
    let mut data = sealed.split_off(12);
    let nonce = aws_lc_rs::aead::Nonce::from(&nonce);
    let plain = key.open_in_place(nonce, Aad::from(context(purpose, id)), &mut data).map_err(|_| wrong())?;
    <[u8; 32]>::try_from(&*plain).map_err(|_| wrong())
}

fn context(purpose: Purpose, id: &str) -> String {
    format!("rynjer {} {id}", purpose.as_str())
}
