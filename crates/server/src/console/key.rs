//! `/settings/apikeys`: the keys of an account itself.
//!
//! Invariant: a key's text is on the one page that answers its making, and nowhere else. Not here: keys that
//! agents make (`app::key`); they are listed with their agent and revoked here.

use super::{
    agent::{ScopeBox, scope_boxes, ticked, with_status},
    confirm,
    fault::Fault,
    form::Form,
    frame::{Frame, page},
    guard::{Guard, Sent},
    limit::{self, Bar},
    policy::Allowed,
    shown,
};
use crate::{
    app::{Error, admin::NewKey, session::Session},
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
use rynjer_core::{
    budget::{Budget, Subject},
    id::KeyId,
    key::ApiKey,
    scope::Scopes,
};
use rynjer_store::{key::KeyRow, policy::PolicyRow};

const PATH: &str = "/settings/apikeys";
/// How long keys can be made to live.
const DAYS: [i64; 3] = [30, 90, 365];
/// How long an old key can work beside the one that takes its place.
const OVERLAP_HOURS: [i64; 3] = [0, 24, 168];
const HOUR_MS: i64 = 3_600_000;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/settings/apikeys", get(list).post(create))
        .route("/settings/apikeys/{key_id}/revoke", post(revoke))
        .route("/settings/apikeys/{key_id}/rotate", post(rotate))
}

/// A key as its owner sees it.
pub(super) struct KeyLine {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) scopes: String,
    pub(super) made: String,
    pub(super) last_used: String,
    pub(super) expires: String,
    /// `active`, `expired` or `revoked`.
    pub(super) state: &'static str,
    pub(super) tag: &'static str,
    pub(super) bars: Vec<Bar>,
    pub(super) allowed: Allowed,
}

impl KeyLine {
    pub(super) fn of(row: &KeyRow, (budgets, policies): (&[Budget], &[PolicyRow]), now_ms: i64) -> Self {
        let (state, tag) = match (row.revoked_at_ms, row.expires_at_ms) {
            (Some(_), _) => ("revoked", "bad"),
            (None, Some(at_ms)) if at_ms <= now_ms => ("expired", "warn"),
            (None, _) => ("active", "good"),
        };
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            prefix: row.prefix.clone(),
            scopes: row.scopes.replace(' ', ", "),
            made: shown::day(row.created_at_ms),
            last_used: row.last_used_at_ms.map_or("never".to_owned(), |at_ms| shown::ago(at_ms, now_ms)),
            expires: row.expires_at_ms.map_or("never".to_owned(), shown::day),
            state,
            tag,
            bars: limit::bars(budgets, Subject::Key, row.id.as_str(), now_ms),
            allowed: Allowed::of(policies, Subject::Key, row.id.as_str()),
        }
    }
}

#[derive(Template)]
#[template(path = "keys.html")]
struct ListPage {
    frame: Frame,
    problem: String,
    keys: Vec<KeyLine>,
    ended: Vec<KeyLine>,
    typed: Typed,
}

/// The fields of the form that makes a key, as they are shown.
struct Typed {
    name: String,
    boxes: Vec<ScopeBox>,
    /// Days and whether they are chosen; an empty text lives until it is revoked.
    days: Vec<(String, bool)>,
    limit: String,
    period: String,
}

impl Typed {
    fn fresh() -> Self {
        Self::new(String::new(), Scopes::ALL, "90", String::new(), "day".to_owned())
    }

    fn again(form: &Form) -> Self {
        let scopes = ticked(form).unwrap_or(Scopes::NONE);
        let (name, limit) = (form.text("name").to_owned(), form.text("limit").to_owned());
        Self::new(name, scopes, form.text("expires_in_days"), limit, form.text("period").to_owned())
    }

    fn new(name: String, scopes: Scopes, chosen: &str, limit: String, period: String) -> Self {
        let days = DAYS.map(|days| days.to_string()).into_iter().chain([String::new()]);
        let days = days.map(|days| (days.clone(), days == chosen)).collect();
        Self { name, boxes: scope_boxes(scopes), days, limit, period }
    }
}

async fn list(State(shared): State<Shared>, Guard(session): Guard) -> Result<Response, Fault> {
    list_page(&shared, &session, Typed::fresh(), String::new()).await
}

async fn list_page(
    shared: &Shared,
    session: &Session,
    typed: Typed,
    problem: String,
) -> Result<Response, Fault> {
    let lines = lines(&shared.app, session).await.map_err(|error| Fault::of(error, &shared.app))?;
    let frame = Frame::new(&shared.app, session, PATH, "API keys");
    let (keys, ended) = lines.into_iter().partition(|line: &KeyLine| line.state == "active");
    page(shared, &ListPage { frame, problem, keys, ended, typed })
}

