//! A vendor's words, before anybody reads them.
//!
//! Invariant: no key leaves through them, no letter that hides or turns text, and users read a vendor's own
//! words only about what they sent. Not here: where words stand in an answer.

use crate::TaskError;
use bytes::Bytes;

/// How much of a vendor's sentence goes on.
const SENTENCE_LETTERS: usize = 300;
/// What stands in the place of a secret.
const HIDDEN: &str = "[key]";
/// How keys begin, also keys that are not ours: of the platforms here, and of callbacks.
const KEY_BEGINS: [&str; 3] = ["AIza", "sk-", "whsec_"];
/// A shorter key is none, and its letters are in every text.
const SECRET_BYTES_MIN: usize = 6;

/// A vendor's sentence, short and on one line, to be shown to people.
#[must_use]
pub(crate) fn sentence(text: &str) -> String {
    let visible: String = text.chars().filter(|letter| !is_invisible(*letter)).collect();
    let mut words = Vec::new();
    let mut is_token = false;
    for word in visible.split_whitespace() {
        words.push(if is_token { HIDDEN.to_owned() } else { without_secrets(word) });
        is_token = word.trim_matches(|letter: char| !letter.is_alphanumeric()).eq_ignore_ascii_case("bearer");
    }
    let clean: String = words.join(" ").chars().take(SENTENCE_LETTERS).collect();
    if clean.is_empty() { "the vendor gave no reason".to_owned() } else { clean }
}

/// The message of a refusal, which users read: a vendor's words about content and pictures, which they sent,
/// and ours about everything else.
#[must_use]
pub(crate) fn told(error: TaskError, text: &str) -> String {
    match error {
        TaskError::ContentRejected | TaskError::InputRejected | TaskError::InputUnreachable => sentence(text),
        TaskError::ProviderFailed | TaskError::TimedOut | TaskError::OutcomeUnknown => {
            "the provider could not make this".to_owned()
        }
    }
}

/// A refusal of one field of the request, if it is a field that users set.
#[must_use]
pub(crate) fn told_of_field(error: TaskError, field: &str, text: &str) -> String {
    let fields = ["prompt", "size", "n", "seconds", "duration", "resolution", "aspect_ratio", "seed"];
    if error == TaskError::ProviderFailed && fields.contains(&field) {
        return format!("the provider refused the request's {field}: {}", sentence(text));
    }
    told(error, text)
}

/// The same without a secret. What is not in it is not copied.
#[must_use]
pub(super) fn redacted(body: Bytes, secret: &str) -> Bytes {
    if secret.len() < SECRET_BYTES_MIN {
        return body;
    }
    let mut clean = Vec::new();
    let mut rest: &[u8] = &body;
    while let Some((before, after)) = split(rest, secret.as_bytes()) {
        clean.extend_from_slice(before);
        clean.extend_from_slice(HIDDEN.as_bytes());
        rest = after;
    }
    if clean.is_empty() {
        return body;
    }
    clean.extend_from_slice(rest);
    clean.into()
}

fn split<'a>(text: &'a [u8], sought: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let is_here = |window: &[u8]| window.first() == sought.first() && window == sought;
    let at = text.windows(sought.len()).position(is_here)?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.split_at_checked(sought.len())?.1))
}

/// Control letters, and such as have no width or turn the direction. White space stays for the words.
fn is_invisible(letter: char) -> bool {
    let hides = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
    hides || letter == '\u{feff}' || (letter.is_control() && !letter.is_whitespace())
}

/// A word without keys, and a URL without its query.
fn without_secrets(word: &str) -> String {
    let word = match word.split_once("://").and_then(|_| word.split_once('?')) {
        Some((before, _)) => before,
        None => word,
    };
    let is_of_key = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let mut clean = String::new();
    for part in word.split_inclusive(|letter: char| !is_of_key(letter)) {
        let (run, end) = match part.char_indices().next_back() {
            Some((at, letter)) if !is_of_key(letter) => part.split_at(at),
            _ => (part, ""),
        };
        clean.push_str(if KEY_BEGINS.iter().any(|begin| run.starts_with(begin)) { HIDDEN } else { run });
        clean.push_str(end);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_hold_no_keys_and_nothing_that_hides() {
        for (text, expected) in [
            (" a\n b ", "a b"),
            ("\u{7}", "the vendor gave no reason"),
            ("Consumer 'api_key:AIzaSyA-b_c' is gone.", "Consumer 'api_key:[key]' is gone."),
            ("Incorrect key: sk-proj-1x_y.", "Incorrect key: [key]"),
            ("AI\u{200b}zaSyX whsec_abc=", "[key] [key]="),
            ("Authorization: Bearer abc.def no", "Authorization: Bearer [key] no"),
            ("see https://a.example/b?token=1#c now", "see https://a.example/b now"),
            ("why? no://", "why? no://"),
            ("a\u{202e}b\u{2066}c\u{feff}", "abc"),
            ("task-1 asked", "task-1 asked"),
        ] {
            assert_eq!(sentence(text), expected);
        }
    }

    #[test]
    fn a_secret_is_replaced_wherever_it_stands() {
        let clean = |body: &'static str, secret| redacted(Bytes::from_static(body.as_bytes()), secret);
        assert_eq!(clean("secret1", "secret1"), "[key]");
        assert_eq!(clean("a secret1b secret1", "secret1"), "a [key]b [key]");
        assert_eq!(clean("a secret2", "secret1"), "a secret2");
        assert_eq!(clean("aaa", "a"), "aaa");
        assert_eq!(clean("", "secret1"), "");
    }

    #[test]
    fn users_read_about_what_they_sent() {
        assert_eq!(told(TaskError::ContentRejected, "Too red."), "Too red.");
        assert_eq!(told(TaskError::ProviderFailed, "Top up."), "the provider could not make this");
        let field = |name| told_of_field(TaskError::ProviderFailed, name, "Too large.");
        assert_eq!(field("size"), "the provider refused the request's size: Too large.");
        assert_eq!(field("account"), "the provider could not make this");
    }
}
