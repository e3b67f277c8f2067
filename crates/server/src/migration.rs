//! What stands before a change of the schema: how old a database is, and the copy that is the way back.
//!
//! Invariant: no SQLite file that holds data is migrated before a checked copy of it lies beside it, whole
//! and synced. Not here: the steps (`store::migrate`), PostgreSQL, whose operator keeps backups.

use crate::gateway::StartError;
use rynjer_store::{Database, inspect, latest_schema};
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// Copies that are kept.
const COPIES_KEPT: usize = 2;
const MARK: &str = ".before-schema-";

/// What opening a database will do to its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// None where it is no file.
    pub database: Option<PathBuf>,
    /// The newest step in it; none if there is no schema yet.
    pub found: Option<i64>,
    pub latest: i64,
    /// The copy that is made first, if there is anything to change.
    pub copy: Option<PathBuf>,
}

/// Tells what would be done, and does nothing.
///
/// # Errors
/// No database there, or one that can't be read.
pub fn plan(data_dir: &Path, database_url: Option<&str>) -> Result<Plan, StartError> {
    match crate::database::of_url(data_dir, database_url.unwrap_or(""))? {
        Database::Sqlite(path) if !path.exists() => Err(StartError::NoDatabase(path)),
        Database::Sqlite(path) => plan_of(&path),
        server @ Database::Postgres(_) => {
            let found = inspect::schema_of(&server);
            let found = found.map_err(|error| StartError::Database("on PostgreSQL".to_owned(), error))?;
            Ok(Plan { database: None, found, latest: latest_schema(), copy: None })
        }
    }
}

fn plan_of(path: &Path) -> Result<Plan, StartError> {
    let latest = latest_schema();
    let found = if fs::metadata(path).is_ok_and(|file| file.len() > 0) {
        inspect::schema(path).map_err(|error| StartError::Database(path.display().to_string(), error))?
    } else {
        None
    };
    let older = found.is_some_and(|found| found < latest);
    let copy = older.then(|| with_end(path, &format!("{MARK}{latest}")));
    Ok(Plan { database: Some(path.to_owned()), found, latest, copy })
}

/// Copies a database whose schema is older than this program's, and removes copies that are too many.
pub(crate) fn keep_copy(database: &Database) -> Result<(), StartError> {
    let Database::Sqlite(path) = database else { return Ok(()) };
    let plan = plan_of(path)?;
    let (Some(copy), Some(found)) = (plan.copy, plan.found) else { return Ok(()) };
    let failed = |error: String| StartError::NoCopy(path.to_owned(), error);
    let partial = with_end(&copy, ".partial");
    let made =
        make(path, &partial).and_then(|()| publish(&partial, &copy).map_err(|error| error.to_string()));
    if let Err(error) = made {
        drop(fs::remove_file(&partial));
        return Err(failed(error));
    }
    let (copy, latest) = (copy.display(), plan.latest);
    tracing::info!(%copy, from_schema = found, to_schema = latest, "copied before the migration");
    // A copy too many takes room and nothing else.
    drop(prune(path));
    Ok(())
}

fn make(path: &Path, partial: &Path) -> Result<(), String> {
    // What a start left that was killed here.
    drop(fs::remove_file(partial));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(partial).map_err(|error| error.to_string())?;
    inspect::copy(path, partial).map_err(|error| error.to_string())
}

/// Makes the copy durable under its name. An older one of that name is of a migration that was taken back.
fn publish(partial: &Path, copy: &Path) -> io::Result<()> {
    File::open(partial)?.sync_all()?;
    fs::rename(partial, copy)?;
    let folder = copy.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn prune(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let start = format!("{}{MARK}", path.file_name().unwrap_or_default().to_string_lossy());
    let mut copies = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let schema = entry.file_name().to_string_lossy().strip_prefix(&start).map(str::parse::<i64>);
        if let Some(Ok(schema)) = schema {
            copies.push((schema, entry.path()));
        }
    }
    copies.sort();
    let too_many = copies.len().saturating_sub(COPIES_KEPT);
    copies.iter().take(too_many).try_for_each(|(_, copy)| fs::remove_file(copy))
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}
