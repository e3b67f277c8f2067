//! `/settings/security/second-step` and `/login/code`: one-time codes, set up and asked for.
//!
//! Invariant: between password and code a browser has a session that opens the code's page alone. Not here:
//! the codes (`app::second_step`).

use super::{
    confirm,
    fault::{Fault, sentence},
    frame::{Cover, Frame, page, set_cookie},
    guard::{Guard, SentByPerson, SentByStranger, Waiting, onward},
};
use crate::{
    app::{
        Error, second_step,
        session::{self, Session},
    },
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
use qrcode::{Color, EcLevel, QrCode};
use serde::Deserialize;
use std::fmt::Write;

const SECURITY: &str = "/settings/security";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/settings/security/second-step", get(show).post(begin))
        .route("/settings/security/second-step/enable", post(enable))
        .route("/settings/security/second-step/remove", post(remove))
        .route("/settings/security/second-step/codes", post(renew_codes))
        .route("/login/code", get(ask).post(sign_in))
}

#[derive(Template)]
#[template(path = "second_step.html")]
struct SetupPage {
    frame: Frame,
    side: usize,
    path: String,
    text: String,
    problem: String,
}

#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct CodesPage {
    frame: Frame,
    told: &'static str,
    codes: Vec<String>,
}

#[derive(Template)]
#[template(path = "login_code.html")]
struct CodePage {
    cover: Cover,
    email: String,
    next: String,
    problem: String,
}

async fn show(State(shared): State<Shared>, Guard(session): Guard) -> Result<Response, Fault> {
    setup_page(&shared, &session, String::new())
}

/// The key that waits for its first code; only for who proved lately to be its owner.
fn setup_page(shared: &Shared, session: &Session, problem: String) -> Result<Response, Fault> {
    let fault = |error| Fault::of(error, &shared.app);
    let setup = second_step::waiting(&shared.app, session).map_err(fault)?;
    let setup = setup.filter(|_| session.is_confirmed(shared.app.now_ms()));
    let Some(setup) = setup else { return Ok(Redirect::to(SECURITY).into_response()) };
    let (side, path) = picture(&setup.uri).map_err(fault)?;
    let letters: Vec<char> = setup.text.chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    let frame = Frame::new(&shared.app, session, SECURITY, "Second step");
    page(shared, &SetupPage { frame, side, path, text: groups.join(" "), problem })
}

/// A square of modules as the path of an SVG, with a quiet zone of four around.
fn picture(text: &str) -> Result<(usize, String), Error> {
    let picture = QrCode::with_error_correction_level(text, EcLevel::M).map_err(Error::internal)?;
    let (width, colors) = (picture.width(), picture.to_colors());
    let mut path = String::new();
    for (at, _) in colors.iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
        let (x, y) = (at % width + 4, at / width + 4);
        write!(path, "M{x} {y}h1v1h-1z").map_err(Error::internal)?;
    }
    Ok((width + 8, path))
}

async fn begin(
    State(shared): State<Shared>,
    SentByPerson(session, form): SentByPerson,
) -> Result<Response, Fault> {
    let begun = async {
        confirm::check(&shared.app, &session, &form).await?;
        second_step::begin(&shared.app, &session).await
    };
    match begun.await {
        Ok(()) => Ok(Redirect::to("/settings/security/second-step").into_response()),
        Err(error) => super::security::refused(&shared, &session, error).await,
    }
}

async fn enable(
    State(shared): State<Shared>,
    SentByPerson(session, form): SentByPerson,
) -> Result<Response, Fault> {
    if !session.is_confirmed(shared.app.now_ms()) {
        return Ok(Redirect::to(SECURITY).into_response());
    }
    match second_step::enable(&shared.app, &session, form.text("code")).await {
        Ok(codes) => codes_page(&shared, &session, "The second step is on.", codes),
        Err(error @ Error::Invalid(_)) => {
            let mut response = setup_page(&shared, &session, sentence(&error))?;
            if response.status() == http::StatusCode::OK {
                *response.status_mut() = http::StatusCode::BAD_REQUEST;
            }
            Ok(response)
        }
        Err(error) => Err(Fault::of(error, &shared.app)),
    }
}

fn codes_page(
    shared: &Shared,
    session: &Session,
    told: &'static str,
    codes: Vec<String>,
) -> Result<Response, Fault> {
    let frame = Frame::new(&shared.app, session, SECURITY, "Recovery codes");
    page(shared, &CodesPage { frame, told, codes })
}

async fn remove(
    State(shared): State<Shared>,
    SentByPerson(session, form): SentByPerson,
) -> Result<Response, Fault> {
    let removed = async {
        confirm::check(&shared.app, &session, &form).await?;
        second_step::remove(&shared.app, &session).await
    };
    match removed.await {
        Ok(()) => Ok(Redirect::to("/settings/security?done=removed").into_response()),
        Err(error) => super::security::refused(&shared, &session, error).await,
    }
}

async fn renew_codes(
    State(shared): State<Shared>,
    SentByPerson(session, form): SentByPerson,
) -> Result<Response, Fault> {
    let renewed = async {
        confirm::check(&shared.app, &session, &form).await?;
        second_step::renew_codes(&shared.app, &session).await
    };
    match renewed.await {
        Ok(codes) => codes_page(&shared, &session, "The codes that you had before work no longer.", codes),
        Err(error) => super::security::refused(&shared, &session, error).await,
    }
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
}

async fn ask(
    State(shared): State<Shared>,
    _visitor: Visitor,
    Waiting(waiting): Waiting,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    let Some(waiting) = waiting else { return Ok(Redirect::to("/login").into_response()) };
    page(&shared, &code_page(waiting.owner.email, asked.next, String::new()))
}

fn code_page(email: String, next: String, problem: String) -> CodePage {
    CodePage { cover: Cover::new("Second step"), email, next, problem }
}

async fn sign_in(State(shared): State<Shared>, sent: SentByStranger) -> Result<Response, Fault> {
    let (app, next) = (&shared.app, sent.form.text("next").to_owned());
    let Some(waiting) = sent.waiting else { return Ok(Redirect::to("/login").into_response()) };
    match second_step::check(app, &waiting.owner, sent.form.text("code"), Some(sent.address)).await {
        Ok(()) => {
            let started = session::complete(app, &waiting, Some(sent.address)).await;
            let started = started.map_err(|error| Fault::of(error, app))?;
            let cookie = set_cookie(app, Some(started.secret.expose()));
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(onward(&next))).into_response())
        }
        Err(Error::SignInRefused) => {
            let problem = "That code is wrong, or was used already.".to_owned();
            let mut response = page(&shared, &code_page(waiting.owner.email, next, problem))?;
            *response.status_mut() = http::StatusCode::UNAUTHORIZED;
            Ok(response)
        }
        Err(error) => Err(Fault::of(error, app)),
    }
}
