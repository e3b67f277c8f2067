//! A bucket of S3 as the settings and the environment name it.
//!
//! Invariant: each call ends within seconds or makes progress, and nothing but credentials and the region
//! comes from the environment. Not here: trying it out (`health`).

use crate::config::Storage;
use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey},
    path::Path as Key,
    prefix::PrefixStore,
};
use std::{path::Path, time::Duration};
use url::Url;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nothing may come while something is waited for; a part must be sent in that time.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// After this nothing is tried again. A task tries again by itself.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);
const RETRIES: usize = 3;
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Variables that give credentials. Others, such as AWS_ENDPOINT_URL, would change where files go.
const CREDENTIALS: [&str; 12] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_METADATA_ENDPOINT",
    "AWS_IMDSV1_FALLBACK",
];

/// Those that give them by themselves; without one of them only the machine's role is left.
const SOURCES: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether credentials are given, not only hoped for from the machine's role.
pub(super) fn has_credentials(settings: &Storage) -> bool {
    let given = !settings.access_key_id.is_empty() || settings.access_key_id_file.is_some();
    given || SOURCES.iter().any(|name| variable(name).is_some())
}

/// The region that is asked.
pub(super) fn region(settings: &Storage) -> String {
    let named = Some(settings.region.clone()).filter(|region| !region.is_empty());
    let named = named.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
    named.unwrap_or_else(|| "us-east-1".to_owned())
}

/// A client of the bucket, below its prefix. Nothing is sent yet.
pub(super) fn connect(settings: &Storage) -> Result<PrefixStore<AmazonS3>, String> {
    let options = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_read_timeout(READ_TIMEOUT)
        // A whole download lasts as long as its reader takes.
        .with_timeout_disabled()
        // The client can't be told to use no proxy, and asks the environment unless it has one: this one
        // answers nobody, and is used for no host.
        .with_proxy_url("http://127.0.0.1:9")
        .with_proxy_excludes("*,0.0.0.0/0,::/0")
        .with_allow_http(settings.endpoint.starts_with("http://"));
    let retry = RetryConfig {
        backoff: BackoffConfig { init_backoff: BACKOFF.0, max_backoff: BACKOFF.1, base: 2.0 },
        max_retries: RETRIES,
        retry_timeout: RETRY_TIMEOUT,
    };
    let bucket = &settings.url.bucket;
    let builder = with_credentials(settings)?
        .with_bucket_name(bucket)
        .with_region(region(settings))
        // A request for each object: some storages know no other way, and it costs nothing.
        .with_disable_bulk_delete(true)
        .with_client_options(options)
        .with_retry(retry);
    let builder = match (settings.endpoint.as_str(), settings.path_style) {
        // A name with dots fits no certificate.
        ("", _) => builder.with_virtual_hosted_style_request(!bucket.contains('.')),
        (endpoint, true) => builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false),
        (endpoint, false) => {
            let endpoint = hosted(endpoint, bucket)?;
            builder.with_endpoint(endpoint).with_virtual_hosted_style_request(true)
        }
    };
    let store = builder.build().map_err(|error| format!("storage.url can't be used: {error}"))?;
    Ok(PrefixStore::new(store, Key::from(settings.url.prefix.as_str())))
}

/// The endpoint by the bucket's name.
fn hosted(endpoint: &str, bucket: &str) -> Result<String, String> {
    let refused = "storage.path_style = false needs a storage.endpoint with a name, not an address";
    let mut url = Url::parse(endpoint).map_err(|_| refused.to_owned())?;
    let host = url.domain().map(|name| format!("{bucket}.{name}")).ok_or_else(|| refused.to_owned())?;
    url.set_host(Some(&host)).map_err(|_| refused.to_owned())?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn with_credentials(settings: &Storage) -> Result<AmazonS3Builder, String> {
    let key_id = given("access_key_id", &settings.access_key_id, settings.access_key_id_file.as_deref())?;
    let secret = settings.secret_access_key.expose();
    let secret = given("secret_access_key", secret, settings.secret_access_key_file.as_deref())?;
    let mut builder = AmazonS3Builder::new();
    if let (Some(key_id), Some(secret)) = (key_id, secret) {
        return Ok(builder.with_access_key_id(key_id).with_secret_access_key(secret));
    }
    for name in CREDENTIALS {
        let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().ok();
        if let (Some(key), Some(value)) = (key, variable(name)) {
            builder = builder.with_config(key, value);
        }
    }
    Ok(builder)
}

/// A setting, or what its file holds.
fn given(key: &str, text: &str, file: Option<&Path>) -> Result<Option<String>, String> {
    let Some(file) = file else { return Ok(Some(text.to_owned()).filter(|text| !text.is_empty())) };
    let unusable = |problem: String| format!("storage.{key}_file {}: {problem}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
    match text.trim() {
        "" => Err(unusable("the file is empty".to_owned())),
        text => Ok(Some(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_by_its_name() {
        assert_eq!(hosted("https://s3.example:9000", "b").unwrap(), "https://b.s3.example:9000");
        assert!(hosted("http://127.0.0.1:9000", "b").is_err());
    }

    #[test]
    fn a_secret_in_a_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("s3");
        assert_eq!(given("secret_access_key", "", None), Ok(None));
        assert_eq!(given("secret_access_key", "a", None), Ok(Some("a".to_owned())));
        std::fs::write(&file, "hunter2\n").unwrap();
        assert_eq!(given("secret_access_key", "", Some(&file)), Ok(Some("hunter2".to_owned())));
        std::fs::write(&file, "\n").unwrap();
        let empty = format!("storage.secret_access_key_file {}: the file is empty", file.display());
        assert_eq!(given("secret_access_key", "", Some(&file)), Err(empty));
    }

    #[test]
    fn every_variable_is_known() {
        for name in CREDENTIALS {
            assert!(name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().is_ok(), "{name}");
        }
    }
}
