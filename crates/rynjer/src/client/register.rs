//! `login --register`: an agent of one's own, from its key pair to its first API key.
//!
//! Invariant: what was done is saved before the next step, so that running it again goes on where it
//! stopped; the private key is saved before anything is sent. Not here: the owner's side.

use super::{
    login,
    profile::{self, Identity, Profile},
};
use crate::{
    agent::Agent, cli::client::Login, cli::value, failure::Failure, folder::quoted, plain, print,
    signal::Signals, table::page, terminal,
};
use rynjer_api::{Client, ClientError, ErrorCode, KeyCreateAnswer};
use rynjer_core::scope::Scope;
use rynjer_server::clock::Clock;
use serde_json::json;
use std::time::{Duration, Instant};

/// Between two questions whether the owner has bound the agent: half of what one address may ask.
const PAUSE: Duration = Duration::from_secs(4);
const KEY_DAYS: i64 = 365;

/// Registers, waits for the owner, makes the key.
pub(super) async fn run(
    client: &Client,
    name: &str,
    saved: Option<Profile>,
    agent_name: &str,
    arguments: &Login,
    json: bool,
) -> Result<(), Failure> {
    let scopes = value::scopes(&arguments.scopes).map_err(Failure::usage)?;
    let mut profile = begun(client, name, saved, agent_name)?;
    let agent = agent_of(&profile, client)?;
    if profile.api_key.is_none() {
        register(client, name, &agent, &mut profile, agent_name).await?;
        let identity = profile.agent.clone().ok_or_else(|| Failure::failed("the profile has no agent"))?;
        show(&identity);
        let scopes: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
        let request = || {
            agent.sign(json!({
                "agent_id": identity.agent_id,
                "registration_code": identity.registration_code,
                "key_name": format!("{agent_name} (command line)"),
                "scopes": scopes,
                "expires_in_days": KEY_DAYS,
            }))
        };
        let resume = resume(name, agent_name);
        let key = match wait(client, request, arguments.timeout_seconds, (&identity, &resume)).await {
            Ok(key) => key,
            Err(failure) => {
                if failure.code() == ErrorCode::RegistrationCodeInvalid.as_str() {
                    // The next run registers the same key again, which gives a fresh code.
                    forget_code(&mut profile);
                    profile::save(name, &profile)?;
                }
                return Err(failure);
            }
        };
        profile.api_key = Some(key.api_key);
        forget_code(&mut profile);
        profile::save(name, &profile)?;
    }
    let identity = profile.agent.ok_or_else(|| Failure::failed("the profile has no agent"))?;
    let value = json!({
        "profile": name, "base_url": client.base_url(), "agent_id": identity.agent_id,
        "agent_name": identity.agent_name, "bound": true,
    });
    print::answer(json, &value, |style| {
        page(
            style,
            &[
                ("profile", name.to_owned()),
                ("gateway", client.base_url().to_owned()),
                ("agent", format!("{}, {}", identity.agent_name, identity.agent_id)),
            ],
        )
    })?;
    print::hint(json, "next: rynjer models");
    Ok(())
}

/// The command that goes on.
fn resume(name: &str, agent_name: &str) -> String {
    let profile = if name == profile::USUAL { String::new() } else { format!(" --profile {name}") };
    format!("rynjer login --register {}{profile}", quoted(agent_name))
}

fn forget_code(profile: &mut Profile) {
    if let Some(identity) = &mut profile.agent {
        identity.registration_code.clear();
    }
}

/// The saved profile of this agent, or a new one with a key pair of its own.
fn begun(client: &Client, name: &str, saved: Option<Profile>, agent_name: &str) -> Result<Profile, Failure> {
    if let Some(profile) = saved {
        let same = profile.agent.as_ref().is_some_and(|agent| agent.agent_name == agent_name);
        if same && super::session::same_gateway(&profile.base_url, client.base_url()) {
            return Ok(profile);
        }
        return Err(Failure::failed(format!("the profile {name} holds another credential already"))
            .suggest("name another with --profile, or forget this one with `rynjer logout`"));
    }
    login::warn_if_open(client.base_url());
    let agent = Agent::generate(client.audience(), &Clock::System)?;
    let identity = Identity {
        agent_id: String::new(),
        agent_name: agent_name.to_owned(),
        private_key: agent.private_key(),
        registration_code: String::new(),
        bind_url: String::new(),
    };
    let profile =
        Profile { base_url: client.base_url().to_owned(), agent: Some(identity), ..Profile::default() };
    login::save(name, &profile)?;
    Ok(profile)
}

