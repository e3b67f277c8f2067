//! What only a server does: others in the way, connections that break, several processes at once.
//!
//! Invariant: whatever happens to a connection, a caller that is told of success finds it, and nothing is
//! done twice. Always on PostgreSQL, whatever the run is on. Not here: processes that die (scripts).

use crate::{
    database::{TestDatabase, on_server},
    stage::{NOON_MS, accept, accepted, account_id, grant, moved, settings_of, settled, task_id},
};
use rynjer_core::ledger::{Guard, Outcome};
use rynjer_store::{
    Settings, Store, StoreError, Tx, account, audit_account, audit_tasks, latest_schema, nonce,
};
use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::task::JoinSet;

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A database of its own on the server, and a process that lives on it.
struct House {
    store: Store,
    url: String,
    _database: TestDatabase,
}

fn settings(url: &str) -> Settings {
    let writer_id = format!("process{}x", STARTED.fetch_add(1, Ordering::SeqCst));
    Settings { writer_id, ..settings_of(url) }
}

impl House {
    async fn with_credits(credits: i64) -> Self {
        let database = TestDatabase::on_server();
        let url = database.url(Path::new(""));
        let store = Store::open(&settings(&url), NOON_MS).unwrap();
        let create = |tx: &mut dyn Tx| account::create(tx, &account_id(0), "o@example.com", "test", NOON_MS);
        store.write(create).await.unwrap();
        store.submit(NOON_MS, grant(0, credits, "first")).await.unwrap();
        Self { store, url, _database: database }
    }

    fn another(&self) -> Store {
        Store::open(&settings(&self.url), NOON_MS).unwrap()
    }

    /// The account's available and held credits, after an audit that finds nothing.
    async fn books(&self) -> (i64, i64) {
        let look = |tx: &mut dyn Tx| {
            let mut findings = audit_account(tx, &account_id(0))?;
            findings.extend(audit_tasks(tx, &account_id(0), NOON_MS)?);
            let books = account::get(tx, &account_id(0))?.unwrap().books;
            Ok::<_, StoreError>((findings, books.available.0, books.held.0))
        };
        let (findings, available, held) = self.store.read(look).await.unwrap();
        assert_eq!(findings, []);
        (available, held)
    }
}

