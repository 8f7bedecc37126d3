//! Hints between replicas: a subject was written, a session ended. They make others look sooner and prove nothing by their absence.
//!
//! On PostgreSQL hints travel by LISTEN/NOTIFY and leave with the write's own transaction; on SQLite there is one process, so they stay
//! inside it. Whether hints are heard is said by the [`Period`]: what was looked at in an earlier one may have missed some.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::engine::{Pool, Store};
use super::generations::Generation;
use super::trust::{Listening, Period};
use crate::keys::{Tag, hex, unhex};
use crate::model::{GuestKey, SessionId};

/// The channel of NOTIFY.
pub(super) const CHANNEL: &str = "guest_cabinet";

/// A lost connection is tried again after this long.
const RECONNECT: Duration = Duration::from_millis(500);

/// When nothing was heard for this long, a heartbeat is sent; when that is not heard in as long, hints are not heard either.
const SILENCE: Duration = Duration::from_secs(3);

/// A write waits this long for its own hint to come back: by then the other replicas have it, too.
const ECHO: Duration = Duration::from_millis(100);

/// What says that the connection lives, and nothing else.
const HEARTBEAT: &str = "heartbeat";

/// One thing that others should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A session ended.
    SessionEnded(SessionId),
    /// This guest was written.
    GuestWritten(GuestKey, Generation),
    /// The account of this keyed hash was written.
    AccountWritten(Tag, Generation),
}

impl Hint {
    pub(super) fn text(&self) -> String {
        match self {
            Self::SessionEnded(id) => format!("session {}", id.0.as_simple()),
            Self::GuestWritten(guest, number) => format!("guest {} {}", hex(&guest.0), number.0),
            Self::AccountWritten(account, number) => format!("account {} {}", hex(account), number.0),
        }
    }

    /// `None`: a heartbeat, or what another version says.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (kind, subject) = (words.next()?, words.next()?);
        let mut number = || words.next()?.parse().ok().map(Generation);
        Some(match kind {
            "session" => Self::SessionEnded(SessionId(uuid::Uuid::try_parse(subject).ok()?)),
            "guest" => Self::GuestWritten(GuestKey(unhex(subject)?), number()?),
            "account" => Self::AccountWritten(unhex(subject)?, number()?),
            _ => return None,
        })
    }
}

/// What a subscriber hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A hint.
    Hint(Hint),
    /// Hints may have been missed.
    Gap,
}

/// A subscription to hints.
pub struct Hints {
    receiver: broadcast::Receiver<Heard>,
    listening: Arc<Listening>,
}

impl Hints {
    /// The next one; `None` when the store is closed.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.receiver.recv().await {
            Ok(heard) => Some(heard),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                self.listening.missed();
                Some(Heard::Gap)
            }
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

pub(super) struct HintBus {
    /// Whether hints go by way of the database and come back.
    shared: bool,
    subscribers: broadcast::Sender<Heard>,
    /// What came by way of the database, this replica's own hints among them.
    echoes: broadcast::Sender<Hint>,
    listening: Arc<Listening>,
    stop: CancellationToken,
}

