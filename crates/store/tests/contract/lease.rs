//! The queue: fairness between accounts, fencing, deaths, suspects and hand-backs.
//!
//! Invariant: a write with an older fence changes nothing, and only deaths in active steps count. Not here:
//! money.

use crate::stage::{
    LEASE_MS, NOON_MS, Stage, accept, account_id, capture, claim_at, new_accept, release, settled, task_id,
};
use rynjer_core::{
    ledger::{Command, Guard, Outcome},
    task::{Status, Step},
};
use rynjer_store::{
    attempt,
    lease::{self, Claim, Holder, Leased},
};
use std::collections::BTreeMap;

const LATER_MS: i64 = NOON_MS + LEASE_MS;

async fn with_task() -> Stage {
    let stage = Stage::with_accounts(1, 1_000).await;
    stage.submit(accept(0, 1, 1, 1)).await;
    stage
}

async fn take(stage: &Stage, now_ms: i64, attempt: i64) -> Leased {
    let mut tasks = stage.claim(claim_at(now_ms, 1, attempt)).await.tasks;
    assert_eq!(tasks.len(), 1, "one task is due");
    tasks.remove(0)
}

async fn submitted(stage: &Stage, leased: &Leased, poll_at_ms: i64) -> bool {
    let (holder, attempt) = (leased.holder(), leased.attempt);
    stage.write(move |tx| lease::submitted(tx, &holder, attempt, "job", poll_at_ms)).await
}

async fn storing(stage: &Stage, leased: &Leased, due_at_ms: i64) -> bool {
    let holder = leased.holder();
    stage.write(move |tx| lease::storing(tx, &holder, due_at_ms)).await
}

/// Back to the queue, to wait for an hour.
fn wait(attempt: i64, due_at_ms: i64, now_ms: i64) -> lease::Wait {
    lease::Wait { attempt, due_at_ms, until_ms: now_ms + 3_600_000, now_ms }
}

#[tokio::test]
async fn one_task_beside_ten_thousand_is_in_the_next_claim() {
    let stage = Stage::with_accounts(3, 100_000).await;
    for chunk in 0..20 {
        let many = (0..500).map(|n| accept(1, chunk * 500 + n, 1, 1)).collect();
        let answers = crate::stage::all_at_once(&stage.store, many).await;
        assert!(answers.iter().all(Result::is_ok));
    }
    for (n, id) in [(0, 20_000), (2, 20_002)] {
        stage.submit(accept(n, id, 1, 1)).await;
    }
    let claimed = stage.claim(claim_at(NOON_MS, 9, 1)).await;
    let mut shares: BTreeMap<String, usize> = BTreeMap::new();
    for task in &claimed.tasks {
        *shares.entry(task.account.to_string()).or_default() += 1;
    }
    // What the small accounts leave of their share goes to the big one.
    let expected = [(0, 1), (1, 7), (2, 1)].map(|(n, share)| (account_id(n).to_string(), share));
    assert_eq!(shares, BTreeMap::from(expected));
    let ids: std::collections::BTreeSet<_> = claimed.tasks.iter().map(|t| t.id.to_string()).collect();
    assert_eq!(ids.len(), 9, "no task twice");
}

#[tokio::test]
async fn claims_of_one_go_round_the_accounts() {
    let stage = Stage::with_accounts(3, 1_000).await;
    for n in 0..3u8 {
        for id in 0..4 {
            stage.submit(accept(n, i64::from(n) * 10 + id, 1, 1)).await;
        }
    }
    let mut after = String::new();
    let mut order = Vec::new();
    for round in 0..6 {
        let claim = Claim { after_account: after, ..claim_at(NOON_MS, 1, round) };
        let claimed = stage.claim(claim).await;
        order.push(claimed.tasks[0].account.clone());
        after = claimed.last_account;
    }
    assert_eq!(order, [0, 1, 2, 0, 1, 2].map(account_id));
}

