//! What an order takes of its partner's day is given back once when it ends without effect, however that comes about.

use std::sync::Arc;

use guest_cabinet::clock::Clock;
use guest_cabinet::keys::{hex, sha256};
use guest_cabinet::partner::resolve;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::cabinet::send;
use crate::support::stand_in::StandIn;
use crate::support::{Answer, ProBonus, TestCabinet, TestStore, each_engine, sqlite};

const KEY: &str = "a partner's key for the tests of sums";

/// All that the partner may give in a day.
const DAY: i64 = 10_000;

async fn start(probonus: &ProBonus, store: &TestStore) -> TestCabinet {
    let more = format!(
        "[partners.delivery]\nkey_sha256 = \"{}\"\nscopes = [\"checks\", \"refills\"]\nmax_daily_refill = {DAY}\n\
         max_daily_check_accrual = {DAY}\nmax_daily_check_spend = {DAY}\n[probonus]\ntimeout_ms = 500\nlate_effect_ms = 1000\n",
        hex(&sha256(KEY.as_bytes()))
    );
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token());
    TestCabinet::start(&url, token, &store.url, Clock::system(), &more).await
}

async fn account(probonus: &ProBonus) -> i64 {
    let guests = probonus.control(Method::GET, "/guests", json!({})).await;
    guests["guests"][0]["account_id"].as_i64().expect("Anna has an account")
}

async fn refill(cabinet: &TestCabinet, account: i64, key: &str, amount: i64) -> Answer {
    let request = cabinet.request(Method::POST, "/partner/v1/refills");
    let body = json!({ "account_id": account.to_string(), "amount": amount });
    send(request.bearer_auth(KEY).header("idempotency-key", key).json(&body)).await
}

/// Books a check that gives `accrued` and is paid with `spent` bonuses.
async fn check(cabinet: &TestCabinet, account: i64, number: u128, [accrued, spent]: [i64; 2]) -> Answer {
    let guid = uuid::Uuid::from_u128(0x1000_0000_0000_4000_8000_0000_0000_0000 + number);
    let body = json!({
        "check_guid": guid, "account_id": account.to_string(), "restaurant_code": 1, "unit_code": 1, "external_number": "D-1",
        "bonus_spent": spent, "discount": 0, "bonus_accrued": accrued, "money_spent": 1_000_000,
    });
    let request = cabinet.request(Method::POST, "/partner/v1/checks");
    send(request.bearer_auth(KEY).json(&body)).await
}

/// What the next calls of `operation` meet, one after the other.
async fn meets(probonus: &ProBonus, operation: &str, faults: &[Value]) {
    for fault in faults {
        let mut fault = fault.clone();
        fault["operation"] = operation.into();
        fault["count"] = 1.into();
        probonus.fault(fault).await;
    }
}

fn refused() -> Value {
    json!({ "kind": "status", "status": 400 })
}

#[tokio::test]
async fn what_is_refused_for_good_takes_nothing_of_the_day_also_after_a_429() {
    let turned_away = json!({ "kind": "status", "status": 429, "retry_after": 1 });
    for faults in [vec![refused()], vec![turned_away, refused()]] {
        let (probonus, store) = (ProBonus::start(&Clock::system()).await, sqlite());
        let (cabinet, account) = (start(&probonus, &store).await, account(&probonus).await);
        meets(&probonus, "refill", &faults).await;
        let answer = refill(&cabinet, account, "k1", DAY).await;
        assert_eq!(answer.code(), "validation_failed", "{}", answer.text);
        let answer = refill(&cabinet, account, "k2", DAY).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        assert_eq!(refill(&cabinet, account, "k3", 1).await.code(), "too_many_requests");
    }
}

#[tokio::test]
async fn what_an_operator_rejects_is_given_back_once_over_restarts() {
    for store in each_engine().await {
        let probonus = ProBonus::start(&Clock::system()).await;
        let account = account(&probonus).await;
        let cabinet = start(&probonus, &store).await;
        meets(&probonus, "refill", &[json!({ "kind": "reset_before" })]).await;
        let unknown = refill(&cabinet, account, "k1", DAY).await;
        assert_eq!(unknown.status, StatusCode::ACCEPTED, "{}", unknown.text);
        assert_eq!(refill(&cabinet, account, "k2", 1).await.code(), "too_many_requests");
        cabinet.running.stop().await;
        let id = unknown.json()["operation_id"].as_str().expect("an id").to_owned();
        let (state, barrier) = (store.open().await, Arc::new(Barrier::new(8)));
        let racers = (0..8).map(|_| {
            let (state, barrier, id) = (state.clone(), barrier.clone(), id.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                resolve(&state, &Clock::system(), &id, false).await.expect("decided")
            })
        });
        let mut decided = 0;
        for racer in racers.collect::<Vec<_>>() {
            decided += usize::from(racer.await.expect("a racer ends"));
        }
        state.close().await;
        assert_eq!(decided, 1, "{}", store.engine);
        let cabinet = start(&probonus, &store).await;
        let again = refill(&cabinet, account, "k3", DAY).await;
        assert_eq!(again.status, StatusCode::CREATED, "{} {}", store.engine, again.text);
        assert_eq!(refill(&cabinet, account, "k4", 1).await.code(), "too_many_requests");
    }
}

#[tokio::test]
async fn checks_give_and_are_paid_with_no_more_than_a_days_sums() {
    let (probonus, store) = (ProBonus::start(&Clock::system()).await, sqlite());
    let (cabinet, account) = (start(&probonus, &store).await, account(&probonus).await);
    let given = check(&cabinet, account, 1, [DAY, DAY / 2]).await;
    assert_eq!(given.status, StatusCode::CREATED, "{}", given.text);
    for (number, sums) in [(2, [1, 0]), (3, [0, DAY / 2 + 1])] {
        let answer = check(&cabinet, account, number, sums).await;
        assert_eq!(answer.code(), "too_many_requests", "{sums:?}");
    }
    meets(&probonus, "register_check", &[refused()]).await;
    let answer = check(&cabinet, account, 4, [0, DAY / 2]).await;
    assert_eq!(answer.code(), "validation_failed", "{}", answer.text);
    let answer = check(&cabinet, account, 5, [0, DAY / 2]).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    // A refill takes of a sum of its own.
    assert_eq!(refill(&cabinet, account, "k1", DAY).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_refusal_inside_a_200_takes_nothing_of_the_day_and_what_says_nothing_is_unknown() {
    let stand_in = StandIn::start().await;
    let more = format!(
        "[partners.delivery]\nkey_sha256 = \"{}\"\nscopes = [\"refills\"]\nmax_daily_refill = {DAY}\n",
        hex(&sha256(KEY.as_bytes()))
    );
    let (cabinet, _store) = stand_in.cabinet(&Clock::system(), &more).await;
    stand_in.says(
        "refill",
        200,
        &json!({ "success": false, "message": "Счёт заблокирован" }),
    );
    let refused = refill(&cabinet, 5012, "k1", DAY).await;
    assert_eq!(refused.code(), "validation_failed", "{}", refused.text);
    let again = refill(&cabinet, 5012, "k1", DAY).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"), "{}", again.text);
    stand_in.says("refill", 200, &Value::Null);
    let unknown = refill(&cabinet, 5012, "k2", DAY).await;
    assert_eq!(unknown.status, StatusCode::ACCEPTED, "{}", unknown.text);
    assert_eq!(refill(&cabinet, 5012, "k3", 1).await.code(), "too_many_requests");
    assert_eq!(stand_in.calls("refill"), 2);
}
