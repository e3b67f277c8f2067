//! How long after a task's end those hear of it who wait: event streams and long polls over real sockets.
//!
//! Invariant: a delay runs from the time that the ledger stamped on the end, so it holds the commit too. Not
//! here: judging; a person reads the table.

use rynjer_core::time::parse_ms;
use rynjer_server::{
    clock::Clock,
    config::Config,
    gateway::{Gateway, Options, Role},
};
use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, Runtime},
    task::JoinSet,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long the idle reads are counted.
const IDLE: Duration = Duration::from_secs(5);

/// How a waiter waits.
#[derive(Clone, Copy)]
enum Kind {
    Stream,
    LongPoll,
}

/// What a run shares.
struct Bench {
    server: Runtime,
    client: Runtime,
    gateway: Gateway,
    address: SocketAddr,
    key: String,
}

/// `waiters` of each kind on one task; then as many tasks with one waiter of each kind.
pub(crate) fn run(waiters: u64, slow_seconds: u64) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let bench = start(&folder.path().join("all"), Role::All)?;
    let mut out = io::stdout();
    writeln!(out, "waiters              p50 ms  p99 ms  max ms   n")?;
    bench.measure("one task", 1, waiters, slow_seconds)?;
    bench.measure("one waiter each", waiters, 1, slow_seconds)?;
    let admin = bench.gateway.admin();
    let report = bench.server.block_on(admin.audit()).map_err(|error| format!("{error:?}"))?;
    writeln!(out, "audit: {} findings", report.findings.len())?;
    bench.server.block_on(bench.gateway.shutdown());
    let bench = start(&folder.path().join("api"), Role::Api)?;
    bench.rest(waiters)?;
    bench.server.block_on(bench.gateway.shutdown());
    Ok(())
}

fn start(folder: &std::path::Path, role: Role) -> Result<Bench, Failure> {
    let server = Builder::new_multi_thread().enable_all().build()?;
    let client = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let flags = "[server]\nlisten = \"127.0.0.1:0\"\nmetrics_listen = \"\"\n\
                 [limits]\nrate_limits = false\nwaits_per_principal = 8000\n"
        .parse()?;
    let options = Options {
        config: Config::load(None, std::iter::empty(), flags)?.config,
        data_dir: folder.to_owned(),
        role,
        clock: Clock::System,
        master_key: None,
    };
    let gateway = server.block_on(Gateway::start(options))?;
    let address = gateway.address().ok_or("no address")?;
    let key = server.block_on(crate::bench::account(&gateway, "bench@example.com"))?;
    Ok(Bench { server, client, gateway, address, key })
}

impl Bench {
    fn measure(&self, name: &str, tasks: u64, of_each: u64, slow_seconds: u64) -> Result<(), Failure> {
        let ready = Arc::new(AtomicUsize::new(0));
        let mut waiters = JoinSet::new();
        let mut wanted = 0;
        for task in 0..tasks {
            let id = format!("{tasks}-{task}");
            self.client.block_on(accept(self.address, self.key.clone(), id.clone(), slow_seconds))?;
            for _ in 0..of_each {
                for kind in [Kind::Stream, Kind::LongPoll] {
                    let waiter = wait(self.address, self.key.clone(), id.clone(), kind, Arc::clone(&ready));
                    waiters.spawn_on(waiter, self.client.handle());
                    wanted += 1;
                }
            }
        }
        let idle_reads = self.idle_reads(&ready, wanted);
        let (mut streams, mut polls) = (Vec::new(), Vec::new());
        while let Some(done) = self.client.block_on(waiters.join_next()) {
            match done?? {
                (Kind::Stream, delay_ms) => streams.push(delay_ms),
                (Kind::LongPoll, delay_ms) => polls.push(delay_ms),
            }
        }
        let mut out = io::stdout();
        writeln!(out, "{name}: {idle_reads} reads in {} s while {wanted} wait", IDLE.as_secs())?;
        for (kind, delays) in [("event streams", &mut streams), ("long polls", &mut polls)] {
            delays.sort_unstable();
            let at = |share: usize| delays.get((delays.len() * share / 100).min(delays.len() - 1)).copied();
            let [p50, p99, max] = [50, 99, 100].map(|share| at(share).unwrap_or_default());
            writeln!(out, "  {kind:<18} {p50:>6} {p99:>7} {max:>7} {:>5}", delays.len())?;
        }
        Ok(())
    }

    /// Reads of the database in a time in which all wait.
    fn idle_reads(&self, ready: &AtomicUsize, wanted: usize) -> u64 {
        while ready.load(Ordering::Relaxed) < wanted {
            std::thread::sleep(Duration::from_millis(10));
        }
        let store = &self.gateway.admin().store;
        std::thread::sleep(Duration::from_secs(1));
        let before = store.reads_begun();
        std::thread::sleep(IDLE);
        store.reads_begun() - before
    }

    /// What waiting alone costs: as many tasks as waiters, and no worker that moves them.
    fn rest(&self, waiters: u64) -> Result<(), Failure> {
        let ready = Arc::new(AtomicUsize::new(0));
        let mut waiting = JoinSet::new();
        for task in 0..waiters {
            let id = format!("rest-{task}");
            self.client.block_on(accept(self.address, self.key.clone(), id.clone(), 0))?;
            for kind in [Kind::Stream, Kind::LongPoll] {
                let waiter = wait(self.address, self.key.clone(), id.clone(), kind, Arc::clone(&ready));
                waiting.spawn_on(waiter, self.client.handle());
            }
        }
        let (wanted, seconds) = (waiting.len(), IDLE.as_secs());
        let reads = self.idle_reads(&ready, wanted);
        waiting.abort_all();
        writeln!(io::stdout(), "no worker: {reads} reads in {seconds} s while {wanted} wait")?;
        Ok(())
    }
}

async fn accept(address: SocketAddr, key: String, id: String, slow_seconds: u64) -> Result<(), Failure> {
    let body = format!(
        "{{\"request_id\":\"{id}\",\"model\":\"z-image\",\"prompt\":\"[[slow={slow_seconds}]] [[instant]]\"}}"
    );
    let mut socket = TcpStream::connect(address).await?;
    let request = format!(
        "POST /v1/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await?;
    if answer.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(String::from_utf8_lossy(&answer).into()) }
}

/// Waits for the end; after how many milliseconds it was heard of.
async fn wait(
    address: SocketAddr,
    key: String,
    id: String,
    kind: Kind,
    ready: Arc<AtomicUsize>,
) -> Result<(Kind, i64), Failure> {
    let mut socket = TcpStream::connect(address).await?;
    let path = match kind {
        Kind::Stream => format!("/v1/generate/{id}/events"),
        Kind::LongPoll => format!("/v1/generate/{id}?wait=60"),
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    ready.fetch_add(1, Ordering::Relaxed);
    let (mut text, mut buffer) = (String::new(), vec![0u8; 8192]);
    loop {
        let read = socket.read(&mut buffer).await?;
        let heard_ms = Clock::System.now_ms();
        if read == 0 {
            return Err(format!("the connection was closed: {text}").into());
        }
        text.push_str(&String::from_utf8_lossy(buffer.get(..read).unwrap_or_default()));
        let finished = text.split("\"finished_at\":\"").nth(1).and_then(|rest| rest.split('"').next());
        if let Some(finished_ms) = finished.and_then(parse_ms) {
            return Ok((kind, heard_ms - finished_ms));
        }
    }
}
