//! Sections `[storage]` and `[catalog]`: where outputs go and where models and prices come from.
//!
//! Invariant: `None` means the default place, which only the data folder's owner knows; the secret key is
//! never printed. Not here: file access, S3 itself (`objects`).

use std::fmt;
use std::path::PathBuf;

use rynjer_providers::host::{Place, place};
use serde::{Serialize, Serializer};
use url::Url;

use super::error::ConfigError;
use super::reader::Reader;
use super::server::text_or_empty;

/// Where outputs go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Storage {
    pub url: ObjectUrl,
    /// Without a slash at its end; empty: AWS.
    pub endpoint: String,
    pub allow_http: bool,
    /// Empty: what the environment names.
    pub region: String,
    pub path_style: bool,
    pub downloads: Downloads,
    /// Empty: the credentials of the environment.
    pub access_key_id: String,
    #[serde(serialize_with = "text_or_empty")]
    pub access_key_id_file: Option<PathBuf>,
    pub secret_access_key: SecretText,
    #[serde(serialize_with = "text_or_empty")]
    pub secret_access_key_file: Option<PathBuf>,
    /// `None`: the folder `outputs` in the data folder.
    #[serde(serialize_with = "text_or_empty")]
    pub path: Option<PathBuf>,
    pub max_output_bytes: u64,
}

/// Where models and prices come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Catalog {
    /// `None`: the catalog installed in the data folder, else the compiled-in one.
    #[serde(serialize_with = "text_or_empty")]
    pub path: Option<PathBuf>,
}

/// A bucket and what all keys in it begin with; neither for a local folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectUrl {
    pub bucket: String,
    /// Without slashes at its ends.
    pub prefix: String,
}

impl ObjectUrl {
    /// Whether objects go to a local folder.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.bucket.is_empty()
    }

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let (bucket, prefix) =
            text.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")))?;
        let prefix = prefix.trim_end_matches('/');
        let in_bucket = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        let in_prefix = |letter: char| in_bucket(letter);
        let segments_fit = prefix.is_empty()
            || prefix.split('/').all(|part| !matches!(part, "" | "." | "..") && part.chars().all(in_prefix));
        let fits = !bucket.is_empty() && bucket.chars().all(in_bucket) && segments_fit;
        fits.then(|| Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bucket.as_str(), self.prefix.as_str()) {
            ("", _) => Ok(()),
            (bucket, "") => write!(f, "s3://{bucket}"),
            (bucket, prefix) => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

impl Serialize for ObjectUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How a signed URL gives its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Downloads {
    /// Its bytes pass through the gateway.
    Stream,
    /// It leads to a URL of the object storage itself.
    Redirect,
}

/// A secret of the settings; printing it shows whether there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text itself, for the one place that signs with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn masked(&self) -> &'static str {
        if self.0.is_empty() { "" } else { "***" }
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.masked(), f)
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.masked())
    }
}

impl Storage {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        let url = section.text("url")?;
        let form = || section.invalid("url", format!("must be empty or s3://BUCKET/PREFIX, but is {url:?}"));
        let url = ObjectUrl::parse(url).ok_or_else(form)?;
        let allow_http = section.truth("allow_http")?;
        Ok(Self {
            url,
            endpoint: endpoint(section, allow_http)?,
            allow_http,
            region: section.text("region")?.to_owned(),
            path_style: section.truth("path_style")?,
            downloads: downloads(section)?,
            access_key_id: section.text("access_key_id")?.to_owned(),
            access_key_id_file: section.path("access_key_id_file")?,
            secret_access_key: SecretText::new(section.text("secret_access_key")?),
            secret_access_key_file: section.path("secret_access_key_file")?,
            path: section.path("path")?,
            max_output_bytes: section.whole("max_output_bytes", 1024..=1 << 40)?,
        })
    }

    /// What contradicts itself among these settings.
    pub(super) fn problem(&self) -> Option<String> {
        let key_id = !self.access_key_id.is_empty();
        let secret = self.secret_access_key != SecretText(String::new());
        if key_id && self.access_key_id_file.is_some() {
            return Some(
                "storage.access_key_id and storage.access_key_id_file are both set; keep one".to_owned(),
            );
        }
        if secret && self.secret_access_key_file.is_some() {
            let both = "storage.secret_access_key and storage.secret_access_key_file are both set; keep one";
            return Some(both.to_owned());
        }
        let key_id = key_id || self.access_key_id_file.is_some();
        let secret = secret || self.secret_access_key_file.is_some();
        match (key_id, secret) {
            (true, false) => {
                return Some("storage.access_key_id needs storage.secret_access_key beside it".to_owned());
            }
            (false, true) => {
                return Some("storage.secret_access_key needs storage.access_key_id beside it".to_owned());
            }
            (true, true) | (false, false) => {}
        }
        if !self.url.is_local() {
            let both = "storage.url and storage.path are both set: outputs are in S3 or in a folder";
            return self.path.is_some().then(|| both.to_owned());
        }
        let idle = [
            (!self.endpoint.is_empty(), "storage.endpoint"),
            (self.downloads == Downloads::Redirect, "storage.downloads = \"redirect\""),
            (key_id, "storage.access_key_id"),
        ];
        let (_, key) = idle.into_iter().find(|(set, _)| *set)?;
        Some(format!("{key} needs storage.url = \"s3://BUCKET/PREFIX\""))
    }
}

