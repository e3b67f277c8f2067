//! Binding by a code that somebody types: what is shown is what is bound, and guesses lead nowhere.
//!
//! Invariant: no answer tells a wrong code from an expired, a used or a foreign one. Not here: registration
//! (`identity`), the page (`console`).

use crate::support::{Agent, SECOND, Signer, TestApp, agent::text};
use rynjer_core::{
    id::{AccountId, AgentId, OwnerId},
    scope::{Scope, Scopes},
};
use rynjer_server::app::{
    Error,
    actor::{Actor, Reach},
    admin::Admin,
    bind::{Confirmed, Granted, Shown},
};
use rynjer_store::{StoreError, owner};
use serde_json::Value;
use std::time::Duration;
use tokio::task::JoinSet;

/// A signed-in owner of one account.
async fn owner_of(app: &TestApp, n: u8, account: &AccountId) -> Admin {
    let id = OwnerId::new(app.now_ms(), [n; 10]);
    let (row, owned) = (id.clone(), account.clone());
    let now_ms = app.now_ms();
    let write = app.admin().store.write(move |tx| {
        owner::create(tx, &row, &format!("{n}@example.com"), "owner", None, now_ms)?;
        owner::take_account(tx, &row, &owned)
    });
    let written: Result<(), StoreError> = write.await;
    written.expect("an owner");
    let mut admin = app.admin().clone();
    admin.by = Actor::Owner { id, operator: false, address: None };
    admin.reach = Reach::Account(account.clone());
    admin
}

/// Registers the agent of that key and tells what it got.
async fn registered(app: &TestApp, seed: u8) -> Value {
    let signer = Signer::at(seed, app.now_s());
    app.anonymous().post("/api/v1/agents/register", &signer.registration()).await.ok()
}

fn confirmed(code: &str, shown: &Shown) -> Confirmed {
    let fingerprint = shown.fingerprint.clone();
    Confirmed { code: code.to_owned(), agent: shown.agent.id.clone(), fingerprint }
}

fn granted(account: &AccountId) -> Granted {
    Granted { account: account.clone(), scopes: Scopes::ALL, limit: None }
}

