//! A client's checks: address, gateway, clock, credential, account, credits.
//!
//! Invariant: in an order in which no fault hides behind another that it causes. Not here: the installation
//! (`installation`).

use super::{Checks, clock};
use crate::{
    cli::client::Reach,
    client::{
        account::budget_line,
        session::{Credential, Session, Trouble},
    },
    failure::Failure,
    words::{count, credits},
};
use rynjer_api::{Budget, ClientError, ErrorCode, ErrorData, MeAnswer};
use rynjer_server::clock::Clock;
use serde::Deserialize;

/// What every answer of a gateway has.
#[derive(Deserialize)]
struct Refused {
    data: ErrorData,
}

/// Runs all checks.
pub(super) async fn check(reach: &Reach, checks: &mut Checks) -> Result<(), Failure> {
    let mut session = Session::open(reach)?;
    let profile = match &session.profile {
        Some(_) => format!("{} is private", session.profile_name),
        None => "none is used".to_owned(),
    };
    checks.pass("profile", profile);
    let theirs = reached(&session, checks).await?;
    if let Some(theirs_s) = theirs {
        let ours_s = Clock::System.now_ms().div_euclid(1000);
        if let Some(message) = clock::fault(ours_s, theirs_s) {
            return Err(Failure::failed(message)
                .coded("clock_off")
                .suggest("set it, by NTP if you can: signed requests are refused until then"));
        }
        checks.pass("clock", "agrees with the gateway's");
    }
    let me = authenticated(&mut session).await?;
    checks.pass("credential", whose(&me, &session));
    standing(&me)?;
    checks.pass("account", format!("{} may spend", me.account.account_id));
    let cheapest = models(&mut session, checks).await?;
    means(&mut session, &me, cheapest, checks).await
}

/// Whether a gateway of ours answers, and its clock in unix seconds.
async fn reached(session: &Session, checks: &mut Checks) -> Result<Option<i64>, Failure> {
    let base_url = session.client.base_url();
    let probe = session.client.probe("/v1/me").await.map_err(|error| {
        let message = match error.is_connect() {
            true => format!("nothing answers at {base_url}: {}", error.root_cause()),
            false => format!("{base_url} gives no answer: {}", error.root_cause()),
        };
        Failure::failed(message)
            .coded("no_answer")
            .suggest("start the gateway with `rynjer serve`, or correct the address with --base-url")
    })?;
    let refused = serde_json::from_slice::<Refused>(&probe.body).ok();
    let ours = refused.as_ref().and_then(|refused| refused.data.code());
    match ours {
        Some(ErrorCode::MissingCredentials) => {
            checks.pass("gateway", format!("rynjer answers at {base_url}"));
        }
        Some(code) if code.retryable() => {
            return Err(Failure::failed(format!(
                "the gateway at {base_url} is not ready: {}",
                code.summary()
            ))
            .coded(code.as_str())
            .suggest("try again in a moment; its operator can look at its log"));
        }
        _ => {
            let message = format!("what answers at {base_url} (HTTP {}) is no rynjer gateway", probe.status);
            return Err(Failure::failed(message)
                .coded("not_a_gateway")
                .suggest("correct the address with --base-url, RYNJER_BASE_URL or `rynjer login`"));
        }
    }
    Ok(probe.date.as_deref().and_then(clock::unix_seconds))
}

