//! The installation's own keys: token signing, signed URLs, refresh derivation, quotes, receipts; sealed in
//! the database, which all nodes share.
//!
//! Invariant: each purpose has keys of its own; a key signs only once every node can know it; a database
//! without the master key mints nothing. Not here: where the master key comes from (`data_dir`), when keys
//! are read again and rotated (`heartbeat`).

use crate::{
    app::Error,
    clock::{self, Clock},
    entropy,
};
use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use hmac::{Hmac, KeyInit, Mac};
use rynjer_core::time::DAY_MS;
use rynjer_store::{
    Store,
    secret::{self, Candidate, SecretRow},
};
use sha2::Sha256;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// A new key signs only when it is this old: every node has read the keys again by then.
const FRESH_MS: i64 = 120_000;
/// What a token or quote lives at most, and the margin of URLs.
const HOUR_MS: i64 = 3_600_000;
/// How often unknown ids make a node read the keys again.
const ASKED_EVERY: Duration = Duration::from_secs(1);

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
    /// All but `Refresh`: the same token must give the same successor whenever and on whatever node its
    /// retry is answered. Another key would make another successor, and the family would die as stolen.
    const ROTATED: [Self; 4] = [Self::Token, Self::Url, Self::Quote, Self::Receipt];

    /// How long a key verifies after its successor began to sign; none is for ever.
    fn verifies_ms(self, url_ms: i64) -> Option<i64> {
        match self {
            Self::Token | Self::Quote => Some(HOUR_MS),
            Self::Url => Some(url_ms.saturating_add(HOUR_MS)),
            Self::Refresh | Self::Receipt => None,
        }
    }

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

/// What small secrets are sealed for. A secret of one use is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Small {
    /// The key of an owner's one-time codes.
    OneTimeCodes,
    /// What a browser keeps while its owner is at another service to sign in.
    Provider,
}

impl Small {
    fn as_str(self) -> &'static str {
        match self {
            Self::OneTimeCodes => "one-time codes",
            Self::Provider => "sign-in by a provider",
        }
    }
}

/// A key and when it signs and verifies.
#[derive(Clone)]
struct Key {
    id: String,
    secret: [u8; 32],
    made_at_ms: i64,
    signs_from_ms: i64,
    /// From then on it verifies nothing.
    ends_at_ms: Option<i64>,
}

type Keys = HashMap<Purpose, Vec<Key>>;

/// How long keys are used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lives {
    /// 0 is for ever.
    pub(crate) rotate_days: u32,
    /// The longest life of a signed URL.
    pub(crate) url_ms: i64,
}

/// The unsealed keys of all nodes. The newest that is not fresh signs; older ones verify as long as what they
/// signed can be good.
pub(crate) struct Keyring {
    store: Store,
    master_key: [u8; 32],
    clock: Clock,
    lives: Lives,
    keys: RwLock<Arc<Keys>>,
    /// When the keys were read again because of an id that was not known; one caller reads at a time.
    asked: Mutex<Option<Instant>>,
}

impl Keyring {
    /// Unseals the stored keys, making those that are missing.
    pub(crate) async fn open(
        store: &Store,
        master_key: &[u8; 32],
        clock: &Clock,
        lives: Lives,
    ) -> Result<Self, Error> {
        let candidates = candidates(master_key, &Purpose::ALL, i64::MIN)?;
        let now_ms = clock.now_ms();
        let rows =
            store.write(move |tx| secret::renew(tx, &candidates, now_ms)).await.map_err(Error::from)?;
        let keys = unsealed(master_key, rows, lives)?;
        Ok(Self {
            store: store.clone(),
            master_key: *master_key,
            clock: clock.clone(),
            lives,
            keys: RwLock::new(Arc::new(keys)),
            asked: Mutex::default(),
        })
    }

    /// Seals a small secret of whatever `id` names.
    pub(crate) fn seal(&self, small: Small, id: &str, secret: &[u8]) -> Result<Vec<u8>, Error> {
        seal_bytes(&sealing_key(&self.small_key(small))?, &small_context(small, id), secret)
    }

