//! Gateways that mean no good: what they get, and what they can do to a terminal.
//!
//! Invariant: a credential goes where its owner said, and text of others stays text. Not here: downloads
//! (the typed client).

use crate::{
    house::House,
    run::{Ran, finish},
};
use std::{
    io::{Read, Write},
    net::TcpListener,
    thread::JoinHandle,
};

/// A listener that answers once, and gives what it was asked.
fn hostile(status: &'static str, body: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let length = stream.read(&mut head).unwrap();
        let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(head[..length].to_vec()).unwrap()
    });
    (base_url, asked)
}

fn save_profile(house: &House, text: &str) {
    std::fs::create_dir_all(house.profile().parent().unwrap()).unwrap();
    std::fs::write(house.profile(), text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(house.profile(), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// A command whose environment has a key but no address.
fn keyed(house: &House, key: &str, arguments: &[&str]) -> Ran {
    finish(house.saved(arguments).env("RYNJER_AGENT_API_KEY", key))
}

#[test]
fn a_key_of_the_environment_does_not_go_to_the_gateway_of_a_profile() {
    let house = House::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("http://{}", other.local_addr().unwrap());
    other.set_nonblocking(true).unwrap();
    save_profile(&house, &format!("base_url = \"{elsewhere}\"\n"));
    let ran = keyed(&house, &house.key, &["balance"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("RYNJER_AGENT_API_KEY is not sent to its gateway {elsewhere}")));
    assert!(ran.stderr.contains("RYNJER_BASE_URL or `--base-url "), "{}", ran.stderr);
    assert_eq!(other.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nothing was sent");
    let named = keyed(&house, &house.key, &["balance", "--base-url", &house.base_url]);
    assert_eq!(named.code, 0, "{}", named.stderr);
}

#[test]
fn the_gateway_of_a_profile_gets_the_key_of_the_profile() {
    let house = House::new();
    assert_eq!(house.log_in().code, 0);
    let of_another = House::with_credits(5);
    let ran = keyed(&house, &of_another.key, &["balance", "--json"]);
    assert_eq!((ran.code, &ran.object()["available"]), (0, &1000.into()), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("warning: RYNJER_AGENT_API_KEY is not used: "), "{}", ran.stderr);
    let same = keyed(&house, &house.key, &["balance"]);
    assert_eq!((same.code, same.stderr.as_str()), (0, ""));
}

#[test]
fn words_of_a_gateway_command_no_terminal() {
    let house = House::new();
    let (base_url, asked) = hostile(
        "200 OK",
        concat!(
            r#"{"success":true,"error":null,"message":"ok","data":{"agent_id":"agt_1\u001b[2J","#,
            r#""user_code":"u","bound":false,"expires_at":"t","bind_url":"http://h/\u001b]0;t\u0007","#,
            r#""registration_code":"a; touch x\u009b1A'"}}"#
        ),
    );
    let line = ["login", "--register", "Tester", "--timeout-seconds", "0", "--base-url", &base_url];
    let ran = finish(&mut house.stranger(&line));
    asked.join().unwrap();
    let commands = ran.stderr.chars().filter(|c| c.is_control() && *c != '\n').count();
    assert_eq!(commands, 0, "{:?}", ran.stderr);
    let quoted = "agent bind 'a; touch x\u{fffd}1A'\\''' --account EMAIL";
    assert!(ran.stderr.contains(quoted), "{}", ran.stderr);
    let (base_url, asked) = hostile(
        "429 Too Many Requests",
        concat!(
            r#"{"code":0,"message":"ok","data":{"error":"rate_limited","message":"m\u001b[2J\nerror: no","#,
            r#""suggestion":"s\u009bA","retryable":false,"trace_id":"t","docs_url":"d"}}"#
        ),
    );
    let ran = finish(&mut house.client(&["balance", "--base-url", &base_url]));
    asked.join().unwrap();
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("error: m\u{fffd}[2J\n  error: no"), "{}", ran.stderr);
    let commands = ran.stderr.chars().filter(|c| c.is_control() && *c != '\n').count();
    assert_eq!(commands, 0, "{:?}", ran.stderr);
}
