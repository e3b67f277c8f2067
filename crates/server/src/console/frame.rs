//! What is around every page: head, navigation, the account that is looked at; and the headers of a page.
//!
//! Invariant: a page loads our stylesheet and script alone, runs nothing inline, is framed by nobody and kept
//! by no cache. Not here: what pages show.

use super::{asset, fault::Fault};
use crate::{
    app::{Error, session::Session},
    config::Downloads,
    http::extract::Shared,
    state::App,
};
use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, header};
use rynjer_store::account::AccountRow;

/// The cookie of a session. Its prefix makes browsers refuse it from anything but this host over HTTPS; on
/// loopback without HTTPS there is no such cookie.
pub(super) fn cookie_name(app: &App) -> &'static str {
    if is_https(app) { "__Host-rynjer" } else { "rynjer" }
}

/// The header that gives a browser its session, or with none takes it away.
pub(super) fn set_cookie(app: &App, secret: Option<&str>) -> HeaderValue {
    let (name, secure) = (cookie_name(app), if is_https(app) { "; Secure" } else { "" });
    let days = i64::from(app.config.console.session_days);
    let (value, age_s) = secret.map_or(("", 0), |secret| (secret, days * 86_400));
    let text = format!("{name}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// The cookie of a browser that is at another service to sign in; its prefix as of the session's.
pub(super) fn flow_cookie_name(app: &App) -> &'static str {
    if is_https(app) { "__Host-rynjer-flow" } else { "rynjer-flow" }
}

/// The header that gives a browser what it keeps meanwhile, or with none takes it away.
pub(super) fn set_flow_cookie(app: &App, kept: Option<&str>) -> HeaderValue {
    let (name, secure) = (flow_cookie_name(app), if is_https(app) { "; Secure" } else { "" });
    let (value, age_s) = kept.map_or(("", 0), |kept| (kept, 600));
    let text = format!("{name}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn is_https(app: &App) -> bool {
    app.base_url().starts_with("https://")
}

/// A link of the navigation.
pub(super) struct Link {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) current: bool,
}

const OWN: [(&str, &str); 11] = [
    ("/", "Dashboard"),
    ("/gallery", "Gallery"),
    ("/tasks", "Tasks"),
    ("/settings/agents", "Agents"),
    ("/settings/apikeys", "API keys"),
    ("/settings/budgets", "Budgets"),
    ("/usage", "Usage"),
    ("/topup", "Top up"),
    ("/audit", "Audit log"),
    ("/settings/account", "Account"),
    ("/settings/security", "Security"),
];
const OPERATORS: [(&str, &str); 5] = [
    ("/operator/accounts", "Accounts"),
    ("/operator/owners", "People"),
    ("/operator/providers", "Providers"),
    ("/operator/catalog", "Catalog"),
    ("/operator/audit", "Log"),
];

/// What is around a page of somebody who is signed in.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) email: String,
    pub(super) links: Vec<Link>,
    /// Empty for those who are no operators.
    pub(super) operator_links: Vec<Link>,
    pub(super) accounts: Vec<AccountRow>,
    /// The id of the account that is looked at; empty without one.
    pub(super) account_id: String,
    pub(super) is_test: bool,
    /// Why nothing new is made for this account; empty where all is well.
    pub(super) stopped: String,
    pub(super) csrf: String,
    pub(super) version: &'static str,
    /// Whether the password was typed lately; if not, forms that need it ask for it.
    pub(super) confirmed: bool,
    /// Whether those forms ask for a code of the second step too.
    pub(super) second_step: bool,
    /// Whether there is a password to ask for; others sign in by the provider once more.
    pub(super) has_password: bool,
}

impl Frame {
    /// The frame of a page. `path` is the link of the navigation that it belongs to.
    pub(super) fn new(app: &App, session: &Session, path: &str, title: &str) -> Self {
        let link =
            |&(own, name): &(&'static str, &'static str)| Link { path: own, name, current: own == path };
        let account = session.account.as_ref();
        let frozen = account.and_then(|row| row.frozen_reason.as_ref());
        Self {
            title: title.to_owned(),
            email: session.owner.email.clone(),
            links: OWN.iter().map(link).collect(),
            operator_links: if session.is_operator() {
                OPERATORS.iter().map(link).collect()
            } else {
                Vec::new()
            },
            accounts: session.accounts.clone(),
            account_id: account.map(|row| row.id.to_string()).unwrap_or_default(),
            is_test: account.is_some_and(|row| row.mode == "test"),
            stopped: match frozen {
                _ if account.is_some_and(|row| row.closed_at_ms.is_some()) => {
                    "This account is closed for good. What was charged can still be read.".to_owned()
                }
                Some(reason) => format!("This account is frozen: {reason}"),
                None if account.is_some_and(|row| row.paused_at_ms.is_some()) => {
                    "This account is paused: nothing new is accepted.".to_owned()
                }
                None => String::new(),
            },
            csrf: session.csrf.clone(),
            version: asset::VERSION.as_str(),
            confirmed: session.is_confirmed(app.now_ms()),
            second_step: session.owner.totp_enabled_at_ms.is_some(),
            has_password: session.owner.password_hash.is_some(),
        }
    }
}

/// What is around a page for everybody.
pub(super) struct Cover {
    pub(super) title: String,
    pub(super) version: &'static str,
}

impl Cover {
    pub(super) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), version: asset::VERSION.as_str() }
    }
}

/// A page as an answer.
pub(super) fn page(shared: &Shared, template: &impl Template) -> Result<Response, Fault> {
    page_with(shared, template, "")
}

/// A page with a form that leads to another site after it was sent, such as the payment service's.
pub(super) fn page_with(
    shared: &Shared,
    template: &impl Template,
    form_leads_to: &str,
) -> Result<Response, Fault> {
    let html = template.render().map_err(|error| Fault::of(Error::internal(error), &shared.app))?;
    Ok(dressed(Html(html).into_response(), &shared.app, form_leads_to))
}

/// The headers of a page.
pub(super) fn dressed(mut response: Response, app: &App, form_leads_to: &str) -> Response {
    let media = media_origin(app);
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:{media}; \
         media-src 'self'{media}; connect-src 'self'; font-src 'self'; base-uri 'none'; \
         form-action 'self'{form_leads_to}; frame-ancestors 'none'"
    );
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, value);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    if is_https(app) {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// Where pictures come from beside this gateway: the object storage, if downloads are sent on to it.
fn media_origin(app: &App) -> String {
    let storage = &app.config.storage;
    if storage.downloads != Downloads::Redirect {
        return String::new();
    }
    let Ok(endpoint) = url::Url::parse(&storage.endpoint) else {
        return " https://*.amazonaws.com".to_owned();
    };
    let origin = endpoint.origin().ascii_serialization();
    // By path, or by the bucket's name before the host's.
    format!(" {origin} {}", origin.replacen("://", "://*.", 1))
}
