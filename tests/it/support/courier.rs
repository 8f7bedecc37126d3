//! A delivery room over its own store, without the rest of the cabinet.

use std::sync::Arc;
use std::time::Duration;

use guest_cabinet::clock::Clock;
use guest_cabinet::config::{Config, DeliveryConfig, read_sources};
use guest_cabinet::delivery::{Delivery, DeliveryState, Order, Progress};
use guest_cabinet::entropy::Entropy;
use guest_cabinet::keys::Keys;
use guest_cabinet::model::{Channel, Phone, Platform};
use guest_cabinet::store::SharedStore;

use super::gateways::{Emulator, smsc, smsru, telegram};

/// The code that is sent.
pub const CODE: &str = "048291";

/// `[delivery]` of `toml`, as the program reads it.
pub fn config(toml: &str) -> DeliveryConfig {
    let whole = format!(
        "secret = \"a master secret for tests of enough bytes\"\nstore.url = \"sqlite::memory:\"\n\
         probonus.url = \"http://127.0.0.1:9\"\nprobonus.token = \"t\"\n[delivery]\n{toml}"
    );
    let mut sources = read_sources(None, std::iter::empty());
    sources.tree = whole.parse().expect("TOML");
    Config::read(sources, false).expect("sound settings").delivery
}

/// Settings for an SMS.ru, an SMSC and a Telegram, in this order.
pub fn settings(smsru: &Emulator, smsc: &Emulator, telegram: &Emulator) -> String {
    format!(
        "gateways = [\"smsru\", \"smsc\", \"telegram\"]\ntimeout_ms = 400\n\
         smsru = {{ api_id = \"{}\", url = \"{}\", channels = [\"sms\", \"guest_call\", \"flash_call\"] }}\n\
         smsc = {{ api_key = \"{}\", url = \"{}/sys/\", callback_path = \"unguessable\", callback_secret = \"secret\" }}\n\
         telegram = {{ token = \"{}\", url = \"{}\" }}\n",
        smsru::API_ID,
        smsru.url,
        smsc::API_KEY,
        smsc.url,
        telegram::TOKEN,
        telegram.url
    )
}

/// A running delivery room.
pub struct Courier {
    pub room: Arc<Delivery>,
    pub store: SharedStore,
    pub clock: Clock,
}

impl Courier {
    /// Starts one: with the same store, another replica.
    pub fn start(settings: &str, store: SharedStore, clock: &Clock) -> Self {
        let secret = "a master secret for tests of enough bytes".into();
        let keys = Arc::new(Keys::derive(&secret, None, Entropy::system()));
        let public_url = "https://lk.example.ru".parse().expect("an address");
        let room = Delivery::start(
            &config(settings),
            &public_url,
            store.clone(),
            keys,
            clock.clone(),
            Entropy::system(),
        );
        Self {
            room: room.expect("the room opens"),
            store,
            clock: clock.clone(),
        }
    }

    /// Leaves a message for `phone`.
    pub async fn leave(&self, phone: &str, channel: Channel) {
        let five_minutes = Duration::from_mins(5);
        let order = Order {
            challenge: challenge_of(phone),
            cooldown: None,
            phone: Phone::from_e164(phone).expect("a phone"),
            code: CODE.into(),
            channel,
            platform: Platform::Web,
            language: "ru",
            ip: Some("198.51.100.7".parse().expect("an address")),
            is_known_device: false,
            is_pretended: false,
            expires_at: self.clock.now() + five_minutes,
        };
        self.room.enqueue(order).await.expect("the store answers");
    }

    /// How the message for `phone` fares now.
    pub async fn look(&self, phone: &str) -> Option<DeliveryState> {
        let progress = self.room.progress(&challenge_of(phone)).await;
        progress.expect("the store answers").map(|progress| progress.state)
    }

    /// What became of the message for `phone`, once it is no longer queued.
    pub async fn fate(&self, phone: &str) -> Progress {
        let look = async {
            loop {
                let progress = self.room.progress(&challenge_of(phone)).await;
                let progress = progress.expect("the store answers");
                if let Some(progress) = progress.filter(|progress| progress.state != DeliveryState::Queued) {
                    return progress;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(10), look).await;
        found.unwrap_or_else(|_| panic!("the message for {phone} does not get there"))
    }

    /// Leaves a short message for `phone` and says what became of it.
    pub async fn send(&self, phone: &str) -> DeliveryState {
        self.leave(phone, Channel::Sms).await;
        self.fate(phone).await.state
    }
}

/// The tag of the challenge that a phone's messages belong to; the phone does not stand in it.
fn challenge_of(phone: &str) -> Vec<u8> {
    phone.bytes().rev().collect()
}
