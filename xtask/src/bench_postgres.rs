//! The accept on PostgreSQL beside `pgbench` on the same server, with one, two and three processes, and what
//! an accept, a poll and a whole task cost.
//!
//! Invariant: both sides of a ratio are measured in turns, in one run, on one server that syncs each commit.
//! Not here: judging; a person reads the table.

use crate::{
    load::{CONNECTIONS, Failure, Load, Rate, Target, measure, median},
    process::{MASTER_KEY, Process, Server, own_cpu_seconds},
};
use rynjer_server::{
    clock::Clock,
    config::Config,
    gateway::{Gateway, Options, Role},
};
use std::{
    io::{self, Write},
    path::Path,
    process::Command,
    sync::Arc,
};
use tokio::runtime::{Builder, Runtime};

const SERVER: &str = "RYNJER_TEST_POSTGRES";
const ACCOUNTS: usize = 64;

/// What a run shares.
struct Bench {
    client: Runtime,
    server: Server,
    database: &'static str,
    keys: Vec<String>,
    folder: tempfile::TempDir,
    seconds: u64,
}

/// Measures `rounds` times `seconds` each of `pgbench` and accepts; then the rest once.
pub(crate) fn run(seconds: u64, rounds: u64) -> Result<(), Failure> {
    let Ok(url) = std::env::var(SERVER) else { return with_a_server(seconds, rounds) };
    Server::at(&url)?.prepare_pgbench()?;
    let bench = prepare(&url, "bench", seconds)?;
    against_pgbench(&bench, rounds)?;
    let mut out = io::stdout();
    writeln!(
        out,
        "\nprocesses  accounts  clients  load    per second  gateway µs  database µs  client µs  cores  \
         per commit  connections"
    )?;
    for processes in 1..=3 {
        for accounts in [1, ACCOUNTS] {
            scaled(&bench, processes, accounts, CONNECTIONS)?;
        }
    }
    scaled(&bench, 1, 1, 1)?;
    let bench = prepare(&url, "whole", seconds)?;
    whole_tasks(&bench)?;
    sizes(&bench)
}

/// The same with a temporary server.
fn with_a_server(seconds: u64, rounds: u64) -> Result<(), Failure> {
    let mut command = Command::new("scripts/postgres");
    command.arg("--").arg(std::env::current_exe()?);
    command.args(["bench-postgres", &seconds.to_string(), &rounds.to_string()]);
    if command.status()?.success() { Ok(()) } else { Err("it did not end well".into()) }
}

/// The accounts, made by a gateway that is gone afterwards.
fn prepare(url: &str, database: &'static str, seconds: u64) -> Result<Bench, Failure> {
    let server = Server::at(url)?;
    server.query("postgres", &format!("CREATE DATABASE {database}"))?;
    let folder = tempfile::tempdir()?;
    let keys = accounts(folder.path(), &server.url(database), ACCOUNTS)?;
    let client = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    Ok(Bench { client, server, database, keys, folder, seconds })
}

/// Keys of so many accounts in the database of an URL, or in the folder's own.
pub(crate) fn accounts(folder: &Path, url: &str, count: usize) -> Result<Vec<String>, Failure> {
    let flags =
        format!("[server]\nlisten = \"127.0.0.1:0\"\nmetrics_listen = \"\"\n[database]\nurl = \"{url}\"\n");
    let options = Options {
        config: Config::load(None, std::iter::empty(), flags.parse()?)?.config,
        data_dir: folder.to_owned(),
        role: Role::Api,
        clock: Clock::System,
        master_key: Some(MASTER_KEY),
    };
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let gateway = Gateway::start(options).await?;
        let mut keys = Vec::new();
        for number in 0..count {
            keys.push(crate::bench::account(&gateway, &format!("bench-{number}@example.com")).await?);
        }
        gateway.shutdown().await;
        Ok(keys)
    })
}

impl Bench {
    fn start(&self, role: &str, count: usize) -> Result<Vec<Process>, Failure> {
        let url = self.server.url(self.database);
        let folder = |index| self.folder.path().join(format!("{role}-{index}"));
        (0..count).map(|index| Process::start(&folder(index), Some(&url), role)).collect()
    }

    fn target(
        &self,
        processes: &[Process],
        accounts: usize,
        connections: usize,
        prefix: &str,
    ) -> Arc<Target> {
        let keys = self.keys.iter().take(accounts).cloned().collect();
        let mut target = Target::new(processes.iter().map(|process| process.address).collect(), keys);
        prefix.clone_into(&mut target.prefix);
        target.connections = connections;
        Arc::new(target)
    }

