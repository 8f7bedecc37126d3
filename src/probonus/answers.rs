//! From ProBonus' answers to the vocabulary. Each function knows one answer and all accepted spellings of its fields.
//!
//! A field that is told and does not read makes the whole answer nonsense where it carries money or identity; a birthday or a coupon's
//! date that cannot be read is only not told.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;

use super::json::{Json, NONSENSE, Object, Read};
use super::values::{Values, gender};
use crate::model::{
    Account, AccountGroup, AccountId, Balance, Check, CheckId, CheckItem, Coupon, Currency, Expiry, GroupId, Level,
    Money, RestaurantRef, Transaction, TransactionId, TransactionKind,
};

/// Longest text of a questionnaire or a comment that is taken, in characters.
const MAX_TEXT: usize = 1000;

/// Tokens of a login.
pub(super) struct Tokens {
    pub access: String,
    pub refresh: Option<String>,
    pub expires_in: Option<Duration>,
}

impl Values {
    pub fn account(&self, answer: Json) -> Read<Account> {
        let object = answer.single()?.object()?;
        let level = object.read(&["level"], level)?.flatten();
        Ok(Account {
            id: id(&object, &["id", "accountId"])?,
            group: object.read(&["accountGroupId"], |value| parsed(value, GroupId::parse))?,
            first_name: text(&object, &["firstName", "name"])?,
            last_name: text(&object, &["lastName", "surname"])?,
            middle_name: text(&object, &["middleName", "patronymic"])?,
            birthday: lenient(object.told(&["birthday", "birthDate"]).map(|value| self.day(value))),
            gender: object.read(&["gender", "sex"], gender)?.flatten(),
            email: text(&object, &["email"])?,
            balance: object.read(&["balance", "bonusBalance"], |value| self.money(value))?,
            blocked: object.read(&["isBlocked", "blocked"], Json::flag)?.unwrap_or(false),
            turnover: object.read(&["turnover", "moneySpentSum"], |value| self.money(value))?,
            level,
            coupons: self.coupons(&object)?,
            identifiers: identifiers(&object)?,
        })
    }

    fn coupons(&self, account: &Object) -> Read<Vec<Coupon>> {
        let Some(list) = account.told(&["coupons"]) else {
            return Ok(Vec::new());
        };
        let coupon = |value: Json| {
            let object = value.object()?;
            let moment = |names: &[&str]| lenient(object.told(names).map(|value| self.moment(value)));
            Ok(Coupon {
                id: object.read(&["id"], Json::scalar)?.map(|id| clean(&id)),
                name: text(&object, &["name"])?,
                code: object.read(&["code"], Json::scalar)?.map(|code| clean(&code)),
                description: text(&object, &["description"])?,
                valid_from: moment(&["validFrom"]),
                valid_to: moment(&["validTo"]),
                used: object.read(&["isUsed", "used"], Json::flag)?.unwrap_or(false),
            })
        };
        list.array()?.into_iter().map(coupon).collect()
    }

