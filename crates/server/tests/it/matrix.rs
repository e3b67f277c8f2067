//! The access matrix: every route that the router has, for everybody who might come.
//!
//! Invariant: a route without a row fails this test, and every cell is asked and asserted. Not here: what
//! requests do once they are let in.

mod actor;
pub(crate) mod rows;

use crate::support::{
    Agent, Signer, TestApp, agent::text, client::picture, png::png, routes::routes, upload::upload,
};
use actor::{Actor, Csrf};
use rows::{
    Open::{
        self, Absent, Agents, All, Bearer, Form, Holder, OperatorForm, OperatorPage, Page as OwnerPage,
        Scoped, Signed, Spends,
    },
    ROWS,
};
use rynjer_core::scope::Scopes;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Routes whose body names an object of the account.
const NAMES_AN_OBJECT: [&str; 2] = ["/account", "/api/v1/agents/keys/revoke"];

/// Routes below `/en` are the same pages.
fn plain(path: &str) -> &str {
    match path {
        "/en" | "/en/" => "/",
        _ => path.strip_prefix("/en").filter(|rest| rest.starts_with('/')).unwrap_or(path),
    }
}

fn open(method: &str, path: &str) -> Option<Open> {
    ROWS.iter().find(|row| row.0 == method && row.1 == plain(path)).map(|row| row.2)
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Let in: the answer speaks of the request itself.
    In,
    /// Asked who they are: 401, or sent to sign in.
    Unknown,
    /// Known, and not allowed.
    Forbidden,
    /// Nothing is there for them.
    NotThere,
}

#[expect(clippy::match_same_arms, reason = "refusals in the order in which they come")]
fn expected(open: Open, actor: &Actor, has_object: bool) -> Seen {
    match (open, actor) {
        (All | Holder, _) => Seen::In,
        (Signed, _)
        | (
            Bearer | Scoped(_) | Spends(_) | Agents | Absent,
            Actor::Person { .. } | Actor::Caller { alive: false, .. },
        ) => Seen::Unknown,
        (Absent, Actor::Caller { .. }) => Seen::NotThere,
        (Agents, Actor::Caller { agent: false, .. }) => Seen::Forbidden,
        (Scoped(any) | Spends(any), Actor::Caller { scopes, .. })
            if !any.iter().any(|scope| scopes.contains(scope)) =>
        {
            Seen::Forbidden
        }
        (Spends(_), Actor::Caller { paused: true, .. }) => Seen::Forbidden,
        (Bearer | Scoped(_) | Spends(_) | Agents, Actor::Caller { own: false, .. }) if has_object => {
            Seen::NotThere
        }
        (Bearer | Scoped(_) | Spends(_) | Agents, Actor::Caller { .. }) => Seen::In,
        (OwnerPage | OperatorPage | Form | OperatorForm, Actor::Caller { .. })
        | (_, Actor::Person { alive: false, .. }) => Seen::Unknown,
        (Form | OperatorForm, Actor::Person { csrf: Csrf::Missing, .. }) => Seen::Forbidden,
        (OperatorPage | OperatorForm, Actor::Person { operator: false, .. }) => Seen::NotThere,
        (OwnerPage | Form, Actor::Person { own: false, .. }) if has_object => Seen::NotThere,
        (OwnerPage | OperatorPage | Form | OperatorForm, Actor::Person { .. }) => Seen::In,
    }
}

fn seen(route: &str, status: u16, location: &str) -> Seen {
    match status {
        303 if plain(route) == "/logout" && location == "/login?out=1" => Seen::In,
        401 => Seen::Unknown,
        303 if location.starts_with("/login") => Seen::Unknown,
        403 => Seen::Forbidden,
        404 => Seen::NotThere,
        405 => panic!("a method that the router does not have"),
        _ => Seen::In,
    }
}

/// Objects of the account, which paths and bodies name.
struct Objects {
    task: Value,
    agent_id: String,
    key_id: String,
    account_id: String,
    /// A key that nobody needs.
    spare_key: String,
    /// An agent that is paused and changed.
    spare_agent: String,
    /// The code of an agent that waits for its owner.
    waiting: String,
    seed: u8,
    made: u8,
}

/// Registers an agent that nobody needs, and binds it.
async fn bound(app: &TestApp, seed: u8) -> String {
    let agent = Agent::registered(&app.anonymous(), Signer::at(seed, app.now_s())).await;
    app.admin().agent_bind(&agent.code, &app.account, Scopes::ALL, None).await.expect("bound");
    agent.id
}

impl Objects {
    async fn of(app: &TestApp) -> Self {
        let own = app.agent_key();
        own.picture("matrix", "[[instant]]").await;
        let task = own.finish("matrix").await;
        let mut spare = app.agent.clone();
        spare.signer.set_time(app.now_s());
        spare.make_key(&app.anonymous(), &["image"]).await;
        Self {
            task,
            agent_id: app.agent.id.clone(),
            key_id: app.agent.key_id.clone(),
            account_id: app.account.to_string(),
            spare_key: spare.key_id,
            spare_agent: bound(app, 60).await,
            waiting: Agent::registered(&app.anonymous(), Signer::at(61, app.now_s())).await.code,
            seed: 100,
            made: 0,
        }
    }

