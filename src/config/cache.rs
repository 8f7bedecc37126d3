//! How fresh answers are and how long old ones may be shown.

use std::time::Duration;

use super::reader::{Problems, Section};

/// `[cache]`; durations in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct CacheConfig {
    /// `balance_fresh_ms` (`15000`).
    pub balance_fresh: Duration,
    /// `profile_fresh_ms`: profile, level, coupons and card come in one answer of ProBonus (`60000`).
    pub profile_fresh: Duration,
    /// `transactions_fresh_ms` (`15000`).
    pub transactions_fresh: Duration,
    /// `check_fresh_ms` (`86400000`).
    pub check_fresh: Duration,
    /// `stale_for_ms`: how old the last good answer may be while ProBonus cannot be reached (`86400000`).
    pub stale_for: Duration,
    /// `capacity`: guests kept in memory (`100000`).
    pub capacity: u64,
}

impl CacheConfig {
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Self {
        let cache = Self {
            balance_fresh: section.millis("balance_fresh_ms", 15_000, problems),
            profile_fresh: section.millis("profile_fresh_ms", 60_000, problems),
            transactions_fresh: section.millis("transactions_fresh_ms", 15_000, problems),
            check_fresh: section.millis("check_fresh_ms", 86_400_000, problems),
            stale_for: section.millis("stale_for_ms", 86_400_000, problems),
            capacity: section.number("capacity", 100_000, 1..=100_000_000, problems),
        };
        section.finish(problems);
        cache
    }
}
