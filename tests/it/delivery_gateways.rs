//! A code reaches the phone through the gateways as they are: each by its protocol, on good days and bad, one after another.

use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::delivery::DeliveryState::{Failed, Sent};
use guest_cabinet::delivery::{GatewayAnswer, Reason, check};
use guest_cabinet::model::Channel;
use serde_json::json;

use crate::support::courier::{CODE, config, settings};
use crate::support::{Courier, Emulator, Mood, TestStore, friday_noon, sqlite};

/// Three gateways and a courier who knows them.
struct Street {
    smsru: Emulator,
    smsc: Emulator,
    telegram: Emulator,
    courier: Courier,
    _store: TestStore,
}

impl Street {
    async fn open() -> Self {
        let (smsru, smsc, telegram) = tokio::join!(Emulator::smsru(), Emulator::smsc(), Emulator::telegram());
        let store = sqlite();
        let settings = settings(&smsru, &smsc, &telegram);
        let courier = Courier::start(&settings, store.open().await, &Clock::manual(friday_noon()));
        Self {
            smsru,
            smsc,
            telegram,
            courier,
            _store: store,
        }
    }

    /// How many messages each was asked to send.
    fn asked(&self) -> (usize, usize) {
        (
            self.smsru.calls("/sms/send").len(),
            self.smsc.calls("/sys/send.php").len(),
        )
    }
}

#[tokio::test]
async fn sms_ru_gets_one_segment_with_the_line_that_browsers_fill_in() {
    let street = Street::open().await;
    assert_eq!(street.courier.send("+79160000001").await, Sent);
    let calls = street.smsru.calls("/sms/send");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].field("to"), "79160000001");
    assert_eq!(calls[0].field("ip"), "198.51.100.7");
    assert_eq!(
        calls[0].field("msg"),
        "Код 048291. Никому его не говорите.\n@lk.example.ru #048291"
    );
    assert_eq!(street.asked(), (1, 0));
}

#[tokio::test]
async fn numbers_as_text_are_numbers() {
    let street = Street::open().await;
    street.smsru.is(Mood::InText);
    assert_eq!(street.courier.send("+79160000001").await, Sent);
    street.courier.leave("+79160000002", Channel::GuestCall).await;
    let call = street.courier.fate("+79160000002").await;
    assert_eq!((call.state, call.dial.as_deref()), (Sent, Some("+78005008275")));
    assert_eq!(street.asked(), (1, 0));
}

#[tokio::test]
async fn a_refusal_inside_an_ok_leads_to_the_next_gateway_with_the_same_code() {
    let street = Street::open().await;
    // 221: the sender's name is not approved; the answer carries an id all the same.
    assert_eq!(street.courier.send("+79160000221").await, Sent);
    let second = street.smsc.calls("/sys/send.php");
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].field("phones"), "79160000221");
    assert_eq!(second[0].field("userip"), "198.51.100.7");
    assert!(second[0].field("mes").contains(CODE));
    assert_eq!(second[0].field("mes"), street.smsru.calls("/sms/send")[0].field("msg"));
}

#[tokio::test]
async fn what_is_wrong_with_the_phone_is_not_tried_elsewhere() {
    // A wrong number, too many to this phone, suspected fraud.
    for phone in ["+79160000202", "+79160000230", "+79160000503"] {
        let street = Street::open().await;
        assert_eq!(street.courier.send(phone).await, Failed, "{phone}");
        assert_eq!(street.asked(), (1, 0), "{phone}");
    }
    // No route, a stop list: another gateway may have one.
    for phone in ["+79160000207", "+79160000209"] {
        let street = Street::open().await;
        assert_eq!(street.courier.send(phone).await, Sent, "{phone}");
        assert_eq!(street.asked(), (1, 1), "{phone}");
    }
}

