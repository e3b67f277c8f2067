//! Setting budgets while money moves.
//!
//! Invariant: a new budget knows what its subject spent in the window, and gets back what open tasks release.
//! Not here: the checks.

use crate::stage::{
    NOON_MS, Stage, accept, accepted, account_id, agent_id, budget_id, in_one_batch, key_id, new_accept,
    release, settled,
};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
    id::BudgetId,
    ledger::{Command, Guard, Outcome, Refusal},
    time::DAY_MS,
};
use rynjer_store::{budget, key_line};

async fn set(stage: &Stage, n: u8, subject: (Subject, &str), period: Period, limit: i64) -> BudgetId {
    let (subject, id) = (subject.0, subject.1.to_owned());
    let unit = move |tx: &mut dyn rynjer_store::Tx| {
        let limit = Credits(limit);
        budget::set(tx, &account_id(0), &budget_id(n), (subject, &id), period, limit, NOON_MS)
    };
    stage.write(unit).await
}

async fn spent(stage: &Stage) -> Vec<(&'static str, &'static str, i64)> {
    let budgets = stage.read(|tx| budget::of_account(tx, &account_id(0))).await;
    budgets.iter().map(|b| (b.subject.as_str(), b.period.as_str(), b.spent.0)).collect()
}

#[tokio::test]
async fn a_new_budget_counts_its_window_and_open_tasks_flow_back() {
    let stage = Stage::with_accounts(1, 1_000).await;
    stage.submit_at(NOON_MS - DAY_MS, accept(0, 1, 50, 1)).await;
    stage.submit_at(NOON_MS - DAY_MS, release(0, 1, Guard::NotSubmitted, None)).await;
    stage.submit_at(NOON_MS - DAY_MS, accept(0, 2, 20, 1)).await;
    stage.submit(accept(0, 3, 10, 1)).await;
    let mut of_other = new_accept(0, 4, 5, 1);
    (of_other.task.agent, of_other.task.key) = (Some(agent_id(1)), key_id(1));
    stage.submit(Command::Accept(Box::new(of_other))).await;

    let account = account_id(0).to_string();
    set(&stage, 1, (Subject::Account, &account), Period::Day, 30).await;
    set(&stage, 2, (Subject::Agent, agent_id(0).as_str()), Period::Total, 30).await;
    set(&stage, 3, (Subject::Key, key_id(1).as_str()), Period::Month, 30).await;
    let expected = [("account", "day", 15), ("agent", "total", 30), ("key", "month", 5)];
    assert_eq!(spent(&stage).await, expected);
    let over = stage.submit(accept(0, 5, 1, 1)).await;
    assert!(matches!(over, Outcome::Refused(Refusal::BudgetExceeded { subject: "agent", .. })), "{over:?}");

    // Task 2 is of yesterday: the day's budget never counted it and gets nothing back.
    stage.submit(release(0, 2, Guard::NotSubmitted, None)).await;
    assert_eq!(spent(&stage).await, [("account", "day", 15), ("agent", "total", 10), ("key", "month", 5)]);
    stage.submit(release(0, 4, Guard::NotSubmitted, None)).await;
    assert_eq!(spent(&stage).await, [("account", "day", 10), ("agent", "total", 10), ("key", "month", 0)]);
    assert_eq!(stage.submit(accept(0, 5, 20, 1)).await, accepted(20));
    stage.assert_clean().await;
}

#[tokio::test]
async fn setting_again_changes_the_limit_alone() {
    let stage = Stage::with_accounts(1, 1_000).await;
    let agent = agent_id(0).to_string();
    let first = set(&stage, 1, (Subject::Agent, &agent), Period::Day, 30).await;
    stage.submit(accept(0, 1, 20, 1)).await;
    let again = set(&stage, 2, (Subject::Agent, &agent), Period::Day, 5).await;
    assert_eq!(first, again);
    assert_eq!(spent(&stage).await, [("agent", "day", 20)]);
    let over = stage.submit(accept(0, 2, 1, 1)).await;
    let refusal = Refusal::BudgetExceeded {
        subject: "agent",
        period: "day",
        limit: Credits(5),
        spent: Credits(20),
        resets_at_ms: Some(1_709_251_200_000),
    };
    assert_eq!(over, Outcome::Refused(refusal));
    // Lowering takes nothing from what runs.
    assert_eq!(stage.submit(release(0, 1, Guard::NotSubmitted, None)).await, settled(0, 20));
    assert_eq!(spent(&stage).await, [("agent", "day", 0)]);
}

