//! Whether an answer is about whom it was asked for: a phone or an account that is told is compared, and another's is nonsense.

use rust_decimal::Decimal;

use super::json::{Json, NONSENSE, Read};
use crate::model::{AccountId, Phone};

/// Digits of the shortest national number: fewer at a number's end prove nothing.
const SHORTEST: usize = 9;

/// Digits of the longest country code.
const COUNTRY: usize = 3;

/// What numbers begin with inside their country, or on the way out of it, instead of a country code.
const PREFIXES: [&str; 5] = ["", "8", "80", "00", "0"];

/// Proves that an account told by an answer is this phone's, as far as it tells a phone.
pub(in crate::probonus) fn prove_phone(account: Json, phone: &Phone) -> Read<()> {
    match account.single()?.object()?.told(&["phone"]) {
        None => Ok(()),
        Some(told) => match is_of(told, phone)? {
            Some(false) => Err(NONSENSE),
            Some(true) | None => Ok(()),
        },
    }
}

/// Proves that what a member of these names says of an account is this one, as far as it says so.
pub(in crate::probonus) fn prove_account(answer: Json, names: &[&str], account: &AccountId) -> Read<()> {
    let Ok(object) = answer.single().and_then(Json::object) else {
        return Ok(());
    };
    match object.told(names).map(Json::scalar).transpose()? {
        Some(told) if told.trim() != account.as_str() => Err(NONSENSE),
        _ => Ok(()),
    }
}

/// Whether one of the numbers told is this phone's; `None` when no number is told.
fn is_of(told: Json, phone: &Phone) -> Read<Option<bool>> {
    if told.is_list() {
        let mut known = None;
        for number in told.array()?.into_iter().filter(|number| !number.is_null()) {
            known = known.max(is_of(number, phone)?);
        }
        return Ok(known);
    }
    let text = told.scalar()?;
    let whole = (!told.is_text()).then(|| Decimal::from_scientific(&text).or_else(|_| text.parse::<Decimal>()));
    let text = match whole.and_then(Result::ok) {
        Some(number) => number.normalize().to_string().into(),
        None => text,
    };
    let numbers = text.split([',', ';', '/', '|', '\n']);
    let digits = numbers.map(|number| number.chars().filter(char::is_ascii_digit).collect::<String>());
    Ok(digits
        .filter(|digits| !digits.is_empty())
        .map(|digits| is_same(&digits, phone.digits()))
        .max())
}

/// Whether `told` is a spelling of the number whose digits with the country code are `ours`.
fn is_same(told: &str, ours: &str) -> bool {
    PREFIXES
        .iter()
        .filter_map(|prefix| told.strip_prefix(prefix))
        .any(|bare| {
            let national = bare.len() >= SHORTEST && ours.len().saturating_sub(bare.len()) <= COUNTRY;
            bare == ours || (national && ours.ends_with(bare))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proves(phone: &str) -> bool {
        let account = format!(r#"{{"id": 1, "phone": {phone}}}"#);
        let ours = Phone::from_e164("+79160000001").expect("a phone");
        prove_phone(Json::parse(account.as_bytes()).expect("JSON"), &ours).is_ok()
    }

    #[test]
    fn a_phone_is_known_in_every_spelling_and_anothers_in_none() {
        for ours in [
            "null",
            "\"\"",
            "\"-\"",
            "79160000001",
            "79160000001.0",
            "7.9160000001e10",
            "9160000001",
            "\"+79160000001\"",
            "\"89160000001\"",
            "\"+7 (916) 000-00-01\"",
            "\"8 916 000 00 01\"",
            "\"007 916 000-00-01\"",
            "\"916 000 00 01\"",
            "\"79160000077, 79160000001\"",
            "[\"79160000077\", 79160000001]",
            "[]",
            "[null]",
        ] {
            assert!(proves(ours), "{ours}");
        }
        for anothers in [
            "79160000077",
            "\"+7 916 000-00-77\"",
            "\"1\"",
            "\"60000001\"",
            "\"791600000011\"",
            "\"0\"",
            "true",
            "{}",
            "[\"79160000077\"]",
            "\"79160000077; 79160000078\"",
            "\"+375 29 160-00-01\"",
        ] {
            assert!(!proves(anothers), "{anothers}");
        }
    }

    #[test]
    fn numbers_of_other_countries_are_known_too() {
        for (ours, told, same) in [
            ("375296000001", "80296000001", true),
            ("375296000001", "296000001", true),
            ("375296000001", "375296000002", false),
            ("77010000001", "87010000001", true),
            ("79160000001", "19160000001", false),
        ] {
            assert_eq!(is_same(told, ours), same, "{told}");
        }
    }
}
