//! The cloud platform: a service account's tokens, and the calls that need one.
//!
//! Invariant: a token goes to the platform's host alone, the assertion that buys it to the token host alone,
//! and neither is ever in an error. Not here: what is asked (`map`) and what comes back (`veo`).
//!
//! Source: PyPI `google-genai` 3.4.0 `_api_client.py`; RFC 7523 (JWT bearer grant).

use super::SUBMIT_TIMEOUT_MS;
use crate::{
    ProviderError,
    guarded::GuardError,
    host::{Place, place},
    upstream::{Answer, ApiKey, Call, FILES_BYTES_MAX, KeyStyle, Upstream, VendorSettings, sentence},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The longest that an assertion may live.
const ASSERTION_SECONDS: i64 = 3_600;
/// A token that ends so soon is not begun with.
const SPARE_MS: i64 = 120_000;

/// What the operator says about the cloud platform.
#[derive(Debug, Clone)]
pub struct CloudSettings {
    /// The text of a service account's JSON file.
    pub credentials_json: ApiKey,
    /// The JSON's own if absent.
    pub project: Option<String>,
    /// `global`, or a region such as `us-central1`.
    pub location: String,
    /// The location's own host if absent.
    pub base_url: Option<Url>,
    /// In the place of the JSON's `token_uri`.
    pub token_url: Option<Url>,
}

/// Why there is no client for Google.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Client(#[from] GuardError),
    /// What is wrong, without any of the text.
    #[error("the cloud platform's settings can't be used: {0}")]
    Cloud(&'static str),
}

#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    project_id: Option<String>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<i64>,
}

struct Token {
    text: ApiKey,
    until_ms: i64,
}

pub(super) struct Cloud {
    upstream: Upstream,
    /// `projects/P/locations/L/publishers/google/models`
    models: String,
    email: String,
    header: Header,
    key: EncodingKey,
    /// The token host by its own name, also where it is reached by another.
    audience: String,
    token_url: Url,
    token: Mutex<Option<Token>>,
}

impl Cloud {
    pub(super) fn new(settings: &VendorSettings, cloud: CloudSettings) -> Result<Self, SetupError> {
        let wrong = SetupError::Cloud;
        let account: ServiceAccount = serde_json::from_str(cloud.credentials_json.expose())
            .map_err(|_| wrong("the credentials are no service account's JSON"))?;
        let key = EncodingKey::from_rsa_pem(account.private_key.as_bytes())
            .map_err(|_| wrong("the private key of the credentials can't be read"))?;
        let project = cloud.project.or(account.project_id).ok_or(wrong("no project is named"))?;
        let location = cloud.location;
        if [&project, &location].iter().any(|word| !is_plain(word)) {
            return Err(wrong("the project or the location has letters that none has"));
        }
        let host = if location == "global" { String::new() } else { format!("{location}-") };
        let own = || Url::parse(&format!("https://{host}aiplatform.googleapis.com/")).ok();
        let base_url = cloud.base_url.or_else(own).ok_or(wrong("the location makes no host"))?;
        let named = account.token_uri.as_deref().and_then(|url| Url::parse(url).ok());
        let token_url = cloud.token_url.or(named).ok_or(wrong("no token_uri is named"))?;
        if token_url.scheme() != "https" && place(&token_url) != Place::Loopback {
            return Err(wrong("the token_uri is not one of https"));
        }
        let mut header = Header::new(Algorithm::RS256);
        header.kid = account.private_key_id;
        let settings = VendorSettings { base_url, api_key: ApiKey::new(""), ..settings.clone() };
        Ok(Self {
            upstream: Upstream::new(settings, KeyStyle::None, &[&token_url])?,
            models: format!("projects/{project}/locations/{location}/publishers/google/models"),
            email: account.client_email,
            header,
            key,
            audience: account.token_uri.unwrap_or_else(|| token_url.to_string()),
            token_url,
            token: Mutex::new(None),
        })
    }

