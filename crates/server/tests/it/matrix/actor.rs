//! Everybody who might come to a route.
//!
//! Invariant: each has a credential of their own, which is as good or as dead as its name says. Not here:
//! what they may do.

use super::{
    open,
    rows::Open::{Form, Holder, OperatorForm},
};
use crate::support::{
    Agent, Client, HOUR, Signer, TestApp,
    agent::text,
    browser::{Browser, Page},
    png::png,
    upload::upload,
};
use http::Method;
use rynjer_core::{
    id::{AgentId, KeyId},
    scope::Scope,
};
use serde_json::Value;

/// Somebody who comes.
pub(crate) enum Actor {
    Caller {
        name: &'static str,
        client: Client,
        scopes: Vec<Scope>,
        alive: bool,
        own: bool,
        agent: bool,
        paused: bool,
    },
    Person {
        name: &'static str,
        browser: Browser,
        csrf: Csrf,
        own: bool,
        operator: bool,
        alive: bool,
    },
}

/// What a person's form carries.
#[derive(PartialEq, Eq)]
pub(crate) enum Csrf {
    Own,
    Missing,
}

impl Actor {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Caller { name, .. } | Self::Person { name, .. } => name,
        }
    }

    pub(crate) async fn ask(&mut self, method: &str, route: &str, path: &str, body: &Value) -> (u16, String) {
        let is_form = matches!(open(method, route), Some(Form | OperatorForm | Holder));
        match self {
            Self::Caller { client, .. } => {
                let parsed = Method::from_bytes(method.as_bytes()).expect("a method");
                let answer = match (method, route) {
                    ("POST", "/v1/files") => upload(client, &png(3, 3, 0)).await,
                    ("POST", _) => client.post(path, body).await,
                    _ => client.request(parsed, path, None).await,
                };
                (answer.status, answer.header("location").unwrap_or_default().to_owned())
            }
            Self::Person { browser, csrf, .. } => {
                let page: Page = if method == "POST" && is_form {
                    let token = if *csrf == Csrf::Own { browser.csrf().await } else { String::new() };
                    let mut fields = vec![("csrf".to_owned(), token)];
                    for (name, value) in body.as_object().expect("an object") {
                        fields.push((name.clone(), value.as_str().unwrap_or_default().to_owned()));
                    }
                    browser.post(path, &fields).await
                } else {
                    browser.request(method, path, body).await
                };
                (page.status, page.location)
            }
        }
    }
}

fn caller(name: &'static str, client: Client, scopes: &[Scope]) -> Actor {
    Actor::Caller {
        name,
        client,
        scopes: scopes.to_vec(),
        alive: true,
        own: true,
        agent: true,
        paused: false,
    }
}

fn dead(name: &'static str, client: Client) -> Actor {
    Actor::Caller { name, client, scopes: Vec::new(), alive: false, own: true, agent: true, paused: false }
}

const EACH: [Scope; 4] = [Scope::Image, Scope::Video, Scope::Music, Scope::CreditsRead];

pub(crate) async fn callers(app: &TestApp) -> Vec<Actor> {
    let expired = app.another_agent(40).await.access_token;
    app.advance(HOUR);
    let mut agent = app.agent.clone();
    agent.signer.set_time(app.now_s());
    agent.make_token(&app.anonymous()).await;
    let mut actors = vec![dead("nobody", app.anonymous())];
    let others = app.other_account();
    actors.push(Actor::Caller {
        name: "another account's key",
        client: others,
        scopes: EACH.to_vec(),
        alive: true,
        own: false,
        agent: false,
        paused: false,
    });
    actors.push(Actor::Caller {
        name: "the account's key",
        client: app.account_key(),
        scopes: EACH.to_vec(),
        alive: true,
        own: true,
        agent: false,
        paused: false,
    });
    actors.push(caller("its agent with every scope", app.bearer(&agent.access_token), &EACH));
    for (name, scope) in [
        ("its agent with image", Scope::Image),
        ("its agent with video", Scope::Video),
        ("its agent with music", Scope::Music),
        ("its agent with credits:read", Scope::CreditsRead),
    ] {
        let request = agent.token_request(&[scope.as_str()]);
        let data = app.agent_key().post("/api/v1/agents/auth/token", &request).await.ok();
        actors.push(caller(name, app.bearer(&text(&data, "access_token")), &[scope]));
    }
    actors.push(dead("an expired token", app.bearer(&expired)));
    let revoked = app.another_agent(41).await;
    app.admin().key_revoke(&KeyId::parse(&revoked.key_id).expect("an id")).await.expect("revoked");
    actors.push(dead("a revoked key", app.bearer(&revoked.api_key)));
    actors.push(dead("a token of a revoked key", app.bearer(&revoked.access_token)));
    let paused = app.another_agent(44).await;
    app.admin().agent_pause(&AgentId::parse(&paused.id).expect("an id"), true).await.expect("paused");
    actors.push(Actor::Caller {
        name: "another agent of the account that is paused",
        client: app.bearer(&paused.access_token),
        scopes: EACH.to_vec(),
        alive: true,
        own: false,
        agent: true,
        paused: true,
    });
    let gone = app.another_agent(42).await;
    app.admin().agent_unbind(&AgentId::parse(&gone.id).expect("an id")).await.expect("unbound");
    actors.push(dead("an agent that was unbound", app.bearer(&gone.access_token)));
    let unbound = Agent::registered(&app.anonymous(), Signer::at(43, app.now_s())).await;
    actors.push(dead("a registration code", app.bearer(&unbound.code)));
    actors
}

pub(crate) async fn people(app: &TestApp) -> Vec<Actor> {
    let person = |name, browser, own, operator| Actor::Person {
        name,
        browser,
        csrf: Csrf::Own,
        own,
        operator,
        alive: true,
    };
    let mut bare = app.owner().await;
    let mut own = app.browser();
    own.cookies.clone_from(&bare.cookies);
    bare.get("/").await;
    let mut out = app.invited("out@example.com", false).await;
    let cookies = out.cookies.clone();
    out.get("/").await;
    out.submit("/logout", &[]).await;
    out.cookies = cookies;
    vec![
        Actor::Person {
            name: "a form that another site made the owner send",
            browser: bare,
            csrf: Csrf::Missing,
            own: true,
            operator: false,
            alive: true,
        },
        person("the owner", own, true, false),
        person("another owner", app.invited("other@example.com", false).await, false, false),
        person("an operator", app.invited("operator@example.com", true).await, false, true),
        Actor::Person {
            name: "somebody who signed out",
            browser: out,
            csrf: Csrf::Own,
            own: true,
            operator: false,
            alive: false,
        },
    ]
}
