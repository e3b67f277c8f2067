//! Splits Rust source into what is code, what is inside literals and what is comment, line by line.
//!
//! Invariant: every line of the text has its entry, and no part of a line stands in two of the three.
//! Not here: a parser; nothing is understood beyond where literals and comments begin and end.

/// One line, split.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Code, with literals left out but for their quotes.
    pub(crate) code: String,
    /// What stands inside string literals.
    pub(crate) literal: String,
}

impl Line {
    /// Whether the line is neither blank nor comment alone.
    pub(crate) fn is_code(&self) -> bool {
        !self.code.trim().is_empty() || !self.literal.trim().is_empty()
    }
}

#[derive(Clone, Copy)]
enum State {
    Code,
    LineComment,
    /// How many block comments are open.
    BlockComment(usize),
    Text,
    /// How many `#` end the raw string.
    RawText(usize),
}

/// The lines of `source`.
pub(crate) fn lines(source: &str) -> Vec<Line> {
    let letters: Vec<char> = source.chars().collect();
    let mut lines = vec![Line::default()];
    let mut state = State::Code;
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        if letter == '\n' {
            if matches!(state, State::LineComment) {
                state = State::Code;
            }
            lines.push(Line::default());
            at += 1;
            continue;
        }
        let rest = letters.get(at..).unwrap_or_default();
        let (next, taken) = step(state, rest, lines.last().map_or("", |line| &line.code));
        if let Some(line) = lines.last_mut() {
            let part = rest.get(..taken).unwrap_or_default();
            match (state, next) {
                (State::Code, State::Code) => line.code.extend(part),
                (State::Code, State::Text | State::RawText(_))
                | (State::Text | State::RawText(_), State::Code) => {
                    line.code.push('"');
                }
                (State::Text | State::RawText(_), _) => line.literal.extend(part),
                _ => {}
            }
        }
        state = next;
        at += taken;
    }
    lines
}

/// The state after the next piece of the line, and how many letters the piece has: never a line's end, so a
/// backslash before one is taken alone.
fn step(state: State, rest: &[char], before: &str) -> (State, usize) {
    match state {
        State::Code => step_code(rest, before),
        State::LineComment => (state, 1),
        State::BlockComment(depth) => match rest {
            ['*', '/', ..] if depth == 1 => (State::Code, 2),
            ['*', '/', ..] => (State::BlockComment(depth - 1), 2),
            ['/', '*', ..] => (State::BlockComment(depth + 1), 2),
            _ => (state, 1),
        },
        State::Text => match rest {
            ['\\', '\n', ..] => (state, 1),
            ['\\', _, ..] => (state, 2),
            ['"', ..] => (State::Code, 1),
            _ => (state, 1),
        },
        State::RawText(hashes) => {
            let ends = rest.first() == Some(&'"') && (1..=hashes).all(|at| rest.get(at) == Some(&'#'));
            if ends { (State::Code, 1 + hashes) } else { (state, 1) }
        }
    }
}

fn step_code(rest: &[char], before: &str) -> (State, usize) {
    let in_name = before.chars().last().is_some_and(|last| last.is_alphanumeric() || last == '_');
    match rest {
        ['/', '/', ..] => (State::LineComment, 2),
        ['/', '*', ..] => (State::BlockComment(1), 2),
        ['"', ..] => (State::Text, 1),
        ['b' | 'c', 'r', ..] if !in_name => raw(rest, 2),
        ['r', ..] if !in_name => raw(rest, 1),
        // A character literal may be a quote or a slash; a lifetime has no second apostrophe.
        ['\'', '\\', _, after @ ..] => {
            let end = after.iter().take(12).position(|&letter| letter == '\'');
            (State::Code, end.map_or(1, |end| end + 4))
        }
        ['\'', _, '\'', ..] => (State::Code, 3),
        _ => (State::Code, 1),
    }
}

/// A raw string's start after `prefix` letters, or the first of those letters as code.
fn raw(rest: &[char], prefix: usize) -> (State, usize) {
    let hashes = rest.iter().skip(prefix).take_while(|&&letter| letter == '#').count();
    let quoted = rest.get(prefix + hashes) == Some(&'"');
    if quoted { (State::RawText(hashes), prefix + hashes + 1) } else { (State::Code, 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(source: &str) -> (Vec<String>, Vec<String>) {
        lines(source).into_iter().map(|line| (line.code, line.literal)).unzip()
    }

    #[test]
    fn parts_of_a_line() {
        let rows = [
            ("let a = 1; // SELECT", "let a = 1; ", ""),
            ("a(\"x // y\", b) /* c */ + d", "a(\"\", b)  + d", "x // y"),
            ("\"a\\\"b\" c", "\"\" c", "a\\\"b"),
            ("r#\"a\"b\\\"# c", "\"\" c", "a\"b\\"),
            ("br\"a\" for_bar", "\"\" for_bar", "a"),
            ("'\"' + '/' + '\\'' + '\\u{1F600}' \"t\"", "'\"' + '/' + '\\'' + '\\u{1F600}' \"\"", "t"),
            ("fn a<'b>(c: &'b str) {} // '", "fn a<'b>(c: &'b str) {} ", ""),
            ("a /* b /* c */ d */ e", "a  e", ""),
            ("r#type + raw", "r#type + raw", ""),
        ];
        for (source, code, literal) in rows {
            assert_eq!(split(source), (vec![code.to_owned()], vec![literal.to_owned()]), "{source}");
        }
    }

    #[test]
    fn literals_and_comments_go_on_over_lines() {
        let (code, literal) = split("a(\"b \\\n  c\n\");\n/* d\n e */ f");
        assert_eq!(code, ["a(\"", "", "\");", "", " f"]);
        assert_eq!(literal, ["b \\", "  c", "", "", ""]);
    }

    #[test]
    fn blank_and_comment_lines_are_not_code() {
        let counted: Vec<bool> = lines("//! a\n\nb\n  // c\n\"\nd").iter().map(Line::is_code).collect();
        assert_eq!(counted, [false, false, true, false, true, true]);
    }
}
