//! `/settings/policies/{subject_id}`: which models an account, an agent or a key may use, and what one
//! generation may cost at most.
//!
//! Invariant: what is shown is what the next request is held to; allowing more asks for the password. Not
//! here: the rule (`core::policy`), limits over time (`limit`).

use super::{
    agent::with_status,
    confirm,
    fault::Fault,
    form::Form,
    frame::{Frame, page},
    guard::{Guard, Sent},
    limit, shown,
};
use crate::{
    app::{Error, session::Session},
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
    budget::Subject,
    catalog::{Model, Product},
    credits::Credits,
    id::{AgentId, KeyId},
    policy::Policy,
};
use rynjer_store::policy::PolicyRow;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/settings/policies/{subject_id}", get(show).post(set))
        .route("/settings/policies/{subject_id}/remove", post(remove))
}

/// A policy in words.
pub(super) struct Allowed {
    /// The page that changes it.
    pub(super) path: String,
    pub(super) models: String,
    pub(super) price: String,
    /// Whether anything is forbidden.
    pub(super) is_set: bool,
}

impl Allowed {
    pub(super) fn of(rows: &[PolicyRow], subject: Subject, subject_id: &str) -> Self {
        let policy = policy_of(rows, subject, subject_id);
        Self {
            path: format!("/settings/policies/{subject_id}"),
            models: policy.models.as_ref().map_or_else(|| "all".to_owned(), |names| names.join(", ")),
            price: match policy.max_price {
                Some(price) => format!("at most {} credits", shown::credits(price.0)),
                None => "any".to_owned(),
            },
            is_set: policy != Policy::none(subject),
        }
    }
}

fn policy_of(rows: &[PolicyRow], subject: Subject, subject_id: &str) -> Policy {
    let own = rows.iter().find(|row| row.policy.subject == subject && row.subject_id == subject_id);
    own.map_or_else(|| Policy::none(subject), |row| row.policy.clone())
}

/// Whose policy an address names.
struct Whose {
    subject: Subject,
    id: String,
    name: String,
    /// The link of the navigation, and the page that shows what holds.
    section: &'static str,
    back: String,
}

async fn whose(app: &App, session: &Session, id: &str) -> Result<Whose, Error> {
    let (hand, account) = (session.hand(app)?, session.account_id()?);
    let of = |subject, name, section, back| Whose { subject, id: id.to_owned(), name, section, back };
    if id == account.as_str() {
        let path = "/settings/account";
        return Ok(of(Subject::Account, "the whole account".to_owned(), path, path.to_owned()));
    }
    if let Some(agent) = AgentId::parse(id) {
        let row = hand.agent_show(&agent).await?;
        return Ok(of(Subject::Agent, row.name, "/settings/agents", format!("/settings/agents/{id}")));
    }
    let key = KeyId::parse(id).ok_or(Error::NotFound)?;
    let row = hand.key_show(&account, &key).await?;
    Ok(match row.agent_id {
        Some(agent) => of(Subject::Key, row.name, "/settings/agents", format!("/settings/agents/{agent}")),
        None => of(Subject::Key, row.name, "/settings/apikeys", "/settings/apikeys".to_owned()),
    })
}

struct ModelBox {
    name: String,
    price: String,
    ticked: bool,
}

/// Models that make the same.
struct Group {
    name: &'static str,
    boxes: Vec<ModelBox>,
}

/// What the form has in its fields.
struct Typed {
    /// Only what is ticked, or everything.
    only: bool,
    models: Vec<String>,
    price: String,
}

impl Typed {
    fn of(policy: &Policy) -> Self {
        Self {
            only: policy.models.is_some(),
            models: policy.models.clone().unwrap_or_default(),
            price: policy.max_price.map(|price| price.0.to_string()).unwrap_or_default(),
        }
    }

    fn again(form: &Form) -> Self {
        let models = form.all("models").map(str::to_owned).collect();
        Self { only: form.text("which") == "only", models, price: form.text("max_price").to_owned() }
    }
}

#[derive(Template)]
#[template(path = "policy.html")]
struct Page {
    frame: Frame,
    problem: String,
    whose: Whose,
    allowed: Allowed,
    typed: Typed,
    groups: Vec<Group>,
    /// Models that are allowed and that the catalog has no more.
    gone: String,
}

