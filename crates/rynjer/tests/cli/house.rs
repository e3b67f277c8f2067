//! A gateway with a test account and a key, and clients of it with a configuration folder of their own.
//!
//! Invariant: nothing outside its folder is read or written. Not here: what is expected.

use crate::run::{Ran, Serving, command, finish};
use serde_json::Value;
use std::{io::Write, process::Command};
use tempfile::TempDir;

/// A gateway and what its owner knows.
pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) serving: Option<Serving>,
    pub(crate) base_url: String,
    pub(crate) account: String,
    /// An account key with all scopes.
    pub(crate) key: String,
    pub(crate) key_id: String,
}

impl House {
    /// Starts it with so many credits in its one account.
    pub(crate) fn with_credits(credits: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let serving =
            Serving::start(&["--data-dir", folder.path().to_str().unwrap(), "--rate-limits", "off"]);
        let base_url = serving.ready["base_url"].as_str().unwrap().to_owned();
        let mut house = Self {
            folder,
            serving: Some(serving),
            base_url,
            account: String::new(),
            key: String::new(),
            key_id: String::new(),
        };
        let credits = credits.to_string();
        let account = house.admin(&["account", "create", "--email", "me@b.example", "--credits", &credits]);
        house.account = account["account_id"].as_str().unwrap().to_owned();
        let key = house.admin(&["key", "create", "--account", &house.account]);
        house.key = key["api_key"].as_str().unwrap().to_owned();
        house.key_id = key["key_id"].as_str().unwrap().to_owned();
        house
    }

    /// Starts it with credits enough.
    pub(crate) fn new() -> Self {
        Self::with_credits(1000)
    }

    /// The address without its scheme.
    pub(crate) fn address(&self) -> &str {
        self.base_url.strip_prefix("http://").unwrap()
    }

    /// Runs an operator's command.
    pub(crate) fn admin(&self, arguments: &[&str]) -> Value {
        let mut command = command();
        command.args(["--json", "admin"]).args(arguments).arg("--data-dir").arg(self.folder.path());
        let ran = finish(&mut command);
        assert_eq!(ran.code, 0, "{arguments:?}\n{}", ran.stderr);
        ran.object()
    }

    /// A client's command without any credential, knowing the address only.
    pub(crate) fn stranger(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command.env("XDG_CONFIG_HOME", self.folder.path().join("config"));
        command.env("RYNJER_BASE_URL", &self.base_url).args(arguments);
        command
    }

    /// The same with the account's key in the environment.
    pub(crate) fn client(&self, arguments: &[&str]) -> Command {
        let mut command = self.stranger(arguments);
        command.env("RYNJER_AGENT_API_KEY", &self.key);
        command
    }

    /// The same with nothing but what was saved.
    pub(crate) fn saved(&self, arguments: &[&str]) -> Command {
        let mut command = self.stranger(arguments);
        command.env_remove("RYNJER_BASE_URL");
        command
    }

    /// Runs a client's command.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        finish(&mut self.client(arguments))
    }

    /// Runs a client's command that succeeds, with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let ran = self.run(&arguments);
        assert_eq!(ran.code, 0, "{arguments:?}\n{}", ran.stderr);
        ran.object()
    }

    /// Saves the account's key as a profile.
    pub(crate) fn log_in(&self) -> Ran {
        with_stdin(&mut self.stranger(&["login", "--with-key-stdin"]), &self.key)
    }

    /// The file of the usual profile.
    pub(crate) fn profile(&self) -> std::path::PathBuf {
        self.folder.path().join("config/rynjer/profiles/default.toml")
    }

    /// Registers an agent that is not bound yet; gives its registration code.
    pub(crate) fn register(&self) -> String {
        let ran = finish(&mut self.stranger(&["login", "--register", "Tester", "--timeout-seconds", "0"]));
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        let word = ran.stderr.split_whitespace().find(|word| word.starts_with("ryn_reg_"));
        word.unwrap_or_else(|| panic!("{}", ran.stderr)).to_owned()
    }

    /// Registers an agent, binds it and saves its key; gives its id.
    pub(crate) fn agent(&self) -> String {
        let code = self.register();
        let bound = self.admin(&["agent", "bind", &code, "--account", &self.account, "--scopes", "all"]);
        let ran = finish(&mut self.stranger(&["login", "--register", "Tester", "--json"]));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(ran.object()["agent_id"], bound["agent_id"]);
        bound["agent_id"].as_str().unwrap().to_owned()
    }
}

/// Runs a command with a text on its stdin.
pub(crate) fn with_stdin(command: &mut Command, text: &str) -> Ran {
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}
