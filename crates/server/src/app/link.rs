//! Signed URLs of stored objects: making and checking them.
//!
//! Invariant: a signature of one kind never opens an object of another; a URL opens exactly what it names
//! until it expires. Not here: whose object it is and whether it is still there (`output`, `file`).

use crate::{app::Error, keyring::Purpose, state::App};
use data_encoding::BASE64URL_NOPAD;

/// What a signed URL opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Output,
    File,
    /// A picture that a vendor fetches.
    Input,
}

impl Kind {
    /// The first segment of its URLs.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Output => "outputs",
            Self::File => "files",
            Self::Input => "inputs",
        }
    }

    /// The signed text. Its words never change: URLs in the hands of clients must go on working.
    fn message(self, path: &str, expires_s: i64) -> String {
        match self {
            Self::Output => format!("rynjer output {path} {expires_s}"),
            Self::File => format!("rynjer file {path} {expires_s}"),
            Self::Input => format!("rynjer input {path} {expires_s}"),
        }
    }
}

/// The signature's part of a URL.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) expires_s: i64,
    pub(crate) key: String,
    pub(crate) tag: String,
}

/// A stored object that a caller may read.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) object_key: String,
    pub(crate) mime: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// The name to save it under.
    pub(crate) file_name: String,
}

/// The URL of `path` below the folder of its kind.
pub(crate) fn url(app: &App, kind: Kind, path: &str, expires_s: i64) -> Result<String, Error> {
    let (key, tag) = app.keyring.sign(Purpose::Url, kind.message(path, expires_s).as_bytes())?;
    let (base, folder, tag) = (app.public_url(), kind.folder(), BASE64URL_NOPAD.encode(&tag));
    Ok(format!("{base}/{folder}/{path}?expires={expires_s}&key={key}&signature={tag}"))
}

/// Whether the URL of `path` is genuine and not expired.
pub(crate) async fn check(app: &App, kind: Kind, path: &str, signature: &Signature) -> Result<(), Error> {
    let tag = BASE64URL_NOPAD.decode(signature.tag.as_bytes()).map_err(|_| Error::NotFound)?;
    let message = kind.message(path, signature.expires_s);
    app.keyring.meet(Purpose::Url, &signature.key).await;
    if !app.keyring.verify(Purpose::Url, &signature.key, message.as_bytes(), &tag) {
        return Err(Error::NotFound);
    }
    if signature.expires_s.saturating_mul(1000) <= app.now_ms() {
        return Err(Error::UrlExpired);
    }
    Ok(())
}
