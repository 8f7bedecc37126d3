//! Store-review numbers: no message, a fixed code, within their dates; for strangers a number like any other.

use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::cabinet::send;
use crate::support::callers::{behind_proxy, id_of, refused_by};
use crate::support::replicas::{replicas, sandbox};
use crate::support::{Answer, Caller, TestCabinet, each_engine, friday_noon, sqlite};

const REVIEWED: &str = "+79160000077";
const OTHER: &str = "+79160001077";
const CODE: &str = "246810";
const MINUTE: Duration = Duration::from_mins(1);

/// A cabinet behind a proxy with a number under review, and `more` of its settings.
async fn under_review(store: &crate::support::TestStore, more: &str) -> (Clock, std::sync::Arc<TestCabinet>) {
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let number = format!(
        "{}[[auth.test_phones]]\nphone = \"{REVIEWED}\"\ncode = \"{CODE}\"\n\
         valid_until = \"2026-11-21T00:00:00Z\"\n{more}",
        behind_proxy("")
    );
    let cabinet = replicas(store, &sandbox, &clock, &number).await.remove(0);
    (clock, cabinet)
}

/// The answer without what belongs to its phone and challenge.
fn shape(answer: &Answer) -> Value {
    let mut body = answer.json();
    for own in ["challenge_id", "masked_phone", "request_id"] {
        body.as_object_mut().expect("an object").remove(own);
    }
    json!([
        answer.status.as_u16(),
        body,
        answer.header("ratelimit-policy"),
        answer.header("retry-after")
    ])
}

async fn look(cabinet: &TestCabinet, id: &str) -> Answer {
    send(cabinet.request(Method::GET, &format!("/api/v1/auth/challenges/{id}"))).await
}

