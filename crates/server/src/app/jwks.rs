//! The public halves of the keys that sign access tokens and receipts, as a JSON Web Key Set (RFC 7517 and
//! 8037).
//!
//! Invariant: public halves only; a key is listed before it signs, and as long as what it signed can be good.
//! Not here: signing (`token`, `receipt`).

use crate::{keyring::Purpose, state::App};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

/// All keys that others may check signatures with.
pub(crate) fn published(app: &App) -> Value {
    let keys = [Purpose::Token, Purpose::Receipt].into_iter().flat_map(|purpose| app.keyring.all(purpose));
    let shown = keys.map(|(id, seed)| {
        let public = SigningKey::from_bytes(&seed).verifying_key();
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": id,
            "x": BASE64URL_NOPAD.encode(public.as_bytes())})
    });
    json!({"keys": shown.collect::<Vec<_>>()})
}
