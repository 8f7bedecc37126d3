//! What replicas tell each other at once: a session ended, a guest's views are outdated.
//!
//! On PostgreSQL signals travel by LISTEN/NOTIFY; on SQLite there is one process, so they stay inside it. A receiver that learns
//! [`Signal::Lost`] must drop what it remembers: something may have been said meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::ears::Ears;
use super::engine::{Pool, Store, StoreError};
use crate::keys::{hex, unhex};
use crate::model::{AccountId, GuestKey, SessionId};

/// The channel of NOTIFY.
const CHANNEL: &str = "guest_cabinet";

/// A lost connection is tried again after this long.
const RECONNECT: Duration = Duration::from_millis(500);

/// When nothing was heard for this long, a heartbeat is sent; when that is not heard in as long, the others are not heard either.
const SILENCE: Duration = Duration::from_secs(3);

/// Who tells a thing waits this long for the others to say that they have heard it.
const ANSWERS: Duration = Duration::from_millis(100);

/// One thing every replica should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A session ended or was changed: forget it.
    SessionChanged(SessionId),
    /// A write happened for this guest: answers asked for before it are outdated.
    GuestChanged(GuestKey),
    /// The same, by the account's id.
    AccountChanged(AccountId),
    /// The connection was gone for a while: forget everything that a signal could have corrected.
    Lost,
}

impl Signal {
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::SessionChanged(id) => Some(format!("s{}", id.0.as_simple())),
            Self::GuestChanged(guest) => Some(format!("g{}", hex(&guest.0))),
            Self::AccountChanged(account) => Some(format!("a{}", account.as_str())),
            Self::Lost => None,
        }
    }

    /// What cannot be read may have been anything.
    pub(super) fn read(text: &str) -> Self {
        let read = || {
            let (kind, rest) = text.split_at_checked(1)?;
            Some(match kind {
                "s" => Self::SessionChanged(SessionId(uuid::Uuid::try_parse(rest).ok()?)),
                "g" => Self::GuestChanged(GuestKey(unhex(rest)?)),
                "a" => Self::AccountChanged(AccountId::parse(rest).ok()?),
                _ => return None,
            })
        };
        read().unwrap_or(Self::Lost)
    }
}

/// A receiver of signals. Lagging behind counts as [`Signal::Lost`].
pub struct Signals(broadcast::Receiver<Signal>);

impl Signals {
    /// The next signal; `None` when the store is closed.
    pub async fn next(&mut self) -> Option<Signal> {
        match self.0.recv().await {
            Ok(signal) => Some(signal),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Signal::Lost),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

pub(super) struct SignalBus {
    local: broadcast::Sender<Signal>,
    ears: Arc<Ears>,
    stop: CancellationToken,
}

impl SignalBus {
    pub(super) fn start(pool: &Pool) -> Self {
        let bus = Self {
            local: broadcast::channel(4096).0,
            ears: Arc::new(Ears::new(matches!(pool, Pool::Sqlite(_)))),
            stop: CancellationToken::new(),
        };
        if let Pool::Postgres(pool) = pool {
            tokio::spawn(listen(
                pool.clone(),
                bus.local.clone(),
                bus.ears.clone(),
                bus.stop.clone(),
            ));
        }
        bus
    }

    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

/// Hands what is notified to this process, and says when something may have been missed.
async fn listen(pool: PgPool, local: broadcast::Sender<Signal>, ears: Arc<Ears>, stop: CancellationToken) {
    loop {
        let connection = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            // We reconnect ourselves: a silent reconnection would hide that something was missed.
            listener.eager_reconnect(false);
            listener.ignore_pool_close_event(true);
            listener.listen(CHANNEL).await?;
            say(&mut listener, &ears.heartbeat()).await?;
            let mut beaten = true;
            loop {
                match tokio::time::timeout(SILENCE, listener.try_recv()).await {
                    Ok(Ok(Some(notification))) => {
                        beaten = false;
                        if !ears.hearing.swap(true, Ordering::Relaxed) {
                            let _ = local.send(Signal::Lost);
                        }
                        if let Some(answer) = ears.hear(notification.payload(), &local) {
                            say(&mut listener, &answer).await?;
                        }
                    }
                    Ok(Ok(None)) => return Ok::<(), sqlx::Error>(()),
                    Ok(Err(error)) => return Err(error),
                    // A connection may be dead, or something between may keep signals back, without anybody having said so.
                    Err(_silence) if beaten => return Err(sqlx::Error::PoolTimedOut),
                    Err(_silence) => {
                        say(&mut listener, &ears.heartbeat()).await?;
                        beaten = true;
                    }
                }
            }
        };
        tokio::select! {
            ended = connection => {
                if ears.hearing.swap(false, Ordering::Relaxed) {
                    let _ = local.send(Signal::Lost);
                    tracing::warn!(broken = ended.is_err(), "the connection for signals between replicas was lost");
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

/// Tells by way of the connection that hears.
async fn say(listener: &mut PgListener, payload: &str) -> Result<(), sqlx::Error> {
    let sent = sqlx::query("SELECT pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(payload)
        .execute(listener);
    let sent = tokio::time::timeout(SILENCE, sent).await;
    sent.map_err(|_| sqlx::Error::PoolTimedOut)??;
    Ok(())
}

impl Store {
    /// Tells `signal` to this process at once and to all other replicas, and waits a moment until they have heard it.
    ///
    /// # Errors
    /// When the others could not be told; this process knows nevertheless.
    pub async fn tell(&self, signal: Signal) -> Result<(), StoreError> {
        let text = signal.text();
        let _ = self.bus.local.send(signal);
        if let (Pool::Postgres(pool), Some(text)) = (&self.pool, text) {
            let ears = &self.bus.ears;
            let (payload, answers) = ears.ask(&text);
            sqlx::query("SELECT pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(&payload)
                .execute(pool)
                .await?;
            if self.hears_others() {
                let _ = tokio::time::timeout(ANSWERS, ears.answered(&payload, answers)).await;
            }
        }
        Ok(())
    }

    /// Whether signals of other replicas arrive: always with one process, else while the connection for them stands.
    #[must_use]
    pub fn hears_others(&self) -> bool {
        self.bus.ears.hearing.load(Ordering::Relaxed)
    }

    /// Signals from now on.
    #[must_use]
    pub fn signals(&self) -> Signals {
        Signals(self.bus.local.subscribe())
    }
}
