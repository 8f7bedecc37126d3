//! Calls prove a phone as codes do: the digits of the number that calls, or the guest's own call to a number only the asker sees.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::support::smsru_cabinet::{SmsruCabinet, id};
use crate::support::{Mood, each_engine, sqlite};

const DIGITS: &str = "79160000001";

#[tokio::test]
async fn the_last_digits_of_the_number_that_calls_are_a_code_of_three_tries() {
    for store in each_engine().await {
        let stage = SmsruCabinet::over(&store).await;
        let asked = stage.ask("flash_call").await;
        assert_eq!((&asked["code_length"], &asked["attempts_left"]), (&json!(4), &json!(3)));
        assert_eq!(asked["expires_in"], 180, "so few digits live shorter");
        stage.until(&asked, "sent").await;
        assert_eq!(stage.smsru.calls("/code/call")[0].field("phone"), DIGITS);
        let wrong = stage.verify(&asked, "1111").await;
        assert_eq!(
            (wrong.code().as_str(), &wrong.json()["attempts_left"]),
            ("code_incorrect", &json!(2))
        );
        let right = stage.verify(&asked, "0435").await;
        assert_eq!(right.status, StatusCode::OK, "{} {}", store.engine, right.text);
        assert_eq!(stage.verify(&asked, "0435").await.code(), "challenge_invalid");
    }
}

#[tokio::test]
async fn a_fourth_try_at_four_digits_is_too_late_and_another_channel_shares_the_budget() {
    let store = sqlite();
    let stage = SmsruCabinet::over(&store).await;
    let asked = stage.ask("flash_call").await;
    stage.until(&asked, "sent").await;
    for left in [2, 1, 0] {
        assert_eq!(stage.verify(&asked, "1111").await.json()["attempts_left"], left);
    }
    assert_eq!(stage.verify(&asked, "0435").await.code(), "challenge_invalid");
    stage.clock.advance(Duration::from_mins(1));
    let path = format!("/api/v1/auth/challenges/{}/resend", id(&asked));
    let in_vain = stage.cabinet.post(&path, &json!({})).await;
    assert_eq!(in_vain.code(), "challenge_invalid");
    assert_eq!(stage.smsru.calls("/code/call").len(), 1, "no call is made in vain");
    let resent = stage.cabinet.post(&path, &json!({ "channel": "sms" })).await.json();
    assert_eq!(
        (&resent["code_length"], &resent["attempts_left"]),
        (&json!(6), &json!(2))
    );
}

#[tokio::test]
async fn four_digits_for_a_message_are_a_mistake_that_costs_nothing() {
    let store = sqlite();
    let stage = SmsruCabinet::over(&store).await;
    let asked = stage.ask("sms").await;
    let answer = stage.verify(&asked, "0435").await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (422, "validation_failed")
    );
    assert_eq!(stage.until(&asked, "sent").await["attempts_left"], 5);
}

#[tokio::test]
async fn the_guests_own_call_opens_the_session_of_whoever_holds_the_challenge() {
    for store in each_engine().await {
        let stage = SmsruCabinet::over(&store).await;
        let asked = stage.ask("guest_call").await;
        assert_eq!(asked["code_length"], 0, "there is nothing to type");
        let sent = stage.until(&asked, "sent").await;
        assert_eq!(sent["dial"], "+78005008275");
        assert_eq!(stage.verify(&asked, "").await.code(), "validation_failed");
        assert_eq!(
            stage.verify(&asked, "000000").await.code(),
            "code_incorrect",
            "nobody called yet"
        );
        stage.smsru.guest_calls(DIGITS);
        // SMS.ru is asked every three seconds.
        stage.clock.advance(Duration::from_secs(3));
        assert_eq!(stage.until(&asked, "confirmed").await["attempts_left"], 4);
        let path = format!("/api/v1/auth/challenges/{}/verify", id(&asked));
        let verified = stage.cabinet.post(&path, &json!({ "session": "bearer" })).await;
        assert_eq!(verified.status, StatusCode::OK, "{} {}", store.engine, verified.text);
        assert_eq!(stage.verify(&asked, "000000").await.code(), "challenge_invalid");
    }
}

#[tokio::test]
async fn a_call_that_did_not_come_or_came_from_elsewhere_confirms_nothing() {
    let store = sqlite();
    let stage = SmsruCabinet::over(&store).await;
    let asked = stage.ask("guest_call").await;
    stage.until(&asked, "sent").await;
    stage.smsru.guest_calls("79160000002");
    stage.clock.advance(Duration::from_secs(3));
    while stage.smsru.calls("/callcheck/status").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(stage.verify(&asked, "000000").await.code(), "code_incorrect");
    stage.smsru.call_is_over(DIGITS);
    stage.clock.advance(Duration::from_secs(3));
    assert_eq!(stage.until(&asked, "failed").await["resend_in"], 0);
    assert_eq!(stage.verify(&asked, "000000").await.code(), "code_incorrect");
}

