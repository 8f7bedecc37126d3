//! The till: purchases, refunds and bonuses paid with, so that a balance moves before a developer's eyes.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::book::{About, Book, Check, LEVELS, LIFE_DAYS, Pending};
use super::menu;

/// A purchase at the till or outside it; sums are kopecks.
#[derive(Clone, Default)]
pub(super) struct Purchase {
    pub money: i64,
    pub bonus_spent: i64,
    pub discount: i64,
    /// Bonuses given; whole ones by the level's percent when not said.
    pub bonus_accrued: Option<i64>,
    pub restaurant: i64,
    pub guid: Option<String>,
    pub number: Option<String>,
    /// Bonuses arrive after so many days.
    pub delay_days: i64,
}

impl Book {
    /// Books a purchase; says the check's id.
    pub fn purchase(&mut self, id: i64, purchase: &Purchase, at: Timestamp, zone: &TimeZone) -> Option<i64> {
        let level = self.accounts.get(&id)?.level();
        let check = self.id();
        let total = purchase.money + purchase.bonus_spent + purchase.discount;
        let accrued = purchase
            .bonus_accrued
            .unwrap_or(purchase.money * LEVELS[level].1 / 100_000 * 100);
        let opened = at.checked_sub(50.minutes()).unwrap_or(at);
        self.checks.insert(
            check,
            Check {
                id: check,
                account: id,
                number: purchase.number.clone().unwrap_or_else(|| (check % 10_000).to_string()),
                guid: purchase.guid.clone(),
                restaurant: purchase.restaurant,
                opened,
                closed: at,
                dishes: menu::dishes(check, Some(total)),
                discount: purchase.discount,
                bonus_spent: purchase.bonus_spent,
                bonus_accrued: accrued,
                money: purchase.money,
            },
        );
        let about = || About {
            check: Some(check),
            restaurant: Some(purchase.restaurant),
            comment: None,
        };
        if purchase.bonus_spent > 0 {
            self.move_bonuses(id, "spend", -purchase.bonus_spent, None, at, about());
        }
        let today = at.to_zoned_datetime(zone.clone()).date();
        if accrued > 0 && purchase.delay_days > 0 {
            let from = today.checked_add(purchase.delay_days.days()).unwrap_or(today);
            self.accounts.get_mut(&id)?.pending.push(Pending {
                sum: accrued,
                from,
                days: LIFE_DAYS,
            });
        } else if accrued > 0 {
            let burns_on = today.checked_add(LIFE_DAYS.days()).ok();
            self.move_bonuses(id, "accrual", accrued, burns_on, at, about());
        }
        self.accounts.get_mut(&id)?.turnover += purchase.money;
        Some(check)
    }

    /// Takes a purchase back: the spent bonuses come back, the given ones go.
    pub fn refund(&mut self, check: i64, at: Timestamp, zone: &TimeZone) -> Option<i64> {
        let check = self.checks.get(&check)?.clone();
        let today = at.to_zoned_datetime(zone.clone()).date();
        let net = check.bonus_spent - check.bonus_accrued;
        let about = About {
            check: Some(check.id),
            restaurant: Some(check.restaurant),
            comment: Some("Возврат".into()),
        };
        let burns_on = today.checked_add(LIFE_DAYS.days()).ok();
        let balance = self.accounts.get(&check.account)?.balance();
        let movement = self.move_bonuses(check.account, "refund", net.max(-balance), burns_on, at, about);
        let account = self.accounts.get_mut(&check.account)?;
        account.turnover = (account.turnover - check.money).max(0);
        movement
    }
}
