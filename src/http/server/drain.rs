//! The moment from which connections end as soon as what is under way at them is done.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// One server's. Connections look at the flag at every turn, so it is no more than that.
#[derive(Default)]
pub(super) struct Drain {
    begun: AtomicBool,
    bell: Notify,
}

impl Drain {
    /// Tells all connections.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
        self.bell.notify_waiters();
    }

    /// Whether they were told.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
    }

    /// Wakes whoever polled it once when they are told; whoever makes it later sees the flag.
    pub fn begins(&self) -> Notified<'_> {
        self.bell.notified()
    }
}
