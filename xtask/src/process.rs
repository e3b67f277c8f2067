//! Gateways and PostgreSQL as processes: started, asked for what they used, ended.
//!
//! Invariant: only processes that were started here are ended here. Not here: loads (`load`), figures.

use crate::load::{Failure, float};
use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Ticks in a second of `/proc/PID/stat`, which Linux never changed.
const TICKS: f64 = 100.0;
const READY_SECONDS: u64 = 120;
/// The master key of all processes of a benchmark.
pub(crate) const MASTER_KEY: [u8; 32] = [7; 32];

/// A gateway in a process of its own.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From its start until it said that it is ready.
    pub(crate) ready_after: Duration,
}

impl Process {
    /// Starts the program beside this one and waits until it is ready. Without a URL its database is a file
    /// in the folder.
    pub(crate) fn start(folder: &Path, url: Option<&str>, role: &str) -> Result<Self, Failure> {
        Self::start_with(folder, url, role, &[])
    }

    /// The same with more variables in its environment.
    pub(crate) fn start_with(
        folder: &Path,
        url: Option<&str>,
        role: &str,
        variables: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        let program = std::env::current_exe()?.with_file_name("rynjer");
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        fs::create_dir_all(folder)?;
        let mut command = Command::new(&program);
        command.args(["serve", "--role", role, "--metrics-listen", "off"]);
        command.args(["--listen", &address.to_string()]).arg("--data-dir").arg(folder);
        if let Some(url) = url {
            command.args(["--database-url", url]);
        }
        let key: String = MASTER_KEY.iter().map(|byte| format!("{byte:02x}")).collect();
        command.env("RYNJER_MASTER_KEY", key);
        command.env("RYNJER_LIMITS__RATE_LIMITS", "false");
        command.env("RYNJER_LIMITS__OPEN_TASKS_PER_ACCOUNT", "10000000");
        command.env("RYNJER_LOG__FILTER", "warn");
        command.envs(variables.iter().copied());
        let log = fs::File::create(folder.join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let started = Instant::now();
        let child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        let mut process = Self { child, address, ready_after: Duration::ZERO };
        while !is_ready(address) {
            if let Some(status) = process.child.try_wait()? {
                return Err(format!("{status}: {}", fs::read_to_string(folder.join("log"))?).into());
            }
            if started.elapsed().as_secs() > READY_SECONDS {
                return Err("the gateway was not ready in time".into());
            }
            thread::sleep(Duration::from_millis(2));
        }
        process.ready_after = started.elapsed();
        Ok(process)
    }

    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        let [own, _] = cpu_seconds(self.child.id())?;
        Ok(own)
    }

    /// Resident memory in megabytes of 10^6 bytes.
    pub(crate) fn resident_mb(&self) -> Result<f64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(float(kib) * 1024.0 / 1e6)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let id = self.child.id().to_string();
        // Asked to drain first; what is still there after that is killed.
        drop(Command::new("kill").args(["-TERM", &id]).status());
        for _ in 0..400 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// What a process has used itself, and what those of its children had used that have ended.
fn cpu_seconds(id: u32) -> Result<[f64; 2], Failure> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let after_name = stat.rsplit_once(')').ok_or("no stat")?.1;
    let numbers: Vec<u64> = after_name.split_whitespace().skip(11).take(4).flat_map(str::parse).collect();
    let [user, system, ended_user, ended_system] = numbers.as_slice() else { return Err("no times".into()) };
    Ok([float(user + system) / TICKS, float(ended_user + ended_system) / TICKS])
}

/// What this process has used.
pub(crate) fn own_cpu_seconds() -> Result<f64, Failure> {
    Ok(cpu_seconds(std::process::id())?[0])
}

/// A PostgreSQL server on this machine.
pub(crate) struct Server {
    /// The URL without a database.
    base: String,
    postmaster: u32,
}

impl Server {
    /// The server of an URL whose user is a superuser.
    pub(crate) fn at(url: &str) -> Result<Self, Failure> {
        let (base, _) = url.rsplit_once('/').ok_or("the URL names no database")?;
        let mut server = Self { base: base.to_owned(), postmaster: 0 };
        let folder = server.query("postgres", "SHOW data_directory")?;
        let file = fs::read_to_string(Path::new(folder.trim()).join("postmaster.pid"))?;
        server.postmaster = file.lines().next().unwrap_or_default().trim().parse()?;
        Ok(server)
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.base)
    }

    /// What `psql` prints.
    pub(crate) fn query(&self, database: &str, sql: &str) -> Result<String, Failure> {
        run(Command::new(program("psql")).args(["-XAtqc", sql, &self.url(database)]))
    }

    /// Transactions per second of `pgbench`'s simple-update over as many connections.
    pub(crate) fn simple_update(&self, seconds: u64, connections: usize) -> Result<f64, Failure> {
        let text = run(Command::new(program("pgbench"))
            .args(["-n", "-b", "simple-update", "-M", "prepared", "-j", "1"])
            .args(["-T", &seconds.to_string(), "-c", &connections.to_string(), &self.url("pgbench")]))?;
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")).ok_or("pgbench told no tps")?;
        Ok(rate.split_whitespace().next().unwrap_or_default().parse()?)
    }

    /// Fills `pgbench`'s tables.
    pub(crate) fn prepare_pgbench(&self) -> Result<(), Failure> {
        self.query("postgres", "CREATE DATABASE pgbench")?;
        let url = self.url("pgbench");
        run(Command::new(program("pgbench")).args(["-i", "-q", "-s", "10", &url])).map(drop)
    }

    /// Of the server and all its processes, also those that have ended.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        let id = self.postmaster;
        let [own, ended] = cpu_seconds(id)?;
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let children = children.split_whitespace().flat_map(str::parse);
        // One may end meanwhile; then it is counted as ended next time.
        Ok(own + ended + children.flat_map(cpu_seconds).map(|[own, _]| own).sum::<f64>())
    }
}

/// Debian's newest, or the one of PATH.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|each| each.path().join("bin").join(name)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found.pop().unwrap_or_else(|| name.into())
}

fn run(command: &mut Command) -> Result<String, Failure> {
    let done = command.stdin(Stdio::null()).output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}
