//! Uploaded files: one row for the same bytes of a caller, quotas, lives.
//!
//! Invariant: what isn't the caller's does not exist. Not here: objects.

use crate::stage::{NOON_MS, Stage, account_id, agent_id};
use rynjer_core::id::FileId;
use rynjer_store::{
    file::{self, COUNTED_BYTES_MIN, FileRow, Kept},
    retention,
};

const LIFE_MS: i64 = 1000;

fn file_id(n: i64) -> FileId {
    FileId::new(n, [0; 10])
}

/// File `n` of agent 0 of account `account`, with bytes of its own, kept at noon.
fn row(account: u8, n: i64, bytes: i64) -> FileRow {
    FileRow {
        account: account_id(account),
        id: file_id(n),
        agent_id: agent_id(0).to_string(),
        object_key: format!("files/{n}"),
        mime: "image/png".to_owned(),
        width: 3,
        height: 2,
        bytes,
        sha256: format!("hash{n}"),
        created_at_ms: NOON_MS,
        expires_at_ms: NOON_MS + LIFE_MS,
    }
}

async fn keep(stage: &Stage, row: FileRow, now_ms: i64, most: i64) -> Kept {
    stage.write(move |tx| file::keep(tx, &row, now_ms, most)).await
}

#[tokio::test]
async fn the_same_bytes_are_one_row() {
    let stage = Stage::with_accounts(2, 0).await;
    let first = row(0, 1, 10);
    assert_eq!(keep(&stage, first.clone(), NOON_MS, i64::MAX).await, Kept::New);
    let later = FileRow {
        id: file_id(2),
        object_key: "files/2".to_owned(),
        created_at_ms: NOON_MS + 5,
        expires_at_ms: NOON_MS + LIFE_MS + 5,
        ..first.clone()
    };
    let renewed = FileRow { expires_at_ms: NOON_MS + LIFE_MS + 5, ..first.clone() };
    assert_eq!(keep(&stage, later.clone(), NOON_MS + 5, i64::MAX).await, Kept::Renewed(renewed.clone()));
    // A life is never made shorter.
    let shorter = FileRow { expires_at_ms: NOON_MS + 1, ..later.clone() };
    assert_eq!(keep(&stage, shorter, NOON_MS, i64::MAX).await, Kept::Renewed(renewed.clone()));
    // Other callers have rows of their own.
    let owners = FileRow { id: file_id(3), agent_id: String::new(), ..first.clone() };
    assert_eq!(keep(&stage, owners, NOON_MS, i64::MAX).await, Kept::New);
    let elsewhere = FileRow { account: account_id(1), ..first.clone() };
    assert_eq!(keep(&stage, elsewhere, NOON_MS, i64::MAX).await, Kept::New);

    let agent = agent_id(0).to_string();
    let renew = |agent: String, sha256: &'static str, now_ms: i64| {
        stage.write(move |tx| file::renew(tx, &account_id(0), &agent, sha256, now_ms, NOON_MS + 2000))
    };
    assert_eq!(renew(agent.clone(), "hash2", NOON_MS).await, None);
    assert_eq!(renew(agent_id(1).to_string(), "hash1", NOON_MS).await, None);
    assert_eq!(renew(agent.clone(), "hash1", NOON_MS + LIFE_MS + 5).await, None);
    let longer = FileRow { expires_at_ms: NOON_MS + 2000, ..renewed };
    assert_eq!(renew(agent, "hash1", NOON_MS).await, Some(longer));
    stage.assert_clean().await;
}

