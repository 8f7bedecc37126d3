//! What the room does by itself: hearing other replicas, removing what is over.

use std::sync::Arc;
use std::time::Duration;

use super::SignIn;

/// How often what is over is looked for.
const BEAT: Duration = Duration::from_secs(30);

/// Rows removed by one statement: no replica holds the tables for long.
const BATCH: i64 = 1000;

/// Statements in one beat: a flood of a million rows is gone in minutes.
const BATCHES: usize = 50;

pub(super) async fn listen(room: Arc<SignIn>) {
    let mut hints = room.store.hints();
    loop {
        let heard = tokio::select! {
            heard = hints.next() => heard,
            () = room.stop.cancelled() => return,
        };
        match heard {
            Some(heard) => room.heard(heard),
            None => return,
        }
    }
}

pub(super) async fn tidy(room: Arc<SignIn>) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = room.stop.cancelled() => return,
        }
        room.tidy_up().await;
    }
}

impl SignIn {
    /// Removes what is over, in bounded batches; says how many rows.
    pub async fn tidy_up(&self) -> u64 {
        let now_us = self.clock.now_us();
        self.known.tidy(now_us);
        let mut removed = 0;
        for _ in 0..BATCHES {
            let limits = self.store.prune_limits(now_us, BATCH).await.unwrap_or(0);
            let challenges = self.store.prune_challenges(now_us, BATCH).await.unwrap_or(0);
            let sessions = self.store.prune_sessions(now_us, BATCH).await.unwrap_or(0);
            let devices = self.devices.forget_unseen(BATCH).await.unwrap_or(0);
            removed += limits + challenges + sessions + devices;
            if [limits, challenges, sessions, devices]
                .iter()
                .all(|rows| *rows < BATCH.unsigned_abs())
            {
                break;
            }
        }
        metrics::counter!("cabinet_rows_removed_total").increment(removed);
        removed
    }
}
