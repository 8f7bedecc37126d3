//! Mixtures of forms: whatever stands around and beside it, a refusal never reads as done or absent, a result never as a refusal.

use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::verdict::{Verdict, decide};
use crate::config::Forms;
use crate::probonus::error::UpstreamError;
use crate::probonus::operation::{Kind, Operation};
use crate::probonus::reply::Reply;

/// What becomes of an answer, in a word.
fn verdict(operation: Operation, status: u16, body: &str) -> &'static str {
    let reply = Reply::of(StatusCode::from_u16(status).expect("a status"), body);
    match decide(&reply, operation, &Forms::default()) {
        Ok(Verdict::Told(_)) => "told",
        Ok(Verdict::Nothing) => "nothing",
        Ok(Verdict::Absent) => "absent",
        Err(error) => error.outcome(),
    }
}

const OPERATIONS: [Operation; 9] = [
    Operation::AccountGroups,
    Operation::FindByPhone,
    Operation::Transactions,
    Operation::Balance,
    Operation::Check,
    Operation::InsertByTemplate,
    Operation::Update,
    Operation::Refill,
    Operation::RegisterCheck,
];

fn result_of(operation: Operation) -> Value {
    match operation {
        Operation::AccountGroups => json!([{ "id": 3, "name": "Гости", "haveTemplate": true }]),
        Operation::Transactions => {
            json!([{ "id": 1, "sum": 5, "date": "2026-11-20" }, { "id": 2, "sum": 6, "date": "2026-11-20" }])
        }
        Operation::Balance => {
            json!({ "balance": 125_050, "details": [{ "sum": 1, "burnDate": "2026-12-01" }], "status": "active" })
        }
        Operation::Check => json!({ "id": 7, "number": "15", "items": [{ "name": "Чай" }], "status": 3 }),
        Operation::Refill => json!({ "transactionId": 77, "balance": 5 }),
        Operation::RegisterCheck => json!({ "checkId": "a-7" }),
        _ => {
            json!({ "id": 5012, "firstName": "Анна", "data": null, "coupons": [], "status": "active", "result": "gold" })
        }
    }
}

fn one_of(members: &[Value]) -> impl Strategy<Value = Value> + use<> {
    prop::sample::select(members.to_vec())
}

/// Members that say nothing bad.
fn furniture() -> impl Strategy<Value = Value> {
    one_of(&[
        json!({}),
        json!({ "success": true }),
        json!({ "IsSuccess": "true", "Message": "Бонусы начислены" }),
        json!({ "succeeded": 1, "errors": [] }),
        json!({ "ok": true, "error": null, "errorCode": 0 }),
        json!({ "statusCode": 200, "formatters": [] }),
        json!({ "status": 200, "message": "OK" }),
        json!({ "status": "ok", "errorMessage": "" }),
        json!({ "hasErrors": false, "errors": {} }),
        json!({ "$id": "1", "traceId": "00-1", "error": "" }),
        json!({ "error_code": "0", "total": 5, "page": 1 }),
        json!({ "error": false, "exception": null }),
    ])
}

/// Members that tell a refusal or a failure.
fn refusal() -> impl Strategy<Value = Value> {
    one_of(&[
        json!({ "success": false, "message": "Недостаточно бонусов" }),
        json!({ "isSuccess": false }),
        json!({ "succeeded": "false" }),
        json!({ "OK": 0 }),
        json!({ "status": 400, "title": "Bad Request" }),
        json!({ "status_code": "404" }),
        json!({ "statusCode": 422 }),
        json!({ "status": 500 }),
        json!({ "Message": "An error has occurred.", "ExceptionMessage": "Счёт закрыт", "ExceptionType": "System.InvalidOperationException" }),
        json!({ "ExceptionMessage": "Execution Timeout Expired", "ExceptionType": "System.Data.SqlClient.SqlException" }),
        json!({ "result": "error" }),
        json!({ "status": "fail" }),
        json!({ "error": { "code": 5, "message": "нет" } }),
        json!({ "error": "Счёт закрыт" }),
        json!({ "errors": ["Счёт закрыт"] }),
        json!({ "errors": { "sum": ["must be positive"] } }),
        json!({ "errorCode": 17 }),
        json!({ "errorCode": "ACCOUNT_CLOSED" }),
        json!({ "hasErrors": true }),
        json!({ "meta": { "success": false } }),
    ])
}

fn with(mut object: Value, more: &Value) -> Value {
    if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
        for (name, value) in more {
            object.insert(name.clone(), value.clone());
        }
    }
    object
}

/// An envelope with its members; a list can also stand among `items` or `$values`.
fn wrapped(value: Value, name: &str, around: &Value) -> Value {
    let name = if value.is_array() {
        name
    } else {
        name.split('|').next().unwrap_or(name)
    };
    let name = name.rsplit('|').next().unwrap_or(name);
    with(Value::Object(Map::from_iter([(name.to_owned(), value)])), around)
}

