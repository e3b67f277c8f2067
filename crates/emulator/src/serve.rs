//! Connections: plain or with TLS, and closed without a word where a fault says so.
//!
//! Invariant: an answer that carries [`CloseNow`] is never sent. Not here: faults.

use axum::{Router, body::Body, http::Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// In the place of an answer: close the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CloseNow;

/// A certificate chain and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    pub cert_pem: String,
    pub key_pem: String,
}

impl Tls {
    fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(self.cert_pem.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(io::Error::other)?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain.map_err(io::Error::other)?, key)
            .map_err(io::Error::other)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Serves until told to stop.
pub(crate) fn start(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    stop: CancellationToken,
) -> io::Result<()> {
    let acceptor = tls.map(|tls| tls.acceptor()).transpose()?;
    let tasks = TaskTracker::new();
    let connections = tasks.clone();
    tasks.spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let Ok((stream, _)) = accepted else { continue };
            let (router, acceptor, stop) = (router.clone(), acceptor.clone(), stop.clone());
            connections.spawn(async move {
                let work = async {
                    match acceptor {
                        None => connection(stream, router).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                connection(stream, router).await;
                            }
                        }
                    }
                };
                tokio::select! { () = work => {}, () = stop.cancelled() => {} }
            });
        }
    });
    Ok(())
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let response: Response<Body> =
                router.oneshot(request.map(Body::new)).await.map_err(io::Error::other)?;
            match response.extensions().get::<CloseNow>() {
                Some(_) => Err(io::Error::other("closed on command")),
                None => Ok(response),
            }
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    // Who stamps jobs with another time than the machine's tells that one, see `World::set_now_ms`.
    builder.timer(TokioTimer::new()).auto_date_header(false);
    // A connection that was closed on command ends with an error, and so it should.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}