#[tokio::test]
async fn every_bad_day_of_the_first_gateway_is_the_seconds_turn() {
    let elsewhere = Emulator::smsru().await;
    let bad_days = [
        Mood::Hangs,
        Mood::Html(200),
        Mood::Html(403),
        Mood::Html(502),
        Mood::Empty,
        Mood::Redirects(format!("{}/sms/send", elsewhere.url)),
        Mood::Huge,
        Mood::CutsOff,
        Mood::Says(200, json!([])),
        Mood::Says(200, json!({ "status": "OK", "status_code": 100 })),
        Mood::Says(
            200,
            json!({ "status": "OK", "status_code": 100, "sms": { "7": { "status": "OK" } } }),
        ),
        Mood::Says(
            500,
            json!({ "status": "OK", "status_code": 100, "sms": { "7": { "status": "OK", "status_code": 100 } } }),
        ),
        Mood::Says(200, json!({ "status": "ERROR", "status_code": 500 })),
    ];
    for mood in bad_days {
        let street = Street::open().await;
        street.smsru.is(mood.clone());
        assert_eq!(street.courier.send("+79160000001").await, Sent, "{mood:?}");
        assert_eq!(street.asked(), (1, 1), "{mood:?}");
        let text = street.smsc.calls("/sys/send.php")[0].field("mes").to_owned();
        assert!(text.contains(CODE), "{mood:?}");
    }
    assert!(elsewhere.calls("/sms/send").is_empty(), "redirects are not followed");
}

#[tokio::test]
async fn smsc_and_telegram_refuse_in_their_own_words() {
    let street = Street::open().await;
    street.smsru.is(Mood::Html(502));
    assert_eq!(
        street.courier.send("+79160000007").await,
        Failed,
        "error 7 with HTTP 200"
    );
    assert_eq!(street.asked(), (1, 1));
    for (phone, fate) in [
        ("+79160000001", Sent),
        ("+79160000404", Failed),
        ("+79160000429", Failed),
    ] {
        street.courier.leave(phone, Channel::Telegram).await;
        assert_eq!(street.courier.fate(phone).await.state, fate, "{phone}");
    }
    let sent = street.telegram.calls("/sendVerificationMessage");
    assert_eq!(sent[0].field("code"), CODE);
    assert_eq!(sent[0].field("ttl"), "300");
    assert_eq!(
        sent[0].field("callback_url"),
        "https://lk.example.ru/callbacks/telegram"
    );
}

#[tokio::test]
async fn all_gateways_down_is_a_failure_that_is_told() {
    let street = Street::open().await;
    street.smsru.is(Mood::Html(500));
    street.smsc.is(Mood::CutsOff);
    assert_eq!(street.courier.send("+79160000001").await, Failed);
    assert_eq!(street.asked(), (1, 1), "no gateway is asked twice for one message");
}

#[tokio::test]
async fn a_call_whose_digits_are_unknown_is_not_made_twice() {
    let street = Street::open().await;
    street.smsru.is(Mood::CutsOff);
    street.courier.leave("+79160000001", Channel::FlashCall).await;
    assert_eq!(street.courier.fate("+79160000001").await.state, Failed);
    assert_eq!(street.smsru.calls("/code/call").len(), 1);
}

