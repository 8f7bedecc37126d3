//! Failures that belong to whom or what was asked about: remembered for a moment, so that they stay with them.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use super::super::error::UpstreamError;
use crate::clock::Clock;

/// As many are remembered; of a crowd that fails all at once the throttle takes care.
const CAPACITY: u64 = 10_000;

/// In real time: what nobody asks for any more is let go of.
const IDLE: Duration = Duration::from_mins(2);

/// Remembers failures by a key: a guest, or an argument.
pub(in crate::probonus) struct FailureMemory {
    clock: Clock,
    /// So many failures in a row are made before any is remembered.
    tolerated: u32,
    /// A failure is remembered for so long.
    pause: Duration,
    hasher: RandomState,
    failures: Cache<u64, Arc<Mutex<Failures>>>,
}

/// What is known of a key whose last call failed.
struct Failures {
    in_a_row: u32,
    last: UpstreamError,
    until: Duration,
}

impl FailureMemory {
    pub fn new(tolerated: u32, pause: Duration, clock: Clock) -> Self {
        Self {
            clock,
            tolerated,
            pause,
            hasher: RandomState::new(),
            failures: Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build(),
        }
    }

    /// The failure that `key` is to be answered with instead of a call. When it is forgotten, one call finds out, and the others wait on.
    pub fn recall(&self, key: &impl Hash) -> Option<UpstreamError> {
        let known = self.failures.get(&self.hasher.hash_one(key))?;
        let mut failures = known.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.in_a_row < self.tolerated {
            return None;
        }
        let now = self.clock.steady();
        if now < failures.until {
            return Some(failures.last);
        }
        failures.until = now + self.pause;
        None
    }

    /// A call about `key` failed; gives the failures in a row.
    pub fn failed(&self, key: &impl Hash, error: UpstreamError) -> u32 {
        let until = self.clock.steady() + self.pause;
        let first = || {
            Arc::new(Mutex::new(Failures {
                in_a_row: 0,
                last: error,
                until,
            }))
        };
        let known = self.failures.get_with(self.hasher.hash_one(key), first);
        let mut failures = known.lock().unwrap_or_else(PoisonError::into_inner);
        *failures = Failures {
            in_a_row: failures.in_a_row.saturating_add(1),
            last: error,
            until,
        };
        failures.in_a_row
    }

    /// A call about `key` went well.
    pub fn succeeded(&self, key: &impl Hash) {
        let key = self.hasher.hash_one(key);
        // Hardly anybody fails: looking takes no lock.
        if self.failures.contains_key(&key) {
            self.failures.invalidate(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);
    const ERROR: UpstreamError = UpstreamError::Invalid;

    #[test]
    fn failures_in_a_row_are_remembered_for_their_key_alone_and_tried_once_a_pause() {
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let memory = FailureMemory::new(2, PAUSE, clock.clone());
        assert_eq!(memory.failed(&"a", ERROR), 1);
        assert_eq!(memory.recall(&"a"), None, "one is tolerated");
        assert_eq!(memory.failed(&"a", ERROR), 2);
        assert_eq!(memory.recall(&"a"), Some(ERROR));
        assert_eq!(memory.recall(&"b"), None);
        clock.advance(PAUSE);
        assert_eq!(memory.recall(&"a"), None, "one call finds out");
        assert_eq!(memory.recall(&"a"), Some(ERROR), "the others wait on");
        memory.succeeded(&"a");
        assert_eq!(memory.recall(&"a"), None);
        assert_eq!(memory.failed(&"a", ERROR), 1, "a success begins anew");
    }
}