#[tokio::test]
async fn a_quota_counts_what_lives() {
    let stage = Stage::with_accounts(2, 0).await;
    let most = 3 * COUNTED_BYTES_MIN;
    assert_eq!(keep(&stage, row(0, 1, 1), NOON_MS, most).await, Kept::New);
    assert_eq!(keep(&stage, row(0, 2, 2 * COUNTED_BYTES_MIN + 1), NOON_MS, most).await, Kept::OverQuota);
    assert_eq!(keep(&stage, row(0, 2, 2 * COUNTED_BYTES_MIN), NOON_MS, most).await, Kept::New);
    assert_eq!(keep(&stage, row(0, 3, 1), NOON_MS, most).await, Kept::OverQuota);
    assert_eq!(keep(&stage, row(1, 3, 1), NOON_MS, most).await, Kept::New);
    assert!(matches!(keep(&stage, row(0, 1, 1), NOON_MS, most).await, Kept::Renewed(_)));
    let over_ms = NOON_MS + LIFE_MS;
    let third = FileRow { expires_at_ms: over_ms + LIFE_MS, ..row(0, 3, 1) };
    assert_eq!(keep(&stage, third, over_ms, most).await, Kept::New);
    // An expired row lives again, if there is room.
    let second = FileRow { expires_at_ms: over_ms + LIFE_MS, ..row(0, 2, 2 * COUNTED_BYTES_MIN) };
    assert!(matches!(keep(&stage, second, over_ms, most).await, Kept::Renewed(_)));
    assert_eq!(keep(&stage, row(0, 1, 1), over_ms, most).await, Kept::OverQuota);
}

#[tokio::test]
async fn only_the_owner_sees_a_file_while_it_lives() {
    let stage = Stage::with_accounts(2, 0).await;
    keep(&stage, row(0, 1, 10), NOON_MS, i64::MAX).await;
    let seen = stage
        .read(|tx| {
            let (mine, id, over_ms) = (agent_id(0).to_string(), file_id(1), NOON_MS + LIFE_MS);
            let mut get = |account: u8, agent: Option<&str>, now_ms: i64| {
                Ok::<_, rynjer_store::StoreError>(
                    file::get(tx, &account_id(account), agent, &id, now_ms)?.is_some(),
                )
            };
            Ok([
                get(0, None, over_ms - 1)?,
                get(0, Some(&mine), over_ms - 1)?,
                get(0, None, over_ms)?,
                get(0, Some(""), NOON_MS)?,
                get(0, Some(agent_id(1).as_str()), NOON_MS)?,
                get(1, None, NOON_MS)?,
            ])
        })
        .await;
    assert_eq!(seen, [true, true, false, false, false, false]);
    let delete = |account: u8, agent: Option<String>, now_ms: i64| {
        stage.write(move |tx| file::delete(tx, &account_id(account), agent.as_deref(), &file_id(1), now_ms))
    };
    assert_eq!(delete(1, None, NOON_MS).await, None);
    assert_eq!(delete(0, Some(agent_id(1).to_string()), NOON_MS).await, None);
    assert_eq!(delete(0, None, NOON_MS + LIFE_MS).await, None);
    assert_eq!(delete(0, None, NOON_MS).await, Some(row(0, 1, 10)));
    assert_eq!(delete(0, None, NOON_MS).await, None);
}

#[tokio::test]
async fn files_expire_and_their_objects_become_orphans() {
    let stage = Stage::with_accounts(1, 0).await;
    for n in [1, 2] {
        keep(&stage, row(0, n, 10), NOON_MS, i64::MAX).await;
    }
    let prolong = |n: i64, until_ms: i64| {
        stage.write(move |tx| file::prolong(tx, &account_id(0), &file_id(n), until_ms))
    };
    assert!(prolong(2, NOON_MS + 5000).await);
    assert!(prolong(2, NOON_MS).await);
    assert!(!prolong(3, NOON_MS).await);
    let key = |n: i64| (account_id(0).to_string(), file_id(n).to_string(), format!("files/{n}"));
    let keys = [key(1), key(2), (account_id(0).to_string(), file_id(2).to_string(), "files/x".to_owned())];
    let orphans = || {
        let keys = keys.clone();
        stage.read(move |tx| retention::orphan_files(tx, &keys))
    };
    assert_eq!(orphans().await, ["files/x"]);
    let expire = |now_ms: i64| stage.write(move |tx| retention::expire_files(tx, now_ms));
    assert!(expire(NOON_MS + LIFE_MS - 1).await.is_empty());
    assert_eq!(expire(NOON_MS + LIFE_MS).await, ["files/1"]);
    assert!(expire(NOON_MS + LIFE_MS).await.is_empty());
    assert_eq!(orphans().await, ["files/1", "files/x"]);
    assert_eq!(expire(NOON_MS + 5000).await, ["files/2"]);
    stage.assert_clean().await;
}
