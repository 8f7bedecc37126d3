//! How many calls are under way at once: a crowd of guests must not become a crowd at ProBonus' door.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::UpstreamError;
use crate::clock::Deadline;

/// How long a call waits for its turn: about what the two ahead of it take on a slow usual day (300 ms each).
const QUEUE_TIME: Duration = Duration::from_millis(650);

/// As many calls wait as twice those under way.
const QUEUE_FACTOR: usize = 2;

/// Turns for one group of operations, with a short queue.
pub(super) struct Bulkhead {
    turns: Semaphore,
    waiting: AtomicUsize,
    queue: usize,
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bulkhead {
    pub fn new(turns: usize) -> Self {
        Self {
            turns: Semaphore::new(turns),
            waiting: AtomicUsize::new(0),
            queue: turns * QUEUE_FACTOR,
        }
    }

    /// A turn, at once or after a short wait.
    pub async fn enter(&self, deadline: Deadline) -> Result<SemaphorePermit<'_>, UpstreamError> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        metrics::histogram!("cabinet_bulkhead_queue").record(f64::from(u32::try_from(ahead).unwrap_or(u32::MAX)));
        if ahead >= self.queue {
            return Err(UpstreamError::Overloaded);
        }
        let turn = tokio::time::timeout_at(deadline.at_most(QUEUE_TIME).instant(), self.turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(UpstreamError::Overloaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn beyond_the_short_queue_nobody_waits() {
        let bulkhead = Bulkhead::new(1);
        let far = Deadline::within(Duration::from_secs(10));
        let turn = bulkhead.enter(far).await.expect("the first turn");
        let (a, b, c) = tokio::join!(bulkhead.enter(far), bulkhead.enter(far), bulkhead.enter(far));
        for refused in [a, b, c] {
            assert_eq!(refused.err(), Some(UpstreamError::Overloaded));
        }
        drop(turn);
        assert!(bulkhead.enter(far).await.is_ok());
    }
}
