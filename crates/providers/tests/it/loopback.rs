//! Servers on loopback, a resolver that answers as it is told, and sockets that witness connections.
//!
//! Invariant: a witness never accepts by itself, so a connection once made is still there when it is asked.
//! Not here: what is tested.

use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use rynjer_providers::guarded::{FetchError, FetchLimits, GuardSettings, GuardedClient, Resolve};
use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

pub(crate) const LIMITS: FetchLimits = FetchLimits { max_bytes: 1 << 20, max_pixels: 1 << 20 };
pub(crate) const NOT_REACHED: &str =
    "The URL could not be fetched: it must be one of a public server that answers in time.";

pub(crate) fn unreachable(message: &str) -> FetchError {
    FetchError::Unreachable(message.to_owned())
}

pub(crate) fn rejected(message: &str) -> FetchError {
    FetchError::Rejected(message.to_owned())
}

/// A server that answers each request as `answer` writes it, and remembers the requests' heads.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Listens on the address; `answer` gets the path and the connection.
    pub(crate) fn at(
        address: Ipv4Addr,
        port: u16,
        answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((address, port)).unwrap();
        let address = listener.local_addr().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&heads);
        std::thread::spawn(move || {
            let answer = Arc::new(answer);
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &seen, answer.as_ref()));
            }
        });
        Self { address, heads }
    }

    /// The same at 127.0.0.1 and a free port.
    pub(crate) fn start(
        answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::at(Ipv4Addr::LOCALHOST, 0, answer)
    }

    /// One that always sends the same bytes.
    pub(crate) fn sending(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_, stream| stream.write_all(&answer))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// A client that may ask this server by its address, and nothing else that isn't public.
    pub(crate) fn client(&self, timeout_ms: u32) -> GuardedClient {
        let allow_hosts = vec![self.address.to_string()];
        GuardedClient::new(GuardSettings { allow_hosts, timeout_ms }).unwrap()
    }

    pub(crate) async fn fetch(&self, path: &str) -> Result<Bytes, FetchError> {
        self.client(20_000).fetch(&self.url(path), &LIMITS).await
    }
}

/// Reads one request, answers it and closes; a client that went away is no trouble.
fn serve(
    mut stream: TcpStream,
    heads: &Mutex<Vec<String>>,
    answer: &impl Fn(&str, &mut TcpStream) -> io::Result<()>,
) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.extend(byte),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    heads.lock().unwrap().push(head);
    let _ = answer(&path, &mut stream);
}

/// An answer with a body and its length.
pub(crate) fn ok(body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// Sockets on one port of 127.0.0.1 and, where the machine has it, [::1].
pub(crate) struct Witness {
    listeners: Vec<TcpListener>,
    pub(crate) port: u16,
}

impl Witness {
    pub(crate) fn new() -> Self {
        loop {
            let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = v4.local_addr().unwrap().port();
            match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
                Ok(v6) => return Self::of(vec![v4, v6], port),
                // Somebody else has the port there: take another one.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(_) => return Self::of(vec![v4], port),
            }
        }
    }

    fn of(listeners: Vec<TcpListener>, port: u16) -> Self {
        for listener in &listeners {
            listener.set_nonblocking(true).unwrap();
        }
        Self { listeners, port }
    }

    /// Connections made since the last call.
    pub(crate) fn connections(&self) -> usize {
        self.listeners.iter().map(|listener| std::iter::from_fn(|| listener.accept().ok()).count()).sum()
    }
}

/// A resolver with one answer for each call, in order, for whatever name; then, and without any, none.
#[derive(Default)]
pub(crate) struct Scripted {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    always: Vec<IpAddr>,
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    pub(crate) fn in_order(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| addresses(answer)).collect();
        Arc::new(Self { answers: Mutex::new(answers), ..Self::default() })
    }

    pub(crate) fn always(answer: &[&str]) -> Arc<Self> {
        Arc::new(Self { always: addresses(answer), ..Self::default() })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let next = self.answers.lock().unwrap().pop_front();
        Box::pin(ready(Ok(next.unwrap_or_else(|| self.always.clone()))))
    }
}
