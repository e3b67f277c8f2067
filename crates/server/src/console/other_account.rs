//! What is said where a form is of another account than this browser shows now.
//!
//! Invariant: nothing was changed by then, and only accounts of the person's own are named. Not here: which
//! forms are about an account (`guard`).

use super::{
    fault::Fault,
    form::Form,
    frame::{Frame, page as framed},
};
use crate::{app::session::Session, http::extract::Shared};
use askama::Template;
use axum::response::Response;
use http::StatusCode;

/// An account by what its owner calls it.
struct Named {
    id: String,
    email: String,
    mode: String,
}

#[derive(Template)]
#[template(path = "other_account.html")]
struct Page {
    frame: Frame,
    /// The account that the form is of, if it is one of the person's own.
    meant: Option<Named>,
    now: String,
}

/// The page, with the status of a conflict.
pub(super) fn page(shared: &Shared, session: &Session, form: &Form) -> Result<Response, Fault> {
    let own = session.accounts.iter().find(|row| row.id.as_str() == form.text("account"));
    let meant =
        own.map(|row| Named { id: row.id.to_string(), email: row.email.clone(), mode: row.mode.clone() });
    let now = session.account.as_ref().map(|row| row.email.clone()).unwrap_or_default();
    let frame = Frame::new(&shared.app, session, "", "Another account is shown now");
    let mut response = framed(shared, &Page { frame, meant, now })?;
    *response.status_mut() = StatusCode::CONFLICT;
    Ok(response)
}
