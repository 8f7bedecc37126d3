//! How long something remembered is believed without asking the store again: one rule for views and sessions.
//!
//! What was looked at while hints are heard is believed for as long as they are heard without a break; else for ten seconds.

use std::sync::atomic::{AtomicU64, Ordering};

/// Without hints everything is looked at again after this long (µs of the steady clock).
pub const UNHEARD_US: i64 = 10_000_000;

/// A time through which hints were heard without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(u64);

impl Period {
    /// Hints are not heard.
    pub const NONE: Self = Self(0);

    /// As a number, to be kept in an atomic.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Out of such a number.
    #[must_use]
    pub const fn of_number(number: u64) -> Self {
        Self(number)
    }
}

/// When something remembered was last seen to agree with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// When the store began to be asked, by the steady clock.
    pub at_us: i64,
    /// Which period that was in.
    pub period: Period,
}

impl Checked {
    /// Never: the store must be asked before it is believed.
    pub const NEVER: Self = Self {
        at_us: i64::MIN / 2,
        period: Period::NONE,
    };

    /// Whether it is believed in `period`, at `now_us` of the steady clock.
    #[must_use]
    pub fn is_sure(self, period: Period, now_us: i64) -> bool {
        let heard_since = period != Period::NONE && period == self.period;
        heard_since || now_us.saturating_sub(self.at_us) < UNHEARD_US
    }
}

/// Whether hints are heard now.
#[derive(Default)]
pub(super) struct Listening {
    current: AtomicU64,
    begun: AtomicU64,
}

impl Listening {
    /// A period begins.
    pub fn began(&self) {
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        self.current.store(number, Ordering::Release);
    }

    /// It ends; `false` when there was none.
    pub fn ended(&self) -> bool {
        self.current.swap(Period::NONE.0, Ordering::AcqRel) != Period::NONE.0
    }

    /// Something was missed: another period begins, if there is one.
    pub fn missed(&self) {
        if self.period() != Period::NONE {
            self.began();
        }
    }

    pub fn period(&self) -> Period {
        Period(self.current.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_at_is_believed_while_hints_are_heard_without_a_break_else_for_ten_seconds() {
        let listening = Listening::default();
        let at = |period| Checked { at_us: 0, period };
        let unheard = at(listening.period());
        assert!(unheard.is_sure(listening.period(), UNHEARD_US - 1));
        assert!(!unheard.is_sure(listening.period(), UNHEARD_US));

        listening.began();
        let heard = at(listening.period());
        assert!(heard.is_sure(listening.period(), 1000 * UNHEARD_US));
        assert!(!unheard.is_sure(listening.period(), UNHEARD_US), "looked at before");
        assert!(listening.ended() && !listening.ended());
        assert!(!heard.is_sure(listening.period(), UNHEARD_US));

        listening.began();
        assert!(!heard.is_sure(listening.period(), UNHEARD_US), "there was a break");
        let again = at(listening.period());
        listening.missed();
        assert!(!again.is_sure(listening.period(), UNHEARD_US), "something was missed");
        assert!(!Checked::NEVER.is_sure(listening.period(), i64::MIN / 4));
    }
}