    /// A line with a rate and the microseconds of processor time that a request cost.
    fn costs(&self, all: &[Process], target: &Arc<Target>, load: Load, name: &str) -> Result<(), Failure> {
        let gateways = || all.iter().map(Process::cpu_seconds).sum::<Result<f64, _>>();
        let used = || Ok::<_, Failure>([gateways()?, self.server.cpu_seconds()?, own_cpu_seconds()?]);
        let (before, commits) = (used()?, self.commits()?);
        let rate: Rate = measure(&self.client, target, load, self.seconds)?;
        let after = used()?;
        let per_commit = rate.requests / (self.commits()? - commits).max(1.0);
        let [gateway, database, client] =
            [0, 1, 2].map(|side: usize| (after[side] - before[side]) * 1e6 / rate.requests);
        let rate = rate.per_second();
        let cores = (gateway + database + client) * rate / 1e6;
        let open = connections(self)?;
        let (processes, accounts, connections) = (all.len(), target.keys.len(), target.connections);
        writeln!(
            io::stdout(),
            "{processes:>9}  {accounts:>8}  {connections:>7}  {name:<6}  {rate:>10.0}  {gateway:>10.1}  \
             {database:>11.1}  {client:>9.1}  {cores:>5.2}  {per_commit:>10.1}  {open:>11}"
        )?;
        Ok(())
    }

    /// Batches that the writers have committed: each mark is twice its batch's number.
    fn commits(&self) -> Result<f64, Failure> {
        let sql = "SELECT COALESCE(SUM(batch), 0) / 2 FROM writer_batches";
        Ok(self.server.query(self.database, sql)?.trim().parse()?)
    }
}

fn against_pgbench(bench: &Bench, rounds: u64) -> Result<(), Failure> {
    let mut out = io::stdout();
    let processes = bench.start("api", 1)?;
    let target = bench.target(&processes, 1, CONNECTIONS, "ratio");
    // Prepares the statements, and fills what was empty.
    measure(&bench.client, &target, Load::Accept, 1)?;
    writeln!(out, "round  pgbench/s  accept/s  accept÷pgbench")?;
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let transactions = bench.server.simple_update(bench.seconds, CONNECTIONS)?;
        let accepts = measure(&bench.client, &target, Load::Accept, bench.seconds)?.per_second();
        ratios.push(accepts / transactions);
        let ratio = accepts / transactions;
        writeln!(out, "{round:>5}  {transactions:>9.0}  {accepts:>8.0}  {ratio:>14.2}")?;
    }
    writeln!(out, "median accept÷pgbench {:.2} (bar 1.5)", median(&mut ratios))?;
    Ok(())
}

/// Accepts and polls with so many processes on so many accounts.
fn scaled(bench: &Bench, count: usize, accounts: usize, connections: usize) -> Result<(), Failure> {
    let processes = bench.start("api", count)?;
    let target =
        bench.target(&processes, accounts, connections, &format!("{count}-{accounts}-{connections}"));
    measure(&bench.client, &target, Load::Accept, 1)?;
    bench.costs(&processes, &target, Load::Accept, "accept")?;
    bench.costs(&processes, &target, Load::Poll, "poll")
}

fn connections(bench: &Bench) -> Result<String, Failure> {
    let sql = format!("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = '{}'", bench.database);
    Ok(bench.server.query("postgres", &sql)?.trim().to_owned())
}

/// Tasks from accept to success, in a process that does all.
fn whole_tasks(bench: &Bench) -> Result<(), Failure> {
    let processes = bench.start("all", 1)?;
    let target = bench.target(&processes, ACCOUNTS, CONNECTIONS, "whole");
    measure(&bench.client, &target, Load::Whole, 2)?;
    bench.costs(&processes, &target, Load::Whole, "whole")?;
    let memory = processes.first().ok_or("no process")?.resident_mb()?;
    writeln!(io::stdout(), "whole: one POST that waits until its output is stored; {memory:.0} MB resident")?;
    Ok(())
}

/// What a row takes, with its part of the indexes.
fn sizes(bench: &Bench) -> Result<(), Failure> {
    let sql = "\
               SELECT relname || ': ' || n_live_tup || ' rows, ' || pg_table_size(relid) || \
               ' bytes of rows, ' || pg_indexes_size(relid) || ' of indexes' FROM pg_stat_user_tables \
               WHERE relname IN ('tasks', 'entries', 'attempts', 'outputs') ORDER BY 1";
    writeln!(io::stdout(), "\n{}", bench.server.query(bench.database, sql)?.trim())?;
    Ok(())
}
