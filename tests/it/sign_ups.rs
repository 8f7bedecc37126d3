//! Signing up makes one account, whatever becomes of the call, of the process, and of the guest's patience.

use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::cabinet::send;
use crate::support::house::cabinet;
use crate::support::replicas::{eventually_401, replicas};
use crate::support::{Answer, ProBonus, TestCabinet, TestStore, each_engine, friday_noon};

const NOBODY: &str = "+79160000008";

/// As long as a call may still take effect.
const LATE: Duration = Duration::from_secs(90);

async fn sign_up(cabinet: &TestCabinet, token: &str) -> Answer {
    let request = cabinet.request(Method::POST, "/api/v1/me/registration");
    let body = json!({ "first_name": "Иван", "last_name": "Тестов", "consents": [] });
    send(request.bearer_auth(token).json(&body)).await
}

fn outcome(answer: &Answer) -> (u16, String) {
    let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), code)
}

async fn fault(probonus: &ProBonus, fault: Value) {
    let mut fault = fault;
    fault["operation"] = json!("insert_by_template");
    probonus.fault(fault).await;
}

/// How many accounts ProBonus has.
async fn accounts(probonus: &ProBonus) -> u64 {
    let state = probonus.control(Method::GET, "", json!({})).await;
    state["accounts"].as_u64().expect("a number")
}

async fn insertions(probonus: &ProBonus) -> u64 {
    probonus.calls("insert_by_template").await
}

/// All replicas at once, each so often, behind a barrier.
async fn race(replicas: &[Arc<TestCabinet>], tokens: &[String], each: usize) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(replicas.len() * tokens.len() * each));
    let mut racers = Vec::new();
    for replica in replicas {
        for token in tokens.iter().cycle().take(tokens.len() * each) {
            let (barrier, replica, token) = (barrier.clone(), replica.clone(), token.clone());
            racers.push(tokio::spawn(async move {
                barrier.wait().await;
                sign_up(&replica, &token).await
            }));
        }
    }
    let mut answers = Vec::new();
    for racer in racers {
        answers.push(racer.await.expect("a racer ends"));
    }
    answers
}