/// How the challenge stands once its message is no longer queued.
async fn sent(cabinet: &TestCabinet, id: &str) -> Answer {
    loop {
        let state = look(cabinet, id).await;
        if state.json()["delivery"] != "queued" {
            return state;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_number_under_review_answers_like_any_other_and_gets_no_message() {
    for store in each_engine().await {
        let (clock, cabinet) = under_review(&store, "").await;
        let stranger = Caller::at("192.0.2.1");
        let mut ids = Vec::new();
        for _ in 0..6 {
            let (reviewed, other) = (
                stranger.ask(&cabinet, REVIEWED).await,
                stranger.ask(&cabinet, OTHER).await,
            );
            assert_eq!(shape(&reviewed), shape(&other), "{}", store.engine);
            if reviewed.status == StatusCode::ACCEPTED {
                let (reviewed, other) = (id_of(&reviewed), id_of(&other));
                let states = (sent(&cabinet, &reviewed).await, sent(&cabinet, &other).await);
                assert_eq!(shape(&states.0), shape(&states.1), "{}", store.engine);
                let again = (
                    cabinet
                        .post(&format!("/api/v1/auth/challenges/{reviewed}/resend"), &json!({}))
                        .await,
                    cabinet
                        .post(&format!("/api/v1/auth/challenges/{other}/resend"), &json!({}))
                        .await,
                );
                assert_eq!(shape(&again.0), shape(&again.1), "{}", store.engine);
                let wrong = (
                    stranger.give(&cabinet, &reviewed, "000000").await,
                    stranger.give(&cabinet, &other, "000000").await,
                );
                assert_eq!(shape(&wrong.0), shape(&wrong.1), "{}", store.engine);
                ids.push(reviewed);
            }
            clock.advance(MINUTE);
        }
        assert_eq!(ids.len(), 5, "five an hour: {}", store.engine);
        assert_eq!(cabinet.receiver.count(REVIEWED), 0);
        assert_eq!(stranger.give(&cabinet, &ids[4], CODE).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn twenty_wrong_codes_do_not_shut_the_reviewer_out() {
    let store = sqlite();
    let (clock, cabinet) = under_review(&store, "").await;
    for _ in 0..4 {
        let stranger = Caller::at("192.0.2.1");
        let id = id_of(&stranger.ask(&cabinet, REVIEWED).await);
        for left in (0..5).rev() {
            assert_eq!(
                stranger.give(&cabinet, &id, "000000").await.json()["attempts_left"],
                left
            );
        }
        assert_eq!(stranger.give(&cabinet, &id, CODE).await.status, StatusCode::GONE);
        clock.advance(MINUTE);
    }
    let reviewer = Caller::at("198.51.100.1");
    let id = id_of(&reviewer.ask(&cabinet, REVIEWED).await);
    assert_eq!(reviewer.give(&cabinet, &id, CODE).await.status, StatusCode::OK);
}

#[tokio::test]
async fn where_the_review_takes_place_its_budget_is_its_own_and_elsewhere_the_number_is_ordinary() {
    for store in each_engine().await {
        let (clock, cabinet) = under_review(&store, "networks = [\"198.51.100.0/24\"]\n").await;
        let (stranger, reviewer) = (Caller::at("192.0.2.1"), Caller::at("198.51.100.1"));
        for count in 1..=5 {
            let asked = stranger.ask(&cabinet, REVIEWED).await;
            assert_eq!(asked.status, StatusCode::ACCEPTED, "{} {}", store.engine, asked.text);
            let code = cabinet.receiver.code(REVIEWED, count).await;
            assert_ne!(code, CODE);
            assert_eq!(
                stranger.give(&cabinet, &id_of(&asked), CODE).await.code(),
                "code_incorrect"
            );
            let mine = reviewer.ask(&cabinet, REVIEWED).await;
            assert_eq!(mine.json()["resend_in"], 60);
            if count == 1 {
                assert_eq!(refused_by(&reviewer.ask(&cabinet, REVIEWED).await), "resend");
            }
            assert_eq!(
                reviewer.give(&cabinet, &id_of(&mine), CODE).await.status,
                StatusCode::OK
            );
            clock.advance(MINUTE);
        }
        assert_eq!(
            refused_by(&stranger.ask(&cabinet, REVIEWED).await),
            "sends_per_phone_hour"
        );
        assert_eq!(
            refused_by(&reviewer.ask(&cabinet, REVIEWED).await),
            "sends_per_phone_hour"
        );
        assert_eq!(cabinet.receiver.count(REVIEWED), 5, "the reviewer gets none");
    }
}

#[tokio::test]
async fn a_review_begins_and_ends_with_its_dates() {
    let store = sqlite();
    let (clock, cabinet) = under_review(&store, "valid_from = \"2026-11-20T09:30:00Z\"\n").await;
    let anybody = Caller::at("192.0.2.1");
    let early = anybody.ask(&cabinet, REVIEWED).await;
    assert_ne!(cabinet.receiver.code(REVIEWED, 1).await, CODE);
    assert_eq!(
        anybody.give(&cabinet, &id_of(&early), CODE).await.code(),
        "code_incorrect"
    );
    clock.advance(MINUTE * 30);
    let now = anybody.ask(&cabinet, REVIEWED).await;
    assert_eq!(anybody.give(&cabinet, &id_of(&now), CODE).await.status, StatusCode::OK);
    // A challenge of the last minute ends with its number's day.
    clock.advance(MINUTE * (14 * 60 + 29));
    let last = anybody.ask(&cabinet, REVIEWED).await;
    assert_eq!(last.json()["expires_in"], 60);
    clock.advance(MINUTE);
    assert_eq!(
        anybody.give(&cabinet, &id_of(&last), CODE).await.status,
        StatusCode::GONE
    );
    let over = anybody.ask(&cabinet, REVIEWED).await;
    assert_ne!(cabinet.receiver.code(REVIEWED, 2).await, CODE);
    assert_eq!(
        anybody.give(&cabinet, &id_of(&over), CODE).await.code(),
        "code_incorrect"
    );
}
