//! After a restore of an older state: orders that it does not know may have been carried out before, so new ones are looked for first.

use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Clock;
use crate::store::{LostOrders, SharedStore, StoreError};

/// New orders are looked for so long after a restore: whoever repeats what it gave before has done so by then.
const LOOKING: Duration = Duration::from_hours(24);

/// Knows of restores.
pub(super) struct Restores {
    store: SharedStore,
    clock: Clock,
    lost: Mutex<LostOrders>,
}

impl Restores {
    /// Looks whether the state was brought back since the program last lived.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn start(store: SharedStore, clock: Clock) -> Result<Self, StoreError> {
        let restores = Self {
            store,
            clock,
            lost: Mutex::default(),
        };
        restores.watch().await?;
        Ok(restores)
    }

    /// Says that the program lives, and looks whether the state was brought back under it.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn watch(&self) -> Result<(), StoreError> {
        let (restored, lost) = self.store.watch_for_restore(self.clock.now_us(), LOOKING).await?;
        if restored {
            tracing::warn!(target: "audit", event = "state_restored", "this state is an older one: new orders are looked for in ProBonus before they are sent, for a day");
        }
        *self.lost() = lost;
        Ok(())
    }

    /// Since when orders may have been carried out that this state does not know, while new ones are looked for; in microseconds.
    pub fn lost_since_us(&self) -> Option<i64> {
        let lost = *self.lost();
        (self.clock.now_us() < lost.until_us).then_some(lost.from_us)
    }

    /// The program stops in order.
    pub async fn stop(&self) {
        if let Err(error) = self.store.note_stop(self.clock.now_us()).await {
            tracing::warn!(%error, "the stop could not be kept: the next start may take the state for an older one");
        }
    }

    fn lost(&self) -> std::sync::MutexGuard<'_, LostOrders> {
        self.lost.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
