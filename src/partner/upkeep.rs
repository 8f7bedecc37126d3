//! What is done while others work: saying that the program lives, counting operations, wiping orders whose retention is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::journal::Journal;

use crate::clock::Clock;
use crate::model::OperationState;

/// Beats between two counts, and between two rounds of wiping old orders.
const COUNTING: u64 = 4;
const WIPING: u64 = 1200;

/// A living program says so this often, in microseconds.
const LIVING_US: i64 = 30_000_000;

/// The outcome is kept in full for 180 days.
const RETENTION_US: i64 = 180 * 86_400_000_000;

/// Orders wiped by one statement.
const WIPED_AT_ONCE: i64 = 500;

/// Does it, beat by beat.
pub(super) struct Upkeep {
    journal: Arc<Journal>,
    clock: Clock,
    beats: AtomicU64,
    lived_at_us: AtomicI64,
}

impl Upkeep {
    pub fn new(journal: Arc<Journal>, clock: Clock) -> Self {
        let lived_at_us = AtomicI64::new(clock.now_us());
        Self {
            journal,
            clock,
            beats: AtomicU64::new(0),
            lived_at_us,
        }
    }

    /// Does what is due at this beat.
    pub async fn beat(&self) {
        let beat = self.beats.fetch_add(1, Ordering::Relaxed);
        if beat.is_multiple_of(WIPING) {
            self.wipe_old_orders().await;
        }
        if beat.is_multiple_of(COUNTING) {
            self.count().await;
        }
        let now_us = self.clock.now_us();
        if (now_us - self.lived_at_us.load(Ordering::Relaxed)).abs() >= LIVING_US
            && self.journal.restores.watch().await.is_ok()
        {
            self.lived_at_us.store(now_us, Ordering::Relaxed);
        }
    }

    /// The program stops in order.
    pub async fn stop(&self) {
        self.journal.restores.stop().await;
    }

    async fn wipe_old_orders(&self) {
        let before_us = self.clock.now_us() - RETENTION_US;
        while self
            .journal
            .store
            .compact_operations(before_us, WIPED_AT_ONCE)
            .await
            .is_ok_and(|wiped| wiped >= WIPED_AT_ONCE.unsigned_abs())
        {}
    }

    async fn count(&self) {
        for state in [OperationState::Pending, OperationState::Sent, OperationState::Unknown] {
            if let Ok(count) = self.journal.store.count_operations(state).await {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                metrics::gauge!("cabinet_partner_operations", "state" => state.word()).set(f64::from(count));
            }
        }
    }
}
