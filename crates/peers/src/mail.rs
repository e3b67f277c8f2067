//! Letters through the operator's SMTP server.
//!
//! Invariant: a password or letter goes over the network only under TLS, which a server can't talk us out of;
//! on this machine itself it may go without. Not here: what letters say, and to whom they are sent.

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    address::AddressError,
    message::{Mailbox, header::ContentType},
    transport::smtp::authentication::Credentials,
};
use std::{net::IpAddr, time::Duration};
use url::Url;

/// How long a server may take for each of its answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a letter may take in all.
const LETTER_PATIENCE: Duration = Duration::from_secs(30);

/// Where letters are handed in.
#[derive(Clone)]
pub struct MailSettings {
    /// `smtps://HOST[:PORT]`, or `smtp://HOST[:PORT]` with STARTTLS.
    pub url: String,
    /// Empty: without credentials.
    pub user: String,
    pub password: String,
    /// `a@b.example` or `Name <a@b.example>`.
    pub from: String,
}

/// Why there are no letters, or one was not sent; never with a part of a password.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("the address of the SMTP server must be smtps://HOST or smtp://HOST, with a port if need be")]
    Url,
    #[error("the sender is not an e-mail address: {0}")]
    From(AddressError),
    #[error("the recipient is not an e-mail address: {0}")]
    To(AddressError),
    #[error("the letter can't be written: {0}")]
    Letter(lettre::error::Error),
    #[error("the SMTP server can't be used: {0}")]
    Server(lettre::transport::smtp::Error),
    #[error("the SMTP server took too long")]
    Late,
}

/// What sends letters.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// Reads the settings; no server is asked yet.
    ///
    /// # Errors
    /// Settings that can't be right.
    pub fn open(settings: &MailSettings) -> Result<Self, MailError> {
        let from = settings.from.parse().map_err(MailError::From)?;
        let url = Url::parse(&settings.url).map_err(|_| MailError::Url)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(MailError::Url)?;
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let builder = match url.scheme() {
            "smtps" => AsyncSmtpTransport::<Tokio1Executor>::relay(&name).map_err(MailError::Server)?,
            "smtp" if is_near(&name) => {
                let near = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(name);
                near.port(587)
            }
            "smtp" => {
                AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&name).map_err(MailError::Server)?
            }
            _ => return Err(MailError::Url),
        };
        let builder = match url.port() {
            Some(port) => builder.port(port),
            None => builder,
        };
        let builder = builder.timeout(Some(PATIENCE));
        let builder = if settings.user.is_empty() {
            builder
        } else {
            builder.credentials(Credentials::new(settings.user.clone(), settings.password.clone()))
        };
        Ok(Self { transport: builder.build(), from })
    }

    /// Sends a letter of plain text; returns once the server has taken it.
    ///
    /// # Errors
    /// A wrong address, or a server that did not take it.
    pub async fn send(&self, to: &str, subject: &str, text: String) -> Result<(), MailError> {
        let letter = Message::builder()
            .from(self.from.clone())
            .to(to.parse().map_err(MailError::To)?)
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(MailError::Letter)?;
        let sent = tokio::time::timeout(LETTER_PATIENCE, self.transport.send(letter)).await;
        sent.map_err(|_| MailError::Late)?.map(drop).map_err(MailError::Server)
    }
}

/// Whether what is sent there never leaves this machine. To a URL of this scheme every host is a name.
fn is_near(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(url: &str, from: &str) -> Result<(), String> {
        let from = from.to_owned();
        let settings =
            MailSettings { url: url.to_owned(), user: String::new(), password: String::new(), from };
        Mailer::open(&settings).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_read() {
        for url in [
            "smtps://mail.example",
            "smtps://mail.example:465",
            "smtp://mail.example:2525",
            "smtp://[::1]:25",
        ] {
            assert_eq!(open(url, "Gateway <g@b.example>"), Ok(()), "{url}");
        }
        for url in ["", "mail.example:25", "https://mail.example", "smtp:"] {
            assert!(open(url, "g@b.example").is_err(), "{url}");
        }
        assert!(open("smtps://mail.example", "nobody").is_err());
    }

    #[test]
    fn only_this_machine_is_near() {
        for (name, near) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("localhost", true),
            ("10.0.0.1", false),
            ("127.0.0.1.evil.example", false),
        ] {
            assert_eq!(is_near(name), near, "{name}");
        }
    }
}
