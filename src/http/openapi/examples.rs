//! Requests and answers as they look on a usual day. A test compares their members with the schemas.

use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, RefOr};

const MOMENT: &str = "2026-11-24T12:30:00Z";

/// Adds an operation's examples to its request and its good answers.
pub(super) fn add(operation: &mut Operation) {
    let Some(id) = operation.operation_id.clone() else {
        return;
    };
    if let (Some(example), Some(RefOr::T(body))) = (request(&id), &mut operation.request_body) {
        for content in body.content.values_mut() {
            set(content, &[("usual", "", example.clone())]);
        }
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let examples = answer(&id, status);
        for content in response.content.values_mut() {
            set(content, &examples);
        }
    }
}

fn set(content: &mut RefOr<Content>, examples: &[(&str, &str, Value)]) {
    let RefOr::T(content) = content else { return };
    match examples {
        [(_, _, only)] => content.example = Some(only.clone()),
        several => content.examples.extend(several.iter().map(|(name, summary, value)| {
            let example = ExampleBuilder::new().summary(*summary).value(Some(value.clone()));
            ((*name).to_owned(), RefOr::T(example.build()))
        })),
    }
}

fn request(operation: &str) -> Option<Value> {
    Some(match operation {
        "createChallenge" => json!({ "phone": "+7 916 000-00-01", "channel": "sms", "platform": "ios" }),
        "resendChallenge" => json!({ "channel": "sms" }),
        "verifyChallenge" => json!({ "code": "123456", "session": "bearer", "device_name": "iPhone Анны" }),
        "refreshSession" => json!({ "refresh_token": REFRESH_TOKEN }),
        "register" => json!({
            "first_name": "Анна", "last_name": "Смирнова", "middle_name": "Петровна", "birthday": "1990-04-12", "gender": "female",
            "email": "anna@example.ru",
            "consents": [{ "document": "personal_data", "version": "1" }, { "document": "rules", "version": "1" }],
        }),
        "editProfile" => json!({ "email": "anna@example.ru", "middle_name": null }),
        "registerCheck" => json!({
            "check_guid": GUID, "phone": "+79160000001", "restaurant_code": 1, "unit_code": 1, "external_number": "D-1042",
            "bonus_spent": 0, "discount": 0, "bonus_accrued": 5000, "money_spent": 100_000, "content": "Борщ, компот",
        }),
        "refill" => json!({ "phone": "+79160000001", "amount": 10_000, "comment": "Подарок ко дню рождения" }),
        _ => return None,
    })
}

/// Name, summary and value of each example; name and summary are shown when there are several.
fn answer(operation: &str, status: &str) -> Vec<(&'static str, &'static str, Value)> {
    let only = |value| vec![("usual", "", value)];
    match (operation, status) {
        ("createChallenge" | "resendChallenge", "202") => only(challenge()),
        ("getChallenge", "200") => only(with(challenge(), json!({ "delivery": "sent" }))),
        ("verifyChallenge", "200") => vec![
            (
                "bearer",
                "An app's session",
                with(tokens(), json!({ "account_state": "active" })),
            ),
            (
                "cookie",
                "A browser's session",
                json!({ "expires_in": 604_800, "account_state": "absent" }),
            ),
        ],
        ("refreshSession", "200") => only(tokens()),
        ("listSessions", "200") => only(json!({ "items": [{
            "id": "8c2f6c3e-7d0a-4e8e-9c55-0d6f3b9a2f11", "device_name": "iPhone Анны", "created_at": MOMENT, "last_seen_at": MOMENT,
            "current": true,
        }]})),
        ("getProgram", "200") => only(program()),
        ("getProfile" | "editProfile", "200") | ("register", "201") => only(view(profile())),
        ("getBalance", "200") => only(view(balance())),
        ("listTransactions", "200") => only(view(json!({ "items": [transaction()], "next_cursor": null }))),
        ("getCheck", "200") => only(view(check())),
        ("listCoupons", "200") => only(view(json!({ "items": [coupon()] }))),
        ("getHome", "200") => only(view(json!({
            "profile": profile(), "balance": balance(), "level": level(), "coupons": [coupon()], "recent": [transaction()],
            "unavailable": [],
        }))),
        ("getCard", "200") => only(json!({
            "payload": "79160000001", "format": "qr", "identifier": "+79160000001", "expires_at": null, "refresh_in": null,
        })),
        ("watchBalance", "200") => only(json!(format!(
            "event: balance\nid: cdc0a3f2\ndata: {}\n\n",
            view(balance())
        ))),
        ("getCardSvg", "200") => only(json!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 29 29\">…</svg>"
        )),
        ("reportDelivery" | "reportDeliveryWithKey", "200") => only(json!("100")),
        ("listAccountGroups", "200") => {
            only(json!({ "items": [{ "id": "3", "name": "Гости", "have_template": true }] }))
        }
        ("registerCheck", "200" | "201") | ("getOutsideCheck", "200") => only(outcome("check_guid", "registered")),
        ("registerCheck", "202") => only(outcome("check_guid", "unknown")),
        ("refill", "200" | "201") | ("getRefill", "200") => only(outcome("operation_id", "registered")),
        ("refill", "202") => only(outcome("operation_id", "unknown")),
        _ => Vec::new(),
    }
}

