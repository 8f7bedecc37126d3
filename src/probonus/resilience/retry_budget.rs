//! A second try for safe reads, within a budget: on a bad day retries must not become the load.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::entropy::Entropy;

/// A call deposits this much, a second try withdraws [`COST`]: two in nine calls may be tried again, so that ProBonus is never called more
/// than a quarter more often than without failures.
const DEPOSIT: u32 = 2;
const COST: u32 = 9;

/// What can be saved up: four second tries.
const MOST: u32 = 4 * COST;

/// The shared budget.
pub(in crate::probonus) struct RetryBudget(AtomicU32);

impl RetryBudget {
    pub fn new() -> Self {
        Self(AtomicU32::new(MOST))
    }

    /// A first try was made.
    pub fn deposit(&self) {
        let saved = |saved: u32| Some((saved + DEPOSIT).min(MOST));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, saved);
    }

    /// Whether a second try may be made; takes its cost.
    pub fn withdraw(&self) -> bool {
        let left = |saved: u32| saved.checked_sub(COST);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }

    /// Second tries left.
    pub fn left(&self) -> u32 {
        self.0.load(Ordering::Relaxed) / COST
    }
}

/// A pause before the second try, so that many do not come back together.
pub(in crate::probonus) fn jitter(entropy: &Entropy) -> Duration {
    Duration::from_millis(20 + entropy.below(80))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_in_nine_calls_may_be_tried_again() {
        let budget = RetryBudget::new();
        assert_eq!((0..10).filter(|_| budget.withdraw()).count(), 4);
        assert_eq!(budget.left(), 0);
        let mut tries = 0;
        for _ in 0..900 {
            budget.deposit();
            tries += u32::from(budget.withdraw());
        }
        assert_eq!(tries, 200);
    }
}
