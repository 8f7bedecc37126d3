//! Accounts: found, made, changed, given bonuses.

use http::StatusCode;
use jiff::ToSpan;
use serde_json::{Value, json};

use super::{Answer, Arguments, absent, number, ok, phone, refuse, text, wrong};
use crate::sandbox::book::{About, Account, Coupon, LEVELS, LIFE_DAYS};
use crate::sandbox::{Shared, World};

impl Shared {
    pub(super) fn find(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let Some(phone) = phone(arguments) else {
            return wrong("Не указан телефон");
        };
        let Some(found) = world.found_by(&phone) else {
            return absent(world.dialect.absent);
        };
        world.book.settle(found.id, self.now(), &self.zone);
        let account = world.found_by(&phone).unwrap_or(found);
        let account = self.account(world, &account);
        ok(world.dialect.wrapped(account))
    }

    pub(super) fn account(&self, world: &World, account: &Account) -> Value {
        let dialect = &world.dialect;
        let (name, percent, _) = LEVELS[account.level()];
        let level = dialect
            .object(&self.zone)
            .id("id", "id", i64::try_from(account.level()).unwrap_or(0) + 1)
            .put("name", "name", name)
            .put("bonusPercent", "bonusPercent", tenths(percent))
            .put("discountPercent", "discountPercent", 0)
            .done();
        let coupon = |coupon: &Coupon| {
            let object = dialect.object(&self.zone).id("id", "id", coupon.id);
            object
                .put("name", "name", coupon.name)
                .put("code", "code", coupon.code)
                .put("description", "description", coupon.description)
                .moment("validFrom", "validFrom", coupon.from)
                .moment("validTo", "validTo", coupon.to)
                .put("isUsed", "isUsed", coupon.used)
                .done()
        };
        let coupons: Vec<Value> = account.coupons.iter().map(coupon).collect();
        let mut object = dialect
            .object(&self.zone)
            .id("id", "accountId", account.id)
            .id("accountGroupId", "accountGroupId", account.group)
            .put("lastName", "surname", account.last_name.clone())
            .put("firstName", "name", account.first_name.clone())
            .put("middleName", "patronymic", account.middle_name.clone());
        if let Some(day) = account.birthday {
            object = object.day("birthday", "birthDate", day);
        }
        let gender = match (account.gender, dialect.russian_types) {
            (Some("male"), true) => Some("м"),
            (Some("female"), true) => Some("ж"),
            (gender, _) => gender,
        };
        object
            .put("gender", "sex", gender)
            .put("phone", "phone", account.phone.clone())
            .put("email", "email", account.email.clone())
            .sum("balance", "bonusBalance", account.balance())
            .put("isBlocked", "blocked", account.blocked)
            .sum("turnover", "moneySpentSum", account.turnover)
            .put("level", "level", level)
            .put("coupons", "coupons", coupons)
            .put("identifiers", "cards", account.cards.clone())
            // What a real server also tells and no guest should see.
            .put("managerComment", "managerComment", "Любит столик у окна")
            .done()
    }

    pub(super) fn insert(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let Some(phone) = phone(arguments) else {
            return wrong("Не указан телефон");
        };
        let group = number(arguments, "accountGroupId");
        let group = world
            .book
            .groups
            .iter()
            .find(|known| Some(known.id) == group && known.have_template)
            .cloned();
        let Some(group) = group else {
            return wrong("У группы нет шаблона");
        };
        if text(arguments, "firstName").is_none_or(|name| name.trim().is_empty()) {
            return wrong("Не заполнено обязательное поле: имя");
        }
        if world.found_by(&phone).is_some() {
            return refuse(StatusCode::CONFLICT, "Счёт с таким телефоном уже есть");
        }
        let id = world.book.id();
        let mut account = Account {
            id,
            group: group.id,
            cards: vec![format!("9000{}", &phone[phone.len() - 4..])],
            phone,
            ..Account::default()
        };
        fill(&mut account, arguments);
        world.book.accounts.insert(id, account);
        let now = self.now();
        let today = now.to_zoned_datetime(self.zone.clone()).date();
        if group.welcome > 0 {
            let about = About {
                comment: Some("Приветственные бонусы".into()),
                ..About::default()
            };
            let burns_on = today.checked_add(group.welcome_days.days()).ok();
            world
                .book
                .move_bonuses(id, "accrual", group.welcome, burns_on, now, about);
        }
        let account = self.account(world, &world.book.accounts[&id]);
        ok(world.dialect.wrapped(account))
    }

    pub(super) fn update(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let id = number(arguments, "id").unwrap_or(0);
        let Some(account) = world.book.accounts.get_mut(&id) else {
            return refuse(StatusCode::NOT_FOUND, "Счёт не найден");
        };
        fill(account, arguments);
        let account = self.account(world, &world.book.accounts[&id]);
        ok(world.dialect.wrapped(account))
    }

    pub(super) fn refill(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let id = number(arguments, "accountId").unwrap_or(0);
        let sum = arguments.get("sum").and_then(|sum| world.dialect.kopecks(sum));
        let Some(sum) = sum.filter(|sum| *sum > 0) else {
            return wrong("Неверная сумма");
        };
        if !world.book.accounts.contains_key(&id) {
            return refuse(StatusCode::NOT_FOUND, "Счёт не найден");
        }
        let now = self.now();
        let today = now.to_zoned_datetime(self.zone.clone()).date();
        let about = About {
            comment: text(arguments, "comment").filter(|comment| !comment.is_empty()),
            ..About::default()
        };
        let burns_on = today.checked_add(LIFE_DAYS.days()).ok();
        world.book.move_bonuses(id, "refill", sum, burns_on, now, about);
        ok(world.dialect.wrapped(json!({ "success": true })))
    }
}

/// Fills an account from a questionnaire; what is not sent stays.
fn fill(account: &mut Account, arguments: &Arguments) {
    let change = |field: &mut Option<String>, name: &str| {
        if arguments.contains_key(name) {
            *field = text(arguments, name).filter(|text| !text.is_empty());
        }
    };
    change(&mut account.first_name, "firstName");
    change(&mut account.last_name, "lastName");
    change(&mut account.middle_name, "middleName");
    change(&mut account.email, "email");
    if arguments.contains_key("birthday") {
        account.birthday = text(arguments, "birthday").and_then(|day| day.get(..10)?.parse().ok());
    }
    if arguments.contains_key("gender") {
        account.gender = match text(arguments, "gender").as_deref() {
            Some("male") => Some("male"),
            Some("female") => Some("female"),
            _ => None,
        };
    }
}

fn tenths(number: i64) -> Value {
    let text = if number % 10 == 0 {
        format!("{}", number / 10)
    } else {
        format!("{}.{}", number / 10, number % 10)
    };
    serde_json::from_str(&text).unwrap_or(Value::Null)
}
