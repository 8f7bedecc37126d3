//! Bringing a code to a phone: a durable outbox, gateways behind one trait, ordered failover. Knows nothing of sessions or HTTP towards guests.
//!
//! A message is kept before anybody promises it; nothing waits while a gateway thinks. Which gateway gets it is kept before that gateway
//! does: when the process dies, another goes on, and asks no gateway again that may have it, but for one that knows a message by its id.
//!
//! Security events (`target: "security"`), none with a phone or code: `gateway_left_out`, `gateway_back`, `report_refused`,
//! `guest_call_confirmed`, `guest_call_ambiguous`.

mod breaker;
mod console;
mod failover;
mod gateway;
mod guest_calls;
mod lines;
mod public_only;
mod reply;
mod report;
mod signature;
mod smsc;
mod smsru;
mod telegram;
mod text;
mod upkeep;
mod webhook;
mod worker;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use gateway::Reason;
pub use lines::{GatewayAnswer, GatewayCheck, check};
pub use report::{Report, ReportRefused};

use crate::clock::Clock;
use crate::config::{DeliveryConfig, GatewayName};
use crate::entropy::Entropy;
use crate::keys::{Keys, Purpose, Tag};
use crate::model::{Channel, Phone, Platform};
use crate::store::{NewMessage, SharedStore, StoreError};
use lines::Line;

/// A code to be brought to a phone.
pub struct Order {
    /// The tag of its challenge.
    pub challenge: Vec<u8>,
    /// The keys of the cooldowns that are given back when it cannot be sent, one after the other.
    pub cooldown: Option<Vec<u8>>,
    /// To which phone.
    pub phone: Phone,
    /// The code.
    pub code: SecretString,
    /// By which channel.
    pub channel: Channel,
    /// For which platform the text is made.
    pub platform: Platform,
    /// `ru` or `en`.
    pub language: &'static str,
    /// From where the guest asked.
    pub ip: Option<IpAddr>,
    /// Whether the device that asked had signed the phone in before: its call goes before calls that others asked for.
    pub is_known_device: bool,
    /// Nothing is sent, and nobody can tell: a store-review number.
    pub is_pretended: bool,
    /// It is of no use from then on.
    pub expires_at: Timestamp,
}

/// How a message fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Kept, not sent yet.
    Queued,
    /// A gateway took it.
    Sent,
    /// The gateway says it arrived.
    Delivered,
    /// It could not be sent; another may be asked for at once.
    Failed,
    /// The guest's call was seen.
    Confirmed,
}

/// How the message of a challenge fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its state.
    pub state: DeliveryState,
    /// The number the guest is to call, `+7…`, once it is known.
    pub dial: Option<String>,
}

/// What stands sealed in the outbox.
#[derive(Serialize, Deserialize)]
struct Content {
    phone: String,
    code: String,
    channel: Channel,
    platform: Platform,
    language: String,
    ip: Option<IpAddr>,
    /// Nothing is sent.
    #[serde(default)]
    is_pretended: bool,
}

/// The room.
pub struct Delivery {
    lines: Vec<Line>,
    channels: Vec<Channel>,
    texts: text::Texts,
    timeout: Duration,
    store: SharedStore,
    keys: Arc<Keys>,
    clock: Clock,
    entropy: Entropy,
    wake: Notify,
    turns: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
    console: console::Shown,
    /// How long the last message took that a gateway accepted, in microseconds.
    last_took_us: AtomicU64,
}

/// Before any message was sent one is taken to take so long, in microseconds.
const USUAL_TIME_US: u64 = 200_000;

/// Messages under way at once, over all gateways; each gateway has a bound of its own below this.
const PARALLEL: usize = 256;

