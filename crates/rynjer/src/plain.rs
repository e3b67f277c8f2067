//! Text of others without the power to move the cursor: a gateway may be hostile, an agent names itself.
//!
//! Invariant: no control character is left but line ends and tabs where they are meant, and the codes that
//! `Style` makes. Not here: which stream has colours (`terminal`).

use crate::terminal::CODES;

/// What stands for a character that was taken out.
const TAKEN: char = '\u{fffd}';

/// The text as one line.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { TAKEN } else { c }).collect()
}

/// The text in lines of which the further ones are indented, so that none can pose as a message of ours.
pub(crate) fn paragraph(text: &str) -> String {
    text.lines().map(line).collect::<Vec<_>>().join("\n  ")
}

/// A whole text, of which others may have written parts.
pub(crate) fn lines(text: &str) -> String {
    kept(text, &[])
}

/// The same, with the codes of our own styles.
pub(crate) fn styled(text: &str) -> String {
    kept(text, &CODES)
}

fn kept(text: &str, codes: &[&str]) -> String {
    let whole = || codes.iter().copied().chain(["\r\n", "\n", "\t"]);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((one, after)) = whole().find_map(|one| Some((one, rest.strip_prefix(one)?))) {
            out.push_str(one);
            rest = after;
        } else {
            out.push(if first.is_control() { TAKEN } else { first });
            rest = rest.strip_prefix(first).unwrap_or_default();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_of_ours_and_ends_of_lines_stay() {
        assert_eq!(line("a\x1b[2J\n\u{9b}1A\x7f"), "a\u{fffd}[2J\u{fffd}\u{fffd}1A\u{fffd}");
        assert_eq!(paragraph("a\nerror: b\r\x08"), "a\n  error: b\u{fffd}\u{fffd}");
        assert_eq!(lines("é\t1\r\n2\r3\x1b[1m"), "é\t1\r\n2\u{fffd}3\u{fffd}[1m");
        assert_eq!(styled("\x1b[1ma\x1b[0m\x1b[8m\x1b]0;t\x07"), {
            "\x1b[1ma\x1b[0m\u{fffd}[8m\u{fffd}]0;t\u{fffd}"
        });
    }
}
