//! An agent's identity: an Ed25519 key and the requests that it signs.
//!
//! Invariant: the private key goes nowhere but into the owner's own profile; each request has a fresh nonce.
//! Not here: sending them.

use crate::failure::Failure;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ed25519_dalek::{Signer, SigningKey};
use rynjer_core::canonical::{SIGNATURE_MEMBER, signed_bytes};
use rynjer_server::clock::Clock;
use rynjer_server::entropy;
use serde_json::{Map, Value};

/// An agent's identity.
pub(crate) struct Agent {
    key: SigningKey,
    audience: String,
    clock: Clock,
}

impl Agent {
    /// A new one that talks to `audience`, the gateway's host and port.
    pub(crate) fn generate(audience: &str, clock: &Clock) -> Result<Self, Failure> {
        let key = SigningKey::from_bytes(&entropy::bytes());
        Ok(Self { key, audience: audience.to_owned(), clock: clock.clone() })
    }

    /// The one of a private key in hex.
    pub(crate) fn from_private_key(hex: &str, audience: &str, clock: &Clock) -> Option<Self> {
        let bytes: [u8; 32] = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?.try_into().ok()?;
        let key = SigningKey::from_bytes(&bytes);
        Some(Self { key, audience: audience.to_owned(), clock: clock.clone() })
    }

    /// The private half in hex, for the profile.
    pub(crate) fn private_key(&self) -> String {
        HEXLOWER.encode(&self.key.to_bytes())
    }

    /// The public half, in hex.
    pub(crate) fn public_key(&self) -> String {
        HEXLOWER.encode(self.key.verifying_key().as_bytes())
    }

    /// The object with time, nonce, audience and signature.
    pub(crate) fn sign(&self, object: Value) -> Result<Value, Failure> {
        let Value::Object(mut object) = object else {
            return Err(Failure::failed("only objects are signed"));
        };
        object.insert("timestamp".to_owned(), self.clock.now_ms().div_euclid(1000).into());
        object.insert("nonce".to_owned(), nonce().into());
        object.insert("audience".to_owned(), self.audience.as_str().into());
        let signature = self.signature(&object)?;
        object.insert(SIGNATURE_MEMBER.to_owned(), signature.into());
        Ok(Value::Object(object))
    }

    fn signature(&self, object: &Map<String, Value>) -> Result<String, Failure> {
        let bytes = signed_bytes(object).map_err(|error| Failure::failed(error.to_string()))?;
        Ok(HEXLOWER.encode(&self.key.sign(&bytes).to_bytes()))
    }
}

/// A text that never comes twice.
pub(crate) fn nonce() -> String {
    HEXLOWER.encode(&entropy::bytes::<16>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::Signature;

    #[test]
    fn what_is_signed_verifies() {
        let agent = Agent::generate("127.0.0.1:1", &Clock::manual(1_742_291_400_000)).unwrap();
        let signed = agent.sign(serde_json::json!({"agent_name": "é"})).unwrap();
        let object = signed.as_object().unwrap();
        assert_eq!(
            (object["timestamp"].as_i64(), object["audience"].as_str()),
            (Some(1_742_291_400), Some("127.0.0.1:1"))
        );
        let bytes = HEXLOWER.decode(object["signature"].as_str().unwrap().as_bytes()).unwrap();
        let signature = Signature::from_slice(&bytes).unwrap();
        let key = agent.key.verifying_key();
        assert!(key.verify_strict(&signed_bytes(object).unwrap(), &signature).is_ok());
    }
}
