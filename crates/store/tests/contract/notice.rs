//! News for owners in the commit of what it tells of.
//!
//! Invariant: the same news is stored once, however many batches make it. Not here: thresholds (`core`).

use crate::stage::{
    NOON_MS, Stage, accept, accepted, account_id, agent_id, budget_id, in_one_batch, release, settled,
};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
    id::NoticeId,
    ledger::Guard,
    time::DAY_MS,
};
use rynjer_store::{budget, notice, retention};

async fn limited() -> Stage {
    let stage = Stage::with_accounts(2, 1_000).await;
    let unit = |tx: &mut dyn rynjer_store::Tx| {
        let agent = agent_id(0);
        let subject = (Subject::Agent, agent.as_str());
        budget::set(tx, &account_id(0), &budget_id(1), subject, Period::Day, Credits(100), NOON_MS)
    };
    stage.write(unit).await;
    stage
}

async fn told(stage: &Stage) -> Vec<i64> {
    let rows = stage.read(|tx| notice::of_account(tx, &account_id(0), None, 100)).await;
    let percent = |row: notice::NoticeRow| {
        assert_eq!(row.kind, "budget.threshold");
        serde_json::from_str::<serde_json::Value>(&row.detail).unwrap()["percent"].as_i64().unwrap()
    };
    rows.into_iter().map(percent).collect()
}

#[tokio::test]
async fn news_is_written_with_the_accept_and_once() {
    let stage = limited().await;
    assert_eq!(stage.submit(accept(0, 1, 49, 1)).await, accepted(49));
    assert_eq!(told(&stage).await, [0; 0]);
    assert_eq!(stage.submit_at(NOON_MS + 1, accept(0, 2, 1, 1)).await, accepted(1));
    assert_eq!(told(&stage).await, [50]);
    stage.submit(release(0, 2, Guard::NotSubmitted, None)).await;
    assert_eq!(stage.submit_at(NOON_MS + 2, accept(0, 3, 31, 1)).await, accepted(31));
    assert_eq!(told(&stage).await, [80, 50]);
    assert_eq!(stage.submit_at(NOON_MS + DAY_MS, accept(0, 4, 50, 1)).await, accepted(50));
    assert_eq!(told(&stage).await, [50, 80, 50]);
    assert_eq!(stage.read(|tx| notice::of_account(tx, &account_id(1), None, 100)).await, []);
    stage.assert_clean().await;
}

#[tokio::test]
async fn one_batch_that_makes_the_same_news_twice() {
    let stage = limited().await;
    stage.submit(accept(0, 1, 40, 1)).await;
    let commands = vec![
        accept(0, 2, 20, 1),
        release(0, 1, Guard::NotSubmitted, None),
        accept(0, 3, 60, 1),
        accept(1, 4, 90, 1),
    ];
    let answers = in_one_batch(&stage.store, commands).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [accepted(20), settled(0, 40), accepted(60), accepted(90)]);
    let mut percents = told(&stage).await;
    percents.sort_unstable();
    assert_eq!(percents, [50, 80]);
    stage.assert_clean().await;
}

#[tokio::test]
async fn pages_reading_and_age() {
    let stage = limited().await;
    for (after_ms, id, credits) in [(0, 1, 50), (1, 2, 30), (2, 3, 20)] {
        stage.submit_at(NOON_MS + after_ms, accept(0, id, credits, 1)).await;
    }
    let page = |before: Option<NoticeId>, limit: u32| {
        let stage = &stage;
        async move {
            let unit = move |tx: &mut dyn rynjer_store::Tx| {
                notice::of_account(tx, &account_id(0), before.as_ref(), limit)
            };
            stage.read(unit).await
        }
    };
    let first = page(None, 2).await;
    let rest = page(Some(first[1].id.clone()), 2).await;
    let times: Vec<i64> = first.iter().chain(&rest).map(|row| row.at_ms - NOON_MS).collect();
    assert_eq!(times, [2, 1, 0]);
    let unread = |tx: &mut dyn rynjer_store::Tx| notice::unread(tx, &account_id(0));
    assert_eq!(stage.read(unread).await, 3);
    let middle = first[1].id.clone();
    let read = stage.write(move |tx| notice::mark_read(tx, &account_id(0), Some(&middle), NOON_MS + 5)).await;
    assert_eq!((read, stage.read(unread).await), (2, 1));
    assert_eq!(stage.write(|tx| notice::mark_read(tx, &account_id(1), None, NOON_MS + 6)).await, 0);
    assert_eq!(stage.write(|tx| notice::mark_read(tx, &account_id(0), None, NOON_MS + 6)).await, 1);
    let read_at: Vec<_> = page(None, 9).await.into_iter().map(|row| row.read_at_ms).collect();
    assert_eq!(read_at, [Some(NOON_MS + 6), Some(NOON_MS + 5), Some(NOON_MS + 5)]);
    assert_eq!(stage.write(|tx| retention::expire_notices(tx, NOON_MS + 2)).await, 2);
    assert_eq!(told(&stage).await, [100]);
}
