//! `doctor` of an operator: each breakage of an installation is really made, and named.
//!
//! Invariant: looking changes nothing. Not here: clients (`doctor`).

use crate::run::{Ran, Serving, command, finish};
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// An installation that was started once, and its settings.
struct Installation {
    folder: TempDir,
    config: PathBuf,
    address: String,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let config = folder.path().join("rynjer.toml");
        fs::write(&config, format!("[server]\nlisten = \"{address}\"\nmetrics_listen = \"\"\n")).unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        Self { folder, config, address }
    }

    /// The same after a first start.
    fn started() -> Self {
        let new = Self::new();
        assert_eq!(new.serve().terminate(), Some(0));
        new
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn serve(&self) -> Serving {
        Serving::start_on(&self.address, &["--data-dir", self.data().to_str().unwrap()])
    }

    fn doctor(&self) -> Ran {
        let mut command = command();
        command.arg("--json").arg("doctor").arg("--config").arg(&self.config);
        finish(command.arg("--data-dir").arg(self.data()))
    }

    fn fault(&self, code: &str, says: &str) {
        let ran = self.doctor();
        assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
        let fault = &ran.object()["fault"];
        assert_eq!(fault["error"], code, "{fault}");
        assert!(fault["message"].as_str().unwrap().contains(says), "{fault}");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // SQLite may keep an empty log and its index beside a database that was read.
    files.retain(|file| {
        !file.to_string_lossy().ends_with("-wal") && !file.to_string_lossy().ends_with("-shm")
    });
    files.sort();
    files
}

#[test]
fn a_sound_installation_at_rest_and_at_work() {
    let house = Installation::started();
    let before = files(&house.data());
    let ran = house.doctor();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let checks = ran.object()["checks"].clone();
    let names: Vec<&str> =
        checks.as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(names, ["settings", "folder", "database", "master key", "prices", "disk", "port"]);
    assert!(files(&house.data()).iter().all(|file| before.contains(file)), "looking left something behind");
    let serving = house.serve();
    let ran = house.doctor();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains(&format!("a gateway runs on {}", house.address)), "{}", ran.stdout);
    drop(serving);
}

#[test]
fn a_folder_that_is_no_folder_or_held_by_another() {
    let house = Installation::new();
    house.fault("not_installed", "there is no database at");
    fs::remove_dir(house.data()).unwrap();
    house.fault("not_installed", "there is no installation at");
    // Root may write everywhere but below a file.
    fs::write(house.data(), "a file").unwrap();
    house.fault("folder_unusable", "can't be written to");
    let house = Installation::new();
    let elsewhere = Serving::start(&["--data-dir", house.data().to_str().unwrap()]);
    house.fault("folder_held", "another process holds the data folder");
    let mut named = command();
    named.args(["doctor", "--base-url", elsewhere.ready["base_url"].as_str().unwrap(), "--config"]);
    assert_eq!(finish(named.arg(&house.config).arg("--data-dir").arg(house.data())).code, 0);
    drop(elsewhere);
    let taken = TcpListener::bind(&house.address).unwrap();
    house.fault("port_taken", &house.address);
    drop(taken);
}

#[test]
fn a_database_that_is_damaged() {
    let house = Installation::started();
    let file = house.data().join("rynjer.db");
    // A backup is one file, without a log beside it that has newer pages.
    let copy = house.folder.path().join("copy.db");
    let mut backup = command();
    backup.args(["admin", "backup"]).arg(&copy).arg("--data-dir").arg(house.data());
    assert_eq!(finish(&mut backup).code, 0);
    for ending in ["-wal", "-shm"] {
        drop(fs::remove_file(house.data().join(format!("rynjer.db{ending}"))));
    }
    fs::copy(&copy, &file).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let kept = bytes.clone();
    let length = bytes.len();
    bytes[4096..length / 2].fill(7);
    fs::write(&file, &bytes).unwrap();
    house.fault("database_damaged", "is damaged");
    fs::write(&file, [7; 5000]).unwrap();
    house.fault("database_damaged", "is damaged");
    fs::write(&file, kept).unwrap();
    assert_eq!(house.doctor().code, 0);
}

#[test]
fn settings_with_an_unknown_key() {
    let house = Installation::started();
    fs::write(&house.config, "[server]\nlisen = \"127.0.0.1:0\"\n").unwrap();
    house.fault("config_invalid", "did you mean server.listen?");
}

#[test]
fn a_bucket_that_nobody_serves() {
    let house = Installation::started();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let storage = format!(
        "[storage]\nurl = \"s3://studio\"\nendpoint = \"http://{address}\"\naccess_key_id = \"a\"\n\
         secret_access_key = \"hunter2\"\n"
    );
    fs::write(&house.config, storage).unwrap();
    house.fault("object_storage", &format!("http://{address} can't be reached for s3://studio"));
}

#[test]
fn a_master_key_of_another_installation() {
    let house = Installation::started();
    let file = house.data().join("master.key");
    let kept = fs::read(&file).unwrap();
    fs::write(&file, "ab".repeat(32)).unwrap();
    house.fault("master_key_wrong", "does not open the stored keys");
    fs::write(&file, "short").unwrap();
    house.fault("master_key_wrong", "64 hex digits");
    fs::remove_file(&file).unwrap();
    house.fault("master_key_missing", "no master key");
    assert!(!file.exists(), "looking made a key");
    fs::write(&file, kept).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        house.fault("master_key_open", "(mode 640)");
    }
}
