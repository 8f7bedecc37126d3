//! What replicas tell each other at once: a session ended, a guest's views are outdated.
//!
//! On PostgreSQL signals travel by LISTEN/NOTIFY; on SQLite there is one process, so they stay inside it. A receiver that learns
//! [`Signal::Lost`] must drop what it remembers: something may have been said meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::engine::{Pool, Store, StoreError};
use crate::keys::{hex, unhex};
use crate::model::{AccountId, GuestKey, SessionId};

/// The channel of NOTIFY.
const CHANNEL: &str = "guest_cabinet";

/// A lost connection is tried again after this long.
const RECONNECT: Duration = Duration::from_millis(500);

/// A connection that has said nothing for this long is asked whether it lives, and has as long to answer.
const SILENCE: Duration = Duration::from_secs(3);

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
    fn payload(&self) -> Option<String> {
        match self {
            Self::SessionChanged(id) => Some(format!("s{}", id.0.as_simple())),
            Self::GuestChanged(guest) => Some(format!("g{}", hex(&guest.0))),
            Self::AccountChanged(account) => Some(format!("a{}", account.as_str())),
            Self::Lost => None,
        }
    }

    /// What cannot be read may have been anything.
    fn read(payload: &str) -> Self {
        let read = || {
            let (kind, rest) = payload.split_at_checked(1)?;
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
    hearing: Arc<AtomicBool>,
    stop: CancellationToken,
}

impl SignalBus {
    pub(super) fn start(pool: &Pool) -> Self {
        let bus = Self {
            local: broadcast::channel(4096).0,
            hearing: Arc::new(AtomicBool::new(true)),
            stop: CancellationToken::new(),
        };
        if let Pool::Postgres(pool) = pool {
            bus.hearing.store(false, Ordering::Relaxed);
            tokio::spawn(listen(
                pool.clone(),
                bus.local.clone(),
                bus.hearing.clone(),
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
async fn listen(pool: PgPool, local: broadcast::Sender<Signal>, hearing: Arc<AtomicBool>, stop: CancellationToken) {
    loop {
        let connection = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            // We reconnect ourselves: a silent reconnection would hide that something was missed.
            listener.eager_reconnect(false);
            listener.ignore_pool_close_event(true);
            listener.listen(CHANNEL).await?;
            hearing.store(true, Ordering::Relaxed);
            let _ = local.send(Signal::Lost);
            loop {
                match tokio::time::timeout(SILENCE, listener.try_recv()).await {
                    Ok(Ok(Some(notification))) => drop(local.send(Signal::read(notification.payload()))),
                    Ok(Ok(None)) => return Ok::<(), sqlx::Error>(()),
                    Ok(Err(error)) => return Err(error),
                    // A connection that says nothing may be dead without anybody having said so.
                    Err(_silence) => {
                        let asked = sqlx::query("SELECT 1").execute(&mut listener);
                        let answered = tokio::time::timeout(SILENCE, asked).await;
                        answered.map_err(|_| sqlx::Error::PoolTimedOut)??;
                    }
                }
            }
        };
        tokio::select! {
            ended = connection => {
                if hearing.swap(false, Ordering::Relaxed) {
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

impl Store {
    /// Tells `signal` to this process at once and to all other replicas.
    ///
    /// # Errors
    /// When the others could not be told; this process knows nevertheless.
    pub async fn tell(&self, signal: Signal) -> Result<(), StoreError> {
        let payload = signal.payload();
        let _ = self.bus.local.send(signal);
        if let (Pool::Postgres(pool), Some(payload)) = (&self.pool, payload) {
            sqlx::query("SELECT pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(payload)
                .execute(pool)
                .await?;
        }
        Ok(())
    }

    /// Whether signals of other replicas arrive: always with one process, else while the connection for them stands.
    #[must_use]
    pub fn hears_others(&self) -> bool {
        self.bus.hearing.load(Ordering::Relaxed)
    }

    /// Signals from now on.
    #[must_use]
    pub fn signals(&self) -> Signals {
        Signals(self.bus.local.subscribe())
    }
}
