//! Typed ids: a prefix that tells the kind, then a UUIDv7 in lower-case Crockford base32.
//!
//! Invariant: ids of one kind sort by the millisecond of their making; an id of one kind never parses as
//! another. Not here: the clock and the random bytes, which the caller passes in.

use data_encoding::{Encoding, Specification};
use std::{fmt, sync::LazyLock};

/// Ten random bytes: what a UUIDv7 takes beside its time.
pub type IdEntropy = [u8; 10];

/// Text length of the part after the prefix.
const BODY_LEN: usize = 26;

static BASE32: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    specification.encoding().ok()
});

fn encode(bytes: [u8; 16]) -> String {
    BASE32.as_ref().map(|encoding| encoding.encode(&bytes)).unwrap_or_default()
}

/// The 16 bytes of a UUIDv7 (RFC 9562, section 5.7) made from a time in milliseconds and entropy.
#[must_use]
pub fn uuid_v7(now_ms: i64, entropy: IdEntropy) -> [u8; 16] {
    let time = now_ms.max(0).to_be_bytes();
    let mut bytes = [0u8; 16];
    bytes[..6].copy_from_slice(&time[2..]);
    bytes[6..].copy_from_slice(&entropy);
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// Makes an id from a time in milliseconds and ten random bytes.
            #[must_use]
            pub fn new(now_ms: i64, entropy: IdEntropy) -> Self {
                Self(format!("{}{}", $prefix, encode(uuid_v7(now_ms, entropy))))
            }

            /// Accepts text only if it has this kind's prefix and a well-formed body.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let body = text.strip_prefix($prefix)?;
                let letter = |b: u8| b.is_ascii_lowercase() && !b"ilou".contains(&b);
                let well_formed =
                    body.len() == BODY_LEN && body.bytes().all(|b| b.is_ascii_digit() || letter(b));
                well_formed.then(|| Self(text.to_owned()))
            }

            /// Takes text that was an id of this kind when it was stored.
            #[must_use]
            pub fn from_stored(text: String) -> Self {
                Self(text)
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A generation.
    TaskId = "task_";
    /// An agent's identity.
    AgentId = "agt_";
    /// An API key, of an agent or of an account.
    KeyId = "key_";
    /// An owner's account.
    AccountId = "acct_";
    /// A usage event: one task's charge as the owner sees it.
    UsageId = "use_";
    /// An uploaded file.
    FileId = "file_";
    /// A family of refresh tokens.
    FamilyId = "fam_";
    /// A spending limit.
    BudgetId = "bud_";
    /// One try of a task at one provider.
    AttemptId = "att_";
    /// A person who owns accounts or runs the gateway.
    OwnerId = "own_";
    /// Credits that somebody buys.
    TopupId = "top_";
    /// News for an owner.
    NoticeId = "note_";
    /// A line of the audit log.
    AuditId = "log_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_keep_their_kind() {
        let early = TaskId::new(1_700_000_000_000, [0xff; 10]);
        let late = TaskId::new(1_700_000_000_001, [0; 10]);
        assert!(early < late);
        assert_eq!(early.as_str().len(), "task_".len() + BODY_LEN);
        assert_eq!(TaskId::parse(early.as_str()), Some(early.clone()));
        assert_eq!(AgentId::parse(early.as_str()), None);
        for bad in ["task_", "task_01", "task_0123456789abcdefghijklmnop", "TASK_01"] {
            assert_eq!(TaskId::parse(bad), None, "{bad}");
        }
    }
}