impl Delivery {
    /// Opens the room and starts sending what waits. `public_url` is where guests and gateways reach us.
    ///
    /// # Errors
    /// One plain line about a gateway that cannot be set up.
    pub fn start(
        config: &DeliveryConfig,
        public_url: &url::Url,
        store: SharedStore,
        keys: Arc<Keys>,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Arc<Self>, String> {
        let console = console::Shown::default();
        let lines = lines::lines(config, public_url, &console, &clock)?;
        let host = public_url.host_str().unwrap_or("localhost");
        let room = Arc::new(Self {
            channels: lines::channels(&lines),
            lines,
            texts: text::Texts::new(config.brand.as_deref(), host, config.android_hash.as_deref()),
            timeout: config.timeout,
            store,
            keys,
            clock,
            entropy,
            wake: Notify::new(),
            turns: Arc::new(Semaphore::new(PARALLEL)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            console,
            last_took_us: AtomicU64::new(USUAL_TIME_US),
        });
        room.tasks.spawn(worker::run(room.clone()));
        room.tasks.spawn(upkeep::run(room.clone()));
        Ok(room)
    }

    /// Ends the background work; messages under way are finished, waiting ones stay in the store.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Channels that the configured gateways offer, the usual one first.
    #[must_use]
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The configured gateways by name, in order.
    #[must_use]
    pub fn gateways(&self) -> Vec<GatewayName> {
        self.lines.iter().map(|line| line.gateway.name()).collect()
    }

    /// How long nothing can be sent by `channel`, because every gateway that offers it is left out; `None` when something can.
    #[must_use]
    pub fn closed_for(&self, channel: Channel) -> Option<Duration> {
        let offering = self.lines.iter().filter(|line| line.offers(channel));
        let pauses: Option<Vec<Duration>> = offering.map(|line| line.breaker.closed_for()).collect();
        pauses?.into_iter().min()
    }

    /// The latest codes that the console showed, newest first: masked phone and code. Empty without the console.
    #[must_use]
    pub fn console_codes(&self) -> Vec<(String, String)> {
        self.console.latest()
    }

    /// Keeps a message to be sent at once and returns; no gateway is waited for.
    ///
    /// # Errors
    /// When the store cannot be asked: then nothing is sent.
    ///
    /// # Panics
    /// Never: a message is plain data.
    pub async fn enqueue(&self, order: Order) -> Result<(), StoreError> {
        let content = Content {
            phone: order.phone.e164().to_owned(),
            code: order.code.expose_secret().to_owned(),
            channel: order.channel,
            platform: order.platform,
            language: order.language.to_owned(),
            ip: order.ip.filter(|ip| is_public(*ip)),
            is_pretended: order.is_pretended,
        };
        let id = self.entropy.bytes::<16>().to_vec();
        let plain = serde_json::to_vec(&content).expect("a message is plain data");
        let caller =
            (order.channel == Channel::GuestCall && !order.is_pretended).then(|| self.caller_tag(&order.phone));
        let message = NewMessage {
            sealed: self.keys.seal(Purpose::Outbox, &id, &plain),
            id,
            challenge: order.challenge,
            cooldown: order.cooldown,
            caller: caller.map(|tag| tag.to_vec()),
            is_known_device: order.is_known_device,
            expires_at_us: order.expires_at.as_microsecond(),
        };
        self.store.add_message(&message, self.clock.now_us()).await?;
        self.wake.notify_one();
        Ok(())
    }

    /// How the newest message of a challenge fares; `None` when there is none.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn progress(&self, challenge: &[u8]) -> Result<Option<Progress>, StoreError> {
        let row = self.store.message_state(challenge).await?;
        Ok(row.map(|(state, dial)| Progress {
            state: match state.as_str() {
                "sent" => DeliveryState::Sent,
                "delivered" => DeliveryState::Delivered,
                "failed" => DeliveryState::Failed,
                "confirmed" => DeliveryState::Confirmed,
                _ => DeliveryState::Queued,
            },
            dial,
        }))
    }

    /// Whether `digits` are those that a gateway chose for `challenge`, by the tag that is kept of them; constant time.
    #[must_use]
    pub fn are_chosen_digits(&self, challenge: &[u8], digits: &str, tag: &[u8]) -> bool {
        let parts: &[&[u8]] = &[b"chosen", challenge, digits.as_bytes()];
        self.keys.verify(Purpose::Code, parts, tag)
    }

    fn chosen_digits_tag(&self, challenge: &[u8], digits: &str) -> Tag {
        self.keys.mac(Purpose::Code, &[b"chosen", challenge, digits.as_bytes()])
    }

    /// The keyed hash of a phone that is to call us.
    fn caller_tag(&self, phone: &Phone) -> Tag {
        self.keys.mac(Purpose::Caller, &[b"caller", phone.e164().as_bytes()])
    }
}

/// Whether an address may be told to a gateway as the guest's: gateways refuse those of private networks.
fn is_public(ip: IpAddr) -> bool {
    !(ip.to_canonical().is_loopback() || public_only::is_private(ip))
}
