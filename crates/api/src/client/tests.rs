//! What goes over the wire, against a socket that answers from a list.
//!
//! Invariant: each test names the exact bytes. Not here: a real gateway.

use super::*;
use crate::generate::GenerateRequest;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread::JoinHandle,
};

/// Answers each connection with the next text; gives what was asked: head and body.
fn serve(answers: Vec<String>) -> (String, JoinHandle<Vec<(String, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        answers.iter().map(|answer| exchange(&listener.accept().unwrap().0, answer)).collect()
    });
    (address, asked)
}

fn exchange(mut stream: &std::net::TcpStream, answer: &str) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0);
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(answer.as_bytes()).unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

const BALANCE: &str = concat!(
    r#"{"code":0,"message":"ok","data":{"available":980,"held":20,"currency":"credits","#,
    r#""account_id":"acct_1","mode":"test","budgets":[],"of_tomorrow":1}}"#
);

#[tokio::test]
async fn the_credential_goes_along_and_the_envelope_comes_off() {
    let (address, asked) = serve(vec![answer("200 OK", BALANCE)]);
    let balance = Client::new(&address).unwrap().with_bearer("secret").balance().await.unwrap();
    assert_eq!((balance.available, balance.held), (980, 20));
    let (head, _) = asked.join().unwrap().remove(0);
    assert!(head.starts_with("GET /v1/credits/balance HTTP/1.1\r\n"));
    assert!(head.contains("authorization: Bearer secret\r\n"));
}

#[tokio::test]
async fn a_refusal_is_typed_in_both_families() {
    let data = concat!(
        r#"{"error":"rate_limited","message":"m","suggestion":"s","retryable":true,"#,
        r#""trace_id":"t","docs_url":"d"}"#
    );
    let family_a = format!(r#"{{"code":0,"message":"ok","data":{data}}}"#);
    let family_b = format!(r#"{{"success":false,"error":"rate_limited","message":"m","data":{data}}}"#);
    let status = "429 Too Many Requests";
    let (address, asked) = serve(vec![answer(status, &family_a), answer(status, &family_b)]);
    let client = Client::new(&address).unwrap();
    let errors = [
        client.models().await.map(|_| ()).unwrap_err(),
        client.register(&serde_json::json!({})).await.map(|_| ()).unwrap_err(),
    ];
    for error in errors {
        let ClientError::Api { status, data } = error else { panic!("{error:?}") };
        assert_eq!((status, data.code()), (429, Some(crate::ErrorCode::RateLimited)));
    }
    asked.join().unwrap();
}

#[tokio::test]
async fn what_is_no_json_is_no_answer() {
    let (address, asked) =
        serve(vec![answer("502 Bad Gateway", "<html>"), answer("200 OK", r#"{"code":0}"#)]);
    let client = Client::new(&address).unwrap();
    assert!(matches!(client.balance().await, Err(ClientError::Decode { status: 502, .. })));
    assert!(matches!(client.balance().await, Err(ClientError::Decode { status: 200, .. })));
    asked.join().unwrap();
}

#[tokio::test]
async fn ids_stay_one_segment_and_bodies_leave_out_what_is_empty() {
    let error = answer("404 Not Found", "{}");
    let (address, asked) = serve(vec![error.clone(), error]);
    let client = Client::new(&address).unwrap();
    assert!(client.poll("a/../b?c", 500).await.is_err());
    let request = GenerateRequest {
        request_id: Some("r".to_owned()),
        model: "z-image".to_owned(),
        ..Default::default()
    };
    assert!(client.generate(&request).await.is_err());
    let asked = asked.join().unwrap();
    assert!(asked[0].0.starts_with("GET /v1/generate/a%2F..%2Fb%3Fc?wait=60 HTTP/1.1\r\n"), "{asked:?}");
    assert_eq!(asked[1].1, r#"{"request_id":"r","model":"z-image"}"#);
    assert_eq!(path_segment("A.z_~:@+=-9").unwrap(), "A.z_~:@+=-9");
    assert!(["", ".", ".."].iter().all(|id| path_segment(id).is_err()));
}

#[tokio::test]
async fn a_download_follows_redirects_without_the_credential() {
    let redirect = "HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (address, asked) = serve(vec![redirect.to_owned(), answer("200 OK", "bytes")]);
    let client = Client::new(&address).unwrap().with_bearer("secret");
    let mut last = (0, None);
    let bytes =
        client.download(&format!("{address}/here"), 5, |done, total| last = (done, total)).await.unwrap();
    assert_eq!((bytes.as_slice(), last), (b"bytes".as_slice(), (5, Some(5))));
    let asked = asked.join().unwrap();
    assert!(asked[1].0.starts_with("GET /there HTTP/1.1\r\n"));
    assert!(asked.iter().all(|(head, _)| !head.contains("secret")));
}

#[tokio::test]
async fn a_download_ends_where_the_promise_ends() {
    let endless = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbytes and more";
    let (address, asked) = serve(vec![answer("200 OK", "bytes!"), endless.to_owned()]);
    let client = Client::new(&address).unwrap();
    for _ in 0..2 {
        let mut file = Vec::new();
        let error = client.download_to(&address, 5, &mut file, |_, _| {}).await.unwrap_err();
        assert!(error.to_string().ends_with("more than the 5 bytes that were promised"), "{error}");
        assert!(file.is_empty() && !error.is_passing(), "{error}");
    }
    asked.join().unwrap();
}

#[test]
fn only_plain_addresses_make_a_client() {
    assert!(Client::new("ftp://example.com").is_err());
    assert!(Client::new("example.com").is_err());
    let client = Client::new("http://127.0.0.1:8787/").unwrap().with_bearer("secret");
    assert_eq!((client.base_url(), client.audience()), ("http://127.0.0.1:8787", "127.0.0.1:8787"));
    assert!(!format!("{client:?}").contains("secret"));
}
