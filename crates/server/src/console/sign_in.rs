//! Pages for those who are not signed in yet: set-up, sign-in, invitation, sign-up; and signing out.
//!
//! Invariant: each sign-in makes a session of its own, whatever cookie came with it; a refusal does not tell
//! whether the person exists. Not here: passwords and throttles (`app::session`).

use super::{
    fault::{Fault, sentence},
    frame::{Cover, page, set_cookie},
    guard::{Perhaps, SentByPerson, SentByStranger, onward},
};
use crate::{
    app::{Error, owner, session},
    config::SignUp,
    http::extract::{Shared, Visitor},
};
use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::header;
use rynjer_store::owner::OwnerRow;
use serde::Deserialize;
use std::net::IpAddr;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/login", get(show).post(sign_in))
        .route("/logout", post(sign_out))
        .route("/account", post(choose_account))
        .route("/setup", get(show_setup).post(set_up))
        .route("/invitation", get(show_invitation).post(accept))
        .route("/signup", get(show_sign_up).post(sign_up))
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
    #[serde(default)]
    ticket: String,
    /// What just happened: `password` after a new password.
    #[serde(default)]
    after: String,
    /// Set after signing out: `closed` with the last account.
    #[serde(default)]
    out: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    cover: Cover,
    next: String,
    email: String,
    problem: String,
    /// Good news.
    told: &'static str,
    open: bool,
    /// Whether a forgotten password can be replaced by a letter.
    letters: bool,
    /// What the button of the provider says; empty without one.
    provider: String,
    /// Where the browser goes on from there.
    query: String,
}

/// A page that makes an owner: set-up, invitation or sign-up.
#[derive(Template)]
#[template(path = "join.html")]
struct JoinPage {
    cover: Cover,
    action: &'static str,
    lead: &'static str,
    ticket: String,
    /// Set by an invitation; then it is not asked for.
    fixed_email: String,
    email: String,
    problem: String,
}

async fn show(
    State(shared): State<Shared>,
    Perhaps(session): Perhaps,
    _visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    if session.is_some() {
        return Ok(Redirect::to(onward(&asked.next)).into_response());
    }
    let told = if asked.after == "password" {
        "Your new password is set. Sign in with it."
    } else if asked.out.is_empty() {
        ""
    } else if asked.out == "closed" {
        "The account is closed, and your sign-in has ended with it."
    } else {
        "You are signed out."
    };
    page(&shared, &login_page(&shared, asked.next, String::new(), String::new(), told))
}

fn login_page(
    shared: &Shared,
    next: String,
    email: String,
    problem: String,
    told: &'static str,
) -> LoginPage {
    let open = shared.app.config.console.sign_up == SignUp::Open;
    let letters = shared.app.letters.is_on();
    let provider = shared.app.oidc.as_ref().map(|_| shared.app.config.oidc.name.clone()).unwrap_or_default();
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", &next).finish();
    LoginPage { cover: Cover::new("Sign in"), next, email, problem, told, open, letters, provider, query }
}

async fn sign_in(State(shared): State<Shared>, sent: SentByStranger) -> Result<Response, Fault> {
    let app = &shared.app;
    let (email, next) = (sent.form.text("email").to_lowercase(), sent.form.text("next").to_owned());
    match session::guess(app, &email, sent.form.raw("password"), Some(sent.address)).await {
        Ok(owner) => start(&shared, &owner, &sent, &next).await,
        Err(error @ Error::SignInRefused) => {
            let again = login_page(&shared, next, email, sentence(&error), "");
            let mut response = page(&shared, &again)?;
            *response.status_mut() = http::StatusCode::UNAUTHORIZED;
            Ok(response)
        }
        Err(error) => Err(Fault::of(error, app)),
    }
}

/// A session for somebody who proved who they are, in the place of what the browser had.
async fn start(
    shared: &Shared,
    owner: &OwnerRow,
    sent: &SentByStranger,
    next: &str,
) -> Result<Response, Fault> {
    let app = &shared.app;
    let older = sent.session.as_ref().map(|session| session.hash);
    let started = session::start(app, owner, older, Some(sent.address), true).await;
    let started = started.map_err(|error| Fault::of(error, app))?;
    let cookie = set_cookie(app, Some(started.secret.expose()));
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&after(owner, next))).into_response())
}

