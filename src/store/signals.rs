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

/// When nothing was heard for this long, a heartbeat is sent; when that is not heard in as long, the others are not heard either.
const SILENCE: Duration = Duration::from_secs(3);

/// Who tells a thing waits this long for hearing it: then the others have heard it too, or are about to.
const ECHO: Duration = Duration::from_millis(100);

/// Says nothing but that signals arrive.
const HEARTBEAT: &str = "h";

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
    /// What was notified, as it was heard.
    heard: broadcast::Sender<Arc<str>>,
    hearing: Arc<AtomicBool>,
    stop: CancellationToken,
}

impl SignalBus {
    pub(super) fn start(pool: &Pool) -> Self {
        let bus = Self {
            local: broadcast::channel(4096).0,
            heard: broadcast::channel(1024).0,
            hearing: Arc::new(AtomicBool::new(true)),
            stop: CancellationToken::new(),
        };
        if let Pool::Postgres(pool) = pool {
            bus.hearing.store(false, Ordering::Relaxed);
            tokio::spawn(listen(
                pool.clone(),
                bus.local.clone(),
                bus.heard.clone(),
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
async fn listen(
    pool: PgPool,
    local: broadcast::Sender<Signal>,
    heard: broadcast::Sender<Arc<str>>,
    hearing: Arc<AtomicBool>,
    stop: CancellationToken,
) {
    loop {
        let connection = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            // We reconnect ourselves: a silent reconnection would hide that something was missed.
            listener.eager_reconnect(false);
            listener.ignore_pool_close_event(true);
            listener.listen(CHANNEL).await?;
            beat(&mut listener).await?;
            let mut beaten = true;
            loop {
                match tokio::time::timeout(SILENCE, listener.try_recv()).await {
                    Ok(Ok(Some(notification))) => {
                        beaten = false;
                        if !hearing.swap(true, Ordering::Relaxed) {
                            let _ = local.send(Signal::Lost);
                        }
                        if notification.payload() != HEARTBEAT {
                            let _ = local.send(Signal::read(notification.payload()));
                        }
                        let _ = heard.send(notification.payload().into());
                    }
                    Ok(Ok(None)) => return Ok::<(), sqlx::Error>(()),
                    Ok(Err(error)) => return Err(error),
                    // A connection may be dead, or something between may keep signals back, without anybody having said so.
                    Err(_silence) if beaten => return Err(sqlx::Error::PoolTimedOut),
                    Err(_silence) => {
                        beat(&mut listener).await?;
                        beaten = true;
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

/// Sends a heartbeat by way of the connection that is to hear it.
async fn beat(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    let sent = sqlx::query("SELECT pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(HEARTBEAT)
        .execute(listener);
    let sent = tokio::time::timeout(SILENCE, sent).await;
    sent.map_err(|_| sqlx::Error::PoolTimedOut)??;
    Ok(())
}

/// Until `payload` is heard, or it cannot be told any more whether it was.
async fn heard(mut echo: broadcast::Receiver<Arc<str>>, payload: &str) {
    while echo.recv().await.is_ok_and(|said| *said != *payload) {}
}

impl Store {
    /// Tells `signal` to this process at once and to all other replicas, and waits a moment for its being heard.
    ///
    /// # Errors
    /// When the others could not be told; this process knows nevertheless.
    pub async fn tell(&self, signal: Signal) -> Result<(), StoreError> {
        let payload = signal.payload();
        let _ = self.bus.local.send(signal);
        if let (Pool::Postgres(pool), Some(payload)) = (&self.pool, payload) {
            let echo = self.bus.heard.subscribe();
            sqlx::query("SELECT pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(&payload)
                .execute(pool)
                .await?;
            if self.hears_others() {
                let _ = tokio::time::timeout(ECHO, heard(echo, &payload)).await;
            }
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
