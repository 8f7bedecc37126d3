//! Orders are booked once whatever this ProBonus' clock, ids and answers look like.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::{get, post as post_to};
use axum::{Json, Router};
use guest_cabinet::clock::Clock;
use guest_cabinet::keys::{hex, sha256};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::cabinet::send;
use crate::support::{Answer, ProBonus, TestCabinet, TestStore, friday_noon, sqlite};

const KEY: &str = "a partner's key for the tests of dialects";
const NEW_KEY: &str = "a partner's next key for the tests of dialects";

fn partner(keys: &str) -> String {
    format!(
        "[partners.delivery]\n{keys}\nscopes = [\"checks\", \"refills\"]\n[probonus]\ntimeout_ms = 500\nlate_effect_ms = 1000\n"
    )
}

fn key(name: &str, key: &str) -> String {
    format!("{name} = \"{}\"\n", hex(&sha256(key.as_bytes())))
}

async fn cabinet(probonus: &ProBonus, store: &TestStore, clock: &Clock, keys: &str) -> TestCabinet {
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token());
    TestCabinet::start(&url, token, &store.url, clock.clone(), &partner(keys)).await
}

async fn account(probonus: &ProBonus) -> i64 {
    let guests = probonus.control(Method::GET, "/guests", json!({})).await;
    guests["guests"][0]["account_id"].as_i64().expect("Anna has an account")
}

fn guid(number: u128) -> String {
    uuid::Uuid::from_u128(0x1000_0000_0000_4000_8000_0000_0000_0000 + number).to_string()
}

fn check(guid: &str, account: i64) -> Value {
    json!({
        "check_guid": guid, "account_id": account.to_string(), "restaurant_code": 1, "unit_code": 1, "external_number": "D-1",
        "bonus_spent": 0, "discount": 0, "bonus_accrued": 7_700, "money_spent": 154_000,
    })
}

async fn post(cabinet: &TestCabinet, key: &str, body: &Value) -> Answer {
    let request = cabinet.request(Method::POST, "/partner/v1/checks");
    send(request.bearer_auth(key).json(body)).await
}

async fn refill(cabinet: &TestCabinet, account: i64, amount: i64) -> Answer {
    let request = cabinet.request(Method::POST, "/partner/v1/refills");
    let body = json!({ "account_id": account.to_string(), "amount": amount });
    send(
        request
            .bearer_auth(KEY)
            .header("idempotency-key", format!("k{amount}"))
            .json(&body),
    )
    .await
}

#[tokio::test]
async fn what_a_probonus_of_another_zone_shows_without_a_name_is_not_taken_for_older_and_sent_again() {
    let clock = Clock::manual(friday_noon());
    // It tells UTC where Moscow's time is expected.
    let early = Clock::manual(friday_noon() - Duration::from_hours(3));
    let probonus = ProBonus::start(&early).await;
    probonus.speak(json!({ "check_ids": false, "comments": false })).await;
    let (store, account) = (sqlite(), account(&probonus).await);
    let cabinet = cabinet(&probonus, &store, &clock, &key("key_sha256", KEY)).await;
    for operation in ["register_check", "refill"] {
        let fault = json!({ "operation": operation, "kind": "reset_after", "count": 1 });
        probonus.fault(fault).await;
    }
    let order = check(&guid(1), account);
    let answers = [
        post(&cabinet, KEY, &order).await,
        refill(&cabinet, account, 3_300).await,
    ];
    let path = format!(
        "/partner/v1/refills/{}",
        answers[1].json()["operation_id"].as_str().expect("an id")
    );
    for answer in answers {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    }
    for _ in 0..20 {
        clock.advance(Duration::from_millis(700));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for path in [path, format!("/partner/v1/checks/{}", guid(1))] {
        let answer = send(cabinet.request(Method::GET, &path).bearer_auth(KEY)).await;
        assert_eq!(answer.json()["state"], "unknown", "{path}");
    }
    let calls = (probonus.calls("register_check").await, probonus.calls("refill").await);
    assert_eq!(calls, (1, 1));
}

/// A ProBonus that knows account 5012 by a text, or by a number, and takes nothing else for it; how often its history was read.
async fn particular(id: Value) -> (String, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    let (counted, shown) = (reads.clone(), id.clone());
    let history = get(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let movement =
            json!({ "id": 1, "accountId": shown, "date": "2026-11-20T12:00:00", "type": "accrual", "sum": 5 });
        std::future::ready(Json(json!([movement])))
    });
    let book = post_to(move |Json(order): Json<Value>| {
        let known = order["accountId"] == id;
        let status = if known { StatusCode::OK } else { StatusCode::NOT_FOUND };
        std::future::ready((status, Json(json!({}))))
    });
    let router = Router::new()
        .route("/api/v0/accounts/transactions", history)
        .route("/api/v0/external/register_check", book.clone())
        .route("/api/v0/accounts/refill", book);
    (serve(router).await, reads)
}

