//! The eleven operations, as ProBonus answers them.

use http::{HeaderMap, Method, StatusCode};
use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::book::{About, Account, Check, LEVELS, Movement, RESTAURANTS};
use super::dialect::Absent;
use super::till::Purchase;
use super::{Shared, World};

/// The operations: name, path, whether it only reads.
pub(super) const OPERATIONS: [(&str, &str, bool); 11] = [
    ("login", "/api/v0/auth/login", false),
    ("refresh_token", "/api/v0/auth/refresh_token", false),
    ("account_groups", "/api/v0/account_groups/list", true),
    ("find_by_phone", "/api/v0/accounts/find_by_phone", true),
    ("insert_by_template", "/api/v0/accounts/insert_by_template", false),
    ("update", "/api/v0/accounts/update", false),
    ("refill", "/api/v0/accounts/refill", false),
    ("transactions", "/api/v0/accounts/transactions", true),
    ("get_balance_extended", "/api/v0/accounts/get_balance_extended", true),
    ("get_by_id", "/api/v0/checks/get_by_id", true),
    ("register_check", "/api/v0/external/register_check", false),
];

/// Bearer tokens live so long (µs).
const TOKEN_US: i64 = 600_000_000;

/// An answer before faults touch it.
pub(super) struct Answer {
    pub status: StatusCode,
    /// `None`: an empty body.
    pub body: Option<Value>,
}

pub(super) type Arguments = Map<String, Value>;

fn ok(body: Value) -> Answer {
    Answer {
        status: StatusCode::OK,
        body: Some(body),
    }
}

fn refuse(status: StatusCode, message: &str) -> Answer {
    Answer {
        status,
        body: Some(json!({ "message": message })),
    }
}

fn wrong(message: &str) -> Answer {
    refuse(StatusCode::BAD_REQUEST, message)
}

