//! A reader of a guide: one folder, one terminal, a gateway that is really there.
//!
//! Invariant: what a block exports or defines is there for the next one, and nothing else is; curl fails on
//! refusals, so that no block passes by ignoring one. Not here: what the pages say.

use crate::{
    block::{Block, Use, blocks},
    run::{Serving, finish},
    shape::differences,
};
use serde_json::Value;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// Runs one block with what earlier ones left behind, and leaves behind what it exports and defines.
const PASTE: &str = "set -e -o pipefail\n[ ! -f \"$STATE\" ] || . \"$STATE\"\n. \"$BLOCK\"\n\
                     { export -p; declare -f; } > \"$STATE\"\n";
/// No call hangs for longer than this, and refusals are failures.
const CURL_SETTINGS: &str = "fail-with-body\nmax-time = 45\n";

/// Calls whose example may be refused with this code: the reference calls them as they come.
const EXCUSED: &[(&str, &str)] = &[
    // The task that an earlier example made is over by then.
    ("/cancel\"", "not_cancelable"),
    // It may not be over yet, since the reference calls in the order of the paths.
    ("-X DELETE \"$RYNJER_BASE_URL/v1/generate/", "not_cancelable"),
    // There only where the operator lets tests move the time.
    ("/v1/test/clock\"", "not_found"),
    // Off unless the operator wants it.
    ("/auth/moltbook/exchange\"", "upstream_unavailable"),
];

/// A reader.
pub(crate) struct Reader {
    serving: Serving,
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

/// What was done with the blocks of a page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) run: usize,
    compared: usize,
    posted: usize,
    shown: usize,
    later: Vec<String>,
}

impl Page {
    /// All but those that wait.
    pub(crate) fn counts(&self) -> String {
        let Self { run, compared, posted, shown, .. } = self;
        format!("{run} run, {compared} compared, {posted} posted, {shown} shown")
    }
}

struct Done {
    ok: bool,
    stdout: String,
    stderr: String,
}

