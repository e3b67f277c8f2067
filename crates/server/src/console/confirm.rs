//! Changes that need the owner's password once more, and the code of the second step where there is one.
//!
//! Invariant: nothing passes that was not confirmed lately. Not here: what such a change is (each page says
//! so), and how long it counts (`app::session`). Forms include `confirm.html`, which asks for it if needed.

use super::{fault::sentence, form::Form};
use crate::{
    app::{
        Error,
        session::{self, Session},
    },
    state::App,
};
use http::StatusCode;

/// Checks that whoever sent a form is its owner: the password was typed lately, or is in the form.
pub(super) async fn check(app: &App, session: &Session, form: &Form) -> Result<(), Error> {
    if session.is_confirmed(app.now_ms()) {
        return Ok(());
    }
    if form.raw("confirm_password").is_empty() {
        return Err(Error::NotConfirmed);
    }
    session::confirm(app, session, form.raw("confirm_password"), form.text("confirm_code")).await
}

/// What a page says over its form where a change was refused, and the status that goes with it; any other
/// error is a page of its own.
pub(super) fn problem(error: Error) -> Result<(StatusCode, String), Error> {
    match error {
        Error::SignInRefused => Ok((StatusCode::UNAUTHORIZED, "That is not your password.".to_owned())),
        Error::NotConfirmed => Ok((StatusCode::UNAUTHORIZED, "Type your password as well.".to_owned())),
        Error::Invalid(_) => Ok((StatusCode::BAD_REQUEST, sentence(&error))),
        other => Err(other),
    }
}
