//! A real S3 server on loopback, and a wire before it that can be cut.
//!
//! Invariant: what is stored is files of a folder, every request is noted, and nothing of it outlives the
//! test. Not here: what is stored (the tests').

use super::files_below;
use hyper::{server::conn::http1, service::Service, service::service_fn};
use hyper_util::rt::TokioIo;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const BUCKET: &str = "studio";
const PREFIX: &str = "eu/rynjer";
const KEY_ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "hunter2-hunter2-hunter2";

/// A request that came: method, path with query, and the length of its body.
pub(crate) type Request = (String, String, u64);

pub(crate) struct S3 {
    root: TempDir,
    /// Of the wire before the server.
    pub(crate) address: SocketAddr,
    /// Bytes that may still go to the server; below zero the wire is cut.
    left_bytes: Arc<AtomicI64>,
    requests: Arc<Mutex<Vec<Request>>>,
    over: CancellationToken,
}

impl S3 {
    /// A server with one bucket.
    pub(crate) async fn start() -> Self {
        let root = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(root.path().join(BUCKET)).expect("a bucket");
        let mut service = S3ServiceBuilder::new(FileSystem::new(root.path()).expect("a storage"));
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = service.build();
        let (over, tracker) = (CancellationToken::new(), TaskTracker::new());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&requests);
        let server = listen(&over, &tracker, move |stream| {
            let (service, noted) = (service.clone(), Arc::clone(&noted));
            async move {
                let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    note(&noted, &request);
                    Service::call(&service, request)
                });
                // A wire that is cut is no fault of the server.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            }
        })
        .await;
        let left_bytes = Arc::new(AtomicI64::new(i64::MAX));
        let left = Arc::clone(&left_bytes);
        let address = listen(&over, &tracker, move |stream| pass(stream, server, Arc::clone(&left))).await;
        Self { root, address, left_bytes, requests, over }
    }

    /// The settings of a gateway that stores here.
    pub(crate) fn settings(&self) -> String {
        self.settings_with(&format!("s3://{BUCKET}/{PREFIX}"), SECRET)
    }

    pub(crate) fn settings_with(&self, url: &str, secret: &str) -> String {
        format!(
            "[storage]\nurl = \"{url}\"\nendpoint = \"http://{}\"\naccess_key_id = \"{KEY_ID}\"\n\
             secret_access_key = \"{secret}\"\n",
            self.address
        )
    }

    /// Cuts the wire when that many more bytes have gone to the server.
    pub(crate) fn cut_after(&self, bytes: i64) {
        self.left_bytes.store(bytes, Ordering::SeqCst);
    }

    /// Lets everything through again.
    pub(crate) fn mend(&self) {
        self.cut_after(i64::MAX);
    }

    /// Whether the wire is cut by now.
    pub(crate) fn is_cut(&self) -> bool {
        self.left_bytes.load(Ordering::SeqCst) < 0
    }

    /// The folder of our objects.
    pub(crate) fn folder(&self) -> PathBuf {
        self.root.path().join(BUCKET).join(PREFIX)
    }

    /// The names of all objects below our prefix, sorted.
    pub(crate) fn objects(&self) -> Vec<String> {
        let folder = self.folder();
        let below = format!("{}/", folder.display());
        let mut names = if folder.exists() { files_below(&folder) } else { Vec::new() };
        names.iter_mut().for_each(|name| *name = name.trim_start_matches(&below).to_owned());
        names.sort();
        names
    }

    /// How many files of unfinished uploads the server keeps.
    pub(crate) fn unfinished(&self) -> usize {
        let entries = std::fs::read_dir(self.root.path()).expect("the root");
        let names = entries.map(|entry| entry.expect("an entry").file_name().display().to_string());
        names.filter(|name| name.starts_with(".upload")).count()
    }

    /// What came since the last look.
    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().expect("the requests"))
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

fn note(noted: &Mutex<Vec<Request>>, request: &http::Request<hyper::body::Incoming>) {
    let length = request.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let row = (request.method().to_string(), request.uri().to_string(), length.unwrap_or(0));
    noted.lock().expect("the requests").push(row);
}

/// Accepts connections until the end.
async fn listen<F: Future<Output = ()> + Send + 'static>(
    over: &CancellationToken,
    tracker: &TaskTracker,
    handle: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (over, connections) = (over.clone(), tracker.clone());
    tracker.spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = over.cancelled() => return,
            };
            let (stream, _) = accepted.expect("a connection");
            let (over, work) = (over.clone(), handle(stream));
            connections.spawn(async move {
                tokio::select! { () = work => {}, () = over.cancelled() => {} }
            });
        }
    });
    address
}

/// Passes bytes both ways, to the server only as many as are left.
async fn pass(mut client: TcpStream, server: SocketAddr, left_bytes: Arc<AtomicI64>) {
    if left_bytes.load(Ordering::SeqCst) < 0 {
        return;
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let there = async {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let read = from_client.read(&mut buffer).await.unwrap_or(0);
            let size = i64::try_from(read).expect("a small piece");
            if read == 0 || left_bytes.fetch_sub(size, Ordering::SeqCst) < size {
                return;
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let back = tokio::io::copy(&mut from_server, &mut to_client);
    tokio::select! { () = there => {}, _ = back => {} }
}

/// Asks a server of plain HTTP, as anybody would; status, head in lower case, body.
pub(crate) async fn fetch(url: &str, more: &str) -> (u16, String, Vec<u8>) {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let mut stream = TcpStream::connect(host).await.expect("a connection");
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head, answer.split_off(end + 4))
}
