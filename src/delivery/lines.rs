//! The configured gateways, each with what protects the rest from it: a breaker and a bound on messages at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::breaker::{Breaker, Change};
use super::gateway::{self, Gateway, SendError};
use super::public_only::PublicOnly;
use super::{console, smsc, smsru, telegram, webhook};
use crate::clock::{Clock, Deadline};
use crate::config::{DeliveryConfig, GatewayName};
use crate::model::Channel;

/// Messages that one gateway is given at once: a slow one holds up no more than these.
const AT_ONCE: usize = 32;

/// A gateway's time to tell its balance.
const BALANCE_TIME: Duration = Duration::from_secs(5);

/// A gateway with its protection.
pub(super) struct Line {
    pub gateway: Box<dyn Gateway>,
    pub breaker: Breaker,
    pub turns: Semaphore,
}

impl Line {
    pub fn name(&self) -> &'static str {
        self.gateway.name().as_str()
    }

    pub fn offers(&self, channel: Channel) -> bool {
        self.gateway.channels().contains(&channel)
    }

    /// Tells breaker, metrics and the operator how a try went.
    pub fn tell(&self, outcome: Result<(), SendError>) {
        let name = self.name();
        let change = self.breaker.tell(outcome);
        match change {
            Change::Nothing => return,
            Change::Opened => {
                let reason = outcome.err().map_or("", SendError::as_str);
                tracing::error!(target: "security", event = "gateway_left_out", gateway = name, reason);
            }
            Change::Closed => tracing::info!(target: "security", event = "gateway_back", gateway = name),
        }
        let left_out = if change == Change::Opened { 1.0 } else { 0.0 };
        metrics::gauge!("cabinet_gateway_left_out", "gateway" => name).set(left_out);
    }

    /// Asks for the balance; an account without money is no better than a gateway that is down.
    pub async fn ask_balance(&self) -> Result<f64, SendError> {
        let balance = self.gateway.balance(Deadline::within(BALANCE_TIME)).await?;
        self.show_balance(Some(balance));
        if balance <= 0.0 {
            return Err(SendError::Rejected(gateway::Reason::Balance));
        }
        Ok(balance)
    }

    pub fn show_balance(&self, balance: Option<f64>) {
        if let Some(balance) = balance {
            metrics::gauge!("cabinet_gateway_balance", "gateway" => self.name()).set(balance);
        }
    }
}

/// The gateways in the order of the configuration.
pub(super) fn lines(
    config: &DeliveryConfig,
    public_url: &url::Url,
    console: &console::Shown,
    clock: &Clock,
) -> Result<Vec<Line>, String> {
    let http = gateway::client()
        .build()
        .map_err(|error| format!("delivery: {error}"))?;
    let line = |name: &GatewayName| {
        let gateway = gateway(*name, config, public_url, console, &http, clock)
            .map_err(|problem| format!("delivery.{}: {problem}", name.as_str()))?;
        Ok(Line {
            breaker: Breaker::new(clock.clone(), gateway.tells_balance()),
            turns: Semaphore::new(AT_ONCE),
            gateway,
        })
    };
    config.gateways.iter().map(line).collect()
}

fn gateway(
    name: GatewayName,
    config: &DeliveryConfig,
    public_url: &url::Url,
    console: &console::Shown,
    http: &reqwest::Client,
    clock: &Clock,
) -> Result<Box<dyn Gateway>, String> {
    const MISSING: &str = "is in delivery.gateways and has no settings";
    let (http, clock) = (http.clone(), clock.clone());
    Ok(match name {
        GatewayName::Console => Box::new(console::Console::new(console.clone())),
        GatewayName::Webhook => {
            let settings = config.webhook.clone().ok_or(MISSING)?;
            let http = if settings.allow_private {
                http
            } else {
                let http = gateway::client().dns_resolver(Arc::new(PublicOnly)).build();
                http.map_err(|error| error.to_string())?
            };
            Box::new(webhook::Webhook::new(settings, http, clock)?)
        }
        GatewayName::Smsru => Box::new(smsru::Smsru::new(config.smsru.clone().ok_or(MISSING)?, http, clock)),
        GatewayName::Smsc => Box::new(smsc::Smsc::new(config.smsc.clone().ok_or(MISSING)?, http)),
        GatewayName::Telegram => {
            let settings = config.telegram.clone().ok_or(MISSING)?;
            Box::new(telegram::Telegram::new(settings, public_url, http, clock))
        }
    })
}

/// Every channel that some gateway offers, in the order of the gateways.
pub(super) fn channels(lines: &[Line]) -> Vec<Channel> {
    let mut channels = Vec::new();
    for channel in lines.iter().flat_map(|line| line.gateway.channels()) {
        if !channels.contains(channel) {
            channels.push(*channel);
        }
    }
    channels
}

/// What an operator should know of a gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayCheck {
    /// Which one.
    pub name: GatewayName,
    /// What it offers.
    pub channels: Vec<Channel>,
    /// What it answered.
    pub answer: GatewayAnswer,
}

/// What a gateway answered when it was asked without a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GatewayAnswer {
    /// It knows us; this is the account's balance in its currency.
    Balance(f64),
    /// It cannot be asked without sending something.
    NotAsked,
    /// It refused, for this reason.
    Refused(gateway::Reason),
    /// It does not answer in time, or nothing that can be read.
    Silent,
}

/// Asks every configured gateway, without sending anything and without a store. For the operator's check.
///
/// # Errors
/// One plain line about a gateway that cannot be set up.
pub async fn check(config: &DeliveryConfig, public_url: &url::Url, clock: &Clock) -> Result<Vec<GatewayCheck>, String> {
    let mut checks = Vec::new();
    for line in lines(config, public_url, &console::Shown::default(), clock)? {
        let answer = if line.gateway.tells_balance() {
            match line.ask_balance().await {
                Ok(balance) => GatewayAnswer::Balance(balance),
                Err(error) => error.reason().map_or(GatewayAnswer::Silent, GatewayAnswer::Refused),
            }
        } else {
            GatewayAnswer::NotAsked
        };
        checks.push(GatewayCheck {
            name: line.gateway.name(),
            channels: line.gateway.channels().to_vec(),
            answer,
        });
    }
    Ok(checks)
}