fn envelopes() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let name = prop::sample::select(vec![
        "data",
        "result",
        "Value",
        "d",
        "response",
        "data|items",
        "data|$values",
    ]);
    prop::collection::vec((name, furniture()), 0..4)
}

proptest! {
    #[test]
    fn a_result_never_reads_as_a_refusal(
        operation in prop::sample::select(OPERATIONS.to_vec()), around in envelopes(), beside in furniture(), alone in any::<bool>(),
    ) {
        let mut value = result_of(operation);
        if alone && !value.is_array() {
            value = json!([value]);
        }
        value = with(value, &beside);
        for (name, around) in &around {
            value = wrapped(value, name, around);
        }
        let text = value.to_string();
        prop_assert_eq!(verdict(operation, 200, &text), "told", "{:?} {}", operation, text);
    }

    #[test]
    fn a_refusal_never_reads_as_done_told_or_absent(
        operation in prop::sample::select(OPERATIONS.to_vec()), around in envelopes(), refusal in refusal(), at in 0_usize..4,
        empty in prop::sample::select(vec![None, Some(Value::Null), Some(json!({})), Some(json!([]))]), status in prop::sample::select(vec![200_u16, 201, 202]),
    ) {
        let mut value = empty.unwrap_or_else(|| result_of(operation));
        let place = at.min(around.len());
        if place == 0 {
            value = if value.is_object() { with(value, &refusal) } else { wrapped(value, "data", &refusal) };
        }
        for (index, (name, around)) in around.iter().enumerate() {
            value = wrapped(value, name, around);
            if index + 1 == place {
                value = with(value, &refusal);
            }
        }
        let text = value.to_string();
        let said = verdict(operation, status, &text);
        prop_assert!(["refused", "unavailable", "invalid"].contains(&said), "{:?} {} {}", operation, said, text);
    }

    #[test]
    fn whatever_comes_no_write_is_done_and_no_guest_absent_without_a_known_form(text in "\\PC{0,30}") {
        let body = serde_json::to_string(&text).expect("text");
        for operation in OPERATIONS {
            let said = verdict(operation, 200, &body);
            let word = super::forms::word(super::json::Json::parse(body.as_bytes()).expect("JSON"));
            prop_assert!(said != "absent" && (word.is_some() || operation.kind() != Kind::Write || said == "invalid"), "{}", body);
        }
    }
}

