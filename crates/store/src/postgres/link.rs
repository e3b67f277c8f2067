//! Where a PostgreSQL server is and how it is reached: the URL, time-outs, TLS.
//!
//! Invariant: a password travels only over loopback, a socket file or TLS with a verified certificate, unless
//! the URL says `sslmode=disable`. Not here: what is said over the connection.

use crate::error::StoreError;
use postgres::{Client, Config, NoTls, config::Host};
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
        let (plain, ssl_mode, roots) = split(url);
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

    /// A new connection.
    pub(super) fn connect(&self) -> Result<Client, StoreError> {
        let connected = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        };
        connected.map_err(|error| {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            StoreError::Unavailable(format!("{error}{}", source.unwrap_or_default()))
        })
    }
}

/// Takes out what is ours to understand: the mode and the file of authorities.
fn split(url: &str) -> (String, Option<String>, Option<PathBuf>) {
    let Some((front, query)) = url.split_once('?') else { return (url.to_owned(), None, None) };
    let (mut mode, mut roots, mut kept) = (None, None, Vec::new());
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => roots = Some(PathBuf::from(value.replace("%2F", "/"))),
            _ => kept.push(pair),
        }
    }
    let plain = if kept.is_empty() { front.to_owned() } else { format!("{front}?{}", kept.join("&")) };
    (plain, mode, roots)
}

fn is_local(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
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
