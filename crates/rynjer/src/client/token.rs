//! Access tokens of a profile's agent: fetched, kept and refreshed without a word.
//!
//! Invariant: of several processes one refreshes and the others take what it got, since a refresh token is
//! spent by its use. Not here: API keys, which are sent as they are.

use super::profile::{self, Profile, Token};
use super::session::Trouble;
use crate::{agent::Agent, failure::Failure};
use rynjer_api::{Client, ClientError, RefreshRequest, TokenAnswer};
use rynjer_server::clock::Clock;
use serde_json::json;

/// A token with less time left than this is replaced before it is used.
const SPARE_MS: i64 = 60_000;

/// A token that is good for a while; `anew` if the last one was refused.
pub(super) async fn fresh(client: &Client, name: &str, anew: bool) -> Result<String, Trouble> {
    let clock = Clock::System;
    let refused = current(name)?.token.filter(|_| anew).map(|token| token.access_token);
    let usable = |profile: &Profile| {
        let token = profile.token.as_ref()?;
        let good = token.expires_at_ms - clock.now_ms() > SPARE_MS;
        (good && refused.as_ref() != Some(&token.access_token)).then(|| token.access_token.clone())
    };
    if let Some(token) = usable(&current(name)?) {
        return Ok(token);
    }
    let _held = profile::hold(name)?;
    let mut profile = current(name)?;
    if let Some(token) = usable(&profile) {
        return Ok(token);
    }
    let answer = obtain(client, &profile, &clock, refused.is_some()).await?;
    let access_token = answer.access_token.clone();
    profile.token = Some(Token {
        access_token: answer.access_token,
        expires_at_ms: clock.now_ms().saturating_add(answer.expires_in.saturating_mul(1000)),
        refresh_token: answer.refresh_token,
    });
    profile::save(name, &profile)?;
    Ok(access_token)
}

fn current(name: &str) -> Result<Profile, Failure> {
    profile::load(name)?.ok_or_else(|| Failure::not_authenticated(format!("the profile {name} is gone")))
}

/// The next token by the refresh token, else by the API key.
async fn obtain(
    client: &Client,
    profile: &Profile,
    clock: &Clock,
    refused: bool,
) -> Result<TokenAnswer, Trouble> {
    let (Some(identity), Some(api_key)) = (&profile.agent, &profile.api_key) else {
        return Err(Failure::not_authenticated("the profile has no agent's key").into());
    };
    let agent = Agent::from_private_key(&identity.private_key, client.audience(), clock)
        .ok_or_else(|| Failure::failed("the profile's private key is damaged"))?;
    let refresh = profile.token.as_ref().and_then(|token| token.refresh_token.clone());
    if let Some(refresh_token) = refresh.filter(|_| !refused) {
        let signed = agent.sign(json!({"refresh_token": refresh_token, "agent_id": identity.agent_id}))?;
        let request: RefreshRequest =
            serde_json::from_value(signed).map_err(|error| Failure::failed(error.to_string()))?;
        match client.refresh(&request).await {
            // Spent, too old or revoked with its family: the key gives a new one.
            Err(ClientError::Api { status: 400..=499, .. }) => {}
            other => return Ok(other?),
        }
    }
    let signed = agent.sign(json!({"agent_id": identity.agent_id}))?;
    Ok(client.clone().with_bearer(api_key.as_str()).issue_token(&signed).await?)
}
