//! The calls of the API as Markdown, made of the OpenAPI description.
//!
//! Invariant: every operation of the description is here, with every field of it; nothing is known here of
//! any single one. Not here: the description (`openapi`), fields (`field`).

use super::{
    field::{self, Field},
    table::{code, head, row},
};
use serde_json::{Map, Value};
use std::fmt::Write as _;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const SIGNATURE: &str = "[a signature](/docs/agent-quickstart#an-identity-of-your-own)";
/// Statuses that any request can meet, told once for all calls.
const EVERYWHERE: [&str; 4] = ["429", "431", "500", "503"];

/// What one path and method do.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    value: &'a Value,
}

/// Every operation, by tag.
pub(super) fn operations(openapi: &Value) -> String {
    let mut text = String::new();
    for tag in openapi["tags"].as_array().into_iter().flatten() {
        let name = tag["name"].as_str().unwrap_or_default();
        let found = tagged(openapi, name);
        if found.is_empty() {
            continue;
        }
        let description = tag["description"].as_str().unwrap_or_default();
        let _ = write!(text, "## {}\n\n{description}.\n\n", capital(name));
        for operation in &found {
            text += &operation.described(openapi);
        }
    }
    text.trim_end().to_owned()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn tagged<'a>(openapi: &'a Value, tag: &str) -> Vec<Operation<'a>> {
    let mut found = Vec::new();
    for (path, item) in openapi["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let tags = item[method]["tags"].as_array();
            if tags.is_some_and(|tags| tags.iter().any(|other| other == tag)) {
                found.push(Operation { method, path, value: &item[method] });
            }
        }
    }
    found
}

impl Operation<'_> {
    fn described(&self, openapi: &Value) -> String {
        let mut text = format!("### {} {}\n\n", self.method.to_uppercase(), self.path);
        let summary = self.value["summary"].as_str().unwrap_or_default().trim_end_matches('.');
        let stop = if summary.ends_with('?') { "" } else { "." };
        let description = self.value["description"].as_str().unwrap_or_default().replace('\n', " ");
        let _ = write!(text, "**{summary}{stop}** {description}\n\n{}\n\n", self.credential(openapi));
        text += &self.parameters(openapi);
        if let Some((mime, schema)) = self.request() {
            let names = format!("Request, `{mime}`:\n\n");
            text += &fields(&names, &field::request(openapi, schema));
        }
        if let Some(example) = self.example(openapi) {
            let _ = write!(text, "```sh\n{example}\n```\n\n");
        }
        text += &self.answer(openapi);
        text + &self.errors()
    }

    fn credential(&self, openapi: &Value) -> String {
        let kinds = self.value["security"].as_array();
        let without =
            kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind.as_object().is_some_and(Map::is_empty)));
        let bearer = kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind.get("bearer").is_some()));
        let signed = self.request().is_some_and(|(_, schema)| field::has(openapi, schema, "signature"));
        match (bearer, signed) {
            (true, true) if without => format!("Credential: a bearer token, or {SIGNATURE}."),
            (true, true) => format!("Credential: a bearer token and {SIGNATURE}."),
            (true, false) => "Credential: a bearer token.".to_owned(),
            (false, true) => format!("Credential: {SIGNATURE}."),
            (false, false) => "Credential: none.".to_owned(),
        }
    }

    /// The request's media type and schema.
    fn request(&self) -> Option<(&str, &Value)> {
        let content = self.value["requestBody"]["content"].as_object()?;
        content.iter().next().map(|(mime, body)| (mime.as_str(), &body["schema"]))
    }

    fn parameters(&self, openapi: &Value) -> String {
        let parameters = self.value["parameters"].as_array().into_iter().flatten();
        let rows = parameters.map(|parameter| {
            let place = parameter["in"].as_str().unwrap_or_default();
            let name = parameter["name"].as_str().unwrap_or_default();
            let required = if parameter["required"] == true { ", required" } else { "" };
            let description = parameter["description"].as_str().unwrap_or_default();
            row([
                code(name),
                format!("{place}{required}"),
                field::kind(openapi, &parameter["schema"], false),
                description.to_owned(),
            ])
        });
        let rows: String = rows.collect();
        if rows.is_empty() { rows } else { head(["Parameter", "In", "Type", "Meaning"]) + &rows + "\n" }
    }

    /// A call that can be pasted; none where it needs a signature, a file or an id that only an answer gives.
    fn example(&self, openapi: &Value) -> Option<String> {
        let path = self.path.replace("{request_id}", "demo-uuid-001").replace("{id}", "demo-uuid-001");
        if path.contains('{') {
            return None;
        }
        let mut lines = vec![match self.method {
            "get" | "post" => format!("curl -s \"$RYNJER_BASE_URL{path}\""),
            method => format!("curl -s -X {} \"$RYNJER_BASE_URL{path}\"", method.to_uppercase()),
        }];
        if self.value["security"].is_array() {
            lines.push("-H \"Authorization: Bearer $RYNJER_ACCESS_TOKEN\"".to_owned());
        }
        if let Some((mime, schema)) = self.request() {
            if mime != "application/json" || field::has(openapi, schema, "signature") {
                return None;
            }
            lines.push("-H \"Content-Type: application/json\"".to_owned());
            let example = serde_json::to_string_pretty(&field::example(openapi, schema)).ok()?;
            lines.push(format!("-d '{example}'"));
        } else if self.method == "post" {
            lines[0] = format!("curl -s -X POST \"$RYNJER_BASE_URL{path}\"");
        }
        Some(lines.join(" \\\n  "))
    }

    fn answer(&self, openapi: &Value) -> String {
        let responses = self.value["responses"].as_object().into_iter().flatten();
        let mut good = responses.filter(|(status, _)| status.starts_with('2'));
        let Some((_, response)) = good.next() else { return String::new() };
        let content = response["content"].as_object().and_then(|content| content.iter().next());
        match content {
            Some((mime, body)) if mime == "application/json" => {
                let (envelope, found) = field::answer(openapi, &body["schema"]);
                let names = match envelope {
                    Some(envelope) => format!("Answer, in `data` of `{envelope}`:\n\n"),
                    None => "Answer:\n\n".to_owned(),
                };
                fields(&names, &found)
            }
            Some((mime, _)) => format!("Answer: `{mime}`.\n\n"),
            None => String::new(),
        }
    }

    /// Each status with a link to the first of its codes, which stand together in one table.
    fn errors(&self) -> String {
        let responses = self.value["responses"].as_object().into_iter().flatten();
        let own = responses.filter(|(status, _)| status.starts_with(['4', '5']));
        let told =
            own.filter(|(status, _)| !EVERYWHERE.contains(&status.as_str())).map(|(status, response)| {
                let description = response["description"].as_str().unwrap_or_default();
                match description.split('`').nth(1) {
                    Some(code) => format!("[{status}](#{code})"),
                    None => status.clone(),
                }
            });
        let told: Vec<String> = told.collect();
        if told.is_empty() { String::new() } else { format!("Errors: {}.\n\n", told.join(", ")) }
    }
}

fn fields(names: &str, fields: &[Field]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let rows = fields.iter().map(|field| {
        let required = if field.required { " (required)" } else { "" };
        row([format!("`{}`{required}", field.name), field.kind.clone(), field.meaning.clone()])
    });
    let rows: String = rows.collect();
    format!("{names}{}{rows}\n", head(["Field", "Type", "Meaning"]))
}
