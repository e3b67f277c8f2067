//! `doctor` of a client: each breakage is really made, and named in one sentence.
//!
//! Invariant: each fault exits 1 and says what to do. Not here: installations (`installation`).

use crate::{
    house::House,
    run::{Ran, finish, rynjer},
};
use rynjer_store::{Settings, Store};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
};

/// Runs it, expecting one fault.
fn fault(command: &mut Command, code: &str, says: &str) {
    let Ran { code: exit, stdout, stderr } = finish(command.arg("--json"));
    assert_eq!(exit, 1, "{stdout}{stderr}");
    let object: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let message = object["fault"]["message"].as_str().unwrap();
    assert_eq!(object["fault"]["error"], code, "{message}");
    assert!(message.contains(says), "{message}");
    assert!(object["fault"]["suggestion"].is_string(), "{message}");
    assert_eq!(object["ok"], false);
}

#[test]
fn all_is_fine() {
    let house = House::new();
    let ran = house.run(&["doctor"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, "all is fine\n"), "{}", ran.stdout);
    let names: Vec<&str> = ran.stdout.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(names, ["profile", "gateway", "clock", "credential", "account", "models", "credits"]);
    assert_eq!(house.json(&["doctor"])["ok"], true);
}

#[test]
fn nothing_listens() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = rynjer(&["doctor", "--base-url", &format!("http://{address}")]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains(&format!("nothing answers at http://{address}: Connection refused")));
}

#[test]
fn something_else_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        assert_ne!(stream.read(&mut head).unwrap(), 0);
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
            .unwrap();
    });
    let mut command = crate::run::command();
    fault(command.args(["doctor", "--base-url", &format!("http://{address}")]), "not_a_gateway", "HTTP 404");
    answering.join().unwrap();
}

#[test]
fn credentials_that_are_missing_unexpanded_or_malformed() {
    let house = House::new();
    let doctor = || house.stranger(&["doctor"]);
    fault(&mut doctor(), "missing_credentials", "no credential for");
    fault(doctor().env("RYNJER_ACCESS_TOKEN", "$RYNJER_ACCESS_TOKEN"), "invalid_token", "did not expand");
    let cut = &house.key[..house.key.len() - 3];
    fault(doctor().env("RYNJER_AGENT_API_KEY", cut), "invalid_token", "wrong length");
    fault(doctor().env("RYNJER_AGENT_API_KEY", "hunter2"), "invalid_token", "neither");
}

#[tokio::test]
async fn a_credential_that_expired_or_was_revoked() {
    let house = House::new();
    house.agent();
    let settings = Settings {
        database: rynjer_store::Database::Sqlite(house.folder.path().join("rynjer.db")),
        writer_threads: 1,
        notify: true,
        reader_threads: 1,
        queue_capacity: 8,
        batch_max: 8,
        writer_id: "a-test".to_owned(),
    };
    let store = Store::open(&settings, 0).unwrap();
    let expire = |tx: &mut dyn rynjer_store::Tx| {
        tx.exec("UPDATE keys SET expires_at = 1 WHERE agent_id IS NOT NULL", &[]).map(drop)
    };
    store.write(expire).await.unwrap();
    drop(store);
    fault(&mut house.saved(&["doctor"]), "expired_token", "has expired");
    house.admin(&["key", "revoke", &house.key_id]);
    fault(&mut house.client(&["doctor"]), "invalid_token", "was revoked");
}

#[test]
fn an_agent_that_is_not_bound_or_paused() {
    let house = House::new();
    house.register();
    fault(&mut house.saved(&["doctor"]), "agent_not_bound", "has no key yet");
    let agent = house.agent();
    assert_eq!(finish(&mut house.saved(&["doctor"])).code, 0);
    house.admin(&["agent", "pause", &agent]);
    fault(&mut house.saved(&["doctor"]), "agent_paused", "paused");
    house.admin(&["agent", "pause", &agent, "--resume"]);
    house.admin(&["account", "freeze", &house.account, "--reason", "a look"]);
    fault(&mut house.saved(&["doctor"]), "account_frozen", &house.account);
}

#[test]
fn credits_and_budgets_that_are_spent() {
    let poor = House::with_credits(7);
    fault(&mut poor.client(&["doctor"]), "insufficient_credits", "7 credits are available");
    poor.admin(&["account", "grant", &poor.account, "100"]);
    poor.admin(&["budget", "set", "5/day", "--account", &poor.account]);
    fault(&mut poor.client(&["doctor"]), "budget_exceeded", "account: 0 of 5 credits per day spent");
}

#[test]
fn a_clock_that_is_off() {
    let house = House::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let upstream = house.address().to_owned();
    // The real gateway's answer, as if it had been given long ago.
    let forwarding = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let length = stream.read(&mut head).unwrap();
        let head = String::from_utf8_lossy(&head[..length]).replacen("\r\n", "\r\nconnection: close\r\n", 1);
        let mut behind = TcpStream::connect(upstream).unwrap();
        behind.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        behind.read_to_string(&mut answer).unwrap();
        let lines = answer.split("\r\n").map(|line| match line.to_ascii_lowercase().starts_with("date:") {
            true => "date: Thu, 29 Feb 2024 12:34:56 GMT",
            false => line,
        });
        stream.write_all(lines.collect::<Vec<_>>().join("\r\n").as_bytes()).unwrap();
    });
    fault(&mut house.client(&["doctor", "--base-url", &base_url]), "clock_off", "ahead of the gateway's");
    forwarding.join().unwrap();
}

#[cfg(unix)]
#[test]
fn a_profile_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let house = House::new();
    assert_eq!(house.log_in().code, 0);
    assert_eq!(finish(&mut house.saved(&["doctor"])).code, 0);
    std::fs::set_permissions(house.profile(), std::fs::Permissions::from_mode(0o644)).unwrap();
    fault(&mut house.saved(&["doctor"]), "profile_open", "(mode 644)");
    let used = finish(&mut house.saved(&["balance"]));
    assert_eq!(used.code, 1);
    assert!(used.stderr.contains("chmod 600 "), "{}", used.stderr);
}
