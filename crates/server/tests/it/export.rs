//! Everything of an account in one archive.
//!
//! Invariant: what the API told of a task is in it to the byte, and nothing secret or of others. Not here:
//! the archive's form (`server/src/tar.rs`).

use crate::support::{CREDITS, TestApp, agent::text, png::png, shop::Shop, upload::upload};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
    scope::Scopes,
};
use rynjer_server::{app::Error, config::Config};
use rynjer_store::StoreError;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{path::Path, process::Command, time::Duration};

async fn exported(app: &TestApp, file: &Path) -> Result<rynjer_server::app::export::Exported, Error> {
    let defaults = Config::load(None, std::iter::empty(), toml::Table::new()).expect("the defaults").config;
    app.admin().account_export(&app.account, (&defaults.storage, app.data_dir()), file).await
}

/// Unpacked by the system's own tar.
fn unpacked(file: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let ran = Command::new("tar").arg("-xf").arg(file).arg("-C").arg(folder.path()).status();
    assert!(ran.expect("tar runs").success());
    folder
}

fn lines(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(name)).expect(name);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn value(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).expect(name)).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_holds_everything_of_the_account_alone() {
    let app = TestApp::sqlite().await;
    let (agent, admin) = (app.agent_key(), app.admin());
    let day = admin.budget_set(&app.account, Subject::Agent, &app.agent.id, Period::Day, Credits(500)).await;
    day.expect("a budget");
    agent.picture("e-1", "[[instant]] a =fox in the snow").await;
    let task = agent.finish("e-1").await;
    // Ids of one millisecond are in no order.
    app.advance(Duration::from_millis(1));
    agent.picture("e-2", "[[fail]]").await;
    agent.finish("e-2").await;
    app.other_account().picture("e-3", "[[instant]] somebody else's").await;
    let file = app.data_dir().join("account.tar");
    let told = exported(&app, &file).await.expect("exported");
    assert_eq!((told.tasks, told.entries, told.files, told.missing.len()), (2, 5, 1, 0));
    assert!(!file.with_extension("tar.part").exists());

    let folder = unpacked(&file);
    let folder = folder.path();
    let account = value(folder, "account.json");
    assert_eq!(
        (&account["account_id"], &account["available"]),
        (&json!(app.account.as_str()), &json!(CREDITS - 8))
    );
    assert_eq!(value(folder, "agents.json")[0]["agent_id"], app.agent.id);
    assert_eq!(value(folder, "keys.json").as_array().map(Vec::len), Some(2));
    assert_eq!(value(folder, "budgets.json")[0]["limit"], 500);
    assert_eq!(value(folder, "policies.json"), json!([]));
    let tasks = lines(folder, "tasks.jsonl");
    assert_eq!(tasks[0]["request"]["prompt"], "[[instant]] a =fox in the snow");
    assert_eq!((&tasks[0]["charged"], &tasks[1]["status"]), (&json!(8), &json!("failed")));
    let output = &tasks[0]["outputs"][0];
    assert_eq!(output["file"], format!("files/{}/0.png", text(&task, "task_id")));
    let bytes = std::fs::read(folder.join(text(output, "file"))).expect("the picture");
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes));
    assert_eq!(
        (json!(digest), json!(bytes.len())),
        (task["outputs"][0]["sha256"].clone(), output["bytes"].clone())
    );
    let ledger = lines(folder, "ledger.jsonl");
    let kinds: Vec<_> = ledger.iter().map(|entry| text(entry, "kind")).collect();
    assert_eq!(kinds, ["grant", "hold", "capture", "hold", "release"]);
    assert!(ledger.iter().all(|entry| text(entry, "hash").len() == 64));
    let usage = std::fs::read_to_string(folder.join("usage.csv")).expect("usage.csv");
    assert_eq!((usage.lines().count(), usage.starts_with("usage_event_id,")), (3, true));
    let actions: Vec<_> = lines(folder, "audit.jsonl").iter().map(|line| text(line, "action")).collect();
    assert!(actions.contains(&"budget.set".to_owned()), "{actions:?}");

    let whole = String::from_utf8_lossy(&std::fs::read(&file).expect("the archive")).into_owned();
    for secret in [&app.agent.api_key, &app.agent.access_token, &app.agent.refresh_token] {
        assert!(!whole.contains(secret.as_str()));
    }
    assert!(!whole.contains("somebody else's") && !whole.contains(app.other.as_str()));
    let lines = admin.audit_lines(Some(&app.account), None, 100).await.expect("lines");
    assert!(lines.iter().any(|line| line.action == "account.exported"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_there_is_not_written_over_and_a_lost_one_is_named() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    agent.picture("e-1", "[[instant]]").await;
    let task = agent.finish("e-1").await;
    let file = app.data_dir().join("account.tar");
    std::fs::write(&file, "mine").expect("a file");
    let refused = exported(&app, &file).await.expect_err("refused");
    assert!(matches!(&refused, Error::Invalid(fields) if fields[0].field == "out"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "mine");
    std::fs::remove_file(&file).expect("removed");
    for lost in crate::support::files_below(&app.data_dir().join("outputs")) {
        std::fs::remove_file(lost).expect("removed");
    }
    let told = exported(&app, &file).await.expect("exported");
    assert_eq!((told.files, told.missing), (0, vec![format!("files/{}/0.png", text(&task, "task_id"))]));
    unpacked(&file);
}

/// What was bought, what went back, news and uploads; and not where the operator's people sit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_holds_purchases_news_and_uploads() {
    let mut shop = Shop::open().await;
    let payment = shop.bought("1000=999").await;
    let refund = shop.stripe.refund(&payment, 333, "succeeded");
    shop.tell("evt_refund", "refund.created", &refund).await.ok_empty();
    let (app, account) = (&shop.app, shop.account.clone());
    let admin = app.admin();
    let key = admin.key_create(&account, Scopes::ALL, "ci").await.expect("a key").1;
    let caller = app.bearer(key.expose());
    let picture = png(4, 4, 1);
    let file_id = text(&upload(&caller, &picture).await.ok(), "file_id");
    let id = account.to_string();
    let write = admin.store.write(move |tx| {
        let sql = "INSERT INTO notices (account_id, id, at, kind, once, detail) \
                   VALUES ($1, 'ntc_1', 1742291400000, 'budget.threshold', 'x', '{\"percent\":50}')";
        tx.exec(sql, &[(&id).into()])
    });
    let written: Result<u64, StoreError> = write.await;
    written.expect("a notice");
    // Somebody of the operator's, from their own place.
    let mut operator = app.invited("operator@example.com", true).await;
    let path = format!("/operator/accounts/{account}");
    operator.get(&path).await;
    let page = operator.submit(&format!("{path}/freeze"), &[("reason", "a look")]).await;
    assert_eq!(page.status, 303, "{}", page.text());

    let file = app.data_dir().join("account.tar");
    let defaults = Config::load(None, std::iter::empty(), toml::Table::new()).expect("the defaults").config;
    let told = admin.account_export(&account, (&defaults.storage, app.data_dir()), &file).await;
    let told = told.expect("exported");
    assert_eq!((told.files, told.uploads, told.missing.len()), (1, 1, 0));
    let folder = unpacked(&file);
    let folder = folder.path();
    let bought = lines(folder, "purchases.jsonl");
    assert_eq!(bought.len(), 1);
    assert_eq!(
        (&bought[0]["payment_id"], &bought[0]["amount_minor"], &bought[0]["credits_taken_back"]),
        (&json!(payment), &json!(999), &json!(333))
    );
    let reversal = json!({
        "reversal_id": refund["id"], "kind": "refund", "amount_minor": 333, "standing": "gone",
    });
    assert_eq!(bought[0]["reversals"], json!([reversal]));
    let news = lines(folder, "notices.jsonl");
    assert_eq!((&news[0]["kind"], &news[0]["detail"]["percent"]), (&json!("budget.threshold"), &json!(50)));
    let uploads = lines(folder, "uploads.jsonl");
    assert_eq!((uploads.len(), &uploads[0]["file_id"]), (1, &json!(file_id)));
    let bytes = std::fs::read(folder.join(text(&uploads[0], "file"))).expect("the upload");
    assert_eq!(json!(data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes))), uploads[0]["sha256"]);
    let trail = lines(folder, "audit.jsonl");
    let of = |action: &str| trail.iter().find(|line| line["action"] == action).expect("a line");
    assert_eq!(
        (&of("account.frozen")["actor"], &of("account.frozen")["address"]),
        (&json!("operator"), &Value::Null)
    );
    assert_eq!(&of("topup.started")["actor"], &json!("owner"));
    assert!(of("topup.started")["address"].is_string());
    shop.owner.get("/audit").await.shows("froze this account: a look");
}
