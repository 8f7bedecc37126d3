//! Values of a real server: an odd one costs its own field, whatever set, type, head or id an answer comes with.

use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::keys::{hex, sha256};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::cabinet::send;
use crate::support::stand_in::{self, ANNA, StandIn};
use crate::support::{TestCabinet, friday_noon, sqlite};

async fn view(cabinet: &TestCabinet, token: &str, view: &str) -> Value {
    let answer = cabinet.get(&format!("/api/v1/me/{view}"), token).await;
    assert_eq!(answer.status, StatusCode::OK, "{view} {}", answer.text);
    answer.json()
}

#[tokio::test]
async fn one_odd_value_takes_no_view_away_and_is_counted_by_its_field() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    let mut account = stand_in::account();
    for (field, value) in [
        ("isBlocked", json!("нет")),
        ("gender", json!(true)),
        ("birthday", json!("9999-12-31T23:59:59.9999999")),
        ("coupons", json!([null])),
        ("identifiers", json!("")),
        ("level", json!({ "name": "Золотой", "bonusPercent": "5%" })),
    ] {
        account[field] = value;
    }
    let account = account.to_string().replace("\"Смирнова\"", "\"\\ud800\"");
    probonus.sends("find_by_phone", 200, &[], account);
    let mut check = stand_in::check();
    check["openedAt"] = json!("0001-01-01T00:00:00");
    check["closedAt"] = json!("");
    check["items"] = json!([null, { "name": "Чай", "quantity": "NaN", "sum": 10_000 }]);
    probonus.says("get_by_id", 200, &check);
    let details =
        json!([{ "sum": 100, "burnDate": "9999-12-31T00:00:00" }, { "sum": 200, "burnDate": "/Date(1796072400000)/" }]);
    probonus.says(
        "get_balance_extended",
        200,
        &json!({ "balance": 12_500, "details": details }),
    );
    let undated = json!({ "id": 2, "accountId": 5012, "type": "accrual", "sum": 7, "date": "0001-01-01T00:00:00" });
    probonus.says("transactions", 200, &json!([stand_in::movement(), undated, null]));
    let (cabinet, _store) = probonus.cabinet(&clock, "").await;
    let token = cabinet.token(ANNA).await;
    let profile = view(&cabinet, &token, "profile").await;
    assert_eq!(
        (&profile["first_name"], &profile["last_name"]),
        (&json!("Анна"), &Value::Null)
    );
    for field in ["gender", "birthday"] {
        assert_eq!(profile[field], Value::Null, "{field}");
    }
    assert_eq!(
        (&profile["level"]["name"], &profile["level"]["bonus_percent"]),
        (&json!("Золотой"), &Value::Null)
    );
    assert_eq!(profile["blocked"], false);
    assert_eq!(view(&cabinet, &token, "coupons").await["items"], json!([]));
    let balance = view(&cabinet, &token, "balance").await;
    assert_eq!(
        balance["expiring"],
        json!([{ "amount": 200, "expires_on": "2026-12-01" }])
    );
    let check = view(&cabinet, &token, "checks/70").await;
    assert_eq!((&check["opened_at"], &check["closed_at"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (check["items"].as_array().map(Vec::len), &check["items"][0]["quantity"]),
        (Some(1), &Value::Null)
    );
    let movements = view(&cabinet, &token, "transactions").await;
    assert_eq!(movements["items"].as_array().map(Vec::len), Some(1));
    let metrics = send(cabinet.http.get(format!("{}/metrics", cabinet.running.admin_url())))
        .await
        .text;
    for (operation, field) in [
        ("find_by_phone", "gender"),
        ("find_by_phone", "lastName"),
        ("find_by_phone", "coupons"),
        ("find_by_phone", "bonusPercent"),
        ("get_by_id", "quantity"),
        ("transactions", "date"),
    ] {
        let counted = format!("cabinet_upstream_odd_values_total{{operation=\"{operation}\",field=\"{field}\"}}");
        assert!(metrics.contains(&counted), "{counted} {metrics}");
    }
}

#[tokio::test]
async fn a_history_that_cannot_be_told_whole_proves_no_order_absent() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    let undated = json!({ "id": 2, "accountId": 5012, "type": "accrual", "sum": 500, "date": "0001-01-01T00:00:00" });
    probonus.says("transactions", 200, &json!([undated]));
    probonus.sends("refill", 200, &[], "null");
    let key = "a partner's key for the tests of values";
    let more = format!(
        "[partners.delivery]\nkey_sha256 = \"{}\"\nscopes = [\"refills\"]\n[probonus]\nlate_effect_ms = 1000\n",
        hex(&sha256(key.as_bytes()))
    );
    let (cabinet, _store) = probonus.cabinet(&clock, &more).await;
    let request = cabinet.request(Method::POST, "/partner/v1/refills");
    let order = request.bearer_auth(key).header("idempotency-key", "k1");
    let answer = send(order.json(&json!({ "account_id": "5012", "amount": 900 }))).await;
    assert_eq!(answer.json()["state"], "unknown", "{}", answer.text);
    let path = format!(
        "/partner/v1/refills/{}",
        answer.json()["operation_id"].as_str().expect("an id")
    );
    let before = probonus.calls("transactions");
    while probonus.calls("transactions") < before + 3 {
        clock.advance(Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let answer = send(cabinet.request(Method::GET, &path).bearer_auth(key)).await;
    assert_eq!(
        (answer.json()["state"].clone(), probonus.calls("refill")),
        (json!("unknown"), 1)
    );
}

#[tokio::test]
async fn json_is_what_parses_as_json_in_whatever_set_and_by_whatever_name() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    let account = stand_in::account().to_string();
    let cp1251: Vec<u8> = encoding_rs::WINDOWS_1251.encode(&account).0.into_owned();
    let utf16 = |big: bool| -> Vec<u8> {
        let units = std::iter::once(0xfeff_u16).chain(account.encode_utf16());
        units
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect()
    };
    for (kind, body) in [
        ("application/json; charset=windows-1251", cp1251.clone()),
        ("application/json", cp1251.clone()),
        ("application/json; charset=utf-8", cp1251),
        ("application/json", utf16(false)),
        ("application/json; charset=utf-16", utf16(true)),
        ("text/plain", account.clone().into_bytes()),
        ("text/html; charset=utf-8", account.clone().into_bytes()),
        ("application/x-javascript", format!("\u{feff}{account}").into_bytes()),
    ] {
        probonus.sends("find_by_phone", 200, &[("content-type", kind)], body);
        let (cabinet, _store) = probonus.cabinet(&clock, "").await;
        let token = cabinet.token(ANNA).await;
        assert_eq!(view(&cabinet, &token, "profile").await["first_name"], "Анна", "{kind}");
    }
}

#[tokio::test]
async fn an_id_is_any_text_and_travels_through_our_addresses() {
    let clock = Clock::manual(friday_noon());
    let probonus = StandIn::start().await;
    let id = "Счёт-1/а б?в#г%20&д=е";
    let mut account = stand_in::account();
    account["id"] = json!(id);
    probonus.says("find_by_phone", 200, &account);
    let mut movement = stand_in::movement();
    movement["id"] = json!("движение №1");
    movement["accountId"] = json!(id);
    movement["checkId"] = json!(id);
    probonus.says("transactions", 200, &json!([movement]));
    let mut check = stand_in::check();
    check["id"] = json!(id);
    check["accountId"] = json!(id);
    probonus.says("get_by_id", 200, &check);
    let (cabinet, _store) = probonus.cabinet(&clock, "").await;
    let token = cabinet.token(ANNA).await;
    view(&cabinet, &token, "profile").await;
    view(&cabinet, &token, "balance").await;
    let listed = view(&cabinet, &token, "transactions").await;
    let told = listed["items"][0]["check_id"].as_str().expect("a check").to_owned();
    assert_eq!((told.as_str(), &listed["items"][0]["id"]), (id, &json!("движение №1")));
    let mut url: reqwest::Url = cabinet.running.url().parse().expect("an address");
    url.path_segments_mut()
        .expect("a base")
        .extend(["api", "v1", "me", "checks", &told]);
    let answer = send(cabinet.http.get(url).bearer_auth(&token)).await;
    assert_eq!(
        (answer.status, answer.json()["id"].clone()),
        (StatusCode::OK, json!(id)),
        "{}",
        answer.text
    );
}

/// A ProBonus whose every answer has this head and Anna's account.
async fn with_head(head: String) -> String {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", socket.local_addr().expect("an address"));
    let body = stand_in::account().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let answer = format!(
                "HTTP/1.1 200 OK\r\n{head}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            tokio::spawn(async move {
                let mut request = vec![0; 16 * 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    url
}

#[tokio::test]
async fn a_head_of_many_or_folded_headers_is_read() {
    let clock = Clock::manual(friday_noon());
    let many = "x-header: 1\r\n".repeat(150);
    let folded = "x-folded: one\r\n two\r\n\tthree\r\nx-spaced : 1\r\n".to_owned();
    for head in [many, folded] {
        let (url, store) = (with_head(head).await, sqlite());
        let cabinet = TestCabinet::start(&url, "a token", &store.url, clock.clone(), "").await;
        let token = cabinet.token(ANNA).await;
        assert_eq!(view(&cabinet, &token, "profile").await["first_name"], "Анна");
    }
}
