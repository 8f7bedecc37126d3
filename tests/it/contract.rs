//! The published contract is whole: every operation shows what goes in and what comes out, and its examples are what its schemas say.

use serde_json::{Map, Value};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn document() -> Value {
    serde_json::from_str(&guest_cabinet::http::document_text()).expect("JSON")
}

/// Every operation with its path and method.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                all.push((format!("{method} {path}"), operation));
            }
        }
    }
    all
}

fn examples(content: &Value) -> Vec<&Value> {
    let several = content["examples"].as_object().into_iter().flatten();
    let several = several.map(|(_, example)| &example["value"]);
    content.get("example").into_iter().chain(several).collect()
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    target.map_or(schema, |path| document.pointer(path).expect("the document is closed"))
}

/// The members an object may have, and those it must have, over all parts of its schema.
fn members(document: &Value, schema: &Value, known: &mut Map<String, Value>, required: &mut Vec<String>) {
    let schema = resolved(document, schema);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        members(document, part, known, required);
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        known.insert(name.clone(), member.clone());
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        required.push(name.as_str().expect("a name").to_owned());
    }
}

/// What is wrong with `value`, as far as types, members and closed lists go; nothing when it fits.
fn misfit(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let schema = resolved(document, schema);
    if let Some(kinds) = schema["oneOf"].as_array() {
        let fitting = kinds.iter().filter(|kind| misfit(document, kind, value, at).is_none());
        let count = fitting.count();
        return (count != 1).then(|| format!("{at}: fits {count} of the alternatives"));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = match &schema["type"] {
        Value::String(only) => only == kind,
        Value::Array(kinds) => kinds.iter().any(|allowed| allowed == kind),
        _ => true,
    };
    let listed = schema["enum"].as_array().is_none_or(|list| list.contains(value));
    if !allowed || !listed {
        return Some(format!("{at}: {value}"));
    }
    match value {
        Value::Array(items) => items
            .iter()
            .find_map(|item| misfit(document, &schema["items"], item, at)),
        Value::Object(sent) => {
            let (mut known, mut required) = (Map::new(), Vec::new());
            members(document, schema, &mut known, &mut required);
            if let Some(missing) = required.iter().find(|name| !sent.contains_key(*name)) {
                return Some(format!("{at}.{missing}: is missing"));
            }
            sent.iter().find_map(|(name, value)| match known.get(name) {
                Some(member) => misfit(document, member, value, &format!("{at}.{name}")),
                None => Some(format!("{at}.{name}: is not in the schema")),
            })
        }
        _ => None,
    }
}

#[test]
fn every_operation_is_told_in_full_and_its_examples_fit() {
    let document = document();
    for (name, operation) in operations(&document) {
        assert!(operation["summary"].is_string(), "{name}: no summary");
        assert!(
            operation["security"].is_array(),
            "{name}: whether it needs credentials is not said"
        );
        let sent = operation["requestBody"]["content"].as_object().into_iter().flatten();
        let answered = operation["responses"].as_object().expect("responses");
        let answered = answered.iter().flat_map(|(status, response)| {
            assert!(
                response["headers"]["X-Request-Id"].is_object(),
                "{name} {status}: no X-Request-Id"
            );
            response["content"].as_object().into_iter().flatten()
        });
        for (kind, content) in sent.chain(answered) {
            let examples = examples(content);
            assert!(!examples.is_empty(), "{name} {kind}: no example");
            for example in examples {
                let misfit = misfit(&document, &content["schema"], example, &name);
                assert_eq!(misfit, None);
            }
        }
    }
}

#[test]
fn an_unknown_member_of_a_request_is_outside_the_contract() {
    let document = document();
    for (name, operation) in operations(&document) {
        for (_, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            let body = resolved(&document, &content["schema"]);
            assert_eq!(body["additionalProperties"], false, "{name}");
        }
    }
}
