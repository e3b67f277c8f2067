//! `/operator/owners`: people and invitations.
//!
//! Invariant: a link is on one page, the one that answers its making. Not here: what people do themselves
//! (`security`).

use super::tag_of;
use crate::{
    app::{Error, admin::Admin, letter, session::Session},
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
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use rynjer_core::id::OwnerId;
use rynjer_store::{owner::OwnerRow, ticket::TicketRow};
use serde::Deserialize;

const PATH: &str = "/operator/owners";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(PATH, get(show))
        .route("/operator/owners/invite", post(invite))
        .route("/operator/owners/cancel", post(cancel))
        .route("/operator/owners/disable", post(disable))
        .route("/operator/owners/role", post(set_role))
        .route("/operator/owners/reset", post(reset))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    done: String,
}

/// What stands over the list.
#[derive(Default)]
struct News {
    told: String,
    problem: String,
    /// A link that is shown this once.
    link: String,
}

#[derive(Template)]
#[template(path = "operator_owners.html")]
struct Page {
    frame: Frame,
    news: News,
    people: Vec<Person>,
    invitations: Vec<Invitation>,
}

struct Person {
    id: String,
    email: String,
    operator: bool,
    disabled: bool,
    state: &'static str,
    tag: &'static str,
    signed_in: String,
    second_step: bool,
}

impl Person {
    fn of(row: &OwnerRow, now_ms: i64) -> Self {
        let state = if row.disabled_at_ms.is_some() { "disabled" } else { "active" };
        Self {
            id: row.id.to_string(),
            email: row.email.clone(),
            operator: row.role == "operator",
            disabled: row.disabled_at_ms.is_some(),
            state,
            tag: tag_of(state),
            signed_in: row.signed_in_at_ms.map_or("never".to_owned(), |at_ms| shown::ago(at_ms, now_ms)),
            second_step: row.totp_enabled_at_ms.is_some(),
        }
    }
}

struct Invitation {
    email: String,
    role: String,
    made: String,
    ends: String,
}

impl Invitation {
    fn of(row: &TicketRow, now_ms: i64) -> Self {
        Self {
            email: row.email.clone(),
            role: row.role.clone(),
            made: shown::ago(row.created_at_ms, now_ms),
            ends: shown::ago(row.expires_at_ms, now_ms),
        }
    }
}

async fn show(
    State(shared): State<Shared>,
    Operator(session): Operator,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    let told = match asked.done.as_str() {
        "cancel" => "The invitation works no longer.",
        "disable" => "They are signed out and can't sign in.",
        "enable" => "They can sign in again.",
        "role" => "Their role is changed.",
        _ => "",
    };
    owners_page(&shared, &session, News { told: told.to_owned(), ..News::default() }).await
}

async fn owners_page(shared: &Shared, session: &Session, news: News) -> Result<Response, Fault> {
    let (fault, now_ms) = (|error| Fault::of(error, &shared.app), shared.app.now_ms());
    let hand = session.operator_hand(&shared.app).map_err(fault)?;
    let people = hand.owner_list().await.map_err(fault)?;
    let invitations = hand.invitation_list().await.map_err(fault)?;
    page(
        shared,
        &Page {
            frame: Frame::new(&shared.app, session, PATH, "People"),
            news,
            people: people.iter().map(|row| Person::of(row, now_ms)).collect(),
            invitations: invitations.iter().map(|row| Invitation::of(row, now_ms)).collect(),
        },
    )
}

/// What a form did: a word for the address, or a link that is shown once.
enum Outcome {
    Done(&'static str),
    Link { told: String, link: String },
}

async fn answer(
    shared: &Shared,
    session: &Session,
    outcome: Result<Outcome, Error>,
) -> Result<Response, Fault> {
    match outcome {
        Ok(Outcome::Done(what)) => Ok(Redirect::to(&format!("{PATH}?done={what}")).into_response()),
        Ok(Outcome::Link { told, link }) => {
            owners_page(shared, session, News { told, link, problem: String::new() }).await
        }
        Err(error) => {
            let (status, problem) = confirm::problem(error).map_err(|error| Fault::of(error, &shared.app))?;
            let mut response = owners_page(shared, session, News { problem, ..News::default() }).await?;
            *response.status_mut() = status;
            Ok(response)
        }
    }
}

/// Whom a form is about.
fn named(form: &Form) -> Result<OwnerId, Error> {
    OwnerId::parse(form.text("owner")).ok_or_else(|| Error::field("owner", "is nobody here"))
}

fn hand(shared: &Shared, session: &Session) -> Result<Admin, Error> {
    session.operator_hand(&shared.app)
}

async fn invite(
    State(shared): State<Shared>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    let outcome = invited(&shared, &session, &form).await;
    answer(&shared, &session, outcome).await
}

async fn invited(shared: &Shared, session: &Session, form: &Form) -> Result<Outcome, Error> {
    crate::app::owner::email_of(form.text("email"))?;
    confirm::check(&shared.app, session, form).await?;
    let operator = form.text("role") == "operator";
    let link = hand(shared, session)?.invite(shared.app.public_url(), form.text("email"), operator).await?;
    let mut told = format!("The invitation of {} works once, for a week.", form.text("email"));
    if shared.app.letters.is_on() {
        let sent = letter::invite(&shared.app, form.text("email"), &link).await;
        let how = if sent.is_ok() {
            " A letter is sent."
        } else {
            " The letter could not be sent: do it yourself."
        };
        told.push_str(how);
    }
    Ok(Outcome::Link { told, link })
}

async fn cancel(
    State(shared): State<Shared>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    let outcome = async {
        hand(&shared, &session)?.invitation_cancel(form.text("email")).await?;
        Ok(Outcome::Done("cancel"))
    };
    let outcome = outcome.await;
    answer(&shared, &session, outcome).await
}

async fn disable(
    State(shared): State<Shared>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    let outcome = async {
        let (id, disabled) = (named(&form)?, !form.has("enable"));
        confirm::check(&shared.app, &session, &form).await?;
        hand(&shared, &session)?.owner_disable(&id, disabled).await?;
        Ok(Outcome::Done(if disabled { "disable" } else { "enable" }))
    };
    let outcome = outcome.await;
    answer(&shared, &session, outcome).await
}

async fn set_role(
    State(shared): State<Shared>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    let outcome = async {
        let id = named(&form)?;
        confirm::check(&shared.app, &session, &form).await?;
        hand(&shared, &session)?.owner_promote(&id, form.text("role") == "operator").await?;
        Ok(Outcome::Done("role"))
    };
    let outcome = outcome.await;
    answer(&shared, &session, outcome).await
}

async fn reset(
    State(shared): State<Shared>,
    SentByOperator(session, form): SentByOperator,
) -> Result<Response, Fault> {
    let outcome = async {
        let id = named(&form)?;
        confirm::check(&shared.app, &session, &form).await?;
        let link = hand(&shared, &session)?.reset_link(shared.app.public_url(), &id).await?;
        Ok(Outcome::Link { told: "The link for a new password works once, for an hour.".to_owned(), link })
    };
    let outcome = outcome.await;
    answer(&shared, &session, outcome).await
}
