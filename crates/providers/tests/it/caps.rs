//! What a server may send: how much, how long, in which form; and what it is sent.
//!
//! Invariant: every cap is hit by a real server on loopback. Not here: addresses.

use crate::loopback::{LIMITS, NOT_REACHED, Server, ok, rejected, unreachable};
use futures::future::BoxFuture;
use rynjer_providers::{
    Length, Sink,
    guarded::{FetchError, FetchLimits},
};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

const TOO_LARGE: &str = "The file at the URL has more than the 1048576 bytes allowed.";
const COMPRESSED: &str = "The server of the URL sent the file compressed, and was asked not to.";

/// Keeps the connection open until the other side closes it.
fn hold(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read(&mut [0]).map(drop)
}

#[tokio::test]
async fn nothing_but_the_request_is_sent() {
    let server = Server::start(|path, stream| match path {
        "/a" => stream.write_all(
            b"HTTP/1.1 302 Found\r\nlocation: /b#x\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n",
        ),
        _ => stream.write_all(&ok(b"file")),
    });
    assert_eq!(server.fetch("/a").await.unwrap().as_ref(), b"file");
    let head = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\naccept: image/png, image/jpeg, image/webp, */*;q=0.1\r\n\
             user-agent: rynjer-fetch/1\r\naccept-encoding: identity\r\nhost: {}\r\n\r\n",
            server.address
        )
    };
    assert_eq!(server.heads(), [head("/a"), head("/b")]);
}

#[tokio::test]
async fn declared_lengths_are_held_to() {
    let exact = Server::sending(ok(&vec![7; 1 << 20]));
    assert_eq!(exact.fetch("/").await.unwrap().len(), 1 << 20);
    let beyond = Server::sending(&b"HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n"[..]);
    assert_eq!(beyond.fetch("/").await, Err(rejected(TOO_LARGE)));
    let huge = Server::sending(&b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n"[..]);
    assert!(huge.fetch("/").await.is_err());
    let short = Server::sending(&b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes."[..]);
    assert_eq!(short.fetch("/").await, Err(unreachable(NOT_REACHED)));
    let long = Server::sending(&b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nten bytes."[..]);
    assert_eq!(long.fetch("/").await.unwrap().as_ref(), b"ten");
    let two = &b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 9\r\n\r\nten bytes."[..];
    assert_eq!(Server::sending(two).fetch("/").await, Err(unreachable(NOT_REACHED)));
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    for (head, chunk) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "x".repeat(1_000)),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            format!("3e8\r\n{}\r\n", "x".repeat(1_000)),
        ),
    ] {
        let server = Server::start(move |_, stream| {
            stream.write_all(head.as_bytes())?;
            loop {
                stream.write_all(chunk.as_bytes())?;
            }
        });
        assert_eq!(server.fetch("/").await, Err(rejected(TOO_LARGE)), "{head:?}");
    }
}

/// A file may be large, but where nothing tells that it ends it may have no end.
#[tokio::test]
async fn a_body_of_undeclared_length_has_a_limit_of_its_own() {
    struct Count(u64, Option<Length>);
    impl Sink for Count {
        fn begin(&mut self, length: Length) {
            self.1 = Some(length);
        }

        fn take(&mut self, chunk: bytes::Bytes) -> BoxFuture<'_, Result<(), FetchError>> {
            self.0 += chunk.len() as u64;
            Box::pin(std::future::ready(Ok(())))
        }
    }
    let limits = FetchLimits { max_bytes: 1 << 30, ..LIMITS };
    let fetch = async |head: &'static str| {
        let server = Server::start(move |_, stream| {
            stream.write_all(head.as_bytes())?;
            for _ in 0..80 {
                stream.write_all(&[0; 1 << 20])?;
            }
            Ok(())
        });
        let mut count = Count(0, None);
        let fetched = server.client(20_000).fetch_into(&server.url("/"), &limits, &mut count).await;
        (fetched, count.0, count.1.unwrap())
    };
    let (fetched, bytes, length) = fetch("HTTP/1.1 200 OK\r\n\r\n").await;
    assert_eq!(fetched, Err(rejected("The file at the URL has more than the 67108864 bytes allowed.")));
    assert!(bytes <= 64 << 20, "{bytes}");
    assert_eq!(length, Length { max_bytes: 64 << 20, is_declared: false });
    let (fetched, bytes, length) = fetch("HTTP/1.1 200 OK\r\ncontent-length: 83886080\r\n\r\n").await;
    assert_eq!((fetched, bytes), (Ok(()), 80 << 20));
    assert_eq!(length, Length { max_bytes: 80 << 20, is_declared: true });
}

#[tokio::test]
async fn silence_ends_at_the_time_limit() {
    let said = ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"];
    for text in said {
        let server = Server::start(move |_, stream| {
            stream.write_all(text.as_bytes())?;
            hold(stream)
        });
        let found = server.client(150).fetch(&server.url("/"), &LIMITS).await;
        assert_eq!(found, Err(unreachable(NOT_REACHED)), "{text:?}");
    }
}

#[tokio::test]
async fn a_slow_body_ends_at_the_time_limit_although_it_is_never_silent() {
    let server = Server::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        stream.set_read_timeout(Some(std::time::Duration::from_millis(20)))?;
        // Each wait for the other side to close it is a pause between two bytes.
        while !matches!(stream.read(&mut [0]), Ok(0)) {
            stream.write_all(b"x")?;
        }
        Ok(())
    });
    let found = server.client(300).fetch(&server.url("/"), &LIMITS).await;
    assert_eq!(found, Err(unreachable(NOT_REACHED)));
}

#[tokio::test]
async fn compressed_bodies_are_refused_unread() {
    let bomb = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    for encoding in ["gzip", "GZIP", "br", "deflate", "zstd", "gzip, gzip", "identity, gzip", "x", ""] {
        let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\n\r\n").into_bytes();
        answer.extend_from_slice(&bomb);
        assert_eq!(Server::sending(answer).fetch("/").await, Err(rejected(COMPRESSED)), "{encoding:?}");
    }
    let twice = &b"HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-encoding: gzip\r\n\r\nx"[..];
    assert_eq!(Server::sending(twice).fetch("/").await, Err(rejected(COMPRESSED)));
    let plain = &b"HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\ncontent-length: 1\r\n\r\nx"[..];
    assert_eq!(Server::sending(plain).fetch("/").await.unwrap().as_ref(), b"x");
}

#[tokio::test]
async fn headers_have_a_limit() {
    let with = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}content-length: 1\r\n\r\nx").into_bytes();
    let fits = with(&format!("a: {}\r\n", "x".repeat(32_000)));
    assert!(Server::sending(fits).fetch("/").await.is_ok());
    let large = with(&format!("a: {}\r\n", "x".repeat(33_000)));
    let many = with(&"a: b\r\n".repeat(101));
    let huge = with(&format!("a: {}\r\n", "x".repeat(1_000_000)));
    for answer in [large, many, huge] {
        assert_eq!(Server::sending(answer).fetch("/").await, Err(unreachable(NOT_REACHED)));
    }
    let endless = Server::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"a: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n")?;
        }
    });
    assert_eq!(endless.fetch("/").await, Err(unreachable(NOT_REACHED)));
}

#[tokio::test]
async fn redirects_have_a_limit() {
    let moved = |to: &str| format!("HTTP/1.1 307 Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    let server = Server::start(move |path, stream| {
        let left: u32 = path.trim_start_matches('/').parse().unwrap_or(0);
        match left {
            0 => stream.write_all(&ok(b"file")),
            99 => stream.write_all(moved("/99").as_bytes()),
            left => stream.write_all(moved(&format!("/{}", left - 1)).as_bytes()),
        }
    });
    assert_eq!(server.fetch("/5").await.unwrap().as_ref(), b"file");
    let too_many = Err(unreachable("The URL leads to more than 5 redirects."));
    assert_eq!(server.fetch("/6").await, too_many);
    assert_eq!(server.fetch("/99").await, too_many);
    assert_eq!(server.heads().len(), 6 + 6 + 6);
    let nowhere = Server::sending(&b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n"[..]);
    assert_eq!(nowhere.fetch("/").await, Err(unreachable(NOT_REACHED)));
}

#[tokio::test]
async fn other_statuses_and_protocols_give_no_file() {
    for status in [201, 204, 206, 300, 304, 400, 401, 404, 407, 429, 500, 503] {
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        let sentence = format!("The server of the URL answered with status {status} instead of a file.");
        assert_eq!(Server::sending(answer).fetch("/").await, Err(unreachable(&sentence)));
    }
    for answer in
        ["", "+PONG\r\n", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 99999 X\r\n\r\n", "\0\0\0", "HTTP/2 200\r\n\r\n"]
    {
        assert_eq!(Server::sending(answer).fetch("/").await, Err(unreachable(NOT_REACHED)), "{answer:?}");
    }
    let plain = Server::sending(ok(b"not TLS"));
    let url = format!("https://{}/", plain.address);
    assert_eq!(plain.client(20_000).fetch(&url, &LIMITS).await, Err(unreachable(NOT_REACHED)));
}

#[tokio::test]
async fn pictures_are_fetched_and_looked_into() {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(40, 24).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n".to_vec();
    answer.extend_from_slice(&png);
    let server = Server::sending(answer);
    let image = server.client(20_000).fetch_image(&server.url("/a.html"), &LIMITS).await.unwrap();
    assert_eq!((image.mime, image.width, image.height), ("image/png", 40, 24));
    assert_eq!(image.bytes, png);
    let small = FetchLimits { max_pixels: 959, ..LIMITS };
    let refused = server.client(20_000).fetch_image(&server.url("/"), &small).await;
    let sentence = "The input picture is refused: 40×24 pixels are more than the 959 allowed.";
    assert_eq!(refused, Err(rejected(sentence)));
    let page = Server::sending(ok(b"<html>"));
    let refused = page.client(20_000).fetch_image(&page.url("/a.png"), &LIMITS).await;
    let sentence = "The input picture is refused: the bytes are no known picture, video or audio format.";
    assert_eq!(refused, Err(rejected(sentence)));
}
