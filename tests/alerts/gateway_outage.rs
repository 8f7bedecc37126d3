//! The only gateway fails for forty minutes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::post;
use guest_cabinet::clock::Clock;
use http::StatusCode;
use serde_json::json;

use crate::recording::Recording;
use crate::support::cabinet::send;
use crate::support::{ProBonus, TestCabinet, friday_noon, sqlite};

/// A gateway that can fail.
struct Gateway {
    url: String,
    fails: Arc<AtomicBool>,
}

impl Gateway {
    /// One that, when it fails, asks to be left alone for so many seconds.
    async fn start(retry_after_s: Option<u32>) -> Self {
        let fails = Arc::new(AtomicBool::new(false));
        let state = fails.clone();
        let take = move || async move {
            if !state.load(Ordering::SeqCst) {
                return StatusCode::OK.into_response();
            }
            let mut failure = StatusCode::SERVICE_UNAVAILABLE.into_response();
            if let Some(seconds) = retry_after_s {
                failure.headers_mut().insert("Retry-After", seconds.into());
            }
            failure
        };
        let router = Router::new().route("/codes", post(take));
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/codes", socket.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(socket, router).await });
        Self { url, fails }
    }
}

/// Asks for a code and waits until it is known what became of its message; whether it left.
async fn ask_for_code(cabinet: &TestCabinet, guest: usize) -> bool {
    let phone = format!("+7916{:07}", 100 + guest);
    let asked = cabinet
        .post("/api/v1/auth/challenges", &json!({ "phone": phone }))
        .await;
    if asked.status == StatusCode::SERVICE_UNAVAILABLE {
        assert_eq!(asked.code(), "delivery_unavailable");
        return false;
    }
    let id = asked.json()["challenge_id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/auth/challenges/{id}");
    let told = async {
        loop {
            let challenge = send(cabinet.request(reqwest::Method::GET, &path)).await.json();
            match challenge["delivery"].as_str() {
                Some("queued") => tokio::time::sleep(Duration::from_millis(2)).await,
                delivery => return delivery == Some("sent"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told)
        .await
        .expect("the message's fate is known")
}

/// When the gateway fails, in minutes.
const OUTAGE: std::ops::Range<usize> = 20..60;

/// A hundred minutes in which so many guests a minute ask for a code.
async fn live_through(guests_a_minute: usize, retry_after_s: Option<u32>) -> Recording {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let gateway = Gateway::start(retry_after_s).await;
    let store = sqlite();
    let more = format!("[delivery.webhook]\nurl = \"{}\"", gateway.url);
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    let cabinet = TestCabinet::start(&url, &token, &store.url, clock.clone(), &more).await;
    let metrics = format!("{}/metrics", cabinet.running.admin_url());

    let mut recording = Recording::default();
    for minute in 0..100 {
        gateway.fails.store(OUTAGE.contains(&minute), Ordering::SeqCst);
        for guest in 0..guests_a_minute {
            let left = ask_for_code(&cabinet, minute * guests_a_minute + guest).await;
            if OUTAGE.contains(&minute) {
                assert!(!left, "minute {minute}");
            }
        }
        recording.add_scrape(&send(cabinet.http.get(&metrics)).await.text);
        clock.advance(Duration::from_mins(1));
    }
    for silent in [
        "CabinetDown",
        "ProBonusRefusesCredential",
        "ManyStaleViews",
        "OperationsUnknown",
    ] {
        recording.assert_silent(silent, 0..100);
    }
    recording
}

#[tokio::test]
async fn in_a_busy_town_a_gateway_that_fails_is_told_from_the_first_minutes_to_the_last() {
    let recording = live_through(4, None).await;
    recording.assert_fires("CodesDoNotLeave", 30..60);
    recording.assert_silent("CodesDoNotLeave", 0..20);
    recording.assert_silent("CodesDoNotLeave", 80..100);
    recording.assert_fires("GatewayLeftOut", 30..60);
    recording.assert_silent("GatewayLeftOut", 0..20);
    recording.assert_silent("GatewayLeftOut", 80..100);
}

#[tokio::test]
async fn one_guest_a_minute_is_enough_to_tell_that_codes_do_not_leave() {
    let recording = live_through(1, None).await;
    recording.assert_fires("CodesDoNotLeave", 30..60);
    recording.assert_silent("CodesDoNotLeave", 0..20);
    recording.assert_silent("CodesDoNotLeave", 80..100);
}

#[tokio::test]
async fn a_gateway_that_asks_to_be_left_alone_and_is_tried_no_more_is_told_all_the_same() {
    let recording = live_through(4, Some(1800)).await;
    recording.assert_fires("CodesDoNotLeave", 30..60);
    recording.assert_fires("GatewayLeftOut", 30..50);
    recording.assert_silent("CodesDoNotLeave", 0..20);
}
