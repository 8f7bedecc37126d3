//! A second try for safe reads, within a budget: on a bad day retries must not become the load.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::entropy::Entropy;

/// A call earns this much, a second try costs [`COST`]: one in five calls may be tried again.
const EARNED: i64 = 1;
const COST: i64 = 5;

/// What can be saved up: ten second tries.
const SAVINGS: i64 = 10 * COST;

/// The shared budget.
pub(super) struct RetryBudget(AtomicI64);

impl RetryBudget {
    pub fn new() -> Self {
        Self(AtomicI64::new(SAVINGS))
    }

    /// A first try was made.
    pub fn earn(&self) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| {
            Some((saved + EARNED).min(SAVINGS))
        });
    }

    /// Whether a second try may be made; takes its cost.
    pub fn spend(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| {
                (saved >= COST).then_some(saved - COST)
            })
            .is_ok()
    }

    /// Second tries left.
    pub fn left(&self) -> i64 {
        self.0.load(Ordering::Relaxed) / COST
    }
}

/// A pause before the second try, so that many do not come back together.
pub(super) fn jitter(entropy: &Entropy) -> Duration {
    Duration::from_millis(20 + entropy.below(80))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_five_calls_may_be_tried_again() {
        let budget = RetryBudget::new();
        while budget.spend() {}
        assert_eq!(budget.left(), 0);
        let mut tries = 0;
        for _ in 0..1000 {
            budget.earn();
            tries += i32::from(budget.spend());
        }
        assert_eq!(tries, 200);
    }
}
