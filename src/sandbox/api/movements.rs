//! What moved: the history, the balance in detail, checks and outside checks.

use http::StatusCode;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::{Answer, Arguments, absent, number, ok, refuse, text, wrong};
use crate::sandbox::book::{Check, Dish, Movement, Pending, RESTAURANTS};
use crate::sandbox::till::Purchase;
use crate::sandbox::{Shared, World};

impl Shared {
    pub(super) fn transactions(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let id = number(arguments, "accountId").unwrap_or(0);
        if !world.book.accounts.contains_key(&id) {
            return refuse(StatusCode::NOT_FOUND, "Счёт не найден");
        }
        world.book.settle(id, self.now(), &self.zone);
        let history = &world.book.accounts[&id].history;
        let day = |name: &str| text(arguments, name).and_then(|text| text.get(..10)?.parse::<Date>().ok());
        let chosen: Vec<&Movement> = match (day("dateFrom"), day("dateTo"), number(arguments, "count")) {
            (Some(from), Some(to), _) => {
                let date = |entry: &Movement| entry.at.to_zoned_datetime(self.zone.clone()).date();
                history
                    .iter()
                    .filter(|entry| (from..=to).contains(&date(entry)))
                    .collect()
            }
            (_, _, Some(count)) => {
                let count = usize::try_from(count).unwrap_or(0);
                history.iter().rev().take(count).collect()
            }
            _ => return wrong("Укажите период или количество"),
        };
        let entries: Vec<Value> = chosen
            .into_iter()
            .map(|entry| self.movement(world, id, entry))
            .collect();
        let dialect = &world.dialect;
        // A list stays a list: only what is around it differs.
        ok(dialect.wrapped(entries.into()))
    }

    pub(super) fn movement(&self, world: &World, account: i64, entry: &Movement) -> Value {
        let dialect = &world.dialect;
        let kind = if dialect.russian_types {
            russian(entry.kind)
        } else {
            entry.kind
        };
        let sum = if dialect.unsigned { entry.sum.abs() } else { entry.sum };
        let mut object = dialect
            .object(&self.zone)
            .id("id", "id", entry.id)
            .id("accountId", "accountId", account)
            .moment("date", "createdAt", entry.at)
            .put("type", "operation", kind)
            .sum("sum", "amount", sum)
            .sum("balanceAfter", "balanceAfter", entry.balance_after);
        if let Some(check) = entry.check.filter(|_| dialect.check_ids) {
            object = object.id("checkId", "checkId", check);
        }
        if let Some(code) = entry.restaurant {
            object = object
                .put("restCode", "restCode", code)
                .put("restName", "restName", restaurant(code));
        }
        object
            .put("comment", "comment", entry.comment.clone().filter(|_| dialect.comments))
            .done()
    }

    pub(super) fn balance(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let id = number(arguments, "accountId").unwrap_or(0);
        world.book.settle(id, self.now(), &self.zone);
        let Some(account) = world.book.accounts.get(&id) else {
            return refuse(StatusCode::NOT_FOUND, "Счёт не найден");
        };
        let dialect = &world.dialect;
        let mut lots: Vec<(Date, i64)> = account
            .lots
            .iter()
            .filter_map(|lot| Some((lot.burns_on?, lot.left)))
            .collect();
        lots.sort_unstable();
        let lot = |(day, sum): &(Date, i64)| {
            let object = dialect.object(&self.zone).sum("sum", "amount", *sum);
            object.day("burnDate", "expirationDate", *day).done()
        };
        let pending = |pending: &Pending| {
            let object = dialect.object(&self.zone).sum("sum", "sum", pending.sum);
            object.day("activationDate", "activationDate", pending.from).done()
        };
        let details: Vec<Value> = lots.iter().map(lot).collect();
        let pending: Vec<Value> = account.pending.iter().map(pending).collect();
        let object = dialect.object(&self.zone).sum("balance", "balance", account.balance());
        let object = object
            .put("details", "burnings", details)
            .put("pending", "pending", pending);
        ok(dialect.wrapped(object.done()))
    }

