//! Which gateway a command talks to, and as whom.
//!
//! Invariant: flags win over the environment, the environment over the profile; a profile's credential goes
//! to the profile's gateway alone, and no other credential goes to a gateway that only a profile names. Not
//! here: the files (`profile`), fetching tokens (`token`).

use super::{
    profile::{self, Profile},
    token,
};
use crate::{cli::client::Reach, failure::Failure, folder::quoted, print, terminal::variable};
use rynjer_api::{Client, ClientError};
use rynjer_core::key::{ApiKey, KeyError, KeyKind};
use std::future::Future;

/// Where a gateway runs if nobody says.
const USUAL_BASE_URL: &str = "http://127.0.0.1:8787";
const ACCESS_TOKEN: &str = "RYNJER_ACCESS_TOKEN";
const API_KEY: &str = "RYNJER_AGENT_API_KEY";

/// A credential and where it came from.
pub(super) enum Credential {
    None,
    /// Sent as it is.
    Bearer {
        text: String,
        from: String,
    },
    /// A profile whose agent fetches access tokens.
    Agent,
}

/// A gateway, and who we are there.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) credential: Credential,
    pub(super) profile_name: String,
    pub(super) profile: Option<Profile>,
    /// The variable whose credential stays here: only a profile says where it would go.
    withheld: Option<String>,
}

/// Why a call gave nothing.
pub(super) enum Trouble {
    Call(ClientError),
    Setup(Failure),
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        Self::Call(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Setup(failure)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Call(error) => error.into(),
            Trouble::Setup(failure) => failure,
        }
    }
}

/// The name of the profile that a command takes, and whether a flag named it.
pub(super) fn profile_name(reach: &Reach) -> (String, bool) {
    match (&reach.profile, variable("RYNJER_PROFILE")) {
        (Some(name), _) => (name.clone(), true),
        (None, name) if !name.is_empty() => (name, false),
        (None, _) => (profile::current(), false),
    }
}

impl Session {
    /// Finds gateway and credential without sending anything.
    pub(super) fn open(reach: &Reach) -> Result<Self, Failure> {
        let (profile_name, by_flag) = profile_name(reach);
        let named = by_flag || !variable("RYNJER_PROFILE").is_empty();
        // Where the environment says all, a profile's trouble is not ours.
        let environment = !by_flag && !variable("RYNJER_BASE_URL").is_empty() && from_environment().is_some();
        let profile = if environment { None } else { profile::load(&profile_name)? };
        if profile.is_none() && named && !environment {
            return Err(Failure::failed(format!("there is no profile {profile_name}"))
                .suggest("`rynjer profiles list` shows those that there are; `rynjer login` makes one"));
        }
        let of_profile = || profile.as_ref().map(|profile| profile.base_url.clone());
        let of_environment = || Some(variable("RYNJER_BASE_URL")).filter(|url| !url.is_empty());
        let by_profile = profile.is_some() && reach.base_url.is_none() && of_environment().is_none();
        let found = match by_flag {
            true => reach.base_url.clone().or_else(of_profile).or_else(of_environment),
            false => reach.base_url.clone().or_else(of_environment).or_else(of_profile),
        };
        let client = Client::new(&found.unwrap_or_else(|| USUAL_BASE_URL.to_owned()))
            .map_err(|error| Failure::usage(error.to_string()))?;
        let ours = profile.as_ref().filter(|profile| same_gateway(&profile.base_url, client.base_url()));
        let saved = || match ours {
            Some(Profile { agent: Some(_), api_key: Some(_), .. }) => Credential::Agent,
            Some(Profile { api_key: Some(text), .. }) => {
                Credential::Bearer { text: text.clone(), from: format!("the profile {profile_name}") }
            }
            _ => Credential::None,
        };
        let (credential, withheld) = match from_environment() {
            Some(credential) if !by_flag && !by_profile => (credential, None),
            Some(Credential::Bearer { text, from }) if !by_flag => {
                let same = profile.as_ref().is_some_and(|it| it.api_key.as_deref() == Some(text.as_str()));
                (saved(), Some(from).filter(|_| !same))
            }
            _ => (saved(), None),
        };
        if let (Some(from), false) = (&withheld, matches!(credential, Credential::None)) {
            print::warn(&format!(
                "{from} is not used: the profile {profile_name} names the gateway, so its own credential \
                 goes there; name the gateway with RYNJER_BASE_URL or --base-url to use {from}"
            ));
        }
        Ok(Self { client, credential, profile_name, profile, withheld })
    }

    async fn with_credential(&mut self, anew: bool) -> Result<Client, Trouble> {
        let bearer = match &self.credential {
            Credential::None => return Err(self.missing().into()),
            Credential::Bearer { text, from } => well_formed(text, from)?.to_owned(),
            Credential::Agent => token::fresh(&self.client, &self.profile_name, anew).await?,
        };
        Ok(self.client.clone().with_bearer(bearer))
    }