    /// The balance; burning and pending sums of one day are one entry.
    pub fn balance(&self, answer: Json) -> Read<Balance> {
        let object = answer.single()?.object()?;
        let available = object
            .read(&["balance", "bonusBalance"], |value| self.money(value))?
            .ok_or(NONSENSE)?;
        let mut by_day: BTreeMap<Date, Money> = BTreeMap::new();
        for entry in list(&object, &["details", "burnings", "expirations"])? {
            let entry = entry.object()?;
            let sum = entry
                .read(&["sum", "amount"], |value| self.money(value))?
                .ok_or(NONSENSE)?;
            // What has no day does not burn.
            let Some(day) = entry.read(&["burnDate", "expirationDate", "date"], |value| self.day(value))? else {
                continue;
            };
            let known = by_day.entry(day).or_default();
            *known = known.checked_add(sum).ok_or(NONSENSE)?;
        }
        let mut pending = Money::ZERO;
        for sum in self.pending_in(&object)? {
            pending = pending.checked_add(sum).ok_or(NONSENSE)?;
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

    /// The sums of a balance that are still on their way.
    pub fn pending(&self, answer: Json) -> Read<Vec<Money>> {
        self.pending_in(&answer.single()?.object()?)
    }

    fn pending_in(&self, balance: &Object) -> Read<Vec<Money>> {
        let sum = |entry: Json| match entry.object() {
            Ok(entry) => entry
                .read(&["sum", "amount"], |value| self.money(value))?
                .ok_or(NONSENSE),
            Err(_) => self.money(entry),
        };
        list(balance, &["pending"])?.into_iter().map(sum).collect()
    }

    /// The history, newest first. `account` is whose it is: an entry that says it is another's makes the answer nonsense.
    pub fn transactions(&self, answer: Json, account: &AccountId) -> Read<Vec<Transaction>> {
        let items = movements(answer)?;
        let mut read: Vec<RawTransaction> = Vec::with_capacity(items.len());
        for item in items {
            read.push(self.transaction(item, account)?);
        }
        // "If every sum is positive, the type decides": a history without a single sign has its signs in the types.
        let unsigned = read.iter().all(|entry| entry.transaction.amount >= Money::ZERO);
        let mut transactions: Vec<Transaction> = read
            .into_iter()
            .map(|entry| {
                let mut transaction = entry.transaction;
                if unsigned && entry.takes {
                    transaction.amount = transaction.amount.negated();
                }
                transaction
            })
            .collect();
        // Ids count up: of two movements at one moment the one with the longer, then greater id came later.
        let order = |entry: &Transaction| (entry.occurred_at, entry.id.as_str().len(), entry.id.clone());
        transactions.sort_by_cached_key(|entry| std::cmp::Reverse(order(entry)));
        Ok(transactions)
    }

    fn transaction(&self, value: Json, account: &AccountId) -> Read<RawTransaction> {
        let object = value.object()?;
        let owner = object.read(&["accountId"], |value| parsed(value, AccountId::parse))?;
        if owner.is_some_and(|owner| owner != *account) {
            return Err(NONSENSE);
        }
        let word = object.read(&["type", "operation"], Json::scalar)?.unwrap_or_default();
        let (kind, takes) = kind_of(&word);
        let amount = object
            .read(&["sum", "amount"], |value| self.money(value))?
            .ok_or(NONSENSE)?;
        Ok(RawTransaction {
            takes,
            transaction: Transaction {
                id: id(&object, &["id"])?,
                occurred_at: object
                    .read(&["date", "createdAt"], |value| self.moment(value))?
                    .ok_or(NONSENSE)?,
                kind,
                amount,
                balance_after: object.read(&["balanceAfter"], |value| self.money(value))?,
                check_id: check_id(&object)?,
                restaurant: restaurant(&object)?,
                comment: text(&object, &["comment"])?,
            },
        })
    }

    pub fn check(&self, answer: Json) -> Read<Check> {
        let object = answer.single()?.object()?;
        let money = |names: &[&str]| object.read(names, |value| self.money(value));
        let moment = |names: &[&str]| object.read(names, |value| self.moment(value));
        let mut items = Vec::new();
        for item in list(&object, &["items", "dishes"])? {
            items.push(self.item(&item.object()?)?);
        }
        Ok(Check {
            id: id(&object, &["id"])?,
            number: object.read(&["number"], Json::scalar)?.map(|number| clean(&number)),
            restaurant: restaurant(&object)?,
            opened_at: moment(&["openedAt"])?,
            closed_at: moment(&["closedAt", "date"])?,
            items,
            total: money(&["totalSum"])?,
            discount: money(&["discountSum"])?,
            bonus_spent: money(&["bonusSpentSum"])?,
            bonus_accrued: money(&["bonusAccruedSum"])?,
            money_spent: money(&["moneySpentSum"])?,
            account_id: object.read(&["accountId"], |value| parsed(value, AccountId::parse))?,
            check_guid: object.read(&["checkGuid"], Json::scalar)?.map(|guid| clean(&guid)),
        })
    }

    fn item(&self, object: &Object) -> Read<CheckItem> {
        let money = |names: &[&str]| object.read(names, |value| self.money(value));
        Ok(CheckItem {
            name: text(object, &["name"])?,
            quantity: object.read(&["quantity"], |value| decimal_text(value))?,
            price: money(&["price"])?,
            amount: money(&["sum", "amount"])?,
            discount: money(&["discountSum"])?,
        })
    }
}

/// The id of an account.
pub(super) fn account_id(account: Json) -> Read<AccountId> {
    id(&account.object()?, &["id", "accountId"])
}

/// A history's movements as they came.
pub(super) fn movements(answer: Json) -> Read<Vec<Json>> {
    match answer.array() {
        Ok(items) => Ok(items),
        // Some answers name their list.
        Err(_) => answer
            .object()?
            .told(&["transactions", "items"])
            .ok_or(NONSENSE)?
            .array(),
    }
}

struct RawTransaction {
    transaction: Transaction,
    /// Whether the type says that bonuses went away.
    takes: bool,
}

pub(super) fn groups(answer: Json) -> Read<Vec<AccountGroup>> {
    let items = match answer.array() {
        Ok(items) => items,
        Err(_) => answer.object()?.told(&["groups", "items"]).ok_or(NONSENSE)?.array()?,
    };
    let group = |value: Json| {
        let object = value.object()?;
        Ok(AccountGroup {
            id: id(&object, &["id"])?,
            name: text(&object, &["name"])?,
            have_template: object.read(&["haveTemplate"], Json::flag)?.unwrap_or(false),
        })
    };
    items.into_iter().map(group).collect()
}

pub(super) fn tokens(answer: Json) -> Read<Tokens> {
    let object = answer.single()?.object()?;
    let token = |names: &[&str]| {
        let token = object.read(names, |value| value.text().map(std::borrow::Cow::into_owned));
        token.map(|token| token.filter(|token| !token.is_empty()))
    };
    Ok(Tokens {
        access: token(&["accessToken", "access_token", "token"])?.ok_or(NONSENSE)?,
        refresh: token(&["refreshToken", "refresh_token"])?,
        expires_in: lenient(object.told(&["expiresIn", "expires_in"]).map(|value| {
            value
                .scalar()?
                .trim()
                .parse()
                .map(Duration::from_secs)
                .map_err(|_| NONSENSE)
        })),
    })
}

fn kind_of(word: &str) -> (TransactionKind, bool) {
    match word.trim().to_lowercase().as_str() {
        "accrual" | "начисление" => (TransactionKind::Accrual, false),
        "spend" | "списание" => (TransactionKind::Spend, true),
        "burn" | "сгорание" => (TransactionKind::Burn, true),
        "refill" | "пополнение" => (TransactionKind::Refill, false),
        "refund" | "возврат" => (TransactionKind::Refund, false),
        // Corrections, and words nobody told us: the sign says what they did.
        _ => (TransactionKind::Adjustment, false),
    }
}

fn level(value: Json) -> Read<Option<Level>> {
    let nameless = |name: String| (!name.is_empty()).then(|| level_named(name));
    let Ok(object) = value.object() else {
        return value.scalar().map(|name| nameless(clean(&name)));
    };
    let Some(name) = text(&object, &["name"])? else {
        return Ok(None);
    };
    let percent = |names: &[&str]| object.read(names, |value| percent(value));
    Ok(Some(Level {
        bonus_percent: percent(&["bonusPercent"])?,
        discount_percent: percent(&["discountPercent"])?,
        ..level_named(name)
    }))
}

fn level_named(name: String) -> Level {
    Level {
        name,
        bonus_percent: None,
        discount_percent: None,
        turnover: None,
        next: None,
    }
}

fn identifiers(account: &Object) -> Read<Vec<String>> {
    let mut identifiers = Vec::new();
    for value in list(account, &["identifiers", "cards"])? {
        let text = match value.object() {
            Ok(card) => card
                .read(&["number", "code", "value", "id"], Json::scalar)?
                .unwrap_or_default(),
            Err(_) => value.scalar()?,
        };
        identifiers.push(clean(&text));
    }
    identifiers.retain(|text| !text.is_empty());
    Ok(identifiers)
}

/// The members of a list that may be missing or `null`.
fn list<'a>(object: &Object<'a>, names: &[&str]) -> Read<Vec<Json<'a>>> {
    object.told(names).map_or_else(|| Ok(Vec::new()), Json::array)
}

