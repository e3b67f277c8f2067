//! Whole generations a second, from request to stored and paid picture, beside other people's gateways in
//! front of the same vendor's stand-in.
//!
//! Invariant: all are measured in turns, in one run, by the same load, and only one of them runs at a time.
//! Ours accepts durably, stores the picture and charges for it; the others pass it on. Not here: judging.

use crate::{
    foreign::{Foreign, KEY, Kind, beside},
    load::{Failure, Load, Target, float, measure, median},
    process::{MASTER_KEY, Process},
};
use rynjer_core::scope::Scopes;
use rynjer_server::{
    clock::Clock,
    config::Config,
    gateway::{Gateway, Options, Role},
};
use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};

const CONNECTIONS: [usize; 2] = [16, 64];
const WARM_SECONDS: u64 = 2;
const READY_SECONDS: u64 = 120;
/// 16 × 16 pixels.
const PICTURE: &str = "\
    iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAABlklEQVR42hXRURVEIQhFUSMYgQhGMAIRiGCEE8EIRiACEYhABCLM\
    G7/ZrMt1jMEcyGAN9kAHNjgDBnfwBj6IQQ5q0IMxJnMikzXZE53Y5EyY3Mmb+CQmOalJzw8IUxBhCVtQwYQjIFzhCS6EkEIJLR9Y\
    zIUs1mIvdGGLs2BxF2/hi1jkoha9PrCZG9mszd7oxjZnw+Zu3sY3sclNbXp/QJmKKEvZiiqmHAXlKk9xJZRUSmn9gDENMZaxDTXM\
    OAbGNZ7hRhhplNH2gcM8yGEd9kEPdjgHDvfwDn6IQx7q0OcD/wK/Sr4jv9hfkG/1N/x/Fx44BCQU9Pc94zIvclmXfdGLXc79j9/L\
    u/glLnmpS98PPOZDHuuxH/qwx3n/5ffxHv6IRz7q0e8DznTEWc521DHn+D/KdZ7jTjjplNP+gWAGEqxgBxpYcOIf/AYv8CCCDCro\
    +EAyE0lWshNNLDn5P/MmL/Ekkkwq6fxAMQspVrELLaw49S/lFq/wIoosquj6QDMbaVazG22sOf2v8Dav8SaabKrp5geIAnAQC3Nf\
    wAAAAABJRU5ErkJggg==";

/// One column of the table: its name and a rate for each number of connections and round.
struct Column {
    name: String,
    rates: [Vec<f64>; 2],
}

struct Bench {
    client: Runtime,
    room: PathBuf,
    /// The base URL of the stand-in.
    upstream: String,
    stand_in: Foreign,
    seconds: u64,
}

/// Measures `rounds` times `seconds` each of everybody at each number of connections.
pub(crate) fn run(seconds: u64, rounds: u64) -> Result<(), Failure> {
    let mut out = io::stdout();
    let cores = thread::available_parallelism()?.get();
    let mut kinds = vec![Kind::LiteLlm { workers: 1 }, Kind::LiteLlm { workers: cores }, Kind::Portkey];
    kinds.dedup();
    let bench = prepare(seconds)?;
    kinds.retain(|kind| match kind.install(&bench.room) {
        Ok(()) => true,
        Err(error) => writeln!(out, "{} can't be installed: {error}", kind.name()).is_err(),
    });
    let names = ["rynjer".to_owned(), "the stand-in itself".to_owned()].into_iter();
    let names = names.chain(kinds.iter().map(|kind| kind.name()));
    let mut columns: Vec<Column> =
        names.map(|name| Column { name, rates: [Vec::new(), Vec::new()] }).collect();
    for round in 1..=rounds {
        let mut all = vec![bench.ours(round)?, bench.direct()?];
        for kind in &kinds {
            all.push(bench.foreign(*kind)?);
        }
        for (column, rates) in columns.iter_mut().zip(all) {
            writeln!(out, "round {round}: {:<24} {:>8.0} {:>8.0}", column.name, rates[0], rates[1])?;
            column.rates[0].push(rates[0]);
            column.rates[1].push(rates[1]);
        }
    }
    tell(&mut columns)
}

/// The medians, and our own over each.
fn tell(columns: &mut [Column]) -> Result<(), Failure> {
    let mut out = io::stdout();
    writeln!(
        out,
        "\ngenerations a second      {:>4} conn. {:>4} conn.  ours ÷ it",
        CONNECTIONS[0], CONNECTIONS[1]
    )?;
    let mut ours = [0.0; 2];
    for (index, Column { name, rates: [few, many] }) in columns.iter_mut().enumerate() {
        let medians = [median(few), median(many)];
        if index == 0 {
            ours = medians;
        }
        let [few, many] = medians;
        writeln!(out, "{name:<24} {few:>10.0} {many:>10.0}  {:.2}, {:.2}", ours[0] / few, ours[1] / many)?;
    }
    Ok(())
}

fn prepare(seconds: u64) -> Result<Bench, Failure> {
    let room = beside("../bench-upstream")?;
    fs::create_dir_all(&room)?;
    let client = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (stand_in, upstream) = Foreign::stand_in(&room)?;
    order(stand_in.address)?;
    Ok(Bench { client, room, upstream, stand_in, seconds })
}

