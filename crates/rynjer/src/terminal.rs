//! What the terminal can do: whether there is one, its colours, its width.
//!
//! Invariant: nothing but plain text goes to a pipe, to a dumb terminal, or where `NO_COLOR` is set. Not
//! here: pictures.

use std::io::IsTerminal;

/// Width that is assumed where `COLUMNS` says nothing.
const USUAL_COLUMNS: usize = 80;

/// Everything that a style ever writes beside text.
pub(crate) const CODES: [&str; 6] = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];

/// Styles of one stream, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    on: bool,
}

impl Style {
    /// No styles at all.
    pub(crate) const PLAIN: Self = Self { on: false };

    /// Strong text, for what matters most.
    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Faint text, for what only helps to read the rest.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// What went well.
    pub(crate) fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// What went wrong.
    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// What needs a look.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Styles of stdout.
pub(crate) fn stdout() -> Style {
    Style { on: std::io::stdout().is_terminal() && colours() }
}

/// Styles of stderr.
pub(crate) fn stderr() -> Style {
    Style { on: shows_talk() && colours() }
}

/// Whether a person watches stderr, on a terminal that can move its cursor.
pub(crate) fn shows_talk() -> bool {
    std::io::stderr().is_terminal() && variable("TERM") != "dumb"
}

/// Whether colours are welcome.
pub(crate) fn colours() -> bool {
    variable("NO_COLOR").is_empty() && variable("TERM") != "dumb"
}

/// Columns of the terminal.
pub(crate) fn columns() -> usize {
    variable("COLUMNS").parse().ok().filter(|columns| *columns > 0).unwrap_or(USUAL_COLUMNS)
}

/// A variable of the environment; absent and unreadable ones are empty.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_codes_or_nothing() {
        assert_eq!(Style::PLAIN.bold("a"), "a");
        let style = Style { on: true };
        assert_eq!(style.bold("a"), "\x1b[1ma\x1b[0m");
        let all = [style.bold("a"), style.dim("a"), style.green("a"), style.red("a"), style.yellow("a")];
        for text in all {
            assert_eq!(crate::plain::styled(&text), text);
        }
    }
}
