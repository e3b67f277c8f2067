//! The database of an installation: which one a URL means, and opening it.
//!
//! Invariant: an error repeats nothing of a URL that may be a password. Not here: what a database does
//! (`rynjer_store`).

use crate::{config, data_dir::DATABASE_FILE, gateway::StartError};
use rynjer_store::{Database, Link, Settings, Store};
use std::path::{Path, PathBuf};

/// The database of a URL; without one, the file in the data folder.
pub(crate) fn of_url(data_dir: &Path, url: &str) -> Result<Database, StartError> {
    if url.is_empty() {
        return Ok(Database::Sqlite(data_dir.join(DATABASE_FILE)));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Database::Postgres(Box::new(Link::parse(url)?)));
    }
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
    match path.filter(|path| !path.is_empty()) {
        Some(path) => Ok(Database::Sqlite(PathBuf::from(path))),
        // Only what can't hold a password is repeated.
        None => {
            Err(StartError::DatabaseUrl(url.split_once("://").map_or("", |(scheme, _)| scheme).to_owned()))
        }
    }
}

/// How an operator's command uses a database.
pub(crate) const ADMIN: config::Threads =
    config::Threads { reader_threads: 1, writer_threads: 1, queue_capacity: 64, batch_max: 64 };

pub(crate) fn open(
    database: Database,
    threads: &config::Threads,
    notify: bool,
    now_ms: i64,
) -> Result<Store, StartError> {
    let name = match &database {
        Database::Sqlite(path) => path.display().to_string(),
        Database::Postgres(_) => "on PostgreSQL".to_owned(),
    };
    let settings = Settings {
        database,
        reader_threads: threads.reader_threads,
        writer_threads: threads.writer_threads,
        queue_capacity: threads.queue_capacity,
        batch_max: threads.batch_max,
        writer_id: data_encoding::HEXLOWER.encode(&crate::entropy::bytes::<8>()),
        notify,
    };
    Store::open(&settings, now_ms).map_err(|error| StartError::Database(name, error))
}
