//! Values of answers: what is strict is nonsense when it is odd, everything else costs its own field.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::json::Read;
use super::{
    Context, Json, NONSENSE, Odd, Values, read_account, read_balance, read_check, read_groups, read_history,
    read_pending, read_tokens,
};
use crate::config::Sums;
use crate::model::{Account, AccountId, Check, TransactionKind};

/// Reads `text` by `read`, and the fields that were odd.
fn read_text<T>(text: &str, read: impl FnOnce(Json, Context) -> Read<T>) -> (Read<T>, Vec<&'static str>) {
    let values = Values::new(Sums::Kopecks, TimeZone::get("Europe/Moscow").expect("a zone"));
    let odd = Odd::default();
    let context = Context {
        values: &values,
        odd: &odd,
    };
    let value = Json::parse(text.as_bytes()).and_then(|json| read(json, context));
    (value, odd.fields())
}

fn read<T>(value: &Value, read: impl FnOnce(Json, Context) -> Read<T>) -> Read<T> {
    read_text(&value.to_string(), read).0
}

fn five() -> AccountId {
    AccountId::parse("5").expect("an id")
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
        let account = five();
        let _ = read(&value, read_account);
        let _ = read(&value, |answer, context| read_history(answer, &account, context)).map(drop);
        let _ = (read(&value, read_check), read(&value, read_pending));
        let _ = (read(&value, read_groups), read(&value, |answer, _| read_tokens(answer)).map(drop));
        if let Ok(balance) = read(&value, read_balance) {
            let told = value.to_string().contains("\"balance\"");
            prop_assert!(told, "{balance:?} out of nothing");
        }
    }
}

#[test]
fn a_movement_of_another_account_makes_the_history_nonsense() {
    let entry =
        |account| json!({ "id": 1, "accountId": account, "date": "2026-11-20T12:00:00", "type": "accrual", "sum": 5 });
    let of = |account_id: i64| {
        let history = read(&json!([entry(account_id)]), |answer, context| {
            read_history(answer, &five(), context)
        });
        history.map(|movements| movements.entries.len())
    };
    assert_eq!(of(5), Ok(1));
    assert_eq!(of(6), Err(NONSENSE));
}

