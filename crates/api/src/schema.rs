//! Schemas that the derive can't state: constants, and maps with a limit.
//!
//! Invariant: each function describes exactly one wire rule of the contract. Not here: anything that runs at
//! a request.

use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

/// How many pairs `metadata` may have.
const MAX_METADATA_PAIRS: usize = 16;

/// How many input images a request may have.
const MAX_INPUT_IMAGES: usize = 16;

fn nullable(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

/// The `code` of family A: always 0.
pub(crate) fn code_zero() -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([0])).build()
}

/// The `message` of family A: always `ok`.
pub(crate) fn message_ok() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["ok"])).build()
}

/// The `success` of an accepted call of family B.
pub(crate) fn always_true() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])).build()
}

/// The `success` of a refused call of family B.
pub(crate) fn always_false() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false])).build()
}

/// How many outputs: 1, 2, 4 or 8.
pub(crate) fn count() -> Object {
    count_object(SchemaType::Type(Type::Integer)).enum_values(Some([1, 2, 4, 8])).build()
}

/// How many outputs, where the field may be null.
pub(crate) fn nullable_count() -> Object {
    let values = [serde_json::json!(1), 2.into(), 4.into(), 8.into(), serde_json::Value::Null];
    count_object(nullable(Type::Integer)).enum_values(Some(values)).build()
}

fn count_object(kind: SchemaType) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(kind)
        .description(Some("How many images to make: 1, 2, 4 or 8; video and music take 1."))
        .examples([1])
}

/// `metadata`: at most 16 pairs of text.
pub(crate) fn metadata() -> Object {
    ObjectBuilder::new()
        .schema_type(nullable(Type::Object))
        .additional_properties(Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some(NO_NUL))))
        .max_properties(Some(MAX_METADATA_PAIRS))
        .description(Some("Your own notes on the task: up to 16 pairs of text, given back with its answers."))
        .examples([serde_json::json!({"campaign": "spring"})])
        .build()
}

/// The images to start from: at most 16 of what the worker can fetch.
pub(crate) fn image_urls() -> Array {
    let item = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^(https?://[^\\u0000]+|data:[^\\u0000]+|file_[0-9a-z]+)$"));
    ArrayBuilder::new()
        .schema_type(nullable(Type::Array))
        .items(item)
        .max_items(Some(MAX_INPUT_IMAGES))
        .description(Some("The images to start from: URLs, `data:` URIs, or ids of uploaded files."))
        .examples([serde_json::json!(["https://example.com/product.png"])])
        .build()
}

/// Text without U+0000, which JSON bodies may not hold.
const NO_NUL: &str = "^[^\\u0000]*$";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use utoipa::{PartialSchema, ToSchema};

    /// The property names of a type's schema, sorted.
    pub(crate) fn properties<T: ToSchema>() -> Vec<String> {
        let schema = serde_json::to_value(<T as PartialSchema>::schema()).unwrap();
        let mut names: Vec<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    }

    /// The names that a type's schema requires, sorted.
    pub(crate) fn required<T: ToSchema>() -> Vec<String> {
        let schema = serde_json::to_value(<T as PartialSchema>::schema()).unwrap();
        let mut names: Vec<String> = schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// Checks that a list of known fields is that of the type's schema.
    pub(crate) fn assert_fields<T: ToSchema>(fields: &[&str]) {
        let mut sorted = fields.to_vec();
        sorted.sort_unstable();
        assert_eq!(properties::<T>(), sorted);
    }

    #[test]
    fn metadata_states_its_limit() {
        let schema = serde_json::to_value(metadata()).unwrap();
        assert_eq!(schema["maxProperties"], 16);
        assert_eq!(schema["type"], serde_json::json!(["object", "null"]));
    }
}
