//! A web server on loopback that others fetch from, and that counts who came.
//!
//! Invariant: it answers what the test gave it, one connection at a time, until it is dropped. Not here: TLS.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::JoinHandle,
};

/// Status line with headers, and body, by path.
type Pages = Vec<(&'static str, String, Vec<u8>)>;

pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    came: Arc<AtomicU32>,
    over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Web {
    /// Serves the pages; other paths are not found.
    pub(crate) fn new(pages: Pages) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (came, over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let server = std::thread::spawn({
            let (came, over) = (Arc::clone(&came), Arc::clone(&over));
            move || {
                for stream in listener.incoming() {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    came.fetch_add(1, Ordering::SeqCst);
                    answer(stream.expect("a connection"), &pages);
                }
            }
        });
        Self { address, came, over, server: Some(server) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections were made.
    pub(crate) fn came(&self) -> u32 {
        self.came.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: TcpStream, pages: &Pages) {
    let mut reader = BufReader::new(&stream);
    let mut first = String::new();
    let mut line = String::new();
    let _ = reader.read_line(&mut first);
    while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let found = pages.iter().find(|(own, _, _)| *own == path);
    let (head, body) =
        found.map_or(("404 Not Found", [].as_slice()), |(_, head, body)| (head.as_str(), body));
    let length = body.len();
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    // A client that has seen enough may hang up first.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

impl Drop for Web {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}