async fn lines(app: &App, session: &Session) -> Result<Vec<KeyLine>, Error> {
    let (hand, account, now_ms) = (session.hand(app)?, session.account_id()?, app.now_ms());
    let keys = hand.key_list_of_account(&account).await?;
    let (budgets, policies) = (hand.budget_list(&account).await?, hand.policy_list(&account).await?);
    Ok(keys.iter().map(|key| KeyLine::of(key, (&budgets, &policies), now_ms)).collect())
}

#[derive(Template)]
#[template(path = "key_made.html")]
struct MadePage {
    frame: Frame,
    key: KeyLine,
    secret: ApiKey,
}

/// The page of a new key; the list with what was wrong, if there is none.
async fn answered(
    shared: &Shared,
    session: &Session,
    made: Result<MadePage, Error>,
    typed: Typed,
) -> Result<Response, Fault> {
    let error = match made {
        Ok(made) => return page(shared, &made),
        Err(error) => error,
    };
    let (status, problem) = confirm::problem(error).map_err(|error| Fault::of(error, &shared.app))?;
    Ok(with_status(status, list_page(shared, session, typed, problem).await?))
}

async fn create(State(shared): State<Shared>, Sent(session, form): Sent) -> Result<Response, Fault> {
    let made = make(&shared.app, &session, &form).await;
    answered(&shared, &session, made, Typed::again(&form)).await
}

async fn rotate(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Sent(session, form): Sent,
) -> Result<Response, Fault> {
    let made = replace(&shared.app, &session, &id, &form).await;
    answered(&shared, &session, made, Typed::fresh()).await
}

/// A key in the place of another one of the account, which works beside it for a while.
async fn replace(app: &App, session: &Session, id: &str, form: &Form) -> Result<MadePage, Error> {
    let (hand, id) = (session.hand(app)?, KeyId::parse(id).ok_or(Error::NotFound)?);
    let account = session.account_id()?;
    if hand.key_show(&account, &id).await?.agent_id.is_some() {
        return Err(Error::field("key", "is an agent's: the agent makes its own"));
    }
    let hours = form.number("overlap_hours")?.filter(|hours| OVERLAP_HOURS.contains(hours));
    let hours = hours.ok_or_else(|| Error::field("overlap_hours", "must be one of those offered"))?;
    confirm::check(app, session, form).await?;
    let (row, secret) = hand.key_rotate(&id, hours * HOUR_MS).await?;
    made_page(app, session, &row, secret).await
}

async fn make(app: &App, session: &Session, form: &Form) -> Result<MadePage, Error> {
    let (hand, account) = (session.hand(app)?, session.account_id()?);
    let expires_in_days = form.number("expires_in_days")?;
    if expires_in_days.is_some_and(|days| !DAYS.contains(&days)) {
        return Err(Error::field("expires_in_days", "must be one of those offered"));
    }
    let new = NewKey {
        name: form.text("name").to_owned(),
        scopes: ticked(form)?,
        expires_in_days,
        limit: limit::single(form)?,
    };
    confirm::check(app, session, form).await?;
    let (row, secret) = hand.key_make(&account, new).await?;
    made_page(app, session, &row, secret).await
}

async fn made_page(app: &App, session: &Session, row: &KeyRow, secret: ApiKey) -> Result<MadePage, Error> {
    let hand = session.hand(app)?;
    let budgets = hand.budget_list(&row.account_id).await?;
    let policies = hand.policy_list(&row.account_id).await?;
    let frame = Frame::new(app, session, PATH, "Your new key");
    Ok(MadePage { frame, key: KeyLine::of(row, (&budgets, &policies), app.now_ms()), secret })
}

async fn revoke(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Sent(session, _): Sent,
) -> Result<Response, Fault> {
    let revoked = end(&shared.app, &session, &id).await;
    let onward = revoked.map_err(|error| Fault::of(error, &shared.app))?;
    Ok(Redirect::to(&onward).into_response())
}

/// Revokes a key and tells the page that lists it.
async fn end(app: &App, session: &Session, id: &str) -> Result<String, Error> {
    let (hand, id) = (session.hand(app)?, KeyId::parse(id).ok_or(Error::NotFound)?);
    let row = hand.key_show(&session.account_id()?, &id).await?;
    hand.key_revoke(&id).await?;
    Ok(row.agent_id.map_or(PATH.to_owned(), |agent| format!("/settings/agents/{agent}")))
}
