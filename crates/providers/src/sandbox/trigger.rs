//! Triggers inside prompts, such as `[[reject]]`, that force an outcome in test mode.
//!
//! Invariant: a prompt without `[[` costs one search and no allocation; text in brackets that is no trigger
//! stays in the prompt. Not here: what a trigger does.

use std::borrow::Cow;

/// The longest delay that can be asked for.
const MAX_SLOW_SECONDS: u32 = 600;

/// The file formats that a prompt can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Png,
    Jpeg,
    Webp,
    Flac,
    Wav,
}

/// What a prompt asks for; of the same trigger twice, the last counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Triggers {
    pub(super) reject: bool,
    pub(super) fail: bool,
    pub(super) timeout: bool,
    pub(super) ambiguous: bool,
    pub(super) instant: bool,
    pub(super) crash: bool,
    pub(super) slow_seconds: Option<u32>,
    pub(super) partial: Option<u32>,
    pub(super) format: Option<Format>,
}

/// A trigger as it is explained to people and agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// How it is written; words in capitals stand for numbers.
    pub text: &'static str,
    /// A prompt that holds it.
    pub example: &'static str,
    /// What happens then.
    pub effect: &'static str,
    /// The code of the task's error, where the task fails.
    pub task_error: Option<&'static str>,
}

/// Every trigger and its meaning, for the docs.
#[must_use]
pub fn triggers() -> &'static [Trigger] {
    &[
        Trigger {
            text: "[[reject]]",
            example: "A red fox [[reject]]",
            effect: "the task fails with content_rejected",
            task_error: Some("content_rejected"),
        },
        Trigger {
            text: "[[fail]]",
            example: "A red fox [[fail]]",
            effect: "the task fails with provider_failed",
            task_error: Some("provider_failed"),
        },
        Trigger {
            text: "[[timeout]]",
            example: "A red fox [[timeout]]",
            effect: "the job is accepted and never ends, so that the model's time limit is reached",
            task_error: Some("timed_out"),
        },
        Trigger {
            text: "[[slow=SECONDS]]",
            example: "A red fox [[slow=5]]",
            effect: "the job ends after so many seconds, 0 to 600, with progress",
            task_error: None,
        },
        Trigger {
            text: "[[ambiguous]]",
            example: "A red fox [[ambiguous]]",
            effect: "every submission ends with an unknown outcome, as if the connection were lost",
            task_error: Some("outcome_unknown"),
        },
        Trigger {
            text: "[[partial=N]]",
            example: "A red fox [[partial=1]]",
            effect: "only the first N units are delivered, the others are refused with content_rejected",
            task_error: None,
        },
        Trigger {
            text: "[[instant]]",
            example: "A red fox [[instant]]",
            effect: "a prepared plain file of the asked size and length, for load tests",
            task_error: None,
        },
        Trigger {
            text: "[[crash]]",
            example: "A red fox [[crash]]",
            effect: "the worker process dies, where the operator allows it; else as [[fail]]",
            task_error: Some("provider_failed"),
        },
        Trigger {
            text: "[[format=png|jpeg|webp|flac|wav]]",
            example: "A red fox [[format=webp]]",
            effect: "the file format: of pictures PNG, JPEG or WebP, of music FLAC or WAV",
            task_error: None,
        },
    ]
}

/// Takes the triggers out of a prompt.
pub(super) fn parse(prompt: &str) -> (Triggers, Cow<'_, str>) {
    let mut triggers = Triggers::default();
    let mut rest = prompt;
    let mut kept = String::new();
    let mut has_any = false;
    while let Some(start) = rest.find("[[") {
        let (before, opened) = rest.split_at(start);
        let inside = opened.get(2..).unwrap_or_default();
        // Only the text up to the next bracket can be a trigger, so that a prompt is searched once.
        let end = inside.find(['[', ']']).unwrap_or(inside.len());
        let (name, after) = inside.split_at(end);
        kept.push_str(before);
        match after.strip_prefix("]]") {
            Some(after) if triggers.set(name) => {
                has_any = true;
                rest = after;
            }
            _ => {
                // One bracket is kept and the search goes on behind it: `[[[fail]]` holds a trigger.
                kept.push('[');
                rest = opened.get(1..).unwrap_or_default();
            }
        }
    }
    if !has_any {
        return (triggers, Cow::Borrowed(prompt));
    }
    kept.push_str(rest);
    (triggers, Cow::Owned(kept.trim().to_owned()))
}

