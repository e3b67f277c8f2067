//! Accepts connections, speaks HTTP/1.1 on them, and stops without losing a request.
//!
//! Invariant: once a request's first byte arrived on a connection that was open before the drain ended, it is
//! answered, unless it outlasts `drain_seconds`. Not here: routes, signals, what `/readyz` says.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header::CONNECTION},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::yield_now,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use super::socket::{Activity, Last, Socket};

/// Connections that the system keeps for us until they are accepted.
const BACKLOG: u32 = 1024;

/// A request body is read, and a response written, in pieces of at most this size.
const BUFFER_BYTES: usize = 64 << 10;

/// How often a connection that can't be closed yet is looked at while draining.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long to wait after the system refused to accept, as when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The address at the other end of the connection, in the extensions of each request. It may be a proxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What the operator set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListenSettings {
    /// Also for the TLS handshake, and for how long a connection may idle between requests.
    pub(crate) header_timeout_ms: u32,
    pub(crate) header_bytes: usize,
    pub(crate) max_connections: usize,
    /// How long new connections are still accepted after the drain began.
    pub(crate) drain_grace_ms: u32,
    /// How long requests under way may take after that.
    pub(crate) drain_seconds: u32,
}

/// Tells everyone that the process is about to stop. Clones share one state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drain(Arc<watch::Sender<bool>>);

impl Drain {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Begins the drain; it can't be undone.
    pub(crate) fn begin(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the drain has begun.
    pub(crate) async fn begun(&self) {
        // The sender lives in `self`, so the wait can't fail.
        let _ = self.0.subscribe().wait_for(|begun| *begun).await;
    }
}

/// Listens on `address`. The error text says what the operator can do.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Elsewhere than on Unix this would let two programs share the port.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| explain(address, &error))
}

fn explain(address: SocketAddr, error: &io::Error) -> io::Error {
    let (ip, port) = (address.ip(), address.port());
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} on {ip} is taken by another program, perhaps another rynjer: stop that one, or \
             choose another port with --listen or server.listen (port 0 takes a free one)"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine has no address {ip}: set --listen or server.listen to one it has")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "this user may not listen on port {port}: choose one above 1023 with --listen or \
                 server.listen"
            )
        }
        _ => format!("can't listen on {address}: {error}"),
    };
    io::Error::new(error.kind(), text)
}

/// Answers requests until `drain` begins and everything under way is done.
///
/// From then on every answer closes its connection, so that clients go elsewhere, while new connections are
/// still accepted for `drain_grace_ms` (less if nobody comes). Then the port closes, idle connections close,
/// and requests under way get `drain_seconds` to finish.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    settings: ListenSettings,
    drain: Drain,
) {
    let edge = Arc::new(Edge {
        http: http(&settings),
        tls,
        // Turns every route into its final form once instead of once per request.
        router: router.with_state(()),
        settings,
        drain: drain.clone(),
        stage: watch::Sender::new(Stage::Open),
        accepted: AtomicU64::new(0),
    });
    let door = Door {
        edge: Arc::clone(&edge),
        tracker: TaskTracker::new(),
        free: Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS))),
    };
    // Lets `wait` return as soon as no task is left; tasks can be added all the same.
    door.tracker.close();

    door.accept_until(&listener, drain.begun()).await;
    let grace = Duration::from_millis(u64::from(settings.drain_grace_ms));
    let quiet = door.quiet(grace.min(Duration::from_secs(1)) / 10);
    door.accept_until(&listener, async { drop(timeout(grace, quiet).await) }).await;
    door.accept_rest(listener);

    edge.stage.send_replace(Stage::Closing);
    let limit = Duration::from_secs(u64::from(settings.drain_seconds));
    if timeout(limit, door.tracker.wait()).await.is_err() {
        tracing::warn!(connections = door.tracker.len(), "requests outlasted the drain and are cut off");
        edge.stage.send_replace(Stage::Aborting);
        door.tracker.wait().await;
    }
}

