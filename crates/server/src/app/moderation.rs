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
use unicode_normalization::UnicodeNormalization;

/// Looks at a text before anything is held. A gateway that has to ask more than a list puts its own here.
pub(crate) trait PromptCheck: Send + Sync {
    /// Why a text is not taken, for metrics; none if it is.
    fn check(&self, text: &str) -> Option<Reason>;
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

/// Refuses texts for a vendor, each with the name of its field, that a check does not take.
pub(crate) fn check(
    check: Option<&dyn PromptCheck>,
    texts: [(&'static str, Option<&str>); 2],
) -> Result<(), Error> {
    let Some(check) = check else { return Ok(()) };
    let found = texts.into_iter().find_map(|(field, text)| Some((field, check.check(text?)?)));
    let Some((field, reason)) = found else { return Ok(()) };
    metrics::counter!("rynjer_prompts_refused_total", "reason" => reason.as_str()).increment(1);
    let problem = format!(
        "holds what the operator of this gateway does not allow; change the {}",
        field.replace('_', " ")
    );
    Err(Error::field(field, problem))
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

/// A text in the one form in which texts are compared: compatible letters are one (NFKC), so are upper and
/// lower case, and what can't be seen is not there, nor are marks that belong to no letter.
fn folded(text: &str) -> String {
    let seen = text.chars().filter(|letter| !is_unseen(*letter)).nfkc().filter(|letter| !is_unseen(*letter));
    // By way of upper case, as ß and ss, or the two small sigmas, are one.
    let folded: String = seen.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    folded.nfkc().filter(|letter| !is_mark(*letter)).collect()
}

/// The words of a text. Letters of scripts that put no spaces between words are words themselves.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in folded(text).chars() {
        let alone = is_unspaced(letter);
        let inside = !alone && letter.is_alphanumeric();
        if !inside && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if alone {
            words.push(letter.to_string());
        } else if inside {
            word.push(letter);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Soft hyphens, joiners, fillers and the like, which would hide a word: what Unicode calls
/// `Default_Ignorable_Code_Point`.
fn is_unseen(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Marks that make no other letter of the one before, such as a stroke through it; what stretches an Arabic
/// word, and the points of vowels that Arabic and Hebrew may leave out.
fn is_mark(letter: char) -> bool {
    matches!(
        letter,
        '\u{300}'..='\u{36f}'
            | '\u{483}'..='\u{489}'
            | '\u{591}'..='\u{5c7}'
            | '\u{610}'..='\u{61a}'
            | '\u{640}'
            | '\u{64b}'..='\u{65f}'
            | '\u{670}'
            | '\u{6d6}'..='\u{6dc}'
            | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}'
            | '\u{fe20}'..='\u{fe2f}'
    )
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
    of_them && (letter.is_alphanumeric() || is_tone(letter))
}

/// Signs of Thai and Lao without which a word is another one.
fn is_tone(letter: char) -> bool {
    matches!(letter, '\u{e47}'..='\u{e4e}' | '\u{ec8}'..='\u{ece}')
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
            // The same letters in other forms.
            "\u{ff22}\u{ff41}\u{ff44} \u{ff43}\u{ff41}\u{ff54}",
            "\u{1d41d}\u{1d428}\u{1d420}",
            "\u{24d3}\u{24de}\u{24d6}",
            "e\u{301}tude",
            "E\u{301}TUDE",
            // With what can't be seen between them.
            "d\u{2066}o\u{206a}g",
            "d\u{fe0f}o\u{e0067}g",
            "d\u{3164}o\u{115f}g",
            "d\u{34f}o\u{180e}g",
            // Struck through.
            "d\u{336}o\u{336}g\u{336}",
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

    #[test]
    fn signs_that_a_word_may_do_without_and_signs_that_make_it() {
        // Arabic and Hebrew, stretched or with the points of vowels.
        let list = Blocklist::parse("قتل\nרצח\nเสือ\n");
        for prompt in ["قـتل", "قَتْل", "רֶצַח", "เห็นเสือ"] {
            assert_eq!(list.check(prompt), Some(Reason::Blocklist), "{prompt}");
        }
        // A shirt, and no tiger.
        assert_eq!(list.check("เสื้อ"), None);
    }
}
