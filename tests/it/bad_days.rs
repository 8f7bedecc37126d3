//! The matrix of bad days: each fault of ProBonus, cold or warm, for each view: status, `stale`, calls and time are bounded.

use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::StatusCode;
use serde_json::json;

use crate::support::{ProBonus, TestCabinet, friday_noon, sqlite};

const ANNA: &str = "+79160000001";

/// Views with the operation each asks for.
const VIEWS: [(&str, &str); 5] = [
    ("profile", "find_by_phone"),
    ("coupons", "find_by_phone"),
    ("balance", "get_balance_extended"),
    ("transactions", "transactions"),
    ("home", "*"),
];

/// Faults with the status a guest gets who has nothing to fall back on.
const FAULTS: [(&str, u16, &[u16]); 12] = [
    ("status", 500, &[503]),
    ("status", 503, &[503]),
    ("status", 429, &[503]),
    ("status", 401, &[503]),
    ("status", 418, &[502]),
    ("garbage", 0, &[502]),
    ("html", 0, &[502]),
    ("oversized", 0, &[502]),
    ("truncated", 0, &[503]),
    ("hang", 0, &[503]),
    ("drip", 0, &[503]),
    ("reset_before", 0, &[503]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_answered_in_time_with_the_last_good_view_or_a_clear_problem() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    for (kind, status, cold_statuses) in FAULTS {
        for warm in [false, true] {
            let store = sqlite();
            let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
            // Silence is waited for; whatever speaks has time enough on a busy machine too.
            let timeout_ms = if matches!(kind, "hang" | "drip") { 400 } else { 2000 };
            let more = format!(
                "[probonus]\ntimeout_ms = {timeout_ms}\n[auth]\nresend_ms = 0\n[auth.limits]\nsends_per_phone_hour = 0"
            );
            let cabinet = TestCabinet::start(&url, &token, &store.url, clock.clone(), &more).await;
            let token = cabinet.token(ANNA).await;
            if warm {
                for (view, _) in VIEWS {
                    cabinet.get(&format!("/api/v1/me/{view}"), &token).await;
                }
            }
            // Older than any view is fresh, younger than it is worthless; and the access token still lives.
            clock.advance(Duration::from_secs(250));
            let fault = json!({ "kind": kind, "status": if status == 0 { 500 } else { status } });
            probonus.fault(fault).await;
            for (view, _) in VIEWS {
                probonus.forget().await;
                let started = tokio::time::Instant::now();
                let answer = cabinet.get(&format!("/api/v1/me/{view}"), &token).await;
                let took = started.elapsed();
                let what = format!("{kind} {status} warm={warm} {view}: {} {}", answer.status, answer.text);
                assert!(took < Duration::from_secs(4), "{what} took {took:?}");
                assert!(
                    probonus.calls("*").await <= 6,
                    "{what}: {} calls",
                    probonus.calls("*").await
                );
                // Signing in looked the account up, so what comes with it has been seen.
                if warm || matches!(view, "profile" | "coupons" | "home") {
                    assert_eq!(answer.status, StatusCode::OK, "{what}");
                    assert_eq!(answer.json()["stale"], true, "{what}");
                } else {
                    assert!(cold_statuses.contains(&answer.status.as_u16()), "{what}");
                    assert!(!answer.text.contains("\"available\""), "{what}");
                }
            }
            probonus.heal().await;
            // Longer than any pause that a bad day leaves behind.
            clock.advance(Duration::from_secs(61));
            let token = cabinet.token(ANNA).await;
            for (view, _) in VIEWS {
                let answer = cabinet.get(&format!("/api/v1/me/{view}"), &token).await;
                assert_eq!(
                    (answer.status, answer.json()["stale"].clone()),
                    (StatusCode::OK, json!(false)),
                    "{kind} {view}"
                );
            }
            cabinet.running.stop().await;
        }
    }
}

#[tokio::test]
async fn a_hanging_probonus_does_not_hold_up_signing_in() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let token = probonus.sandbox.token().to_owned();
    let cabinet = TestCabinet::start(&probonus.sandbox.url(), &token, &store.url, clock.clone(), "").await;
    probonus.fault(json!({ "kind": "hang" })).await;
    let started = tokio::time::Instant::now();
    let verified = cabinet.sign_in(ANNA).await;
    assert_eq!(verified["account_state"], "unresolved");
    assert!(
        started.elapsed() < Duration::from_millis(1500),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn after_a_restart_in_the_middle_of_silence_the_last_good_view_comes_soon() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let (url, key) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    let first = TestCabinet::start(&url, &key, &store.url, clock.clone(), "").await;
    let token = first.token(ANNA).await;
    first.get("/api/v1/me/balance", &token).await;
    first.running.stop().await;
    clock.advance(Duration::from_secs(250));
    probonus.fault(json!({ "kind": "hang" })).await;
    let second = TestCabinet::start(&url, &key, &store.url, clock.clone(), "").await;
    for most in [2000, 500] {
        let started = tokio::time::Instant::now();
        let answer = second.get("/api/v1/me/balance", &token).await;
        assert_eq!(
            (answer.status, answer.json()["stale"].clone()),
            (StatusCode::OK, json!(true))
        );
        // Who comes while ProBonus is waited for already waits no more.
        assert!(
            started.elapsed() < Duration::from_millis(most),
            "{:?}",
            started.elapsed()
        );
    }
}
