//! Secrets of the tests, and everywhere that they must not turn up: the log at its most talkative, bodies of
//! errors, the files of the database.
//!
//! Invariant: what a test's gateway was given or gave away as a secret is watched from then on, in every
//! test. Not here: metrics and secrets of the environment, which the built program is watched for (`rynjer`).

use super::Answer;
use std::{
    io::{self, Write},
    path::Path,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};
use tracing::Level;
use tracing_subscriber::{Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt};

/// Shorter ones would be found in anything.
const LENGTH_MIN: usize = 8;
/// As in `rynjer serve`: libraries that print what they carry are not asked for details.
const CARRIERS: [&str; 7] =
    ["tokio_postgres", "postgres", "hyper", "h2", "reqwest", "object_store", "rustls"];

static PLANTED: Mutex<Vec<(&'static str, String)>> = Mutex::new(Vec::new());
static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn locked<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches a secret from now on.
pub(crate) fn plant(name: &'static str, secret: &str) {
    let mut planted = locked(&PLANTED);
    if secret.len() >= LENGTH_MIN && !planted.iter().any(|(_, known)| known == secret) {
        planted.push((name, secret.to_owned()));
    }
}

/// Watches the log of this process, once.
pub(crate) fn watch() {
    static WATCHING: OnceLock<()> = OnceLock::new();
    WATCHING.get_or_init(|| {
        let told = filter_fn(|event| {
            let library = event.target().split("::").next().unwrap_or_default();
            *event.level() <= Level::INFO || !CARRIERS.iter().any(|carrier| library.starts_with(carrier))
        });
        let lines =
            tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Watcher).with_filter(told);
        // A test of traces may have a subscriber of its own.
        drop(tracing_subscriber::registry().with(lines).try_init());
    });
}

struct Watcher;

impl Write for Watcher {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        look("the log", line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Notes every planted secret in what was found at `place`.
fn look(place: &str, bytes: &[u8]) {
    for (name, secret) in locked(&PLANTED).iter() {
        if contains(bytes, secret.as_bytes()) {
            let start = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
            locked(&LEAKS).push(format!("{name} in {place}: {start}"));
        }
    }
}

fn contains(bytes: &[u8], secret: &[u8]) -> bool {
    let first = secret[0];
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.starts_with(secret) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// Looks at a refusal's body.
pub(crate) fn look_at(answer: &Answer) {
    if answer.status >= 400 {
        look("the body of an error", &answer.body);
    }
}

/// Looks through the files of a database, with their pages that are free again; what leaked so far.
pub(crate) fn leaks(data_dir: &Path) -> Vec<String> {
    for entry in std::fs::read_dir(data_dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_file() && path.to_string_lossy().contains(".db") {
            look(&path.display().to_string(), &std::fs::read(&path).expect("a file"));
        }
    }
    locked(&LEAKS).clone()
}

#[test]
fn a_canary_that_sings_is_heard() {
    watch();
    plant("a test's secret", "ryn_test_0123456789");
    tracing::trace!(token = "ryn_test_0123456789", "leaked on purpose");
    tracing::trace!(token = "ryn_test_012345678x", "another");
    let folder = tempfile::TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("a.db-wal"), b"..ryryn_test_0123456789..").expect("written");
    let leaks = leaks(folder.path());
    assert_eq!(leaks.len(), 2, "{leaks:?}");
    assert!(leaks[0].starts_with("a test's secret in the log: "), "{leaks:?}");
    locked(&LEAKS).clear();
}
