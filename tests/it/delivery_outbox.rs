//! A message is kept before it is promised, sent once by one replica, never sent blindly again, and leaves nothing readable behind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::delivery::DeliveryState::{Failed, Queued, Sent};
use guest_cabinet::model::Channel;

use crate::support::courier::{CODE, settings};
use crate::support::gateways::smsru::API_ID;
use crate::support::{Courier, Emulator, Mood, each_engine, friday_noon, sqlite};

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

#[tokio::test]
async fn a_message_whose_sender_died_in_the_middle_is_given_up_and_not_sent_again() {
    for store in each_engine().await {
        let (smsru, settings) = gateways().await;
        let clock = Clock::manual(friday_noon());
        let gone = Courier::start(&settings, store.open().await, &clock);
        gone.room.stop().await;
        gone.leave("+79160000001", Channel::Sms).await;
        // It claims the message, and that is the last that is heard of it.
        let now_us = clock.now_us();
        let claimed = gone.store.claim_message(now_us + 30_000_000, now_us).await;
        assert!(claimed.expect("the store answers").is_some());
        let next = Courier::start(&settings, store.open().await, &clock);
        next.room.give_up().await;
        assert_eq!(
            next.look("+79160000001").await,
            Some(Queued),
            "it may still be under way"
        );
        clock.advance(Duration::from_secs(31));
        next.room.give_up().await;
        assert_eq!(next.look("+79160000001").await, Some(Failed));
        assert_eq!(next.send("+79160000002").await, Sent);
        assert_eq!(smsru.calls("/sms/send").len(), 1, "{}", store.engine);
    }
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
