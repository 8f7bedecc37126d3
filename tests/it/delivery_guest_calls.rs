//! Several challenges of one phone wait for the guest's call at once: none keeps another out, and a call proves only its own.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::cabinet::send;
use crate::support::smsru_cabinet::{PHONE, SmsruCabinet};
use crate::support::{each_engine, sqlite};

const DIGITS: &str = "79160000001";
const MINUTE: Duration = Duration::from_mins(1);

/// SMS.ru is asked every three seconds.
const WATCH: Duration = Duration::from_secs(3);

/// A stranger's challenge, and a minute later the guest's own.
async fn stranger_then_guest(stage: &SmsruCabinet) -> (Value, Value) {
    let stranger = stage.ask("guest_call").await;
    stage.until(&stranger, "sent").await;
    stage.clock.advance(MINUTE);
    (stranger, stage.ask("guest_call").await)
}

fn dial(state: &Value) -> String {
    state["dial"].as_str().expect("a number").to_owned()
}

#[tokio::test]
async fn a_strangers_open_call_keeps_nobody_out_and_a_call_proves_only_the_challenge_of_its_number() {
    for store in each_engine().await {
        let stage = SmsruCabinet::over(&store).await;
        stage.smsru.has_many_numbers();
        let (stranger, guest) = stranger_then_guest(&stage).await;
        let mine = dial(&stage.until(&guest, "sent").await);
        let theirs = dial(&stage.until(&stranger, "sent").await);
        assert_ne!(mine, theirs);
        stage.smsru.guest_dials(DIGITS, &mine);
        stage.clock.advance(WATCH);
        stage.until(&guest, "confirmed").await;
        assert_eq!(stage.verify(&stranger, "000000").await.code(), "code_incorrect");
        assert_eq!(
            stage.verify(&guest, "").await.status,
            StatusCode::OK,
            "{}",
            store.engine
        );
        assert_eq!(stage.until(&stranger, "sent").await["attempts_left"], 4);
    }
}

#[tokio::test]
async fn where_calls_could_not_be_told_apart_the_later_challenge_goes_on_with_a_code() {
    for store in each_engine().await {
        let stage = SmsruCabinet::over(&store).await;
        let (stranger, guest) = stranger_then_guest(&stage).await;
        let moved = stage.until(&guest, "sent").await;
        assert_eq!((&moved["channel"], &moved["code_length"]), (&json!("sms"), &json!(6)));
        assert_eq!(moved.get("dial"), None, "nobody is told to call a stranger's number");
        let code = stage.code_in_message();
        assert_eq!(
            stage.verify(&guest, &code).await.status,
            StatusCode::OK,
            "{}",
            store.engine
        );
        assert_eq!(stage.verify(&stranger, &code).await.code(), "code_incorrect");
    }
}

#[tokio::test]
async fn a_device_that_signed_the_phone_in_before_takes_the_number_over() {
    for store in each_engine().await {
        let stage = SmsruCabinet::over(&store).await;
        let first = stage.ask("sms").await;
        stage.until(&first, "sent").await;
        let signed = stage.verify(&first, &stage.code_in_message()).await;
        let device = signed.header("x-device-token").expect("a device token").to_owned();
        stage.clock.advance(MINUTE);
        let stranger = stage.ask("guest_call").await;
        stage.until(&stranger, "sent").await;
        stage.clock.advance(MINUTE);
        let request = stage.cabinet.request(Method::POST, "/api/v1/auth/challenges");
        let request = request.header("x-device-token", &device);
        let guest = send(request.json(&json!({ "phone": PHONE, "channel": "guest_call" })))
            .await
            .json();
        stage.until(&guest, "sent").await;
        stage.until(&stranger, "failed").await;
        stage.smsru.guest_calls(DIGITS);
        stage.clock.advance(WATCH);
        stage.until(&guest, "confirmed").await;
        assert_eq!(stage.verify(&stranger, "000000").await.code(), "code_incorrect");
        assert_eq!(
            stage.verify(&guest, "").await.status,
            StatusCode::OK,
            "{}",
            store.engine
        );
    }
}

#[tokio::test]
async fn a_call_that_a_gateway_takes_for_two_challenges_proves_neither() {
    for store in each_engine().await {
        let stage = SmsruCabinet::over(&store).await;
        stage.smsru.has_many_numbers();
        let (stranger, guest) = stranger_then_guest(&stage).await;
        stage.until(&guest, "sent").await;
        stage.smsru.guest_calls(DIGITS);
        stage.clock.advance(WATCH);
        stage.until(&guest, "failed").await;
        stage.until(&stranger, "failed").await;
        for challenge in [&stranger, &guest] {
            assert_eq!(
                stage.verify(challenge, "000000").await.code(),
                "code_incorrect",
                "{}",
                store.engine
            );
        }
    }
}

#[tokio::test]
async fn where_calls_are_the_only_channel_a_later_one_that_could_not_be_told_apart_fails() {
    let store = sqlite();
    let only_calls = "[delivery]\ngateways = [\"smsru\"]\n[delivery.smsru]\nchannels = [\"guest_call\"]";
    let stage = SmsruCabinet::with(&store, only_calls).await;
    let (stranger, guest) = stranger_then_guest(&stage).await;
    assert_eq!(stage.until(&guest, "failed").await["resend_in"], 0);
    stage.smsru.guest_calls(DIGITS);
    stage.clock.advance(WATCH);
    stage.until(&stranger, "confirmed").await;
    assert_eq!(stage.verify(&guest, "000000").await.code(), "code_incorrect");
}
