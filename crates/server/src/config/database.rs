//! Section `[database]`: which database, and how its threads share the work.
//!
//! Invariant: a password in the URL is never printed. Not here: opening the database.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};
use url::Url;

use super::error::ConfigError;
use super::reader::Reader;

/// Which database, and how its threads share the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Database {
    pub url: DatabaseUrl,
    #[serde(flatten)]
    pub threads: Threads,
    /// Whether processes wake each other through PostgreSQL's NOTIFY.
    pub notify: bool,
}

/// How the threads of one process share the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Threads {
    pub reader_threads: usize,
    /// On PostgreSQL, for units of work beside the ledger's.
    pub writer_threads: usize,
    pub queue_capacity: usize,
    pub batch_max: usize,
}

/// The database's URL; printing it leaves out a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The whole URL, for the driver alone. Empty: a SQLite file in the data folder.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is left to the data folder.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn masked(&self) -> String {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", ""));
        // A password with such a character in it ends the part that a parser takes for the password.
        let ends_early = rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(['?', '#', '/']));
        let Ok(mut url) = Url::parse(&self.0) else {
            return if self.0.is_empty() { String::new() } else { format!("{scheme}://***") };
        };
        if ends_early {
            return format!("{scheme}://***");
        }
        let in_query = url.query_pairs().any(|(name, _)| is_secret(&name));
        if url.password().is_none() && !in_query {
            return self.0.clone();
        }
        if url.password().is_some() && url.set_password(Some("***")).is_err() {
            return String::new();
        }
        if in_query {
            let shown = url.clone();
            let pairs = shown.query_pairs().map(|(name, value)| {
                if is_secret(&name) { (Cow::Borrowed("***"), Cow::Borrowed("***")) } else { (name, value) }
            });
            url.query_pairs_mut().clear().extend_pairs(pairs);
        }
        url.into()
    }
}

/// Whatever is not known to be harmless.
fn is_secret(parameter: &str) -> bool {
    const SHOWN: [&str; 9] = [
        "application_name",
        "connect_timeout",
        "dbname",
        "host",
        "port",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
        "user",
    ];
    !SHOWN.contains(&parameter)
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.masked(), f)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

impl Database {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        let url = section.text("url")?;
        let known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|start| url.starts_with(start));
        if !url.is_empty() && !known {
            let form = "must be empty, sqlite:FILE, or postgres://USER@HOST/NAME";
            return Err(section.invalid("url", form.to_owned()));
        }
        Ok(Self {
            url: DatabaseUrl(url.to_owned()),
            threads: Threads {
                reader_threads: section.whole("reader_threads", 1..=256)?,
                writer_threads: section.whole("writer_threads", 1..=256)?,
                queue_capacity: section.whole("queue_capacity", 1..=1_000_000)?,
                batch_max: section.whole("batch_max", 1..=65_536)?,
            },
            notify: section.truth("notify")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_url_has_no_password() {
        let rows = [
            ("", ""),
            ("sqlite:/var/lib/rynjer.db", "sqlite:/var/lib/rynjer.db"),
            ("postgres://rynjer@db.example/rynjer", "postgres://rynjer@db.example/rynjer"),
            ("postgres://rynjer:hunter2@db.example/r", "postgres://rynjer:***@db.example/r"),
            (
                "postgresql://db.example/r?user=a&password=hunter2&sslmode=require",
                "postgresql://db.example/r?user=a&***=***&sslmode=require",
            ),
            ("postgres://a:hunter2@h/r?sslpassword=hunter3", "postgres://a:***@h/r?***=***"),
            ("postgres://u:12?hunter@127.0.0.1/db", "postgres://***"),
            ("postgres://u:12#hunter@127.0.0.1/db", "postgres://***"),
            ("postgres://u@h/db?passfile=/x&hunter", "postgres://u@h/db?***=***&***=***"),
            ("postgres://u:hunter2@h1:1,h2:2/db", "postgres://***"),
        ];
        for (url, printed) in rows {
            let url = DatabaseUrl(url.to_owned());
            assert_eq!(url.to_string(), printed);
            assert_eq!(format!("{url:?}"), format!("{printed:?}"));
        }
    }
}