/// A required id.
fn id<T: IdText>(object: &Object, names: &[&str]) -> Read<T> {
    object.read(names, |value| parsed(value, T::of))?.ok_or(NONSENSE)
}

/// The check of a movement; 0 and an empty text stand for none, and one that nobody could ask for is as good as none.
fn check_id(object: &Object) -> Read<Option<CheckId>> {
    let text = object.read(&["checkId"], Json::scalar)?;
    let text = text.as_deref().map(str::trim).filter(|text| *text != "0");
    Ok(text.and_then(|text| CheckId::parse(text).ok()))
}

fn restaurant(object: &Object) -> Read<Option<RestaurantRef>> {
    let code = object.read(&["restCode"], Json::scalar)?.map(|code| clean(&code));
    let code = code.filter(|code| !code.is_empty());
    let name = text(object, &["restName"])?;
    Ok((code.is_some() || name.is_some()).then_some(RestaurantRef { code, name }))
}

trait IdText: Sized {
    fn of(text: &str) -> Result<Self, crate::model::InvalidId>;
}
impl IdText for AccountId {
    fn of(text: &str) -> Result<Self, crate::model::InvalidId> {
        Self::parse(text)
    }
}
impl IdText for TransactionId {
    fn of(text: &str) -> Result<Self, crate::model::InvalidId> {
        Self::parse(text)
    }
}
impl IdText for CheckId {
    fn of(text: &str) -> Result<Self, crate::model::InvalidId> {
        Self::parse(text)
    }
}
impl IdText for GroupId {
    fn of(text: &str) -> Result<Self, crate::model::InvalidId> {
        Self::parse(text)
    }
}

