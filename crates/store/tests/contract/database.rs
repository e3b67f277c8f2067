//! An empty database for one test: a SQLite file, or a database of its own on a PostgreSQL server.
//!
//! Invariant: `RYNJER_TEST_DATABASE=postgres` chooses the server at `RYNJER_TEST_POSTGRES`, and nothing else
//! does; what a test made there is dropped with its value. Not here: the server (`scripts/postgres`).

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

static MADE: AtomicU32 = AtomicU32::new(0);

/// Where one test keeps its rows.
pub(crate) enum TestDatabase {
    Sqlite,
    Postgres { server: String, name: String },
}

/// Whether this run is one on PostgreSQL.
pub(crate) fn is_postgres() -> bool {
    std::env::var("RYNJER_TEST_DATABASE").is_ok_and(|kind| kind == "postgres")
}

impl TestDatabase {
    pub(crate) fn fresh() -> Self {
        if is_postgres() { Self::on_server() } else { Self::Sqlite }
    }

    /// Always on the server.
    pub(crate) fn on_server() -> Self {
        let server = std::env::var("RYNJER_TEST_POSTGRES").expect(
            "RYNJER_TEST_POSTGRES is not set: run tests on PostgreSQL with scripts/test, or scripts/postgres",
        );
        let name = format!("t{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        on_server(&server, format!("CREATE DATABASE {name}"));
        Self::Postgres { server, name }
    }

    /// Its URL; a SQLite file is put into the folder.
    pub(crate) fn url(&self, folder: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite:{}", folder.join("rynjer.db").display()),
            Self::Postgres { server, name } => {
                let (front, _) = server.rsplit_once('/').expect("a URL with a database");
                format!("{front}/{name}")
            }
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Self::Postgres { server, name } = self {
            on_server(server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// Runs statements on the server, on a thread of its own: the driver blocks, which a runtime forbids.
pub(crate) fn on_server(url: &str, sql: String) {
    let url = url.to_owned();
    let run = move || {
        let mut client =
            postgres::Client::connect(&url, postgres::NoTls).expect("the test's PostgreSQL server");
        client.batch_execute(&sql).expect("a statement of the test");
    };
    std::thread::spawn(run).join().expect("a statement on the server");
}
