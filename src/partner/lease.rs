//! Whose turn it is: an operation is worked on by one owner, who says every other second that it lives.
//!
//! An owner that cannot say so in time stops before anybody else may begin: it measures its lease on its own steady clock, from before the
//! statement that gave it, and looks at that before anything else whenever it comes to run again, also after a long standstill.

use std::time::Duration;

use crate::clock::{Clock, Deadline, micros};
use crate::store::{OperationRow, SharedStore};

/// An owner that is not heard of for this long is gone.
pub(super) const LEASE: Duration = Duration::from_secs(6);

/// A living owner says so this often.
const BEAT: Duration = LEASE.checked_div(3).expect("three is not zero");

/// Gives and keeps leases.
pub(super) struct Leases {
    store: SharedStore,
    clock: Clock,
}

impl Leases {
    pub fn new(store: SharedStore, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Until when a lease given now is believed, as the store keeps it.
    pub fn until_us(&self) -> i64 {
        self.clock.now_us() + micros(LEASE)
    }

    /// Does `work` on an operation that was claimed, with its lease until `held`; `None` when the operation was lost meanwhile: then
    /// `work` is dropped where it stands.
    pub async fn while_owned<T>(&self, row: &OperationRow, held: Deadline, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            // In this order: after a standstill nothing goes on before the lease was looked at.
            biased;
            () = self.lost(row, held) => {
                tracing::warn!(target: "audit", partner = row.partner.as_str(), event = "operation_lost", operation = row.id.as_str());
                None
            }
            done = work => Some(done),
        }
    }

    /// Keeps the lease; returns when it is lost.
    async fn lost(&self, row: &OperationRow, mut held: Deadline) {
        loop {
            tokio::time::sleep(BEAT.min(held.remaining())).await;
            if held.remaining().is_zero() {
                return;
            }
            let renewed = Deadline::within(LEASE);
            let said = self.store.operation_alive(row, self.until_us());
            match tokio::time::timeout_at(held.instant(), said).await {
                Ok(Ok(true)) => held = renewed,
                Ok(Ok(false)) | Err(_) => return,
                // The store may be back before the lease is over.
                Ok(Err(_)) => {}
            }
        }
    }
}
