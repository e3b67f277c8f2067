//! The rows of the access matrix.
//!
//! Invariant: one row for each method and path. Not here: what the openness of a route means for whom
//! (`matrix`).

use rynjer_core::scope::Scope;

/// Who may use a route.
#[allow(dead_code, reason = "pages of operators are being built")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
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

use Open::{Absent, Agents, All, Bearer, Form, Holder, Page as OwnerPage, Scoped, Signed, Spends};

pub(crate) const ROWS: &[(&str, &str, Open)] = &[
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
    ("POST", "/auth/moltbook/exchange", Holder),
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
    ("GET", "/running", OwnerPage),
    ("POST", "/notices/read", Form),
    ("GET", "/gallery", OwnerPage),
    ("GET", "/tasks", OwnerPage),
    ("GET", "/tasks/{task_id}", OwnerPage),
    ("POST", "/tasks/{task_id}/cancel", Form),
    ("POST", "/tasks/{task_id}/delete", Form),
    ("GET", "/usage", OwnerPage),
    ("GET", "/usage.csv", OwnerPage),
    ("GET", "/audit", OwnerPage),
    ("POST", "/account", Form),
    ("GET", "/settings/agents", OwnerPage),
    ("GET", "/settings/agents/bind", OwnerPage),
    ("POST", "/settings/agents/bind", Form),
    ("POST", "/settings/agents/bind/confirm", Form),
    ("GET", "/settings/agents/{agent_id}", OwnerPage),
    ("GET", "/settings/agents/{agent_id}/end", OwnerPage),
    ("POST", "/settings/agents/{agent_id}/budgets", Form),
    ("POST", "/settings/agents/{agent_id}/pause", Form),
    ("POST", "/settings/agents/{agent_id}/resume", Form),
    ("POST", "/settings/agents/{agent_id}/revoke", Form),
    ("POST", "/settings/agents/{agent_id}/scopes", Form),
    ("POST", "/settings/agents/{agent_id}/unbind", Form),
    ("GET", "/settings/apikeys", OwnerPage),
    ("POST", "/settings/apikeys", Form),
    ("POST", "/settings/apikeys/{key_id}/revoke", Form),
    ("POST", "/settings/apikeys/{key_id}/rotate", Form),
    ("GET", "/settings/budgets", OwnerPage),
    ("POST", "/settings/budgets", Form),
    ("POST", "/settings/budgets/account", Form),
    ("POST", "/settings/budgets/remove", Form),
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
