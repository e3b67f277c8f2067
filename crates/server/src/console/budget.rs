//! `/settings/budgets`: all limits of an account, of itself, its agents and its keys.
//!
//! Invariant: every limit that refuses something is on this page, also one of an agent that has gone. Not
//! here: what a limit refuses (`core::ledger`).

use super::{
    agent::with_status,
    confirm,
    fault::Fault,
    form::Form,
    frame::{Frame, page},
    guard::{Guard, Sent},
    limit::{self, Bar, LimitField},
};
use crate::{
    app::{Error, session::Session},
    http::extract::Shared,
    state::App,
};
use askama::Template;
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use rynjer_core::{
    budget::{Budget, Period, Subject},
    credits::Credits,
    id::AccountId,
};

const PATH: &str = "/settings/budgets";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/settings/budgets", get(show).post(set))
        .route("/settings/budgets/account", post(set_account))
        .route("/settings/budgets/remove", post(remove))
}

/// Whom a limit can be set for.
struct Choice {
    /// Such as `agent agt_…`.
    value: String,
    name: String,
    /// The page with more about it.
    path: String,
}

/// A limit of an agent or a key.
struct Row {
    value: String,
    kind: &'static str,
    name: String,
    /// Empty where there is none any more.
    path: String,
    bar: Bar,
}

#[derive(Template)]
#[template(path = "budgets.html")]
struct Page {
    frame: Frame,
    problem: String,
    bars: Vec<Bar>,
    fields: Vec<LimitField>,
    rows: Vec<Row>,
    agents: Vec<Choice>,
    keys: Vec<Choice>,
}

async fn show(State(shared): State<Shared>, Guard(session): Guard) -> Result<Response, Fault> {
    budgets_page(&shared, &session, String::new()).await
}

async fn budgets_page(shared: &Shared, session: &Session, problem: String) -> Result<Response, Fault> {
    let read = overview(&shared.app, session, problem).await;
    page(shared, &read.map_err(|error| Fault::of(error, &shared.app))?)
}

async fn overview(app: &App, session: &Session, problem: String) -> Result<Page, Error> {
    let (hand, account, now_ms) = (session.hand(app)?, session.account_id()?, app.now_ms());
    let budgets = hand.budget_list(&account).await?;
    let agents = hand.agent_list(Some(account.clone())).await?;
    let agents = agents.into_iter().filter(|agent| agent.revoked_at_ms.is_none()).map(|agent| Choice {
        value: format!("agent {}", agent.id),
        path: format!("/settings/agents/{}", agent.id),
        name: agent.name,
    });
    let keys = hand.key_list_of_account(&account).await?;
    let live = keys
        .into_iter()
        .filter(|key| key.revoked_at_ms.is_none() && key.expires_at_ms.is_none_or(|at_ms| at_ms > now_ms));
    let keys = live.map(|key| Choice {
        value: format!("key {}", key.id),
        path: "/settings/apikeys".to_owned(),
        name: format!("{} ({})", key.name, key.prefix),
    });
    let (agents, keys): (Vec<Choice>, Vec<Choice>) = (agents.collect(), keys.collect());
    let bars = limit::bars(&budgets, Subject::Account, account.as_str(), now_ms);
    let of_others = budgets.iter().filter(|budget| budget.subject != Subject::Account);
    Ok(Page {
        frame: Frame::new(app, session, PATH, "Budgets"),
        problem,
        fields: limit::fields(&bars),
        bars,
        rows: of_others.map(|budget| row(budget, agents.iter().chain(&keys), now_ms)).collect(),
        agents,
        keys,
    })
}

fn row<'a>(budget: &Budget, mut choices: impl Iterator<Item = &'a Choice>, now_ms: i64) -> Row {
    let value = format!("{} {}", budget.subject.as_str(), budget.subject_id);
    let known = choices.find(|choice| choice.value == value);
    Row {
        kind: if budget.subject == Subject::Agent { "Agent" } else { "Key" },
        name: known.map_or_else(|| budget.subject_id.clone(), |choice| choice.name.clone()),
        path: known.map(|choice| choice.path.clone()).unwrap_or_default(),
        value,
        bar: Bar::of(budget, now_ms),
    }
}

/// Changes limits of one subject as a form asks for.
async fn change(
    app: &App,
    session: &Session,
    form: &Form,
    (subject, subject_id): (Subject, &str),
    wanted: Vec<(Period, Option<Credits>)>,
) -> Result<(), Error> {
    let (hand, account) = (session.hand(app)?, session.account_id()?);
    let confirmed = limit::may_allow_more(app, session, form).await?;
    hand.budget_change(&account, (subject, subject_id), wanted, confirmed).await
}

/// The page after a change; with what was wrong, if it was not made.
async fn answered(shared: &Shared, session: &Session, changed: Result<(), Error>) -> Result<Response, Fault> {
    let Err(error) = changed else { return Ok(Redirect::to(PATH).into_response()) };
    let (status, problem) = confirm::problem(error).map_err(|error| Fault::of(error, &shared.app))?;
    Ok(with_status(status, budgets_page(shared, session, problem).await?))
}

async fn set_account(State(shared): State<Shared>, Sent(session, form): Sent) -> Result<Response, Fault> {
    let changed = change_account(&shared.app, &session, &form).await;
    answered(&shared, &session, changed).await
}

async fn change_account(app: &App, session: &Session, form: &Form) -> Result<(), Error> {
    let account: AccountId = session.account_id()?;
    change(app, session, form, (Subject::Account, account.as_str()), limit::wanted(form)?).await
}

async fn set(State(shared): State<Shared>, Sent(session, form): Sent) -> Result<Response, Fault> {
    let changed = change_one(&shared.app, &session, &form).await;
    answered(&shared, &session, changed).await
}

async fn change_one(app: &App, session: &Session, form: &Form) -> Result<(), Error> {
    let subject = subject(form)?;
    let limit = limit::single(form)?.ok_or_else(|| Error::field("limit", "is required"))?;
    change(app, session, form, subject, vec![(limit.1, Some(limit.0))]).await
}

async fn remove(State(shared): State<Shared>, Sent(session, form): Sent) -> Result<Response, Fault> {
    let changed = remove_one(&shared.app, &session, &form).await;
    answered(&shared, &session, changed).await
}

async fn remove_one(app: &App, session: &Session, form: &Form) -> Result<(), Error> {
    let period = Period::parse(form.text("period"))
        .ok_or_else(|| Error::field("period", "must be a day, a month or the total"))?;
    change(app, session, form, subject(form)?, vec![(period, None)]).await
}

/// Whom a form names, such as `agent agt_…`.
fn subject(form: &Form) -> Result<(Subject, &str), Error> {
    let (kind, id) = form.text("subject").split_once(' ').unwrap_or_default();
    match Subject::parse(kind) {
        Some(subject @ (Subject::Agent | Subject::Key)) => Ok((subject, id)),
        _ => Err(Error::field("subject", "must be an agent or a key")),
    }
}
