//! The rules of the house that neither compiler nor clippy checks: sizes, names, layers.
//!
//! Invariant: a finding names its file, line and rule, and the same text always gives the same findings.
//! Not here: reading files, and the list of exceptions (`tests/tidy.rs`).

mod manifest;
mod scan;
mod secrets;
mod words;

use std::fmt;

use scan::Line;

/// Most lines of code in one file, tests aside.
const MAX_CODE_LINES: usize = 400;
/// Most characters of one line.
const MAX_LINE_LETTERS: usize = 110;
/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 9] =
    ["common", "util", "utils", "type", "types", "manager", "managers", "helper", "helpers"];
/// Ends of type names that say nothing of what the type is.
const EMPTY_ENDINGS: [&str; 5] = ["Manager", "Helper", "Helpers", "Util", "Utils"];

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.what)
    }
}

/// Everything against the rules in one file; `path` is relative to the workspace, with forward slashes.
pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let finding = |line, rule, what| Finding { path: path.to_owned(), line, rule, what };
    let mut findings = Vec::new();
    if let Some(name) = empty_name(path) {
        findings.push(finding(1, "telling-names", format!("`{name}` says nothing of what is inside")));
    }
    if path.ends_with("Cargo.toml") {
        let problems = manifest::problems(text);
        findings.extend(problems.into_iter().map(|(line, what)| finding(line, "crate-direction", what)));
    } else if path.ends_with(".sql") && !path.starts_with("crates/store/") {
        findings.push(finding(1, "sql-in-store", "SQL belongs to crates/store".to_owned()));
    } else if path.ends_with(".rs") {
        findings.extend(source(path, text).into_iter().map(|(line, rule, what)| finding(line, rule, what)));
    }
    findings
}

/// A folder or file of the path whose name says nothing.
fn empty_name(path: &str) -> Option<&str> {
    let stems = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    stems.into_iter().find(|stem| EMPTY_NAMES.contains(stem))
}

