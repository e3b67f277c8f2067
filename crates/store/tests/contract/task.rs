//! Tasks as their owners read them.
//!
//! Invariant: what isn't the caller's does not exist. Not here: moving them.

use crate::stage::{Stage, accept, account_id, agent_id, new_accept, task_id};
use rynjer_core::ledger::Command;
use rynjer_store::{admin, task};

#[tokio::test]
async fn only_the_owner_sees_a_task() {
    let stage = Stage::with_accounts(2, 100).await;
    stage.submit(accept(0, 1, 1, 1)).await;
    let mut of_owner = new_accept(0, 2, 1, 1);
    of_owner.task.agent = None;
    stage.submit(Command::Accept(Box::new(of_owner))).await;
    let mine = agent_id(0).to_string();
    let seen = stage
        .read(move |tx| {
            let (zero, one, id) = (account_id(0), account_id(1), task_id(1));
            Ok([
                task::by_id(tx, &zero, None, &id)?.is_some(),
                task::by_id(tx, &zero, Some(&mine), &id)?.is_some(),
                task::by_request(tx, &zero, &mine, "r1")?.is_some(),
                task::by_request(tx, &zero, "", "r2")?.is_some(),
                admin::task(tx, &id)?.is_some(),
                task::by_id(tx, &zero, Some(agent_id(1).as_str()), &id)?.is_some(),
                task::by_id(tx, &zero, Some(""), &id)?.is_some(),
                task::by_id(tx, &one, None, &id)?.is_some(),
                task::by_request(tx, &zero, "", "r1")?.is_some(),
                task::by_request(tx, &one, &mine, "r1")?.is_some(),
                task::by_id(tx, &zero, Some(&mine), &task_id(2))?.is_some(),
            ])
        })
        .await;
    assert_eq!(seen, [true, true, true, true, true, false, false, false, false, false, false]);
    assert_eq!(stage.read(admin::queue_depth).await, (2, Some(crate::stage::NOON_MS)));
}
