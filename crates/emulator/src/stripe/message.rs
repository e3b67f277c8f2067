//! What Stripe tells: events, and their signatures.
//!
//! Invariant: a signature is what Stripe's own library makes; the test's vector is from it. Not here: when
//! something is told.

use super::Hook;
use crate::moment;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An event about an object.
#[must_use]
pub fn event(id: &str, kind: &str, is_live: bool, object: &Value) -> Value {
    json!({"id": id, "object": "event", "type": kind, "livemode": is_live, "created": moment::now_ms() / 1000,
        "api_version": "2026-10-28.endive", "pending_webhooks": 1,
        "request": {"id": null, "idempotency_key": null},
        "data": {"object": object}})
}

/// The header `Stripe-Signature` of a body.
#[must_use]
pub fn sign(secret: &str, at_s: i64, body: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    let signature = mac.map_or_else(
        |_| String::new(),
        |mac| HEXLOWER.encode(&mac.chain_update(format!("{at_s}.{body}")).finalize().into_bytes()),
    );
    format!("t={at_s},v1={signature}")
}

/// Sends an event; the status that it got.
pub(super) async fn tell(hook: &Hook, event: &Value) -> io::Result<u16> {
    let (body, now_s) = (event.to_string(), moment::now_ms() / 1000);
    let signature = sign(&hook.secret, now_s, &body);
    let rest = hook.url.strip_prefix("http://").ok_or_else(|| io::Error::other("a hook is plain HTTP"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let head = format!(
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         stripe-signature: {signature}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other("no status came back"))
}

#[cfg(test)]
mod tests {
    use super::sign;

    #[test]
    fn signatures_are_those_of_stripes_own_library() {
        // Made by npm `stripe` 23.1.0, `webhooks.generateTestHeaderString`.
        let header = "t=1742291400,v1=8e15ed4fd91d1f2d4aeaa243784f14db58a9ce15fb400119f59a4d0d0c35ab17";
        assert_eq!(sign("whsec_test_1", 1_742_291_400, r#"{"id":"evt_1","object":"event"}"#), header);
    }
}
