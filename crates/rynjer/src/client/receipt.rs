//! `verify receipt`: what a gateway signed, and that it adds up.
//!
//! Invariant: nothing is called right whose key nobody vouches for: the gateway lists it, or the caller gives
//! it. Not here: making receipts (the gateway).

use crate::{
    cli::client::{Reach, Verify},
    client::{moment, session::Session},
    failure::Failure,
    print,
    table::page,
    words::{credits, grouped},
};
use data_encoding::BASE64URL_NOPAD;
use rynjer_api::{ReceiptAnswer, ReceiptTotals};
use rynjer_core::{
    canonical::signed_bytes,
    json,
    signature::{PublicKey, Signature},
};
use serde_json::{Value, json as object};
use std::path::Path;

/// Where a gateway lists its public keys.
const KEYS_PATH: &str = "/.well-known/jwks.json";

/// Runs `rynjer verify`.
pub(super) async fn run(command: Verify, json: bool) -> Result<(), Failure> {
    let Verify::Receipt { file, public_key, reach } = command;
    let receipt = read(&file)?;
    let key = signed(&receipt)?;
    let receipt: ReceiptAnswer = serde_json::from_value(receipt)
        .map_err(|error| wrong(format!("the receipt's form is unknown: {error}")))?;
    adds_up(&receipt)?;
    let vouched = vouched(&key, &public_key, &reach).await?;
    let value = object!({
        "ok": true, "usage_event_id": receipt.usage_event.usage_event_id, "net": receipt.totals.net,
        "public_key": receipt.public_key, "key_vouched_by": vouched,
    });
    print::answer(json, &value, |style| {
        let event = &receipt.usage_event;
        let totals = &receipt.totals;
        let sums = format!(
            "{} reserved, {} charged, {} released, {} refunded",
            grouped(totals.reserved),
            grouped(totals.charged),
            grouped(totals.released),
            grouped(totals.refunded)
        );
        let tick = style.green("✓");
        let lines = page(
            style,
            &[
                ("receipt", event.usage_event_id.clone()),
                ("of", format!("{}, {}", event.request_id, event.model)),
                ("issued", format!("{} by {}", moment(&receipt.issued_at), receipt.base_url)),
                ("credits", sums),
                ("cost", credits(totals.net)),
                ("key", format!("{vouched} vouches for it")),
            ],
        );
        format!("{lines}\n{tick} the signature is right and the lines add up")
    })
}

fn wrong(message: String) -> Failure {
    Failure::failed(message)
        .coded("receipt_invalid")
        .suggest("don't rely on it; ask the gateway for it again")
}

/// The receipt, also inside the envelope that it came in.
fn read(file: &Path) -> Result<Value, Failure> {
    let text = std::fs::read(file)
        .map_err(|error| Failure::failed(format!("can't read {}: {error}", file.display())))?;
    let value = json::parse(&text, json::Limits::default())
        .map_err(|error| wrong(format!("{} is no receipt: {error}", file.display())))?;
    Ok(match value.get("data") {
        Some(data) if value.get("signature").is_none() => data.clone(),
        _ => value,
    })
}

/// The key of the receipt, if the signature is its own.
fn signed(receipt: &Value) -> Result<PublicKey, Failure> {
    let text = |name: &str| receipt.get(name).and_then(Value::as_str).unwrap_or_default();
    let members = receipt.as_object().ok_or_else(|| wrong("a receipt is an object".to_owned()))?;
    let key = PublicKey::parse_hex(text("public_key")).map_err(|error| wrong(error.to_string()))?;
    let signature = Signature::parse_hex(text("signature")).map_err(|error| wrong(error.to_string()))?;
    let bytes = signed_bytes(members).map_err(|error| wrong(error.to_string()))?;
    key.verify(&bytes, &signature).map_err(|_| {
        wrong("the signature is wrong: the receipt was changed after it was signed".to_owned())
    })?;
    Ok(key)
}

fn adds_up(receipt: &ReceiptAnswer) -> Result<(), Failure> {
    let mut sum = ReceiptTotals::default();
    for line in &receipt.lines {
        let total = match line.kind.as_str() {
            "hold" => &mut sum.reserved,
            "capture" => &mut sum.charged,
            "release" => &mut sum.released,
            "refund" => &mut sum.refunded,
            other => return Err(wrong(format!("a line of the kind {other} has no place in a receipt"))),
        };
        *total = total
            .checked_add(line.amount)
            .filter(|_| line.amount >= 0)
            .ok_or_else(|| wrong("a line has an amount that can't be".to_owned()))?;
    }
    sum.held = sum.reserved - sum.charged - sum.released;
    sum.net = sum.charged - sum.refunded;
    let event = receipt.usage_event.credits;
    let of_event = (event.held, event.charged, event.released, event.refunded);
    if sum != receipt.totals || of_event != (sum.held, sum.charged, sum.released, sum.refunded) {
        return Err(wrong("the lines do not add up to the totals".to_owned()));
    }
    Ok(())
}

/// Who says that the key is the gateway's.
async fn vouched(key: &PublicKey, given: &[String], reach: &Reach) -> Result<String, Failure> {
    if !given.is_empty() {
        for text in given {
            let trusted = PublicKey::parse_hex(text)
                .map_err(|error| Failure::usage(format!("--public-key: {error}")))?;
            if trusted == *key {
                return Ok("--public-key".to_owned());
            }
        }
        return Err(wrong("the receipt is signed with another key than --public-key".to_owned()));
    }
    let session = Session::open(reach)?;
    let base_url = session.client.base_url().to_owned();
    let unknown = |why: String| {
        Failure::failed(format!("the signature is right, but nobody vouches for its key: {why}"))
            .coded("key_unknown")
            .suggest(format!("if you trust it, repeat with --public-key {}", key.to_hex()))
    };
    let answer = session.client.probe(KEYS_PATH).await;
    let answer =
        answer.map_err(|error| unknown(format!("{base_url} does not answer: {}", error.root_cause())))?;
    let listed = serde_json::from_slice::<Value>(&answer.body).ok();
    let keys = listed.as_ref().and_then(|list| list.get("keys")).and_then(Value::as_array);
    let wanted = BASE64URL_NOPAD.encode(key.as_bytes());
    let known = keys.is_some_and(|keys| {
        keys.iter().any(|known| known["crv"] == "Ed25519" && known["x"] == wanted.as_str())
    });
    if known { Ok(base_url) } else { Err(unknown(format!("{base_url} does not list it"))) }
}
