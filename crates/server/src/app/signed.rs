//! Requests that an agent signs with its Ed25519 key.
//!
//! Invariant: the signature covers the received JSON value, a nonce is spent only under a valid signature,
//! and in the same commit as the request's effect. Not here: what the request asks for.

use crate::{app::Error, app::request::Fields, state::App};
use rynjer_core::{
    canonical,
    signature::{self, PublicKey, Signature},
};
use rynjer_store::{Tx, nonce};

/// A request whose signature holds; its nonce is still to be spent.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    public_key: String,
    nonce: String,
    nonce_expires_at_ms: i64,
}

/// Checks time, audience and signature of a request under a public key.
pub(crate) fn verify(app: &App, fields: &Fields, public_key: &PublicKey) -> Result<Signed, Error> {
    let now_ms = app.now_ms();
    let mut problems = Vec::new();
    let timestamp_s = fields.required_i64("timestamp", &mut problems);
    let nonce = fields.required_str("nonce", &mut problems);
    let signature = fields.required_str("signature", &mut problems);
    if let Some(nonce) = nonce
        && let Err(error) = signature::check_nonce(nonce)
    {
        problems.push(crate::app::Field::new("nonce", error.to_string()));
    }
    let audience = fields.opt_str("audience", &mut problems);
    let (Some(timestamp_s), Some(nonce), Some(signature)) = (timestamp_s, nonce, signature) else {
        return Err(Error::Invalid(problems));
    };
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    signature::check_timestamp(timestamp_s, now_ms)
        .map_err(|_| Error::TimestampOutOfRange { server_time_s: now_ms / 1000 })?;
    let without_port = host(app).rsplit_once(':').map_or(host(app), |(name, _)| name);
    if audience.is_some_and(|audience| audience != host(app) && audience != without_port) {
        return Err(Error::InvalidSignature { reason: format!("audience is not {}", host(app)) });
    }
    let invalid = |reason: String| Error::InvalidSignature { reason };
    let signature = Signature::parse_hex(signature).map_err(|error| invalid(error.to_string()))?;
    let message = canonical::signed_bytes(fields.object()).map_err(|error| invalid(error.to_string()))?;
    public_key.verify(&message, &signature).map_err(|error| invalid(error.to_string()))?;
    Ok(Signed {
        public_key: public_key.to_hex(),
        nonce: nonce.to_owned(),
        // A request is believed from 300 s before to 60 s after its timestamp; one minute more is a margin.
        nonce_expires_at_ms: timestamp_s * 1000 + 360_000 + 60_000,
    })
}

/// Spends the nonce and does what the request asks in one commit. A refusal spends the nonce too, so `unit`
/// must decide before it writes; only a failure of ours leaves the nonce for the retry.
pub(crate) async fn commit<T: Send + 'static>(
    app: &App,
    signed: Option<Signed>,
    unit: impl Fn(&mut dyn Tx) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let decided = app.store.write(move |tx| {
        if let Some(signed) = &signed
            && !nonce::spend(tx, &signed.public_key, &signed.nonce, signed.nonce_expires_at_ms)?
        {
            return Err(Error::NonceReused);
        }
        match unit(tx) {
            Err(error @ (Error::Internal(_) | Error::Overloaded | Error::ShuttingDown)) => Err(error),
            decided => Ok(decided),
        }
    });
    decided.await?
}

/// The host that an audience must name.
pub(crate) fn host(app: &App) -> &str {
    let url = app.base_url();
    url.split_once("://").map_or(url, |(_, host)| host)
}
