//! What an account spent, and what its owner reads beside it.
//!
//! Invariant: sums are those of the account alone, and a report that is cut says so. Not here: pages of
//! single events (`list`).

use crate::stage::{
    NOON_MS, Stage, accept, account_id, agent_id, new_accept, refund, release, settled, task_id,
};
use rynjer_core::{
    credits::Credits,
    ledger::{Command, Guard},
    time::{DAY_MS, day_start_ms},
};
use rynjer_store::{
    agent,
    audit_log::{self, AuditLine, Place},
    list::Filter,
    spend::{self, SPEND_SCAN_MAX, Spend, SpendRow},
};

async fn spend(stage: &Stage, n: u8, filter: Filter, scan_max: u32) -> Spend {
    stage.read(move |tx| spend::by_kind(tx, &account_id(n), &filter, scan_max)).await
}

#[tokio::test]
async fn sums_are_by_day_agent_model_and_product() {
    let stage = Stage::with_accounts(2, 1000).await;
    let today_ms = day_start_ms(NOON_MS);
    for id in 1..=4 {
        let mut new = new_accept(0, id, 10, 2);
        new.task.agent = (id == 4).then(|| agent_id(0));
        let day = if id < 3 { 0 } else { 1 };
        stage.submit_at(NOON_MS + id + day * DAY_MS, Command::Accept(Box::new(new))).await;
    }
    stage.submit(accept(1, 5, 7, 1)).await;
    assert_eq!(stage.submit(release(0, 1, Guard::NotSubmitted, None)).await, settled(0, 20));
    let rows = spend(&stage, 0, Filter::default(), SPEND_SCAN_MAX).await.rows;
    let kind = &rows[0];
    let row = |day: i64, agent: &str, tasks, failed, held| SpendRow {
        day_ms: today_ms + day * DAY_MS,
        agent_id: agent.to_owned(),
        model: kind.model.clone(),
        product: kind.product.clone(),
        tasks,
        failed,
        spent: Credits(0),
        held: Credits(held),
    };
    let agent = agent_id(0).to_string();
    assert_eq!(rows, [row(0, "", 2, 1, 20), row(1, "", 1, 0, 20), row(1, &agent, 1, 0, 20)]);
    let first_day = Filter { to_ms: Some(today_ms + DAY_MS), ..Filter::default() };
    assert_eq!(spend(&stage, 0, first_day, SPEND_SCAN_MAX).await.rows, [row(0, "", 2, 1, 20)]);
    let own = Filter { agent_id: Some(agent.clone()), ..Filter::default() };
    assert_eq!(spend(&stage, 0, own, SPEND_SCAN_MAX).await.rows, [row(1, &agent, 1, 0, 20)]);
    let keys = Filter { agent_id: Some(String::new()), ..Filter::default() };
    assert_eq!(spend(&stage, 0, keys, SPEND_SCAN_MAX).await.rows.len(), 2);
    let none = Filter { product: Some("music".to_owned()), ..Filter::default() };
    assert_eq!(spend(&stage, 0, none, SPEND_SCAN_MAX).await.rows, []);
    let models = Filter { model: Some("other".to_owned()), ..Filter::default() };
    assert_eq!(spend(&stage, 0, models, SPEND_SCAN_MAX).await.rows, []);
}

#[tokio::test]
async fn what_was_given_back_was_not_spent() {
    let stage = Stage::with_accounts(1, 1000).await;
    stage.generate(0, 1, 10, 2).await;
    stage.submit(refund(0, 1, 5, "r")).await;
    let rows = spend(&stage, 0, Filter::default(), SPEND_SCAN_MAX).await.rows;
    assert_eq!((rows.len(), rows[0].spent, rows[0].held), (1, Credits(15), Credits(0)));
}

#[tokio::test]
async fn a_report_looks_at_the_newest_and_says_so() {
    let stage = Stage::with_accounts(1, 1000).await;
    for id in 1..=5 {
        stage.submit(accept(0, id, 10, 1)).await;
    }
    for (scan_max, tasks, since) in [(6, 5, None), (5, 5, None), (4, 4, Some(2)), (1, 1, Some(5))] {
        let found = spend(&stage, 0, Filter::default(), scan_max).await;
        let counted: i64 = found.rows.iter().map(|row| row.tasks).sum();
        assert_eq!((counted, found.since), (tasks, since.map(task_id)), "{scan_max}");
    }
}

#[tokio::test]
async fn names_are_those_of_the_account() {
    let stage = Stage::with_accounts(1, 10).await;
    let names = stage.read(|tx| agent::names(tx, &account_id(0), 10)).await;
    assert_eq!(names, []);
}

#[tokio::test]
async fn a_log_is_read_in_both_directions() {
    let stage = Stage::with_accounts(1, 10).await;
    for number in 1..=5_i64 {
        let line = AuditLine {
            account_id: "acct".to_owned(),
            id: format!("log_{number}"),
            at_ms: number,
            actor_kind: "owner".to_owned(),
            actor_id: "own".to_owned(),
            action: if number % 2 == 0 { "key.created" } else { "keyless.made" }.to_owned(),
            subject_id: String::new(),
            detail: "{}".to_owned(),
            address: None,
        };
        stage.write(move |tx| audit_log::insert(tx, &line)).await;
    }
    let ids = async |place: Place, limit| {
        let lines = stage.read(move |tx| audit_log::page(tx, "acct", &place, limit)).await;
        lines.iter().map(|line| line.at_ms).collect::<Vec<_>>()
    };
    let before = |id: &str| Place { before: Some(id.to_owned()), ..Place::default() };
    let after = |id: &str| Place { after: Some(id.to_owned()), ..Place::default() };
    assert_eq!(ids(Place::default(), 2).await, [5, 4]);
    assert_eq!(ids(before("log_4"), 2).await, [3, 2]);
    assert_eq!(ids(after("log_1"), 2).await, [3, 2]);
    assert_eq!(ids(after("log_3"), 9).await, [5, 4]);
    let keys = Place { noun: Some("key".to_owned()), ..Place::default() };
    assert_eq!(ids(keys, 9).await, [4, 2]);
}
