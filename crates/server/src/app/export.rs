//! Everything that an account has, as one archive: tables as JSON and CSV, and the files.
//!
//! Invariant: each table is read in one snapshot and no table or file is held in memory; nothing secret is in
//! it. Not here: the archive's form (`tar`), the tables' rows (`tables`).

pub(crate) mod download;
mod tables;

use crate::{
    app::{Error, admin::Admin},
    config::Storage,
    objects::{self, Objects},
    tar,
};
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, path::Path as Key};
use rynjer_core::id::{AccountId, TaskId};
use rynjer_store::{
    Tx, export,
    file::{self, FileRow},
    output::OutputRow,
};
use serde_json::json;
use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Mutex,
};

/// Tasks, or uploads, whose files are looked up at once.
const TASKS_AT_ONCE: u32 = 200;

/// What an export holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    pub tasks: u64,
    pub entries: u64,
    /// Delivered files and uploaded ones.
    pub files: u64,
    pub uploads: u64,
    /// Files that rows name and that the storage no longer has.
    pub missing: Vec<String>,
}

/// Whether anybody still waits for an export, and its turn: one table is read at a time, since a reader is
/// busy with it until its end.
#[derive(Clone, Default)]
pub(crate) struct Course {
    tables: Arc<Mutex<()>>,
    is_given_up: Arc<AtomicBool>,
    /// What must outlive the reading of a table.
    turn: Option<Arc<dyn Send + Sync>>,
}

impl Course {
    /// Of a process that does nothing else.
    fn alone() -> Self {
        Self::default()
    }
}

/// A table's file, which nobody fills for somebody who is gone.
struct Wanted {
    file: std::fs::File,
    is_given_up: Arc<AtomicBool>,
}

impl Write for Wanted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.is_given_up.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("nobody waits for the export any more"));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Writes a table and tells how many rows it has.
type Table = fn(&mut dyn Tx, &AccountId, &mut dyn Write) -> Result<u64, Error>;

impl Admin {
    /// Writes everything of an account into a new file. `place` is where files are stored, and beside which
    /// data folder.
    ///
    /// # Errors
    /// No such account; a file that exists already; a storage that can't be read.
    pub async fn account_export(
        &self,
        id: &AccountId,
        place: (&Storage, &Path),
        file: &Path,
    ) -> Result<Exported, Error> {
        self.account_show(id).await?;
        let objects = objects::open(place.0, place.1).await;
        let objects = objects.map_err(|error| Error::field("storage", format!("can't be read: {error}")))?;
        let mut out = tokio::fs::File::from_std(private(file).map_err(|error| unwritable(file, &error))?);
        let mut scratch = file.as_os_str().to_owned();
        scratch.push(".part");
        let exported = self.export_to(id, &objects, (Path::new(&scratch), Course::alone()), &mut out).await;
        let synced = out.sync_all().await;
        if exported.is_err() {
            // Half of an archive would be taken for a whole one.
            drop(tokio::fs::remove_file(file).await);
        }
        let exported = exported?;
        synced.map_err(|error| unwritable(file, &error))?;
        Ok(exported)
    }

    /// The same to wherever it shall go. A table stands in the file `scratch` until its size is known.
    pub(crate) async fn export_to(
        &self,
        id: &AccountId,
        objects: &Objects,
        (scratch, course): (&Path, Course),
        out: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> Result<Exported, Error> {
        self.reach.check(Some(id))?;
        let scratch = Scratch(scratch.to_owned());
        let mut archive = Archive { admin: self, account: id, scratch: &scratch, course, out };
        let mut exported = Exported::default();
        for (name, table) in tables::SMALL {
            archive.table(name, table).await?;
        }
        exported.tasks = archive.table("tasks.jsonl", tables::tasks).await?;
        exported.entries = archive.table("ledger.jsonl", tables::ledger).await?;
        archive.table("usage.csv", tables::usage).await?;
        archive.table("audit.jsonl", tables::audit).await?;
        archive.table("purchases.jsonl", tables::purchases).await?;
        archive.table("notices.jsonl", tables::notices).await?;
        exported.uploads = archive.table("uploads.jsonl", tables::uploads).await?;
        archive.files(objects, &mut exported).await?;
        archive.uploads(objects, &mut exported).await?;
        archive.end().await?;
        let detail = json!({ "tasks": exported.tasks, "files": exported.files });
        self.note(Some(id), "account.exported", id.as_str(), detail).await?;
        Ok(exported)
    }
}

/// A new file that its owner alone may read: it holds prompts.
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::field("out", format!("{} can't be written: {error}", path.display()))
}

/// A file that goes with the export, however that ends.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

