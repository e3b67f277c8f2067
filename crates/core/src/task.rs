//! The states of a task and the moves between them.
//!
//! Invariant: a final status never changes, and every move not in the table is refused. Not here: money
//! (`ledger`), leases and time (the worker).

/// What the API shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    Pending,
    Processing,
    Success,
    Failed,
    Canceled,
}

impl Status {
    /// The stored and shown word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// The status of a stored word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Processing, Self::Success, Self::Failed, Self::Canceled]
            .into_iter()
            .find(|s| s.as_str() == text)
    }

    /// Whether the task is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Processing => false,
            Self::Success | Self::Failed | Self::Canceled => true,
        }
    }

    /// Whether a task may go from this status to another.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => next != Self::Pending,
            Self::Processing => next != Self::Pending && next != Self::Processing,
            Self::Success | Self::Failed | Self::Canceled => false,
        }
    }
}

/// Where an open task stands inside the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Not handed to a provider, or handed back before anything was accepted.
    Queued,
    /// The attempt is durable; bytes may have left.
    Submitting,
    /// The provider has it; asked again at `due_at`.
    Submitted,
    /// The provider is done; outputs are being fetched and stored.
    Storing,
    /// It is unknown whether the provider has it; waiting for a late answer until the task's time is over.
    Unknown,
}

impl Step {
    /// The stored word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Submitting => "submitting",
            Self::Submitted => "submitted",
            Self::Storing => "storing",
            Self::Unknown => "unknown",
        }
    }

    /// The step of a stored word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Queued, Self::Submitting, Self::Submitted, Self::Storing, Self::Unknown]
            .into_iter()
            .find(|s| s.as_str() == text)
    }

    /// Whether the death of a worker in this step counts against the task.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Submitting | Self::Storing)
    }

    /// Whether an open task may go from this step to another.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => next == Self::Submitting,
            Self::Submitting => next != Self::Storing,
            Self::Submitted => matches!(next, Self::Submitted | Self::Storing),
            Self::Storing => matches!(next, Self::Submitted | Self::Storing),
            // A look-up may find the job, or that there is none.
            Self::Unknown => matches!(next, Self::Queued | Self::Submitted | Self::Unknown),
        }
    }
}

/// Deaths in an active step after which a task runs alone; a death while alone poisons it.
pub const DEATHS_BEFORE_ALONE: i64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_is_final() {
        let all = [Status::Pending, Status::Processing, Status::Success, Status::Failed, Status::Canceled];
        for from in all {
            for to in all {
                let allowed = matches!(
                    (from.as_str(), to.as_str()),
                    ("pending", "processing") | ("pending" | "processing", "success" | "failed" | "canceled")
                );
                assert_eq!(from.may_become(to), allowed, "{from:?} to {to:?}");
            }
            assert_eq!(Status::parse(from.as_str()), Some(from));
        }
    }

    #[test]
    fn steps_follow_the_table() {
        let all = [Step::Queued, Step::Submitting, Step::Submitted, Step::Storing, Step::Unknown];
        let table = [
            // to: queued, submitting, submitted, storing, unknown
            ("queued", [false, true, false, false, false]),
            ("submitting", [true, true, true, false, true]),
            ("submitted", [false, false, true, true, false]),
            ("storing", [false, false, true, true, false]),
            ("unknown", [true, false, true, false, true]),
        ];
        for (from, (name, row)) in all.into_iter().zip(table) {
            assert_eq!(from.as_str(), name);
            assert_eq!(all.map(|to| from.may_become(to)), row, "{from:?}");
            assert_eq!(Step::parse(name), Some(from));
        }
    }
}
