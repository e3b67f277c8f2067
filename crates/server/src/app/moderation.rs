//! Prompts that the operator does not take.
//!
//! Invariant: a refused prompt costs nothing and uses up no request id, and the refusal does not repeat what
//! was found. Not here: what vendors refuse on their own.

use crate::app::Error;
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

/// Looks at a prompt before anything is held. A gateway that has to ask more than a list puts its own here.
pub(crate) trait PromptCheck: Send + Sync {
    /// Why a prompt is not taken, for metrics; none if it is.
    fn check(&self, prompt: &str) -> Option<Reason>;
}

/// Why a prompt is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It holds a phrase of the operator's list.
    Blocklist,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Blocklist => "blocklist",
        }
    }
}

/// A list that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("moderation.blocklist_file {} can't be read: {error}", path.display())]
pub struct BlocklistError {
    path: PathBuf,
    error: io::Error,
}

/// Refuses a prompt that a check does not take.
pub(crate) fn check(check: Option<&dyn PromptCheck>, prompt: Option<&str>) -> Result<(), Error> {
    let found = check.zip(prompt).and_then(|(check, prompt)| check.check(prompt));
    let Some(reason) = found else { return Ok(()) };
    metrics::counter!("rynjer_prompts_refused_total", "reason" => reason.as_str()).increment(1);
    Err(Error::field("prompt", "holds what the operator of this gateway does not allow; change the prompt"))
}

/// Phrases that no prompt may hold.
#[derive(Debug, Default)]
pub(crate) struct Blocklist {
    /// The words of each phrase after its first one, by that.
    phrases: HashMap<String, Vec<Vec<String>>>,
}

impl Blocklist {
    /// Reads a file.
    pub(crate) fn open(path: &Path) -> Result<Self, BlocklistError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| BlocklistError { path: path.to_owned(), error })?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut phrases: HashMap<String, Vec<Vec<String>>> = HashMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let mut words = words(line).into_iter();
            if let Some(first) = words.next() {
                phrases.entry(first).or_default().push(words.collect());
            }
        }
        Self { phrases }
    }
}

impl PromptCheck for Blocklist {
    fn check(&self, prompt: &str) -> Option<Reason> {
        let words = words(prompt);
        let found = words.iter().enumerate().any(|(index, word)| {
            let rest = words.get(index + 1..).unwrap_or_default();
            self.phrases
                .get(word)
                .is_some_and(|phrases| phrases.iter().any(|phrase| rest.starts_with(phrase)))
        });
        found.then_some(Reason::Blocklist)
    }
}

/// The words of a text in lower case. Letters of scripts that put no spaces between words are words
/// themselves, and what can't be seen is not there.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.chars().filter(|letter| !is_unseen(*letter)) {
        let alone = is_unspaced(letter);
        let inside = !alone && (letter.is_alphanumeric() || is_mark(letter));
        if !inside && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if alone {
            words.push(letter.to_string());
        } else if inside {
            // By way of upper case, as ß and ss, or the two small sigmas, are one.
            word.extend(letter.to_uppercase().flat_map(char::to_lowercase));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Soft hyphens, joiners and the like, which would hide a word.
fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Accents that follow their letter.
fn is_mark(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}')
}

/// Chinese, Japanese, Thai, Lao, Burmese and Khmer.
fn is_unspaced(letter: char) -> bool {
    let of_them = matches!(
        letter,
        '\u{e00}'..='\u{eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{20000}'..='\u{3ffff}'
    );
    of_them && letter.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_in_any_case() {
        let list = Blocklist::parse("# no pets\n\nbad cat\n  Straße \nDOG\n暴力\n...\nétude\n");
        let refused = [
            "bad cat",
            "A Bad,  CAT!",
            "bad\ncat in a hat",
            "dog",
            "hot-dog stand",
            "in der STRASSE",
            "很暴力的",
            "d\u{ad}o\u{200b}g",
            "ÉTUDE no. 3",
            "a bad bad cat",
        ];
        for prompt in refused {
            assert_eq!(list.check(prompt), Some(Reason::Blocklist), "{prompt}");
        }
        let taken =
            ["", "a bad black cat", "category", "dogma", "cat bad", "badcat", "力暴", "pets", "bad", "..."];
        for prompt in taken {
            assert_eq!(list.check(prompt), None, "{prompt}");
        }
        assert_eq!(Blocklist::parse("").check("anything"), None);
    }
}
