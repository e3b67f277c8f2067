//! The access matrix: every route that the router has, for everybody who might come.
//!
//! Invariant: a route without a row fails this test, and every cell is asked and asserted. Not here: what
//! requests do once they are let in.

use crate::support::{
    Agent, Client, HOUR, Signer, TestApp,
    agent::text,
    browser::{Browser, Page},
    client::picture,
    png::png,
    routes::routes,
    upload::upload,
};
use http::Method;
use rynjer_core::{
    id::{AgentId, KeyId},
    scope::Scope,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Who may use a route.
#[allow(dead_code, reason = "pages of operators are being built")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// Everybody.
    All,
    /// Whoever holds the signed URL, the one-time link, or the key that signs the body.
    Holder,
    /// Every credential of an account, agents' and keys'.
    Bearer,
    /// Those with one of these scopes.
    Scoped(&'static [Scope]),
    /// The same, but not agents that are paused.
    Spends(&'static [Scope]),
    /// Agents' credentials alone, or a signed body.
    Agents,
    /// Whoever holds both a key and the signature of the body.
    Signed,
    /// Nobody here: only `--test-clock` has it. Who has no credential is not told so.
    Absent,
    /// Signed-in owners.
    Page,
    /// Signed-in operators.
    OperatorPage,
    /// Forms of signed-in owners.
    Form,
    /// Forms of signed-in operators.
    OperatorForm,
}

use Open::{
    Absent, Agents, All, Bearer, Form, Holder, OperatorForm, OperatorPage, Page as OwnerPage, Scoped, Signed,
    Spends,
};

const ROWS: &[(&str, &str, Open)] = &[
    // Documents and health.
    ("GET", "/.well-known/jwks.json", All),
    ("GET", "/.well-known/security.txt", All),
    ("GET", "/agent/llms.txt", All),
    ("GET", "/agent/openapi.json", All),
    ("GET", "/console/htmx.js", All),
    ("GET", "/console/style.css", All),
    ("GET", "/docs", All),
    ("GET", "/docs/agent-quickstart", All),
    ("GET", "/docs/agent-quickstart.md", All),
    ("GET", "/docs/api", All),
    ("GET", "/docs/api.md", All),
    ("GET", "/docs/for-agents", All),
    ("GET", "/docs/for-agents.md", All),
    ("GET", "/docs/icon.svg", All),
    ("GET", "/docs/model-routing", All),
    ("GET", "/docs/model-routing.md", All),
    ("GET", "/docs/style.css", All),
    ("GET", "/healthz", All),
    ("GET", "/livez", All),
    ("GET", "/llms-full.txt", All),
    ("GET", "/llms.txt", All),
    ("GET", "/openapi.json", All),
    ("GET", "/readyz", All),
    ("GET", "/skill.md", All),
    // Agents' identity.
    ("POST", "/api/v1/agents/register", Holder),
    ("POST", "/api/v1/agents/keys/create", Holder),
    ("POST", "/api/v1/agents/auth/refresh", Holder),
    ("POST", "/api/v1/agents/auth/token", Signed),
    ("POST", "/api/v1/agents/keys/list", Agents),
    ("POST", "/api/v1/agents/keys/revoke", Agents),
    // The API.
    ("GET", "/v1/me", Bearer),
    ("GET", "/v1/models/list", Bearer),
    ("POST", "/v1/models/route", Bearer),
    ("POST", "/v1/credits/estimate", Bearer),
    ("POST", "/api/credits/estimate", Bearer),
    ("GET", "/v1/credits/balance", Scoped(&[Scope::CreditsRead])),
    ("POST", "/v1/generate", Spends(&[Scope::Image])),
    ("GET", "/v1/generate", Bearer),
    ("GET", "/v1/generate/{request_id}", Bearer),
    ("DELETE", "/v1/generate/{request_id}", Bearer),
    ("POST", "/v1/generate/{request_id}/cancel", Bearer),
    ("GET", "/v1/generate/{request_id}/events", Bearer),
    ("POST", "/v1/files", Spends(&[Scope::Image, Scope::Video])),
    ("GET", "/v1/files/{file_id}", Bearer),
    ("DELETE", "/v1/files/{file_id}", Bearer),
    ("GET", "/v1/usage", Scoped(&[Scope::CreditsRead])),
    ("GET", "/v1/usage/{usage_event_id}", Scoped(&[Scope::CreditsRead])),
    ("GET", "/v1/usage/{usage_event_id}/receipt", Scoped(&[Scope::CreditsRead])),
    ("GET", "/v1/test/triggers", Bearer),
    ("GET", "/v1/test/clock", Absent),
    ("POST", "/v1/test/clock", Absent),
    // Signed URLs.
    ("GET", "/files/{account}/{file}", Holder),
    ("GET", "/outputs/{account}/{task}/{file}", Holder),
    ("GET", "/inputs/{account}/{task}/{file}", Holder),
    ("POST", "/callbacks/{provider}/{nonce}", Holder),
    ("POST", "/callbacks/stripe", Holder),
    // The console.
    ("GET", "/", OwnerPage),
    ("POST", "/account", Form),
    ("GET", "/login", All),
    ("POST", "/login", Holder),
    ("POST", "/logout", Form),
    ("GET", "/setup", Holder),
    ("POST", "/setup", Holder),
    ("GET", "/invitation", Holder),
    ("POST", "/invitation", Holder),
    ("GET", "/signup", Holder),
    ("POST", "/signup", Holder),
    ("GET", "/topup", OwnerPage),
    ("POST", "/topup", Form),
];

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

/// Somebody who comes.
enum Actor {
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
enum Csrf {
    Own,
    Missing,
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
    made: u8,
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
        if method == "GET" && path.starts_with("/outputs/") {
            return text(&self.task["outputs"][0], "url");
        }
        for (name, value) in [
            ("{request_id}", text(&self.task, "task_id")),
            ("{task_id}", text(&self.task, "task_id")),
            ("{usage_event_id}", text(&self.task, "usage_event_id")),
            ("{agent_id}", self.agent_id.clone()),
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

    /// A body that asks for nothing that could be refused for itself.
    fn body(&self, route: &str) -> Value {
        match route {
            "/v1/generate" => picture(&format!("matrix-{}", self.made), "[[instant]]"),
            "/api/v1/agents/keys/revoke" => json!({"key_id": self.spare_key}),
            "/account" => json!({"account": self.account_id}),
            _ => json!({}),
        }
    }
}

impl Actor {
    fn name(&self) -> &'static str {
        match self {
            Self::Caller { name, .. } | Self::Person { name, .. } => name,
        }
    }

    async fn ask(&mut self, method: &str, route: &str, path: &str, body: &Value) -> (u16, String) {
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

async fn callers(app: &TestApp) -> Vec<Actor> {
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

async fn people(app: &TestApp) -> Vec<Actor> {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_lets_in_whom_it_should() {
    let app = TestApp::sqlite().await;
    let found = routes(&app.gateway().router());
    let unlisted: Vec<_> = found.iter().filter(|(method, path)| open(method, path).is_none()).collect();
    assert!(unlisted.is_empty(), "routes without a row in the matrix: {unlisted:?}");
    let gone: Vec<_> =
        ROWS.iter().filter(|row| !found.contains(&(row.0.to_owned(), row.1.to_owned()))).collect();
    assert!(gone.is_empty(), "rows without a route: {gone:?}");
    let mut actors = callers(&app).await;
    actors.extend(people(&app).await);
    let mut objects = Objects::of(&app).await;
    let (mut wrong, mut cells) = (Vec::new(), 0);
    // Signing out ends the session that later rows need.
    let last = |route: &&(String, String)| route.1 == "/logout";
    let ordered = found.iter().filter(|route| !last(route)).chain(found.iter().filter(last));
    for (method, route) in ordered.filter(|(_, route)| !route.starts_with("/en")) {
        let Some(open) = open(method, route) else { continue };
        // What credentials add nothing to is the same for all: for callers, who send JSON, and for people, who
        // send forms.
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
