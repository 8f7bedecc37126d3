//! A balance in detail: what is there, what burns when, what is on its way.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::fields::{Context, Fields};
use super::json::{Json, NONSENSE, Read};
use crate::model::{Balance, Currency, Expiry, Money};

/// Reads a balance; burning and pending sums of one day are one entry. A sum without a day, or with one that never comes, does not burn.
pub(in crate::probonus) fn read_balance(answer: Json, context: Context) -> Read<Balance> {
    let fields = Fields::of(answer, context)?;
    let available = fields.required_money(&["balance", "bonusBalance"])?;
    let mut by_day: BTreeMap<Date, Money> = BTreeMap::new();
    for entry in fields.objects(&["details", "burnings", "expirations"]) {
        let sum = entry.required_money(&["sum", "amount"])?;
        if let Some(day) = entry.day(&["burnDate", "expirationDate", "date"]) {
            let known = by_day.entry(day).or_default();
            *known = known.checked_add(sum).ok_or(NONSENSE)?;
        }
    }
    let mut pending = Money::ZERO;
    for entry in fields.entries(&["pending"]) {
        pending = pending.checked_add(pending_sum(entry, context)?).ok_or(NONSENSE)?;
    }
    let expiring: Vec<Expiry> = by_day
        .into_iter()
        .filter(|(_, amount)| *amount > Money::ZERO)
        .map(|(expires_on, amount)| Expiry { amount, expires_on })
        .collect();
    Ok(Balance {
        available,
        pending,
        currency: Currency::Rub,
        next_expiry: expiring.first().copied(),
        expiring,
    })
}

/// The sums of a balance that are still on their way. They prove that an order was booked or was not: a list that is none is nonsense here.
pub(in crate::probonus) fn read_pending(answer: Json, context: Context) -> Read<Vec<Money>> {
    let entries = Fields::of(answer, context)?.strict_entries(&["pending"])?;
    entries.into_iter().map(|entry| pending_sum(entry, context)).collect()
}

fn pending_sum(entry: Json, context: Context) -> Read<Money> {
    match Fields::of(entry, context) {
        Ok(fields) => fields.required_money(&["sum", "amount"]),
        Err(_) => context.values.money(entry),
    }
}
