//! HTTP by hand, so that a test sends exactly the bytes it means.
//!
//! Invariant: one message at a time, with `Content-Length`. Not here: what is expected.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// Reads one message; head and body, or none if the other side has closed.
pub(crate) fn read_message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    Some((head, body))
}

/// Sends one request to a base URL and gives the answer's head and body.
pub(crate) fn send(base_url: &str, head: &str, body: &str) -> (String, String) {
    let address = base_url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let text = format!("{head}\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).unwrap();
    let (head, body) = read_message(&mut stream).unwrap();
    (head, String::from_utf8(body).unwrap())
}