    /// A path with its names filled in, with an object of its own where an earlier caller may have removed
    /// it.
    async fn path(&mut self, app: &TestApp, method: &str, route: &str) -> String {
        let mut path = route.to_owned();
        self.made = self.made.wrapping_add(1);
        if path.contains("{file_id}") {
            let file = upload(&app.agent_key(), &png(2, 2, self.made)).await.ok();
            path = path.replace("{file_id}", &text(&file, "file_id"));
        }
        if method == "POST" && path.starts_with("/settings/") {
            let ends = path.ends_with("/unbind") || path.ends_with("/{agent_id}/revoke");
            let agent = if ends { bound(app, self.fresh_seed()).await } else { self.spare_agent.clone() };
            path = path.replace("{agent_id}", &agent).replace("{key_id}", &self.spare_key);
        }
        if method == "GET" && path.starts_with("/outputs/") {
            return text(&self.task["outputs"][0], "url");
        }
        for (name, value) in [
            ("{request_id}", text(&self.task, "task_id")),
            ("{task_id}", text(&self.task, "task_id")),
            ("{usage_event_id}", text(&self.task, "usage_event_id")),
            ("{agent_id}", self.agent_id.clone()),
            ("{subject_id}", self.agent_id.clone()),
            ("{key_id}", self.key_id.clone()),
            ("{account_id}", self.account_id.clone()),
            ("{account}", self.account_id.clone()),
            ("{task}", "task_x".to_owned()),
            ("{file}", "0".to_owned()),
            ("{provider}", "fal".to_owned()),
            ("{nonce}", "nonce".to_owned()),
        ] {
            path = path.replace(name, &value);
        }
        assert!(!path.contains('{'), "{path} names something that the matrix does not know");
        path
    }

    /// The key of one more agent.
    fn fresh_seed(&mut self) -> u8 {
        self.seed += 1;
        self.seed
    }

    /// A body that asks for nothing that could be refused for itself.
    fn body(&self, route: &str) -> Value {
        match route {
            "/v1/generate" => picture(&format!("matrix-{}", self.made), "[[instant]]"),
            "/api/v1/agents/keys/revoke" => json!({"key_id": self.spare_key}),
            "/settings/agents/bind" | "/settings/agents/bind/confirm" => json!({"code": self.waiting}),
            "/account" => json!({"account": self.account_id}),
            _ => json!({}),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_lets_in_whom_it_should() {
    let app = TestApp::sqlite().await;
    let found = routes(&app.gateway().router());
    let unlisted: Vec<_> = found.iter().filter(|(method, path)| open(method, path).is_none()).collect();
    assert!(unlisted.is_empty(), "routes without a row in the matrix: {unlisted:?}");
    let gone: Vec<_> =
        ROWS.iter().filter(|row| !found.contains(&(row.0.to_owned(), row.1.to_owned()))).collect();
    assert!(gone.is_empty(), "rows without a route: {gone:?}");
    let mut actors = actor::callers(&app).await;
    actors.extend(actor::people(&app).await);
    let mut objects = Objects::of(&app).await;
    let (mut wrong, mut cells) = (Vec::new(), 0);
    // Signing out ends the session that later rows need.
    let last = |route: &&(String, String)| route.1 == "/logout";
    let ordered = found.iter().filter(|route| !last(route)).chain(found.iter().filter(last));
    for (method, route) in ordered.filter(|(_, route)| !route.starts_with("/en")) {
        let Some(open) = open(method, route) else { continue };
        // What credentials add nothing to is the same for all: for callers, who send JSON, and for people,
        // who send forms.
        let mut baselines = [None, None];
        for actor in &mut actors {
            let path = objects.path(&app, method, route).await;
            let (status, location) = actor.ask(method, route, &path, &objects.body(route)).await;
            let seen = seen(route, status, &location);
            let kind = usize::from(matches!(actor, Actor::Person { .. }));
            let has_object = route.contains('{') || NAMES_AN_OBJECT.contains(&route.as_str());
            let expected = match open {
                All | Holder => *baselines[kind].get_or_insert(seen),
                _ => expected(open, actor, has_object),
            };
            cells += 1;
            if seen != expected {
                let name = actor.name();
                wrong.push(format!("{method} {route} as {name}: {status} {location}, expected {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cells} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cells > 900, "{cells}");
}

/// The same pages below `/en` have the same guards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_below_en_are_guarded_as_well() {
    let app = TestApp::sqlite().await;
    let mut nobody = app.browser();
    let guarded = |open| matches!(open, Some(OwnerPage | OperatorPage | Form | OperatorForm));
    let pages: BTreeSet<_> = routes(&app.gateway().router())
        .into_iter()
        .filter(|(method, path)| path.starts_with("/en") && guarded(open(method, path)))
        .collect();
    assert!(!pages.is_empty());
    for (method, path) in pages {
        let page = if method == "GET" { nobody.get(&path).await } else { nobody.post(&path, &[]).await };
        assert_eq!(seen("", page.status, &page.location), Seen::Unknown, "{method} {path}");
    }
}
