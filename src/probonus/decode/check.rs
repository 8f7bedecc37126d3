//! A check down to its dishes.

use super::fields::{Context, Fields, clean, optional_id};
use super::json::{Json, Read};
use super::scalars::decimal_text;
use crate::model::{Check, CheckItem};

/// Reads a check.
pub(in crate::probonus) fn read_check(answer: Json, context: Context) -> Read<Check> {
    let fields = Fields::of(answer, context)?;
    let dishes = fields.objects(&["items", "dishes"]);
    Ok(Check {
        id: fields.id(&["id"])?,
        number: fields.text(&["number"]),
        restaurant: fields.restaurant(),
        opened_at: fields.moment(&["openedAt"]),
        closed_at: fields.moment(&["closedAt", "date"]),
        items: dishes.iter().map(read_dish).collect::<Read<_>>()?,
        total: fields.money(&["totalSum"])?,
        discount: fields.money(&["discountSum"])?,
        bonus_spent: fields.money(&["bonusSpentSum"])?,
        bonus_accrued: fields.money(&["bonusAccruedSum"])?,
        money_spent: fields.money(&["moneySpentSum"])?,
        account_id: fields.strict(&["accountId"], optional_id)?.flatten(),
        // An order is found by it.
        check_guid: fields.strict(&["checkGuid"], |value| value.scalar().map(|guid| clean(&guid)))?,
    })
}

fn read_dish(fields: &Fields) -> Read<CheckItem> {
    Ok(CheckItem {
        name: fields.text(&["name"]),
        quantity: fields.tolerant(&["quantity"], decimal_text),
        price: fields.money(&["price"])?,
        amount: fields.money(&["sum", "amount"])?,
        discount: fields.money(&["discountSum"])?,
    })
}
