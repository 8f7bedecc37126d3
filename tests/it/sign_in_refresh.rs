//! Refresh tokens: a lost answer is given again, a straggler is forgiven, reuse ends the session; over two replicas as over one.

use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::replicas::{PHONE, count, eventually_401, race, replicas, sandbox};
use crate::support::{TestCabinet, each_engine, friday_noon, sqlite};

/// `auth.refresh_leeway_ms` when it is not set.
const LEEWAY: Duration = Duration::from_secs(10);

/// The least that a clock shows.
const TICK: Duration = Duration::from_micros(1);

async fn is_let_in(cabinet: &TestCabinet, pair: &Value) -> bool {
    let token = pair["access_token"].as_str().expect("a token");
    cabinet.get("/api/v1/me/sessions", token).await.status == StatusCode::OK
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_refreshes_at_once_leave_a_working_pair_and_a_living_session() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let replicas = replicas(&store, &sandbox, &clock, "").await;
        let signed = replicas[0].sign_in(PHONE).await;
        let body = json!({ "refresh_token": signed["refresh_token"] });
        let answers = race(&replicas, 20, "/api/v1/auth/refresh", &body).await;
        let mut worked = 0;
        for answer in &answers {
            match answer.status.as_u16() {
                200 => worked += 1,
                409 => assert_eq!(answer.code(), "operation_in_progress"),
                _ => panic!("{} {}", store.engine, answer.text),
            }
        }
        assert!(worked >= 1);
        for answer in answers.iter().filter(|answer| answer.status == StatusCode::OK) {
            let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
            let read = replicas[0].get("/api/v1/me/profile", &token).await;
            assert_eq!(read.status, StatusCode::OK, "{}", read.text);
        }
    }
}

#[tokio::test]
async fn a_refresh_that_came_in_before_the_new_pair_was_used_is_no_reuse() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let replicas = replicas(&store, &sandbox, &clock, "").await;
        let cabinet = &replicas[0];
        let refresh = async |pair: &Value| {
            let body = json!({ "refresh_token": pair["refresh_token"] });
            cabinet.post("/api/v1/auth/refresh", &body).await
        };
        let read = async |pair: &Value| {
            let token = pair["access_token"].as_str().expect("a token");
            cabinet.get("/api/v1/me/profile", token).await.status
        };
        let first = cabinet.sign_in(PHONE).await;
        let second = refresh(&first).await.json();
        assert_eq!(read(&second).await, StatusCode::OK);
        // The clock stands still: this one came in no later than the use.
        let racer = refresh(&first).await;
        assert_eq!(racer.status, StatusCode::OK, "{} {}", store.engine, racer.text);
        assert_eq!(racer.json()["refresh_token"], second["refresh_token"]);
        let third = refresh(&second).await.json();
        let behind = refresh(&first).await;
        assert_eq!(
            (behind.status.as_u16(), behind.code().as_str()),
            (409, "operation_in_progress")
        );
        assert_eq!(read(&third).await, StatusCode::OK);
        clock.advance(LEEWAY + TICK);
        assert_eq!(refresh(&second).await.code(), "token_reused");
    }
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_later_reuse_ends_the_session() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let replicas = replicas(&store, &sandbox, &clock, "").await;
        let cabinet = &replicas[0];
        let first = cabinet.sign_in(PHONE).await;
        let refresh = async |token: &Value| {
            cabinet
                .post("/api/v1/auth/refresh", &json!({ "refresh_token": token }))
                .await
        };
        clock.advance(Duration::from_secs(1));
        let lost = refresh(&first["refresh_token"]).await;
        assert_eq!(lost.status, StatusCode::OK);
        clock.advance(Duration::from_secs(1));
        let again = refresh(&first["refresh_token"]).await;
        assert_eq!(again.status, StatusCode::OK, "the new pair is unused: {}", again.text);
        let pair = again.json();
        let token = pair["access_token"].as_str().expect("a token");
        assert_eq!(cabinet.get("/api/v1/me/profile", token).await.status, StatusCode::OK);
        clock.advance(LEEWAY + TICK);
        let reused = refresh(&first["refresh_token"]).await;
        assert_eq!((reused.status.as_u16(), reused.code().as_str()), (401, "token_reused"));
        assert!(reused.header("www-authenticate").is_some());
        for replica in &replicas {
            let ended = eventually_401(replica, token).await;
            assert_eq!(ended.code(), "session_expired", "{}", store.engine);
        }
        let dead = refresh(&pair["refresh_token"]).await;
        assert_eq!(dead.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stragglers_get_the_newest_pair_for_ten_seconds_after_its_first_use() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let replicas = replicas(&store, &sandbox, &clock, "").await;
        let first = replicas[0].sign_in(PHONE).await;
        let body = json!({ "refresh_token": first["refresh_token"] });
        let second = replicas[0].post("/api/v1/auth/refresh", &body).await.json();
        clock.advance(Duration::from_secs(1));
        assert!(is_let_in(&replicas[0], &second).await, "the new pair is in use");
        clock.advance(LEEWAY);
        let stragglers = race(&replicas, 20, "/api/v1/auth/refresh", &body).await;
        assert_eq!(count(&stragglers, 200), 20, "{}", store.engine);
        for straggler in &stragglers {
            assert_eq!(straggler.json()["refresh_token"], second["refresh_token"]);
        }
        assert!(is_let_in(&replicas[0], &stragglers[0].json()).await);
        clock.advance(TICK);
        let thieves = race(&replicas, 20, "/api/v1/auth/refresh", &body).await;
        assert_eq!(count(&thieves, 401), 20, "{}", store.engine);
        let token = second["access_token"].as_str().expect("a token");
        for replica in &replicas {
            assert_eq!(eventually_401(replica, token).await.code(), "session_expired");
        }
    }
}

#[tokio::test]
async fn the_leeway_is_the_previous_tokens_alone_and_can_be_switched_off() {
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let usual = &replicas(&store, &sandbox, &clock, "").await[0];
    let refresh = async |cabinet: &TestCabinet, pair: &Value| {
        let body = json!({ "refresh_token": pair["refresh_token"] });
        cabinet.post("/api/v1/auth/refresh", &body).await
    };
    let first = usual.sign_in(PHONE).await;
    let second = refresh(usual, &first).await.json();
    let third = refresh(usual, &second).await.json();
    assert!(is_let_in(usual, &third).await);
    clock.advance(TICK);
    assert_eq!(refresh(usual, &first).await.code(), "token_reused", "two pairs behind");

    let store = sqlite();
    let strict = &replicas(&store, &sandbox, &clock, "auth.refresh_leeway_ms = 0").await[0];
    let first = strict.sign_in(PHONE).await;
    let second = refresh(strict, &first).await.json();
    assert!(is_let_in(strict, &second).await);
    clock.advance(TICK);
    assert_eq!(refresh(strict, &first).await.code(), "token_reused");
}
