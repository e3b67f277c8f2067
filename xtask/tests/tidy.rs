//! Runs the rules of the house over every file of the workspace.
//!
//! Invariant: an exception names its rule, its file and its reason, and goes when it is no longer needed.
//! Not here: the rules (`src/tidy`).

#[path = "../src/tidy/mod.rs"]
mod tidy;

use std::path::{Path, PathBuf};
use std::{fs, io};

use tidy::Finding;

/// A finding that is meant: rule, file, reason.
struct Exception {
    rule: &'static str,
    path: &'static str,
    reason: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        rule: "secrets-in-constant-time",
        path: "crates/store/src/price.rs",
        reason: "the hash of a public catalog, sent by nobody",
    },
    Exception {
        rule: "secrets-in-constant-time",
        path: "crates/store/src/ledger/audit.rs",
        reason: "the chain of entries, compared with itself",
    },
];

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 2] = ["target", "node_modules"];

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask stands in the workspace");
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
        collect(&root.join(folder), &mut files).unwrap_or_else(|error| panic!("{folder}: {error}"));
    }
    files.sort();
    assert!(
        files.iter().any(|file| file.ends_with("crates/core/src/lib.rs")),
        "no sources below {}",
        root.display()
    );
    let mut findings = Vec::new();
    for file in &files {
        let path = file.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{path}: {error}"));
        findings.extend(tidy::check(&path, &text));
    }
    let told = verdict(&findings, EXCEPTIONS);
    assert!(told.is_empty(), "{} breaches of the house's rules:\n{}", told.len(), told.join("\n"));
}

/// Sources, manifests and SQL below `folder`.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
                collect(&path, files)?;
            }
        } else if name.ends_with(".rs") || name.ends_with(".sql") || name == "Cargo.toml" {
            files.push(path);
        }
    }
    Ok(())
}

/// What is left after the exceptions, and exceptions that are idle or have no reason.
fn verdict(findings: &[Finding], exceptions: &[Exception]) -> Vec<String> {
    let covers = |exception: &Exception, finding: &Finding| {
        exception.rule == finding.rule && exception.path == finding.path
    };
    let left =
        findings.iter().filter(|finding| !exceptions.iter().any(|exception| covers(exception, finding)));
    let mut told: Vec<String> = left.map(ToString::to_string).collect();
    for exception in exceptions {
        let (rule, path) = (exception.rule, exception.path);
        if exception.reason.trim().is_empty() {
            told.push(format!("{path}:1: {rule}: the exception in xtask/tests/tidy.rs has no reason"));
        }
        if !findings.iter().any(|finding| covers(exception, finding)) {
            told.push(format!("{path}:1: {rule}: the exception in xtask/tests/tidy.rs is no longer needed"));
        }
    }
    told
}

#[test]
fn exceptions_cover_one_rule_in_one_file() {
    let findings = tidy::check("crates/core/src/a.rs", "SystemTime;\n");
    let opening = "crates/core/src/a.rs:1: opening-comment: the file must open with `//!` and say what it is";
    let clock = "crates/core/src/a.rs:1: one-clock: `SystemTime` stands here, but time comes from \
                 crates/server/src/clock.rs";
    assert_eq!(verdict(&findings, &[]), [opening, clock]);
    let of = |rule, path, reason| [Exception { rule, path, reason }];
    assert_eq!(verdict(&findings, &of("one-clock", "crates/core/src/a.rs", "a sample")), [opening]);
    assert_eq!(
        verdict(&findings, &of("one-clock", "crates/core/src/b.rs", "")),
        [
            opening,
            clock,
            "crates/core/src/b.rs:1: one-clock: the exception in xtask/tests/tidy.rs has no reason",
            "crates/core/src/b.rs:1: one-clock: the exception in xtask/tests/tidy.rs is no longer needed",
        ]
    );
}
