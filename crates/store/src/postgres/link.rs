//! Where a PostgreSQL server is and how it is reached: the URL, time-outs, TLS.
//!
//! Invariant: a password travels only over loopback, a socket file or TLS with a verified certificate, unless
//! the URL says `sslmode=disable`. Not here: what is said over the connection.

use crate::error::StoreError;
use postgres::{Client, Config, NoTls, config::Host, error::SqlState};
use std::{fmt, path::PathBuf, sync::Arc, time::Duration};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

/// A server that does not answer within these is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const SILENCE_TIMEOUT: Duration = Duration::from_secs(10);

/// A server's address with how to reach it; cheap to clone.
#[derive(Clone)]
pub struct Link {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("Link").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

/// Why a URL can't be used. Names no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error("the database URL is not understood: {0}")]
    Url(String),
    #[error(
        "the database URL says {0}, which is not taken: it would lead elsewhere than the host that is shown"
    )]
    Refused(String),
    #[error(
        "sslmode={0} is not offered: say verify-full (the default off this machine), or disable on a network \
         that you trust"
    )]
    SslMode(String),
    #[error("the certificates of {0} can't be used: {1}")]
    Roots(String, String),
}

impl Link {
    /// From `postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=verify-full&sslrootcert=FILE`. Without
    /// `sslmode`, connections within this machine are in the clear and all others verified.
    ///
    /// # Errors
    /// What of the URL can't be used.
    pub fn parse(url: &str) -> Result<Self, LinkError> {
        let (plain, ssl_mode, roots) = split(url)?;
        let mut config: Config = plain.parse().map_err(|error: postgres::Error| {
            // Its source says what is wrong; the URL itself stays out.
            let source = std::error::Error::source(&error).map(ToString::to_string);
            LinkError::Url(source.unwrap_or_else(|| error.to_string()))
        })?;
        config.connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(SILENCE_TIMEOUT).keepalives(true);
        config.keepalives_idle(Duration::from_secs(5)).keepalives_interval(Duration::from_secs(2));
        let verified = match ssl_mode.as_deref() {
            None => !is_local(&config),
            Some("disable") => false,
            Some("require" | "verify-full") => true,
            Some(other) => return Err(LinkError::SslMode(other.to_owned())),
        };
        config.ssl_mode(if verified {
            postgres::config::SslMode::Require
        } else {
            postgres::config::SslMode::Disable
        });
        let tls = if verified { Some(MakeRustlsConnect::new(tls_config(roots.as_deref())?)) } else { None };
        Ok(Self { config, tls })
    }

    /// A new connection. A server that takes it and then stays silent is given up: the driver would wait for
    /// ever.
    pub(super) fn connect(&self) -> Result<Client, StoreError> {
        let (answer, answered) = std::sync::mpsc::channel();
        let link = self.clone();
        let connect = move || {
            let connected = match &link.tls {
                Some(tls) => link.config.connect(tls.clone()),
                None => link.config.connect(NoTls),
            };
            drop(answer.send(connected));
        };
        let spawned = std::thread::Builder::new().name("rynjer-connect".to_owned()).spawn(connect);
        spawned.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let connected = answered.recv_timeout(SILENCE_TIMEOUT);
        let connected = connected.map_err(|_| StoreError::Unavailable("the server is silent".to_owned()))?;
        connected.map_err(|error| {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            let hint = hint(error.code().map(SqlState::code), &error.to_string());
            StoreError::Unavailable(format!("{error}{}{hint}", source.unwrap_or_default()))
        })
    }
}

/// What to do about a connection that was refused.
fn hint(code: Option<&str>, text: &str) -> &'static str {
    match code {
        Some("28P01" | "28000") => ". Correct the user or the password in the URL (RYNJER_DATABASE__URL)",
        Some("3D000") => ". Make the database first: CREATE DATABASE … OWNER …",
        Some("42501") => ". The user must own the database, or be granted its schema",
        Some("53300") => ". Raise max_connections, or run fewer processes or threads",
        None if text.contains("TLS") => {
            ". Turn TLS on at the server, or say sslmode=disable on a network that you trust"
        }
        _ => "",
    }
}

/// Takes out what is ours to understand: the mode and the file of authorities.
fn split(url: &str) -> Result<(String, Option<String>, Option<PathBuf>), LinkError> {
    let Some((front, query)) = url.split_once('?') else { return Ok((url.to_owned(), None, None)) };
    let (mut mode, mut roots, mut kept) = (None, None, Vec::new());
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded =
            || percent_decoded(value).ok_or_else(|| LinkError::Url(format!("{name} is badly encoded")));
        let twice = || LinkError::Url(format!("{name} is said twice"));
        match name {
            "sslmode" if mode.is_some() => return Err(twice()),
            "sslrootcert" if roots.is_some() => return Err(twice()),
            "sslmode" => mode = Some(decoded()?),
            "sslrootcert" => roots = Some(PathBuf::from(decoded()?)),
            "hostaddr" => return Err(LinkError::Refused(name.to_owned())),
            _ => kept.push(pair),
        }
    }
    let plain = if kept.is_empty() { front.to_owned() } else { format!("{front}?{}", kept.join("&")) };
    Ok((plain, mode, roots))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

fn is_local(config: &Config) -> bool {
    let hosts = config.get_hosts();
    let elsewhere = hosts.is_empty() || !config.get_hostaddrs().is_empty();
    !elsewhere
        && hosts.iter().all(|host| match host {
            Host::Tcp(name) => {
                name == "localhost"
                    || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            Host::Unix(_) => true,
        })
}

fn tls_config(roots: Option<&std::path::Path>) -> Result<ClientConfig, LinkError> {
    let mut store = RootCertStore::empty();
    let place = roots.map_or_else(|| "this machine".to_owned(), |path| path.display().to_string());
    let unusable = |error: String| LinkError::Roots(place.clone(), error);
    match roots {
        Some(path) => {
            let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                store.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(unusable("there are none".to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder =
        builder.with_safe_default_protocol_versions().map_err(|error| unusable(error.to_string()))?;
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_machine_is_verified() {
        let rows = [
            ("postgres://u:p@127.0.0.1/n", Ok(false)),
            ("postgres://u@localhost:5433/n", Ok(false)),
            ("postgres://u@/n?host=/run/postgresql", Ok(false)),
            ("postgres://u:p@db.example/n?sslmode=disable", Ok(false)),
            ("postgres://u:p@127.0.0.1/n?sslmode=disable&connect_timeout=5", Ok(false)),
            ("postgres://u:p@db.example/n?sslmode=dis%61ble", Ok(false)),
            ("postgres://u:p@localhost/n?hostaddr=192.0.2.2", Err(LinkError::Refused("hostaddr".into()))),
            (
                "postgres://u:p@db.example/n?sslmode=verify-full&sslmode=disable",
                Err(LinkError::Url("sslmode is said twice".into())),
            ),
            ("postgres://u:p@db.example/n?sslmode=prefer", Err(LinkError::SslMode("prefer".into()))),
        ];
        for (url, verified) in rows {
            assert_eq!(Link::parse(url).map(|link| link.tls.is_some()), verified, "{url}");
        }
        let missing = Link::parse("postgres://u:p@db.example/n?sslrootcert=/no/such/file");
        assert!(matches!(missing, Err(LinkError::Roots(..))), "{missing:?}");
        let wrong = Link::parse("postgres://u:secret@db.example:port/n");
        assert!(matches!(&wrong, Err(LinkError::Url(text)) if !text.contains("secret")), "{wrong:?}");
    }
}
