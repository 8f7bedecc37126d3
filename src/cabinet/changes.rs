//! Writes outdate what is in memory, here and on every other replica.

use std::sync::Arc;

use super::Cabinet;
use crate::model::{Guest, GuestKey};
use crate::store::{Signal, account_subject};

impl Cabinet {
    /// A write happened for this guest: on every replica what was asked for before is outdated.
    pub(super) async fn changed(&self, guest: &Guest) {
        if self
            .store
            .outdate_views(&guest.key.0, self.clock.now_us())
            .await
            .is_err()
        {
            tracing::warn!("kept views could not be removed after a write; they are at most as old as their freshness");
        }
        // After the store's: what somebody read out of it until now goes as well.
        self.guests.slots(guest.key).outdate();
        if self.store.tell(Signal::GuestChanged(guest.key)).await.is_err() {
            tracing::warn!("the other replicas could not be told of a write; they find out within ten seconds");
        }
    }

    fn heard(&self, signal: &Signal) {
        let outdate = |guest: &GuestKey| {
            if let Some(slots) = self.guests.present(guest) {
                slots.outdate();
            }
            self.watching.nudge(*guest);
        };
        match signal {
            Signal::GuestChanged(guest) => outdate(guest),
            Signal::AccountChanged(account) => {
                let subject = account_subject(&self.keys, account);
                if let Some(guest) = self.guests.owner(&subject) {
                    outdate(&guest);
                }
            }
            // What a missed signal could have corrected is not shown any more; what the store keeps has seen every write.
            Signal::Lost => self.guests.forget_all(),
            Signal::SessionChanged(_) => {}
        }
    }
}

/// Hears other replicas, and this one's own partner operations.
pub(super) async fn listen(room: Arc<Cabinet>) {
    let mut signals = room.store.signals();
    loop {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            () = room.stop.cancelled() => return,
        };
        match signal {
            Some(signal) => room.heard(&signal),
            None => return,
        }
    }
}