#[tokio::test]
async fn a_claimed_task_is_not_claimed_again_before_its_lease_ends() {
    let stage = with_task().await;
    let leased = take(&stage, NOON_MS, 1).await;
    assert_eq!((leased.fence, leased.step, leased.attempt), (1, Step::Queued, 1));
    assert!(!leased.lease_lost && !leased.alone && !leased.poisoned);
    assert_eq!(stage.task(0, 1).await.status, Status::Processing);
    assert!(stage.claim(claim_at(LATER_MS - 1, 5, 2)).await.tasks.is_empty());
    let holder = leased.holder();
    let lost = stage.write(move |tx| lease::beat(tx, &[(holder.clone(), Some(250))], LATER_MS + 7)).await;
    assert_eq!(lost, []);
    assert_eq!(stage.task(0, 1).await.progress_permille, Some(250));
    assert!(stage.claim(claim_at(LATER_MS + 6, 5, 2)).await.tasks.is_empty());
    let again = take(&stage, LATER_MS + 7, 2).await;
    assert_eq!((again.fence, again.step, again.attempt), (2, Step::Submitting, 1));
    assert_eq!((again.attempt_id, again.lease_lost, again.deaths), (leased.attempt_id, true, 1));
}

#[tokio::test]
async fn a_stale_fence_changes_nothing() {
    let stage = with_task().await;
    let old = take(&stage, NOON_MS, 1).await;
    let new = take(&stage, LATER_MS, 2).await;
    let row = "SELECT account_id, id, step, status, due_at, fence, tries, lease_owner, provider_task_id, \
               progress_permille FROM tasks";
    let before = stage.read(move |tx| tx.all(row, &[])).await;
    let attempts = stage.read(|tx| tx.all("SELECT * FROM attempts", &[])).await;
    let holder = old.holder();
    let writes = stage
        .write(move |tx| {
            let h = &holder;
            Ok([
                lease::submitted(tx, h, 1, "job", 5)?,
                lease::poll_later(tx, h, 5, Some(1))?,
                lease::retry_later(tx, h, 5)?,
                lease::requeue(tx, h, &wait(1, 5, 5), "no")?,
                lease::await_late_answer(tx, h, 1, 5, 5)?,
                lease::storing(tx, h, 5)?,
                lease::hand_back(tx, h, 5)?,
                lease::beat(tx, &[(h.clone(), Some(1))], 5)?.is_empty(),
            ])
        })
        .await;
    assert_eq!(writes, [false; 8]);
    let stale = Outcome::Stale { status: Status::Processing };
    assert_eq!(stage.submit(capture(0, 1, old.fence, 1)).await, stale);
    assert_eq!(stage.submit(release(0, 1, Guard::Fence(old.fence), Some(1))).await, stale);
    assert_eq!(stage.submit(release(0, 1, Guard::NotSubmitted, None)).await, stale);
    assert_eq!(stage.read(move |tx| tx.all(row, &[])).await, before);
    assert_eq!(stage.read(|tx| tx.all("SELECT * FROM attempts", &[])).await, attempts);
    assert_eq!(stage.submit(capture(0, 1, new.fence, 1)).await, settled(1, 0));
    // A finished task is nobody's.
    assert!(!submitted(&stage, &new, 5).await);
    assert!(stage.claim(claim_at(NOON_MS * 2, 5, 9)).await.tasks.is_empty());
    stage.assert_clean().await;
}

#[tokio::test]
async fn only_deaths_in_active_steps_count() {
    let stage = with_task().await;
    let first = take(&stage, NOON_MS, 1).await;
    assert!(submitted(&stage, &first, NOON_MS + 1).await);
    // Lost while polling, five times: a long job must survive many restarts.
    let mut now_ms = NOON_MS + 1;
    for round in 0..5 {
        let polling = take(&stage, now_ms, 10 + round).await;
        assert_eq!((polling.step, polling.lease_lost, polling.deaths), (Step::Submitted, round > 0, 0));
        now_ms += LEASE_MS;
    }
    let polling = take(&stage, now_ms, 20).await;
    assert!(storing(&stage, &polling, now_ms + LEASE_MS).await);
    let stored = take(&stage, now_ms + LEASE_MS, 21).await;
    assert_eq!((stored.step, stored.lease_lost, stored.deaths), (Step::Storing, true, 1));
    assert_eq!(stored.provider_task_id.as_deref(), Some("job"));
}

