//! Moltbook: asks whose identity token it is.
//!
//! Invariant: only a whole, understood answer within time and size names an agent; no token, key or body of
//! an answer stands in an error. Not here: what an identity may do here (`server::app::moltbook`).

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use reqwest::{Client, Response};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;

/// For the whole call, from connecting to the answer's last byte.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// More calls at once would only wait for each other at Moltbook.
const CALLS_AT_ONCE: usize = 64;
/// Longest id that is taken.
const ID_LETTERS_MAX: usize = 64;
/// Longest name; what is beyond is cut.
const NAME_LETTERS_MAX: usize = 100;
const APP_KEY: HeaderName = HeaderName::from_static("x-moltbook-app-key");

/// An agent as Moltbook tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Letters, digits, `-` and `_`; at most 64 of them.
    pub id: String,
    /// At most 100 characters, none of which controls a terminal or turns the text around.
    pub name: String,
}

/// Why Moltbook names no agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("Moltbook does not know the token")]
    Invalid,
    #[error("the token has expired")]
    Expired,
    #[error("the token was made for another service")]
    WrongAudience,
    #[error("Moltbook has no such agent any more")]
    AgentGone,
    #[error("the agent's name at Moltbook holds characters that are not taken")]
    Name,
    /// The operator's fault: nothing that an agent sends would help.
    #[error("Moltbook does not take this gateway's app key")]
    AppKey,
    #[error("Moltbook is asked too often")]
    TooOften { retry_after_s: u64 },
    #[error("{0}")]
    Away(&'static str),
}

/// Why it can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("its app key has characters that no header can carry")]
    AppKey,
    #[error("no client can be made: {0}")]
    Client(String),
}

/// The way to Moltbook.
#[derive(Debug)]
pub struct Moltbook {
    client: Client,
    verify_url: Url,
    seats: Semaphore,
}

#[derive(Deserialize, Default)]
struct Answer {
    #[serde(default)]
    success: bool,
    #[serde(default)]
    valid: bool,
    #[serde(default)]
    agent: Option<Agent>,
    #[serde(default)]
    error: Option<String>,
    /// Whom the token was made for, where Moltbook says so.
    #[serde(default)]
    audience: Option<String>,
    #[serde(default)]
    retry_after_seconds: Option<u64>,
}

#[derive(Deserialize)]
struct Agent {
    id: String,
    name: String,
}

