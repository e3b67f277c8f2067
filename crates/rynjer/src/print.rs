//! The two ways out: stdout for data, stderr for talk.
//!
//! Invariant: a reader that went away is no failure; with `--json` stdout gets one object on one line; no
//! text of others moves a terminal's cursor. Not here: styles (`terminal`), tables (`table`).

use crate::{
    failure::Failure,
    plain,
    terminal::{self, Style},
};
use serde_json::Value;
use std::io::{ErrorKind, IsTerminal, Write};

/// Writes data as it is.
pub(crate) fn bytes(data: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(data).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("can't write to stdout: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a text: to a pipe as it is, to a terminal without what would command it.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    if std::io::stdout().is_terminal() {
        return bytes(plain::styled(text).as_bytes());
    }
    bytes(text.as_bytes())
}

/// Writes a text and ends its line.
pub(crate) fn line(line: &str) -> Result<(), Failure> {
    text(&format!("{}\n", line.trim_end_matches('\n')))
}

/// Writes an answer: one object on one line for programs, else what `human` makes of the style of stdout.
pub(crate) fn answer(json: bool, value: &Value, human: impl FnOnce(Style) -> String) -> Result<(), Failure> {
    if json { line(&value.to_string()) } else { line(&human(terminal::stdout())) }
}

/// Says something to the person who watches. Nobody may watch, so failing to say it is no failure.
pub(crate) fn talk(text: &str) {
    let text = match terminal::stderr() {
        Style::PLAIN => plain::lines(text),
        _ => plain::styled(text),
    };
    talk_bytes(format!("{text}\n").as_bytes());
}

/// The same for what is no text, such as a picture.
pub(crate) fn talk_bytes(bytes: &[u8]) {
    let mut stderr = std::io::stderr().lock();
    drop(stderr.write_all(bytes).and_then(|()| stderr.flush()));
}

/// Says what is worth doing next, for people only.
pub(crate) fn hint(json: bool, text: &str) {
    if !json {
        talk(&terminal::stderr().dim(text));
    }
}

/// Says what is not right but stops nothing.
pub(crate) fn warn(text: &str) {
    talk(&format!("{} {}", terminal::stderr().yellow("warning:"), plain::paragraph(text)));
}
