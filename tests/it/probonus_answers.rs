//! What ProBonus says is taken for what it is: a refusal inside a 200, a web server's 404, another guest's account.

use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::keys::{hex, sha256};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::cabinet::send;
use crate::support::stand_in::{self, ANNA, StandIn};
use crate::support::{Answer, TestCabinet, friday_noon};

const NOBODY: &str = "+79160000008";
const KEY: &str = "a partner's key for the tests of answers";

/// Bodies of a 200 that tell a refusal.
fn refusals() -> Vec<Value> {
    vec![
        json!({ "success": false, "message": "Недостаточно прав" }),
        json!({ "isSuccess": false, "data": { "id": 5012 } }),
        json!({ "data": { "succeeded": false } }),
        json!({ "ok": false }),
        json!({ "status": 400, "title": "Bad Request" }),
        json!({ "value": null, "statusCode": 422 }),
        json!({ "Message": "An error has occurred.", "ExceptionMessage": "Счёт закрыт", "ExceptionType": "System.Exception" }),
        json!({ "result": "error" }),
        json!({ "error": { "code": 7 } }),
        json!({ "errors": ["Счёт закрыт"] }),
        json!({ "errorCode": 17 }),
        json!(false),
    ]
}

/// Bodies that say neither that it was done nor that it was refused.
const UNKNOWN: [&str; 5] = [
    "null",
    "[]",
    "<html></html>",
    r#"{"message":"принято"}"#,
    r#"{"success":true,"error":"x"}"#,
];

fn partner() -> String {
    let key = hex(&sha256(KEY.as_bytes()));
    format!("[partners.delivery]\nkey_sha256 = \"{key}\"\nscopes = [\"checks\", \"refills\"]\n")
}

async fn refill(cabinet: &TestCabinet, key: &str, whose: &Value) -> Answer {
    let mut body = json!({ "amount": 500 });
    body.as_object_mut()
        .expect("an object")
        .extend(whose.as_object().expect("an object").clone());
    let request = cabinet.request(Method::POST, "/partner/v1/refills");
    send(request.bearer_auth(KEY).header("idempotency-key", key).json(&body)).await
}

async fn register(cabinet: &TestCabinet, number: usize) -> Answer {
    let guid = uuid::Uuid::from_u128(0x1000_0000_0000_4000_8000_0000_0000_0000 + number as u128);
    let body = json!({
        "check_guid": guid, "account_id": "5012", "restaurant_code": 1, "unit_code": 1, "external_number": "D-1",
        "bonus_spent": 0, "discount": 0, "bonus_accrued": 7_700, "money_spent": 154_000,
    });
    let request = cabinet.request(Method::POST, "/partner/v1/checks");
    send(request.bearer_auth(KEY).json(&body)).await
}

async fn edit(cabinet: &TestCabinet, token: &str) -> Answer {
    let request = cabinet.request(Method::PATCH, "/api/v1/me/profile");
    send(request.bearer_auth(token).json(&json!({ "first_name": "Мария" }))).await
}

async fn sign_up(cabinet: &TestCabinet, token: &str) -> Answer {
    let request = cabinet.request(Method::POST, "/api/v1/me/registration");
    let body = json!({ "first_name": "Иван", "last_name": "Тестов", "consents": [] });
    send(request.bearer_auth(token).json(&body)).await
}

fn outcome(answer: &Answer) -> (u16, String) {
    let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), code)
}

