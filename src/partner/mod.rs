//! Money-like writes exactly once, over an upstream that checks nothing: the intent is on disk before ProBonus is called, one call
//! leaves, and when its outcome is not known it is settled by reading, never repeated blindly. Knows nothing of HTTP.
//!
//! `pending → sent → registered | rejected | unknown`. Found `pending` after a crash: nothing was sent, and whoever comes first goes on.
//! Found `sent`: it becomes `unknown` and is settled. Audit records (`target: "audit"`) name partner, operation and outcome, and nobody.

mod attempt;
mod caps;
mod carry_out;
mod console;
mod day;
mod evidence;
mod keys;
mod lease;
mod ledger;
mod operate;
mod order;
mod seen;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use caps::{Breach, BreachKind};
pub use console::{list, resolve, show};
pub use keys::Caller;
pub use ledger::Ledger;
pub use order::{CheckOrder, Order, RefillOrder, Whose};

use crate::clock::Clock;
use crate::config::PartnerConfig;
use crate::entropy::Entropy;
use crate::keys::{Keys, sha256};
use crate::model::GuestKey;
use crate::store::{SharedStore, StoreError};

/// An owner that is not heard of for this long is gone. A living one says so every third of it.
const LEASE: Duration = Duration::from_secs(6);

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Being worked on; nothing or something may have left.
    Pending,
    /// ProBonus has it.
    Registered,
    /// ProBonus refused it for good.
    Rejected,
    /// Not known yet; it is being settled.
    Unknown,
}

impl State {
    /// What a kept word means; what is sent is under way for its partner.
    fn of(word: &str) -> Self {
        match word {
            "registered" => Self::Registered,
            "rejected" => Self::Rejected,
            "unknown" => Self::Unknown,
            _ => Self::Pending,
        }
    }

    /// Its word in audit records.
    fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Registered => "registered",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

/// An operation as its partner sees it.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its public id.
    pub id: String,
    /// What became of it.
    pub state: State,
    /// Recorded attempts to do it.
    pub attempts: i64,
    /// When it was first asked for, in microseconds.
    pub created_at_us: i64,
    /// When the state last changed, in microseconds.
    pub changed_at_us: i64,
    /// Whether this is the outcome of an earlier request.
    pub replayed: bool,
}

/// Why an operation went no further.
#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    /// No key, or none of ours.
    #[error("no partner's key")]
    Unauthenticated,
    /// The key does not have the scope.
    #[error("the scope is missing")]
    ScopeMissing,
    /// Too many calls, or the day's sum is used up.
    #[error("a limit is exhausted")]
    TooMany {
        /// When to come again.
        retry_after: Duration,
    },
    /// It is beyond what its partner may order; nothing was kept.
    #[error("the order is beyond its partner's caps")]
    BeyondCaps(Vec<Breach>),
    /// The same GUID was used for another check.
    #[error("another order under the same guid")]
    CheckConflict,
    /// The same key was used for another refill.
    #[error("another order under the same key")]
    IdempotencyMismatch,
    /// The same operation is under way.
    #[error("the operation is under way")]
    InProgress,
    /// ProBonus refused it for good.
    #[error("ProBonus refused it")]
    Rejected {
        /// Whether this is the outcome of an earlier request.
        replayed: bool,
    },
    /// Nobody has an account with this phone.
    #[error("there is no account")]
    AccountAbsent,
    /// There is no such operation of this partner.
    #[error("there is no such operation")]
    NotFound,
    /// ProBonus could not be reached; nothing was done.
    #[error("ProBonus cannot be reached")]
    Unavailable {
        /// When to come again.
        retry_after: Duration,
    },
    /// Too much at once; nothing was done.
    #[error("too many calls are under way")]
    Overloaded,
    /// ProBonus answered nonsense; nothing was done.
    #[error("ProBonus answered nonsense")]
    UpstreamInvalid,
    /// The store cannot be asked; nothing was sent.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A bug of ours.
    #[error("a bug")]
    Internal,
}

/// The room.
pub struct Partner {
    partners: std::collections::BTreeMap<String, PartnerConfig>,
    /// The longest time a call may still take effect after its end.
    late_effect: Duration,
    zone: TimeZone,
    day_start: Time,
    ledger: Arc<dyn Ledger>,
    store: SharedStore,
    keys: Arc<Keys>,
    clock: Clock,
    entropy: Entropy,
    seen: seen::Seen,
    wake: Notify,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What the room is given.
pub struct Tools {
    /// ProBonus.
    pub ledger: Arc<dyn Ledger>,
    /// State.
    pub store: SharedStore,
    /// Keys.
    pub keys: Arc<Keys>,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
}

impl Partner {
    /// Opens the room and starts settling what an earlier life left open. A call may still take effect for
    /// `late_effect` after its end; a business day begins at that time in that zone.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn start(
        partners: std::collections::BTreeMap<String, PartnerConfig>,
        late_effect: Duration,
        (zone, day_start): (TimeZone, Time),
        tools: Tools,
    ) -> Result<Arc<Self>, StoreError> {
        if !tools.store.is_shared() {
            tools.store.end_all_leases().await?;
        }
        let room = Arc::new(Self {
            partners,
            late_effect,
            zone,
            day_start,
            ledger: tools.ledger,
            store: tools.store,
            keys: tools.keys,
            clock: tools.clock,
            entropy: tools.entropy,
            seen: seen::Seen::default(),
            wake: Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        tokio::spawn(settle::run(room.clone()));
        Ok(room)
    }

    /// Ends the background work; operations under way are finished.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What a guest's slots are outdated by when only the phone is known.
    fn guest_key(&self, phone: &crate::model::Phone) -> GuestKey {
        GuestKey(
            self.keys
                .mac(crate::keys::Purpose::PhoneFingerprint, &[phone.e164().as_bytes()]),
        )
    }
}

/// The key of what must stay unique for ever. It depends on no secret: a rotation must not make an old order a new one.
fn key_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut text = Vec::new();
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    }
    sha256(&text)
}
