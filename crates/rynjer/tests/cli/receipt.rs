//! `verify receipt`.
//!
//! Invariant: a receipt that was changed, or whose key nobody vouches for, never passes. Not here: receipts
//! of a gateway.

use crate::run::rynjer;
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey};
use rynjer_core::canonical::signed_bytes;
use serde_json::{Value, json};

fn receipt(change: impl FnOnce(&mut Value)) -> (Value, String) {
    let key = SigningKey::from_bytes(&[7; 32]);
    let public_key = HEXLOWER.encode(key.verifying_key().as_bytes());
    let line = |kind: &str, amount: i64| {
        json!({"sequence": null, "at": "2026-03-20T09:46:40.000Z", "kind": kind, "from": "a", "to": "b",
            "amount": amount, "hash": null})
    };
    let mut receipt = json!({
        "receipt_version": 1, "account_id": "acct_1", "usage_event": {
            "usage_event_id": "use_1", "task_id": "task_1", "request_id": "r", "status": "success",
            "model": "nano-banana-pro", "product": "image", "agent_id": null, "key_id": "key_1",
            "run_id": null, "price_version": "2026-02-02-v1", "unit_price": 20, "count": 2,
            "credits": {"held": 0, "charged": 20, "released": 20, "refunded": 0}, "mode": "test",
            "created_at": "2026-03-20T09:46:40.000Z", "finished_at": "2026-03-20T09:46:41.000Z"
        },
        "lines": [line("hold", 40), line("capture", 20), line("release", 20)],
        "totals": {"reserved": 40, "charged": 20, "released": 20, "refunded": 0, "held": 0, "net": 20},
        "issued_at": "2026-03-20T09:46:42.000Z", "base_url": "http://127.0.0.1:8787", "key_id": "k",
        "public_key": public_key, "of_tomorrow": "é"
    });
    change(&mut receipt);
    let signature = key.sign(&signed_bytes(receipt.as_object().unwrap()).unwrap());
    receipt["signature"] = HEXLOWER.encode(&signature.to_bytes()).into();
    (receipt, public_key)
}

fn verify(receipt: &Value, more: &[&str]) -> crate::run::Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("receipt.json");
    std::fs::write(&file, receipt.to_string()).unwrap();
    let line = ["verify", "receipt", file.to_str().unwrap()];
    rynjer(&line.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn a_receipt_passes_with_a_trusted_key_and_in_its_envelope() {
    let (receipt, key) = receipt(|_| {});
    let ran = verify(&receipt, &["--public-key", &key, "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!((&ran.object()["ok"], &ran.object()["net"]), (&true.into(), &20.into()));
    let enveloped = json!({"code": 0, "message": "ok", "data": receipt});
    let text = verify(&enveloped, &["--public-key", &key]).stdout;
    assert!(text.contains("40 reserved, 20 charged, 20 released, 0 refunded"), "{text}");
}

#[test]
fn what_was_changed_or_does_not_add_up_is_refused() {
    let (mut changed, key) = receipt(|_| {});
    changed["totals"]["net"] = 0.into();
    let trusted = ["--public-key", key.as_str()];
    let ran = verify(&changed, &trusted);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("changed after it was signed"), "{}", ran.stderr);
    let sums: [fn(&mut Value); 3] = [
        |receipt| receipt["lines"][1]["amount"] = 19.into(),
        |receipt| receipt["totals"]["net"] = 19.into(),
        |receipt| receipt["usage_event"]["credits"]["charged"] = 19.into(),
    ];
    for sum in sums {
        let ran = verify(&receipt(sum).0, &trusted);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("do not add up"), "{}", ran.stderr);
    }
}

#[test]
fn a_key_that_nobody_vouches_for_is_not_enough() {
    let (receipt, key) = receipt(|_| {});
    let other = HEXLOWER.encode(SigningKey::from_bytes(&[8; 32]).verifying_key().as_bytes());
    let ran = verify(&receipt, &["--public-key", &other]);
    assert!(ran.code == 1 && ran.stderr.contains("another key"), "{}", ran.stderr);
    let ran = verify(&receipt, &["--base-url", "http://127.0.0.1:9"]);
    assert!(ran.code == 1 && ran.stderr.contains(&format!("--public-key {key}")), "{}", ran.stderr);
}
