//! Submits whose outcome nobody knows, by the hundred: what is charged, what is made twice, what is lost.
//!
//! Invariant: `RYNJER_DOUBTS` tasks of each class, each with a fault of its own; the clock is the test's. Not
//! here: going elsewhere (`failover`), callbacks that end a doubt (`callback`).

use crate::support::{
    START_S, until,
    vendor::{LIVE_CREDITS, Vendors, picture},
};
use rynjer_emulator::{Fault, Vendor};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Tasks of each class, unless `RYNJER_DOUBTS` says otherwise.
const DOUBTS: usize = 60;
/// Tasks of one gateway: a list of jobs stays short enough to be looked through.
const ROUND: usize = 400;
/// Tasks at once: one more failure in a row, and the route would be left alone.
const AT_ONCE: usize = 4;

const SETTINGS: &str = "[worker]\nlease_seconds = 3600\nsubmit_retries = 8";
const FAULTS: [Fault; 3] = [Fault::Lost, Fault::Cut, Fault::Dropped];

/// The tasks of each gateway in turn.
fn rounds() -> Vec<usize> {
    let named = std::env::var("RYNJER_DOUBTS").ok();
    let mut left = named.map_or(DOUBTS, |text| text.parse().expect("a number"));
    let mut all = Vec::new();
    while left > 0 {
        all.push(left.min(ROUND));
        left -= left.min(ROUND);
    }
    all
}

/// What a class came to.
#[derive(Debug, Default)]
struct Sum {
    tasks: usize,
    charged: usize,
    jobs: usize,
    submits: usize,
    unmatched: usize,
}

/// Submits that arrived.
fn submits(vendors: &Vendors, vendor: Vendor) -> usize {
    vendors.emulator(vendor).world().seen().iter().filter(|seen| seen.method == "POST").count()
}

/// Every task has ended: those that succeeded were charged once, the others were given back.
async fn sum(vendors: &Vendors, vendor: Vendor, ids: &[String], price: i64) -> Sum {
    let world = vendors.emulator(vendor).world();
    let mut sum = Sum {
        tasks: ids.len(),
        jobs: world.jobs().len(),
        submits: submits(vendors, vendor),
        unmatched: world.unmatched(),
        ..Sum::default()
    };
    for id in ids {
        let task = vendors.live.poll(id).await;
        let made = task["status"] == "success";
        assert!(made || task["error"]["error"] == "outcome_unknown", "{task}");
        let (charged, released) = if made { (price, 0) } else { (0, price) };
        let credits = json!({"held": 0, "charged": charged, "released": released, "refunded": 0});
        assert_eq!(task["credits"], credits, "{task}");
        sum.charged += usize::from(made);
    }
    let captures = vendors.number("SELECT COUNT(*) FROM entries WHERE kind = 'capture'").await;
    assert_eq!(usize::try_from(captures), Ok(sum.charged));
    sum
}

/// Asks for tasks a few at a time, each with its fault, and waits for their end.
async fn ask(vendors: &Vendors, vendor: Vendor, bodies: &[(Value, Fault)]) {
    for few in bodies.chunks(AT_ONCE) {
        for (body, fault) in few {
            let world = vendors.emulator(vendor).world();
            world.set_now_ms(vendors.app.now_ms());
            world.fault(fault.clone());
            vendors.live.generate(body).await;
        }
        vendors.run_out().await;
    }
}

fn ids(bodies: &[(Value, Fault)]) -> Vec<String> {
    bodies.iter().map(|(body, _)| body["request_id"].as_str().expect("an id").to_owned()).collect()
}

/// Tasks with their faults in turn.
fn mixed(count: usize, faults: &[Fault], body: impl Fn(usize) -> Value) -> Vec<(Value, Fault)> {
    (0..count).map(|number| (body(number), faults[number % faults.len()].clone())).collect()
}

fn available(price: i64, charged: usize) -> i64 {
    LIVE_CREDITS - price * i64::try_from(charged).expect("a small number")
}

/// What a task costs, by one that goes well.
async fn price(vendors: &Vendors, body: &Value) -> i64 {
    let mut body = body.clone();
    body["request_id"] = json!("price");
    vendors.made(&body).await["credits"]["charged"].as_i64().expect("credits")
}

/// K: the vendor knows the key of each attempt, so every task is made and charged, and none twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_key_every_task_is_made_once() {
    let mut all = Sum::default();
    for count in rounds() {
        let keys = [(Vendor::OpenAi, "idempotency_key = true")];
        let vendors = Vendors::at(&[Vendor::OpenAi], SETTINGS, &keys, START_S * 1000).await;
        let unit = price(&vendors, &picture("price", 1)).await;
        let bodies = mixed(count, &FAULTS, |number| picture(&format!("k-{number}"), 1));
        ask(&vendors, Vendor::OpenAi, &bodies).await;
        let mut ids = ids(&bodies);
        ids.push("price".to_owned());
        let sum = sum(&vendors, Vendor::OpenAi, &ids, unit).await;
        assert_eq!((sum.charged, sum.jobs, sum.unmatched), (count + 1, count + 1, 0));
        assert_eq!(vendors.books().await, (available(unit, count + 1), 0, 0));
        all.add(&sum);
    }
    all.print("K");
}

