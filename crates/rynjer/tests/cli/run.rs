//! Starts the built program with a clean environment.
//!
//! Invariant: nothing of the tester's own settings leaks in. Not here: what is expected.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// What a run left behind.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The one object of `--json`.
    pub(crate) fn object(&self) -> serde_json::Value {
        assert_eq!(self.stdout.lines().count(), 1, "{}\n{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// The program, ready to run.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rynjer"));
    let ours = |name: &OsStr| name.to_string_lossy().starts_with("RYNJER_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    // Profiles of the tester's own are as foreign as variables.
    command.env("XDG_CONFIG_HOME", std::env::temp_dir().join("rynjer-tests-have-no-profiles"));
    command.env_remove("COLUMNS").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub(crate) fn rynjer(arguments: &[&str]) -> Ran {
    finish(command().args(arguments))
}

/// Runs a prepared command to its end.
pub(crate) fn finish(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A gateway that runs until it is told to stop, or the test ends.
pub(crate) struct Serving {
    child: Child,
    /// The object that `serve --json` prints once it listens.
    pub(crate) ready: serde_json::Value,
}

impl Serving {
    /// Starts it and waits until it listens.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", arguments)
    }

    /// The same on an address of one's own, for a gateway that comes back.
    pub(crate) fn start_on(address: &str, arguments: &[&str]) -> Self {
        Self::try_start_on(address, arguments).unwrap_or_else(|talk| panic!("no gateway: {talk}"))
    }

    /// The same for a gateway that may die before it listens; what it said then.
    pub(crate) fn try_start_on(address: &str, arguments: &[&str]) -> Result<Self, String> {
        let mut child =
            command().args(["--json", "serve", "--listen", address]).args(arguments).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        if let Ok(ready) = serde_json::from_str(&line) {
            return Ok(Self { child, ready });
        }
        let mut talk = String::new();
        std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut talk).unwrap();
        child.wait().unwrap();
        Err(talk)
    }

    /// Whether its process is over; whoever is told so may start the next one in its folder.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM and gives the exit code.
    #[cfg(unix)]
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