const GUID: &str = "6f1c0a52-8f6e-4a39-9a2b-0d5f0c7f3b11";
const REFRESH_TOKEN: &str = "vXDpt4FIRLGeVyrmEQXutgAAAAAAAAAAbKC5D2_q8f9TO2pVQDCSAMvU";

fn with(mut value: Value, more: Value) -> Value {
    if let (Some(members), Value::Object(more)) = (value.as_object_mut(), more) {
        members.extend(more);
    }
    value
}

fn view(content: Value) -> Value {
    with(content, json!({ "as_of": MOMENT, "stale": false }))
}

fn challenge() -> Value {
    json!({
        "challenge_id": "vZ0c2QmY1cQ7o5m3f0aN8xKqWb2h4TjL", "masked_phone": "+7 916 ***-**-01", "channel": "sms",
        "channels": ["sms"], "code_length": 6, "expires_in": 300, "resend_in": 60, "attempts_left": 5,
    })
}

fn tokens() -> Value {
    json!({
        "token_type": "Bearer", "access_token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI4YzJmIn0.c2lnbmF0dXJl", "expires_in": 300,
        "refresh_token": REFRESH_TOKEN, "refresh_expires_in": 5_184_000,
    })
}

fn level() -> Value {
    json!({
        "name": "Серебряный", "bonus_percent": "5", "discount_percent": "0", "turnover": 4_880_600,
        "next": { "name": "Золотой", "remaining": 5_119_400 },
    })
}

fn profile() -> Value {
    json!({
        "first_name": "Анна", "last_name": "Смирнова", "middle_name": "Петровна", "birthday": "1990-04-12", "gender": "female",
        "email": "anna@example.ru", "phone": "+79160000001", "level": level(), "blocked": false,
    })
}

fn balance() -> Value {
    let expiry = json!({ "amount": 30_000, "expires_on": "2026-12-24" });
    json!({ "available": 125_000, "pending": 21_000, "currency": "RUB", "expiring": [expiry], "next_expiry": expiry })
}

fn restaurant() -> Value {
    json!({ "code": "1", "name": "На Мясницкой" })
}

fn transaction() -> Value {
    json!({
        "id": "10032", "occurred_at": MOMENT, "kind": "accrual", "amount": 15_500, "balance_after": 125_000, "check_id": "10031",
        "restaurant": restaurant(), "comment": null,
    })
}

fn check() -> Value {
    json!({
        "id": "10031", "number": "1042", "restaurant": restaurant(), "opened_at": MOMENT, "closed_at": MOMENT,
        "items": [{ "name": "Борщ", "quantity": "1.5", "price": 20_000, "amount": 30_000, "discount": 0 }],
        "total": 30_000, "discount": 0, "bonus_spent": 0, "bonus_accrued": 1500, "money_spent": 30_000,
    })
}

fn coupon() -> Value {
    json!({
        "id": "1", "name": "Десерт в подарок", "code": "SWEET-10", "description": "К любому горячему блюду", "valid_from": MOMENT,
        "valid_to": "2026-12-24T12:30:00Z", "used": false,
    })
}

fn program() -> Value {
    json!({
        "name": "Трапеза", "unit": { "scale": 100, "forms": ["бонус", "бонуса", "бонусов"] },
        "restaurants": [{ "code": "1", "name": "На Мясницкой", "address": "Москва, ул. Мясницкая, 1", "time_zone": "Europe/Moscow" }],
        "levels": [{ "name": "Гость", "from_turnover": 0 }, { "name": "Серебряный", "from_turnover": 3_000_000 }],
        "form": [{
            "name": "first_name", "type": "text", "required": true, "editable": true, "max_length": 100, "pattern": null, "label": "Имя",
        }],
        "documents": [{ "id": "rules", "version": "1", "title": "Правила", "url": "/documents/rules.html", "required": true }],
        "channels": ["sms"],
        "capabilities": { "registration": true, "profile_edit": true, "checks": true, "card": true, "events": true },
    })
}

fn outcome(id: &str, state: &str) -> Value {
    json!({ id: GUID, "state": state, "attempts": 1, "created_at": MOMENT, "updated_at": MOMENT })
}