    /// Hands a clip over.
    pub(super) async fn submit(
        &self,
        model: &str,
        body: Value,
        now_ms: i64,
    ) -> Result<Answer, ProviderError> {
        let url = self.upstream.url(&format!("/v1beta1/{}/{model}:predictLongRunning", self.models));
        let call = || Call::submit(url.clone()).timeout_ms(SUBMIT_TIMEOUT_MS).json(body.clone());
        self.call(call, now_ms).await
    }

    /// Asks for an operation. The clips are inside its last answer.
    pub(super) async fn ask(&self, model: &str, name: &str, now_ms: i64) -> Result<Answer, ProviderError> {
        // Its own name counts: the operator may have moved to another project or place since.
        let own = name.rsplit_once("/operations/").map(|(resource, _)| resource.to_owned());
        let resource = own.unwrap_or_else(|| format!("{}/{model}", self.models));
        let url = self.upstream.url(&format!("/v1beta1/{resource}:fetchPredictOperation"));
        let timeout_ms = self.upstream.settings().fetch_timeout_ms;
        let call = || {
            let call = Call::ask(Method::POST, url.clone()).json(json!({"operationName": name}));
            call.timeout_ms(timeout_ms).bytes_max(FILES_BYTES_MAX)
        };
        self.call(call, now_ms).await
    }

    /// Makes a call with a token; one that was taken back before its time is bought anew, once.
    async fn call(&self, call: impl Fn() -> Call, now_ms: i64) -> Result<Answer, ProviderError> {
        let answer = self.upstream.send(call().bearer(self.token(now_ms).await?)).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        *self.token.lock().await = None;
        Ok(self.upstream.send(call().bearer(self.token(now_ms).await?)).await?)
    }

    async fn token(&self, now_ms: i64) -> Result<ApiKey, ProviderError> {
        let mut kept = self.token.lock().await;
        if let Some(Token { text, until_ms }) = kept.as_ref()
            && *until_ms > now_ms + SPARE_MS
        {
            return Ok(text.clone());
        }
        let Granted { access_token, expires_in } = self.buy(now_ms).await?;
        let text = ApiKey::new(&access_token);
        let until_ms = now_ms + expires_in.unwrap_or(0).clamp(0, ASSERTION_SECONDS) * 1000;
        *kept = Some(Token { text: text.clone(), until_ms });
        Ok(text)
    }

    /// The job is not sent before this, so that no failure here is in doubt.
    async fn buy(&self, now_ms: i64) -> Result<Granted, ProviderError> {
        let now_s = now_ms.div_euclid(1000);
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.audience, "iat": now_s,
            "exp": now_s + ASSERTION_SECONDS,
        });
        let unusable = |message: &str| ProviderError::Unusable { message: message.to_owned() };
        let assertion = jsonwebtoken::encode(&self.header, &claims, &self.key)
            .map_err(|_| unusable("the service account's key can't sign"))?;
        let call = Call::ask(Method::POST, self.token_url.clone())
            .fields(&[("grant_type", GRANT), ("assertion", &assertion)]);
        let busy =
            |message: &str| ProviderError::NotNow { retry_after_ms: None, message: message.to_owned() };
        let answer = self.upstream.send(call).await;
        let answer = answer.map_err(|_| busy("the token host gave no answer"))?;
        match answer.status {
            200 => answer.json().ok_or_else(|| busy("the token host's answer could not be read")),
            400 | 401 | 403 => {
                let said = answer.value()["error_description"].as_str().map(sentence).unwrap_or_default();
                Err(unusable(&format!("the service account gets no token: {said}")))
            }
            status => {
                let message = format!("the token host answered with status {status}");
                Err(ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message })
            }
        }
    }
}

fn is_plain(word: &str) -> bool {
    // Old projects have their domain before a colon.
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    !word.is_empty() && word.chars().all(plain)
}