type Breach = (usize, &'static str, String);

fn source(path: &str, text: &str) -> Vec<Breach> {
    let mut found: Vec<Breach> = Vec::new();
    if !text.starts_with("//!") {
        found.push((1, "opening-comment", "the file must open with `//!` and say what it is".to_owned()));
    }
    for (at, line) in text.lines().enumerate() {
        let letters = line.chars().count();
        if letters > MAX_LINE_LETTERS {
            let what = format!("{letters} characters, at most {MAX_LINE_LETTERS} are allowed");
            found.push((at + 1, "line-length", what));
        }
    }
    let lines = scan::lines(text);
    for (at, line) in lines.iter().enumerate() {
        found.extend(names(line).into_iter().map(|what| (at + 1, "telling-names", what)));
    }
    if path.contains("/src/") && path.ends_with("/tests.rs") {
        return found;
    }
    let production = lines.get(..tests_start(&lines)).unwrap_or_default();
    let code: Vec<usize> =
        (1..).zip(production).filter(|(_, line)| line.is_code()).map(|(at, _)| at).collect();
    if let Some(&first_beyond) = code.get(MAX_CODE_LINES) {
        let what = format!("{} lines of code, at most {MAX_CODE_LINES} are allowed", code.len());
        found.push((first_beyond, "file-length", what));
    }
    if !path.contains("/tests/") {
        for (at, line) in (1..).zip(production) {
            found.extend(words::misplaced(path, line).into_iter().map(|(rule, what)| (at, rule, what)));
            let compared = secrets::compared(path, line).into_iter();
            found.extend(compared.map(|what| (at, "secrets-in-constant-time", what)));
        }
    }
    found
}

/// Where the tests' module begins: an attribute on a single item doesn't end the code.
fn tests_start(lines: &[Line]) -> usize {
    let is_module = |line: &Line| line.code.trim_start().trim_start_matches("pub ").starts_with("mod ");
    let begins = |pair: &[Line]| match pair {
        [attribute, item, ..] => attribute.code.trim() == "#[cfg(test)]" && is_module(item),
        _ => false,
    };
    lines.windows(2).position(begins).unwrap_or(lines.len())
}

/// Modules and types of this line whose names say nothing.
fn names(line: &Line) -> Vec<String> {
    let mut found = Vec::new();
    let mut words = line.code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    while let Some(word) = words.next() {
        if !matches!(word, "mod" | "struct" | "enum" | "trait" | "type") {
            continue;
        }
        let name = words.next().unwrap_or_default();
        let empty_module = word == "mod" && EMPTY_NAMES.contains(&name);
        let empty_type = word != "mod" && EMPTY_ENDINGS.iter().any(|ending| name.ends_with(ending));
        if empty_module || empty_type {
            found.push(format!("`{word} {name}` says nothing of what it is"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> Vec<String> {
        check(path, text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_file_has_no_findings() {
        assert_eq!(told("crates/core/src/task.rs", "//! Tasks.\n\nstruct Task;\n"), Vec::<String>::new());
        assert_eq!(told("README.md", "SELECT utils"), Vec::<String>::new());
    }

    #[test]
    fn every_file_says_what_it_is() {
        let finding = "a/src/b.rs:1: opening-comment: the file must open with `//!` and say what it is";
        assert_eq!(told("a/src/b.rs", "\n//! Late.\n"), [finding]);
        assert_eq!(told("a/src/b.rs", ""), [finding]);
    }

    #[test]
    fn lines_have_an_end() {
        let longest = format!("//! {}", "é".repeat(106));
        assert_eq!(told("a/src/b.rs", &longest), Vec::<String>::new());
        assert_eq!(
            told("a/src/b.rs", &format!("//! A.\n{longest}x")),
            ["a/src/b.rs:2: line-length: 111 characters, at most 110 are allowed"]
        );
    }

    #[test]
    fn files_have_an_end_but_for_their_tests() {
        let full = format!("//! A.\n\n// note\n{}", "use a;\n".repeat(400));
        assert_eq!(told("a/src/b.rs", &full), Vec::<String>::new());
        let tests = format!("{full}#[cfg(test)]\nmod tests {{\n{}}}\n", "use a;\n".repeat(400));
        assert_eq!(told("a/src/b.rs", &tests), Vec::<String>::new());
        assert_eq!(told("a/src/b/tests.rs", &full.repeat(2)), Vec::<String>::new());
        let beyond = "a/src/b.rs:405: file-length: 402 lines of code, at most 400 are allowed";
        assert_eq!(told("a/src/b.rs", &format!("{full}\nuse b;\nuse c;\n")), [beyond]);
        let hidden = format!("//! A.\n#[cfg(test)]\nuse t;\n{}", "use a;\n".repeat(399));
        assert_eq!(
            told("a/src/b.rs", &hidden),
            ["a/src/b.rs:402: file-length: 401 lines of code, at most 400 are allowed"]
        );
    }

    #[test]
    fn names_tell() {
        for path in ["a/src/utils.rs", "a/src/common/b.rs", "a/src/types/mod.rs", "a/tests/helper.rs"] {
            let name = empty_name(path).unwrap();
            let finding = format!("{path}:1: telling-names: `{name}` says nothing of what is inside");
            assert_eq!(told(path, "//! A."), [finding]);
        }
        assert_eq!(empty_name("a/src/media_types.rs"), None);
        let rows = [
            ("mod utils;", "mod utils"),
            ("pub(crate) mod helper {", "mod helper"),
            ("pub struct TaskManager {", "struct TaskManager"),
            ("enum PathUtil<'a> {", "enum PathUtil"),
            ("trait FileHelper: Sized {}", "trait FileHelper"),
            ("type Utils = u8;", "type Utils"),
        ];
        for (code, name) in rows {
            let finding = format!("a/src/b.rs:2: telling-names: `{name}` says nothing of what it is");
            assert_eq!(told("a/src/b.rs", &format!("//! A.\n{code}\n")), [finding]);
        }
        let fine =
            "//! A.\n// mod utils;\nstruct Management;\nlet a = \"struct TaskManager\";\nuse x::Manager;\n";
        assert_eq!(told("a/src/b.rs", fine), Vec::<String>::new());
    }

    #[test]
    fn layers_of_sources_and_manifests() {
        let sql = "//! A.\nconst A: &str = \"SELECT a\";\n";
        assert_eq!(
            told("crates/server/src/app/a.rs", sql),
            ["crates/server/src/app/a.rs:2: sql-in-store: `SELECT` stands here, \
                 but SQL belongs to crates/store"]
        );
        let in_tests = "//! A.\n#[cfg(test)]\nmod tests {\n    const A: &str = \"SELECT a\";\n}\n";
        assert_eq!(told("crates/server/src/app/a.rs", in_tests), Vec::<String>::new());
        assert_eq!(told("crates/server/tests/it/a.rs", sql), Vec::<String>::new());
        assert_eq!(
            told("crates/server/src/a.sql", ""),
            ["crates/server/src/a.sql:1: sql-in-store: SQL belongs to crates/store"]
        );
        assert_eq!(told("crates/store/src/migrations/001.sql", ""), Vec::<String>::new());
        assert_eq!(
            told(
                "crates/api/Cargo.toml",
                "[package]\nname = \"rynjer-api\"\n[dependencies]\nrynjer-core = \"1\"\n"
            ),
            ["crates/api/Cargo.toml:4: crate-direction: rynjer-api depends on rynjer-core, \
                 but may use none of ours"]
        );
    }
}
