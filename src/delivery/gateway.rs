//! What a gateway is to the rest: it takes a finished text, or says why not.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::clock::Deadline;
use crate::config::GatewayName;
use crate::model::{Channel, Phone};

/// A message ready to go. `Debug` is not implemented: it holds a phone and a code.
pub(super) struct Message<'a> {
    /// Stable over tries: the same message has the same id.
    pub id: &'a str,
    pub phone: &'a Phone,
    pub code: &'a str,
    pub text: &'a str,
    pub channel: Channel,
    pub language: &'a str,
    pub expires_at: Timestamp,
}

/// A gateway's promise to send.
pub(super) struct Accepted {
    /// The gateway's own id of the message, for reports.
    pub provider_id: Option<String>,
    /// The account's balance in the gateway's currency, when it says so.
    pub balance: Option<f64>,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Wrong credentials.
    Auth,
    /// No money.
    Balance,
    /// The sender's name is not approved.
    Sender,
    /// The request makes no sense to the gateway.
    BadRequest,
    /// The text is not allowed.
    Content,
    /// The gateway is out of order.
    Unavailable,
    /// The account's own limit.
    AccountLimit,
    /// This phone cannot be reached this way.
    Unreachable,
    /// Its country is not served.
    Country,
    /// It stands on a stop list.
    StopList,
    /// It is no phone.
    BadPhone,
    /// Too many messages to this phone.
    RecipientLimit,
    /// The same message was just sent.
    Duplicate,
    /// The gateway suspects fraud.
    Fraud,
}

impl Reason {
    /// The word in metrics and in what a webhook's receiver answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Balance => "balance",
            Self::Sender => "sender",
            Self::BadRequest => "bad_request",
            Self::Content => "content",
            Self::Unavailable => "unavailable",
            Self::AccountLimit => "account_limit",
            Self::Unreachable => "unreachable",
            Self::Country => "country",
            Self::StopList => "stop_list",
            Self::BadPhone => "bad_phone",
            Self::RecipientLimit => "recipient_limit",
            Self::Duplicate => "duplicate",
            Self::Fraud => "fraud",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [
            Self::Auth,
            Self::Balance,
            Self::Sender,
            Self::BadRequest,
            Self::Content,
            Self::Unavailable,
            Self::AccountLimit,
            Self::Unreachable,
            Self::Country,
            Self::StopList,
            Self::BadPhone,
            Self::RecipientLimit,
            Self::Duplicate,
            Self::Fraud,
        ]
        .into_iter()
        .find(|reason| reason.as_str() == name)
    }

    /// Whether another gateway is tried with the same code.
    pub(super) fn goes_on(self) -> bool {
        !matches!(
            self,
            Self::BadPhone | Self::RecipientLimit | Self::Duplicate | Self::Fraud
        )
    }
}

/// Why a message was not taken, or that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendError {
    /// It was not sent.
    Rejected(Reason),
    /// It may have been sent: a timeout after the request left, a failure of the gateway, an answer that cannot be read.
    Uncertain,
}

/// A gateway.
#[async_trait]
pub(super) trait Gateway: Send + Sync {
    fn name(&self) -> GatewayName;

    /// Channels it offers.
    fn channels(&self) -> &[Channel];

    /// Hands a message over.
    async fn send(&self, message: &Message<'_>, deadline: Deadline) -> Result<Accepted, SendError>;
}

/// The client of all gateways: no redirects, no proxies of the environment.
pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(2))
        .pool_idle_timeout(Duration::from_secs(20))
        .user_agent(concat!("guest-cabinet/", env!("CARGO_PKG_VERSION")))
        .build()
}
