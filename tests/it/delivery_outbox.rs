//! A message is kept before it is promised, sent once by one replica, never sent blindly again, and leaves nothing readable behind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::delivery::DeliveryState::{Failed, Queued, Sent};
use guest_cabinet::keys::hex;
use guest_cabinet::model::Channel;
use guest_cabinet::store::SharedStore;

use crate::support::courier::{CODE, settings};
use crate::support::gateways::smsru::API_ID;
use crate::support::receiver::SECRET;
use crate::support::{Courier, Emulator, Mood, Receiver, each_engine, friday_noon, sqlite};

async fn gateways() -> (Emulator, String) {
    let (smsru, smsc, telegram) = tokio::join!(Emulator::smsru(), Emulator::smsc(), Emulator::telegram());
    let settings = settings(&smsru, &smsc, &telegram);
    (smsru, settings)
}

fn phones(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("+791610{index:02}001")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_send_every_message_exactly_once() {
    for store in each_engine().await {
        let (smsru, smsc, telegram) = tokio::join!(Emulator::smsru(), Emulator::smsc(), Emulator::telegram());
        let settings = settings(&smsru, &smsc, &telegram);
        let clock = Clock::manual(friday_noon());
        let mut couriers = vec![Courier::start(&settings, store.open().await, &clock)];
        if store.engine == "postgres" {
            couriers.push(Courier::start(&settings, store.open().await, &clock));
        }
        let couriers = Arc::new(couriers);
        let phones = phones(60);
        let leaving = phones.iter().cloned().enumerate().map(|(index, phone)| {
            let couriers = couriers.clone();
            tokio::spawn(async move { couriers[index % couriers.len()].leave(&phone, Channel::Sms).await })
        });
        for left in leaving.collect::<Vec<_>>() {
            left.await.expect("left");
        }
        for phone in &phones {
            assert_eq!(couriers[0].fate(phone).await.state, Sent, "{} {phone}", store.engine);
        }
        let numbers = |emulator: &Emulator, path: &str, field: &str| -> Vec<String> {
            let calls = emulator.calls(path);
            calls.iter().map(|call| format!("+{}", call.field(field))).collect()
        };
        // On a busy machine the first gateway may be slow to take a connection, and the second one sends.
        let first = numbers(&smsru, "/sms/send", "to");
        let mut unique = first.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(
            unique.len(),
            first.len(),
            "{}: nothing goes to one gateway twice",
            store.engine
        );
        unique.extend(numbers(&smsc, "/send.php", "phones"));
        unique.sort();
        unique.dedup();
        assert_eq!(unique, phones, "{}", store.engine);
    }
}

#[tokio::test]
async fn what_waits_while_nobody_works_is_sent_after_the_start() {
    for store in each_engine().await {
        let (smsru, settings) = gateways().await;
        let clock = Clock::manual(friday_noon());
        let gone = Courier::start(&settings, store.open().await, &clock);
        gone.room.stop().await;
        gone.leave("+79160000001", Channel::Sms).await;
        gone.leave("+79160000002", Channel::Sms).await;
        assert_eq!(gone.look("+79160000001").await, Some(Queued));
        let next = Courier::start(&settings, store.open().await, &clock);
        assert_eq!(next.fate("+79160000001").await.state, Sent);
        assert_eq!(next.fate("+79160000002").await.state, Sent);
        assert_eq!(smsru.calls("/sms/send").len(), 2, "{}", store.engine);
    }
}

/// A courier that claimed a message and handed it to `gateways`, and is heard of no more; gives the message's id.
async fn gone_with(settings: &str, store: SharedStore, clock: &Clock, gateways: &str, channel: Channel) -> String {
    let gone = Courier::start(settings, store, clock);
    gone.room.stop().await;
    gone.leave("+79160000001", channel).await;
    let now_us = clock.now_us();
    let claimed = gone.store.claim_message(now_us + 4_000_000, now_us).await;
    let mut claimed = claimed.expect("the store answers").expect("a message waits");
    if !gateways.is_empty() {
        claimed.handed_to = gateways.to_owned();
        let held = gone.store.hold_message(&claimed, now_us + 30_000_000).await;
        assert!(held.expect("the store answers"));
        // What was held for longer is no longer held by the old word.
        let again = gone.store.hold_message(&claimed, now_us + 40_000_000).await;
        assert!(!again.expect("the store answers"));
    }
    hex(&claimed.id)
}

#[tokio::test]
async fn what_no_gateway_had_when_its_sender_died_is_sent() {
    for store in each_engine().await {
        let (smsru, settings) = gateways().await;
        let clock = Clock::manual(friday_noon());
        gone_with(&settings, store.open().await, &clock, "", Channel::Sms).await;
        let next = Courier::start(&settings, store.open().await, &clock);
        next.room.take_back().await;
        assert_eq!(
            next.look("+79160000001").await,
            Some(Queued),
            "it may still be under way"
        );
        clock.advance(Duration::from_secs(4));
        next.room.take_back().await;
        assert_eq!(next.fate("+79160000001").await.state, Sent);
        assert_eq!(smsru.calls("/sms/send").len(), 1, "{}", store.engine);
    }
}

#[tokio::test]
async fn what_a_gateway_may_have_had_when_its_sender_died_goes_to_the_next_one_only() {
    for (handed_to, channel, fate, asked) in [
        ("smsru", Channel::Sms, Sent, (0, 1)),
        ("smsc", Channel::Sms, Sent, (1, 0)),
        ("smsru smsc", Channel::Sms, Failed, (0, 0)),
        ("telegram", Channel::Telegram, Failed, (0, 0)),
        ("smsru", Channel::FlashCall, Failed, (0, 0)),
        ("smsru", Channel::GuestCall, Failed, (0, 0)),
    ] {
        for store in each_engine().await {
            let (smsru, smsc, telegram) = tokio::join!(Emulator::smsru(), Emulator::smsc(), Emulator::telegram());
            let settings = settings(&smsru, &smsc, &telegram);
            let clock = Clock::manual(friday_noon());
            gone_with(&settings, store.open().await, &clock, handed_to, channel).await;
            clock.advance(Duration::from_secs(31));
            let next = Courier::start(&settings, store.open().await, &clock);
            next.room.take_back().await;
            let became = next.fate("+79160000001").await.state;
            assert_eq!(became, fate, "{} {handed_to} {channel:?}", store.engine);
            let calls = |emulator: &Emulator, path| emulator.calls(path).len();
            let sms = (calls(&smsru, "/sms/send"), calls(&smsc, "/sys/send.php"));
            assert_eq!(sms, asked, "{} {handed_to} {channel:?}", store.engine);
            assert_eq!(calls(&smsru, "/code/call") + calls(&smsru, "/callcheck/add"), 0);
            assert!(telegram.calls("/sendVerificationMessage").is_empty());
        }
    }
}

#[tokio::test]
async fn the_operators_receiver_is_asked_once_more_and_no_oftener_under_the_same_id() {
    for (handed_to, fate, asked) in [("webhook", Sent, 1), ("webhook webhook", Failed, 0)] {
        let store = sqlite();
        let receiver = Receiver::start().await;
        let settings = format!(
            "gateways = [\"webhook\"]\nwebhook = {{ url = \"{}\", secret = \"{SECRET}\" }}",
            receiver.url
        );
        let clock = Clock::manual(friday_noon());
        let id = gone_with(&settings, store.open().await, &clock, handed_to, Channel::Sms).await;
        clock.advance(Duration::from_secs(31));
        let next = Courier::start(&settings, store.open().await, &clock);
        next.room.take_back().await;
        assert_eq!(next.fate("+79160000001").await.state, fate, "{handed_to}");
        let messages = receiver.messages();
        assert_eq!(messages.len(), asked, "{handed_to}");
        assert!(messages.iter().all(|message| message["data"]["attempt_id"] == id));
    }
}

#[tokio::test]
async fn what_waited_for_a_turn_beyond_its_end_is_not_handed_over() {
    let store = sqlite();
    let (smsru, settings) = gateways().await;
    let clock = Clock::manual(friday_noon());
    smsru.is(Mood::Hangs);
    let courier = Courier::start(&settings, store.open().await, &clock);
    // As many calls as a gateway is given at once, and one more.
    let phones = phones(33);
    for phone in &phones {
        courier.leave(phone, Channel::FlashCall).await;
    }
    while smsru.calls("/code/call").len() < 32 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    clock.advance(Duration::from_secs(301));
    for phone in &phones {
        assert_eq!(courier.fate(phone).await.state, Failed);
    }
    assert_eq!(smsru.calls("/code/call").len(), 32);
}

#[tokio::test]
async fn a_message_outlives_its_challenge_neither_in_the_queue_nor_in_the_store() {
    for store in each_engine().await {
        let (smsru, settings) = gateways().await;
        let clock = Clock::manual(friday_noon());
        let gone = Courier::start(&settings, store.open().await, &clock);
        gone.room.stop().await;
        for phone in phones(60) {
            gone.leave(&phone, Channel::Sms).await;
        }
        clock.advance(Duration::from_secs(301));
        let next = Courier::start(&settings, store.open().await, &clock);
        assert_eq!(next.send("+79160000001").await, Sent);
        assert_eq!(smsru.calls("/sms/send").len(), 1, "{}", store.engine);
        next.room.tidy_up().await;
        for phone in phones(60) {
            assert_eq!(next.look(&phone).await, None, "{}", store.engine);
        }
        assert_eq!(next.look("+79160000001").await, Some(Sent));
    }
}

#[tokio::test]
async fn stopping_waits_for_what_is_under_way() {
    let store = sqlite();
    let (smsru, settings) = gateways().await;
    smsru.is(Mood::Hangs);
    let courier = Courier::start(&settings, store.open().await, &Clock::manual(friday_noon()));
    courier.leave("+79160000001", Channel::Sms).await;
    while smsru.calls("/sms/send").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    courier.room.stop().await;
    assert_eq!(
        courier.look("+79160000001").await,
        Some(Sent),
        "the second gateway took it"
    );
}

#[tokio::test]
async fn neither_store_nor_log_tells_a_phone_a_code_or_a_credential() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_max_level(tracing::Level::TRACE);
    // One thread runs this test and everything it starts.
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let store = sqlite();
    let (smsru, settings) = gateways().await;
    let courier = Courier::start(&settings, store.open().await, &Clock::manual(friday_noon()));
    smsru.is(Mood::Html(200));
    assert_eq!(courier.send("+79160123401").await, Sent);
    smsru.is(Mood::Hangs);
    courier.leave("+79160123402", Channel::Sms).await;
    let folder = store.folder.as_ref().expect("a file").path();
    let mut kept = Vec::new();
    for file in std::fs::read_dir(folder).expect("a folder") {
        kept.extend(std::fs::read(file.expect("a file").path()).expect("its bytes"));
    }
    let log = log.0.lock().expect("nobody panics here").clone();
    assert!(String::from_utf8_lossy(&log).contains("a gateway did not take a code"));
    // The emulators' own client and server lines are not ours.
    let ours: String = String::from_utf8_lossy(&log)
        .lines()
        .filter(|line| line.contains("guest_cabinet"))
        .collect();
    for secret in ["9160123401", "9160123402", CODE, API_ID] {
        let found = kept.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!found, "the store tells {secret}");
        assert!(!ours.contains(secret), "the log tells {secret}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics here").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
