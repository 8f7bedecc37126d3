//! Sums, moments, days and genders as ProBonus may spell them.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use rust_decimal::{Decimal, RoundingStrategy};

use super::json::{Json, NONSENSE, Read};
use crate::config::Sums;
use crate::model::{Gender, Money};

/// What it takes to read values: the unit of sums and the zone of times that name none.
#[derive(Clone, Debug)]
pub(super) struct Values {
    pub sums: Sums,
    pub zone: TimeZone,
}

impl Values {
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

    /// A moment: RFC 3339, ISO without zone, or `dd.MM.yyyy[ HH:mm[:ss]]`. Microseconds are the finest we tell apart.
    pub fn moment(&self, value: Json) -> Read<Timestamp> {
        let text = value.text()?;
        let text = text.trim();
        let moment = if let Ok(moment) = text.parse::<Timestamp>() {
            moment
        } else {
            let zoned = civil(text)?.to_zoned_datetime(self.zone.clone());
            zoned.map_err(|_| NONSENSE)?.timestamp()
        };
        Timestamp::from_microsecond(moment.as_microsecond()).map_err(|_| NONSENSE)
    }

    /// A day: the same spellings. A midnight is the day it names, in whatever zone; another time with a zone counts in the restaurants'.
    pub fn day(&self, value: Json) -> Read<Date> {
        let text = value.text()?;
        let text = text.trim();
        if let Ok(moment) = text.parse::<Timestamp>() {
            let written = Pieces::parse(text).map_err(|_| NONSENSE)?;
            if written.time() == Some(Time::midnight()) {
                return Ok(written.date());
            }
            return Ok(moment.to_zoned_datetime(self.zone.clone()).date());
        }
        civil(text).map(DateTime::date)
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

fn civil(text: &str) -> Read<DateTime> {
    if let Some((day, time)) = dotted(text) {
        let time = match time {
            None => "00:00".to_owned(),
            Some(time) => time.to_owned(),
        };
        return format!("{day}T{time}").parse().map_err(|_| NONSENSE);
    }
    let shape_of_a_day = text.len() >= 10 && text.as_bytes()[4] == b'-';
    if !shape_of_a_day {
        return Err(NONSENSE);
    }
    if let Ok(date) = text.parse::<Date>().map(|date| date.at(0, 0, 0, 0))
        && text.len() == 10
    {
        return Ok(date);
    }
    text.parse().map_err(|_| NONSENSE)
}

/// `dd.MM.yyyy[ HH:mm[:ss]]` as an ISO day and the time's text.
fn dotted(text: &str) -> Option<(String, Option<&str>)> {
    let (day, time) = text
        .split_once(' ')
        .map_or((text, None), |(day, time)| (day, Some(time.trim())));
    let mut parts = day.split('.');
    let (d, m, y) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    let right = parts.next().is_none() && digits(d, 2) && digits(m, 2) && digits(y, 4);
    right.then(|| (format!("{y}-{m}-{d}"), time.filter(|time| !time.is_empty())))
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
        Values {
            sums,
            zone: TimeZone::get("Europe/Moscow").expect("a zone"),
        }
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

    #[test]
    fn moments_and_days_come_in_three_forms() {
        let values = values(Sums::Kopecks);
        let at = |text: &str| {
            let json = format!("\"{text}\"");
            let moment = values.moment(Json::parse(json.as_bytes()).expect("JSON"));
            moment.map(|moment| moment.to_string()).unwrap_or_default()
        };
        for same in [
            "2026-11-20T12:30:00+03:00",
            "2026-11-20T09:30:00Z",
            "2026-11-20T12:30:00",
            "20.11.2026 12:30",
            "20.11.2026 12:30:00",
            "2026-11-20 12:30:00",
            "2026-11-20T12:30",
            "2026-11-20T12:30:00.0000004+03:00",
        ] {
            assert_eq!(at(same), "2026-11-20T09:30:00Z", "{same}");
        }
        assert_eq!(at("20.11.2026"), "2026-11-19T21:00:00Z");
        assert_eq!(at("2026-11-20"), "2026-11-19T21:00:00Z");
        for nonsense in ["", "tomorrow", "2026", "31.02.2026", "20.11.26", "1700000000"] {
            assert_eq!(at(nonsense), "", "{nonsense}");
        }
        let day = |text: &str| {
            let json = format!("\"{text}\"");
            values
                .day(Json::parse(json.as_bytes()).expect("JSON"))
                .map(|day| day.to_string())
                .unwrap_or_default()
        };
        assert_eq!(day("2026-11-19T21:30:00Z"), "2026-11-20");
        assert_eq!(day("12.04.1990"), "1990-04-12");
        assert_eq!(day("1990-04-12T00:00:00"), "1990-04-12");
        assert_eq!(day("1990-04-12T00:00:00+10:00"), "1990-04-12");
        assert_eq!(day("1990-04-12T00:00:00Z"), "1990-04-12");
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
            let _ = (values.money(value), values.moment(value), values.day(value), gender(value));
        }
    }
}
