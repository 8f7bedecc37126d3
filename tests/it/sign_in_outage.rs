//! Signing in when PostgreSQL or ProBonus is away: closed, nothing gained, healed by itself; who is signed in reads on.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use guest_cabinet::clock::Clock;
use guest_cabinet::store::Period;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::cabinet::send;
use crate::support::replicas::{PHONE, challenge, challenge_for, sandbox};
use crate::support::{Gate, ProBonus, TestCabinet, friday_noon, postgres, sqlite};

/// A cabinet whose way to PostgreSQL leads through a gate; `None` without PostgreSQL.
async fn behind_a_gate(clock: &Clock, sandbox: &guest_cabinet::sandbox::Sandbox) -> Option<(Gate, Arc<TestCabinet>)> {
    let store = postgres().await?;
    let gate = Gate::before(&store.url).await;
    let more = "[web]\nrequest_timeout_ms = 3000";
    let cabinet = TestCabinet::start(&sandbox.url(), sandbox.token(), &gate.url, clock.clone(), more).await;
    Some((gate, Arc::new(cabinet)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_postgres_nobody_signs_in_no_attempt_is_gained_and_readers_read_on() {
    for silent in [false, true] {
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let Some((gate, cabinet)) = behind_a_gate(&clock, &sandbox).await else {
            return;
        };
        let reader = cabinet.token("+79160000002").await;
        let signed = cabinet.sign_in("+79160000003").await;
        let fresh = signed["access_token"].as_str().expect("a token");
        assert_eq!(cabinet.get("/api/v1/me/balance", &reader).await.status, StatusCode::OK);
        let (id, code) = challenge(&cabinet).await;
        let path = format!("/api/v1/auth/challenges/{id}/verify");
        let wrong = json!({ "code": if code == "000000" { "000001" } else { "000000" }, "session": "bearer" });
        let right = json!({ "code": code, "session": "bearer" });
        assert_eq!(cabinet.post(&path, &wrong).await.json()["attempts_left"], 4);

        if silent {
            gate.silence();
        } else {
            gate.shut();
        }
        for body in [&wrong, &right, &wrong] {
            let refused = cabinet.post(&path, body).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "overloaded"));
            assert!(refused.header("retry-after").is_some());
        }
        let refused = cabinet
            .post("/api/v1/auth/challenges", &json!({ "phone": "+79160000004" }))
            .await;
        assert_eq!(refused.status.as_u16(), 503);
        let refresh = json!({ "refresh_token": signed["refresh_token"] });
        assert_eq!(
            cabinet.post("/api/v1/auth/refresh", &refresh).await.status.as_u16(),
            503
        );
        for token in [reader.as_str(), fresh] {
            for _ in 0..3 {
                let started = Instant::now();
                let read = cabinet.get("/api/v1/me/balance", token).await;
                assert_eq!(read.status, StatusCode::OK, "silent: {silent} {}", read.text);
                assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
            }
        }

        gate.open();
        let state = healed(&cabinet, &id).await;
        let left = state["attempts_left"].as_u64().expect("a number");
        assert!(left <= 4, "no attempt was gained: {left}");
        if !silent {
            assert_eq!(left, 4, "what never arrived was not counted");
        }
        clock.advance(Duration::from_secs(2));
        assert_eq!(cabinet.post(&path, &right).await.status, StatusCode::OK);
        assert_eq!(
            cabinet.post("/api/v1/auth/refresh", &refresh).await.status,
            StatusCode::OK
        );
    }
}

/// The challenge's state, as soon as the store is back.
async fn healed(cabinet: &TestCabinet, id: &str) -> serde_json::Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = send(cabinet.request(Method::GET, &format!("/api/v1/auth/challenges/{id}"))).await;
        if answer.status == StatusCode::OK {
            return answer.json();
        }
        assert_eq!(answer.status.as_u16(), 503);
        assert!(Instant::now() < deadline, "it does not heal");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_store_is_believed_for_five_minutes_and_no_longer() {
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let Some((gate, cabinet)) = behind_a_gate(&clock, &sandbox).await else {
        return;
    };
    let (id, code) = challenge(&cabinet).await;
    let body = json!({ "code": code, "session": "cookie" });
    let verified = cabinet
        .post(&format!("/api/v1/auth/challenges/{id}/verify"), &body)
        .await;
    let cookie = verified.header("set-cookie").expect("a cookie");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let sessions = async || {
        let read = cabinet
            .request(Method::GET, "/api/v1/me/balance")
            .header("cookie", &cookie);
        send(read.header("x-cabinet", "1")).await.status.as_u16()
    };
    assert_eq!(sessions().await, 200);
    gate.shut();
    clock.advance(Duration::from_secs(299));
    assert_eq!(sessions().await, 200);
    clock.advance(Duration::from_secs(2));
    assert_eq!(sessions().await, 503);
    gate.open();
    healed_session(&clock, sessions).await;
}

/// Asks until the store is back; a failure is remembered for a second of our clock.
async fn healed_session(clock: &Clock, ask: impl AsyncFn() -> u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while ask().await != 200 {
        assert!(Instant::now() < deadline, "it does not heal");
        clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_notifications_a_logout_elsewhere_still_holds_within_ten_seconds() {
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let Some(store) = postgres().await else { return };
    let gate = Gate::before(&store.url).await;
    let (url, token) = (sandbox.url(), sandbox.token());
    let unheard = TestCabinet::start(&url, token, &gate.url, clock.clone(), "").await;
    let other = unheard.beside(&url, token, &store.url, "").await;
    let token = unheard.token(PHONE).await;
    assert_eq!(unheard.get("/api/v1/me/sessions", &token).await.status, StatusCode::OK);
    gate.keep_notifications();
    while unheard.running.app().store.period() != Period::NONE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let out = other.request(Method::POST, "/api/v1/auth/logout").bearer_auth(&token);
    assert_eq!(send(out).await.status, StatusCode::NO_CONTENT);
    clock.advance(Duration::from_secs(10));
    assert_eq!(
        unheard.get("/api/v1/me/balance", &token).await.code(),
        "session_expired"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_probonus_delays_nobody_and_leaves_the_account_unresolved() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token());
    let more = "[auth]\nresend_ms = 0\n[auth.limits]\nsends_per_phone_hour = 0\nsends_per_phone_day = 0\nsends_per_ip_hour = 0";
    let cabinet = TestCabinet::start(&url, token, &store.url, clock.clone(), more).await;
    let verify = async |phone: &str| {
        let (id, code) = challenge_for(&cabinet, phone).await;
        let path = format!("/api/v1/auth/challenges/{id}/verify");
        let started = Instant::now();
        let answer = cabinet.post(&path, &json!({ "code": code, "session": "bearer" })).await;
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        answer.json()
    };
    assert_eq!(verify("+79160000099").await["account_state"], "absent");
    for (index, kind) in ["hang", "drip", "garbage", "status", "reset_before"].iter().enumerate() {
        probonus.heal().await;
        clock.advance(Duration::from_mins(20));
        assert_eq!(verify(PHONE).await["account_state"], "active");
        probonus.fault(json!({ "operation": "*", "kind": kind })).await;
        let known = verify(PHONE).await;
        assert_eq!(
            known["account_state"], "unresolved",
            "what it said before does not count: {kind}"
        );
        let phone = format!("+7916000{:04}", 2000 + index);
        let verified = verify(&phone).await;
        assert_eq!(verified["account_state"], "unresolved", "{kind}");
        probonus.heal().await;
        let token = verified["access_token"].as_str().expect("a token");
        assert_eq!(cabinet.get("/api/v1/me/sessions", token).await.status, StatusCode::OK);
    }
}
