//! `rynjer admin user remove-second-step`.
//!
//! Invariant: who has lost the second step comes in by the password again, and nobody stays in without it.
//! Not here: the second step itself (`server/tests/it/second_step.rs`).

use crate::{
    run::{Serving, command, finish},
    user::json,
};
use data_encoding::BASE32_NOPAD;
use rynjer_core::totp;
use rynjer_emulator::SmtpServer;
use rynjer_server::clock::Clock;
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
};

const PASSWORD: &str = "correct horse battery";

/// A browser of one cookie.
struct Visitor {
    address: String,
    cookie: String,
}

impl Visitor {
    fn new(serving: &Serving) -> Self {
        let base_url = serving.ready["base_url"].as_str().unwrap();
        Self { address: base_url.strip_prefix("http://").unwrap().to_owned(), cookie: String::new() }
    }

    /// Status, place of a redirect, and page.
    fn ask(&mut self, first: &str, body: &str) -> (String, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (address, cookie, length) = (&self.address, &self.cookie, body.len());
        let head = format!(
            "{first} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nCookie: {cookie}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, page) = text.split_once("\r\n\r\n").unwrap();
        let header = |name: &str| {
            let found = head.lines().find_map(|line| line.strip_prefix(name));
            found.unwrap_or_default().trim().to_owned()
        };
        let set = header("set-cookie:");
        if let Some((cookie, _)) = set.split_once(';') {
            cookie.clone_into(&mut self.cookie);
        }
        let status = head.split(' ').nth(1).unwrap().to_owned();
        (status, header("location:"), page.to_owned())
    }

    fn csrf(&mut self) -> String {
        let page = self.ask("GET /settings/security", "").2;
        between(&page, "name=\"csrf\" value=\"", "\"")
    }

    /// Signs in with the password; where that leads.
    fn sign_in(&mut self) -> String {
        let body = format!("email=me@b.example&password={}", PASSWORD.replace(' ', "+"));
        self.ask("POST /login", &body).1
    }
}

fn between(text: &str, from: &str, to: &str) -> String {
    let rest = text.split(from).nth(1).unwrap_or_else(|| panic!("no {from}: {text}"));
    rest.split(to).next().unwrap().to_owned()
}

/// Makes the one owner, with the second step on; their browser.
fn secured(serving: &Serving, folder: &Path) -> Visitor {
    let invited = json(folder, &["invite", "me@b.example", "--operator", "--base-url", "https://g.example"]);
    let ticket = invited["url"].as_str().unwrap().split_once("?ticket=").unwrap().1.to_owned();
    let mut visitor = Visitor::new(serving);
    let body = format!("ticket={ticket}&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(visitor.ask("POST /invitation", &body).0, "303");
    let csrf = visitor.csrf();
    assert_eq!(visitor.ask("POST /settings/security/second-step", &format!("csrf={csrf}")).0, "303");
    let page = visitor.ask("GET /settings/security/second-step", "").2;
    let key = between(&page, "class=\"secret\">", "<").replace(' ', "");
    let key = BASE32_NOPAD.decode(key.as_bytes()).unwrap().try_into().unwrap();
    let code = totp::code(&key, Clock::System.now_ms() / 30_000);
    let enable = format!("csrf={csrf}&code={code}");
    assert_eq!(visitor.ask("POST /settings/security/second-step/enable", &enable).0, "200");
    visitor
}

#[test]
fn somebody_who_lost_it_comes_in_by_the_password_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let serving = Serving::start(&["--data-dir", folder.to_str().unwrap()]);
    let mut there = secured(&serving, folder);
    assert_eq!(json(folder, &["list"])["users"][0]["second_step"], true);
    assert!(Visitor::new(&serving).sign_in().starts_with("/login/code"));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(SmtpServer::start()).unwrap();
    let settings = folder.join("settings.toml");
    let text = format!("[smtp]\nurl = \"{}\"\nfrom = \"Gateway <gate@b.example>\"\n", server.url());
    std::fs::write(&settings, text).unwrap();
    let settings = settings.to_str().unwrap();
    let removed = json(folder, &["remove-second-step", "Me@b.example", "--config", settings]);
    assert_eq!((&removed["second_step"], &removed["letter"]), (&false.into(), &"sent".into()));
    let letters = server.letters();
    assert_eq!((letters.len(), letters[0].to.as_str()), (1, "me@b.example"));
    assert!(letters[0].plain().contains("took away the second step of your sign-in"));

    assert_eq!(there.ask("GET /settings/security", "").1, "/login?next=%2Fsettings%2Fsecurity");
    let mut visitor = Visitor::new(&serving);
    assert_eq!(visitor.sign_in(), "/");
    let log = visitor.ask("GET /operator/audit", "").2;
    assert!(log.contains("owner second step removed") && log.contains("command line"), "{log}");

    let again = finish(
        command().args(["admin", "user", "remove-second-step", "me@b.example", "--data-dir"]).arg(folder),
    );
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("has no second step"), "{}", again.stderr);
    let nobody = finish(
        command().args(["admin", "user", "remove-second-step", "x@b.example", "--data-dir"]).arg(folder),
    );
    assert_eq!(nobody.code, 1);
    assert_eq!(server.letters().len(), 1);
}

/// A letter that can't be sent keeps nobody out: it is done, and told.
#[test]
fn a_letter_that_fails_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let serving = Serving::start(&["--data-dir", folder.to_str().unwrap()]);
    drop(secured(&serving, folder));
    let settings = folder.join("settings.toml");
    // Nobody listens at a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!("[smtp]\nurl = \"smtp://127.0.0.1:{port}\"\nfrom = \"gate@b.example\"\n");
    std::fs::write(&settings, text).unwrap();
    let removed =
        json(folder, &["remove-second-step", "me@b.example", "--config", settings.to_str().unwrap()]);
    assert_eq!((&removed["second_step"], &removed["letter"]), (&false.into(), &"failed".into()));
    assert_eq!(Visitor::new(&serving).sign_in(), "/");
}
