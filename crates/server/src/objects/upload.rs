//! Writing objects: small ones at once, large ones in parts.
//!
//! Invariant: a few parts are in memory at most, an object is there in full or not at all, and an upload that
//! does not end is aborted. Not here: what is written.

use super::Objects;
use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use object_store::{
    Error, MultipartUpload, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, UploadPart,
    path::Path as Key,
};

/// Above this an object goes to a bucket in parts. S3 takes no smaller ones, and larger ones would not pass a
/// slow line before `s3::READ_TIMEOUT`.
const PART_BYTES: usize = 5 << 20;
/// S3 takes no more parts of one object.
const PARTS_MAX: usize = 10_000;
/// Parts of one object under way at once.
const PARTS_AT_ONCE: usize = 3;

/// An object that is being written. Dropped before its end it is aborted.
pub(crate) struct Upload<'a> {
    objects: &'a Objects,
    key: Key,
    bytes: u64,
    under_way: FuturesUnordered<UploadPart>,
    multipart: Option<Box<dyn MultipartUpload>>,
}

impl Objects {
    /// Writes an object that is in memory, and makes sure that it is there.
    pub(crate) async fn put(&self, key: &str, mime: &'static str, bytes: &Bytes) -> Result<(), Error> {
        if self.is_bucket() && bytes.len() > PART_BYTES {
            return self.put_in_parts(key, mime, bytes).await;
        }
        self.folder_of(key).await?;
        let (key, attributes) = (Key::from(key), self.attributes(mime));
        let options = PutOptions { attributes, ..PutOptions::default() };
        self.store.put_opts(&key, PutPayload::from_bytes(bytes.clone()), options).await?;
        self.check(&key, bytes.len() as u64).await
    }

    async fn put_in_parts(&self, key: &str, mime: &'static str, bytes: &Bytes) -> Result<(), Error> {
        let mut upload = self.begin(key, mime).await?;
        // Slices share the memory of the whole.
        let part_bytes = part_bytes(bytes.len() as u64);
        let mut rest = bytes.clone();
        while !rest.is_empty() {
            let part = rest.split_to(part_bytes.min(rest.len()));
            upload.part(part, PARTS_AT_ONCE).await?;
        }
        upload.complete().await
    }

    /// Begins an object whose parts come one after the other, all of one size but the last.
    pub(crate) async fn begin(&self, key: &str, mime: &'static str) -> Result<Upload<'_>, Error> {
        let key = Key::from(key);
        let options =
            PutMultipartOptions { attributes: self.attributes(mime), ..PutMultipartOptions::default() };
        let multipart = self.store.put_multipart_opts(&key, options).await?;
        let under_way = FuturesUnordered::new();
        Ok(Upload { objects: self, key, bytes: 0, under_way, multipart: Some(multipart) })
    }

    /// What was answered as written is there, as long as it must be.
    pub(super) async fn check(&self, key: &Key, bytes: u64) -> Result<(), Error> {
        let found = self.store.head(key).await?.size;
        if found == bytes {
            return Ok(());
        }
        let problem = format!("an object has {found} bytes instead of {bytes}");
        Err(Error::Generic { store: "objects", source: problem.into() })
    }
}

/// How large the parts of an object are.
pub(super) fn part_bytes(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(PARTS_MAX as u64)).unwrap_or(usize::MAX).max(PART_BYTES)
}

impl Upload<'_> {
    /// Sends a part; `at_once` parts may be under way when this returns, less one.
    pub(crate) async fn part(&mut self, part: Bytes, at_once: usize) -> Result<(), Error> {
        self.bytes += part.len() as u64;
        if let Some(multipart) = &mut self.multipart {
            self.under_way.push(multipart.put_part(PutPayload::from_bytes(part)));
        }
        while self.under_way.len() >= at_once.max(1) {
            self.under_way.next().await.transpose()?;
        }
        Ok(())
    }

    /// Gives up.
    pub(crate) async fn abort(mut self) {
        if self.objects.is_bucket() {
            return;
        }
        if let Some(mut multipart) = self.multipart.take() {
            self.under_way.clear();
            drop(multipart.abort().await);
        }
    }

    /// Makes the object appear, and makes sure that it is there.
    pub(crate) async fn complete(mut self) -> Result<(), Error> {
        while let Some(part) = self.under_way.next().await {
            part?;
        }
        if let Some(multipart) = &mut self.multipart {
            multipart.complete().await?;
        }
        self.multipart = None;
        self.objects.check(&self.key, self.bytes).await
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        let Some(mut multipart) = self.multipart.take() else { return };
        self.under_way.clear();
        // A folder's own forgets itself. A bucket keeps parts, and asks for their price, until it is told.
        if self.objects.is_bucket() {
            self.objects.aborts.spawn(async move {
                if let Err(error) = multipart.abort().await {
                    super::failed("abort", &error);
                }
            });
        }
    }
}