    /// Opens what [`Keyring::seal`] sealed for the same use and id.
    pub(crate) fn unseal(&self, small: Small, id: &str, sealed: Vec<u8>) -> Result<Vec<u8>, Error> {
        let key = sealing_key(&self.small_key(small))?;
        let opened = unseal_bytes(&key, &small_context(small, id), sealed);
        opened.ok_or_else(|| Error::internal(format!("a secret of {} can't be opened", small.as_str())))
    }

    /// Small secrets are many, so each use has a key of its own, derived of the master key.
    fn small_key(&self, small: Small) -> [u8; 32] {
        mac(&self.master_key, format!("rynjer small secrets {}", small.as_str()).as_bytes())
    }

    /// Reads the stored keys again, which other nodes may have added to.
    pub(crate) async fn reload(&self) -> Result<(), Error> {
        let rows = self.store.read(|tx| secret::all(tx)).await.map_err(Error::from)?;
        self.replace(rows)
    }

    /// Adds a key to each purpose whose newest is old; what another node has just added counts.
    pub(crate) async fn rotate(&self) -> Result<(), Error> {
        let now_ms = self.clock.now_ms();
        let old_ms = now_ms - i64::from(self.lives.rotate_days) * DAY_MS;
        let keys = self.keys();
        let is_old = |purpose: &Purpose| {
            keys.get(purpose).and_then(|keys| keys.last()).is_none_or(|newest| newest.made_at_ms <= old_ms)
        };
        let old: Vec<_> = Purpose::ROTATED.into_iter().filter(is_old).collect();
        if self.lives.rotate_days == 0 || old.is_empty() {
            return Ok(());
        }
        let candidates = candidates(&self.master_key, &old, old_ms)?;
        let written = self.store.write(move |tx| secret::renew(tx, &candidates, now_ms)).await;
        self.replace(written.map_err(Error::from)?)?;
        let purposes: Vec<_> = old.into_iter().map(Purpose::as_str).collect();
        tracing::info!(?purposes, "new keys sign in {} s", FRESH_MS / 1000);
        Ok(())
    }

    /// Looks whether another node has made a key of that id, if it is not known here.
    pub(crate) async fn meet(&self, purpose: Purpose, id: &str) {
        let is_known = || self.keys().get(&purpose).is_some_and(|keys| keys.iter().any(|key| key.id == id));
        if is_known() {
            return;
        }
        let mut asked = self.asked.lock().await;
        let now = clock::stopwatch();
        // Whoever came before may have read it, and strangers can make up ids as fast as they like.
        if is_known() || asked.is_some_and(|at| now.duration_since(at) < ASKED_EVERY) {
            return;
        }
        *asked = Some(now);
        if let Err(error) = self.reload().await {
            tracing::warn!(?error, "the signing keys could not be read again");
        }
    }

    /// The key that signs now, with its id.
    pub(crate) fn current(&self, purpose: Purpose) -> Result<(String, [u8; 32]), Error> {
        let (keys, now_ms) = (self.keys(), self.clock.now_ms());
        let keys = keys.get(&purpose).map_or(&[][..], Vec::as_slice);
        // The first one signs also where the clock was set back behind its making.
        let key = keys.iter().rfind(|key| key.signs_from_ms <= now_ms).or(keys.first());
        let key = key.ok_or_else(|| Error::internal("a signing key is missing"))?;
        Ok((key.id.clone(), key.secret))
    }

    /// A key by its id, for verifying.
    pub(crate) fn by_id(&self, purpose: Purpose, id: &str) -> Option<[u8; 32]> {
        let now_ms = self.clock.now_ms();
        let keys = self.keys();
        let key = keys.get(&purpose)?.iter().find(|key| key.id == id && key.verifies_at(now_ms))?;
        Some(key.secret)
    }

    /// All keys of a purpose that verify, with their ids, oldest first.
    pub(crate) fn all(&self, purpose: Purpose) -> Vec<(String, [u8; 32])> {
        let now_ms = self.clock.now_ms();
        let keys = self.keys();
        let verifying = keys.get(&purpose).into_iter().flatten().filter(|key| key.verifies_at(now_ms));
        verifying.map(|key| (key.id.clone(), key.secret)).collect()
    }

    /// HMAC-SHA256 under the current key of a purpose, with the key's id.
    pub(crate) fn sign(&self, purpose: Purpose, message: &[u8]) -> Result<(String, [u8; 32]), Error> {
        let (id, key) = self.current(purpose)?;
        Ok((id, mac(&key, message)))
    }