fn downloads(section: &Reader<'_>) -> Result<Downloads, ConfigError> {
    match section.text("downloads")? {
        "stream" => Ok(Downloads::Stream),
        "redirect" => Ok(Downloads::Redirect),
        other => {
            let form = format!("must be \"stream\" or \"redirect\", but is {other:?}");
            Err(section.invalid("downloads", form))
        }
    }
}

/// Credentials' signatures protect what is stored, but plain HTTP shows it to everybody on the way.
fn endpoint(section: &Reader<'_>, allow_http: bool) -> Result<String, ConfigError> {
    let text = section.text("endpoint")?;
    if text.is_empty() {
        return Ok(String::new());
    }
    let refused = |problem: &str| section.invalid("endpoint", problem.to_owned());
    let form = "must be a URL such as https://s3.example, without a password, query or bucket";
    let url = Url::parse(text).map_err(|_| refused(form))?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.path() == "/";
    if !bare || !url.has_host() || !matches!(url.scheme(), "http" | "https") {
        return Err(refused(form));
    }
    if url.scheme() == "http" && place(&url) != Place::Loopback && !allow_http {
        let problem = "is plain HTTP to another machine: take https, or set storage.allow_http = true in a \
                       network that nobody else reads";
        return Err(refused(problem));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

impl Catalog {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self { path: section.path("path")? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Loaded};
    use super::*;
    use std::path::Path;

    fn load(file: &str) -> Result<Loaded, ConfigError> {
        let file = format!("[storage]\n{file}");
        Config::load(Some((Path::new("r.toml"), &file)), std::iter::empty(), toml::Table::new())
    }

    #[test]
    fn what_is_no_storage() {
        let url = "storage.url must be empty or s3://BUCKET/PREFIX, but is";
        let form = "storage.endpoint must be a URL such as https://s3.example, without a password, query or \
                    bucket";
        let plain = "storage.endpoint is plain HTTP to another machine: take https, or set \
                     storage.allow_http = true in a network that nobody else reads";
        let rows = [
            ("url = \"gs://b\"", format!("{url} \"gs://b\"")),
            ("url = \"s3://\"", format!("{url} \"s3://\"")),
            ("url = \"s3://b/../c\"", format!("{url} \"s3://b/../c\"")),
            ("url = \"s3://b//c\"", format!("{url} \"s3://b//c\"")),
            ("url = \"s3://b/c?d\"", format!("{url} \"s3://b/c?d\"")),
            ("endpoint = \"s3.example\"", form.to_owned()),
            ("endpoint = \"https://a:b@s3.example\"", form.to_owned()),
            ("endpoint = \"https://s3.example/bucket\"", form.to_owned()),
            ("endpoint = \"http://s3.example\"", plain.to_owned()),
            ("endpoint = \"http://10.0.0.1:9000\"", plain.to_owned()),
            (
                "downloads = \"proxy\"",
                "storage.downloads must be \"stream\" or \"redirect\", but is \"proxy\"".to_owned(),
            ),
            (
                "url = \"s3://b\"\naccess_key_id = \"a\"",
                "storage.access_key_id needs storage.secret_access_key beside it".to_owned(),
            ),
            (
                "url = \"s3://b\"\nsecret_access_key_file = \"f\"",
                "storage.secret_access_key needs storage.access_key_id beside it".to_owned(),
            ),
            (
                "url = \"s3://b\"\naccess_key_id = \"a\"\naccess_key_id_file = \"f\"",
                "storage.access_key_id and storage.access_key_id_file are both set; keep one".to_owned(),
            ),
            (
                "url = \"s3://b\"\npath = \"/srv\"",
                "storage.url and storage.path are both set: outputs are in S3 or in a folder".to_owned(),
            ),
            (
                "downloads = \"redirect\"",
                "storage.downloads = \"redirect\" needs storage.url = \"s3://BUCKET/PREFIX\"".to_owned(),
            ),
            (
                "endpoint = \"https://s3.example\"",
                "storage.endpoint needs storage.url = \"s3://BUCKET/PREFIX\"".to_owned(),
            ),
        ];
        for (file, message) in rows {
            let refused = load(file).unwrap_err().to_string();
            assert!(refused.starts_with(&message), "{file}: {refused}");
        }
    }

    #[test]
    fn what_is_one() {
        let rows = [
            ("url = \"s3://b\"", "s3://b"),
            ("url = \"s3://my-bucket.eu/a/b/\"", "s3://my-bucket.eu/a/b"),
            ("url = \"s3://b\"\nendpoint = \"http://127.0.0.1:9000/\"", "s3://b"),
            ("url = \"s3://b\"\nendpoint = \"http://[::1]:9000\"", "s3://b"),
            ("url = \"s3://b\"\nendpoint = \"http://minio:9000\"\nallow_http = true", "s3://b"),
            ("", ""),
        ];
        for (file, url) in rows {
            assert_eq!(load(file).unwrap().config.storage.url.to_string(), url, "{file}");
        }
    }

    #[test]
    fn the_secret_key_is_not_printed() {
        let file = "url = \"s3://b\"\naccess_key_id = \"a\"\nsecret_access_key = \"hunter2\"";
        let config = load(file).unwrap().config;
        assert_eq!(config.storage.secret_access_key.expose(), "hunter2");
        let printed = format!("{config:?}{}", config.to_toml_text().unwrap());
        assert!(!printed.contains("hunter2") && printed.contains("secret_access_key = \"***\""), "{printed}");
    }
}