/// Has the stand-in answer at once with a prepared picture, and remember nothing.
fn order(address: SocketAddr) -> Result<(), Failure> {
    let usage = r#"{"input_tokens":12,"output_tokens":1056,"total_tokens":1068,
        "input_tokens_details":{"image_tokens":0,"text_tokens":12}}"#;
    let answer = format!(
        r#"{{"created":1770000000,"data":[{{"b64_json":"{PICTURE}"}}],"size":"1024x1024","quality":"medium",
        "background":"opaque","output_format":"png","usage":{usage}}}"#
    );
    let body = format!(r#"{{"remember":false,"always":{{"fault":"answer","status":200,"body":{answer}}}}}"#);
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST /emulator/control HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut told = String::new();
    stream.read_to_string(&mut told)?;
    if told.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(told.into()) }
}

impl Bench {
    /// Both rates of whoever listens there.
    fn rates(&self, target: &Target, load: Load) -> Result<[f64; 2], Failure> {
        let mut rates = [0.0; 2];
        for (rate, connections) in rates.iter_mut().zip(CONNECTIONS) {
            let mut turn = Target::new(target.addresses.clone(), target.keys.clone());
            turn.more_head.clone_from(&target.more_head);
            turn.prefix = format!("{}-{connections}", target.prefix);
            turn.connections = connections;
            let turn = Arc::new(turn);
            measure(&self.client, &turn, load, WARM_SECONDS)?;
            *rate = measure(&self.client, &turn, load, self.seconds)?.per_second();
        }
        Ok(rates)
    }

    fn ours(&self, round: u64) -> Result<[f64; 2], Failure> {
        let folder = tempfile::tempdir()?;
        let key = live_account(folder.path())?;
        let variables = [
            ("RYNJER_OPENAI_API_KEY", "bench"),
            ("RYNJER_OPENAI_BASE_URL", self.upstream.as_str()),
            ("RYNJER_OPENAI__CONCURRENCY", "64"),
        ];
        let process = Process::start_with(folder.path(), None, "all", &variables)?;
        let mut target = Target::new(vec![process.address], vec![key]);
        target.prefix = format!("round-{round}");
        let before = process.cpu_seconds()?;
        let rates = self.rates(&target, Load::Picture)?;
        let made = float(self.seconds + WARM_SECONDS) * rates.iter().sum::<f64>();
        let each = (process.cpu_seconds()? - before) * 1e6 / made;
        let memory = process.resident_mb()?;
        writeln!(
            io::stdout(),
            "round {round}: one of ours costs about {each:.0} µs; {memory:.0} MB resident"
        )?;
        drop(process);
        audited(folder.path())?;
        Ok(rates)
    }

    fn direct(&self) -> Result<[f64; 2], Failure> {
        self.rates(&Target::new(vec![self.stand_in.address], vec!["bench".to_owned()]), Load::Foreign)
    }

    fn foreign(&self, kind: Kind) -> Result<[f64; 2], Failure> {
        let other = Foreign::start(kind, &self.room, &self.upstream)?;
        let mut target = Target::new(vec![other.address], vec![KEY.to_owned()]);
        target.more_head = kind.head(&self.upstream);
        self.wait_for(&target).map_err(|error| format!("{} is not ready: {error}", kind.name()))?;
        self.rates(&target, Load::Foreign)
    }

    /// Until it has passed a whole answer on.
    fn wait_for(&self, target: &Target) -> Result<(), Failure> {
        let mut once = Target::new(target.addresses.clone(), target.keys.clone());
        once.more_head.clone_from(&target.more_head);
        once.connections = 1;
        let once = Arc::new(once);
        let mut last = Ok(());
        for _ in 0..READY_SECONDS {
            last = measure(&self.client, &once, Load::Foreign, 1).map(drop);
            if last.is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_secs(1));
        }
        last
    }
}

/// A key of a live account, made by a gateway that is gone afterwards.
fn live_account(folder: &Path) -> Result<String, Failure> {
    within(folder, async |gateway| {
        let admin = gateway.admin();
        let account = admin.account_create("bench@example.com", true, 1_000_000_000_000).await;
        let account = account.map_err(|error| format!("{error:?}"))?;
        let key = admin.key_create(&account.id, Scopes::ALL, "bench").await;
        Ok(key.map_err(|error| format!("{error:?}"))?.1.expose().to_owned())
    })
}

/// What was measured moved money, so the books must be right.
fn audited(folder: &Path) -> Result<(), Failure> {
    let findings = within(folder, async |gateway| {
        Ok(gateway.admin().audit().await.map_err(|error| format!("{error:?}"))?.findings.len())
    })?;
    if findings == 0 { Ok(()) } else { Err(format!("the audit has {findings} findings").into()) }
}

fn within<T>(folder: &Path, work: impl AsyncFnOnce(&Gateway) -> Result<T, Failure>) -> Result<T, Failure> {
    let flags = "[server]\nlisten = \"127.0.0.1:0\"\nmetrics_listen = \"\"\n".parse()?;
    let options = Options {
        config: Config::load(None, std::iter::empty(), flags)?.config,
        data_dir: folder.to_owned(),
        role: Role::Api,
        clock: Clock::System,
        master_key: Some(MASTER_KEY),
    };
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let gateway = Gateway::start(options).await?;
        let done = work(&gateway).await;
        gateway.shutdown().await;
        done
    })
}