/// Every task of a vendor with a look-up is made and charged once, whatever happened to its submit.
async fn looked_up(vendor: Vendor, count: usize, body: impl Fn(usize) -> Value) -> (Vendors, Sum) {
    let vendors = Vendors::with(&[vendor], SETTINGS).await;
    let unit = price(&vendors, &body(count)).await;
    let bodies = mixed(count, &FAULTS, body);
    ask(&vendors, vendor, &bodies).await;
    let mut ids = ids(&bodies);
    ids.push("price".to_owned());
    let sum = sum(&vendors, vendor, &ids, unit).await;
    assert_eq!((sum.charged, sum.jobs, sum.unmatched), (count + 1, count + 1, 0));
    assert_eq!(vendors.books().await, (available(unit, count + 1), 0, 0));
    (vendors, sum)
}

/// L: what was made is found in the vendor's list and delivered; what was not made is made then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_look_up_every_task_is_made_once() {
    let mut all = Sum::default();
    for count in rounds() {
        let body = |number: usize| {
            let (id, prompt) = (format!("l-{number}"), format!("fox {number}"));
            json!({"request_id": id, "model": "z-image", "prompt": prompt})
        };
        let (vendors, sum) = looked_up(Vendor::Replicate, count, body).await;
        let world = vendors.emulator(Vendor::Replicate).world();
        let prompts: BTreeSet<String> =
            world.jobs().iter().map(|job| job.input["input"]["prompt"].to_string()).collect();
        assert_eq!(prompts.len(), count + 1, "each job is another task's");
        all.add(&sum);
    }
    all.print("L");
}

/// N: a task is never sent again. What it made that nobody heard of is our loss, to the credit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_neither_a_doubt_is_our_loss_to_the_credit() {
    let mut all = Sum::default();
    for count in rounds() {
        let (vendors, unit, ids) = doubts_of_neither(count, &[Fault::Lost, Fault::Cut]).await;
        let sum = sum(&vendors, Vendor::OpenAi, &ids, unit).await;
        // One call of each, and each made its picture.
        assert_eq!((sum.jobs, sum.submits), (sum.tasks, sum.tasks));
        assert_eq!((sum.unmatched, sum.charged), (count, sum.tasks - count));
        let loss = unit * i64::try_from(sum.unmatched).expect("a small number");
        assert_eq!(vendors.books().await, (available(unit, sum.charged), 0, loss));
        all.add(&sum);
    }
    all.print("N");
}

/// A call that never arrived looks the same from here: it is not sent again either, and booked as a loss
/// that the vendor's bill will not show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_never_arrived_counts_as_lost_too() {
    let (vendors, unit, ids) = doubts_of_neither(8, &[Fault::Dropped]).await;
    let sum = sum(&vendors, Vendor::OpenAi, &ids, unit).await;
    assert_eq!((sum.submits, sum.jobs, sum.unmatched), (sum.tasks, sum.tasks - 8, 0));
    assert_eq!(vendors.books().await, (available(unit, sum.charged), 0, 8 * unit));
}

/// Tasks that nobody hears of again, a good one after every few of them so that the route stays open.
async fn doubts_of_neither(count: usize, faults: &[Fault]) -> (Vendors, i64, Vec<String>) {
    let vendors = Vendors::with(&[Vendor::OpenAi], SETTINGS).await;
    let unit = price(&vendors, &picture("price", 1)).await;
    let bodies = mixed(count, faults, |number| picture(&format!("n-{number}"), 1));
    let mut all = ids(&bodies);
    all.push("price".to_owned());
    let mut asked = 0;
    for (turn, few) in bodies.chunks(AT_ONCE).enumerate() {
        asked += few.len();
        let doubtful = i64::try_from(asked).expect("a small number");
        // The clock stands still until all are asked: their time is over at the end.
        for (body, fault) in few {
            vendors.emulator(Vendor::OpenAi).world().fault(fault.clone());
            vendors.live.generate(body).await;
        }
        let over = async || (vendors.at_step("unknown").await == doubtful).then_some(());
        until("they are in doubt", over).await;
        let good = format!("good-{turn}");
        vendors.live.generate(&picture(&good, 1)).await;
        assert_eq!(vendors.live.finish(&good).await["status"], "success");
        all.push(good);
    }
    vendors.run_out().await;
    (vendors, unit, all)
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.tasks += other.tasks;
        self.charged += other.charged;
        self.jobs += other.jobs;
        self.submits += other.submits;
        self.unmatched += other.unmatched;
        println!("so far: {self:?}");
    }

    fn print(&self, class: &str) {
        println!("class {class}: {self:?}");
    }
}
