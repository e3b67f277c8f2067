//! One-time codes by time (RFC 6238: SHA-1, six digits, 30 s), and recovery codes for when they are lost.
//!
//! Invariant: codes are compared in constant time, and a code is named by its time step, so that a caller can
//! spend each step once. Not here: where keys and spent steps are kept, and how often somebody may guess.

use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use subtle::ConstantTimeEq;

/// 160 bits, as RFC 4226 recommends.
pub type TotpKey = [u8; 20];

/// Random bytes of a recovery code: 80 bits, so that a hash of it tells nothing.
pub type RecoveryEntropy = [u8; 10];

const STEP_MS: i64 = 30_000;
const DIGITS: usize = 6;

static LOWER: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.encoding().ok()
});

/// The code of a time step.
#[must_use]
pub fn code(key: &TotpKey, step: i64) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else {
        return String::new(); // HMAC takes keys of any length; this is never reached.
    };
    mac.update(&step.to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let offset = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
    let number = tag.get(offset..offset + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    format!("{:0DIGITS$}", (u32::from_be_bytes(number) & 0x7fff_ffff) % 1_000_000)
}

/// The step that a code is of: the one of now, before or after. Clocks of phones are a little off.
#[must_use]
pub fn step_of_code(key: &TotpKey, text: &str, now_ms: i64) -> Option<i64> {
    let now = now_ms.div_euclid(STEP_MS);
    let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let mut found = None;
    for step in [now - 1, now, now + 1] {
        if bool::from(code(key, step).as_bytes().ct_eq(text.as_bytes())) {
            found = Some(step);
        }
    }
    found
}

/// The key as people type it into an app.
#[must_use]
pub fn key_text(key: &TotpKey) -> String {
    BASE32_NOPAD.encode(key)
}

/// What an app's camera reads.
#[must_use]
pub fn key_uri(key: &TotpKey, issuer: &str, name: &str) -> String {
    let (issuer, name, secret) = (escaped(issuer), escaped(name), key_text(key));
    format!(
        "otpauth://totp/{issuer}:{name}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30"
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// A recovery code as people keep it: four groups of four.
#[must_use]
pub fn recovery_code(entropy: RecoveryEntropy) -> String {
    let letters = LOWER.as_ref().map(|encoding| encoding.encode(&entropy)).unwrap_or_default();
    let groups: Vec<&str> = (0..4).filter_map(|at| letters.get(at * 4..at * 4 + 4)).collect();
    groups.join("-")
}

/// What is stored of a recovery code; none for what can't be one. Dashes, blanks and case do not count.
#[must_use]
pub fn recovery_hash(text: &str) -> Option<[u8; 32]> {
    let plain: String = text
        .chars()
        .filter(|letter| !letter.is_whitespace() && *letter != '-')
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    let is_code =
        plain.len() == 16 && plain.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b));
    is_code
        .then(|| Sha256::new().chain_update(b"rynjer recovery v1\0").chain_update(&plain).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appendix B of RFC 6238, the last six of its eight digits.
    #[test]
    fn vectors_of_the_rfc() {
        let key = b"12345678901234567890";
        let rows = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (at_s, expected) in rows {
            assert_eq!(code(key, at_s / 30), expected, "{at_s}");
            assert_eq!(step_of_code(key, expected, at_s * 1000), Some(at_s / 30));
        }
    }

    #[test]
    fn one_step_before_and_after_counts_and_no_more() {
        let key = [7; 20];
        let now_ms = 1_742_291_400_000;
        let step = now_ms / 30_000;
        for (of, found) in [(-2, None), (-1, Some(step - 1)), (0, Some(step)), (1, Some(step + 1)), (2, None)]
        {
            assert_eq!(step_of_code(&key, &code(&key, step + of), now_ms), found, "{of}");
        }
        let typed = code(&key, step);
        assert_eq!(step_of_code(&key, &format!(" {} {} ", &typed[..3], &typed[3..]), now_ms), Some(step));
        for wrong in ["", "12345", "1234567", "abcdef", "０１２３４５"] {
            assert_eq!(step_of_code(&key, wrong, now_ms), None, "{wrong}");
        }
    }

    #[test]
    fn keys_as_apps_read_them() {
        let key = *b"12345678901234567890";
        assert_eq!(key_text(&key), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            key_uri(&key, "rynjer g.example", "a+b@c.example"),
            "otpauth://totp/rynjer%20g.example:a%2Bb%40c.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=rynjer%20g.example&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn recovery_codes_are_read_as_people_type_them() {
        let code = recovery_code([0, 1, 2, 3, 4, 5, 6, 7, 8, 255]);
        assert_eq!(code, "aaaq-eaye-auda-och7");
        let code = recovery_code(*b"0123456789");
        let hash = recovery_hash(&code).unwrap();
        assert_eq!(recovery_hash(&format!(" {} ", code.to_uppercase().replace('-', " "))), Some(hash));
        assert_ne!(recovery_hash(&recovery_code([1; 10])), Some(hash));
        for wrong in ["", "123456", "aaaa-aaaa-aaaa-aaa", "aaaa-aaaa-aaaa-aaa1", "aaaa-aaaa-aaaa-aaaaa"] {
            assert_eq!(recovery_hash(wrong), None, "{wrong}");
        }
    }
}