fn agent_of(profile: &Profile, client: &Client) -> Result<Agent, Failure> {
    let key = profile.agent.as_ref().map(|agent| agent.private_key.as_str()).unwrap_or_default();
    Agent::from_private_key(key, client.audience(), &Clock::System)
        .ok_or_else(|| Failure::failed("the profile's private key is damaged"))
}

/// Registers the key, unless the code of the last time may still be the one that the owner binds.
async fn register(
    client: &Client,
    name: &str,
    agent: &Agent,
    profile: &mut Profile,
    agent_name: &str,
) -> Result<(), Failure> {
    let code = profile.agent.as_ref().map(|agent| agent.registration_code.clone()).unwrap_or_default();
    if !code.is_empty() {
        return Ok(());
    }
    let request = agent.sign(json!({
        "public_key": agent.public_key(),
        "agent_name": agent_name,
        "agent_version": env!("CARGO_PKG_VERSION"),
    }))?;
    let answer = client.register(&request).await?;
    if let Some(identity) = &mut profile.agent {
        identity.agent_id = answer.agent_id;
        identity.registration_code = answer.registration_code;
        identity.bind_url = answer.bind_url;
    }
    profile::save(name, profile)
}

/// What the owner needs.
fn show(identity: &Identity) {
    let style = terminal::stderr();
    let code = plain::line(&identity.registration_code);
    let (name, id) = (plain::line(&identity.agent_name), plain::line(&identity.agent_id));
    print::talk(&format!("{} is registered as {id}.", style.bold(&name)));
    print::talk("Its owner binds it, in the console or on the gateway's machine:");
    print::talk(&format!("  {}  {}", style.dim("page"), plain::line(&identity.bind_url)));
    print::talk(&format!("  {}  {code}", style.dim("code")));
    let command = format!("rynjer admin agent bind {} --account EMAIL --scopes all", quoted(&code));
    print::talk(&format!("  {}   {command}", style.dim("or:")));
}

/// Asks for the key until the owner has bound the agent.
async fn wait(
    client: &Client,
    request: impl Fn() -> Result<serde_json::Value, Failure>,
    timeout_seconds: u64,
    (identity, resume): (&Identity, &str),
) -> Result<KeyCreateAnswer, Failure> {
    let again = format!("run `{resume}` again to go on");
    let mut signals = Signals::listen()?;
    let until = Instant::now() + Duration::from_secs(timeout_seconds);
    let mut told = false;
    loop {
        let error = match client.create_key(&request()?).await {
            Ok(key) => return Ok(key),
            Err(error) => error,
        };
        let code = match &error {
            ClientError::Api { data, .. } => data.code(),
            _ => None,
        };
        match code {
            Some(ErrorCode::AgentNotBound) => {}
            Some(ErrorCode::ScopeNotAllowed) => {
                let hint = format!("ask for what the owner granted: `{resume} --scopes SCOPES`");
                return Err(Failure::from(error).suggest(hint));
            }
            Some(ErrorCode::RegistrationCodeInvalid) => {
                return Err(Failure::from(error).suggest(format!("`{resume}` gets a fresh code")));
            }
            _ if error.is_passing() => {}
            _ => return Err(error.into()),
        }
        let asked =
            error.retry_after_seconds().map_or(PAUSE, |seconds| PAUSE.max(Duration::from_secs(seconds)));
        if Instant::now() + asked > until {
            return Err(Failure::not_authenticated(format!("{} is not bound yet", identity.agent_name))
                .coded("agent_not_bound")
                .suggest(again));
        }
        if !told {
            print::talk(&terminal::stderr().dim("waiting for the owner; Ctrl-C stops, and nothing is lost"));
            told = true;
        }
        tokio::select! {
            () = tokio::time::sleep(asked) => {}
            () = signals.next() => return Err(Failure::failed("interrupted").suggest(again)),
        }
    }
}
