//! `/operator/accounts`: all accounts, one account, and what an operator changes about it.
//!
//! Invariant: credits come by a grant with a reference, which is given once. Not here: owners' own pages.

use super::tag_of;
use crate::{
    app::{Error, operator::AccountView, session::Session},
    console::{
        confirm,
        fault::Fault,
        form::Form,
        frame::{Frame, page},
        guard::{Operator, SentByOperator},
        shown,
    },
    http::extract::Shared,
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use rynjer_core::id::AccountId;
use rynjer_store::operator::{AccountFilter, EntryLine, ListedAccount};
use serde::Deserialize;

const PATH: &str = "/operator/accounts";
const PAGE_SIZE: u32 = 50;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(PATH, get(list).post(create))
        .route("/operator/accounts/{account_id}", get(show))
        .route("/operator/accounts/{account_id}/grant", post(grant))
        .route("/operator/accounts/{account_id}/freeze", post(freeze))
        .route("/operator/accounts/{account_id}/owner", post(give))
}

/// What the list shall show, as its address has it.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    search: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    before: String,
}

#[derive(Template)]
#[template(path = "operator_accounts.html")]
struct ListPage {
    frame: Frame,
    asked: Asked,
    filtered: bool,
    accounts: Vec<Line>,
    /// The query of the next page; empty on the last.
    next: String,
    problem: String,
    states: [&'static str; 4],
}

/// An account as pages show it.
struct Line {
    id: String,
    short: String,
    email: String,
    owner: String,
    mode: String,
    available: String,
    held: String,
    charged: String,
    loss: String,
    issued: String,
    owed: String,
    open_tasks: String,
    state: String,
    tag: &'static str,
    reason: String,
    made: String,
}

impl Line {
    fn of(one: &ListedAccount) -> Self {
        let books = &one.row.books;
        Self {
            id: one.row.id.to_string(),
            short: shown::short(one.row.id.as_str()),
            email: one.row.email.clone(),
            owner: one.owner_email.clone(),
            mode: one.row.mode.clone(),
            available: shown::credits(books.available.0),
            held: shown::credits(books.held.0),
            charged: shown::credits(books.revenue.0 + books.provider_loss.0),
            loss: shown::credits(books.provider_loss.0),
            issued: shown::credits(-books.issued.0),
            owed: shown::credits(books.owed.0),
            open_tasks: shown::credits(one.row.open_tasks),
            tag: tag_of(&one.state),
            state: one.state.clone(),
            reason: one.row.frozen_reason.clone().unwrap_or_default(),
            made: shown::minute(one.row.created_at_ms),
        }
    }
}

async fn list(
    State(shared): State<Shared>,
    Operator(session): Operator,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    list_page(&shared, &session, asked, String::new()).await
}

async fn list_page(
    shared: &Shared,
    session: &Session,
    asked: Asked,
    problem: String,
) -> Result<Response, Fault> {
    let fault = |error| Fault::of(error, &shared.app);
    let filter = AccountFilter {
        search: asked.search.trim().to_owned(),
        mode: asked.mode.clone(),
        state: asked.state.clone(),
        before: asked.before.clone(),
    };
    let hand = session.operator_hand(&shared.app).map_err(fault)?;
    let rows = hand.account_page(filter, PAGE_SIZE).await.map_err(fault)?;
    let full = rows.len() == usize::try_from(PAGE_SIZE).unwrap_or(usize::MAX);
    let next = rows.last().filter(|_| full).map(|last| next_query(&asked, last.row.id.as_str()));
    let frame = Frame::new(&shared.app, session, PATH, "Accounts");
    page(
        shared,
        &ListPage {
            frame,
            filtered: [&asked.search, &asked.mode, &asked.state].iter().any(|text| !text.is_empty()),
            asked,
            accounts: rows.iter().map(Line::of).collect(),
            next: next.unwrap_or_default(),
            problem,
            states: ["active", "frozen", "paused", "closed"],
        },
    )
}

fn next_query(asked: &Asked, last: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("search", &asked.search), ("mode", &asked.mode), ("state", &asked.state)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    query.append_pair("before", last).finish()
}

#[derive(Template)]
#[template(path = "operator_account.html")]
struct AccountPage {
    frame: Frame,
    account: Line,
    budgets: Vec<BudgetLine>,
    agents: Vec<AgentLine>,
    entries: Vec<Entry>,
    told: &'static str,
    problem: String,
}

struct BudgetLine {
    subject: String,
    period: &'static str,
    limit: String,
    spent: String,
}

struct AgentLine {
    id: String,
    name: String,
    state: &'static str,
    tag: &'static str,
    scopes: String,
}

struct Entry {
    sequence: i64,
    at: String,
    kind: String,
    amount: String,
    of: String,
}

impl Entry {
    fn of(line: &EntryLine) -> Self {
        let reference = line.reference.clone().unwrap_or_default();
        Self {
            sequence: line.sequence,
            at: shown::minute(line.at_ms),
            kind: line.kind.clone(),
            amount: shown::credits(line.amount),
            of: line.task_id.clone().unwrap_or(reference),
        }
    }
}

#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    done: String,
}

