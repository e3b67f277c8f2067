//! Price versions in the database, and the catalog file that the next start uses.
//!
//! Invariant: a stored version never changes: all versions of a file are stored or none, and the file is
//! installed after them, whole. Not here: pricing (`core::catalog`).

use crate::app::admin::Admin;
use rynjer_core::catalog::Catalog;
use rynjer_store::{Store, StoreError, price};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Name of the installed catalog inside the data folder.
pub const CATALOG_FILE: &str = "catalog.toml";

/// A version of a file beside the one of its name in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptVersion {
    pub name: String,
    /// First seen now.
    pub new: bool,
}

/// What came of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The versions of the file, in its order.
    pub versions: Vec<KeptVersion>,
    /// Versions of the database that the file does not have: nobody can pin them any more.
    pub left_out: Vec<String>,
    /// Where the next start finds the file.
    pub installed: PathBuf,
}

/// Why a catalog's prices can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    #[error(
        "the prices of version {name} differ from those stored in the database: {differences}. Prices of a \
         version never change: give the new prices a new version name."
    )]
    Changed { name: String, differences: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("can't install the catalog as {0}: {1}")]
    Install(PathBuf, io::Error),
}

/// Stores every version of a catalog that is new; all or, if one differs from what is stored, none.
pub(crate) async fn keep(
    store: &Store,
    catalog: &Catalog,
    now_ms: i64,
) -> Result<Vec<KeptVersion>, PricesError> {
    let versions = catalog.price_versions().to_vec();
    store
        .write(move |tx| {
            let mut kept = Vec::new();
            for version in &versions {
                let (name, text) = (version.name.clone(), version.canonical_text());
                let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
                let new = match price::compare_or_store(tx, &name, &hash, &text, now_ms)? {
                    price::Comparison::New => true,
                    price::Comparison::Same => false,
                    price::Comparison::Changed { stored_text } => {
                        let differences = version.differences(&stored_text).join("; ");
                        return Err(PricesError::Changed { name, differences });
                    }
                };
                kept.push(KeptVersion { name, new });
            }
            Ok(kept)
        })
        .await
}

/// The catalog file that a folder's gateway uses where its settings name none.
#[must_use]
pub fn installed_catalog(data_dir: &Path) -> Option<PathBuf> {
    let path = data_dir.join(CATALOG_FILE);
    path.exists().then_some(path)
}

impl Admin {
    /// Stores the versions of a catalog, whose file is `text`, and installs it in `data_dir` for the next
    /// start.
    ///
    /// # Errors
    /// Prices that differ under a stored name; then nothing is changed.
    pub async fn prices_import(
        &self,
        catalog: &Catalog,
        text: &str,
        data_dir: &Path,
    ) -> Result<Imported, PricesError> {
        let installed = data_dir.join(CATALOG_FILE);
        let unusable = |error| PricesError::Install(installed.clone(), error);
        // Names that are stored are taken for ever: first everything that can fail.
        let partial = Partial::write(&installed, text).map_err(unusable)?;
        let versions = keep(&self.store, catalog, self.clock.now_ms()).await?;
        let stored = self.store.read(|tx| Ok::<_, PricesError>(price::names(tx)?)).await?;
        let left_out = stored.into_iter().filter(|name| catalog.price_version(name).is_none()).collect();
        partial.install(&installed).map_err(unusable)?;
        Ok(Imported { versions, left_out, installed })
    }
}

/// A file that is whole on the disk and not yet in its place; it goes away unless it is installed.
struct Partial(PathBuf);

impl Partial {
    fn write(path: &Path, text: &str) -> io::Result<Self> {
        let partial = Self(path.with_extension("toml.partial"));
        let mut file = File::create(&partial.0)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
        Ok(partial)
    }

    /// Puts the file in its place at once: a start in between finds the old one or the new one.
    fn install(self, path: &Path) -> io::Result<()> {
        fs::rename(&self.0, path)?;
        // The new name is on the disk once the folder is.
        if cfg!(unix)
            && let Some(folder) = path.parent()
        {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After an install there is nothing left of that name.
        drop(fs::remove_file(&self.0));
    }
}
