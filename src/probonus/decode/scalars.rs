//! Sums, percents, quantities and genders as ProBonus may spell them.

use std::str::FromStr;

use jiff::tz::TimeZone;
use rust_decimal::{Decimal, RoundingStrategy};

use super::dates::Calendar;
use super::json::{Json, NONSENSE, Read};
use crate::config::Sums;
use crate::model::{Gender, Money};

/// What it takes to read values: the unit of sums and the calendar of times that name no zone.
#[derive(Clone, Debug)]
pub(in crate::probonus) struct Values {
    sums: Sums,
    pub calendar: Calendar,
}

impl Values {
    pub fn new(sums: Sums, zone: TimeZone) -> Self {
        let calendar = Calendar::new(zone);
        Self { sums, calendar }
    }

    /// A sum: a whole number, a decimal, or either as text. Fractions of a kopeck are rounded half away from zero.
    pub fn money(&self, value: Json) -> Read<Money> {
        let sum = decimal(&value.scalar()?)?;
        let kopecks = match self.sums {
            Sums::Kopecks => sum,
            Sums::Rubles => sum.checked_mul(Decimal::ONE_HUNDRED).ok_or(NONSENSE)?,
        };
        let whole = kopecks.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
        i64::try_from(whole).ok().and_then(Money::from_minor).ok_or(NONSENSE)
    }

    /// The digits of a sum as this ProBonus wants it.
    pub fn sum_out(&self, sum: Money) -> Decimal {
        match self.sums {
            Sums::Kopecks => Decimal::from(sum.minor()),
            Sums::Rubles => Decimal::new(sum.minor(), 2).normalize(),
        }
    }
}

fn decimal(text: &str) -> Read<Decimal> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let plain = plain.replace(',', ".");
    if plain.is_empty() || plain.len() > 40 {
        return Err(NONSENSE);
    }
    Decimal::from_str(&plain)
        .or_else(|_| Decimal::from_scientific(&plain))
        .map_err(|_| NONSENSE)
}

/// A decimal as plain text: `1`, `0.5`.
pub(super) fn decimal_text(value: Json) -> Read<String> {
    decimal(&value.scalar()?).map(|number| number.normalize().to_string())
}

/// A share in percent; less than nothing makes no sense.
pub(super) fn percent(value: Json) -> Read<String> {
    decimal_text(value).and_then(|text| if text.starts_with('-') { Err(NONSENSE) } else { Ok(text) })
}

/// A gender in any of the known spellings; an unknown word is not told.
pub(super) fn gender(value: Json) -> Read<Option<Gender>> {
    Ok(match value.scalar()?.trim().to_lowercase().as_str() {
        "male" | "m" | "м" | "1" | "муж" | "мужской" => Some(Gender::Male),
        "female" | "f" | "ж" | "2" | "жен" | "женский" => Some(Gender::Female),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(sums: Sums) -> Values {
        Values::new(sums, TimeZone::UTC)
    }

    fn money(sums: Sums, text: &str) -> Option<i64> {
        let value = Json::parse(text.as_bytes()).ok()?;
        values(sums).money(value).ok().map(Money::minor)
    }

    #[test]
    fn sums_are_read_in_every_spelling_and_nothing_else_is_a_sum() {
        assert_eq!(money(Sums::Kopecks, "12345"), Some(12345));
        assert_eq!(money(Sums::Kopecks, "\"12345\""), Some(12345));
        assert_eq!(money(Sums::Kopecks, "12345.00"), Some(12345));
        assert_eq!(money(Sums::Rubles, "123.45"), Some(12345));
        assert_eq!(money(Sums::Rubles, "\"-1 234,5\""), Some(-123_450));
        assert_eq!(money(Sums::Rubles, "0.1"), Some(10));
        assert_eq!(money(Sums::Rubles, "90071992547409.91"), Some(9_007_199_254_740_991));
        assert_eq!(money(Sums::Kopecks, "1.5e3"), Some(1500));
        for nonsense in ["\"\"", "\"abc\"", "true", "[1]", "{}", "9007199254740993", "1e400"] {
            assert_eq!(money(Sums::Kopecks, nonsense), None, "{nonsense}");
        }
    }

    proptest! {
        #[test]
        fn every_sum_survives_both_units(minor in -9_007_199_254_740_991_i64..=9_007_199_254_740_991) {
            let sum = Money::from_minor(minor).expect("in bounds");
            for sums in [Sums::Kopecks, Sums::Rubles] {
                let out = values(sums).sum_out(sum).to_string();
                prop_assert_eq!(money(sums, &out), Some(minor));
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let json = serde_json::to_string(&text).expect("text");
            let value = Json::parse(json.as_bytes()).expect("JSON");
            let values = values(Sums::Rubles);
            let _ = (values.money(value), decimal_text(value), percent(value), gender(value));
        }
    }
}
