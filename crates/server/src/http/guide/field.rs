//! The fields of a JSON schema, one line each: name, type with its limits, meaning.
//!
//! Invariant: a schema that contains itself comes to an end. Not here: the tables around them (`reference`).

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Most levels of objects inside objects.
const MAX_DEPTH: usize = 4;
/// Longer lists of values are not told here.
const MAX_VALUES: usize = 12;

/// One field, however deep: `outputs[].url`.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) kind: String,
    pub(super) meaning: String,
}

/// The fields of a request, those that it needs first.
pub(super) fn request(openapi: &Value, schema: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    collect(openapi, schema, "", true, 0, &mut found);
    let root = |field: &Field| field.name.split(['.', '[']).next().unwrap_or_default().to_owned();
    let needed: BTreeSet<String> = found.iter().filter(|field| field.required).map(root).collect();
    found.sort_by_key(|field| !needed.contains(&root(field)));
    found
}

/// The fields of an answer, without the envelope around them, and that envelope.
pub(super) fn answer(openapi: &Value, schema: &Value) -> (Option<&'static str>, Vec<Field>) {
    let whole = resolved(openapi, schema);
    let properties = &whole["properties"];
    let envelope = match (properties.get("code"), properties.get("success")) {
        (Some(_), _) => Some("{\"code\":0,\"message\":\"ok\",\"data\":{…}}"),
        (_, Some(_)) => Some("{\"success\":true,\"data\":{…}}"),
        _ => None,
    };
    let inner = if envelope.is_some() { &properties["data"] } else { whole };
    let mut found = Vec::new();
    collect(openapi, inner, "", false, 0, &mut found);
    (envelope, found)
}

/// Whether an object has a field of that name.
pub(super) fn has(openapi: &Value, schema: &Value, name: &str) -> bool {
    resolved(openapi, schema)["properties"].get(name).is_some()
}

/// An object with its required fields and its prompt, of the values that the schema gives as examples.
pub(super) fn example(openapi: &Value, schema: &Value) -> Value {
    let whole = resolved(openapi, schema);
    if let Some(given) = given_example(whole) {
        return given.clone();
    }
    let properties = whole["properties"].as_object().into_iter().flatten();
    let wanted = properties.filter(|(name, _)| is_required(whole, name) || *name == "prompt");
    let members =
        wanted.filter_map(|(name, property)| Some((name.clone(), given_example(property)?.clone())));
    Value::Object(members.collect::<Map<_, _>>())
}

fn given_example(schema: &Value) -> Option<&Value> {
    schema.get("example").or_else(|| schema["examples"].get(0))
}

/// The schema that a reference names, or the one that stands beside `null`.
fn resolved<'a>(openapi: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return resolved(openapi, &openapi["components"]["schemas"][name]);
    }
    let variants = variants(schema);
    match variants.as_slice() {
        [only] => resolved(openapi, only),
        _ => schema,
    }
}

/// What a value may be instead of one type, without `null`.
fn variants(schema: &Value) -> Vec<&Value> {
    let all = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    all.into_iter().flatten().filter(|variant| variant["type"] != "null").collect()
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|required| required.iter().any(|other| other == name))
}

