//! A name is resolved once per hop, and the connection goes to the address that was checked.
//!
//! Invariant: 127.0.0.2 plays the public address, by an allowed network, because tests never leave this
//! machine; 127.0.0.1 is what must not be reached. Not here: spellings of addresses.

use crate::loopback::{LIMITS, NOT_REACHED, Scripted, Server, Witness, ok, unreachable};
use rynjer_providers::guarded::{GuardSettings, GuardedClient};
use std::{io::Write as _, net::Ipv4Addr, sync::Arc};

const PUBLIC: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A server at the "public" address, and a witness on the same port of 127.0.0.1.
fn pair(answer: &'static [u8]) -> (Server, Witness) {
    let witness = Witness::new();
    let server = Server::at(PUBLIC, witness.port, move |path, stream| match path {
        "/moved" => stream.write_all(b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"),
        _ => stream.write_all(&ok(answer)),
    });
    (server, witness)
}

fn client(resolver: &Arc<Scripted>) -> GuardedClient {
    let settings = GuardSettings { allow_hosts: vec!["127.0.0.2/32".to_owned()], timeout_ms: 20_000 };
    GuardedClient::with_resolver(settings, Arc::clone(resolver) as _).unwrap()
}

#[tokio::test]
async fn a_second_answer_is_never_asked_for() {
    let (server, witness) = pair(b"public");
    let resolver = Scripted::in_order(&[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.1"]]);
    let url = format!("http://rebinding.example:{}/", witness.port);
    let found = client(&resolver).fetch(&url, &LIMITS).await.unwrap();
    assert_eq!(found.as_ref(), b"public");
    assert_eq!(resolver.asked(), ["rebinding.example"]);
    assert_eq!((server.heads().len(), witness.connections()), (1, 0));
    let host = format!("\r\nhost: rebinding.example:{}\r\n", witness.port);
    assert!(server.heads()[0].contains(&host), "{}", server.heads()[0]);
}

#[tokio::test]
async fn each_redirect_is_resolved_and_checked_again() {
    let (server, witness) = pair(b"public");
    let resolver = Scripted::in_order(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let url = format!("http://rebinding.example:{}/moved", witness.port);
    let refused = client(&resolver).fetch(&url, &LIMITS).await;
    assert_eq!(refused, Err(unreachable(NOT_REACHED)));
    assert_eq!(resolver.asked(), ["rebinding.example", "rebinding.example"]);
    assert_eq!((server.heads().len(), witness.connections()), (1, 0));
    let steady = Scripted::always(&["127.0.0.2"]);
    assert_eq!(client(&steady).fetch(&url, &LIMITS).await.unwrap().as_ref(), b"public");
    assert_eq!((server.heads().len(), witness.connections()), (3, 0));
}

#[tokio::test]
async fn one_private_answer_refuses_them_all() {
    let (server, witness) = pair(b"public");
    let mixed: [&[&str]; 7] = [
        &["127.0.0.2", "127.0.0.1"],
        &["127.0.0.1", "127.0.0.2"],
        &["127.0.0.2", "127.0.0.2", "10.0.0.1"],
        &["127.0.0.2", "::ffff:127.0.0.1"],
        &["127.0.0.2", "64:ff9b::7f00:1"],
        &["::1", "127.0.0.2"],
        &[],
    ];
    for answer in mixed {
        let url = format!("http://mixed.example:{}/", witness.port);
        let refused = client(&Scripted::always(answer)).fetch(&url, &LIMITS).await;
        assert_eq!(refused, Err(unreachable(NOT_REACHED)), "{answer:?}");
    }
    assert_eq!((server.heads().len(), witness.connections()), (0, 0));
}

#[tokio::test]
async fn fetches_at_once_keep_their_own_addresses() {
    let port = Witness::new().port;
    let other = Ipv4Addr::new(127, 0, 0, 3);
    let servers = [(PUBLIC, &b"two"[..]), (other, b"three")]
        .map(|(address, body)| Server::at(address, port, move |_, stream| stream.write_all(&ok(body))));
    let answers: Vec<&[&str]> = vec![&["127.0.0.2"], &["127.0.0.3"], &["127.0.0.3"], &["127.0.0.2"]];
    let resolver = Scripted::in_order(&answers);
    let settings = GuardSettings { allow_hosts: vec!["127.0.0.2/31".to_owned()], timeout_ms: 20_000 };
    let client = GuardedClient::with_resolver(settings, resolver as _).unwrap();
    let url = format!("http://one.example:{port}/");
    let fetches = (0..4).map(|_| client.fetch(&url, &LIMITS));
    let found = futures::future::try_join_all(fetches).await.unwrap();
    let found: Vec<&[u8]> = found.iter().map(AsRef::as_ref).collect();
    assert_eq!(found, [&b"two"[..], b"three", b"three", b"two"]);
    assert_eq!(servers.map(|server| server.heads().len()), [2, 2]);
}

#[tokio::test]
async fn allowed_entries_are_exact() {
    let (_server, witness) = pair(b"public");
    let port = witness.port;
    let resolver = Scripted::always(&["127.0.0.2"]);
    let table = [
        (format!("pics.example:{port}"), "pics.example", true),
        ("pics.example".to_owned(), "PICS.example", true),
        ("pics.example".to_owned(), "pics.example.", true),
        ("127.0.0.0/30".to_owned(), "pics.example", true),
        ("127.0.0.2".to_owned(), "127.0.0.2", true),
        (format!("127.0.0.2:{port}"), "0x7f.2", true),
        // An address as an entry is for URLs that name it, not for names that lead there.
        ("127.0.0.2".to_owned(), "pics.example", false),
        ("pics.example:1".to_owned(), "pics.example", false),
        ("pics.example".to_owned(), "a.pics.example", false),
        ("pics.example".to_owned(), "127.0.0.2", false),
        ("127.0.0.0/31".to_owned(), "pics.example", false),
    ];
    for (entry, host, is_allowed) in table {
        let settings = GuardSettings { allow_hosts: vec![entry.clone()], timeout_ms: 20_000 };
        let client = GuardedClient::with_resolver(settings, Arc::clone(&resolver) as _).unwrap();
        let found = client.fetch(&format!("http://{host}:{port}/"), &LIMITS).await;
        assert_eq!(found.is_ok(), is_allowed, "{entry} for {host}: {found:?}");
    }
    assert_eq!(witness.connections(), 0);
}
