//! How many calls of one group run at once: a crowd of guests must not become a crowd at ProBonus' door.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::Priority;
use crate::clock::Deadline;

/// How long a call waits for its turn: about what the two ahead of it take on a slow usual day (300 ms each).
const QUEUE_TIME: Duration = Duration::from_millis(650);

/// As many calls wait as twice those under way.
const QUEUE_FACTOR: usize = 2;

/// At capacity: as many calls run and wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probonus) struct AtCapacity;

/// Turns for one group of operations, with a short queue.
pub(in crate::probonus) struct ConcurrencyLimit {
    turns: Semaphore,
    /// Turns in all.
    most: usize,
    waiting: AtomicUsize,
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ConcurrencyLimit {
    pub fn new(turns: usize) -> Self {
        Self {
            turns: Semaphore::new(turns),
            most: turns,
            waiting: AtomicUsize::new(0),
        }
    }

    /// A turn, at once or after a short wait. Work for which nobody waits takes none of the last half, and does not wait.
    pub async fn acquire(&self, priority: Priority, deadline: Deadline) -> Result<SemaphorePermit<'_>, AtCapacity> {
        if priority == Priority::Background && self.turns.available_permits() * 2 < self.most {
            return Err(AtCapacity);
        }
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        if priority == Priority::Background {
            return Err(AtCapacity);
        }
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        metrics::histogram!("cabinet_bulkhead_queue").record(f64::from(u32::try_from(ahead).unwrap_or(u32::MAX)));
        if ahead >= self.most * QUEUE_FACTOR {
            return Err(AtCapacity);
        }
        let turn = tokio::time::timeout_at(deadline.at_most(QUEUE_TIME).instant(), self.turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(AtCapacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn beyond_the_short_queue_nobody_waits() {
        let limit = ConcurrencyLimit::new(1);
        let acquire = || limit.acquire(Priority::Foreground, Deadline::within(Duration::from_secs(10)));
        let turn = acquire().await.expect("the first turn");
        let (a, b, c) = tokio::join!(acquire(), acquire(), acquire());
        for refused in [a, b, c] {
            assert_eq!(refused.err(), Some(AtCapacity));
        }
        drop(turn);
        assert!(acquire().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn background_work_leaves_half_of_the_turns_to_those_who_wait() {
        let limit = ConcurrencyLimit::new(4);
        let acquire = |priority| limit.acquire(priority, Deadline::within(Duration::from_secs(10)));
        let mut taken = Vec::new();
        while let Ok(turn) = acquire(Priority::Background).await {
            taken.push(turn);
        }
        assert_eq!(taken.len(), 3);
        assert!(acquire(Priority::Foreground).await.is_ok());
    }
}
