//! Which words may stand in which layer.
//!
//! Invariant: each rule is one row of a table. Not here: tests' code, which may look into any layer.

use super::scan::Line;

/// Where a word is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Literal,
}

/// A word and its places.
struct Rule {
    name: &'static str,
    part: Part,
    words: &'static [&'static str],
    /// The word is refused in files that begin with one of these…
    within: &'static [&'static str],
    /// …unless they begin with one of these too.
    except: &'static [&'static str],
    why: &'static str,
}

const CRATES: &[&str] = &["crates/"];

const RULES: &[Rule] = &[
    Rule {
        name: "sql-in-store",
        part: Part::Literal,
        words: &[
            "SELECT ",
            "INSERT INTO",
            "UPDATE ",
            "DELETE FROM",
            "CREATE TABLE",
            "ALTER TABLE",
            "PRAGMA ",
        ],
        within: CRATES,
        except: &["crates/store/"],
        why: "SQL belongs to crates/store",
    },
    Rule {
        name: "http-words",
        part: Part::Code,
        words: &["axum", "http::"],
        within: &["crates/server/src/app/", "crates/server/src/app.rs", "crates/core/", "crates/store/"],
        except: &[],
        why: "use cases, rules and store know nothing of HTTP",
    },
    Rule {
        name: "http-words",
        part: Part::Code,
        words: &["axum"],
        within: &["crates/rynjer/"],
        except: &[],
        why: "the binary starts the server and knows no routes",
    },
    Rule {
        name: "rusqlite-in-store",
        part: Part::Code,
        words: &["rusqlite"],
        within: CRATES,
        except: &["crates/store/"],
        why: "the database driver belongs to crates/store",
    },
    Rule {
        name: "reqwest-in-clients",
        part: Part::Code,
        words: &["reqwest"],
        within: CRATES,
        except: &["crates/providers/", "crates/peers/", "crates/api/src/client.rs", "crates/api/src/client/"],
        why: "calls go out from crates/providers, crates/peers and the typed client alone",
    },
    Rule {
        name: "one-clock",
        part: Part::Code,
        words: &["SystemTime", "Instant::now"],
        within: CRATES,
        except: &["crates/server/src/clock.rs", "crates/store/src/measure.rs", "crates/rynjer/"],
        why: "time comes from crates/server/src/clock.rs",
    },
    Rule {
        name: "one-entropy",
        part: Part::Code,
        words: &["getrandom"],
        within: CRATES,
        except: &["crates/server/src/clock.rs", "crates/server/src/entropy.rs"],
        why: "randomness comes from crates/server/src/entropy.rs",
    },
];

/// A misplaced word: its rule and a sentence.
pub(super) fn misplaced(path: &str, line: &Line) -> Vec<(&'static str, String)> {
    let begins = |starts: &[&str]| starts.iter().any(|start| path.starts_with(start));
    let mut found = Vec::new();
    for rule in RULES.iter().filter(|rule| begins(rule.within) && !begins(rule.except)) {
        // The line's end counts as a blank: long statements are broken after their keywords.
        let text = if rule.part == Part::Code { line.code.clone() } else { format!("{} ", line.literal) };
        for word in rule.words.iter().filter(|word| has_word(&text, word)) {
            found.push((rule.name, format!("`{}` stands here, but {}", word.trim_end(), rule.why)));
        }
    }
    found
}

/// Whether `word` stands in `text` and not as a part of a longer name.
fn has_word(text: &str, word: &str) -> bool {
    let in_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().last());
        let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
        let open_end = word.ends_with(in_name) && after.is_some_and(in_name);
        !before.is_some_and(in_name) && !open_end
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::scan::lines;

    fn rules(path: &str, source: &str) -> Vec<&'static str> {
        lines(source).iter().flat_map(|line| misplaced(path, line)).map(|(rule, _)| rule).collect()
    }

    #[test]
    fn words_in_and_out_of_their_layers() {
        let none: &[&str] = &[];
        let rows: [(&str, &str, &[&str]); 28] = [
            ("crates/server/src/app/task.rs", "q(\"SELECT id FROM task\")", &["sql-in-store"]),
            ("crates/server/src/worker/a.rs", "q(\"\n  SELECT\n id\")", &["sql-in-store"]),
            ("crates/rynjer/src/main.rs", "q(r#\"UPDATE task SET a\"#)", &["sql-in-store"]),
            ("crates/store/src/task.rs", "q(\"SELECT id FROM task\")", none),
            ("crates/server/src/app/task.rs", "// SELECT id\nlet SELECT = 1;", none),
            ("crates/server/src/app/task.rs", "m(\"the next UPDATED row, a SELECTION\")", none),
            ("crates/server/src/app/task.rs", "use axum::Json;", &["http-words"]),
            ("crates/server/src/app/task.rs", "http::StatusCode::OK", &["http-words"]),
            ("crates/server/src/app/task.rs", "crate::http::task()", &["http-words"]),
            ("crates/core/src/task.rs", "axum", &["http-words"]),
            ("crates/store/src/task.rs", "axum", &["http-words"]),
            ("crates/rynjer/src/serve.rs", "use axum::Router;", &["http-words"]),
            ("crates/server/src/http/task.rs", "use axum::Json; http::StatusCode::OK", none),
            ("crates/server/src/app/task.rs", "let my_http::x = https::y; \"axum http::\"", none),
            ("crates/server/src/app/task.rs", "rusqlite::Connection", &["rusqlite-in-store"]),
            ("crates/store/src/sqlite.rs", "rusqlite::Connection", none),
            ("crates/server/src/app/task.rs", "reqwest::Client", &["reqwest-in-clients"]),
            ("crates/api/src/task.rs", "reqwest::Client", &["reqwest-in-clients"]),
            ("crates/api/src/client.rs", "reqwest::Client", none),
            ("crates/api/src/client/task.rs", "reqwest::Client", none),
            ("crates/providers/src/openai/mod.rs", "reqwest::Client", none),
            ("crates/core/src/task.rs", "SystemTime::now()", &["one-clock"]),
            ("crates/server/src/worker/a.rs", "tokio::time::Instant::now()", &["one-clock"]),
            ("crates/server/src/clock.rs", "SystemTime::now(); Instant::now()", none),
            ("crates/rynjer/src/demo.rs", "Instant::now()", none),
            ("crates/server/src/app/key.rs", "getrandom::fill(&mut a)", &["one-entropy"]),
            ("crates/server/src/entropy.rs", "getrandom::fill(&mut a)", none),
            ("xtask/src/main.rs", "axum rusqlite reqwest getrandom Instant::now \"SELECT 1\"", none),
        ];
        for (path, source, expected) in rows {
            assert_eq!(rules(path, source), expected, "{path}: {source}");
        }
    }
}
