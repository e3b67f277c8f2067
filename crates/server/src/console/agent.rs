//! `/settings/agents`: the agents of an account, and one of them with its keys, limits and scopes.
//!
//! Invariant: an agent is shown and changed only within the account that is looked at; what is not there is
//! not found. Not here: binding (`bind`), account keys (`key`).

use super::{
    confirm,
    fault::Fault,
    form::Form,
    frame::{Frame, page},
    guard::{Guard, Sent},
    key::KeyLine,
    limit::{self, Bar, LimitField},
    policy::Allowed,
    shown, story,
};
use crate::{
    app::{Error, admin::Admin, bind::fingerprint, session::Session},
    http::extract::Shared,
    state::App,
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::StatusCode;
use rynjer_core::{
    budget::{Budget, Subject},
    id::AgentId,
    scope::{Scope, Scopes},
};
use rynjer_store::{
    agent::AgentRow,
    key::{KeyRow, KeyUse},
};

const PATH: &str = "/settings/agents";
/// Lines of the log on an agent's page.
const LINES: u32 = 20;
/// Keys that ended, on an agent's page.
const ENDED_KEYS: usize = 10;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/settings/agents", get(list))
        .route("/settings/agents/{agent_id}", get(show))
        .route("/settings/agents/{agent_id}/pause", post(pause))
        .route("/settings/agents/{agent_id}/resume", post(resume))
        .route("/settings/agents/{agent_id}/end", get(ask_end))
        .route("/settings/agents/{agent_id}/unbind", post(unbind))
        .route("/settings/agents/{agent_id}/revoke", post(revoke))
        .route("/settings/agents/{agent_id}/scopes", post(rescope))
        .route("/settings/agents/{agent_id}/budgets", post(set_limits))
}

/// An agent as its owner sees it.
pub(super) struct Card {
    id: String,
    name: String,
    version: String,
    fingerprint: String,
    /// `active`, `paused` or `revoked`.
    state: &'static str,
    tag: &'static str,
    bound: String,
    last_used: String,
    live_keys: i64,
    scopes: String,
    bars: Vec<Bar>,
}

impl Card {
    fn of(row: &AgentRow, used: KeyUse, budgets: &[Budget], now_ms: i64) -> Self {
        let (state, tag) = match (row.revoked_at_ms, row.paused_at_ms) {
            (Some(_), _) => ("revoked", "bad"),
            (None, Some(_)) => ("paused", "warn"),
            (None, None) => ("active", "good"),
        };
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            version: row.version.clone(),
            fingerprint: short_fingerprint(&row.public_key),
            state,
            tag,
            bound: row.bound_at_ms.map(shown::minute).unwrap_or_default(),
            last_used: used.last_used_at_ms.map_or("never".to_owned(), |at_ms| shown::ago(at_ms, now_ms)),
            live_keys: used.live,
            scopes: row.scopes.replace(' ', ", "),
            bars: limit::bars(budgets, Subject::Agent, row.id.as_str(), now_ms),
        }
    }
}

/// The first groups of a key's fingerprint, which tell agents of one account apart.
fn short_fingerprint(public_key: &str) -> String {
    fingerprint(public_key).split(' ').take(4).collect::<Vec<_>>().join(" ")
}

#[derive(Template)]
#[template(path = "agents.html")]
struct ListPage {
    frame: Frame,
    agents: Vec<Card>,
    revoked: Vec<Card>,
}

async fn list(State(shared): State<Shared>, Guard(session): Guard) -> Result<Response, Fault> {
    let frame = Frame::new(&shared.app, &session, PATH, "Agents");
    let cards = cards(&shared.app, &session).await.map_err(|error| Fault::of(error, &shared.app))?;
    let (revoked, agents) = cards.into_iter().partition(|card| card.state == "revoked");
    page(&shared, &ListPage { frame, agents, revoked })
}

/// All agents of the account that is looked at, newest first.
async fn cards(app: &App, session: &Session) -> Result<Vec<Card>, Error> {
    let (hand, account, now_ms) = (session.hand(app)?, session.account_id()?, app.now_ms());
    let agents = hand.agent_list(Some(account.clone())).await?;
    let (used, budgets) = (hand.key_use(&account).await?, hand.budget_list(&account).await?);
    let card =
        |row: &AgentRow| Card::of(row, used.get(&row.id).copied().unwrap_or_default(), &budgets, now_ms);
    Ok(agents.iter().map(card).collect())
}

