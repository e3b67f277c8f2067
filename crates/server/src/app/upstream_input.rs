//! Pictures of requests that a vendor fetches from us by a signed URL.
//!
//! Invariant: a URL opens the very bytes that we looked into, for the time of one task, and says nothing of
//! where they came from. Not here: which vendors fetch (`providers`); old ones, which the sweep takes.

use crate::{
    app::{
        Error,
        link::{self, Kind, Signature, Stored},
    },
    objects,
    state::App,
};
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, path::Path};
use rynjer_core::{
    catalog::Mode,
    id::{AccountId, TaskId},
    time::HOUR_MS,
};
use rynjer_providers::{InputForm, InputImage};
use rynjer_store::lease::Leased;
use sha2::{Digest, Sha256};

/// The URLs' folder, and what their objects' keys begin with.
const FOLDER: &str = "inputs";

/// Whether the vendor of a task fetches its pictures.
pub(crate) fn are_fetched(app: &App, task: &Leased) -> bool {
    let starts_from_pictures = Mode::parse(&task.mode).is_some_and(Mode::takes_images);
    let provider = app.providers.get(&task.provider);
    starts_from_pictures && provider.is_some_and(|one| one.input_form(&task.vendor_model) == InputForm::Url)
}

/// Stores the pictures of a task and gives each its URL.
pub(crate) async fn hand_over(app: &App, task: &Leased, images: &mut [InputImage]) -> Result<(), Error> {
    // A vendor may come late, but never after the task's time and a little more.
    let expires_s = (task.deadline_at_ms + HOUR_MS).div_euclid(1000);
    for image in images {
        let bytes = image.bytes.clone();
        let hash = tokio::task::spawn_blocking(move || Sha256::digest(&bytes)).await;
        let hash: String = hash.map_err(Error::internal)?.iter().map(|byte| format!("{byte:02x}")).collect();
        let extension = image.mime.trim_start_matches("image/");
        let path = format!("{}/{}/{hash}.{extension}", task.account, task.id);
        let put = app.outputs.put(&format!("{FOLDER}/{path}"), image.mime, &image.bytes).await;
        put.map_err(|error| Error::storage("write", &error))?;
        image.url = Some(link::url(app, Kind::Input, &path, expires_s)?);
    }
    Ok(())
}

/// Deletes the pictures of a task that needs them no more; what is left over, the sweep takes.
pub(crate) async fn forget(app: &App, account: &AccountId, task: &TaskId) {
    delete(app, format!("{FOLDER}/{account}/{task}")).await;
}

/// Deletes those of all tasks of an account that has none under way.
pub(crate) async fn forget_all(app: &App, account: &AccountId) {
    delete(app, format!("{FOLDER}/{account}")).await;
}

async fn delete(app: &App, folder: String) {
    let folder = Path::from(folder);
    let found: Result<Vec<_>, _> = app.outputs.list(Some(&folder)).try_collect().await;
    match found {
        Ok(found) => {
            let keys: Vec<String> = found.into_iter().map(|object| object.location.to_string()).collect();
            app.outputs.remove_all(&keys).await;
        }
        Err(error) => objects::failed("list", &error),
    }
}

/// The picture of a URL, if it is genuine, not expired and still there.
pub(crate) async fn open(app: &App, path: &str, signature: &Signature) -> Result<Stored, Error> {
    link::check(app, Kind::Input, path, signature).await?;
    let object_key = format!("{FOLDER}/{path}");
    let found = app.outputs.head(&Path::from(object_key.as_str())).await.map_err(|_| Error::NotFound)?;
    let name = path.rsplit('/').next().unwrap_or_default();
    let (sha256, extension) = name.split_once('.').ok_or(Error::NotFound)?;
    Ok(Stored {
        object_key,
        mime: format!("image/{extension}"),
        bytes: found.size,
        sha256: sha256.to_owned(),
        file_name: format!("input.{extension}"),
    })
}
