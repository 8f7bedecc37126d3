//! ProBonus is away for half an hour; ProBonus refuses our credential for half an hour.

use std::ops::Range;
use std::time::Duration;

use guest_cabinet::clock::Clock;
use serde_json::json;

use crate::recording::Recording;
use crate::support::cabinet::send;
use crate::support::{ProBonus, TestCabinet, friday_noon, sqlite};

const GUESTS: [&str; 3] = ["+79160000001", "+79160000002", "+79160000003"];

/// An hour and a half of three guests who look every minute, ProBonus answering with `status` during `outage`.
async fn live_through(status: u16, outage: Range<usize>) -> Recording {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    let more = "[auth]\naccess_ttl_ms = 86400000\n[probonus]\ntimeout_ms = 1000";
    let cabinet = TestCabinet::start(&url, &token, &store.url, clock.clone(), more).await;
    let mut tokens = Vec::new();
    for phone in GUESTS {
        tokens.push(cabinet.token(phone).await);
    }
    let metrics = format!("{}/metrics", cabinet.running.admin_url());
    let mut recording = Recording::default();
    for minute in 0..90 {
        if minute == outage.start {
            probonus.fault(json!({ "kind": "status", "status": status })).await;
        } else if minute == outage.end {
            probonus.heal().await;
        }
        for token in &tokens {
            for view in ["balance", "profile"] {
                cabinet.get(&format!("/api/v1/me/{view}"), token).await;
            }
        }
        recording.add_scrape(&send(cabinet.http.get(&metrics)).await.text);
        clock.advance(Duration::from_mins(1));
    }
    recording
}

#[tokio::test]
async fn views_that_cannot_be_renewed_are_told_for_as_long_as_probonus_is_away() {
    let recording = live_through(500, 15..45).await;
    recording.assert_fires("ManyStaleViews", 27..45);
    recording.assert_silent("ManyStaleViews", 0..15);
    recording.assert_silent("ManyStaleViews", 62..90);
    recording.assert_fires("ProBonusFails", 24..45);
    recording.assert_silent("ProBonusFails", 0..15);
    recording.assert_silent("ProBonusFails", 48..90);
    recording.assert_silent("ProBonusRefusesCredential", 0..90);
    recording.assert_silent("CodesDoNotLeave", 0..90);
}

#[tokio::test]
async fn a_credential_that_is_refused_is_told_for_as_long_as_it_is_refused() {
    let recording = live_through(401, 15..45).await;
    recording.assert_fires("ProBonusRefusesCredential", 20..45);
    recording.assert_silent("ProBonusRefusesCredential", 0..15);
    recording.assert_silent("ProBonusRefusesCredential", 48..90);
}

#[tokio::test]
async fn guests_who_get_nothing_but_errors_are_told() {
    let recording = live_through(500, 0..40).await;
    recording.assert_fires("ManyErrors", 12..40);
    recording.assert_silent("ManyErrors", 55..90);
}
