//! The accept and poll rows of the speed that we owe, as ratios within one run on one machine.
//!
//! Invariant: all three figures come from the same server, the same layers and the same load, in turns. Not
//! here: judging; a person reads the table.

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use rynjer_core::{json, scope::Scopes};
use rynjer_server::{
    clock::Clock,
    config::Config,
    gateway::{Gateway, Options, Role},
};
use std::{
    error::Error,
    io::{self, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, Runtime},
    task::JoinSet,
};

type Failure = Box<dyn Error + Send + Sync>;

const CONNECTIONS: u64 = 64;

/// One request to send over and over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Parses the same body and answers.
    Parse,
    Accept,
    Poll,
}

/// Measures `rounds` times `seconds` each of parse, accept and poll.
pub(crate) fn run(seconds: u64, rounds: u64) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let server = Builder::new_multi_thread().enable_all().build()?;
    let client = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let more = Router::new().route("/bench/parse", post(parse));
    let flags = "[server]\nlisten = \"127.0.0.1:0\"\nmetrics_listen = \"\"\n\
                 [limits]\nrate_limits = false\nopen_tasks_per_account = 10000000\n"
        .parse()?;
    let options = Options {
        config: Config::load(None, std::iter::empty(), flags)?.config,
        data_dir: folder.path().to_owned(),
        role: Role::Api,
        clock: Clock::System,
        master_key: None,
    };
    let gateway = server.block_on(Gateway::start_with(options, more))?;
    let address = gateway.address().ok_or("no address")?;
    let key = server.block_on(account(&gateway))?;
    let mut out = io::stdout();
    writeln!(out, "round  parse/s  accept/s  accept÷parse  poll/s  poll÷parse")?;
    let mut ratios = (Vec::new(), Vec::new());
    let accepted = Arc::new(AtomicU64::new(0));
    for round in 1..=rounds {
        let rate = |load| measure(&client, address, &key, load, seconds, &accepted);
        let (parse, accept, poll) = (rate(Load::Parse)?, rate(Load::Accept)?, rate(Load::Poll)?);
        ratios.0.push(accept / parse);
        ratios.1.push(poll / parse);
        let (a, p) = (accept / parse, poll / parse);
        writeln!(out, "{round:>5}  {parse:>7.0}  {accept:>8.0}  {a:>12.2}  {poll:>6.0}  {p:>10.2}")?;
    }
    writeln!(out, "median accept÷parse {:.2} (bar 0.30)", median(&mut ratios.0))?;
    writeln!(out, "median poll÷parse   {:.2} (bar 0.60)", median(&mut ratios.1))?;
    let report = server.block_on(gateway.admin().audit()).map_err(|error| format!("{error:?}"))?;
    writeln!(out, "audit of {} tasks: {} findings", accepted.load(Ordering::SeqCst), report.findings.len())?;
    server.block_on(gateway.shutdown());
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The baseline: the same strict parser on the same body, and an answer.
async fn parse(_: HeaderMap, body: Bytes) -> &'static str {
    match json::parse(&body, json::Limits { max_depth: 16 }) {
        Ok(_) => "{\"code\":0,\"message\":\"ok\",\"data\":{}}",
        Err(_) => "{}",
    }
}

/// A key of an account with more credits than any load spends.
pub(crate) async fn account(gateway: &Gateway) -> Result<String, Failure> {
    let admin = gateway.admin();
    let account = admin.account_create("bench@example.com", false, 1_000_000_000_000).await;
    let account = account.map_err(|error| format!("{error:?}"))?;
    let key = admin.key_create(&account.id, Scopes::ALL, "bench").await;
    Ok(key.map_err(|error| format!("{error:?}"))?.1.expose().to_owned())
}

fn measure(
    client: &Runtime,
    address: SocketAddr,
    key: &str,
    load: Load,
    seconds: u64,
    accepted: &Arc<AtomicU64>,
) -> Result<f64, Failure> {
    client.block_on(async {
        let started = Instant::now();
        let until = started + Duration::from_secs(seconds);
        let mut connections = JoinSet::new();
        for _ in 0..CONNECTIONS {
            connections.spawn(connection(address, key.to_owned(), load, until, Arc::clone(accepted)));
        }
        let mut requests = 0u64;
        while let Some(done) = connections.join_next().await {
            requests += done??;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
        let requests = requests as f64;
        Ok(requests / started.elapsed().as_secs_f64())
    })
}

/// Sends requests one after the other over one connection; how many were answered with 200.
async fn connection(
    address: SocketAddr,
    key: String,
    load: Load,
    until: Instant,
    accepted: Arc<AtomicU64>,
) -> Result<u64, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0u8; 16 * 1024];
    let mut count = 0;
    while Instant::now() < until {
        let text = request(address, &key, load, &accepted, count);
        stream.write_all(text.as_bytes()).await?;
        let mut filled = 0;
        loop {
            let read = stream.read(buffer.get_mut(filled..).unwrap_or_default()).await?;
            filled += read;
            if read == 0 {
                return Err("the connection was closed".into());
            }
            if let Some(length) = answer_length(buffer.get(..filled).unwrap_or_default())
                && filled >= length
            {
                break;
            }
        }
        if !buffer.starts_with(b"HTTP/1.1 200") {
            return Err(String::from_utf8_lossy(buffer.get(..filled).unwrap_or_default()).into());
        }
        count += 1;
    }
    Ok(count)
}

fn request(address: SocketAddr, key: &str, load: Load, accepted: &AtomicU64, turn: u64) -> String {
    let head = format!("Host: {address}\r\nAuthorization: Bearer {key}\r\n");
    if load == Load::Poll {
        let known = accepted.load(Ordering::Relaxed).max(1);
        // Spread over what exists, without a generator of random numbers.
        let id = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) % known;
        return format!("GET /v1/generate/bench-{id} HTTP/1.1\r\n{head}\r\n");
    }
    let path = if load == Load::Accept { "/v1/generate" } else { "/bench/parse" };
    let id = match load {
        Load::Accept => accepted.fetch_add(1, Ordering::Relaxed),
        Load::Parse | Load::Poll => turn,
    };
    let body = format!(
        "{{\"request_id\":\"bench-{id}\",\"model\":\"nano-banana-pro\",\"prompt\":\"Studio product shot \
         of a matte \
         black smart speaker on a neutral background, soft commercial lighting, premium ad look\",\"units\":\
         {{\"count\":1,\"resolution\":\"1K\",\"aspect_ratio\":\"1:1\"}}}}"
    );
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\n{head}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// The length of head and body, once the head is there.
fn answer_length(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    Some(end + length)
}