    pub(super) fn check(&self, world: &World, arguments: &Arguments) -> Answer {
        let check = number(arguments, "id").and_then(|id| world.book.checks.get(&id));
        match check {
            Some(check) => ok(world.dialect.wrapped(self.receipt(world, check))),
            None => absent(world.dialect.absent),
        }
    }

    pub(super) fn receipt(&self, world: &World, check: &Check) -> Value {
        let dialect = &world.dialect;
        let dish = |dish: &Dish| {
            let object = dialect.object(&self.zone).put("name", "name", dish.name.clone());
            object
                .put("quantity", "quantity", thousandths(dish.quantity))
                .sum("price", "price", dish.price)
                .sum("sum", "sum", dish.sum())
                .sum("discountSum", "discountSum", dish.discount)
                .done()
        };
        let dishes: Vec<Value> = check.dishes.iter().map(dish).collect();
        let mut object = dialect
            .object(&self.zone)
            .id("id", "id", check.id)
            .put("number", "number", check.number.clone())
            .put("checkGuid", "checkGuid", check.guid.clone())
            .put("restCode", "restCode", check.restaurant)
            .put("restName", "restName", restaurant(check.restaurant))
            .moment("openedAt", "openedAt", check.opened)
            .moment("closedAt", "date", check.closed)
            .put("items", "dishes", dishes)
            .sum("totalSum", "totalSum", check.money + check.bonus_spent + check.discount)
            .sum("discountSum", "discountSum", check.discount)
            .sum("bonusSpentSum", "bonusSpentSum", check.bonus_spent)
            .sum("bonusAccruedSum", "bonusAccruedSum", check.bonus_accrued)
            .sum("moneySpentSum", "moneySpentSum", check.money);
        if dialect.check_owners {
            object = object.id("accountId", "accountId", check.account);
        }
        object.done()
    }

    /// Books every time it is called: nobody looks whether the GUID was there before.
    pub(super) fn register_check(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let id = number(arguments, "accountId").unwrap_or(0);
        let sum = |name: &str| number(arguments, name).filter(|sum| *sum >= 0);
        let sums = (
            sum("bonusSpentSum"),
            sum("discountSum"),
            sum("bonusAccruedSum"),
            sum("moneySpentSum"),
        );
        let (Some(spent), Some(discount), Some(accrued), Some(money)) = sums else {
            return wrong("Суммы указываются в копейках");
        };
        let (Some(restaurant), Some(guid)) = (number(arguments, "restCode"), text(arguments, "checkGuid")) else {
            return wrong("Не указан ресторан или номер чека");
        };
        if !RESTAURANTS.iter().any(|(code, _)| *code == restaurant) {
            return wrong("Ресторан не найден");
        }
        let Some(account) = world.book.accounts.get(&id) else {
            return refuse(StatusCode::NOT_FOUND, "Счёт не найден");
        };
        if account.balance() < spent {
            return wrong("Недостаточно бонусов");
        }
        let purchase = Purchase {
            money,
            bonus_spent: spent,
            discount,
            bonus_accrued: Some(accrued),
            restaurant,
            guid: Some(guid),
            number: text(arguments, "externalCheck"),
            delay_days: 0,
        };
        let now = self.now();
        let check = world.book.purchase(id, &purchase, now, &self.zone);
        let check = check.map(|check| world.dialect.id(check));
        ok(world.dialect.wrapped(json!({ "success": true, "checkId": check })))
    }
}

fn thousandths(number: i64) -> Value {
    let text = format!("{}.{:03}", number / 1000, number % 1000);
    serde_json::from_str(text.trim_end_matches('0').trim_end_matches('.')).unwrap_or(Value::Null)
}

fn restaurant(code: i64) -> Option<&'static str> {
    RESTAURANTS
        .iter()
        .find(|(known, _)| *known == code)
        .map(|(_, name)| *name)
}

fn russian(kind: &str) -> &str {
    match kind {
        "accrual" => "начисление",
        "spend" => "списание",
        "burn" => "сгорание",
        "refill" => "пополнение",
        "refund" => "возврат",
        _ => "корректировка",
    }
}