impl Moltbook {
    /// An empty app key is none.
    ///
    /// # Errors
    /// An app key that can't be sent.
    pub fn new(verify_url: Url, app_key: &str) -> Result<Self, SetupError> {
        let mut headers = HeaderMap::new();
        if !app_key.is_empty() {
            let mut value = HeaderValue::from_str(app_key).map_err(|_| SetupError::AppKey)?;
            value.set_sensitive(true);
            headers.insert(APP_KEY, value);
        }
        let client = Client::builder()
            .user_agent(concat!("rynjer/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .http1_only()
            .timeout(CALL_TIMEOUT)
            .build()
            .map_err(|error| SetupError::Client(error.to_string()))?;
        Ok(Self { client, verify_url, seats: Semaphore::new(CALLS_AT_ONCE) })
    }

    /// Asks whose token it is, made for `audience`.
    ///
    /// # Errors
    /// Whatever keeps Moltbook from naming the agent.
    pub async fn verify(&self, token: &str, audience: &str) -> Result<Identity, Problem> {
        let Ok(_seat) = self.seats.try_acquire() else { return Err(Problem::TooOften { retry_after_s: 1 }) };
        let asked = async {
            let body = json!({ "token": token, "audience": audience });
            let request = self.client.post(self.verify_url.clone()).json(&body);
            let response = request.send().await.map_err(|_| Problem::Away("Moltbook does not answer"))?;
            let retry_after_s = retry_after_s(response.headers());
            let status = response.status();
            Ok((status, retry_after_s, read(response).await?))
        };
        let late = |_| Problem::Away("Moltbook does not answer in time");
        let (status, retry_after_s, body) =
            tokio::time::timeout(CALL_TIMEOUT, asked).await.map_err(late)??;
        understand(status, retry_after_s, &body, audience)
    }
}

fn retry_after_s(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

async fn read(mut response: Response) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(piece) =
        response.chunk().await.map_err(|_| Problem::Away("Moltbook's answer breaks off"))?
    {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(Problem::Away("Moltbook's answer is too large"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// What an answer means. What is not understood is nobody's identity, and no verdict on the token either.
fn understand(
    status: StatusCode,
    retry_after_s: Option<u64>,
    body: &[u8],
    audience: &str,
) -> Result<Identity, Problem> {
    if status.is_server_error() {
        return Err(Problem::Away("Moltbook fails"));
    }
    if status.is_redirection() {
        return Err(Problem::Away("Moltbook redirects, which is not followed"));
    }
    let parsed: Result<Answer, _> = serde_json::from_slice(body);
    if status == StatusCode::TOO_MANY_REQUESTS {
        let told = parsed.unwrap_or_default().retry_after_seconds.or(retry_after_s);
        return Err(Problem::TooOften { retry_after_s: told.unwrap_or(60).clamp(1, 3600) });
    }
    let not_understood = || Problem::Away("Moltbook's answer is not understood");
    let answer = parsed.map_err(|_| not_understood())?;
    if let Some(code) = &answer.error {
        return Err(refusal(code));
    }
    match answer.agent {
        Some(agent) if answer.success && answer.valid && status == StatusCode::OK => {
            if answer.audience.is_some_and(|told| told != audience) {
                return Err(Problem::WrongAudience);
            }
            identity(agent).ok_or_else(not_understood)?
        }
        None if !answer.valid && status.is_client_error() => Err(Problem::Invalid),
        None if !answer.valid && answer.success => Err(Problem::Invalid),
        _ => Err(not_understood()),
    }
}

fn refusal(code: &str) -> Problem {
    match code {
        "invalid_token" => Problem::Invalid,
        "identity_token_expired" => Problem::Expired,
        "audience_required" | "audience_mismatch" => Problem::WrongAudience,
        "agent_not_found" | "agent_deactivated" => Problem::AgentGone,
        "missing_app_key" | "invalid_app_key" => Problem::AppKey,
        "rate_limit_exceeded" => Problem::TooOften { retry_after_s: 60 },
        _ => Problem::Away("Moltbook refuses for a reason that is not known"),
    }
}

/// The outer `None` is an id that Moltbook does not make.
fn identity(agent: Agent) -> Option<Result<Identity, Problem>> {
    let letters = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-' || letter == b'_';
    let well_formed = (1..=ID_LETTERS_MAX).contains(&agent.id.len()) && agent.id.bytes().all(letters);
    well_formed.then(|| {
        let name: String = agent.name.trim().chars().take(NAME_LETTERS_MAX).collect();
        if name.is_empty() || name.chars().any(misleads) {
            return Err(Problem::Name);
        }
        Ok(Identity { id: agent.id, name })
    })
}

/// Characters that control a terminal, turn text around or can't be seen: a name must read as what it is.
fn misleads(letter: char) -> bool {
    let invisible = ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2060}'..='\u{206f}'];
    letter.is_control() || letter == '\u{feff}' || invisible.iter().any(|range| range.contains(&letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> Result<Identity, Problem> {
        understand(StatusCode::from_u16(status).unwrap(), None, body.as_bytes(), "gateway.test")
    }

    fn named(id: &str, name: &str) -> String {
        json!({"success": true, "valid": true, "agent": {"id": id, "name": name, "owner": null}}).to_string()
    }

    #[test]
    fn only_a_whole_yes_names_an_agent() {
        let id = "0b9d1c7e-4a52-4d7a-9c3e-2f8f0d6f1a11";
        let expected = Identity { id: id.to_owned(), name: "Ada".to_owned() };
        assert_eq!(told(200, &named(id, " Ada ")), Ok(expected));
        let not_understood = Problem::Away("Moltbook's answer is not understood");
        let rows = [
            (200, r#"{"success":true,"valid":false}"#, Problem::Invalid),
            (401, r#"{"success":false,"valid":false}"#, Problem::Invalid),
            (200, r#"{"success":true,"valid":true}"#, not_understood.clone()),
            (200, r#"{"success":false,"valid":true,"agent":{"id":"a","name":"b"}}"#, not_understood.clone()),
            (200, r#"{"success":true,"agent":{"id":"a","name":"b"}}"#, not_understood.clone()),
            (201, &named("a", "b"), not_understood.clone()),
            (200, r#"{"success":true,"valid":true,"agent":{"id":7,"name":"b"}}"#, not_understood.clone()),
            (200, r#"{"success":"true","valid":true,"agent":{"id":"a","name":"b"}}"#, not_understood.clone()),
            (200, "[]", not_understood.clone()),
            (200, "", not_understood.clone()),
            (400, r#"{"success":false,"error":"new_code"}"#, refusal("new_code")),
        ];
        for (status, body, problem) in rows {
            assert_eq!(told(status, body), Err(problem), "{status} {body}");
        }
        let other = r#"{"success":true,"valid":true,"agent":{"id":"a","name":"b"},"audience":"else.test"}"#;
        assert_eq!(told(200, other), Err(Problem::WrongAudience));
        assert_eq!(told(429, ""), Err(Problem::TooOften { retry_after_s: 60 }));
        assert_eq!(told(429, r#"{"retry_after_seconds":0}"#), Err(Problem::TooOften { retry_after_s: 1 }));
    }

    #[test]
    fn names_and_ids_are_bounded() {
        let long = told(200, &named("a", &"é".repeat(101))).unwrap();
        assert_eq!(long.name, "é".repeat(100));
        for name in ["", "  ", "a\nb", "a\u{1b}[2Jb", "a\u{202e}b", "a\u{200b}b", "\u{feff}a"] {
            assert_eq!(told(200, &named("a", name)), Err(Problem::Name), "{name:?}");
        }
        for id in ["", "a b", "a:b", "moltbook:a", "é", &"a".repeat(65), "a\n"] {
            assert_eq!(told(200, &named(id, "b")), Err(Problem::Away("Moltbook's answer is not understood")));
        }
    }
}
