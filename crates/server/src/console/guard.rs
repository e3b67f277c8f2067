//! Who may see a page, and who may send a form.
//!
//! Invariant: no handler with a [`Guard`] runs without a session, and none with a [`Sent`] without a form of
//! that very session from a page of ours that showed the account that the session shows now. Not here: what
//! they may change (`app::actor`).

use super::{
    fault::Fault,
    form::Form,
    frame::{cookie_name, flow_cookie_name},
    other_account,
};
use crate::{
    app::{
        Error,
        session::{self, Session},
    },
    http::extract::{Shared, Stranger, client_address},
};
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::{HeaderMap, header, request::Parts};
use rynjer_core::key::constant_time_eq;

/// Somebody who is signed in.
pub(crate) struct Guard(pub(crate) Session);

/// An operator who is signed in; for others the page is not there.
pub(crate) struct Operator(pub(crate) Session);

/// Somebody signed in, if anybody is.
pub(crate) struct Perhaps(pub(crate) Option<Session>);

/// Somebody whose second step of signing in is awaited, if that is so.
pub(crate) struct Waiting(pub(crate) Option<session::Waiting>);

/// What a browser kept while it was at another service to sign in, and where the browser is.
pub(crate) struct Kept {
    pub(crate) flow: Option<String>,
    pub(crate) address: std::net::IpAddr,
}

/// A form of somebody who is signed in, about the account that they look at.
pub(crate) struct Sent(pub(crate) Session, pub(crate) Form);

/// A form of somebody who is signed in, about themselves: whichever account they look at.
pub(crate) struct SentByPerson(pub(crate) Session, pub(crate) Form);

/// A form of an operator who is signed in.
pub(crate) struct SentByOperator(pub(crate) Session, pub(crate) Form);

/// A form of somebody who need not be signed in, from a page of ours or from no browser at all.
pub(crate) struct SentByStranger {
    pub(crate) form: Form,
    /// Who was signed in when it was sent.
    pub(crate) session: Option<Session>,
    /// Whose second step was awaited.
    pub(crate) waiting: Option<session::Waiting>,
    pub(crate) address: std::net::IpAddr,
}

impl FromRequestParts<Shared> for Perhaps {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fault> {
        let Some(cookie) = cookie(&parts.headers, cookie_name(&shared.app)) else { return Ok(Self(None)) };
        let address = client_address(parts, shared);
        let found = session::find(&shared.app, cookie, Some(address), !is_refresh(&parts.headers)).await;
        found.map(Self).map_err(|error| Fault::of(error, &shared.app))
    }
}

impl FromRequestParts<Shared> for Waiting {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fault> {
        let Some(cookie) = cookie(&parts.headers, cookie_name(&shared.app)) else { return Ok(Self(None)) };
        let found = session::waiting(&shared.app, cookie).await;
        found.map(Self).map_err(|error| Fault::of(error, &shared.app))
    }
}

impl FromRequestParts<Shared> for Kept {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fault> {
        let flow = cookie(&parts.headers, flow_cookie_name(&shared.app)).map(str::to_owned);
        Ok(Self { flow, address: client_address(parts, shared) })
    }
}

impl FromRequestParts<Shared> for Guard {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fault> {
        let Perhaps(session) = Perhaps::from_request_parts(parts, shared).await?;
        let fault = || match is_refresh(&parts.headers) {
            true => Fault::Stale,
            false => Fault::Stranger { wanted: wanted(parts) },
        };
        session.map(Self).ok_or_else(fault)
    }
}

impl FromRequestParts<Shared> for Operator {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fault> {
        let Guard(session) = Guard::from_request_parts(parts, shared).await?;
        if session.is_operator() { Ok(Self(session)) } else { Err(Fault::of(Error::NotFound, &shared.app)) }
    }
}

impl FromRequest<Shared> for Sent {
    type Rejection = Fault;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Fault> {
        let SentByPerson(session, form) = SentByPerson::from_request(request, shared).await?;
        if !shows(&session, form.text("account")) {
            return Err(Fault::OtherAccount(Box::new(other_account::page(shared, &session, &form)?)));
        }
        Ok(Self(session, form))
    }
}

/// Whether pages of a session show that account, or with none no account.
fn shows(session: &Session, account: &str) -> bool {
    session.account.as_ref().map_or("", |row| row.id.as_str()) == account
}