#[tokio::test]
async fn what_comes_before_a_submit_is_no_active_step() {
    let stage = with_task().await;
    let before = |leased: &Leased| {
        let holder = leased.holder();
        stage.write(move |tx| lease::before_submit(tx, &holder))
    };
    let begin = |leased: &Leased| {
        let holder = leased.holder();
        stage.write(move |tx| lease::submitting(tx, &holder))
    };
    let first = take(&stage, NOON_MS, 1).await;
    assert!(before(&first).await);
    assert!(stage.claim(claim_at(LATER_MS - 1, 1, 2)).await.tasks.is_empty());
    let second = take(&stage, LATER_MS, 2).await;
    assert_eq!((second.step, second.deaths, second.attempt), (Step::Queued, 0, 2));
    assert_eq!((before(&first).await, begin(&first).await), (false, false));
    assert_eq!((before(&second).await, begin(&second).await), (true, true));
    let third = take(&stage, LATER_MS + LEASE_MS, 3).await;
    assert_eq!((third.step, third.deaths, third.attempt), (Step::Submitting, 1, 2));
    stage.submit(release(0, 1, Guard::Fence(third.fence), None)).await;
    stage.assert_clean().await;
}

#[tokio::test]
async fn handing_back_is_no_death() {
    let stage = with_task().await;
    for round in 1..=5 {
        let leased = take(&stage, NOON_MS, round).await;
        assert_eq!((leased.fence, leased.deaths, leased.lease_lost), (round, 0, false));
        let holder = leased.holder();
        assert!(stage.write(move |tx| lease::hand_back(tx, &holder, NOON_MS)).await);
    }
}

/// A beat on its way while the lease is given back must not put the next poll off.
#[tokio::test]
async fn a_late_beat_does_not_move_the_next_poll() {
    let stage = with_task().await;
    let leased = take(&stage, NOON_MS, 1).await;
    assert!(submitted(&stage, &leased, NOON_MS + 100).await);
    let holder = leased.holder();
    stage.write(move |tx| lease::beat(tx, &[(holder.clone(), None)], LATER_MS)).await;
    assert_eq!(stage.read(|tx| lease::next_due_ms(tx, "sandbox")).await, Some(NOON_MS + 100));
}

#[tokio::test]
async fn after_two_deaths_a_task_runs_alone_and_a_third_poisons_it() {
    let stage = with_task().await;
    take(&stage, NOON_MS, 1).await;
    let once = take(&stage, LATER_MS, 2).await;
    assert_eq!((once.deaths, once.alone, once.poisoned), (1, false, false));
    stage.submit(accept(0, 2, 1, 1)).await;
    // The second death is known when its lease has ended: from here on it waits for an idle worker.
    let now_ms = LATER_MS + LEASE_MS;
    let busy = Claim { idle: false, after_account: "acc_x".into(), ..claim_at(now_ms, 5, 3) };
    let claimed = stage.claim(busy).await;
    assert_eq!((claimed.tasks.len(), claimed.suspect_waiting), (0, true));
    assert_eq!(claimed.last_account, "acc_x", "the turn of the accounts is kept");
    let claimed = stage.claim(claim_at(now_ms, 5, 4)).await;
    assert_eq!(claimed.tasks.len(), 1, "nothing runs beside it");
    let alone = &claimed.tasks[0];
    assert_eq!((alone.id.clone(), alone.deaths, alone.alone, alone.poisoned), (task_id(1), 2, true, false));
    // It is out of the way of others while its lease lasts.
    let beside = stage.claim(Claim { idle: false, ..claim_at(now_ms, 5, 5) }).await;
    assert_eq!((beside.tasks.len(), beside.suspect_waiting), (1, false));
    let poisoned = stage.claim(claim_at(now_ms + LEASE_MS, 5, 6)).await.tasks.remove(0);
    assert_eq!((poisoned.id, poisoned.deaths, poisoned.poisoned), (task_id(1), 3, true));
}

