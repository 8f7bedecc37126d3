//! Limits: all of them count over all replicas, none can be talked round, and no stranger locks a guest out.

use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::store::{Count, Limit};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::cabinet::send;
use crate::support::replicas::{PHONE, challenge, count, race, replicas, sandbox};
use crate::support::{Answer, TestCabinet, each_engine, friday_noon, sqlite};

async fn ask(cabinet: &TestCabinet, phone: &str) -> Answer {
    cabinet
        .post("/api/v1/auth/challenges", &json!({ "phone": phone }))
        .await
}

/// The name of the limit that refused.
fn refused_by(answer: &Answer) -> String {
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (429, "too_many_requests")
    );
    assert!(answer.header("ratelimit").is_some(), "RateLimit");
    let wait: u64 = answer
        .header("retry-after")
        .and_then(|text| text.parse().ok())
        .expect("Retry-After in seconds");
    assert_eq!(answer.json()["retry_after"], wait);
    let policy = answer.header("ratelimit-policy").expect("RateLimit-Policy");
    policy.split('"').nth(1).expect("a name").to_owned()
}

async fn one(more: &str) -> (Clock, std::sync::Arc<TestCabinet>, crate::support::TestStore) {
    let store = sqlite();
    let clock = Clock::manual(friday_noon());
    let sandbox = sandbox(&clock).await;
    let cabinet = replicas(&store, &sandbox, &clock, more).await.remove(0);
    (clock, cabinet, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_messages_asked_for_at_once_one_goes() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let replicas = replicas(&store, &sandbox, &clock, "").await;
        let answers = race(&replicas, 20, "/api/v1/auth/challenges", &json!({ "phone": PHONE })).await;
        assert_eq!(
            (count(&answers, 202), count(&answers, 429)),
            (1, 19),
            "{}",
            store.engine
        );
        let granted = answers.iter().find(|answer| answer.status == StatusCode::ACCEPTED);
        let id = granted.expect("one").json()["challenge_id"].clone();
        clock.advance(Duration::from_mins(1));
        let path = format!("/api/v1/auth/challenges/{}/resend", id.as_str().expect("an id"));
        let answers = race(&replicas, 20, &path, &json!({})).await;
        assert_eq!(
            (count(&answers, 202), count(&answers, 429)),
            (1, 19),
            "{}",
            store.engine
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_systems_hour_holds_against_many_phones_at_once() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let replicas = replicas(&store, &sandbox, &clock, "[auth.limits]\nsends_system_hour = 7").await;
        let mut racers = JoinSet::new();
        for index in 0..30 {
            let replica = replicas[index % replicas.len()].clone();
            racers.spawn(async move { ask(&replica, &format!("+7916{index:03}0001")).await });
        }
        let answers: Vec<Answer> = racers.join_all().await;
        assert_eq!(
            (count(&answers, 202), count(&answers, 429)),
            (7, 23),
            "{}",
            store.engine
        );
        let refused = answers.iter().find(|answer| answer.status.as_u16() == 429);
        assert_eq!(refused_by(refused.expect("one")), "sends_system_hour");
        clock.advance(Duration::from_hours(1));
        assert_eq!(ask(&replicas[0], "+79169990001").await.status, StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn a_range_of_numbers_is_limited_until_they_are_proven() {
    let (_clock, cabinet, _store) = one("[auth.limits]\nsends_per_range_hour = 2").await;
    let (id, code) = challenge(&cabinet).await;
    assert_eq!(ask(&cabinet, "+79160000102").await.status, StatusCode::ACCEPTED);
    assert_eq!(refused_by(&ask(&cabinet, "+79160000103").await), "sends_per_range_hour");
    assert_eq!(
        ask(&cabinet, "+79160001103").await.status,
        StatusCode::ACCEPTED,
        "another range"
    );
    let path = format!("/api/v1/auth/challenges/{id}/verify");
    let verified = cabinet.post(&path, &json!({ "code": code, "session": "bearer" })).await;
    assert_eq!(verified.status, StatusCode::OK);
    assert_eq!(ask(&cabinet, "+79160000103").await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn the_callers_address_is_the_sockets_whatever_the_headers_say() {
    let (_clock, cabinet, _store) = one("[auth.limits]\nsends_per_ip_hour = 2").await;
    let mut last = None;
    for (index, forwarded) in ["1.1.1.1", "2001:db8::1", "rubbish"].into_iter().enumerate() {
        let request = cabinet.request(Method::POST, "/api/v1/auth/challenges");
        let request = request
            .header("x-forwarded-for", forwarded)
            .header("forwarded", "for=9.9.9.9")
            .header("x-real-ip", "9.9.9.9");
        last = Some(send(request.json(&json!({ "phone": format!("+7916000100{index}") }))).await);
    }
    assert_eq!(refused_by(&last.expect("three")), "sends_per_ip_hour");
    let metrics = send(cabinet.http.get(format!("{}/metrics", cabinet.running.admin_url()))).await;
    assert!(
        metrics.text.contains("cabinet_untrusted_forwarded_total 3"),
        "it is noticed"
    );
}

#[tokio::test]
async fn behind_a_trusted_proxy_households_are_told_apart() {
    let more = "[auth.limits]\nsends_per_ip_hour = 2\n[web]\ntrusted_proxies = [\"127.0.0.1\"]";
    let (_clock, cabinet, _store) = one(more).await;
    let next = std::cell::Cell::new(0);
    let from = async |forwarded: &str| {
        next.set(next.get() + 1);
        let request = cabinet.request(Method::POST, "/api/v1/auth/challenges");
        let body = json!({ "phone": format!("+79160002{:03}", next.get()) });
        send(request.header("x-forwarded-for", forwarded).json(&body)).await
    };
    for address in ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2"] {
        assert_eq!(from(address).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(refused_by(&from("2001:db8:0:1::3").await), "sends_per_ip_hour");
    assert_eq!(
        from("2001:db8:0:2::1").await.status,
        StatusCode::ACCEPTED,
        "another /64"
    );
    for address in ["8.8.8.8, 192.0.2.1", "9.9.9.9,  192.0.2.1"] {
        assert_eq!(from(address).await.status, StatusCode::ACCEPTED);
    }
    let spoofed = from("7.7.7.7, ::ffff:192.0.2.1").await;
    assert_eq!(refused_by(&spoofed), "sends_per_ip_hour");
    // What cannot be read counts against the proxy itself, never against nobody.
    for address in ["", "rubbish"] {
        assert_eq!(from(address).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(refused_by(&from("999.1.1.1").await), "sends_per_ip_hour");
    let metrics = send(cabinet.http.get(format!("{}/metrics", cabinet.running.admin_url()))).await;
    assert!(
        metrics.text.contains("cabinet_untrusted_forwarded_total 0"),
        "the proxy is trusted"
    );
}

/// Gives wrong codes to fresh challenges of `phone` until one is refused for another reason.
async fn guess(clock: &Clock, cabinet: &TestCabinet, phone: &str, tries: usize) -> Answer {
    let mut last = None;
    for index in 0..tries {
        if index % 5 == 0 {
            clock.advance(Duration::from_mins(1));
            let asked = ask(cabinet, phone).await;
            assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
            last = asked.json()["challenge_id"].as_str().map(str::to_owned);
        }
        let id = last.clone().expect("an id");
        let answer = try_code(cabinet, &id, "", "000000").await;
        if answer.code() != "code_incorrect" {
            return answer;
        }
    }
    panic!("{tries} wrong codes were taken");
}

async fn try_code(cabinet: &TestCabinet, id: &str, device: &str, code: &str) -> Answer {
    let request = cabinet.request(Method::POST, &format!("/api/v1/auth/challenges/{id}/verify"));
    let request = request.header("x-device-token", device);
    send(request.json(&json!({ "code": code, "session": "bearer" }))).await
}

#[tokio::test]
async fn a_stranger_cannot_lock_out_a_guest_whose_device_signed_in_before() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let sandbox = sandbox(&clock).await;
        let more = "[auth.limits]\nwrong_codes_per_phone_day = 7\nsends_system_hour = 5\nsends_per_ip_hour = 5";
        let cabinet = &replicas(&store, &sandbox, &clock, more).await[0];
        let (id, code) = challenge(cabinet).await;
        let signed = try_code(cabinet, &id, "", &code).await;
        let device = signed.header("x-device-token").expect("a device token").to_owned();

        assert_eq!(
            refused_by(&guess(&clock, cabinet, PHONE, 10).await),
            "wrong_codes_per_phone_day"
        );
        for _ in 0..2 {
            clock.advance(Duration::from_mins(1));
            assert_eq!(ask(cabinet, PHONE).await.status, StatusCode::ACCEPTED);
        }
        clock.advance(Duration::from_mins(1));
        let asked = async |token: &str, phone: &str| {
            let request = cabinet.request(Method::POST, "/api/v1/auth/challenges");
            send(request.header("x-device-token", token).json(&json!({ "phone": phone }))).await
        };
        refused_by(&asked("", PHONE).await);
        refused_by(&asked("AAAA", PHONE).await);
        refused_by(&asked(&device, "+79160000002").await);
        let before = cabinet.receiver.messages().len();
        let granted = asked(&device, PHONE).await;
        assert_eq!(
            granted.status,
            StatusCode::ACCEPTED,
            "{} {}",
            store.engine,
            granted.text
        );
        let code = cabinet.receiver.code(PHONE, before + 1).await;
        let id = granted.json()["challenge_id"].as_str().expect("an id").to_owned();
        assert_eq!(refused_by(&asked(&device, PHONE).await), "resend");
        assert_eq!(try_code(cabinet, &id, "", &code).await.status, StatusCode::OK);
        // The reserve is small, and its pauses hold.
        for _ in 0..2 {
            clock.advance(Duration::from_mins(1));
            assert_eq!(asked(&device, PHONE).await.status, StatusCode::ACCEPTED);
        }
        clock.advance(Duration::from_mins(1));
        refused_by(&asked(&device, PHONE).await);
    }
}

#[tokio::test]
async fn a_returning_device_keeps_the_pause_between_its_own_messages() {
    let (clock, cabinet, _store) = one("").await;
    let (id, code) = challenge(&cabinet).await;
    let signed = try_code(&cabinet, &id, "", &code).await;
    let device = signed.header("x-device-token").expect("a device token").to_owned();
    clock.advance(Duration::from_mins(1));
    let asked = async || {
        let request = cabinet.request(Method::POST, "/api/v1/auth/challenges");
        send(
            request
                .header("x-device-token", &device)
                .json(&json!({ "phone": PHONE })),
        )
        .await
    };
    assert_eq!(asked().await.status, StatusCode::ACCEPTED);
    assert_eq!(refused_by(&asked().await), "resend");
}

#[tokio::test]
async fn wrong_codes_are_limited_by_address_and_right_ones_open() {
    let (clock, cabinet, _store) = one("[auth.limits]\nwrong_codes_per_ip_hour = 3").await;
    let refused = guess(&clock, &cabinet, "+79160000002", 5).await;
    assert_eq!(refused_by(&refused), "wrong_codes_per_ip_hour");
    let (id, code) = challenge(&cabinet).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    assert_eq!(
        refused_by(&try_code(&cabinet, &id, "", wrong).await),
        "wrong_codes_per_ip_hour"
    );
    // Beyond the bound a wrong code is the last one of its challenge.
    assert_eq!(try_code(&cabinet, &id, "", &code).await.code(), "challenge_invalid");
    clock.advance(Duration::from_mins(1));
    let asked = ask(&cabinet, PHONE).await.json();
    let code = cabinet.receiver.code(PHONE, 2).await;
    let id = asked["challenge_id"].as_str().expect("an id");
    assert_eq!(try_code(&cabinet, id, "", &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn nought_switches_a_limit_off() {
    let limits = [
        "sends_per_phone_hour",
        "sends_per_phone_day",
        "sends_per_ip_hour",
        "sends_per_range_hour",
        "sends_system_hour",
        "wrong_codes_per_phone_day",
        "wrong_codes_per_ip_hour",
        "short_codes_per_ip_day",
        "short_codes_system_day",
    ];
    let off = limits.map(|name| format!("{name} = 0")).join("\n");
    let (_clock, cabinet, _store) = one(&format!("[auth]\nresend_ms = 0\n[auth.limits]\n{off}")).await;
    for _ in 0..30 {
        assert_eq!(ask(&cabinet, PHONE).await.status, StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn what_is_over_is_removed_in_batches_and_what_began_anew_stays() {
    for store in each_engine().await {
        let clock = Clock::manual(friday_noon());
        let store_handle = store.open().await;
        let limit = |key| Limit {
            key,
            most: 5,
            window_us: 1_000_000,
        };
        let keys: Vec<[u8; 32]> = (0..250_u8).map(|index| [index; 32]).collect();
        let now_us = clock.now_us();
        for key in &keys {
            let counted = store_handle.take(&[limit(key)], now_us).await.expect("the store");
            assert_eq!(counted, Count::Taken);
        }
        let later_us = now_us + 1_000_000;
        store_handle
            .take(&[limit(&keys[7])], later_us)
            .await
            .expect("the store");
        let mut removed = Vec::new();
        loop {
            let count = store_handle.prune_limits(later_us, 100).await.expect("the store");
            removed.push(count);
            if count < 100 {
                break;
            }
        }
        assert_eq!(removed, [100, 100, 49], "{}", store.engine);
    }
}

#[tokio::test]
async fn a_flood_leaves_small_tables() {
    let more = "[auth]\nresend_ms = 0\n[auth.limits]\nsends_per_phone_hour = 0\nsends_per_phone_day = 0";
    let (clock, cabinet, store) = one(more).await;
    for _ in 0..60 {
        assert_eq!(ask(&cabinet, PHONE).await.status, StatusCode::ACCEPTED);
    }
    cabinet.token("+79160000002").await;
    clock.advance(Duration::from_hours(24 * 181));
    let removed = cabinet.running.app().sign_in.tidy_up().await;
    assert!(removed >= 62, "{removed}");
    let rows: (i64, i64, i64) = {
        let pool = sqlx::SqlitePool::connect(&store.url).await.expect("the file opens");
        sqlx::query_as(
            "SELECT (SELECT count(*) FROM challenges), (SELECT count(*) FROM limits), (SELECT count(*) FROM sessions)",
        )
        .fetch_one(&pool)
        .await
        .expect("three counts")
    };
    assert_eq!(rows, (0, 0, 0));
}