fn account_id(text: &str, shared: &Shared) -> Result<AccountId, Fault> {
    AccountId::parse(text).ok_or_else(|| Fault::of(Error::NotFound, &shared.app))
}

async fn show(
    State(shared): State<Shared>,
    Operator(session): Operator,
    Path(id): Path<String>,
    Query(asked): Query<Done>,
) -> Result<Response, Fault> {
    let told = match asked.done.as_str() {
        "grant" => "The credits are granted.",
        "again" => "Nothing more was granted: that reference was used before.",
        "freeze" => "The account is frozen.",
        "thaw" => "The account can spend again.",
        "owner" => "The account has its new owner.",
        "made" => "The account is made.",
        _ => "",
    };
    account_page(&shared, &session, &account_id(&id, &shared)?, told, String::new()).await
}

async fn account_page(
    shared: &Shared,
    session: &Session,
    id: &AccountId,
    told: &'static str,
    problem: String,
) -> Result<Response, Fault> {
    let fault = |error| Fault::of(error, &shared.app);
    let hand = session.operator_hand(&shared.app).map_err(fault)?;
    let view = hand.account_view(id).await.map_err(fault)?;
    let frame = Frame::new(&shared.app, session, PATH, "Account");
    let now_ms = shared.app.now_ms();
    page(
        shared,
        &AccountPage {
            frame,
            budgets: budget_lines(&view, now_ms),
            agents: agent_lines(&view),
            entries: view.entries.iter().map(Entry::of).collect(),
            account: Line::of(&view.account),
            told,
            problem,
        },
    )
}

fn budget_lines(view: &AccountView, now_ms: i64) -> Vec<BudgetLine> {
    let line = |budget: &rynjer_core::budget::Budget| BudgetLine {
        subject: match view.agents.iter().find(|agent| agent.id.as_str() == budget.subject_id) {
            Some(agent) => format!("agent {}", agent.name),
            None => budget.subject.as_str().to_owned(),
        },
        period: budget.period.as_str(),
        limit: shown::credits(budget.limit.0),
        spent: shown::credits(budget.spent_at(now_ms).0),
    };
    view.budgets.iter().map(line).collect()
}

fn agent_lines(view: &AccountView) -> Vec<AgentLine> {
    let line = |agent: &rynjer_store::agent::AgentRow| {
        let state = if agent.revoked_at_ms.is_some() {
            "revoked"
        } else if agent.paused_at_ms.is_some() {
            "paused"
        } else {
            "active"
        };
        AgentLine {
            id: agent.id.to_string(),
            name: agent.name.clone(),
            state,
            tag: tag_of(state),
            scopes: agent.scopes.replace(' ', ", "),
        }
    };
    view.agents.iter().map(line).collect()
}

