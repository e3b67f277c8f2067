//! `/settings/account/export`: everything that an account has, to take with one.
//!
//! Invariant: nothing leaves without the password, and that it left is in the log. Not here: what is in the
//! archive (`app::export`).

use super::{
    agent::with_status,
    confirm,
    fault::Fault,
    form::Form,
    frame::{Frame, page},
    guard::{Guard, Sent},
    shown,
};
use crate::{
    app::{Error, session::Session},
    http::extract::Shared,
};
use askama::Template;
use axum::{Router, body::Body, extract::State, response::Response, routing::get};
use http::{HeaderValue, header};

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/settings/account/export", get(show).post(download))
}

#[derive(Template)]
#[template(path = "export.html")]
struct Page {
    frame: Frame,
    problem: String,
    email: String,
    mode: String,
}

fn export_page(shared: &Shared, session: &Session, problem: String) -> Result<Response, Fault> {
    let Some(row) = &session.account else { return Err(Fault::of(Error::NotFound, &shared.app)) };
    let (email, mode) = (row.email.clone(), row.mode.clone());
    let frame = Frame::new(&shared.app, session, "/settings/account", "Take everything with you");
    page(shared, &Page { frame, problem, email, mode })
}

async fn show(State(shared): State<Shared>, Guard(session): Guard) -> Result<Response, Fault> {
    export_page(&shared, &session, String::new())
}

async fn download(State(shared): State<Shared>, Sent(session, form): Sent) -> Result<Response, Fault> {
    match archive(&shared, &session, &form).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let problem = confirm::problem(error).map_err(|error| Fault::of(error, &shared.app))?;
            Ok(with_status(problem.0, export_page(&shared, &session, problem.1)?))
        }
    }
}

async fn archive(shared: &Shared, session: &Session, form: &Form) -> Result<Response, Error> {
    let (hand, account) = (session.hand(&shared.app)?, session.account_id()?);
    confirm::check(&shared.app, session, form).await?;
    let bytes = hand.account_download(&shared.app, &account).await?;
    let mode = session.account.as_ref().map_or("account", |row| row.mode.as_str());
    let name = format!("rynjer-{mode}-{}.tar", shown::day(shared.app.now_ms()));
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let mut response = Response::new(Body::from_stream(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    headers.insert(header::CONTENT_DISPOSITION, name.map_err(Error::internal)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
