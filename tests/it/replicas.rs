//! Two replicas over one PostgreSQL: what one of them learns or changes, the other shows.

use guest_cabinet::clock::Clock;
use guest_cabinet::keys::{hex, sha256};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::cabinet::send;
use crate::support::replicas::soon;
use crate::support::{ProBonus, TestCabinet, friday_noon, postgres};

const KEY: &str = "a partner's key for the tests of replicas";
const ANNA: &str = "+79160000001";

/// Two replicas, with a token of Anna's.
async fn two() -> Option<(ProBonus, [TestCabinet; 2], String)> {
    let store = postgres().await?;
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    let partner = format!(
        "[partners.delivery]\nkey_sha256 = \"{}\"\nscopes = [\"refills\"]\nmax_refill = 500000",
        hex(&sha256(KEY.as_bytes()))
    );
    let first = TestCabinet::start(&url, &token, &store.url, clock, &partner).await;
    let second = first.beside(&url, &token, &store.url, &partner).await;
    let token = first.token(ANNA).await;
    Some((probonus, [first, second], token))
}

async fn available(cabinet: &TestCabinet, token: &str) -> i64 {
    let answer = cabinet.get("/api/v1/me/balance", token).await;
    answer.json()["available"].as_i64().expect("a sum")
}

async fn account(probonus: &ProBonus) -> Value {
    let guests = probonus.control(Method::GET, "/guests", json!({})).await;
    guests["guests"][0]["account_id"].clone()
}

async fn refill(cabinet: &TestCabinet, account: &Value, number: u32) {
    let request = cabinet
        .request(Method::POST, "/partner/v1/refills")
        .bearer_auth(KEY)
        .header("idempotency-key", format!("refill {number}"))
        .json(&json!({ "account_id": account.to_string(), "amount": 100 }));
    let answer = send(request).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refill_named_by_its_account_is_seen_even_by_a_replica_that_never_asked_for_the_account() {
    let Some((probonus, replicas, token)) = two().await else {
        return;
    };
    let [first, second] = &replicas;
    let account = account(&probonus).await;
    // The second may have it from the store, where the first left it.
    let before = available(first, &token).await;
    assert_eq!(available(second, &token).await, before);
    for number in 1..=20 {
        let by = if number % 2 == 0 { second } else { first };
        let other = if number % 2 == 0 { first } else { second };
        refill(by, &account, number).await;
        let after = before + 100 * i64::from(number);
        assert_eq!(available(by, &token).await, after);
        soon(other, &token, "/api/v1/me/balance", |seen| {
            seen.json()["available"] == after
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_seen_though_older_answers_are_under_way() {
    let Some((_probonus, [first, second], token)) = two().await else {
        return;
    };
    for number in 0..20 {
        let (by, other) = if number % 2 == 0 {
            (&first, &second)
        } else {
            (&second, &first)
        };
        let name = if number % 3 == 0 { "Анна" } else { "Инна" };
        let edit = by.request(Method::PATCH, "/api/v1/me/profile").bearer_auth(&token);
        let pull = other.request(Method::GET, "/api/v1/me/profile").bearer_auth(&token);
        let (edited, _) = tokio::join!(
            send(edit.json(&json!({ "first_name": name }))),
            send(pull.header("cache-control", "no-cache"))
        );
        assert_eq!(edited.status, StatusCode::OK, "{}", edited.text);
        let seen = by.get("/api/v1/me/profile", &token).await;
        assert_eq!(seen.json()["first_name"], name, "edit {number}");
        soon(other, &token, "/api/v1/me/profile", |seen| {
            seen.json()["first_name"] == name
        })
        .await;
    }
}