async fn policy_page(
    shared: &Shared,
    session: &Session,
    whose: Whose,
    again: Option<(&Form, String)>,
) -> Result<Response, Fault> {
    let (fault, app) = (|error| Fault::of(error, &shared.app), &shared.app);
    let hand = session.hand(app).map_err(fault)?;
    let account = session.account_id().map_err(fault)?;
    let rows = hand.policy_list(&account).await.map_err(fault)?;
    let policy = policy_of(&rows, whose.subject, &whose.id);
    let gone = policy.models.iter().flatten().filter(|name| app.catalog.model(name).is_none());
    let gone = gone.map(String::as_str).collect::<Vec<_>>().join(", ");
    let (typed, problem) = match again {
        Some((form, problem)) if form.has("which") => (Typed::again(form), problem),
        again => (Typed::of(&policy), again.map(|(_, problem)| problem).unwrap_or_default()),
    };
    let title = format!("What {} may ask for", whose.name);
    let frame = Frame::new(app, session, whose.section, &title);
    let allowed = Allowed::of(&rows, whose.subject, &whose.id);
    let groups = groups(app, &typed.models);
    page(shared, &Page { frame, problem, whose, allowed, typed, groups, gone })
}

fn groups(app: &App, ticked: &[String]) -> Vec<Group> {
    let group = |product: Product| {
        let models = app.catalog.models().iter().filter(|model| model.product == product);
        let one = |model: &std::sync::Arc<Model>| ModelBox {
            price: lowest_price(app, model),
            ticked: ticked.contains(&model.name),
            name: model.name.clone(),
        };
        let name = match product {
            Product::Image => "Images",
            Product::Video => "Videos",
            Product::Music => "Music",
        };
        Group { name, boxes: models.map(one).collect() }
    };
    Product::ALL.into_iter().map(group).filter(|group| !group.boxes.is_empty()).collect()
}

fn lowest_price(app: &App, model: &Model) -> String {
    let by_size = app.catalog.resolution_prices(model).into_iter().map(|(_, price)| price);
    let lowest = by_size.min().or_else(|| app.catalog.model_price(&model.name).map(|price| price.credits));
    lowest.map(|price| format!("from {} credits", shown::credits(price.0))).unwrap_or_default()
}

async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Guard(session): Guard,
) -> Result<Response, Fault> {
    let whose = whose(&shared.app, &session, &id).await.map_err(|error| Fault::of(error, &shared.app))?;
    policy_page(&shared, &session, whose, None).await
}

async fn set(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Sent(session, form): Sent,
) -> Result<Response, Fault> {
    let whose = whose(&shared.app, &session, &id).await.map_err(|error| Fault::of(error, &shared.app))?;
    let changed = change(&shared.app, &session, &whose, &form).await;
    answered(&shared, &session, whose, &form, changed).await
}

async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Sent(session, form): Sent,
) -> Result<Response, Fault> {
    let whose = whose(&shared.app, &session, &id).await.map_err(|error| Fault::of(error, &shared.app))?;
    let changed = write(&shared.app, &session, &whose, &form, Policy::none(whose.subject)).await;
    answered(&shared, &session, whose, &form, changed).await
}

/// The page that shows what holds now; the form with what was wrong, if nothing was changed.
async fn answered(
    shared: &Shared,
    session: &Session,
    whose: Whose,
    form: &Form,
    changed: Result<(), Error>,
) -> Result<Response, Fault> {
    let Err(error) = changed else { return Ok(Redirect::to(&whose.back).into_response()) };
    let (status, problem) = confirm::problem(error).map_err(|error| Fault::of(error, &shared.app))?;
    Ok(with_status(status, policy_page(shared, session, whose, Some((form, problem))).await?))
}

async fn change(app: &App, session: &Session, whose: &Whose, form: &Form) -> Result<(), Error> {
    let (hand, account) = (session.hand(app)?, session.account_id()?);
    let rows = hand.policy_list(&account).await?;
    let policy = wanted(form, &policy_of(&rows, whose.subject, &whose.id))?;
    write(app, session, whose, form, policy).await
}

async fn write(
    app: &App,
    session: &Session,
    whose: &Whose,
    form: &Form,
    policy: Policy,
) -> Result<(), Error> {
    let confirmed = limit::may_allow_more(app, session, form).await?;
    let (hand, account) = (session.hand(app)?, session.account_id()?);
    hand.policy_change(&app.catalog, &account, &whose.id, policy, confirmed).await
}

/// What a form asks for. Models that are ticked while all are chosen mean nothing if they were so before, and
/// are a question otherwise.
fn wanted(form: &Form, before: &Policy) -> Result<Policy, Error> {
    let ticked: Vec<String> = form.all("models").map(str::to_owned).collect();
    let known = before.models.clone().unwrap_or_default();
    let is_new = ticked.iter().any(|name| !known.contains(name));
    let models = match form.text("which") {
        "all" if is_new => {
            let problem = "are ticked, and all are chosen: choose \"only those ticked\", or untick them";
            return Err(Error::field("models", problem));
        }
        "all" => None,
        "only" if ticked.is_empty() => {
            return Err(Error::field("models", "must be at least one: tick a box, or pause instead"));
        }
        "only" => Some(ticked),
        _ => return Err(Error::field("which", "must be all models, or only those ticked")),
    };
    let max_price = form.number("max_price")?.map(Credits);
    Ok(Policy { subject: before.subject, models, max_price })
}
