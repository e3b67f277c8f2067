//! `/reset` and `/forgot`: a new password by a link, and asking for the link.
//!
//! Invariant: the pages sign nobody in, and tell nobody who is here. Not here: who makes links
//! (`app::new_password`).

use super::{
    fault::{Fault, sentence},
    frame::{Cover, page},
    guard::SentByStranger,
};
use crate::{
    app::{Error, letter, new_password},
    http::extract::{Shared, Visitor},
};
use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/reset", get(show).post(set)).route("/forgot", get(show_forgot).post(forgot))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    ticket: String,
}

#[derive(Template)]
#[template(path = "reset.html")]
struct Page {
    cover: Cover,
    ticket: String,
    email: String,
    problem: String,
}

async fn show(
    State(shared): State<Shared>,
    _visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    reset_page(&shared, &asked.ticket, String::new()).await
}

async fn reset_page(shared: &Shared, ticket: &str, problem: String) -> Result<Response, Fault> {
    let owner = new_password::of_ticket(&shared.app, ticket).await;
    let email = owner.map_err(|error| Fault::of(error, &shared.app))?.email;
    page(shared, &Page { cover: Cover::new("New password"), ticket: ticket.to_owned(), email, problem })
}

async fn set(State(shared): State<Shared>, sent: SentByStranger) -> Result<Response, Fault> {
    let (ticket, new) = (sent.form.text("ticket"), sent.form.raw("password"));
    match new_password::by_ticket(&shared.app, ticket, new, sent.address).await {
        Ok(()) => Ok(Redirect::to("/login?after=password").into_response()),
        Err(error @ Error::Invalid(_)) => {
            let mut response = reset_page(&shared, ticket, sentence(&error)).await?;
            *response.status_mut() = http::StatusCode::BAD_REQUEST;
            Ok(response)
        }
        Err(error) => Err(Fault::of(error, &shared.app)),
    }
}

#[derive(Template)]
#[template(path = "forgot.html")]
struct ForgotPage {
    cover: Cover,
    told: &'static str,
    problem: String,
}

const TOLD: &str =
    "If somebody with that address is here, a letter is under way to them. Its link works for an hour.";

fn forgot_page(told: &'static str, problem: String) -> ForgotPage {
    ForgotPage { cover: Cover::new("Forgotten password"), told, problem }
}

async fn show_forgot(State(shared): State<Shared>, _visitor: Visitor) -> Result<Response, Fault> {
    if !shared.app.letters.is_on() {
        return Err(Fault::of(Error::NotFound, &shared.app));
    }
    page(&shared, &forgot_page("", String::new()))
}

async fn forgot(State(shared): State<Shared>, sent: SentByStranger) -> Result<Response, Fault> {
    match letter::forgot(&shared.app, sent.form.text("email"), sent.address).await {
        Ok(()) => page(&shared, &forgot_page(TOLD, String::new())),
        Err(error @ Error::Invalid(_)) => {
            let mut response = page(&shared, &forgot_page("", sentence(&error)))?;
            *response.status_mut() = http::StatusCode::BAD_REQUEST;
            Ok(response)
        }
        Err(error) => Err(Fault::of(error, &shared.app)),
    }
}