#[tokio::test]
async fn a_refusal_inside_a_200_is_a_refusal_to_everybody_who_writes() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    let (cabinet, _store) = probonus.cabinet(&clock, &partner()).await;
    let token = cabinet.token(ANNA).await;
    let refused = (422, "validation_failed".to_owned());
    for (number, body) in refusals().into_iter().enumerate() {
        for write in ["refill", "register_check", "update"] {
            probonus.says(write, 200, &body);
        }
        let whose = json!({ "account_id": "5012" });
        assert_eq!(
            outcome(&refill(&cabinet, &format!("k{number}"), &whose).await),
            refused,
            "{body}"
        );
        assert_eq!(outcome(&register(&cabinet, number).await), refused, "{body}");
        assert_eq!(outcome(&edit(&cabinet, &token).await), refused, "{body}");
        clock.advance(Duration::from_secs(10));
    }
    assert_eq!(probonus.calls("refill"), refusals().len(), "a refusal is final");
    let newcomer = cabinet.token(NOBODY).await;
    for body in refusals() {
        probonus.says("find_by_phone", 404, &json!({ "message": "Не найден" }));
        probonus.says("insert_by_template", 200, &body);
        assert_eq!(outcome(&sign_up(&cabinet, &newcomer).await), refused, "{body}");
    }
}

#[tokio::test]
async fn what_says_neither_done_nor_refused_is_unknown_and_settled_by_reading() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    for (number, body) in UNKNOWN.into_iter().enumerate() {
        // Calls of a ProBonus that only fails are throttled: each body meets a cabinet of its own.
        let (cabinet, _store) = probonus.cabinet(&clock, &partner()).await;
        let token = cabinet.token(ANNA).await;
        for write in ["refill", "register_check", "update"] {
            probonus.sends(write, 200, &[("content-type", "application/json")], body);
        }
        let answer = refill(&cabinet, &format!("k{number}"), &json!({ "account_id": "5012" })).await;
        assert_eq!(
            (answer.status, answer.json()["state"].clone()),
            (StatusCode::ACCEPTED, json!("unknown")),
            "{body}"
        );
        let answer = register(&cabinet, number).await;
        assert_eq!(
            (answer.status, answer.json()["state"].clone()),
            (StatusCode::ACCEPTED, json!("unknown")),
            "{body}"
        );
        assert_eq!(edit(&cabinet, &token).await.status, StatusCode::BAD_GATEWAY, "{body}");
    }
}

#[tokio::test]
async fn a_refusal_inside_a_200_is_an_error_to_everybody_who_reads_and_never_an_absent_guest() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    let more = "[cache]\nbalance_fresh_ms = 1000\nprofile_fresh_ms = 1000\ntransactions_fresh_ms = 1000\n";
    let mut bodies = refusals();
    bodies.extend([
        json!({ "Message": "An error has occurred." }),
        json!({ "id": null, "firstName": null }),
    ]);
    for body in bodies {
        for operation in ["find_by_phone", "get_balance_extended", "transactions", "get_by_id"] {
            probonus.says(operation, 200, &body);
        }
        let (cabinet, _store) = probonus.cabinet(&clock, more).await;
        let verified = cabinet.sign_in(ANNA).await;
        assert_eq!(verified["account_state"], "unresolved", "{body}");
        let token = verified["access_token"].as_str().expect("a token");
        for view in ["profile", "balance", "transactions", "coupons", "checks/70"] {
            let answer = cabinet.get(&format!("/api/v1/me/{view}"), token).await;
            assert_eq!(outcome(&answer), (502, "upstream_invalid".into()), "{view} {body}");
        }
        assert!(sign_up(&cabinet, token).await.status.is_server_error(), "{body}");
    }
    assert_eq!(probonus.calls("insert_by_template"), 0);
}

#[tokio::test]
async fn a_web_servers_404_says_nothing_about_a_guest() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    let (cabinet, _store) = probonus.cabinet(&clock, "[cache]\nprofile_fresh_ms = 1000\n").await;
    let known = cabinet.token(ANNA).await;
    assert_eq!(cabinet.get("/api/v1/me/profile", &known).await.status, StatusCode::OK);
    let no_resource = json!({ "Message": "No HTTP resource was found that matches the request URI.", "MessageDetail": "No type was found." });
    let not_routed = json!({ "message": "no Route matched with those values" });
    let newcomer = cabinet.token(NOBODY).await;
    for body in [
        "",
        "<html><body>404 Not Found</body></html>",
        "404 page not found",
        &no_resource.to_string(),
        &not_routed.to_string(),
    ] {
        probonus.sends("find_by_phone", 404, &[("content-type", "text/html")], body.to_owned());
        clock.advance(Duration::from_secs(20));
        let profile = cabinet.get("/api/v1/me/profile", &known).await;
        assert_eq!(
            (profile.status, profile.json()["stale"].clone()),
            (StatusCode::OK, json!(true)),
            "{body}"
        );
        let nobody = cabinet.get("/api/v1/me/profile", &newcomer).await;
        assert_ne!(outcome(&nobody).1, "account_absent", "{body}");
        assert!(sign_up(&cabinet, &newcomer).await.status.is_server_error(), "{body}");
    }
    assert_eq!(probonus.calls("insert_by_template"), 0);
}

