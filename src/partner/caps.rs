//! What a partner may order: its restaurants and units, and how many bonuses one order may give and be paid with.
//!
//! Judged of new orders alone: what became of an order that was taken once is told whatever the caps are by now.

use super::order::{Order, What};
use crate::config::PartnerConfig;
use crate::model::{Money, OutsideCheck};

/// A field of an order that is beyond its partner's caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The field, as the contract names it.
    pub field: &'static str,
    /// In which way.
    pub kind: BreachKind,
}

/// How a field is beyond a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreachKind {
    /// Such a value is not this partner's to give.
    NotAllowed,
    /// It is too great.
    TooMuch,
}

/// Every field of an order that is beyond its partner's caps.
pub(super) fn breaches(config: &PartnerConfig, order: &Order) -> Vec<Breach> {
    match &order.what {
        What::Check(check) => check_breaches(config, check),
        What::Refill(refill) => {
            let beyond = exceeds(config.max_refill, refill.amount);
            Vec::from_iter(beyond.then_some(too_much("amount")))
        }
    }
}

fn check_breaches(config: &PartnerConfig, check: &OutsideCheck) -> Vec<Breach> {
    let mut found = Vec::new();
    if !is_listed(config.restaurants.as_ref(), check.restaurant_code) {
        found.push(not_allowed("restaurant_code"));
    }
    if !is_listed(config.units.as_ref(), check.unit_code) {
        found.push(not_allowed("unit_code"));
    }
    if check.bonus_accrued > Money::ZERO && check.money_spent == Money::ZERO && !config.accrual_without_payment {
        found.push(not_allowed("bonus_accrued"));
    } else if exceeds(config.max_check_accrual, check.bonus_accrued)
        || exceeds_percent(config.max_accrual_percent, check)
    {
        found.push(too_much("bonus_accrued"));
    }
    if exceeds(config.max_check_spend, check.bonus_spent) {
        found.push(too_much("bonus_spent"));
    }
    found
}

fn not_allowed(field: &'static str) -> Breach {
    let kind = BreachKind::NotAllowed;
    Breach { field, kind }
}

fn too_much(field: &'static str) -> Breach {
    let kind = BreachKind::TooMuch;
    Breach { field, kind }
}

fn exceeds(cap: Option<Money>, sum: Money) -> bool {
    cap.is_some_and(|cap| sum > cap)
}

fn is_listed(codes: Option<&Vec<i64>>, code: i64) -> bool {
    codes.is_none_or(|codes| codes.contains(&code))
}

/// Whether a check gives more than its share of the money paid; of nothing there is no share.
fn exceeds_percent(percent: u32, check: &OutsideCheck) -> bool {
    let (accrued, money) = (
        i128::from(check.bonus_accrued.minor()),
        i128::from(check.money_spent.minor()),
    );
    money > 0 && accrued * 100 > money * i128::from(percent)
}