#[test]
fn signs_come_from_the_sums_or_when_there_are_none_from_the_types() {
    let entry = |id: i64, kind: &str, sum: i64| json!({ "id": id, "createdAt": "20.11.2026", "operation": kind, "amount": sum });
    let sums = |list: Value| {
        let movements = read(&list, |answer, context| read_history(answer, &five(), context)).expect("a history");
        movements
            .entries
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

fn account_with(field: &str, value: &str) -> (Read<Account>, Vec<&'static str>) {
    read_text(
        &format!(r#"{{"firstName":"Анна","id":5,"{field}":{value}}}"#),
        read_account,
    )
}

#[test]
fn an_odd_value_of_an_account_costs_its_own_field() {
    for (field, value) in [
        ("gender", "true"),
        ("gender", "{}"),
        ("lastName", "[]"),
        ("lastName", r#""\ud800""#),
        ("email", "false"),
        ("birthday", "\"вчера\""),
        ("birthday", "5"),
        ("level", "true"),
        ("level", "[1,2]"),
        ("coupons", "[null]"),
        ("coupons", "[5]"),
        ("coupons", "\"много\""),
        ("coupons", "true"),
        ("identifiers", "[null]"),
        ("identifiers", "[true]"),
        ("identifiers", "7"),
        ("accountGroupId", "{}"),
    ] {
        let (account, odd) = account_with(field, value);
        let account = account.unwrap_or_else(|_| panic!("{field} {value}"));
        assert_eq!(
            (account.id.as_str(), account.first_name.as_deref()),
            ("5", Some("Анна")),
            "{field}"
        );
        assert!(
            account.coupons.is_empty() && account.identifiers.is_empty() && account.last_name.is_none(),
            "{field} {value}"
        );
        assert_eq!(odd, [field], "{value}");
    }
    for (field, value) in [
        ("coupons", "{}"),
        ("coupons", "[]"),
        ("coupons", "null"),
        ("coupons", r#"{"$id":"2","$values":[]}"#),
        ("identifiers", "\"\""),
        ("identifiers", "{}"),
        ("birthday", "\"0001-01-01T00:00:00\""),
        ("level", "\"\""),
        ("level", "null"),
        ("unknown", r#""\ud800""#),
    ] {
        let (account, odd) = account_with(field, value);
        assert!(account.is_ok() && odd.is_empty(), "{field} {value} {odd:?}");
    }
    let (account, odd) = account_with("level", r#"{"name":"Золотой","bonusPercent":"5%","discountPercent":3}"#);
    let level = account.expect("an account").level.expect("a level");
    assert_eq!(
        (level.bonus_percent, level.discount_percent.as_deref()),
        (None, Some("3"))
    );
    assert_eq!(odd, ["bonusPercent"]);
    let coupons = r#"{"$values":[{"id":1,"name":"Десерт","isUsed":"возможно","validTo":"9999-12-31"},null,{"id":[2],"code":"A"}]}"#;
    let (account, odd) = account_with("coupons", coupons);
    let coupons = account.expect("an account").coupons;
    assert_eq!(
        (
            coupons.len(),
            coupons[0].used,
            coupons[0].valid_to,
            coupons[1].id.as_ref()
        ),
        (2, false, None, None)
    );
    assert_eq!(odd, ["coupons", "id", "isUsed"]);
}

#[test]
fn what_decides_about_money_or_access_is_nonsense_when_it_is_odd() {
    for (field, value) in [
        ("balance", "\"много\""),
        ("balance", "true"),
        ("turnover", "{}"),
        ("isBlocked", "\"возможно\""),
        ("isBlocked", "7"),
        ("isBlocked", "[]"),
        ("accountId", "1"),
    ] {
        let (account, _) = account_with(field, value);
        assert_eq!(account.is_ok(), field == "accountId", "{field} {value}");
    }
    for id in [
        "null",
        "\"\"",
        "0",
        "\"00000000-0000-0000-0000-000000000000\"",
        "-1",
        "true",
        "{}",
        r#""\ud800""#,
    ] {
        assert!(
            read_text(&format!(r#"{{"id":{id},"firstName":"Анна"}}"#), read_account)
                .0
                .is_err(),
            "{id}"
        );
    }
    for (id, text) in [
        ("5012.0", "5012"),
        ("5.012e3", "5012"),
        ("\"Счёт-1\"", "Счёт-1"),
        ("\" 7 \"", "7"),
        ("\"7.0\"", "7.0"),
    ] {
        let (account, _) = read_text(&format!(r#"{{"id":{id}}}"#), read_account);
        assert_eq!(account.expect("an account").id.as_str(), text, "{id}");
    }
    for (blocked, value) in [
        (true, "\"Y\""),
        (true, "-1"),
        (true, "\"да\""),
        (false, "\"нет\""),
        (false, "0.0"),
        (false, "\"\""),
        (false, "null"),
    ] {
        let (account, odd) = account_with("isBlocked", value);
        assert_eq!(
            (account.expect("an account").blocked, odd.len()),
            (blocked, 0),
            "{value}"
        );
    }
}

#[test]
fn an_odd_value_of_a_check_costs_its_own_field_and_a_sum_the_check() {
    let check = |text: &str| -> (Read<Check>, Vec<&'static str>) { read_text(text, read_check) };
    let (odd_check, odd) = check(
        r#"{"id":7,"number":true,"openedAt":"0001-01-01T00:00:00","closedAt":"","restName":[],"items":[null,{"name":"Чай","quantity":"NaN","sum":5},{"name":{},"quantity":1.50}]}"#,
    );
    let odd_check = odd_check.expect("a check");
    assert_eq!(
        (odd_check.number, odd_check.opened_at, odd_check.closed_at),
        (None, None, None)
    );
    let dishes: Vec<_> = odd_check
        .items
        .iter()
        .map(|dish| (dish.name.as_deref(), dish.quantity.as_deref()))
        .collect();
    assert_eq!(dishes, [(Some("Чай"), None), (None, Some("1.5"))]);
    assert_eq!(odd, ["items", "name", "number", "quantity", "restName"]);
    for nonsense in [
        r#"{"id":7,"totalSum":"NaN"}"#,
        r#"{"id":7,"items":[{"price":"дорого"}]}"#,
        r#"{"id":7,"accountId":{}}"#,
        r#"{"id":7,"checkGuid":{}}"#,
    ] {
        assert!(check(nonsense).0.is_err(), "{nonsense}");
    }
}

#[test]
fn a_history_is_nonsense_for_a_sum_or_an_id_and_leaves_out_what_has_no_moment() {
    let history = |entry: &str| {
        let text = format!(r#"[{{"id":1,"date":"2026-11-20","sum":5}},{entry}]"#);
        let (read, odd) = read_text(&text, |answer, context| read_history(answer, &five(), context));
        read.map(|movements| (movements.entries.len(), movements.left_out, odd))
    };
    assert_eq!(history("null"), Ok((1, 1, vec!["transactions"])));
    for date in [
        "null",
        "\"\"",
        "\"0001-01-01T00:00:00\"",
        "\"9999-12-31T23:59:59.9999999\"",
        "\"вчера\"",
        "true",
    ] {
        let read = history(&format!(r#"{{"id":2,"sum":5,"date":{date}}}"#));
        assert_eq!(read, Ok((1, 1, vec!["date"])), "{date}");
    }
    for odd in [
        r#""comment":{}"#,
        r#""type":true"#,
        r#""restName":[]"#,
        r#""checkId":{}"#,
    ] {
        let read = history(&format!(r#"{{"id":2,"sum":5,"date":"2026-11-20",{odd}}}"#)).expect("a history");
        assert_eq!((read.0, read.1, read.2.len()), (2, 0, 1), "{odd}");
    }
    for none in ["0", "\"\"", "null", "\"00000000-0000-0000-0000-000000000000\""] {
        let read = history(&format!(r#"{{"id":2,"sum":5,"date":"2026-11-20","checkId":{none}}}"#));
        assert_eq!(read, Ok((2, 0, vec![])), "{none}");
    }
    for nonsense in [
        "5",
        r#"{"id":2,"date":"2026-11-20","sum":"много"}"#,
        r#"{"id":2,"date":"2026-11-20"}"#,
        r#"{"id":{},"date":"2026-11-20","sum":5}"#,
        r#"{"date":"2026-11-20","sum":5}"#,
        r#"{"id":2,"date":"2026-11-20","sum":5,"balanceAfter":"много"}"#,
    ] {
        assert_eq!(history(nonsense), Err(NONSENSE), "{nonsense}");
    }
}

#[test]
fn a_burn_day_that_never_comes_is_no_burn_day() {
    let balance = |text: &str| read_text(text, read_balance);
    let (told, odd) = balance(
        r#"{"balance":9,"details":[null,{"sum":1,"burnDate":"9999-12-31T23:59:59"},{"sum":2,"burnDate":"2026-12-01"},{"sum":3,"burnDate":"когда-нибудь"},{"sum":4}],"pending":[null,{"sum":5}]}"#,
    );
    let told = told.expect("a balance");
    assert_eq!(
        (
            told.expiring.len(),
            told.expiring[0].amount.minor(),
            told.pending.minor()
        ),
        (1, 2, 5)
    );
    assert_eq!(odd, ["burnDate", "details", "pending"]);
    for list in ["{}", "\"\"", "null", r#"{"$values":[]}"#] {
        let (told, odd) = balance(&format!(r#"{{"balance":9,"details":{list},"pending":{list}}}"#));
        assert!(
            told.is_ok_and(|told| told.expiring.is_empty()) && odd.is_empty(),
            "{list}"
        );
    }
    let odd_pending = r#"{"balance":9,"pending":"скоро"}"#;
    assert!(balance(odd_pending).0.is_ok(), "a guest is shown the rest");
    assert!(read_text(odd_pending, read_pending).0.is_err(), "it proves nothing");
    for nonsense in [
        r#"{"balance":"NaN"}"#,
        r#"{"details":[]}"#,
        r#"{"balance":9,"details":[{"sum":"NaN","burnDate":"2026-12-01"}]}"#,
    ] {
        assert!(balance(nonsense).0.is_err(), "{nonsense}");
    }
}

#[test]
fn a_group_that_is_odd_is_left_out() {
    let (groups, odd) = read_text(
        r#"[null,{"id":3,"haveTemplate":"Да"},{"id":{}},{"id":4,"haveTemplate":"?"}]"#,
        read_groups,
    );
    let groups: Vec<_> = groups
        .expect("groups")
        .into_iter()
        .map(|group| (group.id, group.have_template))
        .collect();
    assert_eq!(
        groups
            .iter()
            .map(|(id, template)| (id.as_str(), *template))
            .collect::<Vec<_>>(),
        [("3", true), ("4", false)]
    );
    assert_eq!(odd, ["groups", "haveTemplate"]);
}
