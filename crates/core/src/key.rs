//! Secrets that callers hold: API keys, refresh tokens, registration codes, sessions, one-time links, and
//! the short code that people type.
//!
//! Invariant: a secret never prints itself, and a malformed one is told apart without a look-up.
//! Not here: the random bytes, which the caller passes in, and where hashes are stored.

use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random bytes that a secret takes: 192 bits.
pub type KeyEntropy = [u8; 24];

/// Characters that 24 bytes take in base 62: 62^33 is above 2^192.
const BODY_LEN: usize = 33;

/// Characters that a CRC32 takes in base 62.
const CHECKSUM_LEN: usize = 6;

/// Body characters that lists show, so that people can tell their keys apart.
const SHOWN_LEN: usize = 4;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// An agent's API key.
    Agent,
    /// An API key of a test account.
    AccountTest,
    /// An API key of a live account.
    AccountLive,
    /// Trades for the next access token.
    RefreshToken,
    /// Binds an agent to its owner.
    RegistrationCode,
    /// A signed-in browser.
    Session,
    /// A link that does one thing once: a set-up, an invitation, a new password.
    Ticket,
}

impl KeyKind {
    /// Every kind.
    pub const EACH: [Self; 7] = [
        Self::Agent,
        Self::AccountTest,
        Self::AccountLive,
        Self::RefreshToken,
        Self::RegistrationCode,
        Self::Session,
        Self::Ticket,
    ];

    /// What every secret of this kind starts with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Agent => "ryn_agent_v1_",
            Self::AccountTest => "ryn_test_",
            Self::AccountLive => "ryn_live_",
            Self::RefreshToken => "ryn_refresh_v1_",
            Self::RegistrationCode => "ryn_reg_",
            Self::Session => "ryn_session_",
            Self::Ticket => "ryn_ticket_",
        }
    }
}

/// Why a text is no secret of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It starts with `$`.
    #[error("the key is the name of a variable that the shell did not expand")]
    UnexpandedVariable,
    /// It starts like none of the kinds.
    #[error("the key does not start with a known prefix")]
    WrongPrefix,
    /// It was cut, or more was pasted.
    #[error("the key has the wrong length: it was cut, or more than the key was copied")]
    WrongLength,
    /// A character was changed.
    #[error("the key is mistyped: its checksum does not match")]
    WrongChecksum,
}

/// SHA-256 of a whole secret: all that is ever stored of it.
pub type KeyHash = [u8; 32];

/// A new secret, shown to its holder once.
#[derive(Clone)]
pub struct ApiKey {
    kind: KeyKind,
    text: String,
}

/// What a well-formed secret tells before any look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsedKey {
    /// What the secret is for.
    pub kind: KeyKind,
    /// What to look up.
    pub hash: KeyHash,
}

impl ApiKey {
    /// Makes the secret of 24 random bytes. Each of the 2^192 values has its own text.
    #[must_use]
    pub fn new(kind: KeyKind, entropy: KeyEntropy) -> Self {
        let mut text = String::with_capacity(kind.prefix().len() + BODY_LEN + CHECKSUM_LEN);
        text.push_str(kind.prefix());
        text.push_str(&base62(&entropy, BODY_LEN));
        text.push_str(&checksum(&text));
        Self { kind, text }
    }

    /// Checks form and checksum and hashes the text.
    ///
    /// # Errors
    /// Says what is malformed; the text itself is in no error.
    pub fn parse(text: &str) -> Result<ParsedKey, KeyError> {
        if text.starts_with('$') {
            return Err(KeyError::UnexpandedVariable);
        }
        let (kind, rest) = KeyKind::EACH
            .into_iter()
            .find_map(|kind| text.strip_prefix(kind.prefix()).map(|rest| (kind, rest)))
            .ok_or(KeyError::WrongPrefix)?;
        if rest.len() != BODY_LEN + CHECKSUM_LEN {
            return Err(KeyError::WrongLength);
        }
        // Other characters go first, because a text may be cut only between characters.
        if !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(KeyError::WrongChecksum);
        }
        let (covered, check) = text.split_at(text.len() - CHECKSUM_LEN);
        if checksum(covered) != check {
            return Err(KeyError::WrongChecksum);
        }
        Ok(ParsedKey { kind, hash: hash_of(text) })
    }

    /// What the secret is for.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The secret itself, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        hash_of(&self.text)
    }

    /// What lists show: prefix, four characters, and that more follows.
    #[must_use]
    pub fn display_prefix(&self) -> String {
        let shown: String = self.text.chars().take(self.kind.prefix().len() + SHOWN_LEN).collect();
        format!("{shown}…")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.kind.prefix())
    }
}

