//! Comparing the version and writing are one step: of edits of one version at once one is made, wherever they are asked for.

use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::sync::Barrier;

use crate::support::cabinet::send;
use crate::support::replicas::{PHONE, replicas, sandbox, soon};
use crate::support::{Answer, ProBonus, TestCabinet, each_engine, friday_noon, postgres};

const PROFILE: &str = "/api/v1/me/profile";

/// As many edits at once, each of another address, with `tag` in `If-Match`.
async fn edits(
    cabinets: &[Arc<TestCabinet>],
    token: &str,
    tag: Option<&str>,
    round: usize,
    count: usize,
) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(count));
    let racers = (0..count).map(|index| {
        let (barrier, cabinet) = (barrier.clone(), cabinets[index % cabinets.len()].clone());
        let mut edit = cabinet.request(Method::PATCH, PROFILE).bearer_auth(token);
        if let Some(tag) = tag {
            edit = edit.header("if-match", tag);
        }
        let edit = edit.json(&json!({ "email": format!("anna{round}{index}@example.ru") }));
        tokio::spawn(async move {
            barrier.wait().await;
            send(edit).await
        })
    });
    let mut answers = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        answers.push(racer.await.expect("a racer ends"));
    }
    answers
}

fn count(answers: &[Answer], status: StatusCode) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_edits_of_one_version_at_once_one_is_made() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let cabinets = replicas(&store, &sandbox, &clock, "").await;
        let token = cabinets[0].token(PHONE).await;
        for (round, racers) in [2, 2, 6].into_iter().enumerate() {
            let profile = cabinets[0].get(PROFILE, &token).await;
            let tag = profile.header("etag").expect("a tag").to_owned();
            let answers = edits(&cabinets, &token, Some(&tag), round, racers).await;
            assert_eq!(count(&answers, StatusCode::OK), 1, "{} {answers:?}", store.engine);
            for refused in answers.iter().filter(|answer| answer.status != StatusCode::OK) {
                assert_eq!(refused.code(), "version_mismatch");
            }
            let made = answers.iter().find(|answer| answer.status == StatusCode::OK);
            let made = made.expect("one is made").json()["email"].clone();
            for cabinet in &cabinets {
                soon(cabinet, &token, PROFILE, |seen| seen.json()["email"] == made).await;
            }
        }
        let answers = edits(&cabinets, &token, None, 9, 2).await;
        assert_eq!(
            count(&answers, StatusCode::OK),
            2,
            "no version, no conflict: {answers:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_that_probonus_does_not_show_yet_is_shown_and_compared_with_by_every_replica() {
    let Some(store) = postgres().await else { return };
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let cabinets = replicas(&store, &probonus.sandbox, &clock, "").await;
    let (here, there) = (&cabinets[0], &cabinets[1]);
    let token = here.token(PHONE).await;
    let before = there.get(PROFILE, &token).await;
    let (tag, name) = (
        before.header("etag").expect("a tag"),
        before.json()["first_name"].clone(),
    );

    // ProBonus takes the edit, tells nothing of it, and shows the name of before when it tells again.
    probonus
        .fault(json!({ "operation": "update", "kind": "latency", "latency_ms": 500 }))
        .await;
    probonus.forget().await;
    let edit = here.request(Method::PATCH, PROFILE).bearer_auth(&token);
    let edit = tokio::spawn(send(edit.json(&json!({ "first_name": "Инна" }))));
    while probonus.calls("update").await == 0 {
        tokio::task::yield_now().await;
    }
    probonus
        .fault(json!({ "operation": "find_by_phone", "kind": "status", "status": 500 }))
        .await;
    let edited = edit.await.expect("it ends");
    assert_eq!(edited.json()["first_name"], "Инна", "{}", edited.text);
    probonus.heal().await;
    probonus.rename(PHONE, name.as_str().expect("a name")).await;

    soon(there, &token, PROFILE, |seen| seen.json()["first_name"] == "Инна").await;
    let late = there
        .request(Method::PATCH, PROFILE)
        .bearer_auth(&token)
        .header("if-match", tag);
    let late = send(late.json(&json!({ "first_name": "Яна" }))).await;
    assert_eq!(late.code(), "version_mismatch");
    // Longer than any view may be shown without being asked for again; the token still lives.
    clock.advance(Duration::from_secs(290));
    let after = there.get(PROFILE, &token).await;
    assert_eq!(
        after.json()["first_name"],
        name,
        "what it does not show by then it has made something else of"
    );
}