async fn restarted(
    probonus: &ProBonus,
    store: &TestStore,
    clock: &Clock,
    former: Vec<Arc<TestCabinet>>,
) -> Arc<TestCabinet> {
    for former in former {
        Arc::into_inner(former)
            .expect("nobody else holds it")
            .running
            .stop()
            .await;
    }
    cabinet(probonus, store, clock, "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_probonus_makes_twenty_seconds_late_is_the_only_one() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let probonus = ProBonus::start(&clock).await;
        let before = accounts(&probonus).await;
        let replicas = replicas(&store, &probonus.sandbox, &clock, "").await;
        let token = replicas[0].token(NOBODY).await;
        fault(&probonus, json!({ "kind": "late", "late_s": 20, "count": 1 })).await;
        let first = sign_up(&replicas[0], &token).await;
        assert_eq!(
            outcome(&first),
            (409, "operation_in_progress".into()),
            "{}",
            store.engine
        );
        assert!(first.header("retry-after").is_some());
        for answer in race(&replicas, std::slice::from_ref(&token), 4).await {
            assert_eq!(
                outcome(&answer),
                (409, "operation_in_progress".into()),
                "{}",
                store.engine
            );
            assert!(answer.header("retry-after").is_some());
        }
        clock.advance(Duration::from_secs(20));
        let last = replicas.last().expect("a replica");
        let told = sign_up(last, &token).await;
        assert_eq!(told.status, StatusCode::CREATED, "{}", told.text);
        assert_eq!(
            outcome(&sign_up(&replicas[0], &token).await),
            (409, "account_exists".into())
        );
        for replica in &replicas {
            let profile = replica.get("/api/v1/me/profile", &token).await;
            assert_eq!(
                profile.json()["first_name"],
                "Иван",
                "the session goes on under its own account"
            );
        }
        assert_eq!(
            (insertions(&probonus).await, accounts(&probonus).await),
            (1, before + 1)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_to_nothing_is_sent_once_more_when_the_longest_time_is_over_even_after_a_restart() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let probonus = ProBonus::start(&clock).await;
        let before = accounts(&probonus).await;
        let replicas = replicas(&store, &probonus.sandbox, &clock, "").await;
        let token = replicas[0].token(NOBODY).await;
        fault(&probonus, json!({ "kind": "reset_before", "count": 1 })).await;
        assert_eq!(sign_up(&replicas[0], &token).await.code(), "operation_in_progress");
        clock.advance(LATE.checked_sub(Duration::from_secs(1)).expect("longer than a second"));
        let cabinet = restarted(&probonus, &store, &clock, replicas).await;
        let token = cabinet.token(NOBODY).await;
        assert_eq!(
            sign_up(&cabinet, &token).await.code(),
            "operation_in_progress",
            "{}",
            store.engine
        );
        assert_eq!(insertions(&probonus).await, 1);
        clock.advance(Duration::from_secs(1));
        let made = race(std::slice::from_ref(&cabinet), std::slice::from_ref(&token), 8).await;
        let made = made
            .iter()
            .filter(|answer| answer.status == StatusCode::CREATED)
            .count();
        assert_eq!(
            (made, insertions(&probonus).await, accounts(&probonus).await),
            (1, 2, before + 1)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_call_ended_with_nothing_is_sent_again_before_its_time() {
    for kind in [
        "reset_before",
        "reset_after",
        "error_after",
        "status",
        "html",
        "garbage",
        "truncated",
    ] {
        let clock = Clock::manual(friday_noon());
        let probonus = ProBonus::start(&clock).await;
        let before = accounts(&probonus).await;
        let store = crate::support::sqlite();
        let cabinet = cabinet(&probonus, &store, &clock, "").await;
        let token = cabinet.token(NOBODY).await;
        fault(&probonus, json!({ "kind": kind, "status": 500, "count": 1 })).await;
        let took_effect = ["reset_after", "error_after", "truncated"].contains(&kind);
        let first = sign_up(&cabinet, &token).await;
        let second = sign_up(&cabinet, &token).await;
        if took_effect {
            assert_eq!(first.status, StatusCode::CREATED, "{kind} {}", first.text);
            assert_eq!(outcome(&second), (409, "account_exists".into()), "{kind}");
        } else {
            for answer in [first, second] {
                assert_eq!(outcome(&answer), (409, "operation_in_progress".into()), "{kind}");
            }
            clock.advance(LATE);
            assert_eq!(sign_up(&cabinet, &token).await.status, StatusCode::CREATED, "{kind}");
        }
        assert_eq!(accounts(&probonus).await, before + 1, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_died_in_between_may_have_sent_it() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let probonus = ProBonus::start(&clock).await;
        let first = cabinet(&probonus, &store, &clock, "").await;
        let token = first.token(NOBODY).await;
        // What a process leaves that dies after its intent was written and before ProBonus answered.
        store
            .execute(
                "INSERT INTO registrations (guest, lease_until_us, owner, session, sent_at_us, settled_at_us, told) \
                 SELECT guest, created_at_us + 20000000, id, id, created_at_us, created_at_us + 93000000, 0 FROM sessions",
            )
            .await;
        let cabinet = restarted(&probonus, &store, &clock, vec![first]).await;
        assert_eq!(
            sign_up(&cabinet, &token).await.code(),
            "operation_in_progress",
            "the lease"
        );
        clock.advance(Duration::from_secs(20));
        assert_eq!(
            sign_up(&cabinet, &token).await.code(),
            "operation_in_progress",
            "its time"
        );
        assert_eq!(insertions(&probonus).await, 0);
        clock.advance(Duration::from_secs(73));
        let token = cabinet.token(NOBODY).await;
        let made = sign_up(&cabinet, &token).await;
        assert_eq!(made.status, StatusCode::CREATED, "{} {}", store.engine, made.text);
        assert_eq!(insertions(&probonus).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_devices_sign_up_at_once_and_one_of_them_signs_in_again() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let probonus = ProBonus::start(&clock).await;
        let before = accounts(&probonus).await;
        let replicas = replicas(&store, &probonus.sandbox, &clock, "[auth]\nresend_ms = 1").await;
        let mut tokens = Vec::new();
        for _ in 0..2 {
            clock.advance(Duration::from_secs(1));
            tokens.push(replicas[0].token(NOBODY).await);
        }
        let answers = race(&replicas, &tokens, 4).await;
        let made = answers
            .iter()
            .filter(|answer| answer.status == StatusCode::CREATED)
            .count();
        assert_eq!(made, 1, "{}", store.engine);
        assert_eq!(
            (insertions(&probonus).await, accounts(&probonus).await),
            (1, before + 1)
        );
        let mut goes_on = 0;
        for token in &tokens {
            let mut alive = true;
            for replica in &replicas {
                alive &= replica.get("/api/v1/me/balance", token).await.status == StatusCode::OK;
            }
            goes_on += usize::from(alive);
            if !alive {
                for replica in &replicas {
                    assert_eq!(eventually_401(replica, token).await.code(), "session_expired");
                }
            }
        }
        assert_eq!(goes_on, 1, "{}: the session whose sign-up it was", store.engine);
    }
}

#[tokio::test]
async fn an_account_that_somebody_else_made_ends_the_session_that_had_none() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = crate::support::sqlite();
    let cabinet = cabinet(&probonus, &store, &clock, "[auth]\nresend_ms = 1").await;
    let token = cabinet.token(NOBODY).await;
    let url = format!("{}/api/v0/accounts/insert_by_template", probonus.sandbox.url());
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let account = json!({ "accountGroupId": 3, "phone": "79160000008", "firstName": "Олег" });
    let made = http
        .post(url)
        .bearer_auth(probonus.sandbox.token())
        .json(&account)
        .send()
        .await;
    assert_eq!(made.expect("an answer").status(), StatusCode::OK);
    let answer = sign_up(&cabinet, &token).await;
    assert_eq!(outcome(&answer), (409, "account_exists".into()));
    let read = cabinet.get("/api/v1/me/profile", &token).await;
    assert_eq!(outcome(&read), (401, "session_expired".into()));
    clock.advance(Duration::from_secs(1));
    let token = cabinet.token(NOBODY).await;
    assert_eq!(
        cabinet.get("/api/v1/me/profile", &token).await.json()["first_name"],
        "Олег"
    );
    assert_eq!(
        outcome(&sign_up(&cabinet, &token).await),
        (409, "account_exists".into())
    );
    assert_eq!(cabinet.get("/api/v1/me/profile", &token).await.status, StatusCode::OK);
}
