//! `login`, `logout` and `profiles`: what is saved.
//!
//! Invariant: a key is checked with the gateway before it is saved, and is never an argument. Not here: an
//! agent's own key (`register`).

use super::{
    account,
    profile::{self, Profile},
    register,
    session::{self, Session, well_formed},
};
use crate::{
    cli::client::{Login, Profiles, Reach},
    failure::Failure,
    print,
    table::{page, table},
};
use rynjer_api::Client;
use serde_json::json;
use std::io::{IsTerminal, Read};

const USUAL_BASE_URL: &str = "http://127.0.0.1:8787";
/// The longest text that is taken for a key.
const KEY_MAX: u64 = 4096;

/// Runs `rynjer login`.
pub(super) async fn run(arguments: Login, json: bool) -> Result<(), Failure> {
    let (name, _) = session::profile_name(&arguments.reach);
    let saved = profile::load(&name)?;
    let client = client(&arguments.reach, saved.as_ref())?;
    if let Some(agent_name) = &arguments.register {
        return register::run(&client, &name, saved, agent_name, &arguments, json).await;
    }
    let key = key(&arguments)?;
    let key = well_formed(&key, "what was given")?;
    let me = client.clone().with_bearer(key).me().await?;
    warn_if_open(client.base_url());
    let profile = Profile {
        base_url: client.base_url().to_owned(),
        api_key: Some(key.to_owned()),
        ..Profile::default()
    };
    save(&name, &profile)?;
    let mut value = account::object(&me)?;
    value["profile"] = name.as_str().into();
    value["base_url"] = client.base_url().into();
    print::answer(json, &value, |style| {
        page(
            style,
            &[
                ("profile", name.clone()),
                ("gateway", client.base_url().to_owned()),
                ("account", me.account.account_id.clone()),
                ("may use", me.scopes.join(", ")),
            ],
        )
    })?;
    print::hint(json, "next: rynjer models");
    Ok(())
}

/// Saves a profile; the first one is the one to use.
pub(super) fn save(name: &str, profile: &Profile) -> Result<(), Failure> {
    let first = profile::names()?.is_empty();
    profile::save(name, profile)?;
    if first && name != profile::USUAL { profile::choose(name) } else { Ok(()) }
}

/// The gateway that is meant: flag, environment, the profile as it is, the usual one.
fn client(reach: &Reach, saved: Option<&Profile>) -> Result<Client, Failure> {
    let environment = Some(crate::terminal::variable("RYNJER_BASE_URL")).filter(|url| !url.is_empty());
    let of_profile = saved.map(|profile| profile.base_url.clone());
    let found = reach.base_url.clone().or(environment).or(of_profile);
    Client::new(&found.unwrap_or_else(|| USUAL_BASE_URL.to_owned()))
        .map_err(|error| Failure::usage(error.to_string()))
}

fn key(arguments: &Login) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| Failure::failed(format!("can't read the key: {error}"));
    let mut text = String::new();
    if let Some(path) = &arguments.api_key_file {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(KEY_MAX).read_to_string(&mut text).map_err(unreadable)?;
    } else if arguments.with_key_stdin {
        if std::io::stdin().is_terminal() {
            print::talk("paste the API key, then press Enter and Ctrl-D");
        }
        std::io::stdin().take(KEY_MAX).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        return Err(Failure::usage("there is no key to save").suggest(
            "name a file with --api-key-file, pipe it to --with-key-stdin, or make an agent with --register",
        ));
    }
    match text.trim() {
        "" => Err(Failure::usage("the key is empty")),
        text => Ok(text.to_owned()),
    }
}

/// A key that goes over the open network can be read there.
pub(super) fn warn_if_open(base_url: &str) {
    let host = base_url.strip_prefix("http://").map(|rest| rest.split(['/', ':']).next().unwrap_or(rest));
    if host.is_some_and(|host| host != "localhost" && host != "[" && !host.starts_with("127.")) {
        print::warn(&format!("{base_url} is not encrypted: everybody on the way can read the key"));
    }
}

/// Runs `rynjer logout`.
pub(super) fn logout(reach: &Reach, json: bool) -> Result<(), Failure> {
    let (name, _) = session::profile_name(reach);
    let removed = profile::remove(&name)?;
    if !removed {
        return Err(Failure::not_found(format!("there is no profile {name}")));
    }
    print::answer(json, &json!({"profile": name, "removed": true}), |_| {
        format!("forgot the profile {name}")
    })?;
    print::hint(json, "its key still works elsewhere; its owner can revoke it");
    Ok(())
}

/// Runs `rynjer profiles`.
pub(super) fn profiles(command: Profiles, json: bool) -> Result<(), Failure> {
    match command {
        Profiles::Use { name } => {
            if profile::load(&name)?.is_none() {
                return Err(Failure::not_found(format!("there is no profile {name}")));
            }
            profile::choose(&name)?;
            print::answer(json, &json!({"profile": name, "current": true}), |_| format!("now using {name}"))
        }
        Profiles::List => list(json),
    }
}

fn list(json: bool) -> Result<(), Failure> {
    let current = profile::current();
    let mut rows = Vec::new();
    for name in profile::names()? {
        let loaded = profile::load(&name);
        let base_url = match &loaded {
            Ok(Some(profile)) => profile.base_url.clone(),
            Ok(None) => continue,
            Err(failure) => failure.message().to_owned(),
        };
        let agent = loaded.ok().flatten().and_then(|profile| profile.agent).map(|agent| agent.agent_name);
        rows.push((name.clone(), base_url, agent, name == current));
    }
    if json {
        for (name, base_url, agent, current) in rows {
            let value =
                json!({"profile": name, "base_url": base_url, "agent_name": agent, "current": current});
            print::line(&value.to_string())?;
        }
        return Ok(());
    }
    if rows.is_empty() {
        print::hint(json, "no profiles; `rynjer login` makes one");
        return Ok(());
    }
    let cells = rows.into_iter().map(|(name, base_url, agent, current)| {
        vec![
            if current { "*" } else { "" }.to_owned(),
            name,
            base_url,
            agent.unwrap_or_else(|| "-".to_owned()),
        ]
    });
    let cells: Vec<Vec<String>> = cells.collect();
    print::line(&table(crate::terminal::stdout(), &["", "PROFILE", "GATEWAY", "AGENT"], &cells))
}

impl Session {
    /// Whether anything could be sent along.
    pub(super) fn has_credential(&self) -> bool {
        !matches!(self.credential, session::Credential::None)
    }
}
