//! Ids that vendors give their jobs.
//!
//! Invariant: what is kept as an id can stand in a path, in a list of ids parted by commas, and in our
//! tables. Not here: where an id stands in an answer.

const LETTERS_MAX: usize = 200;

/// A vendor's id, if it is short and plain. It may have several parts, as operations of Google's do.
#[must_use]
pub(crate) fn plain_id(text: &str) -> Option<String> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/~@".contains(&byte);
    let part = |part: &str| !matches!(part, "" | "." | "..");
    // In a list of ids a dash begins what is none.
    let fine = text.len() <= LETTERS_MAX
        && !text.starts_with('-')
        && text.bytes().all(letter)
        && text.split('/').all(part);
    fine.then(|| text.to_owned())
}

/// A vendor's id that is one part of a path.
#[must_use]
pub(crate) fn plain_segment(text: &str) -> Option<String> {
    plain_id(text).filter(|id| !id.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_are_kept() {
        let longest = "a".repeat(LETTERS_MAX);
        for fine in ["a", "cgt-1", "v1_x.y", "a:b~c@d", longest.as_str()] {
            assert_eq!(plain_segment(fine).as_deref(), Some(fine));
        }
        let longer = "a".repeat(LETTERS_MAX + 1);
        let wrong =
            ["", "-a", "a,b", "a b", "a?b", "a#b", "a%2f", "é", "..", ".", "a/../b", "/a", "a//b", "a/"];
        for wrong in wrong.into_iter().chain([longer.as_str()]) {
            assert_eq!(plain_id(wrong), None, "{wrong}");
        }
        let operation = "projects/p/locations/l/operations/1";
        assert_eq!(plain_id(operation).as_deref(), Some(operation));
        assert_eq!(plain_segment(operation), None);
    }
}
