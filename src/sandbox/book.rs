//! The accounts: lots of bonuses that burn, bonuses on their way, movements, checks, levels.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

/// All accounts.
#[derive(Clone, Default)]
pub(super) struct Book {
    pub accounts: BTreeMap<i64, Account>,
    pub checks: BTreeMap<i64, Check>,
    pub groups: Vec<Group>,
    next_id: i64,
}

/// A group of accounts; its template says what a new account gets.
#[derive(Clone, Serialize)]
pub(super) struct Group {
    pub id: i64,
    pub name: &'static str,
    pub have_template: bool,
    /// Welcome bonuses, in kopecks, and the days they live.
    pub welcome: i64,
    pub welcome_days: i64,
}

/// One guest's account; sums are kopecks.
#[derive(Clone, Default)]
pub(super) struct Account {
    pub id: i64,
    pub group: i64,
    /// Digits, as in `79160000001`.
    pub phone: String,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub middle_name: Option<String>,
    pub birthday: Option<Date>,
    pub gender: Option<&'static str>,
    pub email: Option<String>,
    pub blocked: bool,
    pub turnover: i64,
    pub cards: Vec<String>,
    pub coupons: Vec<Coupon>,
    pub lots: Vec<Lot>,
    pub pending: Vec<Pending>,
    pub history: Vec<Movement>,
}

/// Bonuses that burn together.
#[derive(Clone)]
pub(super) struct Lot {
    pub left: i64,
    pub burns_on: Option<Date>,
}

/// Bonuses on their way.
#[derive(Clone)]
pub(super) struct Pending {
    pub sum: i64,
    pub from: Date,
    pub days: i64,
}

/// A movement.
#[derive(Clone)]
pub(super) struct Movement {
    pub id: i64,
    pub at: Timestamp,
    pub kind: &'static str,
    pub sum: i64,
    pub balance_after: i64,
    pub check: Option<i64>,
    pub restaurant: Option<i64>,
    pub comment: Option<String>,
}

#[derive(Clone)]
pub(super) struct Coupon {
    pub id: i64,
    pub name: &'static str,
    pub code: &'static str,
    pub description: &'static str,
    pub from: Timestamp,
    pub to: Timestamp,
    pub used: bool,
}

/// A check down to the dishes.
#[derive(Clone)]
pub(super) struct Check {
    pub id: i64,
    pub account: i64,
    pub number: String,
    pub guid: Option<String>,
    pub restaurant: i64,
    pub opened: Timestamp,
    pub closed: Timestamp,
    pub dishes: Vec<Dish>,
    pub discount: i64,
    pub bonus_spent: i64,
    pub bonus_accrued: i64,
    pub money: i64,
}

#[derive(Clone)]
pub(super) struct Dish {
    pub name: String,
    /// Thousandths.
    pub quantity: i64,
    pub price: i64,
    pub discount: i64,
}

impl Dish {
    pub fn sum(&self) -> i64 {
        self.price * self.quantity / 1000
    }
}

/// Levels: name, percent returned in tenths, turnover from which.
pub(super) const LEVELS: [(&str, i64, i64); 4] = [
    ("Гость", 30, 0),
    ("Серебряный", 50, 3_000_000),
    ("Золотой", 75, 10_000_000),
    ("Платиновый", 100, 30_000_000),
];

/// Bonuses of a purchase live so many days.
pub(super) const LIFE_DAYS: i64 = 180;

pub(super) const RESTAURANTS: [(i64, &str); 2] = [(1, "Трапеза на Мясницкой"), (2, "Трапеза на Невском")];

impl Account {
    pub fn balance(&self) -> i64 {
        self.lots.iter().map(|lot| lot.left).sum()
    }

    pub fn level(&self) -> usize {
        LEVELS
            .iter()
            .rposition(|(_, _, from)| self.turnover >= *from)
            .unwrap_or(0)
    }

    /// Takes bonuses, those that burn first, first.
    fn take(&mut self, mut sum: i64) {
        self.lots.sort_by_key(|lot| lot.burns_on.unwrap_or(Date::MAX));
        for lot in &mut self.lots {
            let part = lot.left.min(sum);
            lot.left -= part;
            sum -= part;
        }
        self.lots.retain(|lot| lot.left > 0);
    }

    fn give(&mut self, sum: i64, burns_on: Option<Date>) {
        if sum > 0 {
            self.lots.push(Lot { left: sum, burns_on });
        }
    }
}

/// What a movement is about.
#[derive(Clone, Default)]
pub(super) struct About {
    pub check: Option<i64>,
    pub restaurant: Option<i64>,
    pub comment: Option<String>,
}

impl Book {
    pub fn new(groups: Vec<Group>) -> Self {
        Self {
            groups,
            next_id: 10_000,
            ..Self::default()
        }
    }

    pub fn id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn by_phone(&self, phone: &str) -> Option<i64> {
        let found = self.accounts.values().find(|account| account.phone == phone);
        found.map(|account| account.id)
    }

    /// Gives or takes bonuses and writes the movement down; says its id.
    pub fn move_bonuses(
        &mut self,
        id: i64,
        kind: &'static str,
        sum: i64,
        burns_on: Option<Date>,
        at: Timestamp,
        about: About,
    ) -> Option<i64> {
        let movement = self.id();
        let account = self.accounts.get_mut(&id)?;
        if sum >= 0 {
            account.give(sum, burns_on);
        } else {
            account.take(-sum);
        }
        let balance_after = account.balance();
        account.history.push(Movement {
            id: movement,
            at,
            kind,
            sum,
            balance_after,
            check: about.check,
            restaurant: about.restaurant,
            comment: about.comment,
        });
        Some(movement)
    }

    /// Lets the time up to `now` happen to an account: what was on its way arrives, what is due burns.
    pub fn settle(&mut self, id: i64, now: Timestamp, zone: &TimeZone) {
        let today = now.to_zoned_datetime(zone.clone()).date();
        let Some(account) = self.accounts.get_mut(&id) else {
            return;
        };
        let (due, later): (Vec<Pending>, Vec<Pending>) = std::mem::take(&mut account.pending)
            .into_iter()
            .partition(|pending| pending.from <= today);
        account.pending = later;
        let burned: i64 = account
            .lots
            .iter()
            .filter(|lot| lot.burns_on.is_some_and(|day| day <= today))
            .map(|lot| lot.left)
            .sum();
        if burned > 0 {
            account.lots.retain(|lot| lot.burns_on.is_none_or(|day| day > today));
            let balance_after = account.balance();
            let movement = self.id();
            if let Some(account) = self.accounts.get_mut(&id) {
                account.history.push(Movement {
                    id: movement,
                    at: now,
                    kind: "burn",
                    sum: -burned,
                    balance_after,
                    check: None,
                    restaurant: None,
                    comment: None,
                });
            }
        }
        for pending in due {
            let burns_on = today.checked_add(pending.days.days()).ok();
            self.move_bonuses(id, "accrual", pending.sum, burns_on, now, About::default());
        }
    }
}
