//! The built program, run as people and programs run it.
//!
//! Invariant: stdout holds data alone, and each failure has its exit code. Not here: the API's own
//! behaviour.

#[cfg(test)]
#[path = "cli/run.rs"]
mod run;

#[cfg(test)]
#[path = "cli/admin.rs"]
mod admin;
#[cfg(test)]
#[path = "cli/canary.rs"]
mod canary;
#[cfg(test)]
#[path = "cli/collector.rs"]
mod collector;
#[cfg(test)]
#[path = "cli/control.rs"]
mod control;
#[cfg(test)]
#[path = "cli/demo.rs"]
mod demo;
#[cfg(test)]
#[path = "cli/doctor.rs"]
mod doctor;
#[cfg(test)]
#[path = "cli/foreign.rs"]
mod foreign;
#[cfg(test)]
#[path = "cli/generate.rs"]
mod generate;
#[cfg(test)]
#[path = "cli/house.rs"]
mod house;
#[cfg(test)]
#[cfg(unix)]
#[path = "cli/installation.rs"]
mod installation;
#[cfg(test)]
#[path = "cli/login.rs"]
mod login;
#[cfg(test)]
#[path = "cli/metrics.rs"]
mod metrics;
#[cfg(test)]
#[path = "cli/migrate.rs"]
mod migrate;
#[cfg(test)]
#[path = "cli/model.rs"]
mod model;
#[cfg(test)]
#[path = "cli/poison.rs"]
mod poison;
#[cfg(test)]
#[path = "cli/prices.rs"]
mod prices;
#[cfg(test)]
#[path = "cli/receipt.rs"]
mod receipt;
#[cfg(test)]
#[path = "cli/second_step.rs"]
mod second_step;
#[cfg(test)]
#[path = "cli/serve.rs"]
mod serve;
#[cfg(test)]
#[path = "cli/trace.rs"]
mod trace;
#[cfg(test)]
#[path = "cli/usage.rs"]
mod usage;
#[cfg(test)]
#[path = "cli/user.rs"]
mod user;
#[cfg(test)]
#[path = "cli/web.rs"]
mod web;

use run::{Ran, rynjer};

#[test]
fn help_names_every_command_on_stdout() {
    let ran = rynjer(&["--help"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    for word in [
        "demo",
        "serve",
        "login",
        "generate",
        "doctor",
        "admin",
        "completions",
        "--json",
        "Examples:",
        "Exit codes:",
    ] {
        assert!(ran.stdout.contains(word), "{word}\n{}", ran.stdout);
    }
    let ran = rynjer(&["admin", "--help"]);
    for noun in
        ["account", "agent", "key", "budget", "task", "prices", "audit", "backup", "restore", "migrate"]
    {
        assert!(ran.stdout.contains(&format!("\n  {noun} ")), "{noun}\n{}", ran.stdout);
    }
}

#[test]
fn version_is_one_line() {
    let ran = rynjer(&["--version"]);
    assert_eq!(ran.stdout, format!("rynjer {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_exits_2_and_suggests() {
    let rows: [(&[&str], &str); 6] = [
        (&["dmeo"], "'demo'"),
        (&["admin", "acount", "list"], "'account'"),
        (&["demo", "--modle", "x"], "'--model'"),
        (
            &["admin", "key", "create", "--account", "me@b.example", "--scopes", "imge"],
            "did you mean \"image\"?",
        ),
        (&["admin", "agent", "pause", "key_1"], "agt_…"),
        (&["demo", "--model", "nano-bananna"], "did you mean"),
    ];
    for (arguments, expected) in rows {
        let ran = rynjer(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.stderr.contains(expected), "{arguments:?}\n{}", ran.stderr);
    }
}

#[test]
fn failures_are_one_object_with_json() {
    let Ran { code, stdout, stderr } = rynjer(&["--json", "demo", "--model", "nano-bananna"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    let failure: serde_json::Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!((&failure["error"], &failure["exit_code"]), (&"usage".into(), &2.into()));
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn no_escape_goes_to_a_pipe() {
    for arguments in [&["--help"][..], &["admin", "prices", "show"], &["dmeo"]] {
        let ran = rynjer(arguments);
        assert!(!ran.stdout.contains('\x1b') && !ran.stderr.contains('\x1b'), "{arguments:?}");
    }
}

#[test]
fn completions_are_scripts_of_their_shells() {
    for (shell, sign) in
        [("bash", "complete -F _rynjer"), ("zsh", "#compdef rynjer"), ("fish", "complete -c rynjer")]
    {
        let ran = rynjer(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        assert!(ran.stdout.contains(sign), "{shell}");
    }
}