fn hash_of(text: &str) -> KeyHash {
    Sha256::digest(text.as_bytes()).into()
}

fn checksum(covered: &str) -> String {
    base62(&crc32fast::hash(covered.as_bytes()).to_be_bytes(), CHECKSUM_LEN)
}

/// A big-endian integer in base 62 with zeros in front; the length must suffice for every value of that many
/// bytes.
fn base62(number: &[u8], length: usize) -> String {
    let mut number = number.to_vec();
    let mut digits = vec![b'0'; length];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0u16;
        for byte in &mut number {
            let part = remainder * 256 + u16::from(*byte);
            // The remainder is below 62, so the quotient fits the low byte.
            let [_, quotient] = (part / 62).to_be_bytes();
            *byte = quotient;
            remainder = part % 62;
        }
        *digit = BASE62[usize::from(remainder)];
    }
    digits.into_iter().map(char::from).collect()
}

/// Whether two byte strings are equal, in a time that tells nothing but their lengths.
#[must_use]
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// Letters of user codes: no vowels, so no words; no digits, so nothing looks like something else.
const USER_CODE_LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Letters in each half of a user code.
const USER_CODE_HALF: usize = 4;

/// A code for human eyes and hands, `XXXX-XXXX`: 20^8 codes, alike in likelihood to one part in 2^29.
#[must_use]
pub fn user_code(entropy: [u8; 8]) -> String {
    let mut number = u64::from_be_bytes(entropy);
    let mut code = String::with_capacity(2 * USER_CODE_HALF + 1);
    for place in 0..2 * USER_CODE_HALF {
        if place == USER_CODE_HALF {
            code.push('-');
        }
        let letter = usize::try_from(number % 20).unwrap_or_default();
        code.push(char::from(USER_CODE_LETTERS[letter]));
        number /= 20;
    }
    code
}

