//! Several cabinets over one store, and racers against them.

use std::sync::Arc;

use guest_cabinet::clock::Clock;
use guest_cabinet::sandbox::Sandbox;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::{Answer, ProBonus, TestCabinet, TestStore};

/// The guest most tests are about.
pub const PHONE: &str = "+79160000001";

/// A sandbox that shares `clock`.
pub async fn sandbox(clock: &Clock) -> Sandbox {
    ProBonus::start(clock).await.sandbox
}

/// Replicas over one store and one sandbox: two on PostgreSQL, one on SQLite.
pub async fn replicas(store: &TestStore, sandbox: &Sandbox, clock: &Clock, more: &str) -> Vec<Arc<TestCabinet>> {
    let (url, token) = (sandbox.url(), sandbox.token());
    let first = TestCabinet::start(&url, token, &store.url, clock.clone(), more).await;
    if store.engine != "postgres" {
        return vec![Arc::new(first)];
    }
    let second = first.beside(&url, token, &store.url, more).await;
    vec![Arc::new(first), Arc::new(second)]
}

/// A challenge for [`PHONE`]: its id and the right code.
pub async fn challenge(cabinet: &TestCabinet) -> (String, String) {
    challenge_for(cabinet, PHONE).await
}

/// A challenge for `phone`: its id and the right code.
pub async fn challenge_for(cabinet: &TestCabinet, phone: &str) -> (String, String) {
    let before = cabinet.receiver.messages();
    let before = before
        .iter()
        .filter(|message| message["data"]["phone"] == phone)
        .count();
    let asked = cabinet
        .post("/api/v1/auth/challenges", &json!({ "phone": phone }))
        .await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
    let id = asked.json()["challenge_id"].as_str().expect("an id").to_owned();
    (id, cabinet.receiver.code(phone, before + 1).await)
}

/// `count` racers behind a barrier, each asking the replicas in turn.
pub async fn race(replicas: &[Arc<TestCabinet>], count: usize, path: &str, body: &Value) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(count));
    let racers = (0..count).map(|index| {
        let (barrier, replica) = (barrier.clone(), replicas[index % replicas.len()].clone());
        let (path, body) = (path.to_owned(), body.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            replica.post(&path, &body).await
        })
    });
    let mut answers = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        answers.push(racer.await.expect("a racer ends"));
    }
    answers
}

/// How many answers have this status.
pub fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status.as_u16() == status).count()
}

/// Asks until the session is over, for a second at most: that long other replicas may take.
pub async fn eventually_401(cabinet: &TestCabinet, token: &str) -> Answer {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(1);
    loop {
        let answer = cabinet.get("/api/v1/me/sessions", token).await;
        if answer.status == StatusCode::UNAUTHORIZED || tokio::time::Instant::now() > deadline {
            return answer;
        }
        tokio::task::yield_now().await;
    }
}

/// Asks until `seen` says so: a hint takes a moment to other replicas. The clock of the test stands still meanwhile.
pub async fn soon(cabinet: &TestCabinet, token: &str, path: &str, seen: impl Fn(&Answer) -> bool) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let answer = cabinet.get(path, token).await;
        if seen(&answer) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{path}: {}", answer.text);
        tokio::task::yield_now().await;
    }
}