impl HintBus {
    pub(super) fn start(pool: &Pool) -> Self {
        let bus = Self {
            shared: matches!(pool, Pool::Postgres(_)),
            subscribers: broadcast::channel(4096).0,
            echoes: broadcast::channel(1024).0,
            listening: Arc::default(),
            stop: CancellationToken::new(),
        };
        match pool {
            Pool::Sqlite(_) => bus.listening.began(),
            Pool::Postgres(pool) => {
                let ear = Ear {
                    pool: pool.clone(),
                    subscribers: bus.subscribers.clone(),
                    echoes: bus.echoes.clone(),
                    listening: bus.listening.clone(),
                };
                tokio::spawn(ear.listen(bus.stop.clone()));
            }
        }
        bus
    }

    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

/// What listens to the database.
struct Ear {
    pool: PgPool,
    subscribers: broadcast::Sender<Heard>,
    echoes: broadcast::Sender<Hint>,
    listening: Arc<Listening>,
}

impl Ear {
    async fn listen(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                ended = self.connection() => {
                    if self.listening.ended() {
                        let _ = self.subscribers.send(Heard::Gap);
                        tracing::warn!(broken = ended.is_err(), "hints of other replicas are not heard; everything is looked at again after ten seconds");
                    }
                }
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(RECONNECT) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn connection(&self) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        // We reconnect ourselves: a silent reconnection would hide that something was missed.
        listener.eager_reconnect(false);
        listener.ignore_pool_close_event(true);
        listener.listen(CHANNEL).await?;
        say_alive(&mut listener).await?;
        let mut heartbeat_sent = true;
        loop {
            match tokio::time::timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => {
                    heartbeat_sent = false;
                    self.hear(notification.payload());
                }
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                // A connection may be dead, or something between may keep hints back, without anybody having said so.
                Err(_silence) if heartbeat_sent => return Err(sqlx::Error::PoolTimedOut),
                Err(_silence) => {
                    say_alive(&mut listener).await?;
                    heartbeat_sent = true;
                }
            }
        }
    }

    fn hear(&self, payload: &str) {
        if self.listening.period() == Period::NONE {
            self.listening.began();
            let _ = self.subscribers.send(Heard::Gap);
        }
        if let Some(hint) = Hint::read(payload) {
            let _ = self.subscribers.send(Heard::Hint(hint));
            let _ = self.echoes.send(hint);
        }
    }
}

/// Says something by way of the connection that hears.
async fn say_alive(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    let sent = sqlx::query("SELECT pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(HEARTBEAT)
        .execute(listener);
    let sent = tokio::time::timeout(SILENCE, sent).await;
    sent.map_err(|_| sqlx::Error::PoolTimedOut)??;
    Ok(())
}

/// Leaves a hint for other replicas inside a transaction: it goes out with it, or not at all.
macro_rules! leave_hint {
    ($store:expr, $transaction:ident, $hint:expr) => {
        if $store.is_shared() {
            sqlx::query("SELECT pg_notify($1, $2)")
                .bind($crate::store::hints::CHANNEL)
                .bind($hint.text())
                .execute(&mut *$transaction)
                .await?;
        }
    };
}
pub(super) use leave_hint;

/// Hints that a write is about to leave. Made before it is committed, so that none comes back unheard.
pub(super) struct Echo<'a> {
    bus: &'a HintBus,
    receiver: broadcast::Receiver<Hint>,
}

impl Echo<'_> {
    /// The write is committed: this process hears of it now, and the others have by the time this returns, if hints are heard at all.
    pub async fn committed(mut self, hints: &[Hint]) {
        for hint in hints {
            let _ = self.bus.subscribers.send(Heard::Hint(*hint));
        }
        let Some(last) = hints.last() else { return };
        // They come in the order in which they were left.
        let back = async { while self.receiver.recv().await.is_ok_and(|hint| hint != *last) {} };
        if self.bus.shared && self.bus.listening.period() != Period::NONE {
            let _ = tokio::time::timeout(ECHO, back).await;
        }
    }
}

impl Store {
    /// To be asked for before a transaction that leaves hints is committed.
    pub(super) fn expect_echo(&self) -> Echo<'_> {
        Echo {
            bus: &self.bus,
            receiver: self.bus.echoes.subscribe(),
        }
    }

    /// Since when hints of other replicas are heard without a break.
    #[must_use]
    pub fn period(&self) -> Period {
        self.bus.listening.period()
    }

    /// Hints from now on.
    #[must_use]
    pub fn hints(&self) -> Hints {
        Hints {
            receiver: self.bus.subscribers.subscribe(),
            listening: self.bus.listening.clone(),
        }
    }
}
