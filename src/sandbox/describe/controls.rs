//! The controls under `/sandbox`, described: method, path, what each does, what it is sent.

use serde_json::{Map, Value, json};

use crate::sandbox::api::OPERATIONS;
use crate::sandbox::faults::Kind;

/// Controls: method, path, what it does.
const CONTROLS: [(&str, &str, &str); 21] = [
    ("get", "/sandbox", "How the sandbox stands"),
    ("get", "/sandbox/guests", "The guests to try"),
    (
        "get",
        "/sandbox/accounts/{id}",
        "Everything about an account, with what was booked",
    ),
    ("post", "/sandbox/till/purchase", "A purchase; sums are kopecks"),
    ("post", "/sandbox/till/spend", "A purchase paid with bonuses alone"),
    (
        "post",
        "/sandbox/till/refund",
        "Takes a purchase back, the last one when not said which",
    ),
    (
        "post",
        "/sandbox/phones/move",
        "Gives the account of a number another one, or none; whoever had that loses it",
    ),
    (
        "post",
        "/sandbox/phones/share",
        "Lets a number lead to the account of another one, too",
    ),
    (
        "post",
        "/sandbox/phones/mix-up",
        "Mixes a number up: what is told is the other's account, number and all",
    ),
    ("delete", "/sandbox/phones/mix-up", "No number is mixed up any more"),
    ("post", "/sandbox/clock", "Moves time forward"),
    ("get", "/sandbox/faults", "The ordered faults"),
    (
        "post",
        "/sandbox/faults",
        "Orders a fault for an operation, a guest, or all",
    ),
    (
        "delete",
        "/sandbox/faults",
        "No more faults; the credential is good again",
    ),
    ("put", "/sandbox/credential", "Revokes our credential, or not"),
    ("get", "/sandbox/dialect", "How it speaks"),
    (
        "put",
        "/sandbox/dialect",
        "Speaks otherwise: what is not said is as at the beginning",
    ),
    ("get", "/sandbox/journal", "Calls that were made, with counts"),
    ("delete", "/sandbox/journal", "Forgets the calls"),
    ("post", "/sandbox/reset", "Everything as at the beginning"),
    ("get", "/", "The page with all of this"),
];

/// Adds the controls to the paths.
pub(super) fn add(paths: &mut Map<String, Value>) {
    for (method, path, summary) in CONTROLS {
        let id = format!("{method}{}", path.replace(['/', '{', '}'], "_"));
        let wrong = json!({ "description": "What is wrong, in `error`" });
        let mut control = json!({
            "operationId": id, "summary": summary, "tags": ["sandbox"], "security": [],
            "responses": { "200": { "description": "Done" }, "422": wrong },
        });
        if path.contains("{id}") {
            control["parameters"] = json!([{
                "name": "id", "in": "path", "required": true, "schema": { "type": "integer" }, "description": "As in `/sandbox/guests`",
            }]);
        }
        if let Some(body) = body(path).filter(|_| matches!(method, "post" | "put")) {
            control["requestBody"] = json!({ "required": true, "content": { "application/json": body } });
        }
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[method] = control;
    }
}

/// The body's schema and an example.
fn body(path: &str) -> Option<Value> {
    let (required, properties, example) = match path {
        "/sandbox/till/purchase" | "/sandbox/till/spend" => (
            json!(["phone", "sum"]),
            json!({
                "phone": phone(), "sum": number(1, 10_000_000_000_i64), "bonus_spent": number(0, 10_000_000_000_i64),
                "restaurant": number(1, 2), "delay_days": number(0, 365),
            }),
            json!({ "phone": "+79160000001", "sum": 50_000 }),
        ),
        "/sandbox/till/refund" => (
            json!(["phone"]),
            json!({ "phone": phone(), "check_id": { "type": "integer" } }),
            json!({ "phone": "+79160000001" }),
        ),
        "/sandbox/phones/move" => (
            json!(["phone"]),
            json!({ "phone": phone(), "to": phone() }),
            json!({ "phone": "+79160000001", "to": "+79160000011" }),
        ),
        "/sandbox/phones/share" | "/sandbox/phones/mix-up" => (
            json!(["phone", "leads_to"]),
            json!({ "phone": phone(), "leads_to": phone() }),
            json!({ "phone": "+79160000011", "leads_to": "+79160000001" }),
        ),
        "/sandbox/clock" => (
            json!([]),
            json!({ "days": number(0, 3660), "seconds": number(0, 316_224_000) }),
            json!({ "days": 1 }),
        ),
        "/sandbox/faults" => (
            json!(["kind"]),
            fault(),
            json!({ "operation": "find_by_phone", "kind": "status", "status": 503 }),
        ),
        "/sandbox/credential" => (
            json!(["revoked"]),
            json!({ "revoked": { "type": "boolean" } }),
            json!({ "revoked": true }),
        ),
        "/sandbox/dialect" => (json!([]), dialect(), json!({ "wrapping": "data", "ids": "text" })),
        _ => return None,
    };
    let schema =
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false });
    Some(json!({ "schema": schema, "example": example }))
}

fn phone() -> Value {
    json!({ "type": "string", "description": "As in `/sandbox/guests`" })
}

fn number(least: i64, most: i64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

fn one_of(words: &[&str]) -> Value {
    json!({ "enum": words })
}

fn fault() -> Value {
    let operations = ["*"].into_iter().chain(OPERATIONS.iter().map(|(name, _, _)| *name));
    let operations: Vec<&str> = operations.collect();
    let kinds: Vec<String> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    json!({
        "operation": one_of(&operations), "phone": phone(), "kind": { "enum": kinds }, "status": number(100, 999),
        "latency_ms": number(0, 120_000), "retry_after": number(0, 86_400), "late_s": number(0, 86_400), "count": number(1, 1_000_000), "percent": number(1, 100),
    })
}

fn dialect() -> Value {
    let flag = json!({ "type": "boolean" });
    json!({
        "wrapping": one_of(&["none", "data", "result", "array"]), "ids": one_of(&["number", "text"]),
        "sums": one_of(&["kopecks", "kopecks_text", "rubles", "rubles_text"]), "names": one_of(&["usual", "other"]),
        "dates": one_of(&["zoned", "iso", "dotted"]),
        "absent": one_of(&["not_found", "no_content", "empty", "null", "object", "array", "data_null"]),
        "russian_types": flag, "unsigned": flag, "post_reads": flag, "check_ids": flag, "check_owners": flag, "comments": flag,
        "token_header": { "type": "string", "description": "Carries the bare token; empty: `Authorization: Bearer`" },
    })
}
