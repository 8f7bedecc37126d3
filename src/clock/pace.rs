//! A time that never goes back and never stands still: it runs with the steady clock, jumps to what it is behind, and is caught up by what
//! it is ahead of while it runs a little slower. Knows nothing of where the true time comes from.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Ahead of the true time by no more than this (µs), it goes on as it is: so much lies between two ways of asking.
const TOLERANCE_US: i64 = 100_000;

/// Then it runs slower by one part in so many: what lasts five minutes lasts no six, and ten minutes are caught up in eighty.
const SLOWER: i64 = 8;

/// Read at every request: without a lock. One of two anchors is read while the other is written.
#[derive(Debug)]
pub(super) struct Pace {
    current: AtomicUsize,
    anchors: [Anchor; 2],
    following: Mutex<()>,
}

/// From this steady moment on it runs so.
#[derive(Debug, Default)]
struct Anchor {
    steady_us: AtomicI64,
    time_us: AtomicI64,
    slow: AtomicBool,
}

impl Anchor {
    fn at(&self, steady_us: i64) -> i64 {
        let passed = steady_us.saturating_sub(self.steady_us.load(Ordering::Relaxed));
        let passed = if self.slow.load(Ordering::Relaxed) {
            passed - passed / SLOWER
        } else {
            passed
        };
        self.time_us.load(Ordering::Relaxed).saturating_add(passed)
    }
}

impl Pace {
    /// The time is `time_us` when the steady clock reads zero.
    pub fn new(time_us: i64) -> Self {
        let pace = Self {
            current: AtomicUsize::new(0),
            anchors: Default::default(),
            following: Mutex::default(),
        };
        pace.anchors[0].time_us.store(time_us, Ordering::Relaxed);
        pace
    }

    /// The time when the steady clock reads `steady_us`.
    pub fn at(&self, steady_us: i64) -> i64 {
        self.anchors[self.current.load(Ordering::Acquire) & 1].at(steady_us)
    }

    /// Begins at the true time, wherever that lies: nothing has been written by the former one yet.
    pub fn begin(&self, steady_us: i64, true_us: i64) {
        self.jump(steady_us, true_us, false);
    }

    /// Says what the true time is. Asked once in a while; between, the steady clock is believed.
    pub fn follow(&self, steady_us: i64, true_us: i64) {
        let time_us = self.at(steady_us);
        let slow = time_us.saturating_sub(true_us) > TOLERANCE_US;
        self.jump(steady_us, time_us.max(true_us), slow);
    }

    fn jump(&self, steady_us: i64, time_us: i64, slow: bool) {
        let _alone = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        let other = 1 - (self.current.load(Ordering::Relaxed) & 1);
        let anchor = &self.anchors[other];
        anchor.steady_us.store(steady_us, Ordering::Relaxed);
        anchor.time_us.store(time_us, Ordering::Relaxed);
        anchor.slow.store(slow, Ordering::Relaxed);
        self.current.store(other, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn before_anything_was_written_it_may_go_back() {
        let pace = Pace::new(1000 * SECOND);
        pace.begin(SECOND, 700 * SECOND);
        assert_eq!(pace.at(2 * SECOND), 701 * SECOND);
    }

    #[test]
    fn what_is_behind_jumps_and_what_is_ahead_is_caught_up_without_standing_still_or_going_back() {
        let pace = Pace::new(1000 * SECOND);
        assert_eq!(pace.at(5 * SECOND), 1005 * SECOND);
        pace.follow(5 * SECOND, 2005 * SECOND);
        assert_eq!(pace.at(6 * SECOND), 2006 * SECOND);
        // The true time steps back by ten minutes.
        let mut last = pace.at(6 * SECOND);
        for second in 7..=4900 {
            let true_us = (2000 + second - 600) * SECOND;
            pace.follow(second * SECOND, true_us);
            let time_us = pace.at(second * SECOND);
            assert!(time_us >= last + SECOND * 7 / 8, "it goes on");
            last = time_us;
        }
        let ahead = last - (2000 + 4900 - 600) * SECOND;
        assert!((0..=TOLERANCE_US).contains(&ahead), "caught up: {ahead}");
    }

    #[test]
    fn what_lies_between_two_ways_of_asking_changes_nothing() {
        let pace = Pace::new(0);
        pace.follow(SECOND, SECOND - TOLERANCE_US);
        assert_eq!(pace.at(3 * SECOND), 3 * SECOND);
    }
}
