//! An installation as it lies there, for diagnosis: its folder, its keys, its prices, its bucket.
//!
//! Invariant: looking changes nothing that stays, also while a gateway runs. Not here: starting one
//! (`gateway`).

use crate::{
    config::Config,
    data_dir::{self, DataDirError},
    gateway::{self, StartError},
    keyring, objects,
};
use rynjer_store::{Database, inspect::Inspection, secret::SecretRow};
use std::path::{Path, PathBuf};

/// Whether a gateway holds the folder now.
///
/// # Errors
/// The folder can't be used.
pub fn is_held(dir: &Path) -> Result<bool, DataDirError> {
    if !data_dir::lock_file(dir).exists() {
        return Ok(false);
    }
    match data_dir::hold(dir) {
        Ok(_) => Ok(false),
        Err(DataDirError::Locked(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Where the folder's master key is kept; it may not be there yet.
#[must_use]
pub fn master_key_file(dir: &Path) -> PathBuf {
    data_dir::master_key_file(dir)
}

/// The folder's master key; none if it was never made.
///
/// # Errors
/// The file can't be read or holds no key.
pub fn master_key(dir: &Path) -> Result<Option<[u8; 32]>, DataDirError> {
    if !data_dir::master_key_file(dir).exists() {
        return Ok(None);
    }
    data_dir::master_key(dir).map(Some)
}

/// The database of an installation.
///
/// # Errors
/// A URL that this version does not take.
pub fn database(data_dir: &Path, url: &str) -> Result<Database, StartError> {
    crate::database::of_url(data_dir, url)
}

/// Whether a master key opens every stored key.
#[must_use]
pub fn opens(secrets: &[SecretRow], master_key: &[u8; 32]) -> bool {
    keyring::opens(secrets, master_key)
}

/// Tries out the bucket that outputs go to, by a small object that does not stay, and tells its URL; none if
/// they go to a folder.
///
/// # Errors
/// One sentence that says what to do.
pub async fn object_storage(config: &Config, data_dir: &Path) -> Result<Option<String>, StartError> {
    if config.storage.url.is_local() {
        return Ok(None);
    }
    drop(objects::open(&config.storage, data_dir).await?);
    Ok(Some(config.storage.url.to_string()))
}

/// What differs between the catalog and the stored prices of a version of the same name, if anything does.
///
/// # Errors
/// The catalog itself is not usable.
pub fn price_differences(
    config: &Config,
    data_dir: &Path,
    inspection: &Inspection,
) -> Result<Option<(String, String)>, StartError> {
    let catalog = gateway::open_catalog(config, data_dir)?;
    for version in catalog.price_versions() {
        let stored = inspection.prices.iter().find(|(name, _)| *name == version.name);
        let differences = stored.map(|(_, text)| version.differences(text)).unwrap_or_default();
        if !differences.is_empty() {
            return Ok(Some((version.name.clone(), differences.join("; "))));
        }
    }
    Ok(None)
}
