//! `rynjer serve`.
//!
//! Invariant: what keeps it from serving is one sentence, and a signal ends it well. Not here: requests.

use crate::run::{Serving, command, finish, rynjer};
use std::net::TcpListener;

#[test]
fn settings_that_are_wrong_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.toml");
    std::fs::write(&file, "[server]\nlisen = \"127.0.0.1:0\"\n").unwrap();
    let ran = finish(command().args(["serve", "--config"]).arg(&file));
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("did you mean server.listen?"), "{}", ran.stderr);

    let ran = rynjer(&["serve", "--listen", "localhost"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("must be an IP address and a port"), "{}", ran.stderr);

    let ran = finish(command().arg("serve").env("RYNJER_MASTER_KEY", "abc"));
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("RYNJER_MASTER_KEY: the master key must be 64 hex digits"), "{}", ran.stderr);
}

#[test]
fn settings_print_as_a_file() {
    let ran = rynjer(&["serve", "--print-config", "--rate-limits", "off", "--listen", "127.0.0.1:9"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let table: toml::Table = ran.stdout.parse().unwrap();
    assert_eq!(table["limits"]["rate_limits"].as_bool(), Some(false));
    assert_eq!(table["server"]["listen"].as_str(), Some("127.0.0.1:9"));
    let object = rynjer(&["serve", "--print-config", "--json"]).object();
    assert_eq!(object["server"]["listen"], "127.0.0.1:8787");
}

#[test]
fn a_taken_port_is_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ran =
        finish(command().args(["serve", "--listen", &address.to_string(), "--data-dir"]).arg(folder.path()));
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.starts_with(&format!("error: port {} on 127.0.0.1 is taken", address.port())),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_folder_has_one_gateway_and_a_damaged_database_none() {
    let folder = tempfile::tempdir().unwrap();
    let place = ["--data-dir", folder.path().to_str().unwrap()];
    let serving = Serving::start(&place);
    let second = rynjer(&["serve", "--listen", "127.0.0.1:0", place[0], place[1]]);
    assert_eq!((second.code, second.stderr.lines().count()), (1, 1), "{}", second.stderr);
    assert!(second.stderr.contains("another gateway uses the data folder"), "{}", second.stderr);
    drop(serving);
    let damaged = tempfile::tempdir().unwrap();
    std::fs::write(damaged.path().join("rynjer.db"), [7; 5000]).unwrap();
    let ran = finish(command().args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(damaged.path()));
    assert_eq!((ran.code, ran.stderr.lines().count()), (1, 1), "{}", ran.stderr);
    assert!(ran.stderr.contains("can't be opened"), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_well() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(&["--data-dir", folder.path().to_str().unwrap()]);
    assert!(serving.ready["base_url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert_eq!(serving.terminate(), Some(0));
}

#[cfg(unix)]
#[test]
fn time_that_tests_move_is_refused_beside_live_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let place = ["--data-dir", folder.path().to_str().unwrap()];
    let serving = Serving::start(&place);
    let created =
        rynjer(&["admin", "account", "create", "--email", "a@b.example", "--live", place[0], place[1]]);
    assert_eq!(created.code, 0, "{}", created.stderr);
    assert_eq!(serving.terminate(), Some(0));
    let ran = rynjer(&["serve", "--listen", "127.0.0.1:0", "--test-clock", place[0], place[1]]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("--test-clock"), "{}", ran.stderr);
}
