//! Whether an answer has the shape of an example.
//!
//! Invariant: `...` in an example stands for anything, and nothing else does; a number stands for any number.
//! Not here: where answers come from (`reader`).

use serde_json::Value;

/// Every place where `actual` does not look like `shown`.
pub(crate) fn differences(shown: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(shown, actual, "$", &mut found);
    found
}

fn compare(shown: &Value, actual: &Value, place: &str, found: &mut Vec<String>) {
    match (shown, actual) {
        (Value::String(shown), _) if shown == "..." => {}
        (Value::String(shown), Value::String(actual)) => {
            let (start, end) = shown.split_once("...").unwrap_or((shown, ""));
            let open = shown.contains("...") && actual.starts_with(start) && actual.ends_with(end);
            if !open && shown != actual {
                found.push(format!("{place}: {shown:?} is {actual:?}"));
            }
        }
        (Value::Object(shown), Value::Object(actual)) => {
            for name in shown.keys().filter(|name| !actual.contains_key(*name)) {
                found.push(format!("{place}.{name} is shown and not there"));
            }
            for (name, value) in actual {
                match shown.get(name) {
                    Some(shown) => compare(shown, value, &format!("{place}.{name}"), found),
                    None => found.push(format!("{place}.{name} is there and not shown: {value}")),
                }
            }
        }
        // The first element shows what all are like, where there is but one.
        (Value::Array(shown), Value::Array(actual)) => {
            if shown.len() > 1 && shown.len() != actual.len() || shown.is_empty() != actual.is_empty() {
                found.push(format!("{place} has {} elements", actual.len()));
            }
            let pattern = |at: usize| shown.get(at).or_else(|| shown.first());
            for (at, value) in actual.iter().enumerate() {
                if let Some(shown) = pattern(at) {
                    compare(shown, value, &format!("{place}[{at}]"), found);
                }
            }
        }
        (Value::Number(_), Value::Number(_)) => {}
        _ if shown == actual => {}
        _ => found.push(format!("{place}: {shown} is {actual}")),
    }
}

#[test]
fn shapes() {
    use serde_json::json;
    let same = [
        (json!({"a": "...", "b": 1, "c": [{"d": "x_..."}]}), json!({"a": [], "b": 7, "c": [{"d": "x_1"}]})),
        (json!(["a", "b"]), json!(["a", "b"])),
        (json!([]), json!([])),
    ];
    for (shown, actual) in same {
        assert_eq!(differences(&shown, &actual), Vec::<String>::new(), "{shown}");
    }
    let different = [
        (json!({"a": 1}), json!({"b": 1}), "$.a is shown and not there"),
        (json!({"a": true}), json!({"a": false}), "$.a: true is false"),
        (json!({"a": null}), json!({"a": 1}), "$.a: null is 1"),
        (json!("x_..."), json!("y_1"), "$: \"x_...\" is \"y_1\""),
        (json!([]), json!([1]), "$ has 1 elements"),
        (json!([{"a": 1}]), json!([{"a": 1}, {"a": "1"}]), "$[1].a: 1 is \"1\""),
    ];
    for (shown, actual, expected) in different {
        assert_eq!(differences(&shown, &actual)[0], expected);
    }
}