/// A box of a form.
pub(super) struct ScopeBox {
    pub(super) name: &'static str,
    pub(super) words: &'static str,
    pub(super) ticked: bool,
}

/// The boxes of all scopes.
pub(super) fn scope_boxes(ticked: Scopes) -> Vec<ScopeBox> {
    let words = |scope| match scope {
        Scope::Image => "make images",
        Scope::Video => "make videos",
        Scope::Music => "make music",
        Scope::CreditsRead => "read the balance and the usage",
    };
    let scope_box =
        |scope: Scope| ScopeBox { name: scope.as_str(), words: words(scope), ticked: ticked.contains(scope) };
    Scope::EACH.into_iter().map(scope_box).collect()
}

/// The scopes whose boxes were ticked; at least one.
pub(super) fn ticked(form: &Form) -> Result<Scopes, Error> {
    let scopes =
        Scopes::parse(form.all("scopes")).map_err(|unknown| Error::field("scopes", unknown.to_string()))?;
    if scopes.is_empty() {
        return Err(Error::field("scopes", "must be at least one: tick a box"));
    }
    Ok(scopes)
}

#[derive(Template)]
#[template(path = "agent.html")]
struct ShowPage {
    frame: Frame,
    problem: String,
    agent: Card,
    limits: Vec<LimitField>,
    allowed: Allowed,
    boxes: Vec<ScopeBox>,
    keys: Vec<KeyLine>,
    ended_keys: Vec<KeyLine>,
    log: Vec<story::Line>,
}

async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Guard(session): Guard,
) -> Result<Response, Fault> {
    agent_page(&shared, &session, &id, String::new()).await
}

async fn agent_page(
    shared: &Shared,
    session: &Session,
    id: &str,
    problem: String,
) -> Result<Response, Fault> {
    let found = details(&shared.app, session, id, problem).await;
    page(shared, &found.map_err(|error| Fault::of(error, &shared.app))?)
}

async fn details(app: &App, session: &Session, id: &str, problem: String) -> Result<ShowPage, Error> {
    let (hand, id) = named(app, session, id)?;
    let (account, now_ms) = (session.account_id()?, app.now_ms());
    let row = hand.agent_show(&id).await?;
    let budgets = hand.budget_list(&account).await?;
    let policies = hand.policy_list(&account).await?;
    let keys = hand.key_list_of_agent(&account, &id).await?;
    let lines = hand.audit_lines_of(&account, id.as_str(), LINES).await?;
    let live = |key: &&KeyRow| key.revoked_at_ms.is_none() && key.expires_at_ms.is_none_or(|at| at > now_ms);
    let used = KeyUse {
        live: i64::try_from(keys.iter().filter(live).count()).unwrap_or(i64::MAX),
        last_used_at_ms: keys.iter().filter_map(|key| key.last_used_at_ms).max(),
    };
    let agent = Card::of(&row, used, &budgets, now_ms);
    let line = |key: &KeyRow| KeyLine::of(key, (&budgets, &policies), now_ms);
    Ok(ShowPage {
        frame: Frame::new(app, session, PATH, &row.name),
        problem,
        limits: limit::fields(&agent.bars),
        allowed: Allowed::of(&policies, Subject::Agent, id.as_str()),
        agent,
        boxes: scope_boxes(Scopes::from_text(&row.scopes).unwrap_or(Scopes::NONE)),
        keys: keys.iter().filter(live).map(line).collect(),
        ended_keys: keys.iter().filter(|key| !live(key)).take(ENDED_KEYS).map(line).collect(),
        log: lines.iter().map(|line| story::Line::of(line, session)).collect(),
    })
}

/// The hand of the owner, and the agent that an address names.
fn named(app: &App, session: &Session, id: &str) -> Result<(Admin, AgentId), Error> {
    Ok((session.hand(app)?, AgentId::parse(id).ok_or(Error::NotFound)?))
}

