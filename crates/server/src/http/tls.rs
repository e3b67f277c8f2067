//! HTTPS without a proxy: certificate and key from the files that the operator names.
//!
//! Invariant: an acceptor exists only if key and certificate belong together. Not here: the listener, renewal
//! of certificates.

use std::{path::Path, sync::Arc};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject as _},
        },
    },
};

/// Why HTTPS can't be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("server.{setting}: can't read {path}: {source}; it must be a PEM file that this user may read")]
    Unreadable { setting: &'static str, path: String, source: pem::Error },
    #[error("server.tls_cert: {path} holds no certificate; it must hold the chain, the server's own first")]
    NoCertificate { path: String },
    #[error("server.tls_cert and server.tls_key don't make a pair: {0}")]
    Unfit(#[from] rustls::Error),
}

/// What turns accepted connections into HTTPS ones, for HTTP/1.1.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let unreadable = |setting, path: &Path, source| {
        let path = path.display().to_string();
        TlsError::Unreadable { setting, path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| unreadable("tls_cert", certificate, source))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: certificate.display().to_string() });
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|source| unreadable("tls_key", key, source))?;
    // The provider is named, because another crate may install a default one.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn data(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
    }

    fn problem(certificate: &Path, key: &Path) -> String {
        acceptor(certificate, key).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn accepts_a_pair() {
        assert!(acceptor(&data("localhost.cert.pem"), &data("localhost.key.pem")).is_ok());
    }

    #[test]
    fn names_the_setting_that_is_wrong() {
        let (certificate, key) = (data("localhost.cert.pem"), data("localhost.key.pem"));
        let missing = data("missing.pem");
        assert!(problem(&missing, &key).starts_with("server.tls_cert: can't read "));
        assert!(problem(&certificate, &missing).starts_with("server.tls_key: can't read "));
        assert!(
            problem(&key, &key)
                .ends_with("holds no certificate; it must hold the chain, the server's own first")
        );
        assert!(problem(&certificate, &data("other.key.pem")).contains("don't make a pair"));
    }
}
