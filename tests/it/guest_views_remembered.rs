//! Views out of memory: nobody is asked without need, a crowd asks once, and on a bad day the last good view is shown as such.

use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::cabinet::send;
use crate::support::house::{cabinet, house};
use crate::support::{ProBonus, friday_noon, sqlite};

const ANNA: &str = "+79160000001";
const NOBODY: &str = "+79160000008";

#[tokio::test]
async fn warm_views_ask_nobody_and_304_saves_the_body() {
    let house = house("").await;
    let token = house.cabinet.token(ANNA).await;
    let views = ["profile", "balance", "transactions", "coupons", "card", "card.svg"];
    for view in views {
        house.cabinet.get(&format!("/api/v1/me/{view}"), &token).await;
    }
    house.probonus.forget().await;
    for _ in 0..20 {
        for view in views {
            let path = format!("/api/v1/me/{view}");
            let answer = house.cabinet.get(&path, &token).await;
            assert_eq!(answer.header("cache-status"), Some("guest-cabinet; hit"));
            let etag = answer.header("etag").expect("a tag").to_owned();
            let request = house.cabinet.request(Method::GET, &path).bearer_auth(&token);
            let unchanged = send(request.header("if-none-match", etag)).await;
            assert_eq!(
                (unchanged.status, unchanged.text.as_str()),
                (StatusCode::NOT_MODIFIED, "")
            );
        }
    }
    assert_eq!(house.probonus.calls("*").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_crowd_asks_once_whoever_leaves() {
    let house = house("").await;
    let token = house.cabinet.token(ANNA).await;
    house.probonus.forget().await;
    house
        .probonus
        .fault(json!({ "operation": "get_balance_extended", "kind": "latency", "latency_ms": 300 }))
        .await;
    let first = {
        let (cabinet, token) = (house.cabinet.clone(), token.clone());
        tokio::spawn(async move { cabinet.get("/api/v1/me/balance", &token).await })
    };
    while house.probonus.calls("get_balance_extended").await == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    let readers = (0..200).map(|_| {
        let (cabinet, token) = (house.cabinet.clone(), token.clone());
        tokio::spawn(async move { cabinet.get("/api/v1/me/balance", &token).await.status })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert_eq!(reader.await.expect("a reader ends"), StatusCode::OK);
    }
    assert_eq!(house.probonus.calls("get_balance_extended").await, 1);
}

#[tokio::test]
async fn on_a_bad_day_the_last_good_view_is_shown_as_such_even_after_a_restart() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let first = cabinet(&probonus, &store, &clock, "").await;
    let token = first.token(ANNA).await;
    let views = ["profile", "balance", "transactions", "coupons", "home"];
    let mut known = Vec::new();
    for view in views {
        known.push(first.get(&format!("/api/v1/me/{view}"), &token).await.json());
    }
    let first = Arc::into_inner(first).expect("nobody else holds it");
    first.running.stop().await;
    probonus.fault(json!({ "kind": "status", "status": 500 })).await;
    clock.advance(Duration::from_secs(200));
    let second = cabinet(&probonus, &store, &clock, "").await;
    for (view, known) in views.iter().zip(known) {
        let answer = second.get(&format!("/api/v1/me/{view}"), &token).await;
        assert_eq!(answer.status, StatusCode::OK, "{view} {}", answer.text);
        let shown = answer.json();
        assert_eq!(shown["stale"], true, "{view}");
        assert_eq!(shown["as_of"], known["as_of"], "{view}");
        let request = second
            .request(Method::GET, &format!("/api/v1/me/{view}"))
            .bearer_auth(&token);
        let etag = answer.header("etag").expect("a tag").to_owned();
        assert_eq!(
            send(request.header("if-none-match", etag)).await.status,
            StatusCode::OK,
            "stale is always 200"
        );
    }
    probonus.heal().await;
    clock.advance(Duration::from_secs(11));
    let healed = second.get("/api/v1/me/balance", &token).await.json();
    assert_eq!(healed["stale"], false);
    clock.advance(Duration::from_hours(48));
    probonus.fault(json!({ "kind": "status", "status": 500 })).await;
    let token = second.token(ANNA).await;
    let too_old = second.get("/api/v1/me/balance", &token).await;
    assert_eq!(
        (too_old.status.as_u16(), too_old.code().as_str()),
        (503, "upstream_unavailable")
    );
}

#[tokio::test]
async fn a_dead_probonus_is_not_asked_once_per_guest_request() {
    let house = house("").await;
    let token = house.cabinet.token(ANNA).await;
    house.read(&token, "balance").await;
    house.clock.advance(Duration::from_secs(100));
    house.probonus.fault(json!({ "kind": "status", "status": 503 })).await;
    house.probonus.forget().await;
    for _ in 0..50 {
        assert_eq!(house.read(&token, "balance").await["stale"], true);
    }
    assert!(
        house.probonus.calls("*").await <= 4,
        "one fetch of the account and one of the balance, each with its second try"
    );
}

#[tokio::test]
async fn pull_to_refresh_asks_again_but_not_more_often_than_every_three_seconds() {
    let house = house("").await;
    let token = house.cabinet.token(ANNA).await;
    house.read(&token, "balance").await;
    house.probonus.forget().await;
    let pull = async || {
        let request = house
            .cabinet
            .request(Method::GET, "/api/v1/me/balance")
            .bearer_auth(&token);
        send(request.header("cache-control", "no-cache")).await
    };
    let before = house.read(&token, "balance").await["available"]
        .as_i64()
        .expect("a sum");
    let till = json!({ "phone": ANNA, "sum": 100_000 });
    house.probonus.control(Method::POST, "/till/purchase", till).await;
    let after = pull().await.json()["available"].as_i64().expect("a sum");
    assert_eq!(after - before, 5_000, "five percent of a thousand roubles");
    for _ in 0..10 {
        pull().await;
    }
    assert_eq!(house.probonus.calls("get_balance_extended").await, 1);
    house.clock.advance(Duration::from_secs(3));
    pull().await;
    assert_eq!(house.probonus.calls("get_balance_extended").await, 2);
}

#[tokio::test]
async fn who_was_told_that_they_have_no_account_and_pulls_to_refresh_signs_in_to_the_one_that_was_made_meanwhile() {
    let house = house("[auth]\nresend_ms = 1").await;
    let token = house.cabinet.token(NOBODY).await;
    let pull = async |view: &str| {
        let request = house.cabinet.request(Method::GET, &format!("/api/v1/me/{view}"));
        send(request.bearer_auth(&token).header("cache-control", "no-cache")).await
    };
    assert_eq!(pull("balance").await.code(), "account_absent");
    let url = format!("{}/api/v0/accounts/insert_by_template", house.probonus.sandbox.url());
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let account = json!({ "accountGroupId": 3, "phone": "79160000008", "firstName": "Иван" });
    let made = http
        .post(url)
        .bearer_auth(house.probonus.sandbox.token())
        .json(&account)
        .send()
        .await;
    assert_eq!(made.expect("an answer").status(), StatusCode::OK);
    house.clock.advance(Duration::from_secs(3));
    // Whoever made it: this session's own sign-up did not.
    assert_eq!(pull("balance").await.code(), "session_expired");
    let token = house.cabinet.token(NOBODY).await;
    assert_eq!(house.read(&token, "profile").await["first_name"], "Иван");
}