/// The code as `user_code` writes it, from what a person typed: any case, with or without the dash, spaces
/// around it.
#[must_use]
pub fn parse_user_code(text: &str) -> Option<String> {
    let typed = text.trim().to_ascii_uppercase();
    let (first, second) = match typed.split_once('-') {
        Some(halves) => halves,
        None => typed.split_at_checked(USER_CODE_HALF)?,
    };
    let well_formed = |half: &str| {
        half.len() == USER_CODE_HALF && half.bytes().all(|letter| USER_CODE_LETTERS.contains(&letter))
    };
    (well_formed(first) && well_formed(second)).then(|| format!("{first}-{second}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    #[test]
    fn texts_are_fixed() {
        let zero = ApiKey::new(KeyKind::Agent, [0; 24]);
        assert_eq!(zero.expose(), "ryn_agent_v1_0000000000000000000000000000000001sFwFn");
        let most = ApiKey::new(KeyKind::AccountLive, [0xff; 24]);
        assert_eq!(most.expose(), "ryn_live_2lFA6LboL2xx0ldQH2K1TdSrwuqMMiME33TG4Fp");
        assert_eq!(
            HEXLOWER.encode(&most.hash()),
            "d1876846ccf64a93d652377bf9200c25c302a6c5129e416e339edb6843807ed1"
        );
        for kind in KeyKind::EACH {
            let key = ApiKey::new(kind, [7; 24]);
            assert_eq!(key.expose().len(), kind.prefix().len() + 39);
            assert_eq!(ApiKey::parse(key.expose()), Ok(ParsedKey { kind, hash: key.hash() }));
            assert_eq!(key.kind(), kind);
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let key = ApiKey::new(KeyKind::AccountTest, [0xab; 24]);
        assert_eq!(format!("{key:?}"), "ryn_test_…");
        assert_eq!(key.display_prefix(), format!("{}…", &key.expose()[..13]));
    }

    #[test]
    fn malformed_keys_say_why() {
        let key = ApiKey::new(KeyKind::Agent, [9; 24]);
        let text = key.expose();
        for (bad, error) in [
            ("$RYNJER_API_KEY".to_owned(), KeyError::UnexpandedVariable),
            ("${RYNJER_API_KEY}".to_owned(), KeyError::UnexpandedVariable),
            (String::new(), KeyError::WrongPrefix),
            ("sk-123".to_owned(), KeyError::WrongPrefix),
            (text.to_uppercase(), KeyError::WrongPrefix),
            ("ryn_agent_v1_".to_owned(), KeyError::WrongLength),
            (text[..text.len() - 1].to_owned(), KeyError::WrongLength),
            (format!("{text}\n"), KeyError::WrongLength),
            (text.replace("ryn_agent_v1_", "ryn_test_"), KeyError::WrongChecksum),
            (format!("ryn_test_{}", "é".repeat(19) + "x"), KeyError::WrongChecksum),
        ] {
            assert_eq!(ApiKey::parse(&bad), Err(error), "{bad}");
        }
    }

    #[test]
    fn user_codes() {
        assert_eq!(user_code([0; 8]), "BBBB-BBBB");
        assert_eq!(user_code(25_599_999_999u64.to_be_bytes()), "ZZZZ-ZZZZ");
        assert_eq!(user_code(25_600_000_000u64.to_be_bytes()), "BBBB-BBBB");
        assert_eq!(user_code(1u64.to_be_bytes()), "CBBB-BBBB");
        for good in ["WDJB-MJHT", "wdjbmjht", " Wdjb-mjhT "] {
            assert_eq!(parse_user_code(good).as_deref(), Some("WDJB-MJHT"), "{good}");
        }
        for bad in [
            "",
            "WDJB",
            "WDJB-MJH",
            "WDJ-BMJHT",
            "WDJB--MJHT",
            "ADJB-MJHT",
            "WDJB MJHT",
            "WDJB-MJHTT",
            "ééWDJB",
        ] {
            assert_eq!(parse_user_code(bad), None, "{bad}");
        }
    }

    #[test]
    fn equality() {
        assert!(constant_time_eq(b"", b"") && constant_time_eq(b"ab", b"ab"));
        assert!(!constant_time_eq(b"ab", b"ac") && !constant_time_eq(b"ab", b"abc"));
    }

    proptest! {
        #[test]
        fn one_changed_character_is_found(entropy: [u8; 24], place in 13usize..52, other in "[0-9A-Za-z]") {
            let key = ApiKey::new(KeyKind::Agent, entropy);
            let mut text = key.expose().to_owned();
            prop_assume!(text[place..=place] != other);
            text.replace_range(place..=place, &other);
            prop_assert_eq!(ApiKey::parse(&text), Err(KeyError::WrongChecksum));
        }

        #[test]
        fn body_holds_all_entropy(entropy: [u8; 24]) {
            let key = ApiKey::new(KeyKind::Agent, entropy);
            let mut back = [0u8; 24];
            for character in key.expose()[13..46].bytes() {
                let mut carry = BASE62.iter().position(|&symbol| symbol == character).unwrap();
                for byte in back.iter_mut().rev() {
                    carry += usize::from(*byte) * 62;
                    *byte = u8::try_from(carry % 256).unwrap();
                    carry /= 256;
                }
                prop_assert_eq!(carry, 0);
            }
            prop_assert_eq!(back, entropy);
        }

        #[test]
        fn user_codes_come_back(entropy: [u8; 8]) {
            let code = user_code(entropy);
            prop_assert_eq!(parse_user_code(&code.replace('-', "").to_lowercase()), Some(code));
        }
    }
}
