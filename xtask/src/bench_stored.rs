//! What a large database costs: accepts, polls, start and memory with many tasks stored beside none, and the
//! memory of many tasks in flight. On SQLite.
//!
//! Invariant: both gateways of a ratio run at the same time and are loaded in turns. Not here: judging; a
//! person reads the table.

use crate::{
    load::{Failure, Load, Target, float, measure, median},
    process::Process,
};
use rynjer_store::{Database, Settings, Store, StoreError};
use std::{
    fs,
    io::{self, Write},
    ops::Range,
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};

/// Rows that one transaction stores.
const STEP: i64 = 100_000;
const ROUNDS: u64 = 5;

/// Stores `tasks` and measures beside an empty database; then `in_flight` slow ones.
pub(crate) fn run(seconds: u64, tasks: i64, in_flight: u64) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let (empty, full) = (folder.path().join("empty"), folder.path().join("full"));
    let keys = [&empty, &full].map(|each| crate::bench_postgres::accounts(each, "", 1));
    let filled = Instant::now();
    fill(&runtime, &full.join("rynjer.db"), tasks)?;
    // Else the first checkpoints would wait for what was filled in to reach the disk.
    fs::File::open(full.join("rynjer.db"))?.sync_all()?;
    let bytes = fs::metadata(full.join("rynjer.db"))?.len();
    let mut out = io::stdout();
    let per_task = float(bytes) / float(tasks.unsigned_abs().max(1));
    let took = filled.elapsed().as_secs();
    writeln!(out, "{tasks} tasks stored in {took} s, {bytes} bytes, {per_task:.0} a task with its indexes")?;
    let mut sides = Vec::new();
    for (name, folder, key) in [("empty", &empty, &keys[0]), ("full", &full, &keys[1])] {
        let key = key.as_ref().map_err(ToString::to_string)?;
        let mut starts = Vec::new();
        for _ in 0..ROUNDS {
            starts.push(Process::start(folder, None, "api")?.ready_after.as_secs_f64() * 1000.0);
        }
        let process = Process::start(folder, None, "api")?;
        let (ready, memory) = (median(&mut starts), process.resident_mb()?);
        writeln!(
            out,
            "{name}: ready after {ready:.0} ms (median of {ROUNDS}), {memory:.0} MB resident when idle"
        )?;
        let mut target = Target::new(vec![process.address], key.clone());
        target.shuffled = true;
        sides.push((process, Arc::new(target)));
    }
    in_turns(&runtime, &sides, seconds)?;
    drop(sides);
    flight(&runtime, &folder.path().join("flight"), in_flight)
}

fn in_turns(client: &Runtime, sides: &[(Process, Arc<Target>)], seconds: u64) -> Result<(), Failure> {
    let mut out = io::stdout();
    // Caches fill and logs get their length: a process that has just been started is another figure.
    for (_, target) in sides {
        measure(client, target, Load::Accept, seconds)?;
    }
    for (name, load) in [("accept", Load::Accept), ("poll", Load::Poll)] {
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let mut rates = Vec::new();
            for (_, target) in sides {
                rates.push(measure(client, target, load, seconds)?.per_second());
            }
            let [empty, full] = rates.as_slice() else { return Err("two sides".into()) };
            writeln!(out, "{name}: {empty:.0}/s empty, {full:.0}/s full, {:.2}", full / empty)?;
            ratios.push(full / empty);
        }
        writeln!(out, "median {name} full÷empty {:.2} (bar 0.8 for accepts)", median(&mut ratios))?;
    }
    for (process, target) in sides {
        let (memory, tasks) = (process.resident_mb()?, target.accepted.load(Ordering::SeqCst));
        writeln!(out, "{memory:.0} MB resident after {tasks} accepts")?;
    }
    Ok(())
}