impl Triggers {
    /// Notes one trigger; false if there is none of that name.
    fn set(&mut self, name: &str) -> bool {
        match name.split_once('=') {
            None => match name {
                "reject" => self.reject = true,
                "fail" => self.fail = true,
                "timeout" => self.timeout = true,
                "ambiguous" => self.ambiguous = true,
                "instant" => self.instant = true,
                "crash" => self.crash = true,
                _ => return false,
            },
            Some(("slow", value)) => match number(value) {
                Some(seconds) if seconds <= MAX_SLOW_SECONDS => self.slow_seconds = Some(seconds),
                _ => return false,
            },
            Some(("partial", value)) => match number(value) {
                Some(units) => self.partial = Some(units),
                None => return false,
            },
            Some(("format", value)) => match format(value) {
                Some(format) => self.format = Some(format),
                None => return false,
            },
            Some(_) => return false,
        }
        true
    }
}

/// A number of plain digits; a sign is none.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn format(text: &str) -> Option<Format> {
    Some(match text {
        "png" => Format::Png,
        "jpeg" => Format::Jpeg,
        "webp" => Format::Webp,
        "flac" => Format::Flac,
        "wav" => Format::Wav,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_are_taken_out() {
        let none = Triggers::default();
        let table = [
            ("a red fox", none, "a red fox"),
            ("[[reject]]", Triggers { reject: true, ..none }, ""),
            ("a [[fail]] fox", Triggers { fail: true, ..none }, "a  fox"),
            ("fox [[timeout]]", Triggers { timeout: true, ..none }, "fox"),
            ("[[ambiguous]][[instant]]", Triggers { ambiguous: true, instant: true, ..none }, ""),
            ("[[crash]] fox", Triggers { crash: true, ..none }, "fox"),
            ("[[slow=0]]", Triggers { slow_seconds: Some(0), ..none }, ""),
            ("[[slow=1]] [[slow=600]]", Triggers { slow_seconds: Some(600), ..none }, ""),
            ("[[partial=0]] fox", Triggers { partial: Some(0), ..none }, "fox"),
            ("[[format=webp]] füchse", Triggers { format: Some(Format::Webp), ..none }, "füchse"),
            ("[[[fail]]", Triggers { fail: true, ..none }, "["),
            ("[[x [[fail]]", Triggers { fail: true, ..none }, "[[x"),
        ];
        for (prompt, triggers, rest) in table {
            let (found, cleaned) = parse(prompt);
            assert_eq!((found, &*cleaned), (triggers, rest), "{prompt}");
        }
    }

    #[test]
    fn other_brackets_stay() {
        let prompts = [
            "[[",
            "[[]]",
            "]]",
            "[[fail",
            "[[fail]",
            "[fail]",
            "[[Fail]]",
            "[[ fail ]]",
            "[[fail=1]]",
            "[[slow]]",
            "[[slow=]]",
            "[[slow=601]]",
            "[[slow=-1]]",
            "[[slow=+1]]",
            "[[slow=1.5]]",
            "[[slow=99999999999999999999]]",
            "[[partial=two]]",
            "[[format=gif]]",
            " wiki [[link]] ",
        ];
        for prompt in prompts {
            assert_eq!(parse(prompt), (Triggers::default(), Cow::Borrowed(prompt)), "{prompt}");
            assert!(matches!(parse(prompt).1, Cow::Borrowed(_)), "{prompt}");
        }
    }

    #[test]
    fn a_prompt_of_brackets_is_searched_once() {
        let prompt = "[".repeat(1 << 20);
        assert!(matches!(parse(&prompt).1, Cow::Borrowed(_)));
    }

    #[test]
    fn the_documented_triggers_exist() {
        for trigger in triggers() {
            let text = trigger.text.replace("SECONDS", "5").replace("=N", "=1");
            let text = text.split_once('|').map_or(text.clone(), |(first, _)| format!("{first}]]"));
            assert_ne!(parse(&text).0, Triggers::default(), "{text}");
            let (found, rest) = parse(trigger.example);
            assert!(found != Triggers::default() && rest == "A red fox", "{}", trigger.example);
        }
    }
}
