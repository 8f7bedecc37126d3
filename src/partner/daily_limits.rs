//! What a partner may give away in one business day.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};

use super::key_of;
use super::order::{Order, What};
use crate::clock::Clock;
use crate::config::PartnerConfig;
use crate::model::Money;
use crate::store::DaySum;

/// The sums of a day. A business day begins at a time in a zone.
pub(super) struct DailyLimits {
    partners: Arc<BTreeMap<String, PartnerConfig>>,
    zone: TimeZone,
    day_start: Time,
    clock: Clock,
}

impl DailyLimits {
    pub fn new(
        partners: Arc<BTreeMap<String, PartnerConfig>>,
        (zone, day_start): (TimeZone, Time),
        clock: Clock,
    ) -> Self {
        Self {
            partners,
            zone,
            day_start,
            clock,
        }
    }

    /// What an order takes of its partner's sums of the day; nothing where there is no such limit.
    pub fn takes(&self, partner: &str, order: &Order) -> Vec<DaySum> {
        let Some(config) = self.partners.get(partner) else {
            return Vec::new();
        };
        let sums = match &order.what {
            What::Refill(refill) => vec![("refill", config.max_daily_refill, refill.amount)],
            What::Check(check) => vec![
                ("check_accrual", config.max_daily_check_accrual, check.bonus_accrued),
                ("check_spend", config.max_daily_check_spend, check.bonus_spent),
            ],
        };
        let day = self.business_day().to_string();
        let take = |(what, most, sum): (&'static str, Option<Money>, Money)| {
            let most = most.filter(|_| sum > Money::ZERO)?;
            let key = match what {
                // As it was before there were others.
                "refill" => key_of(&[b"day", partner.as_bytes(), day.as_bytes()]),
                _ => key_of(&[b"day", partner.as_bytes(), day.as_bytes(), what.as_bytes()]),
            };
            Some(DaySum {
                what,
                key,
                sum: sum.minor(),
                most: most.minor(),
            })
        };
        sums.into_iter().filter_map(take).collect()
    }

    /// Until the next business day begins.
    pub fn rest_of_day(&self) -> Duration {
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