fn http(settings: &ListenSettings) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(u64::from(settings.header_timeout_ms)))
        .max_header_size(settings.header_bytes)
        // Headers that don't end are cut off at the buffer's size.
        .max_buf_size(BUFFER_BYTES.max(settings.header_bytes.saturating_add(8 << 10)));
    http
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Stage {
    Open,
    /// Idle connections close.
    Closing,
    /// All connections close.
    Aborting,
}

async fn reached(stage: &mut watch::Receiver<Stage>, wanted: Stage) {
    if stage.wait_for(|stage| *stage >= wanted).await.is_err() {
        // The sender is gone: nobody can ask for it any more.
        std::future::pending::<()>().await;
    }
}

/// What all connections share.
struct Edge {
    http: http1::Builder,
    tls: Option<TlsAcceptor>,
    router: Router,
    settings: ListenSettings,
    drain: Drain,
    stage: watch::Sender<Stage>,
    accepted: AtomicU64,
}

/// Where connections come in.
struct Door {
    edge: Arc<Edge>,
    tracker: TaskTracker,
    free: Arc<Semaphore>,
}

impl Door {
    async fn accept_until(&self, listener: &TcpListener, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(listener) => accepted,
                () = &mut end => return,
            };
            match accepted {
                Ok((stream, peer, permit)) => self.take(stream, peer, Some(permit)),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "can't accept connections");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        Ok((stream, peer, permit))
    }

    /// Takes all connections that the system has made already, above the limit too, then closes the port.
    fn accept_rest(&self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        // No look at readiness and no wait between the last refusal and the close: a connection that is made
        // in between is reset by the system.
        let mut rest = Vec::new();
        loop {
            match listener.accept() {
                Ok(accepted) => rest.push(accepted),
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => break,
            }
        }
        drop(listener);
        for (stream, peer) in rest {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                self.take(stream, peer, None);
            }
        }
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr, permit: Option<OwnedSemaphorePermit>) {
        self.edge.accepted.fetch_add(1, Ordering::Relaxed);
        let edge = Arc::clone(&self.edge);
        self.tracker.spawn(async move {
            edge.attend(stream, peer).await;
            drop(permit);
        });
    }

    /// Returns once nobody was connected and nobody came for about this long.
    async fn quiet(&self, period: Duration) {
        let accepted = || self.edge.accepted.load(Ordering::Relaxed);
        let mut before = accepted();
        loop {
            sleep(period).await;
            let now = accepted();
            if now == before && self.tracker.is_empty() {
                return;
            }
            before = now;
        }
    }
}

/// Whether an error of `accept` concerns only a connection that is gone already.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

impl Edge {
    async fn attend(&self, stream: TcpStream, peer: SocketAddr) {
        // Answers are written whole, so waiting to fill packets only delays them.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let mut stage = self.stage.subscribe();
        let Some(tls) = &self.tls else { return self.converse(stream, peer, stage).await };
        let limit = Duration::from_millis(u64::from(self.settings.header_timeout_ms));
        let handshake = timeout(limit, tls.accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = reached(&mut stage, Stage::Aborting) => return,
        };
        if let Ok(Ok(stream)) = shaken {
            self.converse(stream, peer, stage).await;
        }
    }

