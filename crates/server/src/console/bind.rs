//! `/settings/agents/bind`: an owner types the code of an agent, sees whose it is, and says yes.
//!
//! Invariant: looking changes nothing; a yes binds the very agent that the page showed, to the account that
//! it showed, with what was ticked. Not here: which codes count, and how many tries there are (`app::bind`).

use super::{
    agent::{ScopeBox, scope_boxes, ticked, with_status},
    confirm,
    fault::Fault,
    form::Form,
    frame::{Frame, page},
    guard::{Guard, Sent},
    limit, shown,
};
use crate::{
    app::{
        Error,
        bind::{Confirmed, Granted, Shown},
        session::Session,
    },
    http::extract::Shared,
    state::App,
};
use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::StatusCode;
use rynjer_core::{
    id::AgentId,
    scope::{Scope, Scopes},
};
use serde::Deserialize;

const PATH: &str = "/settings/agents";
const DEAD: &str = "No agent waits for this code. It may be mistyped, too old, used or replaced by a newer \
                    one: ask the agent to register again, and type its new code.";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/settings/agents/bind", get(ask).post(look_up))
        .route("/settings/agents/bind/confirm", post(say_yes))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    code: String,
}

#[derive(Template)]
#[template(path = "bind.html")]
struct CodePage {
    frame: Frame,
    problem: &'static str,
    code: String,
}

/// The agent that waits, and what it would get.
#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    frame: Frame,
    problem: String,
    /// Not shown beside a problem, where it is asked for again: pages of errors repeat no secret.
    code: String,
    agent_id: String,
    name: String,
    version: String,
    fingerprint: String,
    /// Who it is at Moltbook; empty for others.
    moltbook_id: String,
    registered: String,
    /// Set where the agent came for the first time earlier than that.
    first_seen: String,
    /// What it may do so far, where it spends from this account already.
    so_far: Option<String>,
    account: String,
    available: String,
    boxes: Vec<ScopeBox>,
    limit: String,
    period: String,
}

async fn ask(
    State(shared): State<Shared>,
    Query(asked): Query<Asked>,
    Guard(session): Guard,
) -> Result<Response, Fault> {
    code_page(&shared, &session, &asked.code, "")
}

fn code_page(
    shared: &Shared,
    session: &Session,
    code: &str,
    problem: &'static str,
) -> Result<Response, Fault> {
    let frame = Frame::new(&shared.app, session, PATH, "Bind an agent");
    page(shared, &CodePage { frame, problem, code: code.chars().take(100).collect() })
}

/// The page for the code again, if it is dead; each dead code is told alike. What was typed is not repeated:
/// it may be somebody's secret.
fn refused(shared: &Shared, session: &Session, error: Error) -> Result<Response, Fault> {
    match error {
        Error::RegistrationCodeInvalid => {
            Ok(with_status(StatusCode::FORBIDDEN, code_page(shared, session, "", DEAD)?))
        }
        other => Err(Fault::of(other, &shared.app)),
    }
}

async fn look_up(State(shared): State<Shared>, Sent(session, form): Sent) -> Result<Response, Fault> {
    let first = Terms { scopes: Scopes::from_iter([Scope::Image]), limit: "100", period: "day" };
    match consent(&shared.app, &session, form.text("code"), &first, String::new()).await {
        Ok(consent) => page(&shared, &consent),
        Err(error) => refused(&shared, &session, error),
    }
}

/// What the form of the page says.
struct Terms<'a> {
    scopes: Scopes,
    limit: &'a str,
    period: &'a str,
}

async fn consent(
    app: &App,
    session: &Session,
    code: &str,
    terms: &Terms<'_>,
    problem: String,
) -> Result<ConsentPage, Error> {
    let Shown { agent, fingerprint, moltbook_id } = session.hand(app)?.agent_find(code).await?;
    let account = session.account.as_ref().ok_or(Error::NotFound)?;
    let now_ms = app.now_ms();
    let came_earlier = agent.created_at_ms < agent.registered_at_ms;
    Ok(ConsentPage {
        frame: Frame::new(app, session, PATH, "Is this your agent?"),
        problem,
        code: code.to_owned(),
        agent_id: agent.id.to_string(),
        name: agent.name,
        version: agent.version,
        fingerprint,
        moltbook_id: moltbook_id.unwrap_or_default(),
        registered: shown::ago(agent.registered_at_ms, now_ms),
        first_seen: if came_earlier { shown::ago(agent.created_at_ms, now_ms) } else { String::new() },
        so_far: agent.account_id.map(|_| agent.scopes.replace(' ', ", ")),
        account: account.email.clone(),
        available: shown::credits(account.books.available.0),
        boxes: scope_boxes(terms.scopes),
        limit: terms.limit.to_owned(),
        period: terms.period.to_owned(),
    })
}

async fn say_yes(State(shared): State<Shared>, Sent(session, form): Sent) -> Result<Response, Fault> {
    let app = &shared.app;
    let error = match bind(app, &session, &form).await {
        Ok(agent) => return Ok(Redirect::to(&format!("{PATH}/{agent}")).into_response()),
        Err(error @ Error::RegistrationCodeInvalid) => {
            return refused(&shared, &session, error);
        }
        Err(error) => error,
    };
    let (status, problem) = confirm::problem(error).map_err(|error| Fault::of(error, app))?;
    let scopes = ticked(&form).unwrap_or(Scopes::NONE);
    let typed = Terms { scopes, limit: form.text("limit"), period: form.text("period") };
    match consent(app, &session, form.text("code"), &typed, problem).await {
        Ok(consent) => Ok(with_status(status, page(&shared, &consent)?)),
        Err(error) => refused(&shared, &session, error),
    }
}

/// Binds what the page showed. Whoever sends another agent's id or fingerprint has seen another page.
async fn bind(app: &App, session: &Session, form: &Form) -> Result<AgentId, Error> {
    let account = session.account_id()?;
    let granted = Granted { account, scopes: ticked(form)?, limit: limit::single(form)? };
    let agent = AgentId::parse(form.text("agent")).ok_or(Error::RegistrationCodeInvalid)?;
    let confirmed = Confirmed {
        code: form.text("code").to_owned(),
        agent,
        fingerprint: form.text("fingerprint").to_owned(),
    };
    confirm::check(app, session, form).await?;
    Ok(session.hand(app)?.agent_confirm(&confirmed, &granted).await?.id)
}
