//! Canonical JSON (RFC 8785): the one text of a value that signatures cover.
//!
//! Invariant: equal JSON values give equal bytes whatever the order, spacing or escapes they arrived with.
//! Not here: reading JSON (`json`), keys and signatures (`signature`).

use serde_json::{Map, Value};

/// The member that holds the signature itself and is therefore not signed.
pub const SIGNATURE_MEMBER: &str = "signature";

/// The value has no canonical text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value has no canonical JSON text: {0}")]
pub struct CanonicalError(String);

/// The RFC 8785 text of a value. Numbers are IEEE doubles there: integers beyond 2^53 lose their last digits.
///
/// # Errors
/// Only for a value that JSON cannot hold, which `json::parse` never makes. It is an error rather than empty
/// bytes, because a signature over nothing must not count as one over something.
pub fn canonical_bytes(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| CanonicalError(error.to_string()))
}

/// The bytes that a signed request covers: the received object, unknown members included, without its
/// `signature`.
///
/// # Errors
/// As [`canonical_bytes`].
pub fn signed_bytes(object: &Map<String, Value>) -> Result<Vec<u8>, CanonicalError> {
    let signed: Map<String, Value> = object
        .iter()
        .filter(|(name, _)| *name != SIGNATURE_MEMBER)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    canonical_bytes(&Value::Object(signed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    fn canonical(text: &str) -> String {
        let value = parse(text.as_bytes(), Limits::default()).unwrap();
        String::from_utf8(canonical_bytes(&value).unwrap()).unwrap()
    }

    #[test]
    fn rfc_8785_section_3_2_2_example() {
        let input = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        let expected = r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#
            .to_owned() + r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#;
        assert_eq!(canonical(input), expected);
    }

    #[test]
    fn rfc_8785_section_3_2_3_sorts_by_utf16_units() {
        let input = r#"{
            "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
            "\u00f6": "Latin Small Letter O With Diaeresis"
        }"#;
        let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
            \"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\
            \"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
        assert_eq!(canonical(input), expected);
    }

    /// Appendix B of the RFC: IEEE 754 bits and their text. NaN and infinity cannot be in a value.
    #[test]
    fn rfc_8785_appendix_b_numbers() {
        for (bits, text) in [
            (0x0000_0000_0000_0000_u64, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            let number = f64::from_bits(bits);
            assert_eq!(canonical_bytes(&Value::from(number)).unwrap(), text.as_bytes(), "{bits:016x}");
            // The text must also come back as the same double: a reader that rounds would change what was
            // signed.
            assert_eq!(canonical(&format!("{number:e}")), text);
        }
    }

    #[test]
    fn integers_print_as_doubles() {
        assert_eq!(canonical("9007199254740993"), "9007199254740992");
        assert_eq!(canonical("18446744073709551615"), "18446744073709552000");
        assert_eq!(canonical("[1.0, -0, 1e2]"), "[1,0,100]");
    }

    #[test]
    fn ascii_equals_sorted_keys_without_spaces() {
        let text = r#"{ "timestamp": 1768113600, "agent_name": "My \"Agent\"", "nonce": "random-nonce",
            "scopes": ["image"], "signature": "00ff", "extra": {"signature": "kept"} }"#;
        let Value::Object(object) = parse(text.as_bytes(), Limits::default()).unwrap() else {
            panic!("an object")
        };
        let expected = r#"{"agent_name":"My \"Agent\"","extra":{"signature":"kept"},"#.to_owned()
            + r#""nonce":"random-nonce","scopes":["image"],"timestamp":1768113600}"#;
        assert_eq!(String::from_utf8(signed_bytes(&object).unwrap()).unwrap(), expected);
    }
}
