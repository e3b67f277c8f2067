//! Sign-in by an OpenID Connect provider: the code flow with PKCE, state and nonce.
//!
//! Invariant: an identity comes only from an ID token that the provider signed for this client and this very
//! sign-in; nothing of it is believed before. Not here: who an identity is (`server::app`), randomness, and
//! where the secrets of a sign-in wait.

use futures::{StreamExt, future::BoxFuture};
use openidconnect::{
    AsyncHttpClient, AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    DiscoveryError, HttpRequest, HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, SubjectIdentifier, TokenResponse,
    core::{CoreClient, CoreProviderMetadata, CoreResponseType, CoreTokenResponse, CoreUserInfoClaims},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;
use url::Url;

/// How long what a provider says of itself is believed.
const KNOWN_FOR_MS: i64 = 3_600_000;
const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Who is asked, and as whom.
#[derive(Clone)]
pub struct OidcSettings {
    /// As the provider writes it.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: String,
}

/// The secrets of one sign-in, which the browser brings back sealed.
#[derive(Clone)]
pub struct Secrets {
    pub state: String,
    pub nonce: String,
    /// PKCE's, of 43 to 128 characters.
    pub verifier: String,
    /// What time it is.
    pub now_ms: i64,
}

/// Whom a provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub issuer: String,
    pub subject: String,
    pub email: Option<String>,
    /// Whether the provider knows that the address is theirs.
    pub email_verified: bool,
    /// When the provider last asked them, in seconds since 1970, if it says so.
    pub auth_time_s: Option<i64>,
}

/// Why there is no identity; never with a part of a secret.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("the issuer must be https://HOST, with a path if the provider has one")]
    Issuer,
    #[error("the provider can't be asked: {0}")]
    Unreachable(String),
    #[error("the provider did not take the code: {0}")]
    Code(String),
    #[error("the provider's ID token is not good: {0}")]
    Token(String),
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Network(#[from] reqwest::Error),
    #[error("the answer is larger than 256 KiB")]
    TooLarge,
}

/// A provider.
pub struct Oidc {
    fetch: Fetch,
    issuer: IssuerUrl,
    settings: OidcSettings,
    known: Mutex<Option<(i64, Arc<CoreProviderMetadata>)>>,
}