#[test]
fn each_form_of_a_write_is_what_it_says() {
    let refill = |status, body| verdict(Operation::Refill, status, body);
    for (body, said) in [
        ("", "nothing"),
        (" \r\n", "nothing"),
        ("{}", "nothing"),
        (r#"{"$id":"1"}"#, "nothing"),
        ("true", "told"),
        ("\"OK\"", "told"),
        (r#"{"result":"ok"}"#, "told"),
        (r#"{"result":true}"#, "told"),
        (r#"{"data":{"success":true}}"#, "told"),
        (r#"{"success":true,"data":null}"#, "told"),
        (r#"{"id":77}"#, "told"),
        (r#"{"value":{"transactionId":"a7"},"statusCode":200}"#, "told"),
        ("false", "refused"),
        ("\"error\"", "refused"),
        (r#"{"data":false}"#, "refused"),
        (r#"{"result":false}"#, "refused"),
        (r#"{"success":false,"message":"x"}"#, "refused"),
        (r#"{"statusCode":401}"#, "credential_refused"),
        (r#"{"statusCode":503}"#, "unavailable"),
        // Neither one nor the other, or both: settled by reading.
        ("null", "invalid"),
        ("[]", "invalid"),
        ("0", "invalid"),
        ("77", "invalid"),
        ("\"принято\"", "invalid"),
        (r#"{"id":0}"#, "invalid"),
        (r#"{"id":"00000000-0000-0000-0000-000000000000"}"#, "invalid"),
        (r#"{"id":77,"message":"Недостаточно бонусов"}"#, "invalid"),
        (r#"{"status":200,"message":"Недостаточно бонусов"}"#, "invalid"),
        (r#"{"Message":"An error has occurred."}"#, "invalid"),
        (r#"{"success":true,"error":"x"}"#, "invalid"),
        (r#"{"success":true,"data":false}"#, "invalid"),
        (r#"{"balance":5}"#, "invalid"),
        ("<html></html>", "invalid"),
        ("OK", "invalid"),
    ] {
        assert_eq!(refill(200, body), said, "{body}");
    }
    for (status, body, said) in [
        (201, "", "nothing"),
        (204, "", "nothing"),
        (202, "", "invalid"),
        (202, r#"{"success":true}"#, "invalid"),
        (202, r#"{"success":false}"#, "refused"),
        (400, r#"{"message":"x"}"#, "refused"),
        (404, r#"{"message":"Счёт не найден"}"#, "refused"),
        (404, "<html></html>", "invalid"),
        (404, "", "invalid"),
        (500, r#"{"success":true}"#, "unavailable"),
        (302, "", "invalid"),
    ] {
        assert_eq!(refill(status, body), said, "{status} {body}");
    }
}

#[test]
fn absent_is_what_the_api_says_about_a_guest_and_not_what_a_server_says_about_an_address() {
    let find = |status, body| verdict(Operation::FindByPhone, status, body);
    for (status, body) in [
        (404, r#"{"message":"Не найдено"}"#),
        (404, r#"{"success":false,"message":"Guest not found"}"#),
        (
            404,
            r#"{"type":"https://tools.ietf.org/html/rfc7231#section-6.5.4","title":"Not Found","status":404,"traceId":"00-1"}"#,
        ),
        (404, r#""Гость не найден""#),
        (204, ""),
        (200, ""),
        (200, "null"),
        (200, "{}"),
        (200, "[]"),
        (200, "[null]"),
        (200, r#"{"data":null}"#),
        (200, r#"{"success":true,"data":{"items":[],"total":0}}"#),
        (200, r#"{"value":null,"statusCode":200}"#),
        (200, r#"{"$id":"1","$values":[]}"#),
        (200, r#"{"data":null,"message":"OK"}"#),
    ] {
        assert_eq!(find(status, body), "absent", "{status} {body}");
    }
    for (status, body, said) in [
        (404, "", "invalid"),
        (404, "<html><body>404 Not Found</body></html>", "invalid"),
        (404, "404 page not found", "invalid"),
        (404, "404", "invalid"),
        (
            404,
            r#"{"Message":"No HTTP resource was found that matches the request URI 'http://h/api/v0/accounts/find_by_phone'.","MessageDetail":"No type was found that matches the controller named 'accounts'."}"#,
            "invalid",
        ),
        (
            404,
            r#"{"Message":"No HTTP resource was found that matches the request URI."}"#,
            "invalid",
        ),
        (404, r#"{"message":"no Route matched with those values"}"#, "invalid"),
        (
            404,
            r#"{"timestamp":"2026-11-20","status":404,"error":"Not Found","path":"/api/v0/accounts/find_by_phone"}"#,
            "invalid",
        ),
        (200, r#"{"success":false,"message":"Guest not found"}"#, "refused"),
        (200, r#"{"success":false,"data":null}"#, "refused"),
        (200, r#"{"value":null,"statusCode":404}"#, "refused"),
        // No account: nonsense as soon as one is read out of it.
        (200, r#"{"data":null,"message":"Внутренняя ошибка"}"#, "told"),
        (200, r#"{"data":null,"firstName":"Анна"}"#, "told"),
        (200, "false", "told"),
        (200, "<html></html>", "invalid"),
        (400, r#"{"message":"x"}"#, "refused"),
        (502, "", "unavailable"),
    ] {
        assert_eq!(find(status, body), said, "{status} {body}");
    }
}

#[test]
fn what_is_believed_is_a_setting() {
    use crate::config::{AbsentForm, DoneForm};
    let forms = Forms {
        absent: vec![AbsentForm::NotFoundPage, AbsentForm::Refusal],
        done: vec![DoneForm::Number],
    };
    let said = |operation, status, body| {
        let reply = Reply::of(StatusCode::from_u16(status).expect("a status"), body);
        let absent = matches!(decide(&reply, operation, &forms), Ok(Verdict::Absent));
        let done = matches!(decide(&reply, operation, &forms), Ok(Verdict::Nothing));
        (absent, done)
    };
    for (status, body) in [(404, "<html>"), (200, r#"{"success":false}"#)] {
        assert_eq!(said(Operation::FindByPhone, status, body), (true, false), "{body}");
    }
    for (status, body) in [(404, r#"{"message":"x"}"#), (404, ""), (204, ""), (200, "null")] {
        assert_eq!(said(Operation::FindByPhone, status, body), (false, false), "{body}");
    }
    assert_eq!(said(Operation::Refill, 200, "77"), (false, true));
    assert_eq!(said(Operation::Refill, 200, ""), (false, false));
}

#[test]
fn an_exception_of_the_servers_own_leaves_the_outcome_open() {
    let said = |kind: &str| {
        verdict(
            Operation::Refill,
            200,
            &json!({ "ExceptionType": kind, "ExceptionMessage": "x" }).to_string(),
        )
    };
    assert_eq!(said("System.TimeoutException"), UpstreamError::unknown().outcome());
    assert_eq!(
        said("System.ArgumentException"),
        UpstreamError::Refused { status: 200 }.outcome()
    );
}