fn refused<T>(result: Result<T, Error>) -> Error {
    result.err().expect("a refusal")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_code_that_people_type_binds_once() {
    let app = TestApp::sqlite().await;
    let owner = owner_of(&app, 1, &app.account).await;
    let data = registered(&app, 40).await;
    let code = text(&data, "user_code");
    let typed = format!(" {} ", code.replace('-', "").to_lowercase());
    let shown = owner.agent_find(&typed).await.expect("the agent");
    assert_eq!(
        (shown.agent.id.as_str(), shown.agent.name.as_str(), shown.agent.version.as_str()),
        (text(&data, "agent_id").as_str(), "Demo Agent", "0.1.0")
    );
    assert_eq!((shown.agent.account_id.as_ref(), shown.moltbook_id.as_deref()), (None, None));
    // As `printf KEY | xxd -r -p | sha256sum` says.
    assert_eq!(shown.fingerprint, "4bd5 ff18 f53e aaad 39fa 12bc db89 a9bd");
    let bound = owner.agent_confirm(&confirmed(&code, &shown), &granted(&app.account)).await.expect("bound");
    assert_eq!(bound.account_id.as_ref(), Some(&app.account));
    assert_eq!(refused(owner.agent_find(&code).await), Error::RegistrationCodeInvalid);
    // The other code stays the agent's proof, and shows its own owner the agent that is bound.
    let again = owner.agent_find(&text(&data, "registration_code")).await.expect("the agent");
    assert_eq!(again.agent.account_id.as_ref(), Some(&app.account));
    let lines = owner.audit_lines(Some(&app.account), None, 50).await.expect("lines");
    let by_owner: Vec<_> = lines.iter().filter(|line| line.actor_kind == "owner").collect();
    assert_eq!(by_owner.len(), 1);
    assert_eq!(
        (by_owner[0].action.as_str(), &by_owner[0].subject_id),
        ("agent.bound", &text(&data, "agent_id"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_dead_codes_look_the_same() {
    let app = TestApp::sqlite().await;
    let owner = owner_of(&app, 1, &app.account).await;
    let stranger = owner_of(&app, 2, &app.other).await;
    let invalid = Error::RegistrationCodeInvalid;
    let of_stranger = registered(&app, 41).await;
    let (code, long) = (text(&of_stranger, "user_code"), text(&of_stranger, "registration_code"));
    let shown = stranger.agent_find(&code).await.expect("the agent");
    stranger.agent_confirm(&confirmed(&code, &shown), &granted(&app.other)).await.expect("bound");
    // Used, and foreign.
    assert_eq!(refused(owner.agent_find(&code).await), invalid);
    assert_eq!(refused(owner.agent_find(&long).await), invalid);
    // Replaced.
    let first = registered(&app, 42).await;
    registered(&app, 42).await;
    assert_eq!(refused(owner.agent_find(&text(&first, "user_code")).await), invalid);
    // No code at all costs no try.
    for text in ["", "AAAA-AAAA", "BCDF-GHJ", "ryn_reg_nonsense", "$CODE"] {
        assert_eq!(refused(owner.agent_find(text).await), invalid, "{text}");
    }
    // Expired: a code for human eyes after ten minutes, the long one after a day.
    let late = registered(&app, 43).await;
    app.advance(Duration::from_secs(600));
    assert_eq!(refused(owner.agent_find(&text(&late, "user_code")).await), invalid);
    owner.agent_find(&text(&late, "registration_code")).await.expect("the agent");
    // A revoked agent's.
    let gone = registered(&app, 44).await;
    let id = AgentId::parse(&text(&gone, "agent_id")).expect("an id");
    app.admin().agent_revoke(&id).await.expect("revoked");
    assert_eq!(refused(owner.agent_find(&text(&gone, "user_code")).await), invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_wrong_tries_in_ten_minutes() {
    let app = TestApp::sqlite().await;
    let (owner, other) = (owner_of(&app, 1, &app.account).await, owner_of(&app, 2, &app.other).await);
    let code = text(&registered(&app, 50).await, "user_code");
    let mut tries = JoinSet::new();
    for letter in "BCDFGHJKLMNPQRSTVWXZ".chars() {
        let (owner, guess) = (owner.clone(), format!("{letter}BBB-BBBB"));
        tries.spawn(async move { refused(owner.agent_find(&guess).await) });
    }
    let answers = tries.join_all().await;
    let count = |error: &Error| answers.iter().filter(|answer| *answer == error).count();
    assert_eq!(
        (count(&Error::RegistrationCodeInvalid), count(&Error::TooManyGuesses { wait_s: 600 })),
        (5, 15)
    );
    // Now the right one is refused as well, at both steps; other owners type undisturbed.
    assert_eq!(refused(owner.agent_find(&code).await), Error::TooManyGuesses { wait_s: 600 });
    let shown = other.agent_find(&code).await.expect("the agent");
    let sent = confirmed(&code, &shown);
    let answer = owner.agent_confirm(&sent, &granted(&app.account)).await;
    assert_eq!(refused(answer), Error::TooManyGuesses { wait_s: 600 });
    app.advance(Duration::from_secs(599));
    assert_eq!(refused(owner.agent_find("BBBB-BBBB").await), Error::TooManyGuesses { wait_s: 1 });
    app.advance(SECOND);
    assert_eq!(refused(owner.agent_find("BBBB-BBBB").await), Error::RegistrationCodeInvalid);
    // Right ones are no tries, and win no new ones.
    for seed in 51..58 {
        let code = text(&registered(&app, seed).await, "user_code");
        owner.agent_find(&code).await.expect("the agent");
    }
    for _ in 0..4 {
        assert_eq!(refused(owner.agent_find("CCCC-CCCC").await), Error::RegistrationCodeInvalid);
    }
    assert_eq!(refused(owner.agent_find("CCCC-CCCC").await), Error::TooManyGuesses { wait_s: 600 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_shown_is_what_is_bound() {
    let app = TestApp::sqlite().await;
    let owner = owner_of(&app, 1, &app.account).await;
    let (mine, theirs) = (registered(&app, 60).await, registered(&app, 61).await);
    let (code, other_code) = (text(&mine, "user_code"), text(&theirs, "user_code"));
    let shown = owner.agent_find(&code).await.expect("the agent");
    let honest = confirmed(&code, &shown);
    // A code of another agent under what was shown, another agent or key under the code.
    let wrong = [
        Confirmed { code: other_code.clone(), ..honest.clone() },
        Confirmed { agent: AgentId::parse(&text(&theirs, "agent_id")).expect("an id"), ..honest.clone() },
        Confirmed { fingerprint: "0000 0000 0000 0000 0000 0000 0000 0000".into(), ..honest.clone() },
        Confirmed { fingerprint: String::new(), ..honest.clone() },
    ];
    for sent in &wrong {
        let answer = owner.agent_confirm(sent, &granted(&app.account)).await;
        assert_eq!(refused(answer), Error::RegistrationCodeInvalid);
    }
    for seed in [60, 61] {
        let id = text(if seed == 60 { &mine } else { &theirs }, "agent_id");
        let row = app.admin().agent_list(None).await.expect("agents");
        let row = row.iter().find(|agent| agent.id.as_str() == id).expect("the agent");
        assert_eq!((row.account_id.as_ref(), row.scopes.as_str()), (None, ""));
    }
    // Nobody binds for an account that is not theirs.
    let answer = owner.agent_confirm(&honest, &granted(&app.other)).await;
    assert_eq!(refused(answer), Error::NotFound);
    // The agent asks for a fresh code, perhaps under another name, while the page is open.
    let fresh = registered(&app, 60).await;
    let answer = owner.agent_confirm(&honest, &granted(&app.account)).await;
    assert_eq!(refused(answer), Error::RegistrationCodeInvalid);
    app.advance(Duration::from_secs(600));
    let code = text(&fresh, "registration_code");
    let shown = owner.agent_find(&code).await.expect("the agent");
    let image = [Scope::Image].into_iter().collect();
    let narrow = Granted { scopes: image, ..granted(&app.account) };
    let bound = owner.agent_confirm(&confirmed(&code, &shown), &narrow).await.expect("bound");
    assert_eq!((bound.id.as_str(), bound.scopes.as_str()), (text(&fresh, "agent_id").as_str(), "image"));
}

/// Transfer and unbinding end every code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_die_with_the_bond() {
    let app = TestApp::sqlite().await;
    let (owner, other) = (owner_of(&app, 1, &app.account).await, owner_of(&app, 2, &app.other).await);
    let agent = Agent::ready(&app.anonymous(), app.admin(), &app.account, Signer::new(70)).await;
    let id = AgentId::parse(&agent.id).expect("an id");
    let fresh = registered(&app, 70).await;
    let codes = [text(&fresh, "user_code"), text(&fresh, "registration_code")];
    for code in &codes {
        assert_eq!(owner.agent_find(code).await.expect("the agent").agent.id, id);
    }
    app.admin().agent_transfer(&id, &app.other).await.expect("transferred");
    for code in &codes {
        assert_eq!(refused(owner.agent_find(code).await), Error::RegistrationCodeInvalid);
        assert_eq!(refused(other.agent_find(code).await), Error::RegistrationCodeInvalid);
    }
    let fresh = registered(&app, 70).await;
    app.admin().agent_unbind(&id).await.expect("unbound");
    for code in [text(&fresh, "user_code"), text(&fresh, "registration_code")] {
        assert_eq!(refused(owner.agent_find(&code).await), Error::RegistrationCodeInvalid);
    }
    // It finds its way back by a code that it asks for itself.
    let code = text(&registered(&app, 70).await, "user_code");
    let shown = owner.agent_find(&code).await.expect("the agent");
    let bound = owner.agent_confirm(&confirmed(&code, &shown), &granted(&app.account)).await.expect("bound");
    assert_eq!(bound.account_id.as_ref(), Some(&app.account));
}
