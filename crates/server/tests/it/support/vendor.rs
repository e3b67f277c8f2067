//! A gateway with a live account whose vendors are stand-ins on loopback.
//!
//! Invariant: a vendor that is not named has no key. Not here: what a vendor answers (`rynjer-emulator`).

use super::{Client, START_S, TestApp, key_of};
use rynjer_core::{id::AccountId, scope::Scopes};
use rynjer_emulator::{Emulator, Vendor};
use rynjer_server::{clock::Clock, gateway::Role};
use rynjer_store::{StoreError, Tx};
use serde_json::{Value, json};
use std::{fmt::Write, net::SocketAddr, time::Duration};

/// Looks at a task between two steps of the clock: what is under way ends in between.
const LOOKS: u32 = 10;
/// Looks in a row at something that is due and does not begin.
const WAITS: u32 = 100;

/// What the live account starts with.
pub(crate) const LIVE_CREDITS: i64 = 10_000_000;

pub(crate) struct Vendors {
    pub(crate) app: TestApp,
    emulators: Vec<(Vendor, Emulator)>,
    pub(crate) live: Client,
    pub(crate) account: AccountId,
}

impl Vendors {
    pub(crate) async fn with(vendors: &[Vendor], more: &str) -> Self {
        Self::at(vendors, more, &[], START_S * 1000).await
    }

    /// The same with more keys in the vendors' own sections, at another time of the clock.
    pub(crate) async fn at(vendors: &[Vendor], more: &str, keys: &[(Vendor, &str)], now_ms: i64) -> Self {
        let mut emulators = Vec::new();
        let mut settings = more.to_owned();
        for vendor in vendors {
            let emulator = Emulator::start(*vendor).await.expect("a stand-in");
            write!(settings, "{}", section(*vendor, &emulator)).expect("text");
            for (_, key) in keys.iter().filter(|(of, _)| of == vendor) {
                writeln!(settings, "{key}").expect("text");
            }
            emulators.push((*vendor, emulator));
        }
        let app = Box::pin(TestApp::at(&settings, Role::All, Clock::manual(now_ms))).await;
        let admin = app.admin();
        let created = admin.account_create("live@example.com", true, LIVE_CREDITS).await;
        let account = created.expect("a live account").id;
        let live = app.bearer(&key_of(admin, &account, Scopes::ALL).await);
        Self { app, emulators, live, account }
    }

    pub(crate) fn emulator(&self, vendor: Vendor) -> &Emulator {
        &self.emulators.iter().find(|(known, _)| *known == vendor).expect("a vendor of the test").1
    }

    /// Stops a vendor: nothing answers at its address any more.
    pub(crate) fn stop(&mut self, vendor: Vendor) {
        self.emulators.retain(|(known, _)| *known != vendor);
    }

    /// Starts a stopped vendor again at the address that it had.
    pub(crate) async fn revive(&mut self, vendor: Vendor, address: SocketAddr) {
        let emulator = Emulator::listen(vendor, address, None).await.expect("the address again");
        self.emulators.push((vendor, emulator));
    }

    /// How many calls upstream were begun: each has an attempt of its own.
    pub(crate) async fn attempts(&self) -> i64 {
        self.number("SELECT COUNT(*) FROM attempts").await
    }

    /// How many tasks stand at a step of the worker, in nobody's hand.
    pub(crate) async fn at_step(&self, step: &str) -> i64 {
        let free = "finished_at IS NULL AND lease_owner IS NULL";
        self.number(&format!("SELECT COUNT(*) FROM tasks WHERE step = '{step}' AND {free}")).await
    }

    /// What a statement counts.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let sql = sql.to_owned();
        let count = move |tx: &mut dyn Tx| -> Result<i64, StoreError> {
            tx.one(&sql, &[])?.map_or(Ok(0), |row| row.int(0))
        };
        self.app.admin().store.read(count).await.expect("a count")
    }

    /// Waits until nothing is held any more. The clock goes on to what is due next whenever nothing is under
    /// way, so that no call is made late by it.
    pub(crate) async fn run_out(&self) {
        let mut looks = 0;
        super::until("nothing is held", async || {
            let now_ms = self.app.now_ms();
            self.tell_time(now_ms);
            let open = "SELECT COUNT(*) FROM tasks WHERE finished_at IS NULL";
            let busy =
                self.number(&format!("{open} AND (lease_owner IS NOT NULL OR due_at <= {now_ms})")).await;
            looks += 1;
            if busy == 0 && self.number(open).await > 0 {
                let next = "SELECT COALESCE(MIN(due_at), 0) FROM tasks WHERE finished_at IS NULL";
                let left_ms = u64::try_from(self.number(next).await - now_ms).unwrap_or(0);
                self.tell_time(now_ms + i64::try_from(left_ms).expect("a time"));
                self.app.advance(Duration::from_millis(left_ms));
            } else if busy > 0 && looks % WAITS == 0 {
                // Tasks of a route that is left alone are due and wait.
                self.app.advance(Duration::from_secs(1));
            }
            (self.books().await.1 == 0).then_some(())
        })
        .await;
    }

    /// One time for all: what is older than a submit is not its job, and clocks are compared.
    fn tell_time(&self, now_ms: i64) {
        self.emulators.iter().for_each(|(_, emulator)| emulator.world().set_now_ms(now_ms));
    }

    /// Waits for the end of a task while the clock goes on in the steps of a vendor's polls.
    pub(crate) async fn finish(&self, id: &str) -> Value {
        self.finish_by(id, Duration::from_secs(2)).await
    }

    /// The same in long steps, for tasks that wait for their time.
    pub(crate) async fn finish_in_time(&self, id: &str) -> Value {
        self.finish_by(id, Duration::from_secs(20)).await
    }

    async fn finish_by(&self, id: &str, step: Duration) -> Value {
        let mut looks = 0;
        super::until("the task has ended", async || {
            let task = self.live.poll(id).await;
            let over = ["success", "failed", "canceled"].contains(&task["status"].as_str()?);
            looks += 1;
            if !over && looks % LOOKS == 0 {
                self.app.advance(step);
            }
            over.then_some(task)
        })
        .await
    }

    /// Generates and waits for the end.
    pub(crate) async fn made(&self, body: &Value) -> Value {
        self.live.generate(body).await;
        self.finish(body["request_id"].as_str().expect("a request id")).await
    }

    /// Available, held and lost credits of the live account.
    pub(crate) async fn books(&self) -> (i64, i64, i64) {
        let books = self.app.admin().account_show(&self.account).await.expect("the account").books;
        (books.available.0, books.held.0, books.provider_loss.0)
    }
}

/// The vendor's section of the settings.
pub(crate) fn section(vendor: Vendor, emulator: &Emulator) -> String {
    let (name, base_url, origin) = (vendor.name(), emulator.base_url(), emulator.world().origin());
    let more = match vendor {
        Vendor::Fal => format!("jwks_url = \"{origin}/.well-known/jwks.json\"\n"),
        _ => String::new(),
    };
    format!("\n[{name}]\napi_key = \"test-key-1\"\nbase_url = \"{base_url}\"\nsubmits_per_second = 0\n{more}")
}

/// A picture by GPT image.
pub(crate) fn picture(request_id: &str, count: u32) -> Value {
    json!({"request_id": request_id, "model": "gpt4o_image", "prompt": "a red fox", "count": count})
}