#[tokio::test]
async fn a_server_that_says_absent_by_an_empty_404_is_believed_when_configured() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    probonus.sends("find_by_phone", 404, &[], "");
    let more = "[probonus]\nabsent = [\"not_found\", \"not_found_empty\"]\n";
    let (cabinet, _store) = probonus.cabinet(&clock, more).await;
    let token = cabinet.token(NOBODY).await;
    let answer = cabinet.get("/api/v1/me/profile", &token).await;
    assert_eq!(outcome(&answer), (409, "account_absent".into()));
}

#[tokio::test]
async fn an_account_that_says_it_is_another_phones_is_nobodys_here() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    let mut other = stand_in::account();
    other["phone"] = json!("+7 (916) 000-00-77");
    probonus.says("find_by_phone", 200, &other);
    let (cabinet, _store) = probonus.cabinet(&clock, &partner()).await;
    let verified = cabinet.sign_in(ANNA).await;
    assert_eq!(verified["account_state"], "unresolved");
    let token = verified["access_token"].as_str().expect("a token").to_owned();
    for view in ["profile", "balance", "coupons", "transactions", "home", "checks/70"] {
        let answer = cabinet.get(&format!("/api/v1/me/{view}"), &token).await;
        assert_ne!(answer.status, StatusCode::OK, "{view} {}", answer.text);
        assert!(!answer.text.contains("Анна"), "{view} {}", answer.text);
    }
    assert!(edit(&cabinet, &token).await.status.is_server_error());
    assert!(sign_up(&cabinet, &token).await.status.is_server_error());
    let refilled = refill(&cabinet, "k1", &json!({ "phone": ANNA })).await;
    assert_eq!(outcome(&refilled), (502, "upstream_invalid".into()));
    for write in ["update", "insert_by_template", "refill"] {
        assert_eq!(probonus.calls(write), 0, "{write}");
    }
    // The same number in another spelling, or none at all, is the guest's own.
    for told in [
        json!("89160000001"),
        json!("+7 916 000-00-01"),
        json!(9_160_000_001_u64),
        json!(""),
        Value::Null,
    ] {
        other["phone"] = told.clone();
        probonus.says("find_by_phone", 200, &other);
        let (cabinet, _store) = probonus.cabinet(&clock, "").await;
        assert_eq!(cabinet.sign_in(ANNA).await["account_state"], "active", "{told}");
    }
}

#[tokio::test]
async fn what_is_told_of_another_account_is_nonsense() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    let (cabinet, _store) = probonus.cabinet(&clock, &partner()).await;
    let token = cabinet.token(ANNA).await;
    probonus.says("get_balance_extended", 200, &json!({ "accountId": 5013, "balance": 9 }));
    let mut movement = stand_in::movement();
    movement["accountId"] = json!(5013);
    probonus.says("transactions", 200, &json!([movement]));
    for view in ["balance", "transactions"] {
        let answer = cabinet.get(&format!("/api/v1/me/{view}"), &token).await;
        assert_eq!(outcome(&answer), (502, "upstream_invalid".into()), "{view}");
    }
    for told in [
        json!({ "id": 5013, "phone": "79160000001" }),
        json!({ "id": 5012, "phone": "79160000077" }),
    ] {
        probonus.says("update", 200, &told);
        assert_eq!(edit(&cabinet, &token).await.status, StatusCode::BAD_GATEWAY, "{told}");
    }
    probonus.says(
        "refill",
        200,
        &json!({ "success": true, "data": { "accountId": 5013 } }),
    );
    let answer = refill(&cabinet, "k1", &json!({ "account_id": "5012" })).await;
    assert_eq!(answer.json()["state"], "unknown", "{}", answer.text);
}