/// The account's page once more, with what was wrong.
async fn refused(
    shared: &Shared,
    session: &Session,
    id: &AccountId,
    error: Error,
) -> Result<Response, Fault> {
    let (status, problem) = confirm::problem(error).map_err(|error| Fault::of(error, &shared.app))?;
    let mut response = account_page(shared, session, id, "", problem).await?;
    *response.status_mut() = status;
    Ok(response)
}

fn done(id: &AccountId, what: &str) -> Response {
    Redirect::to(&format!("{PATH}/{id}?done={what}")).into_response()
}

async fn create(
    State(shared): State<Shared>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    match created(&shared, &session, &form).await {
        Ok(id) => Ok(done(&id, "made")),
        Err(error) => {
            let (status, problem) = confirm::problem(error).map_err(|error| Fault::of(error, &shared.app))?;
            let [search, mode, state, before] = [const { String::new() }; 4];
            let asked = Asked { search, mode, state, before };
            let mut response = list_page(&shared, &session, asked, problem).await?;
            *response.status_mut() = status;
            Ok(response)
        }
    }
}

async fn created(shared: &Shared, session: &Session, form: &Form) -> Result<AccountId, Error> {
    let hand = session.operator_hand(&shared.app)?;
    crate::app::owner::email_of(form.text("email"))?;
    confirm::check(&shared.app, session, form).await?;
    hand.account_create_for(form.text("email"), form.text("mode") == "live").await
}

async fn grant(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    let id = account_id(&id, &shared)?;
    match granted(&shared, &session, &id, &form).await {
        Ok(replayed) => Ok(done(&id, if replayed { "again" } else { "grant" })),
        Err(error) => refused(&shared, &session, &id, error).await,
    }
}

async fn granted(shared: &Shared, session: &Session, id: &AccountId, form: &Form) -> Result<bool, Error> {
    let credits = form.number("credits")?.filter(|credits| *credits > 0);
    let credits = credits.ok_or_else(|| Error::field("credits", "must be 1 or more"))?;
    confirm::check(&shared.app, session, form).await?;
    session.operator_hand(&shared.app)?.account_grant(id, credits, form.text("reference")).await
}

async fn freeze(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    let id = account_id(&id, &shared)?;
    let thaw = form.has("thaw");
    match frozen(&shared, &session, &id, &form).await {
        Ok(()) => Ok(done(&id, if thaw { "thaw" } else { "freeze" })),
        Err(error) => refused(&shared, &session, &id, error).await,
    }
}

async fn frozen(shared: &Shared, session: &Session, id: &AccountId, form: &Form) -> Result<(), Error> {
    let hand = session.operator_hand(&shared.app)?;
    let reason = form.text("reason").to_owned();
    if form.has("thaw") {
        confirm::check(&shared.app, session, form).await?;
        return hand.account_freeze(id, None).await.map(drop);
    }
    if reason.is_empty() || reason.len() > 200 {
        return Err(Error::field("reason", "must have 1 to 200 characters; the owner sees it"));
    }
    hand.account_freeze(id, Some(reason)).await.map(drop)
}

async fn give(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    let id = account_id(&id, &shared)?;
    match given(&shared, &session, &id, &form).await {
        Ok(()) => Ok(done(&id, "owner")),
        Err(error) => refused(&shared, &session, &id, error).await,
    }
}

async fn given(shared: &Shared, session: &Session, id: &AccountId, form: &Form) -> Result<(), Error> {
    let hand = session.operator_hand(&shared.app)?;
    let unknown = |error| match error {
        Error::NotFound => Error::field("owner", "is nobody's e-mail address here; invite them first"),
        other => other,
    };
    let owner = hand.owner_named(form.text("owner")).await.map_err(unknown)?;
    confirm::check(&shared.app, session, form).await?;
    hand.account_give(id, &owner.id).await
}