/// The meaning that stands nearest to the field.
fn meaning(openapi: &Value, schema: &Value) -> String {
    let mut place = schema;
    loop {
        if let Some(text) = place["description"].as_str() {
            return text.replace('\n', " ");
        }
        let variants = variants(place);
        if let [only] = variants.as_slice() {
            place = only;
        } else {
            break;
        }
    }
    resolved(openapi, schema)["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn collect(
    openapi: &Value,
    schema: &Value,
    prefix: &str,
    asking: bool,
    depth: usize,
    found: &mut Vec<Field>,
) {
    let whole = resolved(openapi, schema);
    for variant in variants(whole) {
        collect(openapi, variant, prefix, asking, depth, found);
    }
    for part in whole["allOf"].as_array().into_iter().flatten() {
        collect(openapi, part, prefix, asking, depth, found);
    }
    for (name, property) in whole["properties"].as_object().into_iter().flatten() {
        let name = format!("{prefix}{name}");
        let inner = resolved(openapi, property);
        found.push(Field {
            name: name.clone(),
            required: asking && depth == 0 && is_required(whole, &name),
            kind: kind(openapi, property, !asking),
            meaning: meaning(openapi, property),
        });
        if depth < MAX_DEPTH {
            let items = &inner["items"];
            let (inner, prefix) =
                if items.is_object() { (items, format!("{name}[].")) } else { (inner, format!("{name}.")) };
            collect(openapi, inner, &prefix, asking, depth + 1, found);
        }
    }
}

/// The type of a value with its limits; `null` is told of answers alone.
pub(super) fn kind(openapi: &Value, schema: &Value, nulls: bool) -> String {
    let inner = resolved(openapi, schema);
    let variants = variants(inner);
    if !variants.is_empty() {
        let mut kinds: Vec<String> = variants.iter().map(|variant| kind(openapi, variant, false)).collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    let types: Vec<&str> = match &inner["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let name = types.iter().copied().find(|name| *name != "null").unwrap_or("object");
    let beside = schema["oneOf"].as_array().into_iter().flatten().any(|variant| variant["type"] == "null");
    let suffix = if nulls && (beside || types.contains(&"null")) { " or null" } else { "" };
    format!("{}{suffix}", told(openapi, inner, name))
}

fn told(openapi: &Value, schema: &Value, name: &str) -> String {
    let values = schema["enum"].as_array().into_iter().flatten().filter(|value| !value.is_null());
    let values: Vec<String> = values.map(|value| format!("`{}`", bare(value))).collect();
    if values.len() > MAX_VALUES {
        return "one of the codes below".to_owned();
    }
    if !values.is_empty() {
        return values.join(", ");
    }
    match name {
        "string" => {
            let format = match schema["format"].as_str() {
                Some("date-time") => "time",
                Some("uri") => "URL",
                Some("binary") => "file",
                _ => "text",
            };
            let unit = if schema["maxLength"].as_u64() == Some(1) { " letter" } else { " letters" };
            format!("{format}{}", range(schema, "minLength", "maxLength", unit))
        }
        "integer" => format!("whole number{}", range(schema, "minimum", "maximum", "")),
        "number" => format!("number{}", range(schema, "minimum", "maximum", "")),
        "boolean" => "true or false".to_owned(),
        "array" => {
            let items = kind(openapi, &schema["items"], false);
            format!("list of {items}{}", range(schema, "minItems", "maxItems", " items"))
        }
        _ => format!("object{}", range(schema, "minProperties", "maxProperties", " members")),
    }
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The limits of a number or a length: `, 1 to 255`.
fn range(schema: &Value, least: &str, most: &str, unit: &str) -> String {
    match (schema.get(least), schema.get(most)) {
        (Some(least), Some(most)) => format!(", {least} to {most}{unit}"),
        (None, Some(most)) => format!(", at most {most}{unit}"),
        (Some(least), None) if least != 0 => format!(", at least {least}{unit}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(fields: &[Field]) -> Vec<String> {
        let line = |field: &Field| {
            let required = if field.required { "!" } else { "" };
            format!("{}{required} | {} | {}", field.name, field.kind, field.meaning)
        };
        fields.iter().map(line).collect()
    }

    #[test]
    fn fields_are_flat_and_have_their_limits() {
        let openapi = json!({"components": {"schemas": {
            "Units": {"type": "object", "description": "What is bought.", "properties": {
                "count": {"type": ["integer", "null"], "enum": [1, 2, null], "description": "How many."}}},
            "Node": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}},
        }}});
        let schema = json!({"type": "object", "required": ["id"], "properties": {
            "id": {"type": "string", "minLength": 1, "maxLength": 9, "description": "A\nname."},
            "units": {"oneOf": [
                {"$ref": "#/components/schemas/Units", "description": "Near."}, {"type": "null"}]},
            "urls": {"type": "array", "maxItems": 2, "items": {"type": "string", "format": "uri"}},
        }});
        let expected = [
            "id! | text, 1 to 9 letters | A name.",
            "units | object | Near.",
            "units.count | `1`, `2` | How many.",
            "urls | list of URL, at most 2 items | ",
        ];
        assert_eq!(lines(&request(&openapi, &schema)), expected);
        let circle = request(&openapi, &json!({"$ref": "#/components/schemas/Node"}));
        assert_eq!(circle.len(), MAX_DEPTH + 1);
    }

    #[test]
    fn envelopes_are_named_and_left_out() {
        let time = json!({"type": ["string", "null"], "format": "date-time"});
        let data = json!({"type": "object", "properties": {"at": time}});
        let schema = json!({"properties": {"code": {"type": "integer"}, "data": data}});
        let (envelope, fields) = answer(&Value::Null, &schema);
        assert_eq!(envelope, Some("{\"code\":0,\"message\":\"ok\",\"data\":{…}}"));
        assert_eq!(lines(&fields), ["at | time or null | "]);
    }

    #[test]
    fn examples_are_made_of_those_of_the_fields() {
        let schema = json!({"type": "object", "required": ["model"], "properties": {
            "model": {"example": "m"}, "prompt": {"examples": ["p"]}, "seed": {"example": 7}}});
        assert_eq!(example(&Value::Null, &schema), json!({"model": "m", "prompt": "p"}));
    }
}
