//! Secrets that come from the environment or from files, never from the configuration.
//!
//! Invariant: nothing here can print a secret, in an error neither. Not here: sealing, which uses the
//! master key.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;

/// A text that can't be printed: `Debug` hides it, and there is no `Display` and no `Serialize`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the text as it is.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that sends or checks it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Why a master key is refused, without a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// Too short or too long.
    #[error("the master key must be 64 hex digits (32 bytes), but has {0} characters")]
    Length(usize),
    /// Something else than 0-9, a-f, A-F.
    #[error("the master key must be 64 hex digits (32 bytes), but its character {0} is not one")]
    Digit(usize),
}

/// Reads `RYNJER_MASTER_KEY` or the text of its file: 64 hex digits, white space around them aside.
///
/// # Errors
/// Any other length, or a character that isn't a hex digit (counted from 1).
pub fn parse_master_key(text: &str) -> Result<[u8; 32], MasterKeyError> {
    let text = text.trim();
    let length = text.chars().count();
    if length != 64 {
        return Err(MasterKeyError::Length(length));
    }
    if let Some(at) = text.chars().position(|letter| !letter.is_ascii_hexdigit()) {
        return Err(MasterKeyError::Digit(at + 1));
    }
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap_or_default();
    bytes.try_into().map_err(|_| MasterKeyError::Length(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[secret] Some([secret])");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn master_keys() {
        let mut expected = [0xab; 32];
        expected[0] = 0x01;
        expected[31] = 0xff;
        let key = format!("01{}fF", "aB".repeat(30));
        assert_eq!(parse_master_key(&key), Ok(expected));
        assert_eq!(parse_master_key(&format!(" {key}\r\n")), Ok(expected));
        let rows = [
            (String::new(), "the master key must be 64 hex digits (32 bytes), but has 0 characters"),
            ("ab".repeat(31), "the master key must be 64 hex digits (32 bytes), but has 62 characters"),
            ("ab".repeat(33), "the master key must be 64 hex digits (32 bytes), but has 66 characters"),
            ("é".repeat(32), "the master key must be 64 hex digits (32 bytes), but has 32 characters"),
            (
                "é".repeat(64),
                "the master key must be 64 hex digits (32 bytes), but its character 1 is not one",
            ),
            (
                format!("{}+f{}", "0".repeat(9), "0".repeat(53)),
                "the master key must be 64 hex digits (32 bytes), but its character 10 is not one",
            ),
        ];
        for (text, message) in rows {
            assert_eq!(parse_master_key(&text).unwrap_err().to_string(), message);
        }
    }
}
