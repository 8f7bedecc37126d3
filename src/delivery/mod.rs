//! Bringing a code to a phone: a durable outbox, gateways behind one trait, ordered failover. Knows nothing of sessions or HTTP towards guests.
//!
//! A message is kept before anybody promises it; nothing waits while a gateway thinks. What can no longer be known (the process died in
//! the middle) is not sent again: the guest asks for the same code once more.

mod breaker;
mod console;
mod gateway;
mod reply;
mod smsc;
mod smsru;
mod telegram;
mod text;
mod webhook;
mod worker;

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use gateway::Reason;

use crate::clock::Clock;
use crate::config::{DeliveryConfig, GatewayName};
use crate::entropy::Entropy;
use crate::keys::{Keys, Purpose};
use crate::model::{Channel, Phone, Platform};
use crate::store::{OutboxRow, SharedStore, StoreError};
use breaker::Breaker;
use gateway::Gateway;

/// A code to be brought to a phone.
pub struct Order {
    /// The tag of its challenge.
    pub challenge: Vec<u8>,
    /// The key of the cooldown that is given back when it cannot be sent.
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

/// What stands sealed in the outbox.
#[derive(Serialize, Deserialize)]
struct Content {
    phone: String,
    code: String,
    channel: Channel,
    platform: Platform,
    language: String,
}

/// A gateway with its breaker.
struct Line {
    gateway: Box<dyn Gateway>,
    breaker: Breaker,
}

/// The room.
pub struct Delivery {
    lines: Vec<Line>,
    channels: Vec<Channel>,
    texts: text::Texts,
    store: SharedStore,
    keys: Arc<Keys>,
    clock: Clock,
    entropy: Entropy,
    wake: Notify,
    turns: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
    console: Option<console::Shown>,
}

/// Messages sent at once.
const PARALLEL: usize = 64;

impl Delivery {
    /// Opens the room and starts sending what waits.
    ///
    /// # Errors
    /// One plain line about a gateway that cannot be set up.
    pub fn start(
        config: &DeliveryConfig,
        host: &str,
        store: SharedStore,
        keys: Arc<Keys>,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Arc<Self>, String> {
        let console = config
            .gateways
            .contains(&GatewayName::Console)
            .then(console::Shown::default);
        let http = gateway::client().map_err(|error| format!("delivery: {error}"))?;
        let mut lines = Vec::new();
        for name in &config.gateways {
            let gateway = gateway(*name, config, &http, console.as_ref(), &clock)
                .map_err(|problem| format!("delivery.{}: {problem}", name.as_str()))?;
            lines.push(Line {
                gateway,
                breaker: Breaker::new(clock.clone()),
            });
        }
        let mut channels: Vec<Channel> = Vec::new();
        for channel in lines.iter().flat_map(|line| line.gateway.channels()) {
            if !channels.contains(channel) {
                channels.push(*channel);
            }
        }
        let room = Arc::new(Self {
            lines,
            channels,
            texts: text::Texts::new(config.brand.as_deref(), host, config.android_hash.as_deref()),
            store,
            keys,
            clock,
            entropy,
            wake: Notify::new(),
            turns: Arc::new(Semaphore::new(PARALLEL)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            console,
        });
        tokio::spawn(worker::run(room.clone()));
        Ok(room)
    }

    /// Ends the background work; messages under way are finished.
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

    /// The latest codes that the console showed, newest first: masked phone and code. Empty without the console.
    #[must_use]
    pub fn console_codes(&self) -> Vec<(String, String)> {
        self.console.as_ref().map(console::Shown::latest).unwrap_or_default()
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
        };
        let id = self.entropy.bytes::<16>().to_vec();
        let plain = serde_json::to_vec(&content).expect("a message is plain data");
        let row = OutboxRow {
            sealed: self.keys.seal(Purpose::Outbox, &id, &plain),
            id,
            challenge: order.challenge,
            cooldown: order.cooldown,
            expires_at_us: order.expires_at.as_microsecond(),
        };
        self.store.add_message(&row, self.clock.now_us()).await?;
        self.wake.notify_one();
        Ok(())
    }

    /// How the newest message of a challenge fares; `None` when there is none.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn state(&self, challenge: &[u8]) -> Result<Option<DeliveryState>, StoreError> {
        let state = self.store.message_state(challenge).await?;
        Ok(state.map(|state| match state.as_str() {
            "sent" => DeliveryState::Sent,
            "delivered" => DeliveryState::Delivered,
            "failed" => DeliveryState::Failed,
            "confirmed" => DeliveryState::Confirmed,
            _ => DeliveryState::Queued,
        }))
    }

    /// The keyed hash a gateway's own id of a message is kept by.
    fn provider_tag(&self, gateway: GatewayName, id: &str) -> [u8; 32] {
        self.keys.mac(
            Purpose::Outbox,
            &[b"provider", gateway.as_str().as_bytes(), id.as_bytes()],
        )
    }
}

fn gateway(
    name: GatewayName,
    config: &DeliveryConfig,
    http: &reqwest::Client,
    console: Option<&console::Shown>,
    clock: &Clock,
) -> Result<Box<dyn Gateway>, String> {
    const MISSING: &str = "is in delivery.gateways and has no settings";
    Ok(match name {
        GatewayName::Console => Box::new(console::Console::new(console.cloned().unwrap_or_default())),
        GatewayName::Webhook => {
            let settings = config.webhook.clone().ok_or(MISSING)?;
            Box::new(webhook::Webhook::new(settings, http.clone(), clock.clone())?)
        }
        GatewayName::Smsru => Box::new(smsru::Smsru::new(config.smsru.clone().ok_or(MISSING)?, http.clone())),
        GatewayName::Smsc => Box::new(smsc::Smsc::new(config.smsc.clone().ok_or(MISSING)?, http.clone())),
        GatewayName::Telegram => Box::new(telegram::Telegram::new(
            config.telegram.clone().ok_or(MISSING)?,
            http.clone(),
        )),
    })
}
