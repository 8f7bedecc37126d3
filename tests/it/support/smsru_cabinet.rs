//! A cabinet whose codes go through an SMS.ru, which calls guests and is called by them.

use std::time::Duration;

use guest_cabinet::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::cabinet::{merge, send};
use super::courier::settings;
use super::{Answer, Emulator, ProBonus, TestCabinet, TestStore, friday_noon};

/// The guest most calls are about.
pub const PHONE: &str = "+79160000001";

/// The cabinet, its gateways and their clock.
pub struct SmsruCabinet {
    pub cabinet: TestCabinet,
    pub smsru: Emulator,
    pub smsc: Emulator,
    pub clock: Clock,
    pub probonus: ProBonus,
}

impl SmsruCabinet {
    pub async fn over(store: &TestStore) -> Self {
        Self::with(store, "").await
    }

    pub async fn with(store: &TestStore, more: &str) -> Self {
        let clock = Clock::manual(friday_noon());
        let probonus = ProBonus::start(&clock).await;
        let (smsru, smsc, telegram) = tokio::join!(Emulator::smsru(), Emulator::smsc(), Emulator::telegram());
        let gateways = format!("[delivery]\n{}", settings(&smsru, &smsc, &telegram));
        let mut tree: toml::Table = gateways.parse().expect("settings are TOML");
        merge(&mut tree, more.parse().expect("more settings are TOML"));
        let more = tree.to_string();
        let (url, token) = (probonus.sandbox.url(), probonus.sandbox.token().to_owned());
        Self {
            cabinet: TestCabinet::start(&url, &token, &store.url, clock.clone(), &more).await,
            smsru,
            smsc,
            clock,
            probonus,
        }
    }

    /// A challenge for [`PHONE`].
    pub async fn ask(&self, channel: &str) -> Value {
        let body = json!({ "phone": PHONE, "channel": channel });
        let asked = self.cabinet.post("/api/v1/auth/challenges", &body).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
        asked.json()
    }

    pub async fn verify(&self, challenge: &Value, code: &str) -> Answer {
        let path = format!("/api/v1/auth/challenges/{}/verify", id(challenge));
        let body = json!({ "code": code, "session": "bearer" });
        self.cabinet.post(&path, &body).await
    }

    /// The challenge, once its delivery is `state`.
    pub async fn until(&self, challenge: &Value, state: &str) -> Value {
        let path = format!("/api/v1/auth/challenges/{}", id(challenge));
        let look = async {
            loop {
                let now = send(self.cabinet.request(Method::GET, &path)).await.json();
                if now["delivery"] == state {
                    return now;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(10), look).await;
        found.unwrap_or_else(|_| panic!("never {state}"))
    }

    /// The code of the latest short message.
    pub fn code_in_message(&self) -> String {
        let messages = self.smsru.calls("/sms/send");
        let text = messages.last().expect("a message").field("msg").to_owned();
        text.rsplit('#').next().expect("a code").to_owned()
    }
}

/// The id of a challenge.
pub fn id(challenge: &Value) -> &str {
    challenge["challenge_id"].as_str().expect("an id")
}