fn to_agent(id: &str) -> Response {
    Redirect::to(&format!("{PATH}/{id}")).into_response()
}

/// Back to where the button was: the list, or the agent itself.
fn back(id: &str, form: &Form) -> Response {
    if form.text("from") == "list" { Redirect::to(PATH).into_response() } else { to_agent(id) }
}

async fn pause(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Sent(session, form): Sent,
) -> Result<Response, Fault> {
    set_paused(&shared.app, &session, &id, true).await.map_err(|error| Fault::of(error, &shared.app))?;
    Ok(back(&id, &form))
}

async fn resume(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Sent(session, form): Sent,
) -> Result<Response, Fault> {
    let resumed = async {
        named(&shared.app, &session, &id)?;
        confirm::check(&shared.app, &session, &form).await?;
        set_paused(&shared.app, &session, &id, false).await
    };
    match resumed.await {
        Ok(()) => Ok(back(&id, &form)),
        refused => answered(&shared, &session, &id, refused).await,
    }
}

async fn set_paused(app: &App, session: &Session, id: &str, paused: bool) -> Result<(), Error> {
    let (hand, id) = named(app, session, id)?;
    hand.agent_pause(&id, paused).await.map(drop)
}

#[derive(Template)]
#[template(path = "agent_end.html")]
struct EndPage {
    frame: Frame,
    agent: Card,
}

async fn ask_end(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Guard(session): Guard,
) -> Result<Response, Fault> {
    let found = details(&shared.app, &session, &id, String::new()).await;
    let agent = found.map_err(|error| Fault::of(error, &shared.app))?.agent;
    let frame = Frame::new(&shared.app, &session, PATH, &format!("End {}", agent.name));
    page(&shared, &EndPage { frame, agent })
}

async fn unbind(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Sent(session, _): Sent,
) -> Result<Response, Fault> {
    let fault = |error| Fault::of(error, &shared.app);
    let (hand, id) = named(&shared.app, &session, &id).map_err(fault)?;
    hand.agent_unbind(&id).await.map_err(fault)?;
    Ok(Redirect::to(PATH).into_response())
}

async fn revoke(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Sent(session, _): Sent,
) -> Result<Response, Fault> {
    let fault = |error| Fault::of(error, &shared.app);
    let (hand, agent) = named(&shared.app, &session, &id).map_err(fault)?;
    hand.agent_revoke(&agent).await.map_err(fault)?;
    Ok(to_agent(&id))
}

async fn rescope(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Sent(session, form): Sent,
) -> Result<Response, Fault> {
    let changed = change_scopes(&shared.app, &session, &id, &form).await;
    answered(&shared, &session, &id, changed).await
}

async fn change_scopes(app: &App, session: &Session, id: &str, form: &Form) -> Result<(), Error> {
    let (hand, id) = named(app, session, id)?;
    let scopes = ticked(form)?;
    let confirmed = limit::may_allow_more(app, session, form).await?;
    hand.agent_rescope(&id, scopes, confirmed).await.map(drop)
}

async fn set_limits(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Sent(session, form): Sent,
) -> Result<Response, Fault> {
    let changed = change_limits(&shared.app, &session, &id, &form).await;
    answered(&shared, &session, &id, changed).await
}

async fn change_limits(app: &App, session: &Session, id: &str, form: &Form) -> Result<(), Error> {
    let (hand, id) = named(app, session, id)?;
    let wanted = limit::wanted(form)?;
    let confirmed = limit::may_allow_more(app, session, form).await?;
    hand.budget_change(&session.account_id()?, (Subject::Agent, id.as_str()), wanted, confirmed).await
}

/// The agent's page after a change; with what was wrong, if it was not made.
async fn answered(
    shared: &Shared,
    session: &Session,
    id: &str,
    changed: Result<(), Error>,
) -> Result<Response, Fault> {
    let Err(error) = changed else { return Ok(to_agent(id)) };
    let (status, problem) = confirm::problem(error).map_err(|error| Fault::of(error, &shared.app))?;
    Ok(with_status(status, agent_page(shared, session, id, problem).await?))
}

pub(super) fn with_status(status: StatusCode, mut response: Response) -> Response {
    *response.status_mut() = status;
    response
}