    /// Answers the requests of one connection. Errors of the connection are the client's; nobody is told.
    async fn converse<T>(&self, stream: T, peer: SocketAddr, mut stage: watch::Receiver<Stage>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::default();
        let socket = TokioIo::new(Socket::new(stream, activity.clone()));
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            let answer = self.router.clone().call(request);
            async move {
                let mut response = answer.await?;
                if self.drain.is_draining() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let mut connection = pin!(self.http.serve_connection(socket, service));
        tokio::select! {
            biased;
            _ = &mut connection => return,
            () = reached(&mut stage, Stage::Closing) => {}
        }
        // What was read but isn't answered yet gets an answer that closes the connection. A connection
        // without a request was perhaps made just before the port closed: its request is on the way.
        let wait_ms = u128::from(self.settings.drain_grace_ms);
        let mut looks_left = wait_ms.div_ceil(LOOK_AGAIN.as_millis());
        loop {
            // Gives the runtime the chance to see bytes that have arrived, and the connection that to read
            // them.
            tokio::select! {
                biased;
                _ = &mut connection => return,
                () = yield_now() => {}
            }
            match activity.last() {
                Last::Fresh if looks_left > 0 => looks_left -= 1,
                Last::Read => {}
                Last::Fresh | Last::Written => break,
            }
            tokio::select! {
                biased;
                _ = &mut connection => return,
                () = reached(&mut stage, Stage::Aborting) => return,
                () = sleep(LOOK_AGAIN) => {}
            }
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            _ = connection => {}
            () = reached(&mut stage, Stage::Aborting) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read, Write},
        net::TcpStream as Socket,
        path::Path,
        sync::{
            atomic::{AtomicBool, AtomicUsize},
            mpsc,
        },
        thread,
    };

    use axum::{Extension, routing};
    use tokio::{runtime::Runtime, sync::Notify};

    use super::*;

    const SETTINGS: ListenSettings = ListenSettings {
        header_timeout_ms: 10_000,
        header_bytes: 16 << 10,
        max_connections: 1000,
        drain_grace_ms: 200,
        drain_seconds: 10,
    };

    /// A served router that answers `/` at once and `/held` once it is let go.
    struct Served {
        address: SocketAddr,
        drain: Drain,
        let_go: Arc<Notify>,
        held: mpsc::Receiver<()>,
        done: mpsc::Receiver<()>,
        _runtime: Runtime,
    }

    impl Served {
        fn new(settings: ListenSettings, tls: Option<TlsAcceptor>) -> Self {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let drain = Drain::new();
            let let_go = Arc::new(Notify::new());
            let ((is_held, held), (is_done, done)) = (mpsc::channel(), mpsc::channel());
            let waits = Arc::clone(&let_go);
            let hold = move || async move {
                is_held.send(()).unwrap();
                waits.notified().await;
                "held"
            };
            let router = Router::new()
                .route("/", routing::get(|Extension(Peer(peer))| async move { peer.to_string() }))
                .route("/refuse", routing::post(|| async { "no" }))
                .route("/held", routing::get(hold));
            let listener = runtime.block_on(bind("127.0.0.1:0".parse().unwrap())).unwrap();
            let address = listener.local_addr().unwrap();
            let serving = serve(listener, tls, router, settings, drain.clone());
            TaskTracker::new().spawn_on(
                async move {
                    serving.await;
                    is_done.send(()).unwrap();
                },
                runtime.handle(),
            );
            Self { address, drain, let_go, held, done, _runtime: runtime }
        }

        fn client(&self) -> Client<Socket> {
            Client::connect(self.address).unwrap()
        }

        fn is_done(&self) {
            self.done.recv_timeout(Duration::from_secs(20)).unwrap();
        }
    }

    struct Client<T: Read + Write>(BufReader<T>);

    #[derive(Debug, PartialEq, Eq)]
    struct Answer {
        status: String,
        closes: bool,
        body: String,
    }

    impl Client<Socket> {
        fn connect(address: SocketAddr) -> io::Result<Self> {
            let socket = Socket::connect(address)?;
            socket.set_read_timeout(Some(Duration::from_secs(20)))?;
            socket.set_nodelay(true)?;
            Ok(Self(BufReader::new(socket)))
        }

        fn local(&self) -> String {
            self.0.get_ref().local_addr().unwrap().to_string()
        }
    }

    impl<T: Read + Write> Client<T> {
        fn send(&mut self, bytes: &str) -> io::Result<()> {
            self.0.get_mut().write_all(bytes.as_bytes())
        }

        fn get(&mut self, path: &str) -> io::Result<Answer> {
            self.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))?;
            self.answer()
        }

