//! A stand-in of an SMTP server: enough of RFC 5321 and of AUTH PLAIN for letters to arrive.
//!
//! Invariant: a letter is kept as it came, with the dots undone, only once its end was sent. Not here: TLS,
//! which a real server shows in the heavier tests.

use data_encoding::BASE64;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// A letter that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub from: String,
    pub to: String,
    /// User and password that came before it.
    pub credentials: Option<(String, String)>,
    /// Head and text, lines ended by `\n`.
    pub text: String,
}

impl Letter {
    /// Its text with soft line breaks of quoted-printable undone.
    #[must_use]
    pub fn plain(&self) -> String {
        self.text.replace("=\n", "").replace("=3D", "=").replace("=3d", "=")
    }
}

/// An SMTP server on loopback that keeps what it gets.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    address: std::net::SocketAddr,
    letters: Arc<Mutex<Vec<Letter>>>,
    /// Stops the server with the last copy.
    _stop: Arc<DropGuard>,
}

impl SmtpServer {
    /// Listens on a free port.
    ///
    /// # Errors
    /// No port.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (address, letters) = (listener.local_addr()?, Arc::default());
        let (stopped, kept, clients) = (stop.clone(), Arc::clone(&letters), tasks.clone());
        tasks.spawn(stopped.run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                clients.spawn(serve(stream, Arc::clone(&kept)));
            }
        }));
        Ok(Self { address, letters, _stop: Arc::new(stop.drop_guard()) })
    }

    /// Its address as a setting.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// What arrived so far.
    #[must_use]
    pub fn letters(&self) -> Vec<Letter> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One client, until it goes.
async fn serve(stream: TcpStream, letters: Arc<Mutex<Vec<Letter>>>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 mail.example ESMTP\r\n").await?;
    let (mut from, mut to, mut credentials) = (String::new(), String::new(), None);
    while let Some(line) = lines.next_line().await? {
        let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match word.as_str() {
            "EHLO" => "250-mail.example\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n",
            "AUTH" => {
                credentials = plain_credentials(&line);
                if credentials.is_some() { "235 2.7.0 welcome\r\n" } else { "535 5.7.8 no\r\n" }
            }
            "MAIL" => {
                from = path(&line);
                "250 2.1.0 ok\r\n"
            }
            "RCPT" => {
                to = path(&line);
                "250 2.1.5 ok\r\n"
            }
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push('\n');
                }
                let letter =
                    Letter { from: from.clone(), to: to.clone(), credentials: credentials.clone(), text };
                letters.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
                "250 2.0.0 taken\r\n"
            }
            "RSET" | "NOOP" => "250 2.0.0 ok\r\n",
            "QUIT" => {
                writer.write_all(b"221 2.0.0 bye\r\n").await?;
                return Ok(());
            }
            _ => "502 5.5.2 unknown\r\n",
        };
        writer.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// What is between the angle brackets.
fn path(line: &str) -> String {
    line.split('<').nth(1).and_then(|rest| rest.split('>').next()).unwrap_or_default().to_owned()
}

/// RFC 4616: an identity, a user and a password, with zeroes between them.
fn plain_credentials(line: &str) -> Option<(String, String)> {
    let bytes = BASE64.decode(line.rsplit(' ').next()?.as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut parts = text.split('\0').skip(1).map(str::to_owned);
    Some((parts.next()?, parts.next()?))
}
