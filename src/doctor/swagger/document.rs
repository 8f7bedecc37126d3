//! Reading a Swagger 2.0 or OpenAPI 3 document: what an operation takes and gives, and which header carries the token.

use std::collections::BTreeMap;

use serde_json::Value;

/// Schemas that refer to themselves are followed no deeper.
const DEPTH: u8 = 8;

/// The vendor's document.
pub(super) struct Document(Value);

/// An operation as the document has it.
pub(super) struct Described<'a> {
    document: &'a Document,
    item: &'a Value,
    operation: &'a Value,
}

impl Document {
    /// A Swagger or OpenAPI document, and nothing else that happens to be JSON.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let value: Value = serde_json::from_slice(text).ok()?;
        let named = value.get("openapi").is_some() || value.get("swagger").is_some();
        (named && value.get("paths")?.is_object()).then_some(Self(value))
    }

    /// What stands under `path`, wherever the document's own base address cuts it.
    pub fn path(&self, path: &str) -> Option<&Value> {
        let base = self.0["basePath"].as_str().unwrap_or_default();
        let base = format!("{}/", base.trim_end_matches('/'));
        let servers = self.0["servers"].as_array().into_iter().flatten();
        let servers = servers.filter_map(|server| Some(format!("{}/", server["url"].as_str()?.trim_end_matches('/'))));
        let bases: Vec<String> = servers.chain([base]).collect();
        let wanted = format!("/{path}");
        let same = |listed: &str| {
            let listed = listed.trim_end_matches('/').trim_start_matches('/');
            let whole = |base: &String| format!("{base}{listed}").to_ascii_lowercase();
            bases.iter().any(|base| whole(base).ends_with(&wanted))
        };
        let mut paths = self.0["paths"].as_object()?.iter();
        paths.find(|(listed, _)| same(listed)).map(|(_, item)| item)
    }

    /// The operation under a path's item by `method`.
    pub fn operation<'a>(&'a self, item: &'a Value, method: &str) -> Option<Described<'a>> {
        let operation = item.get(method.to_ascii_lowercase())?;
        Some(Described {
            document: self,
            item,
            operation,
        })
    }

    /// Names of the headers that carry a credential.
    pub fn token_headers(&self) -> Vec<&str> {
        let schemes = self
            .0
            .pointer("/components/securitySchemes")
            .or_else(|| self.0.get("securityDefinitions"));
        let schemes = schemes
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|all| all.values());
        let header = |scheme| {
            let scheme = self.resolved(scheme);
            match scheme["type"].as_str() {
                Some("http") => Some("Authorization"),
                Some("apiKey") if scheme["in"] == "header" => scheme["name"].as_str(),
                _ => None,
            }
        };
        schemes.filter_map(header).collect()
    }

    /// What a `$ref` of this document points at.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let target = value["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
        target.and_then(|path| self.0.pointer(path)).unwrap_or(value)
    }

    /// The members of an object's schema, over all its parts.
    fn members<'a>(&'a self, schema: &'a Value, depth: u8, members: &mut BTreeMap<&'a str, &'a Value>) {
        let schema = self.resolved(schema);
        for kind in ["allOf", "oneOf", "anyOf"] {
            for part in schema[kind].as_array().into_iter().flatten().filter(|_| depth > 0) {
                self.members(part, depth - 1, members);
            }
        }
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            members.insert(name, self.resolved(member));
        }
    }

    /// The members of what is answered, without the wrapping that we take off.
    fn unwrapped<'a>(&'a self, schema: &'a Value) -> BTreeMap<&'a str, &'a Value> {
        let mut schema = self.resolved(schema);
        for _ in 0..DEPTH {
            if schema["items"].is_object() {
                schema = self.resolved(&schema["items"]);
                continue;
            }
            let mut members = BTreeMap::new();
            self.members(schema, DEPTH, &mut members);
            match members.get("data").or_else(|| members.get("result")) {
                Some(inner) => schema = inner,
                None => return members,
            }
        }
        BTreeMap::new()
    }
}

