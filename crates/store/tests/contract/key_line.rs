//! Lines of keys: who took whose place, also where an earlier program told the log alone.
//!
//! Invariant: a replaced key finds the newest of its line, and no key of another account. Not here: caps
//! (`budget`).

use crate::{
    key::key_row,
    stage::{NOON_MS, Stage, account_id, key_id},
};
use rynjer_store::{
    StoreError, Tx,
    audit_log::{self, AuditLine},
    key, key_line,
};

async fn successors(stage: &Stage, account: u8) -> Vec<Option<rynjer_core::id::KeyId>> {
    let read = stage.read(move |tx| {
        let of = |n: u8| (account_id(account), key_id(n));
        (0..6)
            .map(of)
            .map(|(account, key)| key_line::successor(tx, &account, key.as_str()))
            .collect::<Result<Vec<_>, StoreError>>()
    });
    read.await
}

#[tokio::test]
async fn a_line_ends_at_its_newest_key() {
    let stage = Stage::with_accounts(2, 0).await;
    for n in 0..4 {
        stage.write(move |tx| key::insert(tx, &key_row(n, 0, None))).await;
    }
    for n in 0..3u8 {
        stage
            .write(move |tx| key_line::replace(tx, &account_id(0), (&key_id(n), &key_id(n + 1)), NOON_MS))
            .await;
    }
    let newest = Some(key_id(3));
    let expected = vec![newest.clone(), newest.clone(), newest, None, None, None];
    assert_eq!(successors(&stage, 0).await, expected);
    assert_eq!(successors(&stage, 1).await, vec![None; 6]);
    // Those that still work: revoked and expired ones are none of them.
    stage.write(|tx| key::revoke(tx, &account_id(0), &key_id(1), NOON_MS)).await;
    for (now_ms, works) in [(NOON_MS + 9, vec![0, 2]), (NOON_MS + 10, vec![])] {
        let found = stage.read(move |tx| key_line::overlapping(tx, &account_id(0), now_ms)).await;
        let expected: Vec<_> = works.into_iter().map(|n| (key_id(n), key_id(3))).collect();
        assert_eq!(found, expected);
    }
}

/// A database of the program before this table, in which keys were rotated: a line of six, told by the log.
#[tokio::test]
async fn lines_of_an_earlier_program_are_found() {
    let stage = Stage::with_accounts(2, 0).await;
    for n in 0..6 {
        stage.write(move |tx| key::insert(tx, &key_row(n, 0, None))).await;
    }
    let rotated = |n: u8| AuditLine {
        account_id: account_id(0).to_string(),
        id: format!("aud_{n}"),
        at_ms: NOON_MS,
        actor_kind: "owner".into(),
        actor_id: String::new(),
        action: "key.rotated".into(),
        subject_id: key_id(n).to_string(),
        detail: format!(
            r#"{{"name":"\"new_key\":\"{}\"","new_key":"{}","overlap_ms":0}}"#,
            key_id(0),
            key_id(n + 1)
        ),
        address: None,
    };
    stage
        .write(move |tx: &mut dyn Tx| {
            (0..5).try_for_each(|n| audit_log::insert(tx, &rotated(n)))?;
            tx.exec("DROP TABLE key_successors", &[])?;
            tx.exec("DELETE FROM schema_migrations WHERE number = 5", &[])
        })
        .await;
    let stage = stage.reopen();
    let newest = Some(key_id(5));
    let expected = [vec![newest; 5], vec![None]].concat();
    assert_eq!(successors(&stage, 0).await, expected);
}