fn parsed<T, E>(value: Json, parse: impl FnOnce(&str) -> Result<T, E>) -> Read<T> {
    parse(value.scalar()?.trim()).map_err(|_| NONSENSE)
}

/// A text without control characters; an empty one is not told.
fn text(object: &Object, names: &[&str]) -> Read<Option<String>> {
    let text = object.read(names, |value| value.scalar().map(|text| clean(&text)))?;
    Ok(text.filter(|text| !text.is_empty()))
}

fn clean(text: &str) -> String {
    let kept = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    kept.take(MAX_TEXT).collect::<String>().trim().to_owned()
}

/// A decimal as plain text: `1`, `0.5`.
fn decimal_text(value: Json) -> Read<String> {
    let text = value.scalar()?;
    let plain = text.trim().replace(',', ".");
    let number: rust_decimal::Decimal = plain
        .parse()
        .or_else(|_| rust_decimal::Decimal::from_scientific(&plain))
        .map_err(|_| NONSENSE)?;
    Ok(number.normalize().to_string())
}

/// A share in percent; less than nothing makes no sense.
fn percent(value: Json) -> Read<String> {
    decimal_text(value).and_then(|text| if text.starts_with('-') { Err(NONSENSE) } else { Ok(text) })
}

/// A value that may be left out when it cannot be read.
fn lenient<T>(value: Option<Read<T>>) -> Option<T> {
    value.and_then(Result::ok)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Sums;

    fn values() -> Values {
        Values {
            sums: Sums::Kopecks,
            zone: TimeZone::get("Europe/Moscow").expect("a zone"),
        }
    }

    fn read<T>(value: &Value, read: impl FnOnce(Json) -> Read<T>) -> Read<T> {
        let text = value.to_string();
        read(Json::parse(text.as_bytes())?)
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let names =
            "id|accountId|balance|sum|amount|date|details|pending|type|level|coupons|data|result|firstName|isBlocked";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            Just(Value::from("12.04.1990")),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(prop::sample::select(names.split('|').collect::<Vec<_>>()), inner, 0..6)
                    .prop_map(|members| members
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_panics_and_a_balance_is_only_what_was_told(value in any_json()) {
            let values = values();
            let account = AccountId::parse("5").expect("an id");
            let _ = read(&value, |answer| values.account(answer));
            let _ = read(&value, |answer| values.transactions(answer, &account));
            let _ = read(&value, |answer| values.check(answer));
            let _ = (read(&value, groups), read(&value, tokens).map(drop));
            if let Ok(balance) = read(&value, |answer| values.balance(answer)) {
                let told = value.to_string().contains("\"balance\"");
                prop_assert!(told, "{balance:?} out of nothing");
            }
        }
    }

    #[test]
    fn a_movement_of_another_account_makes_the_history_nonsense() {
        let entry = |account| json!({ "id": 1, "accountId": account, "date": "2026-11-20T12:00:00", "type": "accrual", "sum": 5 });
        let account = AccountId::parse("5").expect("an id");
        let of = |account_id: i64| {
            read(&json!([entry(account_id)]), |answer| {
                values().transactions(answer, &account)
            })
        };
        assert_eq!(of(5).map(|entries| entries.len()), Ok(1));
        assert_eq!(of(6), Err(NONSENSE));
    }

    #[test]
    fn signs_come_from_the_sums_or_when_there_are_none_from_the_types() {
        let account = AccountId::parse("5").expect("an id");
        let entry = |id: i64, kind: &str, sum: i64| json!({ "id": id, "createdAt": "20.11.2026", "operation": kind, "amount": sum });
        let sums = |list: Value| {
            let entries = read(&list, |answer| values().transactions(answer, &account)).expect("a history");
            entries
                .into_iter()
                .map(|entry| (entry.kind, entry.amount.minor()))
                .collect::<Vec<_>>()
        };
        let unsigned = json!([
            entry(1, "начисление", 10),
            entry(2, "списание", 4),
            entry(3, "Сгорание", 1)
        ]);
        let signed = json!([entry(1, "accrual", 10), entry(2, "spend", -4), entry(3, "burn", -1)]);
        assert_eq!(sums(unsigned), sums(signed.clone()));
        assert_eq!(sums(signed)[0], (TransactionKind::Burn, -1));
        assert_eq!(
            sums(json!([entry(1, "подарок", -7)])),
            [(TransactionKind::Adjustment, -7)]
        );
    }
}