/// Where a browser goes whose session has begun: to the second step, if one is due.
pub(super) fn after(owner: &OwnerRow, next: &str) -> String {
    if owner.totp_enabled_at_ms.is_none() {
        return onward(next).to_owned();
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("/login/code?{query}")
}

async fn sign_out(
    State(shared): State<Shared>,
    SentByPerson(session, _): SentByPerson,
) -> Result<Response, Fault> {
    session::end(&shared.app, &session).await.map_err(|error| Fault::of(error, &shared.app))?;
    let cookie = set_cookie(&shared.app, None);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/login?out=1")).into_response())
}

async fn choose_account(
    State(shared): State<Shared>,
    SentByPerson(session, form): SentByPerson,
) -> Result<Response, Fault> {
    let chosen = session::choose(&shared.app, &session, form.text("account")).await;
    chosen.map_err(|error| Fault::of(error, &shared.app))?;
    Ok(Redirect::to("/").into_response())
}

const SETUP: &str = "You are the first here. You become the operator of this gateway, with an account of \
                     your own to try it.";
const INVITED: &str = "You are invited to this gateway. Choose a password; your e-mail address is your name \
                       here.";
const OPEN: &str = "You get an account with credits for trying everything out.";

async fn show_setup(
    State(shared): State<Shared>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    show_ticket(&shared, visitor, "setup", asked.ticket).await
}

async fn show_invitation(
    State(shared): State<Shared>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    show_ticket(&shared, visitor, "invitation", asked.ticket).await
}

async fn show_ticket(
    shared: &Shared,
    _visitor: Visitor,
    kind: &'static str,
    ticket: String,
) -> Result<Response, Fault> {
    let opening = owner::opening(&shared.app, kind, &ticket).await;
    let opening = opening.map_err(|error| Fault::of(error, &shared.app))?;
    page(shared, &join_page(kind, ticket, opening.email, String::new(), String::new()))
}

fn join_page(kind: &str, ticket: String, fixed_email: String, email: String, problem: String) -> JoinPage {
    let (title, action, lead) = match kind {
        "setup" => ("Set up", "/setup", SETUP),
        "invitation" => ("Welcome", "/invitation", INVITED),
        _ => ("Sign up", "/signup", OPEN),
    };
    JoinPage { cover: Cover::new(title), action, lead, ticket, fixed_email, email, problem }
}

async fn set_up(State(shared): State<Shared>, sent: SentByStranger) -> Result<Response, Fault> {
    join(&shared, "setup", sent).await
}

async fn accept(State(shared): State<Shared>, sent: SentByStranger) -> Result<Response, Fault> {
    join(&shared, "invitation", sent).await
}

async fn show_sign_up(State(shared): State<Shared>, _visitor: Visitor) -> Result<Response, Fault> {
    if shared.app.config.console.sign_up != SignUp::Open {
        return Err(Fault::of(Error::NotFound, &shared.app));
    }
    page(&shared, &join_page("signup", String::new(), String::new(), String::new(), String::new()))
}

async fn sign_up(State(shared): State<Shared>, sent: SentByStranger) -> Result<Response, Fault> {
    join(&shared, "signup", sent).await
}

/// Makes an owner of a form, and signs them in.
async fn join(shared: &Shared, kind: &'static str, sent: SentByStranger) -> Result<Response, Fault> {
    let (app, form) = (&shared.app, &sent.form);
    let (ticket, email, password) = (form.text("ticket"), form.text("email"), form.raw("password"));
    let address: Option<IpAddr> = Some(sent.address);
    let joined = match kind {
        "signup" => owner::sign_up(app, email, password, address).await,
        _ => owner::join_by_ticket(app, kind, ticket, email, password, address).await,
    };
    match joined {
        Ok(id) => {
            let read = app.store.read(move |tx| rynjer_store::owner::get(tx, &id)).await;
            let owner = read.map_err(|error: rynjer_store::StoreError| Fault::of(error.into(), app))?;
            let owner = owner.ok_or_else(|| Fault::of(Error::NotFound, app))?;
            start(shared, &owner, &sent, "/").await
        }
        Err(error @ Error::Invalid(_)) => {
            let fixed = if kind == "invitation" {
                owner::opening(app, kind, ticket).await
            } else {
                Err(Error::NotFound)
            };
            let fixed = fixed.map(|opening| opening.email).unwrap_or_default();
            let again = join_page(kind, ticket.to_owned(), fixed, email.to_owned(), sentence(&error));
            let mut response = page(shared, &again)?;
            *response.status_mut() = http::StatusCode::BAD_REQUEST;
            Ok(response)
        }
        Err(error) => Err(Fault::of(error, app)),
    }
}
