//! The id of a job upstream, and of one that is several calls there: the ids of all calls in one text.
//!
//! Invariant: no id of a vendor has what stands between two. Not here: what a vendor's ids look like
//! (`providers`).

/// What parts the jobs in the id of a whole. The index `attempts_joined` of the store knows it too.
pub const BETWEEN: char = ',';

/// The jobs of an id, of which most are one.
pub fn each(id: &str) -> impl Iterator<Item = &str> {
    id.split(BETWEEN)
}

/// Whether it is that of several jobs.
#[must_use]
pub fn is_joined(id: &str) -> bool {
    id.contains(BETWEEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_an_id() {
        for (id, jobs) in [("a", vec!["a"]), ("a,-x,b", vec!["a", "-x", "b"])] {
            assert_eq!(each(id).collect::<Vec<_>>(), jobs);
            assert_eq!(is_joined(id), jobs.len() > 1);
        }
    }
}