#[tokio::test]
async fn handing_back_while_alone_does_not_poison() {
    let stage = with_task().await;
    take(&stage, NOON_MS, 1).await;
    take(&stage, LATER_MS, 2).await;
    let alone = take(&stage, LATER_MS + LEASE_MS, 3).await;
    assert!(alone.alone);
    let holder = alone.holder();
    assert!(stage.write(move |tx| lease::hand_back(tx, &holder, NOON_MS)).await);
    let again = take(&stage, LATER_MS + LEASE_MS, 4).await;
    assert_eq!((again.deaths, again.alone, again.poisoned), (2, true, false));
    // Accepted upstream: it is no longer in an active step, and a death now does not count.
    assert!(submitted(&stage, &again, LATER_MS + LEASE_MS).await);
    let polling = take(&stage, LATER_MS + LEASE_MS, 5).await;
    let lost = take(&stage, LATER_MS + 2 * LEASE_MS, 6).await;
    assert_eq!((polling.deaths, lost.deaths, lost.poisoned), (2, 2, false));
}

#[tokio::test]
async fn a_restarted_process_takes_over_the_leases_of_its_dead_self() {
    let stage = with_task().await;
    stage.submit(accept(0, 2, 1, 1)).await;
    let first = take(&stage, NOON_MS, 1).await;
    let second = Claim { owner: "new".into(), ..claim_at(NOON_MS, 1, 2) };
    assert_eq!(stage.claim(second).await.tasks.len(), 1);
    let expired = stage.write(|tx| lease::expire_others(tx, "new", NOON_MS + 5)).await;
    assert_eq!(expired, 1);
    let taken = stage.claim(Claim { owner: "new".into(), ..claim_at(NOON_MS + 5, 5, 3) }).await.tasks;
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].id.clone(), taken[0].fence, taken[0].deaths), (first.id, 2, 1));
}

#[tokio::test]
async fn a_requeued_task_gets_a_new_attempt_and_may_be_canceled() {
    let stage = with_task().await;
    let first = take(&stage, NOON_MS, 1).await;
    let holder = first.holder();
    assert!(stage.write(move |tx| lease::requeue(tx, &holder, &wait(1, NOON_MS + 50, NOON_MS), "429")).await);
    assert!(stage.claim(claim_at(NOON_MS + 49, 1, 2)).await.tasks.is_empty());
    let second = take(&stage, NOON_MS + 50, 2).await;
    assert_eq!((second.step, second.attempt, second.tries), (Step::Queued, 2, 1));
    assert_ne!(second.attempt_id, first.attempt_id);
    let holder = second.holder();
    assert!(stage.write(move |tx| lease::requeue(tx, &holder, &wait(2, NOON_MS, NOON_MS), "429")).await);
    assert_eq!(stage.submit(release(0, 1, Guard::NotSubmitted, None)).await, settled(0, 1));
    let states = stage.read(|tx| tx.all("SELECT state, detail FROM attempts ORDER BY number", &[])).await;
    assert!(states.iter().all(|row| row.text(0).unwrap() == "refused" && row.text(1).unwrap() == "429"));
    assert_eq!(states.len(), 2);
}

/// Polls and files have tries of their own.
#[tokio::test]
async fn the_tries_of_a_submit_end_with_it() {
    let stage = with_task().await;
    let mut leased = take(&stage, NOON_MS, 1).await;
    for number in 1..=4 {
        let holder = leased.holder();
        assert!(stage.write(move |tx| lease::submitting(tx, &holder)).await);
        let holder = leased.holder();
        assert!(stage.write(move |tx| lease::retry_later(tx, &holder, NOON_MS)).await);
        leased = take(&stage, NOON_MS, number + 1).await;
        assert_eq!(leased.tries, number);
    }
    assert!(submitted(&stage, &leased, NOON_MS).await);
    assert_eq!(take(&stage, NOON_MS, 9).await.tries, 0);
}

