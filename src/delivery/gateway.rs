//! What a gateway is to the rest: it takes a finished message or says why not, and may report later.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;

use super::report::{Event, Report, ReportRefused};
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
    /// Where the guest asked from, when that is a public address.
    pub guest_ip: Option<IpAddr>,
    pub expires_at: Timestamp,
}

/// A gateway's promise to send.
pub(super) struct Accepted {
    /// The gateway's own id of the message, for reports.
    pub provider_id: Option<String>,
    /// The account's balance in the gateway's currency, when it says so.
    pub balance: Option<f64>,
    /// What the guest proves the phone by.
    pub proof: Proof,
}

impl Accepted {
    /// What a success without the word for it is taken for.
    pub fn in_other_words(message: &Message<'_>) -> Self {
        Self {
            provider_id: Some(message.id.to_owned()),
            balance: None,
            proof: Proof::Code,
        }
    }
}

/// What the guest proves the phone by.
pub(super) enum Proof {
    /// Our code.
    Code,
    /// The last four digits of the number that calls, chosen by the gateway.
    Digits(SecretString),
    /// The guest calls `dial`.
    Call {
        /// The number to be called, `+7…`.
        dial: String,
        /// By what the gateway is asked whether the call came; `None` when it reports by itself only.
        watched: Option<String>,
    },
}

/// Whether the guest's call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallSeen {
    NotYet,
    Seen,
    /// It is no longer waited for.
    Over,
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
    const ALL: [Self; 14] = [
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
    ];

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
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// Whether another gateway is tried with the same code.
    pub(super) fn goes_on(self) -> bool {
        !matches!(self, Self::BadPhone | Self::Fraud) && !self.is_for_waiting()
    }

    /// Whether the phone has had its messages: the guest has to wait, whatever the gateway.
    pub(super) fn is_for_waiting(self) -> bool {
        matches!(self, Self::RecipientLimit | Self::Duplicate)
    }
}

/// Why a message was not taken, or that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendError {
    /// It was not sent.
    Rejected(Reason),
    /// It was not sent, and the gateway says after how long it may be tried again.
    Later(Reason, Duration),
    /// Success without the word that stands for it: only where nobody else can be asked is it taken for one.
    Unsaid,
    /// It may have been sent: a timeout after the request left, a failure of the gateway, an answer that cannot be read.
    Uncertain,
}

impl SendError {
    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected(reason) | Self::Later(reason, _) => reason.as_str(),
            Self::Unsaid | Self::Uncertain => "uncertain",
        }
    }

    /// Why it was not sent; `None` when it may have been.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Rejected(reason) | Self::Later(reason, _) => Some(reason),
            Self::Unsaid | Self::Uncertain => None,
        }
    }

    /// The time to wait that the gateway told; else none.
    pub fn wait(self) -> Duration {
        match self {
            Self::Later(_, wait) => wait,
            _ => Duration::ZERO,
        }
    }

    /// A refusal for `reason`, with the gateway's time to wait when it told one.
    pub fn refused(reason: Reason, wait: Option<Duration>) -> Self {
        wait.map_or(Self::Rejected(reason), |wait| Self::Later(reason, wait))
    }
}

/// A gateway. What it cannot do it leaves as it stands here.
#[async_trait]
pub(super) trait Gateway: Send + Sync {
    fn name(&self) -> GatewayName;

    /// Channels it offers.
    fn channels(&self) -> &[Channel];

    /// Whether the same message may be handed over once more when nobody knows what became of it: the gateway knows it by its id.
    fn repeats_safely(&self) -> bool {
        false
    }

    /// Hands a message over.
    async fn send(&self, message: &Message<'_>, deadline: Deadline) -> Result<Accepted, SendError>;

    /// Whether [`Gateway::balance`] can be asked.
    fn tells_balance(&self) -> bool {
        false
    }

    /// The account's balance in the gateway's currency; shows that the gateway answers and knows us.
    async fn balance(&self, _deadline: Deadline) -> Result<f64, SendError> {
        Err(SendError::Uncertain)
    }

    /// Whether the guest's call came, by what the gateway gave to ask for it.
    async fn call_seen(&self, _watched: &str, _deadline: Deadline) -> Result<CallSeen, SendError> {
        Err(SendError::Uncertain)
    }

    /// What a report says, when it is the gateway's own.
    fn report(&self, _report: &Report<'_>, _now: Timestamp) -> Result<Vec<Event>, ReportRefused> {
        Err(ReportRefused::NotTaken)
    }
}

/// The client of all gateways: no redirects, no proxies of the environment.
pub(super) fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(2))
        .pool_idle_timeout(Duration::from_secs(20))
        .user_agent(concat!("guest-cabinet/", env!("CARGO_PKG_VERSION")))
}