#[tokio::test]
async fn envelopes_of_every_kind_are_opened() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    let around: [fn(Value) -> Value; 7] = [
        |value| json!({ "success": true, "data": { "items": [value], "total": 1 } }),
        |value| json!({ "value": value, "formatters": [], "statusCode": 200 }),
        |value| json!({ "$id": "1", "$values": [value] }),
        |value| json!({ "isSuccess": true, "errors": [], "result": { "$id": "2", "$values": [value] } }),
        |value| json!([{ "data": value, "error": null }]),
        |value| json!({ "d": { "result": { "response": value } } }),
        |value| json!({ "Data": value, "Message": "OK", "ErrorCode": 0 }),
    ];
    for wrap in around {
        probonus.says("find_by_phone", 200, &wrap(stand_in::account()));
        probonus.says("get_balance_extended", 200, &wrap(json!({ "balance": 12_500 })));
        probonus.says("get_by_id", 200, &wrap(stand_in::check()));
        let (cabinet, _store) = probonus.cabinet(&clock, "").await;
        let token = cabinet.token(ANNA).await;
        for (view, part) in [("profile", "Анна"), ("balance", "12500"), ("checks/70", "Чай")] {
            let answer = cabinet.get(&format!("/api/v1/me/{view}"), &token).await;
            assert!(answer.text.contains(part), "{view} {} {}", wrap(json!(1)), answer.text);
        }
    }
    let movements = |wrap: fn(Value) -> Value| wrap(json!([stand_in::movement()]));
    for list in [
        movements(|list| json!({ "success": true, "data": { "items": list } })),
        movements(|list| json!({ "$id": "1", "$values": list })),
        movements(|list| json!({ "value": list, "statusCode": 200 })),
        movements(|list| json!({ "data": { "transactions": list, "total": 1 } })),
    ] {
        probonus.says("transactions", 200, &list);
        let (cabinet, _store) = probonus.cabinet(&clock, "").await;
        let token = cabinet.token(ANNA).await;
        let answer = cabinet.get("/api/v1/me/transactions", &token).await;
        assert_eq!(answer.json()["items"][0]["amount"], 500, "{list} {}", answer.text);
    }
}

#[tokio::test]
async fn two_accounts_of_one_phone_stay_unresolved() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    let mut second = stand_in::account();
    second["id"] = json!(5013);
    probonus.says("find_by_phone", 200, &json!({ "data": [stand_in::account(), second] }));
    let (cabinet, _store) = probonus.cabinet(&clock, &partner()).await;
    let verified = cabinet.sign_in(ANNA).await;
    assert_eq!(verified["account_state"], "unresolved");
    let token = verified["access_token"].as_str().expect("a token");
    let answer = cabinet.get("/api/v1/me/profile", token).await;
    assert_eq!(outcome(&answer), (502, "upstream_invalid".into()));
    let refilled = refill(&cabinet, "k1", &json!({ "phone": ANNA })).await;
    assert_eq!(outcome(&refilled), (502, "upstream_invalid".into()));
    let metrics = send(cabinet.http.get(format!("{}/metrics", cabinet.running.admin_url()))).await;
    assert!(
        metrics.text.contains("cabinet_upstream_several_accounts_total"),
        "{}",
        metrics.text
    );
    // One account told twice is one.
    probonus.says("find_by_phone", 200, &json!([stand_in::account(), stand_in::account()]));
    let (cabinet, _store) = probonus.cabinet(&clock, "").await;
    assert_eq!(cabinet.sign_in(ANNA).await["account_state"], "active");
}
