//! Whether a message is Stripe's: an HMAC over its time and its bytes.
//!
//! Invariant: compared in constant time, over the bytes as they came, and refused if its time is more than
//! five minutes from ours. Not here: what a message says.
//!
//! Sources, read in November 2026: docs.stripe.com/webhooks#verify-manually (the header `t=…,v1=…`,
//! HMAC-SHA256 with the endpoint's secret over the time, a point and the body, several `v1` while a secret
//! is rolled, five minutes by default), and `Webhooks.js` of npm `stripe` 23.1.0, which made the test's
//! vectors.

use super::Secret;
use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far a message's time may be from ours, in either direction.
pub const TOLERANCE_S: i64 = 300;
/// Signatures of one header that are looked at: Stripe sends one for each secret that is still good.
const SIGNATURES_MAX: usize = 16;

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    #[error("the signature can't be read")]
    Malformed,
    #[error("the signature is not made with a secret of this gateway")]
    Forged,
    #[error("the signature is too old, or from the future")]
    OutOfTime,
}

/// Checks a header against a body.
///
/// # Errors
/// See [`Unsigned`]; a wrong signature is told before a wrong time.
pub fn verify(secrets: &[Secret], header: &str, body: &[u8], now_s: i64) -> Result<(), Unsigned> {
    let (timestamp, signatures) = read(header).ok_or(Unsigned::Malformed)?;
    let signed_at_s: i64 = timestamp.parse().map_err(|_| Unsigned::Malformed)?;
    let genuine = secrets.iter().any(|secret| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return false };
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        // `verify_slice` compares in constant time.
        signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    });
    if !genuine {
        return Err(Unsigned::Forged);
    }
    let off_s = now_s.checked_sub(signed_at_s).and_then(i64::checked_abs);
    if off_s.is_some_and(|off_s| off_s <= TOLERANCE_S) { Ok(()) } else { Err(Unsigned::OutOfTime) }
}

/// The time as it stands there, and the signatures of the scheme that we know.
fn read(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let mut times = parts().filter(|(name, _)| *name == "t");
    let (_, timestamp) = times.next()?;
    if times.next().is_some() || !timestamp.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let signatures: Vec<Vec<u8>> = parts()
        .filter(|(name, _)| *name == "v1")
        .take(SIGNATURES_MAX)
        .filter_map(|(_, text)| HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok())
        .collect();
    (!signatures.is_empty()).then_some((timestamp, signatures))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_S: i64 = 1_742_291_400;

    /// Made by npm `stripe` 23.1.0, `webhooks.generateTestHeaderString`, with the secret `whsec_test_1`.
    const VECTORS: [(&str, &str); 3] = [
        (
            r#"{"id":"evt_1","object":"event"}"#,
            "t=1742291400,v1=8e15ed4fd91d1f2d4aeaa243784f14db58a9ce15fb400119f59a4d0d0c35ab17",
        ),
        (
            r#"{"id":"evt_2","note":"schön – 🦊"}"#,
            "t=1742291400,v1=1f96b83fac904cfaa08f1a9b6d437d535e5e4728e64ec0b2fdaff9adf12f6de2",
        ),
        ("", "t=1742291400,v1=8d70955e2f2f151752cbb589755a9810f3bb1eb0313a67785ecadf7759fc4b2c"),
    ];
    /// The first of them with the secret `whsec_test_2`.
    const BY_OTHER: &str = "t=1742291400,v1=b4122773f0380ff9f68df8852dbda3335eb4e78c017149cd678aa8f285df6197";

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::new(text)).collect()
    }

    #[test]
    fn what_stripes_own_library_signs_is_believed() {
        for (body, header) in VECTORS {
            assert_eq!(verify(&secrets(&["whsec_test_1"]), header, body.as_bytes(), AT_S), Ok(()), "{body}");
        }
    }

    #[test]
    fn one_secret_of_several_and_one_signature_of_several_suffice() {
        let (body, header) = VECTORS[0];
        let verify = |texts: &[&str], header: &str| verify(&secrets(texts), header, body.as_bytes(), AT_S);
        assert_eq!(verify(&["whsec_test_2", "whsec_test_1"], header), Ok(()));
        assert_eq!(verify(&["whsec_test_2"], header), Err(Unsigned::Forged));
        assert_eq!(verify(&[], header), Err(Unsigned::Forged));
        let both = format!("{BY_OTHER},{}", header.split_once(',').unwrap().1);
        assert_eq!(verify(&["whsec_test_1"], &both), Ok(()));
        assert_eq!(verify(&["whsec_test_2"], &both), Ok(()));
        assert_eq!(verify(&["whsec_test_3"], &both), Err(Unsigned::Forged));
    }

    #[test]
    fn every_byte_and_the_time_are_covered() {
        let secrets = secrets(&["whsec_test_1"]);
        let (body, header) = VECTORS[0];
        for at in 0..body.len() {
            let mut changed = body.as_bytes().to_vec();
            changed[at] ^= 1;
            assert_eq!(verify(&secrets, header, &changed, AT_S), Err(Unsigned::Forged), "{at}");
        }
        let later = header.replace("t=1742291400", "t=1742291401");
        assert_eq!(verify(&secrets, &later, body.as_bytes(), AT_S), Err(Unsigned::Forged));
        for (now_s, result) in [
            (AT_S + 300, Ok(())),
            (AT_S - 300, Ok(())),
            (AT_S + 301, Err(Unsigned::OutOfTime)),
            (AT_S - 301, Err(Unsigned::OutOfTime)),
            (i64::MIN, Err(Unsigned::OutOfTime)),
        ] {
            assert_eq!(verify(&secrets, header, body.as_bytes(), now_s), result, "{now_s}");
        }
    }

    #[test]
    fn odd_headers_are_refused() {
        let v1 = VECTORS[0].1.split_once(",v1=").unwrap().1;
        let rows = [
            String::new(),
            "t=1742291400".to_owned(),
            format!("v1={v1}"),
            format!("t=,v1={v1}"),
            format!("t=-1742291400,v1={v1}"),
            format!("t=1742291400,v0={v1}"),
            format!("t=1742291400,v1={v1}0"),
            "t=1742291400,v1=xyz".to_owned(),
            format!("t=1742291400,t=1742291400,v1={v1}"),
            format!("t=99999999999999999999,v1={v1}"),
        ];
        for header in rows {
            let result = verify(&secrets(&["whsec_test_1"]), &header, VECTORS[0].0.as_bytes(), AT_S);
            assert_eq!(result, Err(Unsigned::Malformed), "{header}");
        }
        let short = format!("t=1742291400,v1={}", &v1[..62]);
        let result = verify(&secrets(&["whsec_test_1"]), &short, VECTORS[0].0.as_bytes(), AT_S);
        assert_eq!(result, Err(Unsigned::Forged));
    }
}