        fn line(&mut self) -> io::Result<String> {
            let mut line = String::new();
            match self.0.read_line(&mut line)? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(line.trim_end().to_ascii_lowercase()),
            }
        }

        fn answer(&mut self) -> io::Result<Answer> {
            let status = self.line()?.split(' ').nth(1).unwrap_or_default().to_owned();
            let (mut closes, mut length) = (false, 0);
            loop {
                let line = self.line()?;
                closes |= line == "connection: close";
                if let Some(text) = line.strip_prefix("content-length: ") {
                    length = text.parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            self.0.read_exact(&mut body)?;
            Ok(Answer { status, closes, body: String::from_utf8(body).unwrap() })
        }

        /// Whether the server ended the connection properly, with nothing more to read.
        fn is_closed(&mut self) -> bool {
            self.0.read(&mut [0; 1]).unwrap() == 0
        }
    }

    fn ok(body: &str, closes: bool) -> Answer {
        Answer { status: "200".into(), closes, body: body.into() }
    }

    #[test]
    fn keeps_connections_and_knows_the_peer() {
        let served = Served::new(SETTINGS, None);
        let mut client = served.client();
        let local = client.local();
        for _ in 0..3 {
            assert_eq!(client.get("/").unwrap(), ok(&local, false));
        }
    }

    #[test]
    fn a_taken_port_is_explained() {
        let served = Served::new(SETTINGS, None);
        let error = Runtime::new().unwrap().block_on(bind(served.address)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let port = served.address.port();
        assert!(error.to_string().starts_with(&format!("port {port} on 127.0.0.1 is taken")), "{error}");
        assert!(error.to_string().contains("--listen"), "{error}");
    }

    #[test]
    fn headers_have_a_limit() {
        let served = Served::new(ListenSettings { header_bytes: 2048, ..SETTINGS }, None);
        let head = |bytes: usize| {
            let rest = bytes - "GET / HTTP/1.1\r\nHost: a\r\nA: \r\n\r\n".len();
            format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(rest))
        };
        for (bytes, status) in [(2047, "200"), (2048, "200"), (2049, "431"), (40_000, "431")] {
            let mut client = served.client();
            client.send(&head(bytes)).unwrap();
            assert_eq!(client.answer().unwrap().status, status, "{bytes}");
        }
        // A head without an end, and without a reset before the client could read the answer.
        let mut client = served.client();
        client.send(&format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(200_000))).unwrap();
        assert_eq!(client.answer().unwrap().status, "431");
        // So many lines.
        let mut client = served.client();
        client.send(&format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101))).unwrap();
        assert_eq!(client.answer().unwrap().status, "431");
    }

    #[test]
    fn slow_headers_are_cut_off() {
        let served = Served::new(ListenSettings { header_timeout_ms: 200, ..SETTINGS }, None);
        let mut silent = served.client();
        let mut slow = served.client();
        let mut idle = served.client();
        idle.get("/").unwrap();
        // A byte now and then doesn't prolong it.
        while slow.send("G").is_ok() && slow.0.get_ref().peer_addr().is_ok() {
            slow.0.get_ref().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            if slow.0.read(&mut [0; 1]).is_ok() {
                break;
            }
        }
        assert!(silent.is_closed());
        assert!(idle.is_closed());
    }

    #[test]
    fn an_early_answer_reaches_a_client_that_still_sends() {
        let served = Served::new(SETTINGS, None);
        for _ in 0..20 {
            let mut client = served.client();
            client.send("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n").unwrap();
            client.send(&"x".repeat(2_000_000)).unwrap();
            assert_eq!(client.answer().unwrap().body, "no");
        }
    }

    #[test]
    fn connections_above_the_limit_wait() {
        let served = Served::new(ListenSettings { max_connections: 1, ..SETTINGS }, None);
        let mut first = served.client();
        first.get("/").unwrap();
        let mut second = served.client();
        second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        second.0.get_ref().set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(second.0.fill_buf().is_err());
        drop(first);
        second.0.get_ref().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(second.answer().unwrap().status, "200");
    }

    #[test]
    fn requests_under_way_finish_and_idle_connections_close() {
        let served = Served::new(SETTINGS, None);
        let (mut idle, mut busy, mut late) = (served.client(), served.client(), served.client());
        let idle_answer = idle.get("/").unwrap();
        assert!(!idle_answer.closes);
        busy.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        served.held.recv().unwrap();
        // Half a request, on a connection that was answered before.
        late.get("/").unwrap();
        late.send("GET / HTTP/1.1\r\nHo").unwrap();

        served.drain.begin();
        assert!(idle.is_closed());
        while Client::connect(served.address).is_ok() {
            thread::yield_now();
        }
        late.send("st: a\r\n\r\n").unwrap();
        assert!(late.answer().unwrap().closes);
        served.let_go.notify_one();
        assert_eq!(busy.answer().unwrap(), ok("held", true));
        drop((idle, busy, late));
        served.is_done();
    }

    #[test]
    fn the_drain_ends_even_if_a_request_does_not() {
        let served = Served::new(ListenSettings { drain_seconds: 1, ..SETTINGS }, None);
        let mut busy = served.client();
        busy.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        served.held.recv().unwrap();
        served.drain.begin();
        served.is_done();
        assert!(busy.answer().is_err());
    }

    #[test]
    fn https_works_and_drains() {
        let data = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
        let acceptor =
            crate::http::tls::acceptor(&data("localhost.cert.pem"), &data("localhost.key.pem")).unwrap();
        let served = Served::new(ListenSettings { header_timeout_ms: 500, ..SETTINGS }, Some(acceptor));
        let mut plain = served.client();
        let mut silent = served.client();
        let mut client = encrypted(served.address, &data("localhost.cert.pem"));
        for _ in 0..2 {
            assert_eq!(client.get("/").unwrap().status, "200");
        }
        // Whoever doesn't speak TLS, or nothing at all, is let go.
        let _ = plain.get("/").unwrap_err();
        assert!(silent.is_closed());
        assert_eq!(client.get("/").unwrap().status, "200");
        served.drain.begin();
        assert!(client.is_closed());
        drop(client);
        served.is_done();
    }

    type Encrypted = tokio_rustls::rustls::StreamOwned<tokio_rustls::rustls::ClientConnection, Socket>;

    fn encrypted(address: SocketAddr, certificate: &Path) -> Client<Encrypted> {
        use tokio_rustls::rustls::{
            ClientConfig, ClientConnection, RootCertStore, StreamOwned,
            crypto::aws_lc_rs,
            pki_types::{CertificateDer, pem::PemObject as _},
        };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(connection, Socket::connect(address).unwrap());
        stream.flush().unwrap();
        Client(BufReader::new(stream))
    }

    /// One client of the crowd: asks again and again until the port is closed.
    fn hammer(
        address: SocketAddr,
        keeps: bool,
        answered: &AtomicUsize,
        draining: &AtomicBool,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let mut kept: Option<Client<Socket>> = None;
        loop {
            let mut client = match kept.take().map_or_else(|| Client::connect(address), Ok) {
                Ok(client) => client,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    if !draining.load(Ordering::SeqCst) {
                        problems.push("refused before the drain".to_owned());
                    }
                    return problems;
                }
                Err(error) => {
                    problems.push(format!("connect: {error}"));
                    continue;
                }
            };
            match client.get("/") {
                Ok(answer) if answer.status == "200" => {
                    answered.fetch_add(1, Ordering::SeqCst);
                    if keeps && !answer.closes {
                        kept = Some(client);
                    }
                }
                Ok(answer) => problems.push(format!("{answer:?}")),
                Err(error) => problems.push(format!("request: {error}")),
            }
            // Sets the pace of this client; nothing waits for it.
            thread::sleep(Duration::from_millis(40));
        }
    }

    #[test]
    fn no_request_is_lost_or_reset_by_a_drain() {
        let served = Served::new(SETTINGS, None);
        let (answered, draining) = (AtomicUsize::new(0), AtomicBool::new(false));
        let problems: Vec<String> = thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|number| {
                    let (answered, draining) = (&answered, &draining);
                    scope.spawn(move || hammer(served.address, number % 2 == 0, answered, draining))
                })
                .collect();
            while answered.load(Ordering::SeqCst) < 40 {
                thread::yield_now();
            }
            draining.store(true, Ordering::SeqCst);
            served.drain.begin();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        assert_eq!(problems, Vec::<String>::new());
        assert!(answered.load(Ordering::SeqCst) > 60);
        served.is_done();
    }

    #[test]
    fn a_server_without_clients_stops_soon() {
        let served = Served::new(ListenSettings { drain_grace_ms: 60_000, ..SETTINGS }, None);
        served.drain.begin();
        served.is_done();
        assert!(served.drain.is_draining());
    }
}
