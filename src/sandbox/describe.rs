//! The sandbox' own description, where clients and doctors look for a vendor's Swagger.

mod controls;

use serde_json::{Map, Value, json};

use super::Dialect;
use super::api::OPERATIONS;

/// Where it is found.
pub(super) const PATHS: [&str; 3] = ["/openapi.json", "/swagger/v0/swagger.json", "/swagger/v1/swagger.json"];

/// Arguments of an operation: name, type, whether it must be there.
fn arguments(operation: &str) -> &'static [(&'static str, &'static str, bool)] {
    match operation {
        "login" => &[("login", "string", true), ("password", "string", true)],
        "refresh_token" => &[("refreshToken", "string", true)],
        "find_by_phone" => &[("phone", "string", true)],
        "insert_by_template" => &[
            ("accountGroupId", "integer", true),
            ("phone", "string", true),
            ("firstName", "string", true),
            ("lastName", "string", false),
            ("middleName", "string", false),
            ("birthday", "string", false),
            ("gender", "string", false),
            ("email", "string", false),
        ],
        "update" => &[
            ("id", "integer", true),
            ("firstName", "string", false),
            ("lastName", "string", false),
            ("middleName", "string", false),
            ("birthday", "string", false),
            ("gender", "string", false),
            ("email", "string", false),
        ],
        "refill" => &[
            ("accountId", "integer", true),
            ("sum", "integer", true),
            ("comment", "string", false),
        ],
        "transactions" => &[
            ("accountId", "integer", true),
            ("dateFrom", "string", false),
            ("dateTo", "string", false),
            ("count", "integer", false),
        ],
        "get_balance_extended" => &[("accountId", "integer", true)],
        "get_by_id" => &[("id", "integer", true)],
        "register_check" => &[
            ("restCode", "integer", true),
            ("checkGuid", "string", true),
            ("accountId", "integer", true),
            ("rkUnit", "integer", true),
            ("externalCheck", "string", true),
            ("bonusSpentSum", "integer", true),
            ("discountSum", "integer", true),
            ("bonusAccruedSum", "integer", true),
            ("moneySpentSum", "integer", true),
            ("checkData", "string", false),
        ],
        _ => &[],
    }
}

/// The document, in the dialect that is spoken now.
pub(super) fn document(dialect: &Dialect) -> Value {
    let mut paths = Map::new();
    for (operation, path, reads) in OPERATIONS {
        paths.insert(path.to_owned(), described(operation, reads && !dialect.post_reads));
    }
    controls::add(&mut paths);
    let scheme = if dialect.token_header.is_empty() {
        json!({ "type": "http", "scheme": "bearer" })
    } else {
        json!({ "type": "apiKey", "in": "header", "name": dialect.token_header })
    };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ProBonus sandbox", "version": "0", "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": "A stateful ProBonus stand-in: the eleven operations, and under `/sandbox` everything that controls it.",
        },
        "servers": [{ "url": "/", "description": "This sandbox" }],
        "tags": [
            { "name": "ProBonus", "description": "What ProBonus answers." },
            { "name": "sandbox", "description": "Guests, a till, a clock, faults, dialects." },
        ],
        "paths": paths,
        "components": { "securitySchemes": { "token": scheme } },
        "security": [{ "token": [] }],
    })
}

fn summary(operation: &str) -> &'static str {
    match operation {
        "login" => "Gives a bearer token and a refresh token",
        "refresh_token" => "Gives a new pair",
        "account_groups" => "The groups; new accounts need one with a template",
        "find_by_phone" => "Nearly everything about a guest",
        "insert_by_template" => "Makes an account by its group's template",
        "update" => "Changes the questionnaire",
        "refill" => "Accrues bonuses",
        "transactions" => "The movements of a period, or the last ones",
        "get_balance_extended" => "The balance: when and how much burns",
        "get_by_id" => "A check down to its dishes",
        _ => "Books a purchase made outside; nobody looks whether its GUID was there before",
    }
}

fn described(operation: &str, by_query: bool) -> Value {
    let arguments = arguments(operation);
    let mut described = json!({
        "operationId": operation, "summary": summary(operation), "tags": ["ProBonus"],
        "responses": {
            "200": { "description": "The answer; how it looks depends on the dialect", "content": { "application/json": {} } },
            "400": { "description": "The arguments make no sense" },
            "401": { "description": "The credential is refused" },
        },
    });
    if matches!(operation, "login" | "refresh_token") {
        described["security"] = json!([]);
    }
    if by_query {
        let parameter = |(name, kind, required): &(&str, &str, bool)| json!({ "name": name, "in": "query", "required": required, "schema": { "type": kind } });
        described["parameters"] = arguments.iter().map(parameter).collect();
        return json!({ "get": described });
    }
    let property = |(name, kind, _): &(&str, &str, bool)| ((*name).to_owned(), json!({ "type": kind }));
    let properties: Map<String, Value> = arguments.iter().map(property).collect();
    let required = arguments.iter().filter(|(_, _, required)| *required);
    let required: Vec<&str> = required.map(|(name, _, _)| *name).collect();
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    described["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    json!({ "post": described })
}
