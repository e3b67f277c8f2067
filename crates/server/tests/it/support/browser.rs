//! A browser without a screen: it keeps cookies, follows nothing, and sends the forms that pages have.
//!
//! Invariant: a form is sent with the hidden fields of the page that has it, as a real browser would. Not
//! here: scripts and looks, which a real browser checks.

use super::{Answer, BASE_URL, TestApp, canary, client::SharedRouter};
use axum::body::Body;
use http::{Request, header};
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use tower::ServiceExt;

/// A password that the rules take.
pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct Browser {
    router: SharedRouter,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Headers on each request.
    pub(crate) headers: Vec<(String, String)>,
    page: String,
    /// The account that pages showed last; empty where there was none.
    account: String,
}

/// What came back.
pub(crate) struct Page {
    pub(crate) status: u16,
    /// Where a redirect leads.
    pub(crate) location: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) html: String,
    /// The same to the byte.
    pub(crate) body: bytes::Bytes,
}

impl Page {
    /// The page's text without its tags, blanks folded.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut rest = self.html.as_str();
        while let Some((before, after)) = rest.split_once('<') {
            text.push_str(before);
            text.push(' ');
            rest = after.split_once('>').map_or("", |(_, after)| after);
        }
        text.push_str(rest);
        unescaped(&text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str) -> &Self {
        assert!(self.text().contains(text), "{} {}: {}", self.status, self.location, self.text());
        self
    }
}

impl Browser {
    pub(crate) fn new(router: &SharedRouter) -> Self {
        Self {
            router: std::sync::Arc::clone(router),
            cookies: BTreeMap::new(),
            headers: Vec::new(),
            page: String::new(),
            account: String::new(),
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send("GET", path, None).await
    }

    /// Sends the form of the last page whose action is `action`, with these fields over its hidden ones.
    pub(crate) async fn submit(&mut self, action: &str, fields: &[(&str, &str)]) -> Page {
        let mut all = hidden(&self.page, action);
        assert!(self.page.contains(&format!("action=\"{action}\"")), "no form {action}: {}", self.page);
        all.retain(|(name, _)| !fields.iter().any(|(own, _)| own == name));
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.post(action, &all).await
    }

    /// What forms of this session carry; empty for those who are not signed in.
    pub(crate) async fn csrf(&mut self) -> String {
        let page = self.get("/").await;
        let fields = hidden(&page.html, "/logout");
        fields.into_iter().find(|(name, _)| name == "csrf").map(|(_, value)| value).unwrap_or_default()
    }

    /// Sends fields as they are, and the account of the last page unless they name one.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(String, String)]) -> Page {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        if !self.account.is_empty() && !fields.iter().any(|(name, _)| name == "account") {
            body.append_pair("account", &self.account);
        }
        let body = body.finish();
        self.send("POST", path, Some(body)).await
    }

    /// Sends what a script of another page could: JSON, with the cookies.
    pub(crate) async fn request(&mut self, method: &str, path: &str, body: &serde_json::Value) -> Page {
        self.headers.push(("content-type".to_owned(), "application/json".to_owned()));
        let page = self.send(method, path, (method != "GET").then(|| body.to_string())).await;
        self.headers.pop();
        page
    }

    async fn send(&mut self, method: &str, path: &str, body: Option<String>) -> Page {
        let path = path.strip_prefix(BASE_URL).unwrap_or(path);
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "gateway.test");
        if body.is_some() {
            if !self.headers.iter().any(|(name, _)| name == "content-type") {
                request = request.header("content-type", "application/x-www-form-urlencoded");
            }
            if !self.headers.iter().any(|(name, _)| name == "origin") {
                request = request.header("origin", BASE_URL).header("sec-fetch-site", "same-origin");
            }
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        let request = request.body(Body::from(body.unwrap_or_default())).expect("a request");
        let router = self.router.lock().expect("the router").clone();
        let (parts, body) = router.oneshot(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let html = String::from_utf8_lossy(&body).into_owned();
        canary::look_at(&Answer {
            status: parts.status.as_u16(),
            headers: parts.headers.clone(),
            body: body.clone(),
        });
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().expect("text").split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie");
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                canary::plant("a session", value);
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let location =
            parts.headers.get(header::LOCATION).map(|value| value.to_str().expect("text").to_owned());
        if !html.is_empty() {
            let account = hidden(&html, "/logout").into_iter().find(|(name, _)| name == "account");
            // Pages of errors have no frame.
            self.account = account.map_or(std::mem::take(&mut self.account), |(_, value)| value);
            self.page.clone_from(&html);
        }
        Page {
            status: parts.status.as_u16(),
            location: location.unwrap_or_default(),
            headers: parts.headers,
            html,
            body,
        }
    }
}

/// Text as a reader sees it.
fn unescaped(text: &str) -> String {
    let letters =
        [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&"), ("&amp;", "&")];
    letters.iter().fold(text.to_owned(), |text, (name, letter)| text.replace(name, letter))
}

/// The hidden fields of the form with that action.
fn hidden(html: &str, action: &str) -> Vec<(String, String)> {
    let start = html.find(&format!("action=\"{action}\"")).unwrap_or(html.len());
    let form = html[start..].split("</form>").next().unwrap_or_default();
    let inputs = form.split("<input").skip(1).filter_map(|input| input.split('>').next());
    let attribute = |input: &str, name: &str| {
        let value = input.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
        Some(unescaped(value))
    };
    inputs
        .filter(|input| input.contains("type=\"hidden\""))
        .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?)))
        .collect()
}

fn plant_ticket(link: &str) {
    canary::plant("a password", PASSWORD);
    canary::plant("a one-time link", link.split('=').next_back().unwrap_or_default());
}

impl TestApp {
    /// A browser that nobody is signed in with.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(&self.router)
    }

    /// The operator, who came by the link of the first set-up.
    pub(crate) async fn operator(&self) -> Browser {
        let link = self.admin().setup_link(BASE_URL).await.expect("the store").expect("no owner yet");
        let mut browser = self.browser();
        plant_ticket(&link);
        browser.get(&link).await.shows("You are the first here");
        let fields = [("email", "operator@example.com"), ("password", PASSWORD)];
        assert_eq!(browser.submit("/setup", &fields).await.status, 303);
        browser
    }

    /// The owner of `account`, who came by an invitation.
    pub(crate) async fn owner(&self) -> Browser {
        self.invited("owner@example.com", false).await
    }

    /// Somebody who came by an invitation, with the accounts of that address.
    pub(crate) async fn invited(&self, email: &str, operator: bool) -> Browser {
        let link = self.admin().invite(BASE_URL, email, operator).await.expect("an invitation");
        plant_ticket(&link);
        let mut browser = self.browser();
        assert!(browser.get(&link).await.html.contains(email));
        assert_eq!(browser.submit("/invitation", &[("password", PASSWORD)]).await.status, 303);
        browser
    }
}
