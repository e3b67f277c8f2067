//! Loads gateways over real sockets: what a request is, and so many connections that send it over and over.
//!
//! Invariant: a figure counts answered requests only; anything but a 200 ends the run. Not here: which
//! gateways (`process`, `bench`), judging.

use std::{
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
    runtime::Runtime,
    task::JoinSet,
};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) const CONNECTIONS: usize = 64;

/// One request to send over and over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Parses the same body and answers.
    Parse,
    Accept,
    Poll,
    /// Accepts a task whose output is at hand, and waits until it has succeeded.
    Whole,
    /// Accepts a task whose vendor takes ten minutes.
    Slow,
    /// Accepts a picture of a vendor's, and waits until it is stored.
    Picture,
    /// Asks for a picture in OpenAI's words, of a vendor or of another gateway.
    Foreign,
}

impl Load {
    /// What an answer has if all went well.
    fn sign(self) -> Option<&'static [u8]> {
        match self {
            Self::Whole | Self::Picture => Some(b"\"success\""),
            Self::Foreign => Some(b"\"b64_json\""),
            _ => None,
        }
    }
}

/// Who is loaded, as whom.
pub(crate) struct Target {
    pub(crate) addresses: Vec<SocketAddr>,
    /// One of each account; requests go round.
    pub(crate) keys: Vec<String>,
    /// How many requests were numbered.
    pub(crate) accepted: AtomicU64,
    /// What request ids start with.
    pub(crate) prefix: String,
    /// Request ids in no order, as UUIDs are, and not in that of their numbers.
    pub(crate) shuffled: bool,
    pub(crate) connections: usize,
    /// More lines of each request's head.
    pub(crate) more_head: String,
}

impl Target {
    pub(crate) fn new(addresses: Vec<SocketAddr>, keys: Vec<String>) -> Self {
        Self {
            addresses,
            keys,
            accepted: AtomicU64::new(0),
            prefix: "bench".to_owned(),
            shuffled: false,
            connections: CONNECTIONS,
            more_head: String::new(),
        }
    }

    fn request_id(&self, id: u64) -> String {
        if self.shuffled {
            format!("{:016x}-{}", mixed(id), self.prefix)
        } else {
            format!("{}-{id}", self.prefix)
        }
    }

    fn key(&self, id: u64) -> &str {
        let count = u64::try_from(self.keys.len()).unwrap_or(u64::MAX).max(1);
        let index = usize::try_from(id % count).unwrap_or_default();
        self.keys.get(index).map_or("", String::as_str)
    }
}

/// Spreads numbers, without a generator of random ones.
fn mixed(number: u64) -> u64 {
    let mixed = (number.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// A number to look at.
#[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// What a measurement found.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
}

impl Rate {
    pub(crate) fn per_second(self) -> f64 {
        self.requests / self.seconds
    }
}

/// Sends one kind of request over all connections for a time.
pub(crate) fn measure(
    client: &Runtime,
    target: &Arc<Target>,
    load: Load,
    seconds: u64,
) -> Result<Rate, Failure> {
    client.block_on(async {
        let started = Instant::now();
        let until = started + Duration::from_secs(seconds);
        let mut connections = JoinSet::new();
        for index in 0..target.connections {
            connections.spawn(connection(Arc::clone(target), index, load, until));
        }
        let mut requests = 0u64;
        while let Some(done) = connections.join_next().await {
            requests += done??;
        }
        Ok(Rate { requests: float(requests), seconds: started.elapsed().as_secs_f64() })
    })
}

/// Sends requests one after the other over one connection; how many were answered with 200.
async fn connection(target: Arc<Target>, index: usize, load: Load, until: Instant) -> Result<u64, Failure> {
    let address = target.addresses.get(index % target.addresses.len().max(1)).copied();
    let address = address.ok_or("there is no gateway to load")?;
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0u8; 64 * 1024];
    let mut count = 0;
    while Instant::now() < until {
        let text = request(address, &target, load, count * 64 + u64::try_from(index)?);
        stream.write_all(text.as_bytes()).await?;
        let filled = answer(&mut stream, &mut buffer).await?;
        let answered = buffer.get(..filled).unwrap_or_default();
        let has = |sign: &[u8]| answered.windows(sign.len()).any(|window| window == sign);
        if !answered.starts_with(b"HTTP/1.1 200") || !load.sign().is_none_or(has) {
            return Err(String::from_utf8_lossy(answered).into());
        }
        count += 1;
    }
    Ok(count)
}

/// Reads one answer; its length.
pub(crate) async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize, Failure> {
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
            return Ok(filled);
        }
    }
}

fn request(address: SocketAddr, target: &Target, load: Load, turn: u64) -> String {
    let id = match load {
        Load::Accept | Load::Whole | Load::Slow | Load::Picture => {
            target.accepted.fetch_add(1, Ordering::Relaxed)
        }
        // Spread over what exists.
        Load::Poll => mixed(turn) % target.accepted.load(Ordering::Relaxed).max(1),
        Load::Parse | Load::Foreign => turn,
    };
    let (name, key) = (target.request_id(id), target.key(id));
    let head = format!("Host: {address}\r\nAuthorization: Bearer {key}\r\n{}", target.more_head);
    let (path, more, words) = match load {
        Load::Poll => return format!("GET /v1/generate/{name} HTTP/1.1\r\n{head}\r\n"),
        Load::Parse => ("/bench/parse", "", ""),
        Load::Accept => ("/v1/generate", "", ""),
        Load::Slow => ("/v1/generate", "", " [[slow=600]]"),
        Load::Whole => ("/v1/generate", "Prefer: wait=60\r\n", " [[instant]]"),
        Load::Picture => ("/v1/generate", "Prefer: wait=60\r\n", ""),
        Load::Foreign => ("/v1/images/generations", "", ""),
    };
    let body = if load == Load::Foreign { foreign() } else { own(load, &name, words) };
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\n{head}{more}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

const PROMPT: &str = "Studio product shot of a matte black smart speaker on a neutral background, soft \
                      commercial lighting, premium ad look";

/// In the words of this API.
fn own(load: Load, name: &str, words: &str) -> String {
    let model = if load == Load::Picture { "gpt4o_image" } else { "nano-banana-pro" };
    format!(
        "{{\"request_id\":\"{name}\",\"model\":\"{model}\",\"prompt\":\"{PROMPT}{words}\",\
         \"units\":{{\"count\":1,\"resolution\":\"1K\",\"aspect_ratio\":\"1:1\"}}}}"
    )
}

/// In OpenAI's.
fn foreign() -> String {
    format!(
        "{{\"model\":\"gpt-image-2\",\"prompt\":\"{PROMPT}\",\"n\":1,\"size\":\"1024x1024\",\
         \"output_format\":\"png\"}}"
    )
}

/// The length of head and body, once the head is there.
fn answer_length(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    // Some gateways answer so; the last chunk is the empty one.
    if head.lines().any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked")) {
        return answer.ends_with(b"\r\n0\r\n\r\n").then_some(answer.len());
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    Some(end + length)
}
