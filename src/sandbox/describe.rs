//! The sandbox' own description, where clients and doctors look for a vendor's Swagger.

use serde_json::{Map, Value, json};

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

/// Controls: method, path, what it does.
const CONTROLS: [(&str, &str, &str); 17] = [
    ("get", "/sandbox", "How the sandbox stands"),
    ("get", "/sandbox/guests", "The guests to try"),
    (
        "get",
        "/sandbox/accounts/{id}",
        "Everything about an account, with what was booked",
    ),
    (
        "post",
        "/sandbox/till/purchase",
        "A purchase: {phone, sum, bonus_spent?, restaurant?, delay_days?}",
    ),
    (
        "post",
        "/sandbox/till/spend",
        "A purchase paid with bonuses: {phone, sum}",
    ),
    (
        "post",
        "/sandbox/till/refund",
        "Takes a purchase back: {phone, check_id?}",
    ),
    ("post", "/sandbox/clock", "Moves time forward: {days?, seconds?}"),
    ("get", "/sandbox/faults", "The ordered faults"),
    (
        "post",
        "/sandbox/faults",
        "Orders a fault: {operation, phone?, kind, status?, latency_ms?, retry_after?, count?, percent?}",
    ),
    ("delete", "/sandbox/faults", "No more faults"),
    (
        "put",
        "/sandbox/credential",
        "Revokes our credential, or not: {revoked}",
    ),
    ("get", "/sandbox/dialect", "How it speaks"),
    ("put", "/sandbox/dialect", "Speaks otherwise"),
    ("get", "/sandbox/journal", "Calls that were made, with counts"),
    ("delete", "/sandbox/journal", "Forgets the calls"),
    ("post", "/sandbox/reset", "Everything as at the beginning"),
    ("get", "/", "The page with all of this"),
];

pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for (operation, path, reads) in OPERATIONS {
        paths.insert(path.to_owned(), described(operation, reads));
    }
    for (method, path, summary) in CONTROLS {
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[method] = json!({
            "summary": summary, "tags": ["sandbox"], "responses": { "200": { "description": "Done" } },
        });
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "ProBonus sandbox", "version": "0" },
        "paths": paths,
        "components": { "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } } },
        "security": [{ "token": [] }],
    })
}

fn described(operation: &str, reads: bool) -> Value {
    let arguments = arguments(operation);
    let answers =
        json!({ "200": { "description": "The answer" }, "401": { "description": "The credential is refused" } });
    if reads {
        let parameter = |(name, kind, required): &(&str, &str, bool)| json!({ "name": name, "in": "query", "required": required, "schema": { "type": kind } });
        let parameters: Vec<Value> = arguments.iter().map(parameter).collect();
        return json!({
            "get": { "operationId": operation, "tags": ["ProBonus"], "parameters": parameters, "responses": answers },
        });
    }
    let property = |(name, kind, _): &(&str, &str, bool)| ((*name).to_owned(), json!({ "type": kind }));
    let properties: Map<String, Value> = arguments.iter().map(property).collect();
    let required: Vec<&str> = arguments
        .iter()
        .filter(|(_, _, required)| *required)
        .map(|(name, _, _)| *name)
        .collect();
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    json!({
        "post": {
            "operationId": operation, "tags": ["ProBonus"], "responses": answers,
            "requestBody": { "required": true, "content": { "application/json": { "schema": schema } } },
        },
    })
}
