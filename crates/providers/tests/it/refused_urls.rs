//! No spelling of a private address is ever connected to, named by a user or by a redirect.
//!
//! Invariant: sockets that listen where the URLs point count the connections, so a wrong sentence and a wrong
//! connection both fail. Not here: the spellings.

use crate::{
    loopback::{LIMITS, NOT_REACHED, Scripted, Server, Witness, ok, unreachable},
    spellings::{LOOPBACK, LOOPBACK_V6, MALFORMED, NAMES, PRIVATE},
};
use rynjer_providers::guarded::{FetchError, GuardSettings, GuardedClient};
use std::io::Write as _;

fn spelled(lists: &[&str], port: u16) -> Vec<String> {
    let urls = lists.iter().flat_map(|list| list.split_ascii_whitespace());
    urls.map(|url| url.replace("{p}", &port.to_string())).collect()
}

fn malformed(port: u16) -> Vec<String> {
    MALFORMED.iter().map(|url| url.replace("{p}", &port.to_string())).collect()
}

fn client(allow_hosts: &[String], resolver: &[&str]) -> GuardedClient {
    let settings = GuardSettings { allow_hosts: allow_hosts.to_vec(), timeout_ms: 20_000 };
    GuardedClient::with_resolver(settings, Scripted::always(resolver)).unwrap()
}

#[tokio::test]
async fn named_by_a_user() {
    let witness = Witness::new();
    let client = client(&[], &["127.0.0.1", "::1"]);
    let addresses = spelled(&[LOOPBACK, LOOPBACK_V6, NAMES, PRIVATE], witness.port);
    let malformed = malformed(witness.port);
    assert!(addresses.len() + malformed.len() >= 300, "{} and {}", addresses.len(), malformed.len());
    for url in addresses {
        assert_eq!(client.fetch(&url, &LIMITS).await, Err(unreachable(NOT_REACHED)), "{url}");
        assert_eq!(witness.connections(), 0, "{url}");
    }
    for url in malformed {
        let refused = client.fetch(&url, &LIMITS).await;
        assert!(matches!(refused, Err(FetchError::Unreachable(_))), "{url:?}: {refused:?}");
        assert_eq!(witness.connections(), 0, "{url:?}");
    }
}

/// Proof that the table is worth something: with the check lifted, every one of these connects.
#[tokio::test]
async fn the_spellings_do_lead_here_when_all_is_allowed() {
    let server = Server::sending(ok(b"here"));
    let client = client(&["0.0.0.0/0".to_owned()], &["127.0.0.1"]);
    let urls = spelled(&[LOOPBACK, NAMES], server.address.port());
    for (count, url) in urls.iter().enumerate() {
        let _ = client.fetch(url, &LIMITS).await;
        assert_eq!(server.heads().len(), count + 1, "{url}");
    }
    assert!(urls.len() >= 100, "{}", urls.len());
}

#[tokio::test]
async fn named_by_a_redirect() {
    let witness = Witness::new();
    let exact = spelled(&[LOOPBACK, LOOPBACK_V6, NAMES, PRIVATE], witness.port);
    let loose = malformed(witness.port);
    let locations: Vec<String> = exact.iter().chain(&loose).cloned().collect();
    let server = Server::start(move |path, stream| {
        let mut parts = path.trim_end_matches('?').split('/').skip(1);
        let status: Option<u16> = parts.next().and_then(|part| part.parse().ok());
        let number: Option<usize> = parts.next().and_then(|part| part.parse().ok());
        let location = number.and_then(|number| locations.get(number));
        match (status, location, parts.next()) {
            (Some(status), Some(location), None) => {
                write!(stream, "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
            }
            _ => stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
        }
    });
    let port = server.address.port();
    let client = client(&[format!("pictures.example:{port}")], &["127.0.0.1", "::1"]);
    let stays_there = [
        unreachable("The server of the URL answered with status 404 instead of a file."),
        unreachable("The URL leads to more than 5 redirects."),
        unreachable(NOT_REACHED),
    ];
    for status in [301, 302, 303, 307, 308] {
        for number in 0..exact.len() + loose.len() {
            let url = format!("http://pictures.example:{port}/{status}/{number}");
            let refused = client.fetch(&url, &LIMITS).await.unwrap_err();
            match exact.get(number) {
                Some(location) => assert_eq!(refused, unreachable(NOT_REACHED), "{status} to {location}"),
                None => assert!(stays_there.contains(&refused), "{}: {refused}", loose[number - exact.len()]),
            }
            assert_eq!(witness.connections(), 0, "{status} to number {number}");
        }
    }
}

#[tokio::test]
async fn a_refused_address_tells_nothing_about_itself() {
    let witness = Witness::new();
    let closed = {
        let gone = Witness::new();
        gone.port
    };
    let client = client(&[format!("closed.example:{closed}")], &["127.0.0.1"]);
    let open = format!("http://127.0.0.1:{}/", witness.port);
    let urls = [
        open,
        format!("http://127.0.0.1:{closed}/"),
        format!("http://closed.example:{closed}/"),
        "http://10.255.255.1/".to_owned(),
        "http://8.8.8.8:22/".to_owned(),
        "http://8.8.8.8:6379/".to_owned(),
        "http://no-answer.example/".to_owned(),
    ];
    for url in urls {
        assert_eq!(client.fetch(&url, &LIMITS).await, Err(unreachable(NOT_REACHED)), "{url}");
    }
    assert_eq!(witness.connections(), 0);
}

#[tokio::test]
async fn malformed_urls_say_what_to_correct() {
    let client = client(&[], &[]);
    let table = [
        ("http://a b/", "The URL must not hold blanks, control characters or backslashes."),
        ("ftp://example.com/a", "The URL must start with http:// or https:// and a host."),
        ("http:///example.com/a", "The URL must start with http:// or https:// and a host."),
        ("http://user@example.com/", "The URL must not hold a user name or password."),
        ("http://example.com:99999/", "The URL can't be read: correct its host or port."),
        (&format!("http://example.com/{}", "a".repeat(4_096)), "The URL must be at most 4096 bytes long."),
    ];
    for (url, sentence) in table {
        assert_eq!(client.fetch(url, &LIMITS).await, Err(unreachable(sentence)), "{url}");
    }
}