#[tokio::test]
async fn a_call_that_nobody_needs_any_more_keeps_no_other_from_being_made() {
    for store in each_engine().await {
        let stage = SmsruCabinet::over(&store).await;
        let first = stage.ask("guest_call").await;
        stage.until(&first, "sent").await;
        stage.clock.advance(Duration::from_mins(1));
        let path = format!("/api/v1/auth/challenges/{}/resend", id(&first));
        stage.cabinet.post(&path, &json!({ "channel": "sms" })).await;
        stage.until(&first, "sent").await;
        let code = stage.code_in_message();
        assert_eq!(stage.verify(&first, &code).await.status, StatusCode::OK);
        stage.clock.advance(Duration::from_mins(1));
        let second = stage.ask("guest_call").await;
        stage.until(&second, "sent").await;
        assert_eq!(stage.smsru.calls("/callcheck/add").len(), 2, "{}", store.engine);
        stage.smsru.guest_calls(DIGITS);
        stage.clock.advance(Duration::from_secs(3));
        stage.until(&second, "confirmed").await;
        assert_eq!(stage.verify(&first, "").await.code(), "challenge_invalid");
        assert_eq!(stage.verify(&second, "").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_code_that_could_not_be_sent_gives_its_cooldown_back() {
    for store in each_engine().await {
        let stage = SmsruCabinet::over(&store).await;
        stage.smsru.is(Mood::CutsOff);
        let asked = stage.ask("guest_call").await;
        assert_eq!(asked["resend_in"], 60);
        assert_eq!(stage.until(&asked, "failed").await["resend_in"], 0);
        stage.smsru.is(Mood::Well);
        let path = format!("/api/v1/auth/challenges/{}/resend", id(&asked));
        let resent = stage.cabinet.post(&path, &json!({ "channel": "sms" })).await;
        assert_eq!(resent.status, StatusCode::ACCEPTED, "{} {}", store.engine, resent.text);
        stage.until(&asked, "sent").await;
        let code = stage.code_in_message();
        assert_eq!(stage.verify(&asked, &code).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn while_no_gateway_can_bring_a_code_that_is_said_at_once_and_costs_nothing() {
    let store = sqlite();
    let stage = SmsruCabinet::over(&store).await;
    stage
        .smsru
        .is(Mood::Says(200, json!({ "status": "ERROR", "status_code": 300 })));
    let asked = stage.ask("guest_call").await;
    stage.until(&asked, "failed").await;
    let body = json!({ "phone": "+79160000002", "channel": "guest_call" });
    let answer = stage.cabinet.post("/api/v1/auth/challenges", &body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (503, "delivery_unavailable")
    );
    assert_eq!(answer.header("retry-after"), Some("5"));
    let body = json!({ "phone": "+79160000002", "channel": "sms" });
    let other = stage.cabinet.post("/api/v1/auth/challenges", &body).await;
    assert_eq!(other.status, StatusCode::ACCEPTED, "SMSC still works: {}", other.text);
}

const REVIEWED: &str =
    "[[auth.test_phones]]\nphone = \"+79160000001\"\ncode = \"046810\"\nvalid_until = \"2026-12-01\"\n";

#[tokio::test]
async fn a_store_review_number_takes_its_fixed_code_as_each_channel_takes_codes() {
    let store = sqlite();
    let stage = SmsruCabinet::with(&store, REVIEWED).await;
    for (channel, shape, code) in [
        ("sms", (6, 5, 300), "046810"),
        ("flash_call", (4, 3, 180), "6810"),
        ("guest_call", (0, 5, 300), "046810"),
    ] {
        let asked = stage.ask(channel).await;
        let (code_length, attempts_left, expires_in) = shape;
        assert_eq!(
            (&asked["code_length"], &asked["attempts_left"], &asked["expires_in"]),
            (&json!(code_length), &json!(attempts_left), &json!(expires_in)),
            "{channel}"
        );
        stage.until(&asked, "sent").await;
        assert_eq!(stage.verify(&asked, code).await.status, StatusCode::OK, "{channel}");
        stage.clock.advance(Duration::from_mins(1));
    }
    for path in ["/sms/send", "/code/call"] {
        assert!(stage.smsru.calls(path).is_empty(), "{path}");
    }
    // Only the guest's own call is waited for as any other, so that nobody can tell the number from others.
    assert_eq!(stage.smsru.calls("/callcheck/add").len(), 1);
}

#[tokio::test]
async fn where_nobody_but_reviewers_asks_a_reviewer_types_instead_of_calling() {
    let store = sqlite();
    let stage = SmsruCabinet::with(&store, &format!("{REVIEWED}networks = [\"127.0.0.0/8\"]")).await;
    let asked = stage.ask("guest_call").await;
    assert_eq!((&asked["code_length"], &asked["attempts_left"]), (&json!(6), &json!(5)));
    assert_eq!(stage.until(&asked, "sent").await["code_length"], 6);
    assert_eq!(stage.verify(&asked, "046810").await.status, StatusCode::OK);
    assert!(stage.smsru.calls("/callcheck/add").is_empty());
}

#[tokio::test]
async fn who_names_no_channel_gets_the_first_that_works() {
    let store = sqlite();
    let stage = SmsruCabinet::over(&store).await;
    let is_refused = Mood::Says(200, json!({ "error": "authorise error", "error_code": 2 }));
    stage.smsc.is(is_refused);
    stage
        .smsru
        .is(Mood::Says(200, json!({ "status": "ERROR", "status_code": 300 })));
    let asked = stage.ask("sms").await;
    stage.until(&asked, "failed").await;
    let body = json!({ "phone": "+79160000002" });
    let answer = stage.cabinet.post("/api/v1/auth/challenges", &body).await;
    assert_eq!(
        (answer.status, &answer.json()["channel"]),
        (StatusCode::ACCEPTED, &json!("telegram"))
    );
}

#[tokio::test]
async fn a_phone_that_has_had_its_messages_keeps_its_pause() {
    for store in each_engine().await {
        let stage = SmsruCabinet::over(&store).await;
        // 230: so many messages a day to one phone.
        let body = json!({ "phone": "+79160000230" });
        let asked = stage.cabinet.post("/api/v1/auth/challenges", &body).await.json();
        assert_eq!(stage.until(&asked, "failed").await["resend_in"], 60, "{}", store.engine);
        assert!(stage.smsc.calls("/sys/send.php").is_empty());
    }
}