impl Oidc {
    /// Reads the settings; the provider is not asked yet.
    ///
    /// # Errors
    /// An issuer that is no HTTPS address; on this machine it may be HTTP.
    pub fn open(settings: OidcSettings) -> Result<Self, OidcError> {
        let url = Url::parse(&settings.issuer).map_err(|_| OidcError::Issuer)?;
        let near = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && near) {
            return Err(OidcError::Issuer);
        }
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(|_| OidcError::Issuer)?;
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
        let http = http.build().map_err(|error| OidcError::Unreachable(error.to_string()))?;
        Ok(Self { fetch: Fetch(http), issuer, settings, known: Mutex::new(None) })
    }

    /// Where the browser goes to sign in. `anew` asks the provider to ask its user again.
    ///
    /// # Errors
    /// A provider that can't be asked.
    pub async fn start(
        &self,
        redirect_url: &str,
        secrets: &Secrets,
        anew: bool,
    ) -> Result<String, OidcError> {
        let metadata = self.metadata(secrets.now_ms, false).await?;
        let redirect = RedirectUrl::new(redirect_url.to_owned()).map_err(|_| OidcError::Issuer)?;
        let client = CoreClient::from_provider_metadata(
            (*metadata).clone(),
            ClientId::new(self.settings.client_id.clone()),
            Some(ClientSecret::new(self.settings.client_secret.clone())),
        )
        .set_redirect_uri(redirect);
        let (state, nonce) = (CsrfToken::new(secrets.state.clone()), Nonce::new(secrets.nonce.clone()));
        let verifier = PkceCodeVerifier::new(secrets.verifier.clone());
        let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
        let mut request = client
            .authorize_url(flow, move || state, move || nonce)
            .add_scope(Scope::new("email".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        if anew {
            // With an age the provider must say when it asked.
            request = request.add_extra_param("prompt", "login").set_max_age(Duration::ZERO);
        }
        Ok(request.url().0.to_string())
    }

    /// Trades the code of a sign-in for whoever it was. The caller has compared the state.
    ///
    /// # Errors
    /// A code that the provider does not take, or a token that is not good.
    pub async fn finish(
        &self,
        redirect_url: &str,
        code: &str,
        secrets: &Secrets,
    ) -> Result<Identity, OidcError> {
        let metadata = self.metadata(secrets.now_ms, false).await?;
        let answer = self.trade(&metadata, redirect_url, code, secrets).await?;
        let identity = match self.identity(&metadata, &answer, secrets) {
            Ok(identity) => identity,
            // Its keys may have changed since they were read.
            Err(_) => self.identity(&*self.metadata(secrets.now_ms, true).await?, &answer, secrets)?,
        };
        if identity.email.is_some() || metadata.userinfo_endpoint().is_none() {
            return Ok(identity);
        }
        self.with_email(&metadata, &answer, identity).await
    }

    /// Asks for the address, which strict providers keep out of the token.
    async fn with_email(
        &self,
        metadata: &CoreProviderMetadata,
        answer: &CoreTokenResponse,
        identity: Identity,
    ) -> Result<Identity, OidcError> {
        let client = CoreClient::from_provider_metadata(
            metadata.clone(),
            ClientId::new(self.settings.client_id.clone()),
            Some(ClientSecret::new(self.settings.client_secret.clone())),
        );
        let refused = |error: String| OidcError::Token(error);
        let subject = SubjectIdentifier::new(identity.subject.clone());
        let request = client
            .user_info(answer.access_token().to_owned(), Some(subject))
            .map_err(|error| refused(error.to_string()))?;
        let asked: Result<CoreUserInfoClaims, _> = request.request_async(&self.fetch).await;
        let claims = asked.map_err(|error| refused(error.to_string()))?;
        Ok(Identity {
            email: claims.email().map(|email| email.as_str().to_owned()),
            email_verified: claims.email_verified().unwrap_or(false),
            ..identity
        })
    }

    async fn trade(
        &self,
        metadata: &CoreProviderMetadata,
        redirect_url: &str,
        code: &str,
        secrets: &Secrets,
    ) -> Result<CoreTokenResponse, OidcError> {
        let redirect = RedirectUrl::new(redirect_url.to_owned()).map_err(|_| OidcError::Issuer)?;
        let client = CoreClient::from_provider_metadata(
            metadata.clone(),
            ClientId::new(self.settings.client_id.clone()),
            Some(ClientSecret::new(self.settings.client_secret.clone())),
        )
        .set_redirect_uri(redirect);
        let refused = |error: String| OidcError::Code(error);
        let request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| refused(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(secrets.verifier.clone()));
        request.request_async(&self.fetch).await.map_err(|error| refused(error.to_string()))
    }

    fn identity(
        &self,
        metadata: &CoreProviderMetadata,
        answer: &CoreTokenResponse,
        secrets: &Secrets,
    ) -> Result<Identity, OidcError> {
        let client = CoreClient::from_provider_metadata(
            metadata.clone(),
            ClientId::new(self.settings.client_id.clone()),
            Some(ClientSecret::new(self.settings.client_secret.clone())),
        );
        let token = answer.id_token().ok_or_else(|| OidcError::Token("there is none".to_owned()))?;
        let nonce = Nonce::new(secrets.nonce.clone());
        let claims = token.claims(&client.id_token_verifier(), &nonce);
        let claims = claims.map_err(|error| OidcError::Token(error.to_string()))?;
        Ok(Identity {
            issuer: claims.issuer().as_str().to_owned(),
            subject: claims.subject().as_str().to_owned(),
            email: claims.email().map(|email| email.as_str().to_owned()),
            email_verified: claims.email_verified().unwrap_or(false),
            auth_time_s: claims.auth_time().map(|at| at.timestamp()),
        })
    }

    /// What the provider says of itself, with its keys.
    async fn metadata(&self, now_ms: i64, anew: bool) -> Result<Arc<CoreProviderMetadata>, OidcError> {
        let mut known = self.known.lock().await;
        if let Some((at, metadata)) = known.as_ref()
            && !anew
            && (0..KNOWN_FOR_MS).contains(&(now_ms - at))
        {
            return Ok(Arc::clone(metadata));
        }
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.fetch).await;
        let found: Result<_, DiscoveryError<FetchError>> = found;
        let metadata = Arc::new(found.map_err(|error| OidcError::Unreachable(error.to_string()))?);
        *known = Some((now_ms, Arc::clone(&metadata)));
        Ok(metadata)
    }
}

/// Asks the provider.
struct Fetch(reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Fetch {
    type Error = FetchError;
    type Future = BoxFuture<'c, Result<HttpResponse, FetchError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(fetch(&self.0, request))
    }
}

/// One call, bounded in bytes and time; redirects are not followed.
async fn fetch(http: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, FetchError> {
    let request = reqwest::Request::try_from(request)?;
    let answer = http.execute(request).await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk?);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
    }
    let mut response = HttpResponse::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
