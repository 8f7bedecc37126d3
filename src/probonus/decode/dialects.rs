//! One guest as three ProBonus servers tell it (`tests/fixtures/probonus/`): whatever the dialect, the same vocabulary comes out.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::envelope::open;
use super::json::Read;
use super::{Context, Json, Odd, Values, read_account, read_balance, read_check, read_history};
use crate::config::Sums;
use crate::model::{Account, AccountId, Balance, Check, Money, Transaction};
use crate::probonus::operation::Operation;

const PLAIN: &str = include_str!("../../../tests/fixtures/probonus/plain.json");
const OTHERS: [&str; 2] = [
    include_str!("../../../tests/fixtures/probonus/wrapped.json"),
    include_str!("../../../tests/fixtures/probonus/rubles.json"),
];

struct Told {
    account: Account,
    balance: Balance,
    transactions: Vec<Transaction>,
    check: Check,
}

fn told(fixture: &str) -> Told {
    let fixture: Value = serde_json::from_str(fixture).expect("a fixture");
    let sums = if fixture["sums"] == "rubles" {
        Sums::Rubles
    } else {
        Sums::Kopecks
    };
    let values = Values::new(sums, TimeZone::get("Europe/Moscow").expect("a zone"));
    let odd = Odd::default();
    let context = Context {
        values: &values,
        odd: &odd,
    };
    let account = AccountId::parse("5012").expect("an id");
    Told {
        account: read(&fixture["account"], Operation::FindByPhone, |answer| {
            read_account(answer, context)
        }),
        balance: read(&fixture["balance"], Operation::Balance, |answer| {
            read_balance(answer, context)
        }),
        transactions: read(&fixture["transactions"], Operation::Transactions, |answer| {
            read_history(answer, &account, context).map(|movements| movements.entries)
        }),
        check: read(&fixture["check"], Operation::Check, |answer| {
            read_check(answer, context)
        }),
    }
}

fn read<T>(answer: &Value, operation: Operation, read: impl FnOnce(Json) -> Read<T>) -> T {
    let text = answer.to_string();
    let answer = Json::parse(text.as_bytes()).expect("JSON");
    let answer = open(answer, operation).expect("an envelope").value;
    read(answer).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_dialect_tells_the_same_guest() {
    let plain = told(PLAIN);
    for other in OTHERS.map(told) {
        assert!(other.account == plain.account, "the account");
        assert_eq!(other.balance, plain.balance);
        assert_eq!(other.transactions, plain.transactions);
        assert_eq!(other.check, plain.check);
    }
}

#[test]
fn what_is_told_is_what_the_till_knows() {
    let Told {
        account,
        balance,
        transactions,
        check,
    } = told(PLAIN);
    assert_eq!(
        (account.id.as_str(), account.first_name.as_deref()),
        ("5012", Some("Анна"))
    );
    assert_eq!(
        account.birthday.map(|day| day.to_string()).as_deref(),
        Some("1990-04-12")
    );
    assert_eq!(account.level.expect("a level").bonus_percent.as_deref(), Some("7.5"));
    assert_eq!((balance.available.minor(), balance.pending.minor()), (125_050, 5_000));
    let burning: Vec<_> = balance
        .expiring
        .iter()
        .map(|expiry| (expiry.amount.minor(), expiry.expires_on.to_string()))
        .collect();
    assert_eq!(
        burning,
        [(30_000, "2026-12-01".to_owned()), (95_050, "2027-01-15".to_owned())]
    );
    assert_eq!(transactions[0].occurred_at.to_string(), "2026-11-20T18:30:00Z");
    assert_eq!(
        transactions
            .iter()
            .map(|entry| entry.amount.minor())
            .collect::<Vec<_>>(),
        [-20_000, 14_500]
    );
    assert_eq!(
        (check.items[0].quantity.as_deref(), check.total.map(Money::minor)),
        (Some("1.5"), Some(60_000))
    );
}