    /// Whether a tag was made by [`Keyring::sign`] with that key.
    pub(crate) fn verify(&self, purpose: Purpose, id: &str, message: &[u8], tag: &[u8]) -> bool {
        let key = self.by_id(purpose, id);
        key.is_some_and(|key| rynjer_core::key::constant_time_eq(&mac(&key, message), tag))
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, rows: Vec<SecretRow>) -> Result<(), Error> {
        let keys = Arc::new(unsealed(&self.master_key, rows, self.lives)?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

impl Key {
    fn verifies_at(&self, now_ms: i64) -> bool {
        self.ends_at_ms.is_none_or(|at| now_ms < at)
    }
}

/// Fresh sealed keys.
fn candidates(
    master_key: &[u8; 32],
    purposes: &[Purpose],
    if_made_until_ms: i64,
) -> Result<Vec<Candidate>, Error> {
    let sealing = sealing_key(master_key)?;
    let fresh = |purpose: &Purpose| {
        let secret: [u8; 32] = entropy::bytes();
        let id: String = entropy::bytes::<6>().iter().map(|byte| format!("{byte:02x}")).collect();
        let sealed = seal(&sealing, *purpose, &id, &secret)?;
        Ok(Candidate { purpose: purpose.as_str(), id, sealed, if_made_until_ms })
    };
    purposes.iter().map(fresh).collect()
}

/// The keys of stored rows, which are in the order of their making. All nodes get the same times from them.
fn unsealed(master_key: &[u8; 32], rows: Vec<SecretRow>, lives: Lives) -> Result<Keys, Error> {
    let sealing = sealing_key(master_key)?;
    let mut all = Keys::new();
    for row in rows {
        let Some(purpose) = Purpose::ALL.into_iter().find(|p| p.as_str() == row.purpose) else { continue };
        let secret = unseal(&sealing, purpose, &row.id, row.sealed)?;
        let keys = all.entry(purpose).or_default();
        // The first one has nobody who could sign until all nodes know it.
        let fresh_ms = if keys.is_empty() { 0 } else { FRESH_MS };
        let signs_from_ms = row.created_at_ms.saturating_add(fresh_ms);
        if let (Some(before), Some(verifies_ms)) = (keys.last_mut(), purpose.verifies_ms(lives.url_ms)) {
            before.ends_at_ms = Some(signs_from_ms.saturating_add(verifies_ms));
        }
        let made_at_ms = row.created_at_ms;
        keys.push(Key { id: row.id, secret, made_at_ms, signs_from_ms, ends_at_ms: None });
    }
    Ok(all)
}

/// Whether a master key opens all of these; purposes of newer versions aside.
pub(crate) fn opens(rows: &[secret::SecretRow], master_key: &[u8; 32]) -> bool {
    let Ok(sealing) = sealing_key(master_key) else { return false };
    rows.iter().all(|row| {
        let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == row.purpose);
        purpose.is_none_or(|purpose| unseal(&sealing, purpose, &row.id, row.sealed.clone()).is_ok())
    })
}

pub(crate) fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
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

/// Bound to its purpose and id, so that rows can't be swapped.
fn seal(key: &RandomizedNonceKey, purpose: Purpose, id: &str, secret: &[u8; 32]) -> Result<Vec<u8>, Error> {
    seal_bytes(key, &context(purpose, id), secret)
}

/// Twelve bytes of nonce, then ciphertext and tag.
fn seal_bytes(key: &RandomizedNonceKey, context: &str, secret: &[u8]) -> Result<Vec<u8>, Error> {
    let mut data = secret.to_vec();
    let nonce = key
        .seal_in_place_append_tag(Aad::from(context), &mut data)
        .map_err(|_| Error::internal("sealing failed"))?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.extend(data);
    Ok(sealed)
}

fn unseal(key: &RandomizedNonceKey, purpose: Purpose, id: &str, sealed: Vec<u8>) -> Result<[u8; 32], Error> {
    let plain = unseal_bytes(key, &context(purpose, id), sealed).unwrap_or_default();
    plain.try_into().map_err(|_| {
        Error::internal(
            "the stored keys can't be opened with this master key: start with the master key that this \
             installation was made with (RYNJER_MASTER_KEY, or master.key in the data folder)",
        )
    })
}

fn unseal_bytes(key: &RandomizedNonceKey, context: &str, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
    let nonce: [u8; 12] = sealed.get(..12)?.try_into().ok()?;
    let mut data = sealed.split_off(12);
    let nonce = aws_lc_rs::aead::Nonce::from(&nonce);
    let plain = key.open_in_place(nonce, Aad::from(context), &mut data).ok()?;
    Some(plain.to_vec())
}

fn small_context(small: Small, id: &str) -> String {
    format!("rynjer {} {id}", small.as_str())
}

fn context(purpose: Purpose, id: &str) -> String {
    format!("rynjer {} {id}", purpose.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rynjer_store::{Settings, StoreError};

    const LIVES: Lives = Lives { rotate_days: 90, url_ms: 7 * DAY_MS };

    fn store(folder: &std::path::Path) -> Store {
        let (path, writer_id) = (folder.join("rynjer.db"), "test".to_owned());
        let settings = Settings {
            database: rynjer_store::Database::Sqlite(path),
            reader_threads: 1,
            writer_threads: 1,
            queue_capacity: 64,
            batch_max: 64,
            writer_id,
            notify: false,
        };
        Store::open(&settings, 0).unwrap()
    }

    fn ids(keyring: &Keyring) -> Vec<String> {
        let of = |purpose: Purpose| keyring.all(purpose).into_iter().map(|(id, _)| id);
        Purpose::ALL.into_iter().flat_map(of).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nodes_that_start_or_rotate_at_once_have_the_same_keys() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (store(folder.path()), store(folder.path()));
        let clock = Clock::manual(0);
        let open = |store| Keyring::open(store, &[7; 32], &clock, LIVES);
        let (one, two) = tokio::join!(open(&one), open(&two));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!((ids(&one).len(), ids(&one)), (5, ids(&two)));
        for round in 1..=3 {
            clock.advance(Duration::from_secs(90 * 86_400));
            let (first, second) = tokio::join!(one.rotate(), two.rotate());
            assert_eq!((first, second), (Ok(()), Ok(())));
            one.reload().await.unwrap();
            assert_eq!(ids(&one), ids(&two), "round {round}");
            assert_eq!(one.all(Purpose::Receipt).len(), round + 1);
            assert_eq!((one.all(Purpose::Token).len(), one.all(Purpose::Refresh).len()), (2, 1));
        }
    }

    #[tokio::test]
    async fn small_secrets_open_for_whom_they_were_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(0);
        let keyring = Keyring::open(&store(folder.path()), &[7; 32], &clock, LIVES).await.unwrap();
        let sealed = keyring.seal(Small::OneTimeCodes, "a", b"secret").unwrap();
        assert_ne!(sealed, keyring.seal(Small::OneTimeCodes, "a", b"secret").unwrap());
        assert_eq!(keyring.unseal(Small::OneTimeCodes, "a", sealed.clone()), Ok(b"secret".to_vec()));
        assert!(keyring.unseal(Small::OneTimeCodes, "b", sealed.clone()).is_err());
        assert!(keyring.unseal(Small::Provider, "a", sealed.clone()).is_err());
        assert!(keyring.unseal(Small::OneTimeCodes, "a", sealed[1..].to_vec()).is_err());
        assert!(keyring.unseal(Small::OneTimeCodes, "a", Vec::new()).is_err());
    }

    /// A keyring keeps what it has when the stored keys can't be opened, and tells so.
    #[tokio::test]
    async fn keys_of_another_master_key_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let clock = Clock::manual(0);
        let keyring = Keyring::open(&store, &[7; 32], &clock, LIVES).await.unwrap();
        let known = ids(&keyring);
        assert!(Keyring::open(&store, &[8; 32], &clock, LIVES).await.is_err());
        let foreign = candidates(&[8; 32], &[Purpose::Token], i64::MAX).unwrap();
        let written: Result<_, StoreError> = store.write(move |tx| secret::renew(tx, &foreign, 0)).await;
        written.unwrap();
        assert!(keyring.reload().await.is_err());
        assert_eq!(ids(&keyring), known);
    }
}
