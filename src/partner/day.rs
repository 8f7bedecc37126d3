//! What a partner may give away in one business day.

use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan};

use super::order::{Kept, What};
use super::{Partner, key_of};
use crate::store::DaySum;

impl Partner {
    /// What an order takes of its partner's sum of the day; nothing when there is no such limit.
    pub(super) fn day_sum(&self, partner: &str, kept: &Kept) -> Option<DaySum> {
        let most = self.partners.get(partner)?.max_daily_refill?;
        let What::Refill { amount, .. } = &kept.what else {
            return None;
        };
        let day = self.business_day().to_string();
        Some(DaySum {
            key: key_of(&[b"day", partner.as_bytes(), day.as_bytes()]),
            sum: amount.minor(),
            most: most.minor(),
        })
    }

    /// Until the next business day begins.
    pub(super) fn rest_of_day(&self) -> Duration {
        let next = self.business_day().checked_add(1.day());
        let begins = next.and_then(|day| day.to_datetime(self.day_start).to_zoned_datetime(self.zone.clone()));
        let rest = begins.map(|begins| begins.timestamp().duration_since(self.clock.now()));
        rest.ok()
            .and_then(|rest| Duration::try_from(rest).ok())
            .unwrap_or(Duration::from_hours(1))
    }

    /// What happens before the day starts belongs to the day before.
    fn business_day(&self) -> Date {
        let start = self.day_start;
        let seconds = i64::from(start.hour()) * 3600 + i64::from(start.minute()) * 60;
        let now = self.clock.now();
        let shifted = now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(now);
        shifted.to_zoned_datetime(self.zone.clone()).date()
    }
}
