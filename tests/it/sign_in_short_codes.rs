//! Four digits are few: over all phones together only so many wrong ones are looked at, and honest guests are not shut out for it.

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::callers::{behind_proxy, id_of, refused_by};
use crate::support::smsru_cabinet::SmsruCabinet;
use crate::support::{Answer, Caller, each_engine, sqlite};

/// What the gateway of these tests calls with, and what it never calls with.
const RIGHT: &str = "0435";
const WRONG: &str = "1111";

/// A challenge by a call to a phone of its own, once the call was made.
async fn called(stage: &SmsruCabinet, caller: &Caller, number: usize) -> String {
    let phone = format!("+7916{number:03}1001");
    let asked = caller.ask_by(&stage.cabinet, &phone, "flash_call").await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
    let body: Value = asked.json();
    stage.until(&body, "sent").await;
    id_of(&asked)
}

async fn give(stage: &SmsruCabinet, caller: &Caller, number: usize, code: &str) -> Answer {
    let id = called(stage, caller, number).await;
    caller.give(&stage.cabinet, &id, code).await
}

#[tokio::test]
async fn thousands_of_guesses_over_many_phones_are_not_looked_at() {
    let store = sqlite();
    let limits = behind_proxy("sends_per_ip_hour = 1000\nshort_codes_per_ip_day = 6\nshort_codes_system_day = 30");
    let stage = SmsruCabinet::with(&store, &limits).await;
    let mut proven = Caller::at("203.0.113.1");
    let id = called(&stage, &proven, 900).await;
    let signed = proven.give(&stage.cabinet, &id, RIGHT).await;
    assert_eq!(signed.status, StatusCode::OK, "{}", signed.text);
    proven.device.clear();
    let mut looked_at = 0;
    for number in 0..60 {
        // Two /24s of eight addresses each.
        let stranger = Caller::at(format!("192.0.{}.{}", number % 2, number % 16));
        let id = called(&stage, &stranger, number).await;
        for _ in 0..3 {
            let answer = stranger.give(&stage.cabinet, &id, WRONG).await;
            match answer.status {
                StatusCode::UNPROCESSABLE_ENTITY => looked_at += 1,
                _ => assert!(refused_by(&answer).starts_with("short_codes"), "{}", answer.text),
            }
        }
    }
    assert_eq!(looked_at, 30, "of a hundred and eighty");
    let late = give(&stage, &Caller::at("192.0.2.1"), 100, WRONG).await;
    assert_eq!(late.code(), "code_incorrect", "one for a network that had none");
    let refused = give(&stage, &Caller::at("192.0.2.2"), 101, RIGHT).await;
    assert_eq!(refused_by(&refused), "short_codes_system_day", "but no more");
    // Guests elsewhere come in, and where guests signed in lately even by their second try.
    let guest = give(&stage, &Caller::at("198.51.100.1"), 102, RIGHT).await;
    assert_eq!(guest.status, StatusCode::OK, "{}", guest.text);
    let neighbour = Caller::at("203.0.113.77");
    let id = called(&stage, &neighbour, 103).await;
    assert_eq!(
        neighbour.give(&stage.cabinet, &id, WRONG).await.code(),
        "code_incorrect"
    );
    assert_eq!(neighbour.give(&stage.cabinet, &id, RIGHT).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_guesses_at_once_no_more_are_looked_at_than_there_may_be() {
    for store in each_engine().await {
        let stage = Arc::new(SmsruCabinet::with(&store, &behind_proxy("short_codes_per_ip_day = 6")).await);
        let mut challenges = Vec::new();
        for number in 0..20 {
            // Asked for from elsewhere, so that they are counted against who gives them back.
            let asker = Caller::at(format!("198.51.{number}.1"));
            challenges.push(called(&stage, &asker, number).await);
        }
        let barrier = Arc::new(Barrier::new(challenges.len()));
        let mut racers = JoinSet::new();
        for id in challenges {
            let (barrier, stage) = (barrier.clone(), stage.clone());
            racers.spawn(async move {
                barrier.wait().await;
                Caller::at("192.0.2.1").give(&stage.cabinet, &id, WRONG).await
            });
        }
        let answers = racers.join_all().await;
        let looked_at = answers
            .iter()
            .filter(|answer| answer.status == StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(looked_at.count(), 6, "{}", store.engine);
        let refused = answers
            .iter()
            .find(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused_by(refused.expect("one")), "short_codes_per_ip_day");
    }
}