impl FromRequest<Shared> for SentByPerson {
    type Rejection = Fault;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Fault> {
        let (mut parts, body) = request.into_parts();
        let Guard(session) = Guard::from_request_parts(&mut parts, shared).await?;
        let fault = |error| Fault::of(error, &shared.app);
        check_origin(&parts.headers, shared.app.base_url()).map_err(fault)?;
        let form = Form::read(Request::from_parts(parts, body), shared).await.map_err(fault)?;
        if !constant_time_eq(form.raw("csrf").as_bytes(), session.csrf.as_bytes()) {
            return Err(Fault::Forged);
        }
        Ok(Self(session, form))
    }
}

impl FromRequest<Shared> for SentByOperator {
    type Rejection = Fault;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Fault> {
        let SentByPerson(session, form) = SentByPerson::from_request(request, shared).await?;
        if session.is_operator() {
            Ok(Self(session, form))
        } else {
            Err(Fault::of(Error::NotFound, &shared.app))
        }
    }
}

impl FromRequest<Shared> for SentByStranger {
    type Rejection = Fault;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Fault> {
        let (mut parts, body) = request.into_parts();
        let fault = |error| Fault::of(error, &shared.app);
        // Like every call by which a stranger says who they are.
        Stranger::from_request_parts(&mut parts, shared).await.map_err(|fail| fault(fail.0))?;
        let Perhaps(session) = Perhaps::from_request_parts(&mut parts, shared).await?;
        let waiting = match session {
            Some(_) => None,
            None => Waiting::from_request_parts(&mut parts, shared).await?.0,
        };
        check_origin(&parts.headers, shared.app.base_url()).map_err(fault)?;
        let address = client_address(&parts, shared);
        let form = Form::read(Request::from_parts(parts, body), shared).await.map_err(fault)?;
        Ok(Self { form, session, waiting, address })
    }
}

/// Whether a page refreshes a part of itself, which is no sign that anybody is there.
fn is_refresh(headers: &HeaderMap) -> bool {
    headers.contains_key("hx-request")
}

/// A cookie's value. Where a browser sends several of one name, none can be trusted to be ours.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut own = pairs.filter(|(own, _)| *own == name).map(|(_, value)| value);
    let first = own.next()?;
    if own.next().is_some() { None } else { Some(first) }
}

/// Refuses forms that another site's page sent. Browsers say where a form comes from; what says nothing is no
/// browser, and holds no cookie that it was not given.
fn check_origin(headers: &HeaderMap, base_url: &str) -> Result<(), Error> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let refused = || Error::field("", "the form was sent from another site");
    match (text("sec-fetch-site"), text("origin")) {
        // The browser itself says so, whatever name the gateway was reached by.
        (Some("same-origin"), _) | (None, None) => Ok(()),
        (None, Some(origin)) if origin.eq_ignore_ascii_case(base_url) => Ok(()),
        _ => Err(refused()),
    }
}

/// Where somebody wanted to go; only pages that a browser can go back to.
fn wanted(parts: &Parts) -> String {
    if parts.method != http::Method::GET {
        return String::new();
    }
    // Below `/en` this is the path without it, which is the same page.
    parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default()
}

/// A place of ours to go on at after signing in; anything else is the dashboard.
pub(super) fn onward(wanted: &str) -> &str {
    let ours = wanted.starts_with('/')
        && !wanted.starts_with("//")
        && !wanted.contains('\\')
        && !wanted.chars().any(char::is_control)
        && wanted.len() <= 1000;
    if ours { wanted } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_are_gone_on_to() {
        for own in ["/", "/settings/agents/bind?code=a", "/tasks?status=failed"] {
            assert_eq!(onward(own), own);
        }
        for foreign in [
            "",
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "/a\r\nb",
        ] {
            assert_eq!(onward(foreign), "/", "{foreign:?}");
        }
        assert_eq!(onward(&"/".repeat(2000)), "/");
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        let base = "https://gateway.test";
        let rows = [
            (None, None, true),
            (Some("same-origin"), Some("https://gateway.test"), true),
            (None, Some("https://gateway.test"), true),
            (Some("same-origin"), None, true),
            (Some("none"), None, false),
            (Some("cross-site"), None, false),
            (Some("same-site"), Some("https://gateway.test"), false),
            (None, Some("null"), false),
            (None, Some("https://gateway.test.evil.example"), false),
            (None, Some("http://gateway.test"), false),
        ];
        for (site, origin, passes) in rows {
            let mut headers = HeaderMap::new();
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(check_origin(&headers, base).is_ok(), passes, "{site:?} {origin:?}");
        }
    }

    #[test]
    fn a_cookie_that_comes_twice_is_nobodys() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=1; rynjer=x ;b=2".parse().unwrap());
        assert_eq!(cookie(&headers, "rynjer"), Some("x"));
        headers.append(header::COOKIE, "rynjer=y".parse().unwrap());
        assert_eq!(cookie(&headers, "rynjer"), None);
    }
}
