//! What a page says when it can't be shown, or a form can't be done.
//!
//! Invariant: it says what to do next and nothing of what went wrong inside; strangers are sent to sign in.
//! Not here: statuses of the API (`http::error`), whose table of words this uses.

use super::{
    frame::{Cover, dressed},
    guard::onward,
};
use crate::{
    app::{Error, Field},
    http::error,
    state::App,
};
use askama::Template;
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::{HeaderValue, StatusCode, header};

/// Why there is no page.
pub(crate) enum Fault {
    /// Nobody is signed in; where they wanted to go.
    Stranger { wanted: String },
    /// A page refreshed itself after its session was over.
    Stale,
    /// The form is of another session, or of another site.
    Forged,
    /// The form is of an account that the session does not show any more: the page that says so.
    OtherAccount(Box<Response>),
    /// A use case refused.
    Refused { error: Box<Error>, app: App },
}

impl Fault {
    pub(super) fn of(error: Error, app: &App) -> Self {
        Self::Refused { error: Box::new(error), app: app.clone() }
    }
}

#[derive(Template)]
#[template(path = "fault.html")]
struct Page {
    cover: Cover,
    heading: &'static str,
    sentence: String,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::Stranger { wanted } => to_sign_in(&wanted).into_response(),
            Self::Stale => (StatusCode::UNAUTHORIZED, [("hx-refresh", "true")]).into_response(),
            Self::Forged => {
                let sentence =
                    "The form belongs to another sign-in. Go back, load the page again, and send it \
                                once more."
                        .to_owned();
                plain(StatusCode::FORBIDDEN, "This form is out of date", sentence).into_response()
            }
            Self::OtherAccount(page) => *page,
            Self::Refused { error, app } => {
                if let Error::Internal(cause) = &*error {
                    tracing::error!(cause, "a page could not be shown");
                }
                let status = StatusCode::from_u16(error::code(&error).status());
                let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = plain(status, heading(&error), sentence(&error)).into_response();
                if let Error::TooManyGuesses { wait_s } | Error::RateLimited { retry_after_s: wait_s } =
                    *error
                {
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
                }
                dressed(response, &app, "")
            }
        }
    }
}

fn plain(status: StatusCode, heading: &'static str, sentence: String) -> impl IntoResponse + use<> {
    let page = Page { cover: Cover::new(heading), heading, sentence };
    let html = page.render().unwrap_or_else(|_| heading.to_owned());
    (status, [(header::CACHE_CONTROL, "no-store")], Html(html))
}

/// The page where one signs in, which goes on to where one wanted to be.
fn to_sign_in(wanted: &str) -> Redirect {
    match onward(wanted) {
        "/" | "/en/" => Redirect::to("/login"),
        wanted => {
            let query =
                url::form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
            Redirect::to(&format!("/login?{query}"))
        }
    }
}

fn heading(error: &Error) -> &'static str {
    match error {
        Error::NotFound => "There is no such page",
        Error::TicketInvalid => "This link no longer works",
        Error::TooManyGuesses { .. } | Error::RateLimited { .. } => "Too many tries",
        Error::Invalid(_) => "That could not be done",
        Error::Internal(_) => "Something went wrong here",
        Error::Overloaded | Error::ShuttingDown | Error::StorageAway | Error::Restoring => "Not right now",
        _ => "That is not possible",
    }
}

/// One sentence for a person.
pub(super) fn sentence(error: &Error) -> String {
    match error {
        Error::Invalid(fields) => fields.iter().map(field_sentence).collect::<Vec<_>>().join(" "),
        Error::NotFound => {
            "The address may be mistyped, or what was here belongs to another account.".to_owned()
        }
        Error::Internal(_) => {
            "It was written to the log, and no credits were moved by it. Try again.".to_owned()
        }
        Error::Overloaded | Error::ShuttingDown => "Load the page again in a moment.".to_owned(),
        other => {
            let mut message = error::message(other);
            if !message.ends_with('.') {
                message.push('.');
            }
            message
        }
    }
}

fn field_sentence(field: &Field) -> String {
    let name = field.field.replace('_', " ");
    let mut letters = name.chars();
    let name = letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>());
    match name {
        Some(name) => format!("{name} {}.", field.problem),
        None => {
            let mut letters = field.problem.chars();
            let first = letters.next().map(char::to_uppercase).into_iter().flatten();
            format!("{}.", first.chain(letters).collect::<String>())
        }
    }
}