impl Described<'_> {
    /// The arguments by name, with what is said of each.
    pub fn arguments(&self) -> BTreeMap<&str, &Value> {
        let mut arguments = BTreeMap::new();
        for list in [&self.item["parameters"], &self.operation["parameters"]] {
            for parameter in list.as_array().into_iter().flatten() {
                let parameter = self.document.resolved(parameter);
                if parameter["in"] == "body" {
                    self.document.members(&parameter["schema"], DEPTH, &mut arguments);
                } else if let Some(name) = parameter["name"].as_str() {
                    arguments.insert(name, parameter);
                }
            }
        }
        let body = self.document.resolved(&self.operation["requestBody"]);
        for (_, content) in body["content"].as_object().into_iter().flatten() {
            self.document.members(&content["schema"], DEPTH, &mut arguments);
        }
        arguments
    }

    /// The members of the good answer; none when the document does not say.
    pub fn answer(&self) -> BTreeMap<&str, &Value> {
        let responses = &self.operation["responses"];
        let good = ["200", "201", "default"]
            .into_iter()
            .find_map(|status| responses.get(status));
        let Some(good) = good.map(|good| self.document.resolved(good)) else {
            return BTreeMap::new();
        };
        let contents = good["content"].as_object().into_iter().flatten();
        let schemas = contents
            .map(|(_, content)| &content["schema"])
            .chain(good.get("schema"));
        let mut described = schemas.map(|schema| self.document.unwrapped(schema));
        described.find(|members| !members.is_empty()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(value: &Value) -> Document {
        Document::parse(value.to_string().as_bytes()).expect("a document")
    }

    #[test]
    fn a_path_is_found_wherever_the_base_address_cuts_it() {
        let found = |document: &Document| document.path("api/v0/accounts/update").is_some();
        assert!(found(&document(
            &json!({ "swagger": "2.0", "paths": { "/api/v0/Accounts/update": {} } })
        )));
        assert!(found(&document(
            &json!({ "swagger": "2.0", "basePath": "/api/v0", "paths": { "/accounts/update/": {} } })
        )));
        let servers = json!([{ "url": "http://probonus.local:6896/api/v0/" }]);
        assert!(found(&document(
            &json!({ "openapi": "3.0.1", "servers": servers, "paths": { "/accounts/update": {} } })
        )));
        assert!(!found(&document(
            &json!({ "swagger": "2.0", "paths": { "/accounts/update": {} } })
        )));
        assert!(Document::parse(b"{\"paths\": {}}").is_none() && Document::parse(b"<html>").is_none());
    }

    #[test]
    fn arguments_and_answers_are_read_from_both_generations() {
        let old = json!({
            "swagger": "2.0",
            "paths": { "/a": {
                "parameters": [{ "name": "phone", "in": "query" }],
                "post": {
                    "parameters": [{ "name": "body", "in": "body", "schema": { "$ref": "#/definitions/Edit" } }],
                    "responses": { "200": { "schema": { "$ref": "#/definitions/Wrapped" } } },
                },
            }},
            "definitions": {
                "Edit": { "allOf": [{ "$ref": "#/definitions/Id" }, { "properties": { "email": {} } }] },
                "Id": { "properties": { "id": {} } },
                "Wrapped": { "properties": { "data": { "type": "array", "items": { "$ref": "#/definitions/Id" } } } },
            },
        });
        let new = json!({
            "openapi": "3.1.0",
            "paths": { "/a": { "post": {
                "parameters": [{ "name": "phone", "in": "query" }],
                "requestBody": { "content": { "application/json": { "schema": { "properties": { "id": {}, "email": {} } } } } },
                "responses": { "200": { "content": { "application/json": { "schema": { "properties": { "id": {} } } } } } },
            }}},
        });
        for value in [old, new] {
            let document = document(&value);
            let item = document.path("a").expect("a path");
            let described = document.operation(item, "POST").expect("an operation");
            assert_eq!(
                described.arguments().into_keys().collect::<Vec<_>>(),
                ["email", "id", "phone"]
            );
            assert_eq!(described.answer().into_keys().collect::<Vec<_>>(), ["id"]);
        }
    }
}
