//! What is shown is coherent with what was written, whatever clocks, hints and stores do meanwhile.

use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::keys::{hex, sha256};
use guest_cabinet::model::GuestKey;
use guest_cabinet::store::{Store, Subject, ViewRow};
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::cabinet::send;
use crate::support::{Gate, ProBonus, TestCabinet, TestStore, each_engine, friday_noon, postgres, sqlite};

const KEY: &str = "a partner's key for the tests of coherence";
const ANNA: &str = "+79160000001";

/// Ten minutes back, as somebody with a wrong clock sets it.
const BACK: SignedDuration = SignedDuration::from_mins(-10);

async fn cabinet(probonus: &ProBonus, store: &str, clock: &Clock, more: &str) -> TestCabinet {
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token());
    TestCabinet::start(&url, token, store, clock.clone(), more).await
}

async fn purchase(probonus: &ProBonus) {
    let till = json!({ "phone": ANNA, "sum": 100_000 });
    probonus.control(Method::POST, "/till/purchase", till).await;
}

async fn view(cabinet: &TestCabinet, token: &str, view: &str) -> Value {
    let answer = cabinet.get(&format!("/api/v1/me/{view}"), token).await;
    assert_eq!(answer.status, StatusCode::OK, "{view}: {}", answer.text);
    answer.json()
}

async fn edit(cabinet: &TestCabinet, token: &str, name: &str) {
    let edit = cabinet.request(Method::PATCH, "/api/v1/me/profile").bearer_auth(token);
    let edited = send(edit.json(&json!({ "first_name": name }))).await;
    assert_eq!(edited.status, StatusCode::OK, "{}", edited.text);
}

fn row(content: &[u8]) -> ViewRow {
    ViewRow {
        account: vec![7; 32],
        sealed: content.to_vec(),
        as_of_us: 5,
        read_at_us: 5,
    }
}

async fn copy(store: &Store, guest: GuestKey) -> Option<Vec<u8>> {
    let known = store
        .known(guest, None, Some("balance"))
        .await
        .expect("the store answers");
    known.copy.map(|copy| copy.sealed)
}

