//! A collector of spans: a real HTTP server on loopback that keeps the OTLP bodies and reads their spans.
//!
//! Invariant: it keeps every byte that it was sent. Not here: what is expected.

use crate::web::read_message;
use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
};

/// One span as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
}

/// Heads and bodies, in the order of their arrival.
type Requests = Vec<(String, Vec<u8>)>;

/// The collector; it ends with the test's process.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Requests>>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Requests>> = Arc::default();
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                while let Some(request) = read_message(&mut stream) {
                    kept.lock().unwrap().push(request);
                    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    stream.write_all(ok.as_bytes()).unwrap();
                }
            }
        });
        Self { address, requests }
    }

    /// What arrived so far.
    pub(crate) fn requests(&self) -> Requests {
        self.requests.lock().unwrap().clone()
    }

    /// Every span that arrived.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let bodies = self.requests().into_iter().map(|(_, body)| body);
        let of_body = |body: Vec<u8>| {
            let scopes = parts(&body, 1).into_iter().flat_map(|resource| parts(&resource, 2));
            scopes.flat_map(|scope| parts(&scope, 2)).collect::<Vec<_>>()
        };
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let first = |span: &[u8], number| parts(span, number).into_iter().next().unwrap_or_default();
        let span = |span: Vec<u8>| Span {
            trace: hex(&first(&span, 1)),
            id: hex(&first(&span, 2)),
            parent: hex(&first(&span, 4)),
            name: String::from_utf8(first(&span, 5)).unwrap(),
        };
        bodies.flat_map(of_body).map(span).collect()
    }
}

/// The length-delimited fields of one number in a protobuf message.
fn parts(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let key = varint(&mut rest);
        match key & 7 {
            0 => drop(varint(&mut rest)),
            1 => rest = &rest[8..],
            5 => rest = &rest[4..],
            2 => {
                let length = usize::try_from(varint(&mut rest)).unwrap();
                let (value, after) = rest.split_at(length);
                rest = after;
                if key >> 3 == number {
                    found.push(value.to_vec());
                }
            }
            kind => panic!("no protobuf: a field of kind {kind}"),
        }
    }
    found
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, after) = rest.split_first().unwrap();
        *rest = after;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}
