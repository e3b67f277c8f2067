//! A task that kills its worker, with real processes that really die.
//!
//! Invariant: it is given up and paid back, and its neighbours are made. Not here: leases (the store's
//! contract).

use crate::run::{Serving, rynjer};
use rynjer_api::{Client, GenerateRequest, TaskAnswer, TaskStatus};

/// Deaths that poisoning may take: two beside others, one alone, and a margin.
const DEATHS_MAX: u32 = 8;

fn request(id: &str, prompt: &str) -> GenerateRequest {
    GenerateRequest {
        request_id: Some(id.to_owned()),
        model: "google/nano-banana".to_owned(),
        prompt: Some(prompt.to_owned()),
        ..GenerateRequest::default()
    }
}

/// Starts a gateway whenever the one before has died, until the killer is over. What counts is deaths: a
/// slow machine changes how long a poll takes, and whether a gateway still says that it listens, but not how
/// often it dies. A folder has one gateway at a time, so the next one waits for the end of the one before.
async fn until_given_up(
    first: Serving,
    arguments: &[&str],
    client: impl Fn(&Serving) -> Client,
) -> (Serving, TaskAnswer) {
    let (mut now, mut deaths, mut talk) = (Some(first), 0, String::new());
    loop {
        let Some(serving) = &mut now else {
            assert!(deaths <= DEATHS_MAX, "it died {deaths} times: {talk}");
            match Serving::try_start_on("127.0.0.1:0", arguments) {
                Ok(serving) => now = Some(serving),
                Err(last) => (deaths, talk) = (deaths + 1, last),
            }
            continue;
        };
        match client(serving).poll("killer", 5).await {
            Ok(task) if task.status.is_final() => return (now.unwrap(), task),
            Err(_) if serving.is_over() => (now, deaths) = (None, deaths + 1),
            // It works on, or is dying.
            Ok(_) | Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn a_task_that_kills_its_worker_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("crash.toml");
    std::fs::write(&config, "[sandbox]\nallow_crash = true\n").unwrap();
    let place = ["--data-dir", folder.path().to_str().unwrap()];
    let arguments = ["--config", config.to_str().unwrap(), place[0], place[1]];
    let serving = Serving::start(&arguments);
    let create = [
        "admin",
        "account",
        "create",
        "--email",
        "a@b.example",
        "--credits",
        "100",
        "--json",
        place[0],
        place[1],
    ];
    let account = rynjer(&create).object()["account_id"].as_str().unwrap().to_owned();
    let key =
        rynjer(&["admin", "key", "create", "--account", &account, "--json", place[0], place[1]]).object();
    let client = |serving: &Serving| {
        let base_url = serving.ready["base_url"].as_str().unwrap();
        Client::new(base_url).unwrap().with_bearer(key["api_key"].as_str().unwrap())
    };
    let first = client(&serving);
    for id in ["neighbour-1", "neighbour-2"] {
        first.generate(&request(id, "[[instant]] a quiet neighbour")).await.unwrap();
    }
    // The answer may be lost with the process that gives it.
    drop(first.generate(&request("killer", "[[crash]] a killer")).await);
    drop(first.generate(&request("neighbour-3", "[[slow=1]] [[instant]] a late neighbour")).await);
    let (serving, task) = until_given_up(serving, &arguments, client).await;
    assert_eq!((task.status, task.error.unwrap().error.as_ref()), (TaskStatus::Failed, "poisoned"));
    assert_eq!((task.credits.held, task.credits.charged, task.credits.released), (0, 0, 8));
    let last = client(&serving);
    for id in ["neighbour-1", "neighbour-2"] {
        let mut neighbour = last.poll(id, 30).await.unwrap();
        while !neighbour.status.is_final() {
            neighbour = last.poll(id, 30).await.unwrap();
        }
        assert_eq!((neighbour.status, neighbour.credits.charged), (TaskStatus::Success, 8), "{id}");
    }
    assert_eq!(serving.terminate(), Some(0));
    let audit = rynjer(&["admin", "audit", place[0], place[1]]);
    assert_eq!(audit.code, 0, "{}{}", audit.stdout, audit.stderr);
}
