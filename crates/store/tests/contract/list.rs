//! Pages of tasks and usage events.
//!
//! Invariant: all pages together hold each task once, newest first, whatever comes meanwhile. Not here:
//! single tasks (`task`).

use crate::stage::{NOON_MS, Stage, accept, account_id, agent_id, new_accept, release, settled, task_id};
use rynjer_core::{
    id::{AgentId, TaskId, UsageId},
    ledger::{Command, EntryKind, Guard},
    task::Status,
};
use rynjer_store::{
    list::{self, Filter},
    queue,
    usage::{self, LineRow},
};

/// Pages of ids as numbers of tasks, to the end.
async fn pages(stage: &Stage, filter: Filter, limit: usize) -> Vec<Vec<i64>> {
    let (mut filter, mut pages) = (filter, Vec::new());
    loop {
        let asked = filter.clone();
        let page = stage.read(move |tx| list::tasks(tx, &account_id(0), &asked, limit)).await;
        let number = |id: &TaskId| (1..100).find(|n| task_id(*n) == *id).unwrap();
        pages.push(page.rows.iter().map(|row| number(&row.id)).collect());
        match page.next_before {
            Some(before) => filter.before = Some(before),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other() {
    let stage = Stage::with_accounts(2, 100).await;
    for id in 1..=5 {
        stage.submit(accept(0, id, 1, 1)).await;
    }
    stage.submit(accept(1, 6, 1, 1)).await;
    assert_eq!(pages(&stage, Filter::default(), 2).await, [vec![5, 4], vec![3, 2], vec![1]]);
    assert_eq!(pages(&stage, Filter::default(), 5).await, [[5, 4, 3, 2, 1]]);
    let before = Filter { before: Some(task_id(3)), ..Filter::default() };
    stage.submit(accept(0, 7, 1, 1)).await;
    assert_eq!(pages(&stage, before, 9).await, [[2, 1]]);
    let foreign = Filter { before: Some(TaskId::new(4, [9; 10])), ..Filter::default() };
    assert_eq!(pages(&stage, foreign, 9).await, [[4, 3, 2, 1]]);
}

#[tokio::test]
async fn filters_pass_over_what_was_not_asked_for() {
    let stage = Stage::with_accounts(1, 100).await;
    for id in 1..=6 {
        let mut new = new_accept(0, id, 1, 1);
        new.task.agent = (id % 2 == 0).then(|| agent_id(0));
        if id > 4 {
            new.task.model = "other".to_owned();
        }
        stage.submit_at(NOON_MS + id, Command::Accept(Box::new(new))).await;
    }
    stage.submit(release(0, 3, Guard::NotSubmitted, None)).await;
    let agent = |id: AgentId| Filter { agent_id: Some(id.to_string()), ..Filter::default() };
    assert_eq!(pages(&stage, agent(agent_id(0)), 2).await, [vec![6, 4], vec![2]]);
    assert_eq!(pages(&stage, agent(agent_id(1)), 2).await, [Vec::<i64>::new()]);
    let model = Filter { model: Some("other".to_owned()), ..Filter::default() };
    assert_eq!(pages(&stage, model, 9).await, [[6, 5]]);
    let failed = Filter { status: Some(Status::Failed), ..Filter::default() };
    assert_eq!(pages(&stage, failed, 9).await, [[3]]);
    let run = Filter { run_id: Some("r".to_owned()), ..Filter::default() };
    assert_eq!(pages(&stage, run, 9).await, [Vec::<i64>::new()]);
    let none = Filter { from_ms: Some(NOON_MS), ..Filter::default() };
    // Ids of this stage are far older than their tasks, which no gateway makes.
    assert_eq!(pages(&stage, none, 9).await, [Vec::<i64>::new()]);
}

#[tokio::test]
async fn a_filtered_page_looks_at_so_many_rows_and_no_more() {
    let stage = Stage::with_accounts(1, 1_000_000).await;
    let most = i64::from(list::SCAN_MAX);
    let rare = TaskId::new(NOON_MS, [0; 10]);
    stage
        .write(move |tx| {
            for n in 0..=most {
                let id = TaskId::new(NOON_MS + n * 8, [0; 10]);
                let run = (n == 0).then_some("rare");
                tx.exec(
                    "INSERT INTO tasks (account_id, id, agent_id, key_id, request_id, fingerprint, usage_id, \
                     model, product, mode, provider, vendor_model, price_version, unit_price, count, held, \
                     budget_charges, run_id, status, step, created_at, deadline_at, due_at) VALUES ($1, $2, \
                     '', 'k', $2, '', 'u', 'm', 'image', 'test', 'sandbox', 'v', 'p', 1, 1, 0, '', $3, \
                     'failed', 'queued', $4, 0, 0)",
                    &[
                        account_id(0).as_str().into(),
                        id.as_str().into(),
                        run.into(),
                        (NOON_MS + n * 8).into(),
                    ],
                )?;
            }
            Ok(())
        })
        .await;
    let mut filter = Filter { run_id: Some("rare".to_owned()), ..Filter::default() };
    let asked = filter.clone();
    let first = stage.read(move |tx| list::tasks(tx, &account_id(0), &asked, 10)).await;
    assert!(first.rows.is_empty());
    // The place is the beginning of some milliseconds, and no task's id but by chance.
    let next = first.next_before.unwrap();
    assert_eq!(&next.as_str()[14..], "0".repeat(17));
    filter.before = Some(next);
    let second = stage.read(move |tx| list::tasks(tx, &account_id(0), &filter, 10)).await;
    assert_eq!(second.rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), [rare]);
    assert_eq!(second.next_before, None);
}

#[tokio::test]
async fn a_usage_event_is_found_by_its_id() {
    let stage = Stage::with_accounts(2, 100).await;
    let mut new = new_accept(0, 1, 7, 2);
    (new.task.id, new.task.usage_id) = (TaskId::new(9, [1; 10]), UsageId::new(9, [2; 10]));
    stage.submit(Command::Accept(Box::new(new))).await;
    let find = async |account: u8, agent: Option<u8>, id: UsageId| {
        let agent = agent.map(|n| agent_id(n).to_string());
        stage.read(move |tx| usage::event(tx, &account_id(account), agent.as_deref(), &id)).await
    };
    let found = find(0, None, UsageId::new(9, [2; 10])).await.unwrap();
    assert_eq!((found.task_id, found.held.0, found.count), (TaskId::new(9, [1; 10]), 14, 2));
    assert!(find(0, Some(0), UsageId::new(9, [2; 10])).await.is_some());
    assert!(find(0, Some(1), UsageId::new(9, [2; 10])).await.is_none());
    assert!(find(1, None, UsageId::new(9, [2; 10])).await.is_none());
    assert!(find(0, None, UsageId::new(9, [3; 10])).await.is_none());
    assert!(find(0, None, UsageId::new(800, [2; 10])).await.is_none());
}

#[tokio::test]
async fn the_lines_of_a_task_are_found_among_many() {
    let stage = Stage::with_accounts(1, 10_000).await;
    for id in 1..=400 {
        stage.submit_at(NOON_MS + id * 10, accept(0, id, 1, 1)).await;
    }
    let ended = stage.submit_at(NOON_MS + 9000, release(0, 150, Guard::NotSubmitted, None)).await;
    assert_eq!(ended, settled(0, 1));
    let lines = |enough: fn(&[LineRow]) -> bool| {
        stage.read(move |tx| {
            let row = usage::event(tx, &account_id(0), None, &UsageId::new(150, [0; 10]))?.unwrap();
            usage::lines(tx, &account_id(0), &row, enough)
        })
    };
    let shown = |lines: Vec<LineRow>| -> Vec<_> {
        lines.iter().map(|line| (line.sequence, line.kind, line.amount.0, line.at_ms - NOON_MS)).collect()
    };
    let expected = [(151, EntryKind::Hold, 1, 1500), (402, EntryKind::Release, 1, 9000)];
    assert_eq!(shown(lines(|lines| lines.len() == 2).await), expected);
    assert_eq!(shown(lines(|_| false).await), expected);
}

#[tokio::test]
async fn the_head_of_a_queue_is_in_the_order_of_claims() {
    let stage = Stage::with_accounts(2, 100).await;
    for id in [3, 1, 2] {
        stage.submit_at(NOON_MS + id, accept(0, id, 1, 1)).await;
    }
    let head = async |account: u8, most: u32| {
        let queue::Head { ids, is_all } =
            stage.read(move |tx| queue::head(tx, &account_id(account), "sandbox", most)).await;
        (ids, is_all)
    };
    assert_eq!(head(0, 4).await, (vec![task_id(1), task_id(2), task_id(3)], true));
    assert_eq!(head(0, 2).await, (vec![task_id(1), task_id(2)], false));
    assert_eq!(head(1, 2).await, (vec![], true));
    let claimed = stage.claim(crate::stage::claim_at(NOON_MS + 5, 1, 100)).await;
    assert_eq!(claimed.tasks[0].id, task_id(1));
    assert_eq!(head(0, 4).await, (vec![task_id(2), task_id(3)], true));
}