/// The address of a ProBonus of `router`.
async fn serve(router: Router) -> String {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", socket.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(socket, router).await });
    url
}

#[tokio::test]
async fn the_first_order_after_a_start_names_the_account_as_this_probonus_writes_it() {
    for id in [json!("5012"), json!(5012)] {
        let (url, reads) = particular(id.clone()).await;
        let (store, more) = (sqlite(), partner(&key("key_sha256", KEY)));
        let cabinet = TestCabinet::start(&url, "a token", &store.url, Clock::system(), &more).await;
        let first = post(&cabinet, KEY, &check(&guid(2), 5012)).await;
        let then = refill(&cabinet, 5012, 100).await;
        for answer in [first, then] {
            assert_eq!(answer.status, StatusCode::CREATED, "{id} {}", answer.text);
        }
        assert_eq!(reads.load(Ordering::Relaxed), 1, "what is known is not asked again");
    }
}

/// A ProBonus that books what it turns away with a 503, and shows it in the history a little later, by the GUID in a comment.
async fn slow_to_show() -> (String, Arc<Mutex<Vec<(Instant, Value)>>>) {
    let booked: Arc<Mutex<Vec<(Instant, Value)>>> = Arc::default();
    let (shown, books) = (booked.clone(), booked.clone());
    let history = get(move || {
        let now = Instant::now();
        let shown = shown.lock().expect("nobody panics here");
        let old = shown
            .iter()
            .filter(|(at, _)| now.duration_since(*at) > Duration::from_millis(700));
        let movement = |order: &Value| {
            json!({
                "id": 1, "date": Clock::system().now().to_string(), "type": "accrual", "sum": order["bonusAccruedSum"],
                "comment": order["checkGuid"],
            })
        };
        let movements: Vec<Value> = old.map(|(_, order)| movement(order)).collect();
        std::future::ready(Json(movements))
    });
    let book = post_to(move |Json(order): Json<Value>| {
        books.lock().expect("nobody panics here").push((Instant::now(), order));
        std::future::ready((StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")]))
    });
    let balance = get(|| std::future::ready(Json(json!({ "balance": 5 }))));
    let router = Router::new()
        .route("/api/v0/accounts/transactions", history)
        .route("/api/v0/accounts/get_balance_extended", balance)
        .route("/api/v0/external/register_check", book);
    (serve(router).await, booked)
}

#[tokio::test]
async fn what_was_booked_and_turned_away_is_waited_for_until_the_history_shows_it() {
    let (url, booked) = slow_to_show().await;
    let (store, more) = (sqlite(), partner(&key("key_sha256", KEY)));
    let cabinet = TestCabinet::start(&url, "a token", &store.url, Clock::system(), &more).await;
    let order = check(&guid(5), 5012);
    let answer = post(&cabinet, KEY, &order).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let deadline = Instant::now() + Duration::from_secs(20);
    while post(&cabinet, KEY, &order).await.json()["state"] != "registered" {
        assert!(Instant::now() < deadline, "it is not settled");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(booked.lock().expect("nobody panics here").len(), 1);
}

#[tokio::test]
async fn while_a_key_is_rotated_both_are_good_and_the_orders_stay_the_partners() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let (store, account) = (sqlite(), account(&probonus).await);
    let order = check(&guid(4), account);
    let (old, new) = (key("key_sha256", KEY), key("key_sha256", NEW_KEY));
    let both = new.clone() + &key("key_sha256_previous", KEY);
    for (keys, answers) in [(old, [201, 401]), (both, [200, 200]), (new, [401, 200])] {
        let cabinet = cabinet(&probonus, &store, &clock, &keys).await;
        for (key, status) in [KEY, NEW_KEY].into_iter().zip(answers) {
            let answer = post(&cabinet, key, &order).await;
            assert_eq!(answer.status.as_u16(), status, "{keys} {}", answer.text);
        }
    }
    assert_eq!(probonus.calls("register_check").await, 1);
}