/// A budget set while its subject's commands fly counts each of them exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_budget_set_in_the_middle_counts_each_task_once() {
    let stage = Stage::with_accounts(1, 1_000).await;
    let store = stage.store.clone();
    let mut flying = tokio::task::JoinSet::new();
    flying.spawn(async move {
        let commands = (1..=200).map(|id| accept(0, id, 2, 1)).collect();
        crate::stage::all_at_once(&store, commands).await
    });
    let account = account_id(0).to_string();
    set(&stage, 1, (Subject::Account, &account), Period::Total, 1_000).await;
    flying.join_all().await;
    assert_eq!(spent(&stage).await, [("account", "total", 400)]);
    let answers = (1..=200).map(|id| release(0, id, Guard::NotSubmitted, None)).collect();
    crate::stage::all_at_once(&stage.store, answers).await;
    assert_eq!(spent(&stage).await, [("account", "total", 0)]);
}

#[tokio::test]
async fn a_limit_that_is_taken_away_refuses_and_counts_nothing_more() {
    let stage = Stage::with_accounts(1, 1_000).await;
    let agent = agent_id(0).to_string();
    set(&stage, 1, (Subject::Agent, &agent), Period::Total, 10).await;
    stage.submit(accept(0, 1, 10, 1)).await;
    let over = stage.submit(accept(0, 2, 1, 1)).await;
    assert!(matches!(over, Outcome::Refused(Refusal::BudgetExceeded { .. })), "{over:?}");
    let remove = |account: u8| {
        let agent = agent.clone();
        move |tx: &mut dyn rynjer_store::Tx| {
            budget::remove(tx, &account_id(account), (Subject::Agent, &agent), Period::Total)
        }
    };
    assert!(!stage.write(remove(1)).await, "another account has no such limit");
    assert!(stage.write(remove(0)).await);
    assert!(!stage.write(remove(0)).await);
    assert_eq!(stage.submit(accept(0, 2, 90, 1)).await, accepted(90));
    // What the first task gives back has no limit any more that it could go to.
    stage.submit(release(0, 1, Guard::NotSubmitted, None)).await;
    set(&stage, 2, (Subject::Agent, &agent), Period::Total, 100).await;
    assert_eq!(spent(&stage).await, [("agent", "total", 90)]);
    stage.assert_clean().await;
}

/// The replaced key has no cap since its successor has none, whatever else its batch has to look at.
#[tokio::test]
async fn a_limit_that_is_taken_away_from_a_line_binds_none_of_its_keys() {
    let stage = Stage::with_accounts(1, 1_000).await;
    set(&stage, 1, (Subject::Key, key_id(0).as_str()), Period::Total, 10).await;
    stage.submit(accept(0, 1, 10, 1)).await;
    stage.write(|tx| key_line::replace(tx, &account_id(0), (&key_id(0), &key_id(1)), NOON_MS)).await;
    set(&stage, 2, (Subject::Key, key_id(1).as_str()), Period::Total, 10).await;
    assert!(matches!(stage.submit(accept(0, 2, 5, 1)).await, Outcome::Refused(_)));
    let remove = |tx: &mut dyn rynjer_store::Tx| {
        budget::remove(tx, &account_id(0), (Subject::Key, key_id(0).as_str()), Period::Total)
    };
    assert!(stage.write(remove).await);
    let both = vec![accept(0, 2, 5, 1), release(0, 1, Guard::NotSubmitted, None)];
    assert_eq!(in_one_batch(&stage.store, both).await, [Ok(accepted(5)), Ok(settled(0, 10))]);
    assert_eq!(stage.submit(accept(0, 3, 90, 1)).await, accepted(90));
    stage.assert_clean().await;
}