/// Tasks whose vendor takes his time: all of them submitted, none finished.
fn flight(client: &Runtime, folder: &Path, wanted: u64) -> Result<(), Failure> {
    let keys = crate::bench_postgres::accounts(folder, "", 1)?;
    let process = Process::start(folder, None, "all")?;
    let mut out = io::stdout();
    let idle = process.resident_mb()?;
    let target = Arc::new(Target::new(vec![process.address], keys));
    while target.accepted.load(Ordering::SeqCst) < wanted {
        measure(client, &target, Load::Slow, 1)?;
    }
    let accepted = target.accepted.load(Ordering::SeqCst);
    let store = open(&folder.join("rynjer.db"))?;
    let begun = Instant::now();
    let mut submitted = 0;
    while submitted < accepted && begun.elapsed() < Duration::from_secs(120) {
        thread::sleep(Duration::from_secs(1));
        submitted = client.block_on(store.read(|tx| {
            let sql = "SELECT COUNT(*) FROM tasks WHERE step = 'submitted' AND finished_at IS NULL";
            let row = tx.one(sql, &[])?.ok_or_else(|| StoreError::Other("no count".to_owned()))?;
            Ok::<_, StoreError>(row.int(0)?.unsigned_abs())
        }))?;
    }
    let (memory, took) = (process.resident_mb()?, begun.elapsed().as_secs());
    writeln!(out, "in flight: {submitted} of {accepted} accepted are with the vendor, {took} s later")?;
    writeln!(out, "{memory:.0} MB resident, {idle:.0} MB before (API and worker in one process)")?;
    Ok(())
}

fn open(path: &Path) -> Result<Store, Failure> {
    let settings = Settings {
        database: Database::Sqlite(path.to_owned()),
        reader_threads: 1,
        writer_threads: 1,
        queue_capacity: 16,
        batch_max: 16,
        writer_id: "bench".to_owned(),
        notify: false,
    };
    Ok(Store::open(&settings, 0)?)
}

/// Finished tasks of the one account, below the ledger: their ids rise, as ours do, and their request ids
/// have no order, as UUIDs have none. The indexes are made at the end, which is how so many fit into minutes.
/// One that is made at once has no room in its pages, so that each accept would split one; so the last third
/// goes through it, in its order, and leaves it as full as one that grew.
fn fill(runtime: &Runtime, path: &Path, tasks: i64) -> Result<(), Failure> {
    let store = open(path)?;
    let texts = runtime.block_on(store.write(|tx| {
        let sql = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'tasks' \
                   AND sql IS NOT NULL";
        let mut texts = Vec::new();
        for row in tx.all(sql, &[])? {
            tx.exec(&format!("DROP INDEX {}", row.str(0)?), &[])?;
            texts.push(row.text(1)?);
        }
        Ok::<_, StoreError>(texts)
    }))?;
    let bulk = tasks - tasks / 3;
    store_tasks(runtime, &store, 0..bulk, "lower(hex(randomblob(18)))")?;
    for text in texts {
        runtime.block_on(store.write(move |tx| tx.exec(&text, &[])))?;
    }
    let share = (1_i64 << 48) / (tasks - bulk).max(1);
    let in_order = format!("printf('%012x', (i - {bulk}) * {share}) || lower(hex(randomblob(12)))");
    store_tasks(runtime, &store, bulk..tasks, &in_order)
}

/// Stores tasks with such numbers, whose request ids are what the SQL makes of their numbers `i`.
fn store_tasks(
    runtime: &Runtime,
    store: &Store,
    numbers: Range<i64>,
    request_id: &str,
) -> Result<(), Failure> {
    let mut first = numbers.start;
    while first < numbers.end {
        let last = (first + STEP).min(numbers.end) - 1;
        let request_id = request_id.to_owned();
        runtime.block_on(store.write(move |tx| {
            let sql = format!(
                "WITH RECURSIVE n(i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i < $2) \
                       INSERT INTO tasks (account_id, id, agent_id, key_id, request_id, fingerprint, \
                       usage_id, model, product, mode, provider, vendor_model, price_version, \
                       unit_price, count, \
                       held, charged, budget_charges, status, step, created_at, finished_at, deadline_at, \
                       due_at) \
                       SELECT (SELECT id FROM accounts LIMIT 1), 'task_0' || printf('%025d', i), '', \
                       'key_' || printf('%026d', 1), {request_id}, \
                       lower(hex(randomblob(32))), 'use_' || printf('%026d', i), \
                       'nano-banana-pro', 'image', 'text-to-image', 'sandbox', 'nano-banana-pro', \
                       '2026-02-02-v1', 20, 1, 0, 20, '', 'success', 'storing', 1700000000000 + i, \
                       1700000000000 + i, 1700000000000 + i, 1700000000000 + i FROM n"
            );
            tx.exec(&sql, &[first.into(), last.into()])
        }))?;
        first = last + 1;
    }
    Ok(())
}
