//! What the room does by itself: takes back what its sender left, removes what is over, asks after balances and has guests' calls
//! asked after.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::Delivery;

const BEAT: Duration = Duration::from_secs(1);

/// Every so many beats what is over is removed, and balances are read.
const TIDY_BEATS: u32 = 10;
const BALANCE_BEATS: u32 = 600;

/// Rows touched by one statement, and statements in one go.
const BATCH: i64 = 500;
const BATCHES: usize = 50;

pub(super) async fn run(room: Arc<Delivery>) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for beats in 0_u32.. {
        tokio::select! {
            _ = beat.tick() => {}
            () = room.stop.cancelled() => return,
        }
        room.take_back().await;
        room.watch_calls().await;
        room.ask_balances(beats.is_multiple_of(BALANCE_BEATS));
        if beats % TIDY_BEATS == TIDY_BEATS - 1 {
            room.tidy_up().await;
        }
    }
}

impl Delivery {
    /// Reads balances, all of them or only those of gateways that are left out and due for a try.
    fn ask_balances(self: &Arc<Self>, all: bool) {
        for index in 0..self.lines.len() {
            let line = &self.lines[index];
            let is_due = line.breaker.is_due();
            let wanted = is_due || (all && line.gateway.tells_balance());
            if !wanted {
                continue;
            }
            let room = self.clone();
            self.tasks.spawn(async move {
                let line = &room.lines[index];
                let outcome = line.ask_balance().await.map(drop);
                if is_due {
                    line.tell(outcome);
                }
            });
        }
    }

    /// Lets messages wait again whose sender is gone: what it did with them stands with each.
    pub async fn take_back(&self) {
        let now_us = self.clock.now_us();
        if self.store.take_back_messages(now_us, BATCH).await.unwrap_or(0) > 0 {
            self.wake.notify_one();
        }
    }

    /// Removes what is over, in bounded batches.
    pub async fn tidy_up(&self) {
        let now_us = self.clock.now_us();
        for _ in 0..BATCHES {
            let removed = self.store.prune_messages(now_us, BATCH).await.unwrap_or(0);
            metrics::counter!("cabinet_rows_removed_total").increment(removed);
            if removed < BATCH.unsigned_abs() {
                return;
            }
        }
    }
}