impl Reader {
    /// Somebody who has nothing yet.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(path("work")).unwrap();
        std::fs::write(path(".curlrc"), CURL_SETTINGS).unwrap();
        std::fs::write(path("paste.sh"), PASTE).unwrap();
        let serving = Serving::start(&["--data-dir", &path("share/rynjer")]);
        let environment = vec![
            ("XDG_DATA_HOME", path("share")),
            ("CURL_HOME", folder.path().display().to_string()),
            ("STATE", path("state.sh")),
            ("BLOCK", path("block.sh")),
        ];
        Self { serving, folder, environment }
    }

    /// Somebody with a test account and its key.
    pub(crate) fn with_account() -> Self {
        let mut reader = Self::start();
        let made = "rynjer admin account create --email me@example.com --credits 1000 >&2\n\
                    rynjer --json admin key create --account me@example.com\n";
        let done = reader.paste(made);
        assert!(done.ok, "{}", done.stderr);
        let key: Value = serde_json::from_str(&done.stdout).unwrap();
        reader.environment.push(("RYNJER_ACCESS_TOKEN", key["api_key"].as_str().unwrap().to_owned()));
        reader
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The program and its environment, with the gateway's own program on the path.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let names = std::env::vars_os().map(|(name, _)| name);
        for name in names.filter(|name| name.to_string_lossy().starts_with("RYNJER_")) {
            command.env_remove(name);
        }
        let own = Path::new(env!("CARGO_BIN_EXE_rynjer")).parent().unwrap().to_owned();
        let old = std::env::var_os("PATH").unwrap_or_default();
        let path: OsString =
            std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&old))).unwrap();
        command.env("PATH", path).envs(self.environment.iter().cloned()).current_dir(self.work());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn paste(&self, text: &str) -> Done {
        std::fs::write(self.folder.path().join("block.sh"), text).unwrap();
        let ran = finish(self.command("bash").arg(self.folder.path().join("paste.sh")));
        Done { ok: ran.code == 0, stdout: ran.stdout, stderr: ran.stderr }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.serving.ready["base_url"].as_str().unwrap())
    }

    fn fetch(&self, path: &str) -> String {
        let ran = finish(self.command("curl").args(["-s", "-S"]).arg(self.url(path)));
        assert_eq!(ran.code, 0, "{path}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Does with each block of a page what its fence says.
    pub(crate) fn read(&self, path: &str) -> Page {
        let description: Value = serde_json::from_str(&self.fetch("/agent/openapi.json")).unwrap();
        let mut page = Page::default();
        let mut last = None;
        for block in blocks(&self.fetch(&format!("{path}.md"))) {
            let place = format!("{path}.md, line {}", block.line);
            match &block.usage {
                Use::Shell { refused } => last = Some(self.shell(&block, *refused, &place)),
                Use::Program { name, program } => self.program(&block, name, program, &place),
                Use::Answer => compare(&block, last.as_deref(), &place),
                Use::Request { method, path } => self.post(&block, method, path, &place),
                Use::Shown => {}
                Use::Later { call } => {
                    assert!(!exists(&description, call), "{place}: {call} exists: take `later` away");
                }
            }
            page.count(block.usage);
        }
        eprintln!("{path}: {}; waiting: {:?}", page.counts(), page.later);
        page
    }

    fn shell(&self, block: &Block, refused: bool, place: &str) -> String {
        let done = self.paste(&block.text);
        let code = |(call, code): &(&str, &str)| {
            block.text.contains(call) && done.stdout.contains(&format!("\"error\":\"{code}\""))
        };
        let excused = !done.ok && EXCUSED.iter().any(code);
        let Done { ok, stdout, stderr } = done;
        assert!(ok != refused || excused, "{place}\n{}\n{stdout}\n{stderr}", block.text);
        stdout
    }

    fn program(&self, block: &Block, name: &str, program: &str, place: &str) {
        std::fs::write(self.work().join(name), &block.text).unwrap();
        let done = self.paste(&format!("{program} {name}\n"));
        assert!(done.ok && !done.stdout.is_empty(), "{place}\n{}\n{}", done.stdout, done.stderr);
    }

    fn post(&self, block: &Block, method: &str, path: &str, place: &str) {
        let bearer = self.environment.iter().find(|(name, _)| *name == "RYNJER_ACCESS_TOKEN");
        let bearer = format!("Authorization: Bearer {}", bearer.unwrap().1);
        let mut command = self.command("curl");
        command.args(["-s", "-X", method, "-H", &bearer, "-H", "Content-Type: application/json", "-d"]);
        let ran = finish(command.arg(&block.text).arg(self.url(path)));
        assert_eq!(ran.code, 0, "{place}\n{}\n{}", block.text, ran.stdout);
    }
}

impl Page {
    fn count(&mut self, usage: Use) {
        match usage {
            Use::Shell { .. } | Use::Program { .. } => self.run += 1,
            Use::Answer => self.compared += 1,
            Use::Request { .. } => self.posted += 1,
            Use::Shown => self.shown += 1,
            Use::Later { call } => self.later.push(call),
        }
    }
}

fn compare(block: &Block, printed: Option<&str>, place: &str) {
    let printed = printed.unwrap_or_else(|| panic!("{place}: an answer without a call"));
    let shown: Value = serde_json::from_str(&block.text).unwrap_or_else(|error| panic!("{place}: {error}"));
    let actual = serde_json::from_str(printed).unwrap_or_else(|error| panic!("{place}: {error}\n{printed}"));
    let found = differences(&shown, &actual);
    assert!(found.is_empty(), "{place}\n{}\n{actual:#}", found.join("\n"));
}

/// Whether the description has a call such as `GET /v1/generate/{}`, whatever its parameters are called.
fn exists(description: &Value, call: &str) -> bool {
    let paths = description["paths"].as_object().unwrap();
    paths.iter().any(|(path, item)| {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        let methods = item.as_object().unwrap().keys();
        methods.into_iter().any(|method| call == format!("{} {path}", method.to_uppercase()))
    })
}