#[tokio::test]
async fn a_gateway_that_hangs_holds_up_nobody_else() {
    let street = Street::open().await;
    street.smsru.is(Mood::Hangs);
    for phone in 10..60 {
        street
            .courier
            .leave(&format!("+791600000{phone}"), Channel::GuestCall)
            .await;
    }
    let started = tokio::time::Instant::now();
    street.courier.leave("+79160000001", Channel::Telegram).await;
    assert_eq!(street.courier.fate("+79160000001").await.state, Sent);
    assert!(
        started.elapsed() < Duration::from_millis(400),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_gateway_without_money_is_left_out_until_its_balance_says_otherwise() {
    let street = Street::open().await;
    let no_money = json!({ "status": "ERROR", "status_code": 201 });
    street.smsru.is(Mood::Says(200, no_money));
    assert_eq!(street.courier.send("+79160000001").await, Sent);
    assert_eq!(street.courier.send("+79160000002").await, Sent);
    assert_eq!(street.asked(), (1, 2), "the second message did not try it");
    street.smsru.is(Mood::Well);
    street.smsru.remember("balance", "0");
    street.courier.clock.advance(Duration::from_secs(5));
    let asked_for_balance = |count: usize| {
        let smsru = street.smsru.clone();
        async move {
            while smsru.calls("/my/balance").len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    let before = street.smsru.calls("/my/balance").len();
    asked_for_balance(before + 1).await;
    assert_eq!(street.courier.send("+79160000003").await, Sent);
    assert_eq!(street.asked(), (1, 3), "an empty account is no better");
    street.smsru.remember("balance", "10.5");
    street.courier.clock.advance(Duration::from_secs(10));
    asked_for_balance(before + 2).await;
    // The answer is on its way back.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(street.courier.send("+79160000004").await, Sent);
    assert_eq!(street.asked(), (2, 3));
}

#[tokio::test]
async fn a_gateway_that_says_when_to_come_again_is_left_alone_until_then() {
    for status in [429, 503] {
        let street = Street::open().await;
        street.smsru.is(Mood::Later(status, 40));
        street.smsc.is(Mood::Later(status, 30));
        assert_eq!(street.courier.send("+79160000001").await, Failed, "{status}");
        assert_eq!(
            street.courier.room.closed_for(Channel::Sms),
            Some(Duration::from_secs(30)),
            "{status}"
        );
        street.telegram.is(Mood::Later(status, 20));
        street.courier.leave("+79160000002", Channel::Telegram).await;
        assert_eq!(street.courier.fate("+79160000002").await.state, Failed, "{status}");
        let closed = street.courier.room.closed_for(Channel::Telegram);
        assert_eq!(closed, Some(Duration::from_secs(20)), "{status}");
        assert_eq!(street.asked(), (1, 1), "{status}");
    }
}

#[tokio::test]
async fn with_every_gateway_of_a_channel_left_out_nobody_waits_for_it() {
    let street = Street::open().await;
    assert_eq!(street.courier.room.closed_for(Channel::Telegram), None);
    street
        .telegram
        .is(Mood::Says(401, json!({ "ok": false, "error": "ACCESS_TOKEN_INVALID" })));
    street.courier.leave("+79160000001", Channel::Telegram).await;
    assert_eq!(street.courier.fate("+79160000001").await.state, Failed);
    assert_eq!(
        street.courier.room.closed_for(Channel::Telegram),
        Some(Duration::from_secs(5))
    );
    assert_eq!(street.courier.room.closed_for(Channel::Sms), None);
    street.courier.clock.advance(Duration::from_secs(5));
    assert_eq!(street.courier.room.closed_for(Channel::Telegram), None);
    street.telegram.is(Mood::Well);
    street.courier.leave("+79160000002", Channel::Telegram).await;
    assert_eq!(street.courier.fate("+79160000002").await.state, Sent);
}

#[tokio::test]
async fn the_operators_check_says_what_each_gateway_answers_and_sends_nothing() {
    let street = Street::open().await;
    let settings = config(&settings(&street.smsru, &street.smsc, &street.telegram));
    let public_url = "https://lk.example.ru".parse().expect("an address");
    let clock = Clock::system();
    let answers = async || {
        let checks = check(&settings, &public_url, &clock).await.expect("sound settings");
        checks.into_iter().map(|check| check.answer).collect::<Vec<_>>()
    };
    assert_eq!(
        answers().await,
        [
            GatewayAnswer::Balance(4122.56),
            GatewayAnswer::Balance(100.5),
            GatewayAnswer::NotAsked
        ]
    );
    street.smsru.is(Mood::Html(200));
    street
        .smsc
        .is(Mood::Says(200, json!({ "error": "authorise error", "error_code": 2 })));
    assert_eq!(
        answers().await[..2],
        [GatewayAnswer::Silent, GatewayAnswer::Refused(Reason::Auth)]
    );
    assert_eq!(street.asked(), (0, 0));
}

#[tokio::test]
async fn channels_are_those_of_the_gateways_in_their_order() {
    let street = Street::open().await;
    assert_eq!(
        street.courier.room.channels(),
        [Channel::Sms, Channel::GuestCall, Channel::FlashCall, Channel::Telegram]
    );
}
