//! How often one guest may cause a call of a kind: a burst, then a steady rate (the generic cell rate algorithm).

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use crate::clock::Clock;

/// Guests whose calls are counted; who falls out begins anew.
const CAPACITY: u64 = 10_000;

/// In real time: longer than any burst takes to be forgiven.
const IDLE: Duration = Duration::from_mins(2);

/// A limit for each key.
pub(in crate::probonus) struct RateLimit {
    clock: Clock,
    /// Between two calls at the steady rate.
    interval: Duration,
    /// How far ahead of the steady rate a burst may run.
    ahead: Duration,
    hasher: RandomState,
    /// When the next call would be on time, by key.
    due: Cache<u64, Arc<Mutex<Duration>>>,
}

impl RateLimit {
    /// `burst` calls at once, then one every `interval`.
    pub fn new(burst: u32, interval: Duration, clock: Clock) -> Self {
        Self {
            clock,
            interval,
            ahead: interval * burst,
            hasher: RandomState::new(),
            due: Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build(),
        }
    }

    /// Whether `key` may make a call; counts it.
    pub fn allows(&self, key: &impl Hash) -> bool {
        let due = self.due.get_with(self.hasher.hash_one(key), Arc::default);
        let mut due = due.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.steady();
        let next = (*due).max(now) + self.interval;
        let allowed = next <= now + self.ahead;
        if allowed {
            *due = next;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_steady_rate_and_others_are_not_touched() {
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let limit = RateLimit::new(3, Duration::from_secs(1), clock.clone());
        let passed = || (0..10).filter(|_| limit.allows(&"a")).count();
        assert_eq!(passed(), 3);
        clock.advance(Duration::from_secs(1));
        assert_eq!(passed(), 1);
        assert!(limit.allows(&"b"));
        clock.advance(Duration::from_mins(1));
        assert_eq!(passed(), 3);
    }
}