struct Archive<'a> {
    admin: &'a Admin,
    account: &'a AccountId,
    scratch: &'a Scratch,
    course: Course,
    out: &'a mut (dyn AsyncWrite + Unpin + Send),
}

impl Archive<'_> {
    /// A table, by way of the scratch file.
    async fn table(&mut self, name: &str, table: Table) -> Result<u64, Error> {
        let (account, path) = (self.account.clone(), self.scratch.0.clone());
        drop(tokio::fs::remove_file(&path).await);
        let course = self.course.clone();
        let place = Arc::clone(&course.tables).lock_owned().await;
        let rows = self.admin.store.read_at_length(move |tx| {
            // Both are free again when the table is done, whoever has gone meanwhile.
            let (_place, _turn) = (place, course.turn);
            let file = private(&path).map_err(|error| unwritable(&path, &error))?;
            let mut file = BufWriter::new(Wanted { file, is_given_up: course.is_given_up });
            let rows = table(tx, &account, &mut file)?;
            file.flush().map_err(|error| unwritable(&path, &error))?;
            Ok::<_, Error>(rows)
        });
        let rows = rows.await?;
        let mut file = tokio::fs::File::open(&self.scratch.0).await.map_err(Error::internal)?;
        let size = file.metadata().await.map_err(Error::internal)?.len();
        self.begin(name, size).await?;
        tokio::io::copy(&mut file, &mut self.out).await.map_err(Error::internal)?;
        self.pad(size).await?;
        Ok(rows)
    }

    /// All files that are still there.
    async fn files(&mut self, objects: &Objects, exported: &mut Exported) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let (account, from) = (self.account.clone(), after.clone());
            let page = self
                .admin
                .store
                .read(move |tx| Ok::<_, Error>(export::outputs(tx, &account, &from, TASKS_AT_ONCE)?));
            let page: Vec<(TaskId, Vec<OutputRow>)> = page.await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = last.to_string();
            for (task, outputs) in &page {
                for output in outputs {
                    let name = file_name(task, output);
                    if self.file(objects, &name, &output.object_key).await? {
                        exported.files += 1;
                    } else {
                        exported.missing.push(name);
                    }
                }
            }
        }
    }

    /// All uploads that are still there.
    async fn uploads(&mut self, objects: &Objects, exported: &mut Exported) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let (account, from) = (self.account.clone(), after.clone());
            let read =
                move |tx: &mut dyn Tx| Ok::<_, Error>(file::of_account(tx, &account, &from, TASKS_AT_ONCE)?);
            let page = self.admin.store.read(read).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id.to_string();
            for row in &page {
                let name = upload_name(row);
                if self.file(objects, &name, &row.object_key).await? {
                    exported.files += 1;
                } else {
                    exported.missing.push(name);
                }
            }
        }
    }

    /// One file; whether it is there.
    async fn file(&mut self, objects: &Objects, name: &str, object_key: &str) -> Result<bool, Error> {
        let found = match objects.get(&Key::from(object_key)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(Error::storage("get", &error)),
        };
        let size = found.meta.size;
        self.begin(name, size).await?;
        let (mut bytes, mut written) = (found.into_stream(), 0u64);
        while let Some(piece) = bytes.try_next().await.map_err(|error| Error::storage("get", &error))? {
            written += u64::try_from(piece.len()).map_err(Error::internal)?;
            self.out.write_all(&piece).await.map_err(Error::internal)?;
        }
        if written != size {
            return Err(Error::internal(format!("{name} has {written} bytes and not {size}")));
        }
        self.pad(size).await?;
        Ok(true)
    }

    async fn begin(&mut self, name: &str, size: u64) -> Result<(), Error> {
        let header = tar::header(name, size, self.admin.clock.now_ms() / 1000);
        let header = header.ok_or_else(|| Error::internal(format!("the name {name} is too long")))?;
        self.out.write_all(&header).await.map_err(Error::internal)
    }

    async fn pad(&mut self, size: u64) -> Result<(), Error> {
        let zeros = tar::END.get(..tar::padding(size)).unwrap_or_default();
        self.out.write_all(zeros).await.map_err(Error::internal)
    }

    async fn end(&mut self) -> Result<(), Error> {
        self.out.write_all(&tar::END).await.map_err(Error::internal)?;
        self.out.flush().await.map_err(Error::internal)
    }
}

/// Where an output's file stands in the archive.
fn file_name(task: &TaskId, output: &OutputRow) -> String {
    let extension = output.object_key.rsplit_once('.').map_or("bin", |(_, extension)| extension);
    format!("files/{task}/{}.{extension}", output.index)
}

/// Where an upload stands in the archive.
fn upload_name(file: &FileRow) -> String {
    let extension = file.object_key.rsplit_once('.').map_or("bin", |(_, extension)| extension);
    format!("uploads/{}.{extension}", file.id)
}