/// One vendor job belongs to one attempt: the same id a second time is refused, whatever the worker believes.
#[tokio::test]
async fn a_provider_job_belongs_to_one_attempt() {
    let stage = Stage::with_accounts(1, 100).await;
    for id in [1, 2] {
        stage.submit(accept(0, id, 1, 1)).await;
    }
    let tasks = stage.claim(claim_at(NOON_MS, 2, 1)).await.tasks;
    assert!(submitted(&stage, &tasks[0], NOON_MS).await);
    let holder = tasks[1].holder();
    let twice = stage.store.write(move |tx| lease::submitted(tx, &holder, 1, "job", NOON_MS)).await;
    assert!(matches!(twice, Err(rynjer_store::StoreError::Constraint(_))), "{twice:?}");
    assert_eq!(stage.task(0, 2).await.step.as_str(), "submitting");
}

#[tokio::test]
async fn a_worker_gets_only_its_providers_tasks() {
    let stage = Stage::with_accounts(1, 100).await;
    let mut other = new_accept(0, 1, 1, 1);
    other.task.provider = "fal".into();
    stage.submit(Command::Accept(Box::new(other))).await;
    assert!(stage.claim(claim_at(NOON_MS, 5, 1)).await.tasks.is_empty());
    let claim = Claim { provider: "fal".into(), owner: "o'w\"ner".into(), ..claim_at(NOON_MS, 5, 1) };
    assert_eq!(stage.claim(claim).await.tasks.len(), 1);
    let unknown = Holder { account: account_id(0), id: task_id(9), fence: 1 };
    assert!(!stage.write(move |tx| lease::hand_back(tx, &unknown, 1)).await);
}

#[tokio::test]
async fn an_account_gets_no_more_than_its_room() {
    let stage = Stage::with_accounts(3, 1_000).await;
    for n in [1, 2] {
        for id in 1..=5 {
            stage.submit(accept(n, i64::from(n) * 10 + id, 1, 1)).await;
        }
    }
    let in_hand = std::collections::BTreeMap::from([(account_id(1).to_string(), 2)]);
    let claimed = stage.claim(Claim { in_hand, per_account_max: 3, ..claim_at(NOON_MS, 10, 1) }).await;
    let of = |n| claimed.tasks.iter().filter(|task| task.account == account_id(n)).count();
    assert_eq!((of(1), of(2)), (1, 3));
}

/// Of a job that is several upstream each is taken, also where another account asks with the same words.
#[tokio::test]
async fn a_job_that_is_one_of_several_is_nobody_elses() {
    let stage = with_task().await;
    let leased = take(&stage, NOON_MS, 1).await;
    let holder = leased.holder();
    assert!(stage.write(move |tx| lease::submitted(tx, &holder, 1, "a,-lost,b", NOON_MS)).await);
    let free = async |provider: &'static str, ids: &'static [&'static str], started_at_ms: i64| {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        stage.read(move |tx| attempt::first_free(tx, provider, &ids, started_at_ms)).await
    };
    let provider = "sandbox";
    for ids in [&["a"][..], &["b"], &["b", "a"], &["a,-lost,b"], &[]] {
        assert_eq!(free(provider, ids, NOON_MS + 60_000).await, None, "{ids:?}");
    }
    for (ids, first) in [(&["a", "c"][..], "c"), (&["ab"], "ab"), (&["lost"], "lost")] {
        assert_eq!(free(provider, ids, NOON_MS).await.as_deref(), Some(first));
    }
    assert_eq!(free("another", &["a"], NOON_MS).await.as_deref(), Some("a"));
}
