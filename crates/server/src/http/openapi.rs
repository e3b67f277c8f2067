//! The OpenAPI document: what the routes describe, plus what all of them share.
//!
//! Invariant: every operation documents every status that it can answer with. Not here: single operations.

use crate::http::router;
use rynjer_api::{Envelope, ErrorCode, ErrorData, FailureEnvelope, Problem};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        self, Components, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, Ref, RefOr, ResponseBuilder,
        path::Operation,
        schema::Schema,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
        tag::TagBuilder,
    },
};

/// The whole document, without servers.
#[must_use]
pub fn document() -> OpenApi {
    let (_, mut document) = router::api().split_for_parts();
    document.info = InfoBuilder::new()
        .title("rynjer Agent API")
        .version("1")
        .description(Some(
            "Programmatic access for AI agents with credits-based pricing. Estimate, generate once \
             however often \
             you retry, poll, download. A failed generation costs nothing.",
        ))
        .build();
    document.tags = Some(
        [
            ("identity", "Register an agent, make keys, get short-lived tokens"),
            ("models", "What can be made and what it costs"),
            ("credits", "Prices and balance"),
            ("generate", "Make something and fetch it"),
            ("files", "Pictures to start from"),
            ("outputs", "Finished files"),
            ("test", "Forced outcomes and a movable clock, for test accounts"),
            ("health", "For operators"),
        ]
        .map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build())
        .to_vec(),
    );
    let components = document.components.get_or_insert_with(Components::new);
    add_schemas(components);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.security_schemes.insert("bearer".to_owned(), RefOr::T(SecurityScheme::Http(bearer)));
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (HttpMethod::Get, item.get.as_mut()),
            (HttpMethod::Post, item.post.as_mut()),
            (HttpMethod::Delete, item.delete.as_mut()),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                add_errors(path, &method, operation);
            }
        }
    }
    document
}

fn add_schemas(components: &mut Components) {
    let mut found: Vec<(String, RefOr<Schema>)> = Vec::new();
    Envelope::<ErrorData>::schemas(&mut found);
    FailureEnvelope::schemas(&mut found);
    Problem::schemas(&mut found);
    found.push(("ErrorEnvelope".to_owned(), Envelope::<ErrorData>::schema()));
    found.push(("FailureEnvelope".to_owned(), FailureEnvelope::schema()));
    found.push(("Problem".to_owned(), Problem::schema()));
    for (name, schema) in found {
        components.schemas.entry(name).or_insert(schema);
    }
}

/// Statuses that an operation can fail with, beside what any request can meet.
fn statuses(path: &str, method: &HttpMethod) -> Vec<u16> {
    let mut statuses = vec![431, 500, 503];
    let identity = path.starts_with("/api/v1/agents/");
    if path.starts_with("/auth/") {
        statuses.extend([400, 401, 403, 413, 415, 429]);
        return statuses;
    }
    if path.starts_with("/outputs/") || path.starts_with("/files/") {
        statuses.extend([400, 404]);
        return statuses;
    }
    if !(identity || path.starts_with("/v1/") || path.starts_with("/api/credits/")) {
        return statuses;
    }
    statuses.extend([400, 401, 403, 429]);
    if *method == HttpMethod::Post {
        statuses.extend([413, 415]);
    }
    let names_one = ["{request_id}", "{file_id}", "{usage_event_id}"].iter().any(|part| path.contains(part));
    if identity || names_one || path.starts_with("/v1/test/") {
        statuses.push(404);
    }
    if path.ends_with("estimate") || path.ends_with("/cancel") || *method == HttpMethod::Delete {
        statuses.push(409);
    }
    if path == "/v1/generate" && *method == HttpMethod::Post {
        statuses.extend([402, 409, 422]);
    }
    statuses
}

fn add_errors(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let family_b = path == "/api/v1/agents/register" || path.starts_with("/api/v1/agents/keys/");
    let envelope = if family_b { "FailureEnvelope" } else { "ErrorEnvelope" };
    for status in statuses(path, method) {
        let codes: Vec<&str> =
            ErrorCode::ALL.iter().filter(|code| code.status() == status).map(|code| code.as_str()).collect();
        let content =
            |schema: &str| ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
        let response = ResponseBuilder::new()
            .description(format!("`{}`", codes.join("`, `")))
            .content("application/json", content(envelope))
            .content("application/problem+json", content("Problem"))
            .build();
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_string()).or_insert(openapi::RefOr::T(response));
    }
}