async fn authenticated(session: &mut Session) -> Result<MeAnswer, Failure> {
    let from = match &session.credential {
        Credential::None => return Err(session.missing()),
        Credential::Bearer { from, .. } => from.clone(),
        Credential::Agent => format!("the profile {}", session.profile_name),
    };
    let trouble = match session.call(|client| async move { client.me().await }).await {
        Ok(me) => return Ok(me),
        Err(trouble) => trouble,
    };
    let Trouble::Call(ClientError::Api { data, .. }) = &trouble else { return Err(trouble.into()) };
    let another = "save another with `rynjer login`, or ask the owner for one";
    Err(match data.code() {
        Some(ErrorCode::ExpiredToken) => {
            Failure::failed(format!("the credential of {from} has expired")).suggest(another)
        }
        Some(ErrorCode::InvalidToken) => {
            Failure::failed(format!("the credential of {from} was revoked, or is not of this gateway"))
                .suggest(another)
        }
        Some(ErrorCode::AgentNotBound) => {
            let url = data.bind_url.as_deref().unwrap_or("the gateway's console");
            Failure::failed("the agent does not belong to an account")
                .suggest(format!("its owner binds it at {url}"))
        }
        Some(ErrorCode::AgentPaused) => paused(),
        _ => return Err(trouble.into()),
    }
    .coded(data.error.as_ref()))
}

fn whose(me: &MeAnswer, session: &Session) -> String {
    let from = match &session.credential {
        Credential::Bearer { from, .. } => from.clone(),
        _ => format!("the profile {}", session.profile_name),
    };
    match &me.agent {
        Some(agent) => format!("{from} speaks for the agent {}", agent.agent_name),
        None => format!("{from} speaks for the account"),
    }
}

fn paused() -> Failure {
    Failure::failed("the owner has paused the agent").coded("agent_paused").suggest(
        "ask the owner to resume it, in the console or with `rynjer admin agent pause AGENT --resume`",
    )
}

/// Whether anything may be bought at all.
fn standing(me: &MeAnswer) -> Result<(), Failure> {
    if me.agent.as_ref().is_some_and(|agent| agent.paused) {
        return Err(paused());
    }
    if me.account.frozen {
        return Err(Failure::failed(format!("the account {} is frozen", me.account.account_id))
            .coded("account_frozen")
            .suggest(
                "ask the gateway's operator, who can run `rynjer admin account freeze ACCOUNT --thaw`",
            ));
    }
    Ok(())
}

/// The price of the cheapest model that is served here.
async fn models(session: &mut Session, checks: &mut Checks) -> Result<i64, Failure> {
    let list = session.call(|client| async move { client.models().await }).await?;
    let served = list.models.iter().filter(|model| model.available);
    let number = served.clone().count();
    let Some(cheapest) = served.map(|model| model.credits).min() else {
        return Err(Failure::failed("no model is available to this credential")
            .coded("model_unavailable")
            .suggest(
                "the gateway's operator has to set a vendor's key; test accounts always have the sandbox",
            ));
    };
    let detail =
        format!("{} of {}", number, count(list.models.len(), "model is available", "models are available"));
    checks.pass("models", detail);
    Ok(cheapest)
}

/// Whether credits and budgets suffice for the cheapest model.
async fn means(
    session: &mut Session,
    me: &MeAnswer,
    cheapest: i64,
    checks: &mut Checks,
) -> Result<(), Failure> {
    let spent = |budget: &&Budget| budget.limit - budget.spent < cheapest;
    if let Some(budget) = me.budgets.iter().find(spent) {
        let message = format!(
            "a budget is spent ({}); the cheapest model costs {}",
            budget_line(budget),
            credits(cheapest)
        );
        let hint = match &budget.resets_at {
            Some(at) => format!("wait until {at}, or ask the owner for more"),
            None => "ask the owner for more".to_owned(),
        };
        return Err(Failure::failed(message).coded("budget_exceeded").suggest(hint));
    }
    if !me.scopes.iter().any(|scope| scope == "credits:read") {
        checks.pass("credits", "not visible without the scope credits:read");
        return Ok(());
    }
    let balance = session.call(|client| async move { client.balance().await }).await?;
    if balance.available < cheapest {
        let message = format!(
            "{} are available; the cheapest model costs {}",
            credits(balance.available),
            credits(cheapest)
        );
        return Err(Failure::failed(message)
            .coded("insufficient_credits")
            .suggest("ask the owner to top up, or the operator: `rynjer admin account grant ACCOUNT N`"));
    }
    checks.pass("credits", format!("{} are available", credits(balance.available)));
    Ok(())
}
