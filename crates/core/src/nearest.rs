//! Which known word somebody meant: edit distance, and a ranked list for model names.
//!
//! Invariant: answers depend on the arguments alone, and a long word costs no more than a short one.
//! Not here: the words themselves and what an error says with them.

/// Words longer than this are compared by nothing but equality: no name of ours comes near it.
const MAX_WORD_BYTES: usize = 256;

/// Optimal string alignment distance (insert, delete, replace, swap neighbours) in characters, `None` above
/// `limit`.
#[must_use]
pub fn edit_distance(left: &str, right: &str, limit: usize) -> Option<usize> {
    // A character has at most four bytes, so lengths this far apart settle the question unread.
    let (short, long) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    if long.len() / 4 > short.len().saturating_add(limit) {
        return None;
    }
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    if left.len().abs_diff(right.len()) > limit {
        return None;
    }
    let mut before_last: Vec<usize> = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut row: Vec<usize> = vec![0; right.len() + 1];
    for (i, &a) in left.iter().enumerate() {
        row[0] = i + 1;
        let mut row_minimum = row[0];
        for (j, &b) in right.iter().enumerate() {
            let mut cost = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == right[j - 1] && left[i - 1] == b {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row[j + 1] = cost;
            row_minimum = row_minimum.min(cost);
        }
        if row_minimum > limit {
            return None;
        }
        std::mem::swap(&mut before_last, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last.last().copied().filter(|&distance| distance <= limit)
}

/// The candidate with the least edit distance, ASCII case aside, if any is within `limit`; the first one of
/// equals.
///
/// Case is set aside so that `runMaxCredits` is two edits from `run_max_credits`.
#[must_use]
pub fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    limit: usize,
) -> Option<&'a str> {
    if word.len() > MAX_WORD_BYTES {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let word_chars = word.chars().count();
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(word_chars) <= limit)
        .filter_map(|candidate| {
            edit_distance(&word, &candidate.to_ascii_lowercase(), limit).map(|distance| (distance, candidate))
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Up to `max` candidates that could be meant, the likeliest first; empty when none is alike.
///
/// A name after a slash counts as much as the whole: `nano-banana` finds `google/nano-banana`.
#[must_use]
pub fn nearest_all<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    max: usize,
) -> Vec<&'a str> {
    if word.is_empty() || word.len() > MAX_WORD_BYTES {
        return Vec::new();
    }
    let word = word.to_ascii_lowercase();
    let mut ranked: Vec<(Likeness, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| Likeness::between(&word, candidate).map(|likeness| (likeness, candidate)))
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked.into_iter().take(max).map(|(_, candidate)| candidate).collect()
}

/// How alike two names are; the least is the most alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    Same,
    /// The candidate begins with the word; how many bytes follow.
    Begins(usize),
    /// Mistyped; how many edits.
    Edits(usize),
    /// One holds the other; how many bytes are around it.
    Holds(usize),
    /// They begin alike; how many bytes of the candidate don't.
    BeginsAlike(usize),
}

impl Likeness {
    /// The word is in lower case already.
    fn between(word: &str, candidate: &str) -> Option<Self> {
        let candidate = candidate.to_ascii_lowercase();
        let whole = Self::between_names(word, &candidate);
        let (Some(name), word_name) = (last_segment(&candidate), last_segment(word).unwrap_or(word)) else {
            // A word with a vendor before it may mean a name that has none.
            let named = last_segment(word).and_then(|word_name| Self::between_names(word_name, &candidate));
            return whole.into_iter().chain(named).min();
        };
        whole.into_iter().chain(Self::between_names(word_name, name)).min()
    }

    fn between_names(word: &str, name: &str) -> Option<Self> {
        const LEAST_SHARED: usize = 3;
        if word == name {
            return Some(Self::Same);
        }
        if word.is_empty() || name.is_empty() {
            return None;
        }
        if let Some(rest) = name.strip_prefix(word) {
            return Some(Self::Begins(rest.len()));
        }
        let limit = (word.len() / 3).min(3);
        if let Some(distance) = edit_distance(word, name, limit) {
            return Some(Self::Edits(distance));
        }
        let (short, long) = if word.len() <= name.len() { (word, name) } else { (name, word) };
        if short.len() >= LEAST_SHARED && long.contains(short) {
            return Some(Self::Holds(long.len() - short.len()));
        }
        let shared = word.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        (shared >= LEAST_SHARED).then(|| Self::BeginsAlike(name.len() - shared))
    }
}

fn last_segment(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(_, last)| last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MODELS: [&str; 9] = [
        "google/nano-banana",
        "google/nano-banana-pro",
        "google/imagen-4",
        "gpt-image-1",
        "gpt-image-1.5",
        "veo3",
        "veo3_fast",
        "suno-v5",
        "bytedance/seedream-4",
    ];

    #[test]
    fn distances() {
        for (left, right, limit, distance) in [
            ("", "", 0, Some(0)),
            ("abc", "abc", 0, Some(0)),
            ("abc", "acb", 2, Some(1)),
            ("ca", "abc", 3, Some(3)),
            ("kitten", "sitting", 3, Some(3)),
            ("kitten", "sitting", 2, None),
            ("max_credit", "max_credits", 2, Some(1)),
            ("max_cerdits", "max_credits", 2, Some(1)),
            ("maxcredits", "max_credits", 2, Some(1)),
            ("größe", "grosse", 3, Some(3)),
            ("", "ab", 2, Some(2)),
            ("", "abc", 2, None),
        ] {
            assert_eq!(edit_distance(left, right, limit), distance, "{left} {right}");
            assert_eq!(edit_distance(right, left, limit), distance, "{right} {left}");
        }
        assert_eq!(edit_distance(&"x".repeat(1_000_000), "max_credits", 2), None);
    }

    #[test]
    fn nearest_field() {
        let fields = ["prompt", "max_credits", "run_max_credits", "run_id"];
        assert_eq!(nearest("maxCredits", fields, 2), Some("max_credits"));
        assert_eq!(nearest("runMaxCredits", fields, 2), Some("run_max_credits"));
        assert_eq!(nearest("Prompt", fields, 0), Some("prompt"));
        assert_eq!(nearest("limit", fields, 2), None);
        assert_eq!(nearest("run-id", fields, 2), Some("run_id"));
        assert_eq!(nearest(&"p".repeat(300), fields, 1000), None);
        assert_eq!(nearest("a", [], 2), None);
    }

    #[test]
    fn nearest_models() {
        for (word, expected) in [
            ("nano-banana", vec!["google/nano-banana", "google/nano-banana-pro"]),
            ("NANO-BANANA", vec!["google/nano-banana", "google/nano-banana-pro"]),
            ("goggle/nano-banana", vec!["google/nano-banana", "google/nano-banana-pro"]),
            ("veo", vec!["veo3", "veo3_fast"]),
            ("veo2", vec!["veo3", "veo3_fast"]),
            ("google/veo3", vec!["veo3", "veo3_fast", "google/imagen-4"]),
            ("imagen4", vec!["google/imagen-4"]),
            ("seedream", vec!["bytedance/seedream-4"]),
            ("gpt-image1", vec!["gpt-image-1", "gpt-image-1.5"]),
            ("image", vec!["google/imagen-4", "gpt-image-1", "gpt-image-1.5"]),
            ("dall-e-3", vec![]),
            ("", vec![]),
            ("/", vec![]),
        ] {
            assert_eq!(nearest_all(word, MODELS, 3), expected, "{word}");
        }
        assert_eq!(nearest_all("veo", MODELS, 1), ["veo3"]);
    }

    proptest! {
        #[test]
        fn the_limit_only_cuts(left in "[abc]{0,8}", right in "[abc]{0,8}", limit in 0usize..9) {
            let full = edit_distance(&left, &right, 100).unwrap();
            prop_assert_eq!(edit_distance(&left, &right, limit), (full <= limit).then_some(full));
            prop_assert_eq!(edit_distance(&right, &left, 100), Some(full));
        }
    }
}