/// A text argument; numbers as their text.
fn text(arguments: &Arguments, name: &str) -> Option<String> {
    match arguments.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn number(arguments: &Arguments, name: &str) -> Option<i64> {
    text(arguments, name)?.parse().ok()
}

/// Digits with 7 of any of the spellings that ProBonus knows.
fn phone(arguments: &Arguments) -> Option<String> {
    let digits: String = text(arguments, "phone")?.chars().filter(char::is_ascii_digit).collect();
    match digits.strip_prefix('8') {
        Some(rest) if digits.len() == 11 => Some(format!("7{rest}")),
        _ => (digits.len() >= 10).then_some(digits),
    }
}

impl Shared {
    /// Whether the credential is accepted.
    pub(super) fn authorized(&self, world: &World, headers: &HeaderMap) -> bool {
        if world.revoked {
            return false;
        }
        let header = &world.dialect.token_header;
        let sent = if header.is_empty() {
            let value = headers.get("authorization").and_then(|value| value.to_str().ok());
            value.and_then(|value| value.strip_prefix("Bearer "))
        } else {
            headers.get(header.as_str()).and_then(|value| value.to_str().ok())
        };
        let now_us = self.now().as_microsecond();
        let bearer = |sent: &str| {
            world
                .tokens
                .iter()
                .any(|(token, until)| token == sent && now_us < *until)
        };
        sent.is_some_and(|sent| sent == self.config.token || bearer(sent))
    }

    /// Whether the operation may be called by this method in this dialect.
    pub(super) fn takes_method(world: &World, reads: bool, method: &Method) -> bool {
        if reads && !world.dialect.post_reads {
            *method == Method::GET || *method == Method::POST
        } else {
            *method == Method::POST
        }
    }

    /// The phone of the guest a call is about.
    pub(super) fn guest_of(world: &World, operation: &str, arguments: &Arguments) -> Option<String> {
        let account = match operation {
            "find_by_phone" | "insert_by_template" => return phone(arguments),
            "update" => number(arguments, "id")?,
            "get_by_id" => world.book.checks.get(&number(arguments, "id")?)?.account,
            _ => number(arguments, "accountId")?,
        };
        world.book.accounts.get(&account).map(|account| account.phone.clone())
    }

    /// Does what the operation does.
    pub(super) fn perform(&self, world: &mut World, operation: &str, arguments: &Arguments) -> Answer {
        match operation {
            "login" => self.login(world, arguments),
            "refresh_token" => self.refresh(world, arguments),
            "account_groups" => self.groups(world),
            "find_by_phone" => self.find(world, arguments),
            "insert_by_template" => self.insert(world, arguments),
            "update" => self.update(world, arguments),
            "refill" => self.refill(world, arguments),
            "transactions" => self.transactions(world, arguments),
            "get_balance_extended" => self.balance(world, arguments),
            "get_by_id" => self.check(world, arguments),
            _ => self.register_check(world, arguments),
        }
    }

    fn login(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let right = text(arguments, "login").as_deref() == Some(&self.config.login)
            && text(arguments, "password").as_deref() == Some(&self.config.password);
        if !right || world.revoked {
            return refuse(StatusCode::UNAUTHORIZED, "Неверный логин или пароль");
        }
        self.tokens(world)
    }

    fn refresh(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let sent = text(arguments, "refreshToken").unwrap_or_default();
        let known = world.refresh_tokens.iter().position(|token| *token == sent);
        match known {
            Some(index) if !world.revoked => {
                world.refresh_tokens.remove(index);
                self.tokens(world)
            }
            _ => refuse(StatusCode::UNAUTHORIZED, "Токен обновления не действует"),
        }
    }

    fn tokens(&self, world: &mut World) -> Answer {
        let access = self.config.entropy.uuid().to_string();
        let refresh = self.config.entropy.uuid().to_string();
        let now_us = self.now().as_microsecond();
        world.tokens.retain(|(_, until)| now_us < *until);
        world.tokens.push((access.clone(), now_us + TOKEN_US));
        world.refresh_tokens.push(refresh.clone());
        if world.refresh_tokens.len() > 100 {
            world.refresh_tokens.remove(0);
        }
        let answer = world.dialect.object(&self.zone);
        let answer = answer
            .put("accessToken", "access_token", access)
            .put("refreshToken", "refresh_token", refresh)
            .put("expiresIn", "expires_in", TOKEN_US / 1_000_000);
        ok(world.dialect.wrapped(answer.done()))
    }

    fn groups(&self, world: &World) -> Answer {
        let group = |group: &super::book::Group| {
            let object = world.dialect.object(&self.zone).id("id", "id", group.id);
            object
                .put("name", "name", group.name)
                .put("haveTemplate", "haveTemplate", group.have_template)
                .done()
        };
        let groups: Vec<Value> = world.book.groups.iter().map(group).collect();
        ok(world.dialect.wrapped(groups.into()))
    }

    fn find(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let Some(phone) = phone(arguments) else {
            return wrong("Не указан телефон");
        };
        let Some(id) = world.book.by_phone(&phone) else {
            return absent(world.dialect.absent);
        };
        let now = self.now();
        world.book.settle(id, now, &self.zone);
        let account = self.account(world, &world.book.accounts[&id]);
        ok(world.dialect.wrapped(account))
    }

    fn account(&self, world: &World, account: &Account) -> Value {
        let dialect = &world.dialect;
        let (name, percent, _) = LEVELS[account.level()];
        let level = dialect
            .object(&self.zone)
            .id("id", "id", i64::try_from(account.level()).unwrap_or(0) + 1)
            .put("name", "name", name)
            .put("bonusPercent", "bonusPercent", tenths(percent))
            .put("discountPercent", "discountPercent", 0)
            .done();
        let coupon = |coupon: &super::book::Coupon| {
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

    fn insert(&self, world: &mut World, arguments: &Arguments) -> Answer {
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
        if world.book.by_phone(&phone).is_some() {
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

    fn update(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let id = number(arguments, "id").unwrap_or(0);
        let Some(account) = world.book.accounts.get_mut(&id) else {
            return refuse(StatusCode::NOT_FOUND, "Счёт не найден");
        };
        fill(account, arguments);
        let account = self.account(world, &world.book.accounts[&id]);
        ok(world.dialect.wrapped(account))
    }

    fn refill(&self, world: &mut World, arguments: &Arguments) -> Answer {
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
        let burns_on = today.checked_add(super::book::LIFE_DAYS.days()).ok();
        world.book.move_bonuses(id, "refill", sum, burns_on, now, about);
        ok(world.dialect.wrapped(json!({ "success": true })))
    }

    fn transactions(&self, world: &mut World, arguments: &Arguments) -> Answer {
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

    fn movement(&self, world: &World, account: i64, entry: &Movement) -> Value {
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

    fn balance(&self, world: &mut World, arguments: &Arguments) -> Answer {
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
        let pending = |pending: &super::book::Pending| {
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

    fn check(&self, world: &World, arguments: &Arguments) -> Answer {
        let check = number(arguments, "id").and_then(|id| world.book.checks.get(&id));
        match check {
            Some(check) => ok(world.dialect.wrapped(self.receipt(world, check))),
            None => absent(world.dialect.absent),
        }
    }

    fn receipt(&self, world: &World, check: &Check) -> Value {
        let dialect = &world.dialect;
        let dish = |dish: &super::book::Dish| {
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
    fn register_check(&self, world: &mut World, arguments: &Arguments) -> Answer {
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

fn absent(how: Absent) -> Answer {
    let (status, body) = match how {
        Absent::NotFound => (StatusCode::NOT_FOUND, Some(json!({ "message": "Не найдено" }))),
        Absent::NoContent => (StatusCode::NO_CONTENT, None),
        Absent::Empty => (StatusCode::OK, None),
        Absent::Null => (StatusCode::OK, Some(Value::Null)),
        Absent::Object => (StatusCode::OK, Some(json!({}))),
        Absent::Array => (StatusCode::OK, Some(json!([]))),
        Absent::DataNull => (StatusCode::OK, Some(json!({ "data": null }))),
    };
    Answer { status, body }
}

fn tenths(number: i64) -> Value {
    let text = if number % 10 == 0 {
        format!("{}", number / 10)
    } else {
        format!("{}.{}", number / 10, number % 10)
    };
    serde_json::from_str(&text).unwrap_or(Value::Null)
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