#[tokio::test]
async fn a_copy_that_was_asked_for_before_a_write_of_its_guest_or_account_is_not_kept() {
    for engine in each_engine().await {
        let store = engine.open().await;
        let guest = GuestKey([1; 32]);
        for subject in [Subject::Guest(guest), Subject::Account([7; 32])] {
            let known = async || {
                store
                    .known(guest, Some([7; 32]), None)
                    .await
                    .expect("the store answers")
            };
            let before = known().await;
            store
                .keep_view(guest, "balance", &row(b"before"), before.generation)
                .await
                .expect("kept");
            assert_eq!(copy(&store, guest).await.as_deref(), Some(&b"before"[..]));

            let moved = store.move_generations(&[subject], 5).await.expect("moved");
            assert_eq!(known().await.written, Some(moved), "{}", engine.engine);
            assert_eq!(copy(&store, guest).await, None, "what was kept is gone");
            store
                .keep_view(guest, "balance", &row(b"late"), before.generation)
                .await
                .expect("asked");
            assert_eq!(copy(&store, guest).await, None, "and does not come back");

            let after = known().await.generation;
            store
                .keep_view(guest, "balance", &row(b"after"), after)
                .await
                .expect("kept");
            let other = Subject::Guest(GuestKey([9; 32]));
            store.move_generations(&[other], 5).await.expect("moved");
            assert_eq!(
                copy(&store, guest).await.as_deref(),
                Some(&b"after"[..]),
                "others' writes change nothing"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_and_probonus_away_together_cost_freshness_and_nothing_else() {
    let Some(store) = postgres().await else { return };
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let gate = Gate::before(&store.url).await;
    let more = "[auth.limits]\nsends_per_ip_hour = 0\nsends_system_hour = 0";
    let cabinet = Arc::new(cabinet(&probonus, &gate.url, &clock, more).await);
    let mut guests = Vec::new();
    for number in 0..40 {
        let phone = format!("+7916000{:04}", 1000 + number);
        let token = cabinet.token(&phone).await;
        let body = json!({ "first_name": "Иван", "last_name": "Тестов", "consents": [] });
        let sign_up = cabinet
            .request(Method::POST, "/api/v1/me/registration")
            .bearer_auth(&token);
        let made = send(sign_up.json(&body)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        view(&cabinet, &token, "balance").await;
        guests.push(token);
    }
    gate.shut();
    probonus.fault(json!({ "kind": "reset_before" })).await;
    clock.advance(Duration::from_secs(20));
    let readers = guests.into_iter().map(|token| {
        let cabinet = cabinet.clone();
        tokio::spawn(async move { view(&cabinet, &token, "balance").await["stale"].clone() })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert_eq!(reader.await.expect("a reader ends"), true);
    }
}

#[tokio::test]
async fn a_wall_clock_that_steps_back_keeps_nothing_fresh_and_hides_nothing_newer() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let first = cabinet(&probonus, &store.url, &clock, "").await;
    let session = first.sign_in(ANNA).await;
    let token = session["access_token"].as_str().expect("a token").to_owned();
    let before = view(&first, &token, "balance").await;
    purchase(&probonus).await;
    clock.set_wall(BACK);
    clock.advance(Duration::from_secs(61));
    let after = view(&first, &token, "balance").await;
    assert_ne!(
        after["available"], before["available"],
        "what was fresh is so no longer"
    );
    assert_eq!(after["stale"], false);
    let moment = |view: &Value| {
        view["as_of"]
            .as_str()
            .expect("a moment")
            .parse::<jiff::Timestamp>()
            .expect("a moment")
    };
    assert!(moment(&after) < moment(&before), "guests are told what the wall says");
    first.running.stop().await;

    // Another start: its clock was never right.
    let behind = Clock::manual(friday_noon() + SignedDuration::from_secs(61) + BACK);
    probonus.fault(json!({ "kind": "status", "status": 500 })).await;
    let second = cabinet(&probonus, &store.url, &behind, "").await;
    // The token is of a time yet to come; the session goes on.
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    let refreshed = second.post("/api/v1/auth/refresh", &refresh).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.text);
    let token = refreshed.json()["access_token"].as_str().expect("a token").to_owned();
    let shown = second.get("/api/v1/me/balance", &token).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    let shown = shown.json();
    assert_eq!(
        (&shown["available"], &shown["stale"]),
        (&after["available"], &json!(true))
    );
}

#[tokio::test]
async fn a_wall_clock_that_steps_back_keeps_nobody_from_signing_in() {
    let clock = Clock::manual(friday_noon());
    let probonus = ProBonus::start(&clock).await;
    let store = sqlite();
    let cabinet = cabinet(&probonus, &store.url, &clock, "").await;
    let session = cabinet.sign_in(ANNA).await;
    clock.set_wall(BACK);
    clock.advance(Duration::from_secs(61));
    let again = cabinet.sign_in(ANNA).await;
    for signed in [&session, &again] {
        let token = signed["access_token"].as_str().expect("a token");
        assert_eq!(cabinet.get("/api/v1/me/sessions", token).await.status, StatusCode::OK);
    }
    clock.advance(Duration::from_mins(6));
    let over = session["access_token"].as_str().expect("a token");
    assert_eq!(cabinet.get("/api/v1/me/sessions", over).await.code(), "session_expired");
}

/// Two replicas of which the second hears no hints from now on, and a token of Anna's.
async fn one_of_two_unheard(clock: &Clock) -> Option<(ProBonus, [TestCabinet; 2], String, TestStore)> {
    let store = postgres().await?;
    let probonus = ProBonus::start(clock).await;
    let gate = Gate::before(&store.url).await;
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    let partner = format!(
        "[partners.delivery]\nkey_sha256 = \"{}\"\nscopes = [\"refills\"]\nmax_refill = 500000",
        hex(&sha256(KEY.as_bytes()))
    );
    let first = TestCabinet::start(&url, &token, &store.url, clock.clone(), &partner).await;
    let second = first.beside(&url, &token, &gate.url, &partner).await;
    let token = first.token(ANNA).await;
    view(&second, &token, "profile").await;
    gate.keep_notifications();
    Some((probonus, [first, second], token, store))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_hints_everything_is_looked_at_again_after_ten_seconds_and_what_was_not_written_costs_no_call() {
    let clock = Clock::manual(friday_noon());
    let Some((probonus, [first, second], token, _store)) = one_of_two_unheard(&clock).await else {
        return;
    };
    while second.running.app().store.period() != guest_cabinet::store::Period::NONE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    clock.advance(Duration::from_secs(11));
    probonus.forget().await;
    view(&second, &token, "profile").await;
    assert_eq!(probonus.calls("*").await, 0, "the store says that nothing was written");
    edit(&first, &token, "Инна").await;
    clock.advance(Duration::from_secs(10));
    assert_eq!(view(&second, &token, "profile").await["first_name"], "Инна");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_whose_clocks_differ_by_five_minutes_take_each_others_codes_and_tokens() {
    let Some(store) = postgres().await else { return };
    let clock = Clock::system();
    let probonus = ProBonus::start(&clock).await;
    let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
    let right = TestCabinet::start(&url, &token, &store.url, clock, "[auth]\nresend_ms = 0").await;
    for minutes in [-5, 5] {
        let wrong = Clock::system();
        wrong.set_wall(SignedDuration::from_mins(minutes));
        let apart = right
            .beside_by(wrong, &url, &token, &store.url, "[auth]\nresend_ms = 0")
            .await;
        for (here, there) in [(&right, &apart), (&apart, &right)] {
            let before = here.receiver.messages().len();
            let asked = here.post("/api/v1/auth/challenges", &json!({ "phone": ANNA })).await;
            assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
            let code = here.receiver.code(ANNA, before + 1).await;
            let path = format!(
                "/api/v1/auth/challenges/{}/verify",
                asked.json()["challenge_id"].as_str().expect("an id")
            );
            let verified = there.post(&path, &json!({ "code": code, "session": "bearer" })).await;
            assert_eq!(verified.status, StatusCode::OK, "{minutes}: {}", verified.text);
            let verified = verified.json();
            let token = verified["access_token"].as_str().expect("a token");
            for replica in [here, there] {
                view(replica, token, "profile").await;
            }
            let refresh = json!({ "refresh_token": verified["refresh_token"] });
            let refreshed = here.post("/api/v1/auth/refresh", &refresh).await;
            assert_eq!(refreshed.status, StatusCode::OK, "{minutes}: {}", refreshed.text);
            let token = refreshed.json()["access_token"].as_str().expect("a token").to_owned();
            view(there, &token, "balance").await;
        }
        apart.running.stop().await;
    }
}