    /// Makes a call. A token that is refused is replaced once.
    pub(super) async fn call<T, F>(&mut self, work: impl Fn(Client) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        match work(self.with_credential(false).await?).await {
            Err(ClientError::Api { status: 401, .. }) if matches!(self.credential, Credential::Agent) => {
                Ok(work(self.with_credential(true).await?).await?)
            }
            other => Ok(other?),
        }
    }

    /// Why there is no credential, and what to do.
    pub(super) fn missing(&self) -> Failure {
        let base_url = self.client.base_url();
        if let Some(from) = &self.withheld {
            let name = &self.profile_name;
            return Failure::not_authenticated(format!(
                "the profile {name} has no credential, and {from} is not sent to its gateway {base_url}"
            ))
            .suggest(format!(
                "if {from} is for that gateway, say so with RYNJER_BASE_URL or `--base-url {}`",
                quoted(base_url)
            ));
        }
        match &self.profile {
            Some(profile) if !same_gateway(&profile.base_url, base_url) => Failure::not_authenticated(
                format!(
                    "there is no credential for {base_url}: the profile {} is for {}",
                    self.profile_name, profile.base_url
                ),
            )
            .suggest(format!("`rynjer login --base-url {} --profile NAME` saves another", quoted(base_url))),
            Some(Profile { agent: Some(agent), .. }) => {
                Failure::not_authenticated(format!("the agent {} has no key yet", agent.agent_name))
                    .coded("agent_not_bound")
                    .suggest(format!(
                        "its owner binds it at {}; then run `rynjer login --register {}` again",
                        agent.bind_url,
                        quoted(&agent.agent_name)
                    ))
            }
            _ => Failure::not_authenticated(format!("there is no credential for {base_url}"))
                .suggest("save one with `rynjer login`, or set RYNJER_AGENT_API_KEY or RYNJER_ACCESS_TOKEN"),
        }
    }
}

fn from_environment() -> Option<Credential> {
    [ACCESS_TOKEN, API_KEY].into_iter().find_map(|name| {
        let text = variable(name).trim().to_owned();
        (!text.is_empty()).then(|| Credential::Bearer { text, from: name.to_owned() })
    })
}

/// Whether two addresses name the same gateway.
pub(super) fn same_gateway(one: &str, other: &str) -> bool {
    let plain = |url: &str| Client::new(url).map(|client| client.base_url().to_owned());
    matches!((plain(one), plain(other)), (Ok(one), Ok(other)) if one == other)
}

/// The credential, if it is worth sending.
pub(super) fn well_formed<'text>(text: &'text str, from: &str) -> Result<&'text str, Failure> {
    let wrong = |what: String| Failure::not_authenticated(what).coded("invalid_token");
    let ours = KeyKind::EACH.iter().find(|kind| text.starts_with(kind.prefix()));
    match (ApiKey::parse(text), ours) {
        (Err(KeyError::UnexpandedVariable), _) => Err(wrong(format!(
            "{from} holds the text {:?}: the shell did not expand the variable",
            text.chars().take(40).collect::<String>()
        ))
        .suggest("use double quotes, or none, around the variable, and see that it is set")),
        (Ok(_), Some(KeyKind::RefreshToken | KeyKind::RegistrationCode)) => {
            Err(wrong(format!("{from} holds no API key but a secret of another kind"))
                .suggest("an API key starts with ryn_agent_v1_, ryn_test_ or ryn_live_"))
        }
        (Err(error), Some(_)) => Err(wrong(format!("the credential of {from} is malformed: {error}"))
            .suggest("copy the whole key again, as it was shown when it was made")),
        (Ok(_), _) => Ok(text),
        // Access tokens have three parts.
        (Err(_), None) if text.split('.').count() == 3 && text.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(text)
        }
        (Err(_), None) => {
            Err(wrong(format!("the credential of {from} is malformed: it is neither an API key nor a token"))
                .suggest("an API key starts with ryn_agent_v1_, ryn_test_ or ryn_live_"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_malformed_is_not_sent() {
        let says = |text: &str| well_formed(text, "X").unwrap_err().message().to_owned();
        assert!(says("$KEY").contains("did not expand"));
        assert!(says("ryn_test_short").contains("wrong length"));
        assert!(says("hunter2").contains("neither"));
        assert!(well_formed("a.b.c", "X").is_ok());
        let key = ApiKey::new(KeyKind::AccountTest, [7; 24]);
        assert!(well_formed(key.expose(), "X").is_ok());
        assert!(says(&format!("{}x", key.expose())).contains("wrong length"));
    }

    #[test]
    fn gateways_are_compared_without_their_last_slash() {
        assert!(same_gateway("http://a:1/", "http://A:1"));
        assert!(!same_gateway("http://a:1", "http://a:2"));
    }
}