/// Makes a part of all commits fail, as conflicts do, at the very end.
fn inject(house: &House, code: &str) {
    on_server(
        &house.url,
        format!(
            "CREATE FUNCTION unlucky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF random() < 0.3 THEN RAISE EXCEPTION 'injected' USING ERRCODE = '{code}'; END IF; \
             RETURN NULL; END $$; \
             CREATE CONSTRAINT TRIGGER unlucky AFTER INSERT OR UPDATE ON writer_batches \
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION unlucky();"
        ),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_at_commit_are_nobodys_business() {
    for code in ["40001", "40P01"] {
        let house = House::with_credits(100_000).await;
        inject(&house, code);
        let mut set = JoinSet::new();
        for id in 0..200i64 {
            let store = house.store.clone();
            set.spawn(async move {
                assert_eq!(store.submit(NOON_MS, accept(0, id, 8, 1)).await, Ok(accepted(8)));
                let unit = move |tx: &mut dyn Tx| nonce::spend(tx, "key", &id.to_string(), NOON_MS);
                assert_eq!(store.write(unit).await, Ok(true), "a unit that ran again met itself");
            });
        }
        while let Some(ended) = set.join_next().await {
            ended.unwrap();
        }
        assert_eq!(house.books().await, (100_000 - 1600, 1600));
    }
}

/// Two processes, one account: what one has decided, the other sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_one_account_to_the_last_credit() {
    let house = House::with_credits(100).await;
    let others = [house.store.clone(), house.another(), house.another()];
    let mut set = JoinSet::new();
    for id in 0..300i64 {
        let store = others[usize::try_from(id % 3).unwrap()].clone();
        // Each request comes at every process.
        set.spawn(async move { (id / 3, store.submit(NOON_MS, accept(0, id / 3, 8, 1)).await.unwrap()) });
    }
    let answers = set.join_all().await;
    let fresh = answers.iter().filter(|(_, outcome)| *outcome == accepted(8)).count();
    assert_eq!(fresh, 12, "twelve times eight are in a hundred");
    for (id, outcome) in &answers {
        match outcome {
            Outcome::Accepted { .. } | Outcome::Refused(_) => {}
            Outcome::Replayed { task, .. } => assert_eq!(*task, task_id(*id)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(house.books().await, (4, 96));
}

/// Connections are cut all the time, also between a COMMIT and its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_break_nothing_else() {
    let house = House::with_credits(100_000).await;
    let (url, mut cutting) = (house.url.clone(), JoinSet::new());
    cutting.spawn_blocking(move || {
        for _ in 0..40 {
            let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE \
                          datname = current_database() AND application_name = 'rynjer' AND random() < 0.5";
            on_server(&url, others.to_owned());
        }
    });
    let mut set = JoinSet::new();
    for worker in 0..8i64 {
        let store = house.store.clone();
        set.spawn(async move {
            for id in worker * 100..worker * 100 + 100 {
                loop {
                    match store.submit(NOON_MS, accept(0, id, 8, 1)).await {
                        Ok(Outcome::Accepted { .. } | Outcome::Replayed { .. }) => break,
                        Ok(other) => panic!("{other:?}"),
                        Err(error) => assert!(error.is_passing(), "{error:?}"),
                    }
                }
            }
        });
    }
    while let Some(ended) = set.join_next().await {
        ended.unwrap();
    }
    cutting.join_all().await;
    assert_eq!(house.books().await, (100_000 - 6400, 6400));
    let released = crate::stage::release(0, 1, Guard::NotSubmitted, None);
    assert_eq!(house.store.submit(NOON_MS, released).await, Ok(settled(0, 8)));
}

#[tokio::test]
async fn a_ring_is_heard_by_the_others_and_not_by_oneself() {
    let house = House::with_credits(1).await;
    let (heard, mut rings) = tokio::sync::mpsc::unbounded_channel();
    let (own, mut own_rings) = tokio::sync::mpsc::unbounded_channel();
    let other = house.another();
    other.on_ring(move |ring| heard.send(ring.to_owned()).unwrap()).unwrap();
    house.store.on_ring(move |ring| own.send(ring.to_owned()).unwrap()).unwrap();
    let ring = async {
        loop {
            // Until the other listens.
            house.store.ring(|| "task:1".to_owned());
            if let Ok(ring) = tokio::time::timeout(Duration::from_millis(50), rings.recv()).await {
                return ring.unwrap();
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), ring).await.unwrap(), "task:1");
    other.ring(|| "work".to_owned());
    let answer = tokio::time::timeout(Duration::from_secs(30), own_rings.recv()).await.unwrap();
    assert_eq!(answer.unwrap(), "work");
    assert!(own_rings.try_recv().is_err());
}

fn error_of(url: &str) -> StoreError {
    match Store::open(&settings(url), NOON_MS) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn what_is_not_ours_or_not_safe_is_refused() {
    let theirs = TestDatabase::on_server();
    let url = theirs.url(Path::new(""));
    on_server(&url, "CREATE TABLE theirs (x int)".to_owned());
    assert!(matches!(error_of(&url), StoreError::Corrupt(_)));

    let house = House::with_credits(1).await;
    let newer = latest_schema() + 1;
    on_server(&house.url, format!("INSERT INTO schema_migrations VALUES ({newer}, 'x', 0)"));
    assert_eq!(error_of(&house.url), StoreError::SchemaTooNew { found: newer, known: newer - 1 });

    let away = "postgres://rynjer@127.0.0.1:1/rynjer";
    assert!(matches!(error_of(away), StoreError::Unavailable(_)));
    assert_eq!(house.store.submit(NOON_MS, grant(0, 1, "second")).await, Ok(moved(false, 2)));
}

/// Ten processes that start at once on an empty database make one schema.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_schema_is_made_once() {
    let database = TestDatabase::on_server();
    let url = database.url(Path::new(""));
    let mut set = JoinSet::new();
    for _ in 0..10 {
        let settings = settings(&url);
        set.spawn_blocking(move || Store::open(&settings, NOON_MS).map(drop));
    }
    for opened in set.join_all().await {
        opened.unwrap();
    }
    let store = Store::open(&settings(&url), NOON_MS).unwrap();
    let count = |tx: &mut dyn Tx| tx.one("SELECT COUNT(*) FROM schema_migrations", &[])?.unwrap().int(0);
    assert_eq!(store.read(count).await, Ok(latest_schema()));
}
